/* SPDX-License-Identifier: Apache-2.0 */
/* From a reference and a platform to a manifest and a config, by the pull policy. */
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "engine/registry/image_documents.h"
#include "engine/registry/pull.h"
#include "store/blob.h"
#include "store/image.h"
#include "store/layer.h"
#include "store/record.h"

/* One resolution on its way. */
struct resolve {
	struct store *s;
	struct registry *reg;
	struct job *job;
	struct cancel *cancel;
	struct imageref ref;
	struct platform platform;
	enum pull_policy policy;
	char *name;	/* with tag; NULL if the reference has a digest */
	char *pin_name; /* "docker-image://NAME PLATFORM" */
	/* What the tag stood for when last asked. */
	bool has_pin;
	struct digest pin, pin_manifest;
	/* The local image of that name, if it serves the platform, and its config. */
	bool has_local;
	struct image local;
	struct buf config;
	enum image_origin origin;
};

void image_source_release(struct image_source *i)
{
	free(i->name);
	free(i->pinned);
	buf_release(&i->config);
	free(i->layers);
	*i = (struct image_source){.config = BUF_INIT};
}

static void resolve_release(struct resolve *rs)
{
	imageref_release(&rs->ref);
	free(rs->name);
	free(rs->pin_name);
	if (rs->has_local)
		image_release(&rs->local);
	buf_release(&rs->config);
}

/* --- What is known here --- */

static int read_pin(struct resolve *rs, struct error **err)
{
	_cleanup_buf_ struct buf value = BUF_INIT;
	int64_t time;
	bool found = false;
	int r = pin_get(rs->s, rs->pin_name, &found, &value, &time, err);

	if (r < 0 || !found || value.n != 2 * (DIGEST_TEXT - 1) + 1)
		return r;
	value.p[DIGEST_TEXT - 1] = '\0';
	rs->has_pin = digest_parse(value.p, &rs->pin) == 0 &&
		      digest_parse(value.p + DIGEST_TEXT, &rs->pin_manifest) == 0;
	return 0;
}

static int write_pin(struct resolve *rs, const struct digest *digest, const struct digest *manifest,
		     struct error **err)
{
	char a[DIGEST_TEXT], b[DIGEST_TEXT];
	_cleanup_free_ char *value = NULL;

	if (rs->has_pin && digest_equal(&rs->pin, digest) &&
	    digest_equal(&rs->pin_manifest, manifest))
		return 0;
	value = xasprintf("%s %s", digest_format(digest, a), digest_format(manifest, b));
	return pin_set(rs->s, rs->pin_name, value, err);
}

/* The image that a digest stands for: that of the manifest, or the one that was chosen from the
 * index of that digest before. */
static int find_by_digest(struct resolve *rs, bool *ret_found, struct error **err)
{
	int r = image_by_manifest(rs->s, &rs->ref.digest, ret_found, &rs->local, err);

	if (r < 0 || *ret_found || !rs->has_pin)
		return r;
	return image_by_manifest(rs->s, &rs->pin_manifest, ret_found, &rs->local, err);
}

/* A pulled image whose config turns out damaged or gone is pulled again; one made here has to be
 * made again by whoever made it. */
static int read_config(struct resolve *rs, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	int r = blob_read(rs->s, &rs->local.config, OCI_DOCUMENT_MAX, &rs->config, &why);

	if (r == 0)
		return 0;
	if ((r != -ERR_NOTFOUND && r != -ERR_CORRUPT) ||
	    (!rs->ref.has_digest && rs->origin == IMAGE_MADE)) {
		if (err)
			*err = TAKE_PTR(why);
		r = error_wrap(err, r, "use the local image '%s'", rs->name ? rs->name : "");
		return error_hint(err, r, "build or load it again, or remove it with kiln rmi");
	}
	rs->has_local = false;
	image_release(&rs->local);
	return 0;
}

static int find_local(struct resolve *rs, struct error **err)
{
	bool found = false;
	struct platform p;
	int r;

	if (rs->ref.has_digest)
		r = find_by_digest(rs, &found, err);
	else
		r = image_by_name(rs->s, rs->name, &found, &rs->local, &rs->origin, err);
	if (r < 0 || !found)
		return r;
	p = image_platform(&rs->local);
	rs->has_local = platform_match(&rs->platform, &p) > 0;
	if (rs->has_local)
		return read_config(rs, err);
	image_release(&rs->local);
	return 0;
}

