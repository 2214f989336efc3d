/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_attest.h"

#include <stdlib.h>
#include <string.h>

#include "base/attrs.h"
#include "base/path.h"
#include "cmd/build/build_input.h"
#include "engine/attest/provenance.h"
#include "engine/http/http.h"

/* --- options --- */

/* BuildKit's built-in arguments, where no option says anything. */
static int read_argument(struct build_options *o, const char *arg, const char *type,
			 struct error **err)
{
	const char *value = env_get(&o->build_args, arg);

	if (!value)
		return 0;
	return error_wrap(
		err, attest_options_add_short(&o->attestations, type, *value ? value : "true", err),
		"--build-arg %s", arg);
}

static int read_options(struct build_options *o, struct error **err)
{
	struct attest_options *a = &o->attestations;
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->attest.n; i++)
		r = error_wrap(err, attest_options_add(a, o->attest.v[i], err), "--attest %s",
			       o->attest.v[i]);
	if (r == 0 && o->provenance)
		r = error_wrap(err,
			       attest_options_add_short(a, ATTEST_PROVENANCE, o->provenance, err),
			       "--provenance %s", o->provenance);
	if (r == 0 && o->sbom)
		r = error_wrap(err, attest_options_add_short(a, ATTEST_SBOM, o->sbom, err),
			       "--sbom %s", o->sbom);
	if (r == 0 && !a->provenance_given)
		r = read_argument(o, "BUILDKIT_ATTEST_PROVENANCE", ATTEST_PROVENANCE, err);
	if (r == 0 && !o->sbom)
		r = read_argument(o, "BUILDKIT_ATTEST_SBOM", ATTEST_SBOM, err);
	return r == 0 ? attest_options_settle(a, err) : r;
}

/* Docker's archive has no place for them. */
static int check_docker(const struct attest_options *a, const struct export_options *e,
			struct error **err)
{
	if (e->type != EXPORT_DOCKER || !a->provenance)
		return 0;
	return error_hint(
		err, error_new(err, ERR_UNSUPPORTED, 0, "docker output cannot hold attestations"),
		"use --output type=oci, or --provenance=false");
}

static bool takes(const struct attest_options *a, const struct export_options *e)
{
	bool inlined = e->inline_attestations_set ? e->inline_attestations : e->type != EXPORT_OCI;

	switch (e->type) {
	case EXPORT_IMAGE:
	case EXPORT_REGISTRY:
	case EXPORT_OCI:
		return !a->inline_only || inlined;
	case EXPORT_LOCAL:
	case EXPORT_TAR:
		return !a->inline_only;
	default:
		return false;
	}
}

static int settle_output(const struct attest_options *a, struct export_options *e,
			 struct error **err)
{
	bool is_image = e->type != EXPORT_LOCAL && e->type != EXPORT_TAR;
	int r = check_docker(a, e, err);

	if (r < 0)
		return r;
	if (e->artifacts_set && !e->old_artifacts && !e->oci_mediatypes)
		return error_new(err, ERR_INVALID, 0,
				 "oci-artifact=true conflicts with oci-mediatypes=false");
	if (!e->artifacts_set)
		e->old_artifacts = a->old_form;
	e->attested = a->provenance && takes(a, e);
	if (e->attested && is_image && !e->oci_mediatypes)
		return error_hint(err,
				  error_new(err, ERR_INVALID, 0,
					    "cannot export attestations with oci-mediatypes=false"),
				  "leave out oci-mediatypes=false, or say --provenance=false");
	return 0;
}

int build_attest_parse(struct build_options *o, struct error **err)
{
	int r = read_options(o, err);

	for (size_t i = 0; r == 0 && i < o->exports.n; i++) {
		const char *text = i < o->outputs.n ? o->outputs.v[i] : "";

		r = error_wrap(err, settle_output(&o->attestations, &o->exports.v[i], err),
			       "--output \"%s\"", text);
	}
	return r;
}

/* --- making --- */

struct build_attest {
	struct provenance *images;
	struct export_attestation *attestations; /* one per image */
	size_t n;
	struct strv args;
};

static void add_context(struct strv *args, const struct named_context *c)
{
	_cleanup_free_ char *shown = NULL;
	const char *value = c->value;

	if (strncmp(value, "oci-layout://", strlen("oci-layout://")) == 0)
		shown = xasprintf("oci-layout://%s", path_base(value));
	else if (strncmp(value, "http://", 7) == 0 || strncmp(value, "https://", 8) == 0)
		shown = http_url_display(value);
	else if (strstr(value, "://") || frontend_context_is_remote(value))
		shown = xstrdup(value);
	else
		shown = xasprintf("local:%s", c->name);
	strv_pushf(args, "context:%s=%s", c->name, shown);
}

/* The options as buildx hands them to BuildKit's frontend; what is only about the machine is left
 * out. */
