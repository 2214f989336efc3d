#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/commands.h"
#include "cmd/session.h"
#include "engine/imagetools.h"
#include "engine/oci.h"

static void print_entry(const struct imageref *ref, const struct oci_descriptor *d)
{
	_cleanup_free_ char *name = imageref_name(ref);
	char digest[DIGEST_TEXT], platform[64];

	printf("  Name:        %s@%s\n  MediaType:   %s\n", name, digest_format(&d->digest, digest),
	       d->media_type);
	if (d->has_platform)
		printf("  Platform:    %s\n", platform_format(&d->platform, platform));
	printf("\n");
}

static void print_document(const struct imageref *ref, const struct registry_manifest *m,
			   const struct oci_document *doc)
{
	_cleanup_free_ char *name = imageref_format(ref);
	char digest[DIGEST_TEXT];

	printf("Name:      %s\nMediaType: %s\nDigest:    %s\n", name, doc->media_type,
	       digest_format(&m->digest, digest));
	if (doc->kind != OCI_INDEX)
		return;
	printf("\nManifests:\n");
	for (size_t i = 0; i < doc->manifests.n; i++)
		print_entry(ref, &doc->manifests.v[i]);
}

static int inspect(struct registry *registry, const char *text, bool raw, struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_(registry_manifest_release) struct registry_manifest m = REGISTRY_MANIFEST_INIT;
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	int r = imageref_parse(text, &ref, err);

	if (r == 0)
		r = registry_manifest_get(registry, &ref, session_cancel(), &m, err);
	if (r < 0)
		return r;
	if (raw) {
		(void)fwrite(m.bytes.p, 1, m.bytes.n, stdout);
		return 0;
	}
	r = oci_document_parse(m.media_type, m.bytes.p, m.bytes.n, &doc, err);
	if (r == 0)
		print_document(&ref, &m, &doc);
	return r;
}

static int create(struct registry *registry, const struct imagetools_create *c, struct error **err)
{
	_cleanup_buf_ struct buf doc = BUF_INIT;
	char digest[DIGEST_TEXT];
	const char *type;
	struct digest d;
	int r = imagetools_create(registry, c, session_cancel(), &doc, &type, err);

	if (r < 0)
		return r;
	if (c->dry_run) {
		printf("%s\n", doc.p);
		return 0;
	}
	d = digest_of(doc.p, doc.n);
	for (size_t i = 0; i < c->tags.n; i++)
		fprintf(stderr, "pushed %s to %s\n", digest_format(&d, digest), c->tags.v[i]);
	return 0;
}

struct options {
	bool raw;
	struct imagetools_create create;
	struct strv args;
};

static void options_release(struct options *o)
{
	strv_release(&o->args);
	strv_release(&o->create.tags);
	strv_release(&o->create.sources);
}

static int run(const struct options *o, bool is_create, struct error **err)
{
	_cleanup_(config_release) struct config config = {0};
	_cleanup_(registry_freep) struct registry *registry = NULL;
	int r = config_load(&config, err);

	if (r < 0)
		return r;
	registry = registry_new(&config);
	return is_create ? create(registry, &o->create, err)
			 : inspect(registry, o->args.v[0], o->raw, err);
}

static int check(struct options *o, bool is_create, struct error **err)
{
	if (!is_create)
		return o->args.n == 1 ? 0 : error_new(err, ERR_INVALID, 0, "takes one image");
	strv_copy(&o->create.sources, &o->args);
	if (o->create.sources.n == 0)
		return error_new(err, ERR_INVALID, 0, "needs at least one source");
	if (o->create.tags.n == 0 && !o->create.dry_run)
		return error_new(err, ERR_INVALID, 0, "needs --tag, or --dry-run");
	if (o->create.tags.n == 0 && o->create.append)
		return error_new(err, ERR_INVALID, 0, "--append needs --tag");
	return 0;
}

int cmd_imagetools(const struct command *self, int argc, char **argv)
{
	_cleanup_(options_release) struct options o = {0};
	const struct opt inspect_table[] = {
		{"raw", 0, OPT_BOOL, &o.raw, NULL, "Print the manifest or index as it is"},
		{0},
	};
	const struct opt create_table[] = {
		{"append", 0, OPT_BOOL, &o.create.append, NULL, "Add to what the tag names"},
		{"dry-run", 0, OPT_BOOL, &o.create.dry_run, NULL, "Print the index, push nothing"},
		{"prefer-index", 0, OPT_BOOL, &o.create.prefer_index, NULL,
		 "Make an index even over one manifest"},
		{"tag", 't', OPT_LIST, &o.create.tags, "NAME[:TAG]", "What to name the result"},
		{0},
	};
	struct command sub = {.run = self->run, .synopsis = "[OPTIONS] IMAGE..."};
	struct error *err = NULL;
	bool is_create;
	int r, status;

	if (opt_first_is_help(self, argc, argv))
		return 0;
	if (argc < 2 || (strcmp(argv[1], "inspect") != 0 && strcmp(argv[1], "create") != 0))
		return session_misuse(self, "say inspect or create");
	is_create = strcmp(argv[1], "create") == 0;
	sub.name = is_create ? "imagetools create" : "imagetools inspect";
	sub.summary = is_create ? "Put a name, or an index, over images of registries"
				: "Show an image of a registry";
	if (!session_begin(&sub, is_create ? create_table : inspect_table, argc - 1, argv + 1, 0,
			   &o.args, &status))
		return status;
	if (check(&o, is_create, &err) < 0)
		return session_usage(&sub, &err);
	r = run(&o, is_create, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