/* "name[:tag]@digest". */
static char *pinned_name(const struct resolve *rs, const struct digest *digest)
{
	struct imageref ref = rs->ref;

	ref.has_digest = true;
	ref.digest = *digest;
	return imageref_format(&ref);
}

/* The answer from the local image; `digest` is what the reference stands for. */
static int use_local(struct resolve *rs, const struct digest *digest, struct image_source *ret)
{
	const struct image *i = &rs->local;

	ret->config = rs->config;
	rs->config = (struct buf)BUF_INIT;
	ret->digest = *digest;
	ret->manifest = i->manifest;
	ret->config_digest = i->config;
	ret->platform = image_platform(i);
	ret->layers = xreallocarray(NULL, i->n_layers + 1, sizeof(*ret->layers));
	memcpy(ret->layers, i->layers, i->n_layers * sizeof(*ret->layers));
	ret->n_layers = i->n_layers;
	ret->made = !rs->ref.has_digest && rs->origin == IMAGE_MADE;
	return 0;
}

/* --- Documents --- */

static int fetch_manifest(void *data, const struct digest *digest, struct buf *ret, char **ret_type,
			  struct error **err)
{
	_cleanup_(registry_manifest_release) struct registry_manifest m = REGISTRY_MANIFEST_INIT;
	const struct resolve *rs = data;
	struct imageref ref = rs->ref;
	int r;

	ref.has_digest = true;
	ref.digest = *digest;
	r = registry_manifest_get(rs->reg, &ref, rs->cancel, &m, err);
	if (r < 0)
		return r;
	buf_add(ret, m.bytes.p, m.bytes.n);
	*ret_type = TAKE_PTR(m.media_type);
	return 0;
}

static int fetch_config(void *data, const struct oci_descriptor *d, struct buf *ret,
			struct error **err)
{
	const struct resolve *rs = data;
	const struct registry_blob blob = {
		.host = rs->ref.host, .path = rs->ref.path, .digest = d->digest, .size = d->size};

	return registry_blob_read(rs->reg, &blob, "config", rs->cancel, ret, err);
}

static int use_documents(struct resolve *rs, const struct digest *digest, struct image_source *ret,
			 struct error **err)
{
	_cleanup_free_ char *name = imageref_format(&rs->ref), *source = imageref_name(&rs->ref);
	const struct document_origin from = {
		.manifest = fetch_manifest,
		.config = fetch_config,
		.data = rs,
		.name = name,
		.layer_source = source,
	};

	return image_documents_read(rs->s, &from, digest, &rs->platform, ret, err);
}

/* --- Tags --- */

static void warn_unreachable(struct resolve *rs, const struct digest *digest,
			     const struct error *why)
{
	_cleanup_free_ char *pinned = pinned_name(rs, digest);
	_cleanup_free_ char *text =
		xasprintf("the registry cannot be reached; using the local %s", pinned);
	const char *detail[] = {error_text(why)};
	struct event_warning w = {.short_text = text, .detail = detail, .n_detail = 1};

	if (rs->job)
		job_warn(rs->job, &w);
}

/* The image that stood under the tag when it was last asked for, if all of it is here. */
static bool has_pinned_image(const struct resolve *rs)
{
	return rs->has_local && rs->has_pin && digest_equal(&rs->pin_manifest, &rs->local.manifest);
}

/* The answer without the registry. */
static int use_known(struct resolve *rs, struct image_source *ret, struct error **err)
{
	if (rs->has_local && !has_pinned_image(rs))
		return use_local(rs, &rs->local.manifest, ret);
	if (rs->has_local)
		return use_local(rs, &rs->pin, ret);
	return use_documents(rs, &rs->pin, ret, err);
}

/* What the tag stands for now: one HEAD where we know it from before, else one GET. */
static int ask_tag(struct resolve *rs, struct digest *ret, struct error **err)
{
	_cleanup_(registry_manifest_release) struct registry_manifest m = REGISTRY_MANIFEST_INIT;
	int r;

	if (rs->has_pin)
		return registry_manifest_head(rs->reg, &rs->ref, rs->cancel, ret, err);
	r = registry_manifest_get(rs->reg, &rs->ref, rs->cancel, &m, err);
	if (r == 0)
		r = blob_put(rs->s, m.bytes.p, m.bytes.n, ret, err);
	return r;
}

