/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln imagetools`: inspect and create, on images in a registry. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/cli/template.h"
#include "cmd/commands.h"
#include "engine/image/image_attestations.h"
#include "engine/image/imagetools.h"
#include "engine/oci/oci.h"
#include "engine/oci/oci_manifest.h"
#include "engine/stream/out_file.h"

static void print_entry(const struct imageref *ref, const struct oci_descriptor *d)
{
	_cleanup_free_ char *name = imageref_name(ref);
	char digest[DIGEST_TEXT], platform[64];

	show(stdout, "  Name:        %s@%s\n  MediaType:   %s\n", name,
	     digest_format(&d->digest, digest), d->media_type);
	if (d->has_platform)
		show(stdout, "  Platform:    %s\n", platform_format(&d->platform, platform));
	printf("\n");
}

static void print_document(const struct imageref *ref, const struct registry_manifest *m,
			   const struct oci_document *doc)
{
	_cleanup_free_ char *name = imageref_format(ref);
	char digest[DIGEST_TEXT];

	show(stdout, "Name:      %s\nMediaType: %s\nDigest:    %s\n", name, doc->media_type,
	     digest_format(&m->digest, digest));
	if (doc->kind != OCI_INDEX)
		return;
	printf("\nManifests:\n");
	for (size_t i = 0; i < doc->manifests.n; i++)
		print_entry(ref, &doc->manifests.v[i]);
}

/* Of an index with one image that one's, else what there is of each by platform. A new reference. */
static json_t *of_images(json_t *by_platform, size_t n_images)
{
	void *only = n_images == 1 ? json_object_iter(by_platform) : NULL;

	return json_incref(only ? json_object_iter_value(only) : by_platform);
}

static int add_attestations(struct registry *registry, const struct imageref *ref,
			    const struct registry_manifest *m, size_t n_images, json_t *fields,
			    struct error **err)
{
	struct image_attestations a = {0};
	int r = image_attestations_read(registry, ref, m, session_cancel(), &a, err);

	if (r == 0) {
		json_object_set_new(fields, "Provenance", of_images(a.provenance, n_images));
		json_object_set_new(fields, "SBOM", of_images(a.sbom, n_images));
	}
	image_attestations_release(&a);
	return r;
}

/* What templates see: .Name, .Manifest (the descriptor, with .Manifests of an index), .Image (the
 * config, or one per platform) and, where it asks for them, .Provenance and .SBOM. */
static int print_formatted(struct registry *registry, const struct imageref *ref,
			   const struct registry_manifest *m, const char *text,
			   const struct template *format, struct error **err)
{
	_cleanup_json_ json_t *fields = json_object(), *config = NULL;
	_cleanup_free_ char *name = imageref_format(ref);
	_cleanup_buf_ struct buf out = BUF_INIT;
	char digest[DIGEST_TEXT];
	json_t *manifest = NULL;
	size_t n_images;
	int r = imagetools_configs(registry, ref, m, session_cancel(), &config, err);

	if (r == 0)
		r = js_parse("manifest", m->bytes.p, m->bytes.n, &manifest, err);
	if (r < 0)
		return r;
	json_object_set_new(manifest, "digest", json_string(digest_format(&m->digest, digest)));
	json_object_set_new(manifest, "size", json_integer((json_int_t)m->bytes.n));
	json_object_set_new(fields, "Name", json_string(name));
	json_object_set_new(fields, "Manifest", manifest);
	n_images = json_object_get(manifest, "manifests") ? json_object_size(config) : 0;
	json_object_set_new(fields, "Image", of_images(config, n_images));
	if (strstr(text, ".Provenance") || strstr(text, ".SBOM"))
		r = add_attestations(registry, ref, m, n_images, fields, err);
	if (r == 0)
		r = template_execute(format, fields, &out, err);
	if (r == 0)
		printf("%s\n", out.p);
	return r;
}

static int inspect(struct registry *registry, const char *text, bool raw, const char *format_text,
		   const struct template *format, struct error **err)
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
	if (format)
		return print_formatted(registry, &ref, &m, format_text, format, err);
	r = oci_document_parse(m.media_type, m.bytes.p, m.bytes.n, &doc, err);
	if (r == 0)
		print_document(&ref, &m, &doc);
	return r;
}

static int write_metadata(const char *path, const struct imagetools_create *c, const char *type,
			  const struct buf *doc, struct error **err)
{
	const struct digest digest = digest_of(doc->p, doc->n);
	_cleanup_free_ char *names = strv_join(&c->tags, ",");
	_cleanup_json_ json_t *o = json_object();
	_cleanup_buf_ struct buf b = BUF_INIT;
	char text[DIGEST_TEXT];

	json_object_set_new(o, "containerimage.descriptor",
			    oci_descriptor(type, &digest, doc->n, NULL, NULL));
	json_object_set_new(o, "containerimage.digest", json_string(digest_format(&digest, text)));
	if (*names)
		json_object_set_new(o, "image.name", json_string(names));
	js_dump_go(o, 2, true, &b);
	return out_file_write_all(path, b.p, b.n, session_cancel(), err);
}

static int create(struct registry *registry, const struct imagetools_create *c,
		  const char *metadata_file, struct error **err)
{
	_cleanup_buf_ struct buf doc = BUF_INIT;
	char digest[DIGEST_TEXT];
	const char *type;
	struct digest d;
	int r = metadata_file && !c->dry_run ? out_file_check(metadata_file, err) : 0;

	if (r == 0)
		r = imagetools_create(registry, c, session_cancel(), &doc, &type, err);
	if (r < 0)
		return r;
	if (c->dry_run) {
		printf("%s\n", doc.p);
		return 0;
	}
	d = digest_of(doc.p, doc.n);
	for (size_t i = 0; i < c->tags.n; i++)
		fprintf(stderr, "pushed %s to %s\n", digest_format(&d, digest), c->tags.v[i]);
	return metadata_file ? write_metadata(metadata_file, c, type, &doc, err) : 0;
}

struct options {
	bool raw;
	const char *format, *metadata_file;
	struct template *template;
	struct strv platforms, annotations, files;
	struct imagetools_create create;
	struct strv args;
};

static void options_release(struct options *o)
{
	for (size_t i = 0; i < o->create.annotations.n; i++) {
		free(o->create.annotations.v[i].platform);
		free(o->create.annotations.v[i].text);
	}
	vec_release(&o->create.annotations);
	vec_release(&o->create.platforms);
	template_free(o->template);
	strv_release(&o->platforms);
	strv_release(&o->annotations);
	strv_release(&o->files);
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
	return is_create ? create(registry, &o->create, o->metadata_file, err)
			 : inspect(registry, o->args.v[0], o->raw, o->format, o->template, err);
}

/* "k=v" is the index's here: what is put together is an index. */
static int add_annotation(struct options *o, const char *text, struct error **err)
{
	struct export_options parsed;
	int r;

	export_options_init(&parsed);
	r = export_options_annotate(&parsed, text, err);
	while (r == 0 && parsed.annotations.n > 0) {
		struct export_annotation a = vec_pop(&parsed.annotations);

		if (a.on == ANNOTATE_MANIFEST && !a.platform && strncmp(text, "manifest", 8) != 0)
			a.on = ANNOTATE_INDEX;
		if (a.on != ANNOTATE_INDEX && a.on != ANNOTATE_MANIFEST_DESCRIPTOR)
			r = error_new(err, ERR_INVALID, 0,
				      "annotation '%s': only an index and its manifest-descriptors "
				      "can be annotated",
				      text);
		vec_push(&o->create.annotations, a);
	}
	export_options_release(&parsed);
	return r;
}

/* A source in a file: a reference, or a descriptor of something in the first tag's repository. */
static int add_file(struct options *o, const char *path, struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(OCI_DOCUMENT_MAX);
	_cleanup_json_ json_t *descriptor = NULL;
	_cleanup_free_ char *name = NULL;
	const char *digest = NULL;
	int r = fs_read_file(AT_FDCWD, path, &text);

	if (r < 0)
		return error_new(err, ERR_IO, -r, "read '%s'", path);
	if (text.p[0] != '{') {
		buf_truncate(&text, strcspn(text.p, "\r\n"));
		strv_push(&o->create.sources, text.p);
		return 0;
	}
	r = js_parse(path, text.p, text.n, &descriptor, err);
	if (r == 0)
		r = js_string(descriptor, "digest", &digest, err);
	if (r == 0 && (!digest || o->create.tags.n == 0))
		r = error_new(err, ERR_INVALID, 0, "'%s': a descriptor needs a digest, and a --tag",
			      path);
	if (r == 0)
		r = imageref_parse(o->create.tags.v[0], &ref, err);
	if (r < 0)
		return r;
	name = imageref_name(&ref);
	strv_pushf(&o->create.sources, "%s@%s", name, digest);
	return 0;
}

static int parse_values(struct options *o, struct error **err)
{
	int r = o->format ? template_parse(o->format, &o->template, err) : 0;

	for (size_t i = 0; r == 0 && i < o->platforms.n; i++) {
		struct platform p;

		r = platform_parse(o->platforms.v[i], &p, err);
		vec_push(&o->create.platforms, p);
	}
	for (size_t i = 0; r == 0 && i < o->annotations.n; i++)
		r = add_annotation(o, o->annotations.v[i], err);
	for (size_t i = 0; r == 0 && i < o->files.n; i++)
		r = add_file(o, o->files.v[i], err);
	return r;
}

static int check(struct options *o, bool is_create, struct error **err)
{
	int r = parse_values(o, err);

	if (r < 0)
		return r;
	if (!is_create)
		return o->args.n == 1 ? 0 : error_new(err, ERR_INVALID, 0, "takes one image");
	for (size_t i = 0; i < o->args.n; i++)
		strv_push(&o->create.sources, o->args.v[i]);
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
		{"format", 0, OPT_STRING, &o.format, "TEMPLATE",
		 "A Go template of .Name, .Manifest, .Image, .Provenance and .SBOM, such as {{json "
		 ".Manifest}}"},
		{"raw", 0, OPT_BOOL, &o.raw, NULL, "Print the manifest or index as it is"},
		{0},
	};
	const struct opt create_table[] = {
		{"annotation", 0, OPT_LIST, &o.annotations, "[TYPE:]KEY=VALUE",
		 "Annotate the index, or manifest-descriptor[PLATFORM]:KEY=VALUE in it"},
		{"append", 0, OPT_BOOL, &o.create.append, NULL, "Add to what the tag names"},
		{"dry-run", 0, OPT_BOOL, &o.create.dry_run, NULL, "Print the index, push nothing"},
		{"file", 'f', OPT_LIST, &o.files, "FILE",
		 "Read a source from a file: a reference, or a descriptor as JSON"},
		{"metadata-file", 0, OPT_STRING, &o.metadata_file, "FILE",
		 "Write what was made to a JSON file"},
		{"platform", 'p', OPT_CSV, &o.platforms, "PLATFORMS",
		 "Take only the images for these"},
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
		return session_misuse(self, "expected inspect or create");
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

/* `kiln manifest inspect`, which has no options of use here. */
int cmd_manifest_inspect(const struct command *self, int argc, char **argv)
{
	static char name[] = "imagetools", inspect[] = "inspect", raw[] = "--raw";
	const struct opt table[] = {
		{"insecure", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"verbose", 'v', OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	char *words[5] = {name, inspect, raw};
	int status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n != 1)
		return session_misuse(self, "takes one image");
	words[3] = args.v[0];
	return cmd_imagetools(self, 4, words);
}