static void list_args(const struct build_options *o, struct strv *args)
{
	_cleanup_buf_ struct buf hosts = BUF_INIT;

	for (size_t i = 0; i < o->build_args.n; i++)
		strv_pushf(args, "build-arg:%s", o->build_args.v[i]);
	for (size_t i = 0; i < o->labels.n; i++)
		strv_pushf(args, "label:%s", o->labels.v[i]);
	for (size_t i = 0; i < o->contexts.n; i++)
		add_context(args, &o->contexts.v[i]);
	for (size_t i = 0; i < o->hosts.n; i++)
		buf_addf(&hosts, "%s%s=%s", i > 0 ? "," : "", o->hosts.v[i].key,
			 o->hosts.v[i].value);
	if (hosts.n > 0)
		strv_pushf(args, "add-hosts=%s", hosts.p);
	if (o->target)
		strv_pushf(args, "target=%s", o->target);
	if (o->no_cache)
		strv_push(args, "no-cache=");
	else if (o->no_cache_filter.n > 0) {
		_cleanup_free_ char *stages = strv_join(&o->no_cache_filter, ",");

		strv_pushf(args, "no-cache=%s", stages);
	}
	if (o->network_mode != NETWORK_DEFAULT)
		strv_pushf(args, "force-network-mode=%s", o->network);
	if (o->shm_size > 0)
		strv_pushf(args, "shm-size=%llu", (unsigned long long)o->shm_size);
	if (o->ulimit_texts.n > 0) {
		_cleanup_free_ char *limits = strv_join(&o->ulimit_texts, ",");

		strv_pushf(args, "ulimit=%s", limits);
	}
}

static int make(void *data, const struct layer_body *bodies, size_t n, json_t **ret,
		struct error **err)
{
	int r = provenance_make(data, bodies, n, ret, err);

	return error_wrap(err, r, "provenance");
}

static bool is_attested(const struct build_options *o)
{
	for (size_t i = 0; i < o->exports.n; i++)
		if (o->exports.v[i].attested)
			return true;
	return false;
}

static void fill(const struct build_outputs *b, const struct attest_options *asked,
		 struct build_attest *a, size_t i)
{
	const struct build_options *o = b->options;
	const struct build_input *in = b->input;
	const struct frontend_result *image = &b->images[i];

	a->images[i] = (struct provenance){
		.options = asked,
		.graph = b->graph,
		.target = image->target,
		.sources = &b->engine->sources,
		.platform = image->platform,
		.context = frontend_context_is_remote(o->context) ? o->context : NULL,
		.git = in->context_is_git ? in->git : NULL,
		.local_context = in->context_dir ? in->context_name : NULL,
		.local_file = !in->context_is_git && !in->dockerfile_url,
		.file = in->name,
		.text = in->text.p,
		.text_size = in->text.n,
		.args = a->args,
		.has_epoch = image->has_epoch,
		.epoch = image->epoch,
		.started = b->started,
	};
	a->attestations[i] = (struct export_attestation){
		.predicate_type = provenance_type(asked),
		.filename = asked->filename ? asked->filename : "provenance.json",
		.make = make,
		.data = &a->images[i]};
}

static struct build_attest *new_attest(const struct build_outputs *b,
				       const struct attest_options *asked)
{
	struct build_attest *a = NEW(struct build_attest);

	a->images = xcalloc(b->n_images, sizeof(*a->images));
	a->attestations = xcalloc(b->n_images, sizeof(*a->attestations));
	a->n = b->n_images;
	list_args(b->options, &a->args);
	for (size_t i = 0; i < a->n; i++)
		fill(b, asked, a, i);
	return a;
}

struct build_attest *build_attest_open(const struct build_outputs *b)
{
	return is_attested(b->options) ? new_attest(b, &b->options->attestations) : NULL;
}

void build_attest_image(struct build_attest *a, size_t i, struct export_image *image)
{
	if (!a)
		return;
	image->attestations = &a->attestations[i];
	image->n_attestations = 1;
}

void build_attest_close(struct build_attest *a)
{
	if (!a)
		return;
	strv_release(&a->args);
	free(a->images);
	free(a->attestations);
	free(a);
}

/* --- for the metadata file --- */

enum metadata_mode { METADATA_MIN, METADATA_MAX, METADATA_NONE };

/* What is none of these words is min, as with buildx. */
static enum metadata_mode metadata_mode(void)
{
	const char *value = getenv("BUILDX_METADATA_PROVENANCE");
	bool on;

	if (!value)
		return METADATA_MIN;
	if (strcmp(value, "max") == 0)
		return METADATA_MAX;
	if (strcmp(value, "disabled") == 0 ||
	    (attrs_bool("BUILDX_METADATA_PROVENANCE", value, &on, NULL) == 0 && !on))
		return METADATA_NONE;
	return METADATA_MIN;
}

int build_attest_metadata(const struct build_outputs *b, json_t *doc, struct error **err)
{
	static const char key[] = "buildx.build.provenance";
	struct attest_options asked = b->options->attestations; /* its strings are borrowed */
	enum metadata_mode mode = metadata_mode();
	struct build_attest *a;
	int r = 0;

	if (mode == METADATA_NONE)
		return 0;
	asked.v02 = true;
	if (!asked.provenance)
		asked.max = mode == METADATA_MAX;
	a = new_attest(b, &asked);
	for (size_t i = 0; r == 0 && i < a->n; i++) {
		_cleanup_free_ char *name = NULL;
		json_t *predicate = NULL;
		char platform[64];

		r = make(&a->images[i], NULL, 0, &predicate, err);
		if (r < 0)
			break;
		if (mode == METADATA_MIN) {
			(void)json_object_del(predicate, "buildConfig");
			(void)json_object_del(predicate, "metadata");
		}
		name = b->options->multi_platform
			       ? xasprintf("%s/%s", key,
					   platform_format(&b->images[i].platform, platform))
			       : xstrdup(key);
		json_object_set_new(doc, name, predicate);
	}
	build_attest_close(a);
	return r;
}