/* A tag that is not there may be a slip of the pen. If the tags cannot be listed nothing is said of it. */
static void suggest_tag(struct resolve *rs, struct error **failed)
{
	_cleanup_strv_ struct strv tags = {0};
	_cleanup_free_ char *name = imageref_familiar_name(&rs->ref);
	const char *near;

	if (registry_tags(rs->reg, &rs->ref, rs->cancel, &tags, NULL) < 0) {
		(void)error_hint(failed, -ERR_NOTFOUND,
				 "check the name; an image that docker has comes to kiln by docker "
				 "save %s | kiln load",
				 name);
		return;
	}
	near = suggest(rs->ref.tag, (const char *const *)strv_argv(&tags), tags.n, true);
	if (near)
		(void)error_hint(failed, -ERR_NOTFOUND, "did you mean %s:%s?", name, near);
}

static int resolve_tag(struct resolve *rs, struct image_source *ret, struct error **err)
{
	_cleanup_(error_freep) struct error *failed = NULL;
	bool known = rs->has_local || (rs->has_pin && blob_exists(rs->s, &rs->pin, NULL));
	struct digest digest;
	int r;

	if (rs->has_local && rs->origin == IMAGE_MADE && rs->policy != PULL_ALWAYS)
		return use_local(rs, &rs->local.manifest, ret);
	if (known && rs->policy == PULL_LOCAL)
		return use_known(rs, ret, err);
	r = ask_tag(rs, &digest, &failed);
	if ((r == -ERR_UNAVAILABLE || r == -ERR_TIMEOUT) && known && rs->policy == PULL_DEFAULT) {
		r = use_known(rs, ret, err);
		if (r == 0)
			warn_unreachable(rs, &ret->digest, failed);
		return r;
	}
	if (r == -ERR_NOTFOUND)
		suggest_tag(rs, &failed);
	if (r < 0) {
		if (err)
			*err = TAKE_PTR(failed);
		return r;
	}
	if (has_pinned_image(rs) && digest_equal(&digest, &rs->pin))
		return use_local(rs, &digest, ret);
	r = use_documents(rs, &digest, ret, err);
	return r < 0 ? r : write_pin(rs, &digest, &ret->manifest, err);
}

static int resolve_digest(struct resolve *rs, struct image_source *ret, struct error **err)
{
	int r;

	if (rs->has_local)
		return use_local(rs, &rs->ref.digest, ret);
	r = use_documents(rs, &rs->ref.digest, ret, err);
	return r < 0 ? r : write_pin(rs, &rs->ref.digest, &ret->manifest, err);
}

static void set_names(struct resolve *rs)
{
	_cleanup_free_ char *host_and_path = imageref_name(&rs->ref);
	char platform[64], digest[DIGEST_TEXT];

	platform_format(&rs->platform, platform);
	/* With a digest the tag is a remark: docker neither asks for it nor sets it. */
	if (rs->ref.has_digest) {
		rs->pin_name = xasprintf("docker-image://%s@%s %s", host_and_path,
					 digest_format(&rs->ref.digest, digest), platform);
		return;
	}
	rs->name = xasprintf("%s:%s", host_and_path, rs->ref.tag);
	rs->pin_name = xasprintf("docker-image://%s %s", rs->name, platform);
}

int image_resolve(struct store *s, struct registry *reg, const char *ref,
		  const struct platform *platform, enum pull_policy policy, struct job *job,
		  struct image_source *ret, struct error **err)
{
	_cleanup_(resolve_release) struct resolve rs = {.s = s,
							.reg = reg,
							.job = job,
							.cancel = job ? job_cancel(job)
								      : registry_cancel(reg),
							.platform = *platform,
							.policy = policy,
							.config = BUF_INIT};
	int r = imageref_parse(ref, &rs.ref, err);

	if (r < 0)
		return r;
	*ret = (struct image_source){.config = BUF_INIT};
	set_names(&rs);
	r = read_pin(&rs, err);
	if (r == 0)
		r = find_local(&rs, err);
	if (r == 0)
		r = rs.ref.has_digest ? resolve_digest(&rs, ret, err) : resolve_tag(&rs, ret, err);
	if (r < 0) {
		image_source_release(ret);
		return r;
	}
	ret->name = xstrdup(rs.name);
	ret->pinned = pinned_name(&rs, &ret->digest);
	return 0;
}
