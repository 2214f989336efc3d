/* SPDX-License-Identifier: Apache-2.0 */
/* A cache in a repository of a registry, under one tag. */
#include <stdlib.h>
#include <string.h>

#include "base/attrs.h"
#include "base/imageref.h"
#include "engine/registry/registry.h"
#include "engine/remote_cache/remote_backend.h"
#include "engine/remote_cache/remote_download.h"

struct remote_registry {
	struct remote_backend base;
	struct imageref ref;
	struct registry *registry; /* borrowed, or `own` */
	struct registry *own;	   /* where registry.insecure was asked for */
	struct config config;	   /* its configuration */
};

static struct remote_registry *registry_of(struct remote_backend *b)
{
	return (struct remote_registry *)(void *)b; /* the first member */
}

static void registry_backend_close(struct remote_backend *b)
{
	struct remote_registry *r = registry_of(b);

	registry_free(r->own);
	config_release(&r->config);
	imageref_release(&r->ref);
	remote_backend_release(b);
	free(r);
}

/* The same registry, trusted blindly. Nobody else's connections are. */
static void open_insecure(struct remote_registry *r, const struct remote_env *env)
{
	vec_push(&r->config.registries,
		 (struct registry_config){.host = xstrdup(r->ref.host), .insecure = true});
	r->own = registry_new(&r->config);
	registry_set_cancel(r->own, env->cancel);
	r->registry = r->own;
	r->base.fetches = true;
}

static int registry_backend_open(const struct remote_env *env, const struct remote_spec *spec,
				 struct remote_backend **ret, struct error **err)
{
	const char *text = attrs_get(&spec->attrs, "registry.insecure");
	struct remote_registry *r = NEW(struct remote_registry);
	bool insecure = false;
	int res = imageref_parse(attrs_get(&spec->attrs, "ref"), &r->ref, err);

	if (res == 0 && text)
		res = attrs_bool("registry.insecure", text, &insecure, err);
	if (res == 0 && spec->use == REMOTE_EXPORT && r->ref.has_digest)
		res = error_new(err, ERR_INVALID, 0, "a cache cannot be written to a digest");
	if (res < 0) {
		registry_backend_close(&r->base);
		return res;
	}
	r->registry = env->registry;
	if (insecure)
		open_insecure(r, env);
	r->base.name = imageref_format(&r->ref);
	r->base.source = imageref_name(&r->ref);
	*ret = &r->base;
	return 0;
}

static int registry_read_manifest(struct remote_backend *b, const struct digest *digest, size_t max,
				  struct buf *ret, struct error **err)
{
	_cleanup_(registry_manifest_release) struct registry_manifest m = REGISTRY_MANIFEST_INIT;
	struct remote_registry *r = registry_of(b);
	struct imageref ref = r->ref; /* borrows, and is not released */
	int res;

	if (digest) {
		ref.has_digest = true;
		ref.digest = *digest;
	}
	res = registry_manifest_get(r->registry, &ref, b->env.cancel, &m, err);
	if (res < 0)
		return res;
	if (m.bytes.n > max)
		return error_new(err, ERR_INVALID, 0, "%s: the manifest has more than %zu bytes",
				 b->name, max);
	buf_add(ret, m.bytes.p, m.bytes.n);
	return 0;
}

static int registry_write_manifest(struct remote_backend *b, const char *media_type, const void *p,
				   size_t n, struct error **err)
{
	struct remote_registry *r = registry_of(b);

	return registry_push_manifest(r->registry, &r->ref, media_type, p, n, b->env.cancel, err);
}

static int registry_remove_manifest(struct remote_backend *b, struct error **err)
{
	struct remote_registry *r = registry_of(b);
	struct imageref ref = r->ref; /* borrows, and is not released */
	int res = 0;

	if (!ref.has_digest)
		res = registry_manifest_head(r->registry, &ref, b->env.cancel, &ref.digest, err);
	ref.has_digest = true;
	return res < 0 ? res : registry_push_delete(r->registry, &ref, b->env.cancel, err);
}

static int registry_has_blob(struct remote_backend *b, const struct digest *digest, bool *ret,
			     struct error **err)
{
	struct remote_registry *r = registry_of(b);

	return registry_push_has_blob(r->registry, &r->ref, digest, b->env.cancel, ret, err);
}

static int registry_read_blob(struct remote_backend *b, const struct digest *digest, uint64_t size,
			      struct buf *ret, struct error **err)
{
	struct remote_registry *r = registry_of(b);
	const struct registry_blob blob = {
		.host = r->ref.host, .path = r->ref.path, .digest = *digest, .size = size};

	return registry_blob_read(r->registry, &blob, "cache document", b->env.cancel, ret, err);
}

static int registry_fetch_blob(struct remote_backend *b, const struct layer_blob *blob,
			       struct job *job, struct error **err)
{
	_cleanup_(remote_download_release) struct remote_download d = {0};
	struct remote_registry *r = registry_of(b);
	struct registry_blob from = {.host = r->ref.host,
				     .path = r->ref.path,
				     .digest = blob->digest,
				     .size = blob->size};
	int res = remote_download_begin(&d, b->env.store, blob, job, err);

	if (res < 0)
		return res;
	res = registry_blob_get(r->registry, &from, remote_download_write, &d, b->env.cancel, NULL,
				NULL, err);
	if (res == 0)
		res = remote_download_end(&d, err);
	return res < 0 ? error_wrap(err, res, "fetch from %s", b->name) : 0;
}

/* Of "host/path" the path, if it is another repository of this registry. */
static const char *sibling(const struct remote_registry *r, const char *repository)
{
	size_t n = strlen(r->ref.host);

	if (!repository || strncmp(repository, r->ref.host, n) != 0 || repository[n] != '/')
		return NULL;
	return strcmp(repository + n + 1, r->ref.path) == 0 ? NULL : repository + n + 1;
}

static int registry_take_over(struct remote_backend *b, const struct digest *digest,
			      const char *elsewhere, bool *ret, struct error **err)
{
	struct remote_registry *r = registry_of(b);
	const char *from = sibling(r, elsewhere);

	*ret = false;
	return from ? registry_push_mount(r->registry, &r->ref, from, digest, b->env.cancel, ret,
					  err)
		    : 0;
}

static int registry_put_blob(struct remote_backend *b, const struct remote_upload *u,
			     struct error **err)
{
	struct remote_registry *r = registry_of(b);
	struct registry_upload up = {.digest = u->digest,
				     .size = u->size,
				     .fd = u->fd,
				     .sent = u->sent,
				     .data = u->data};

	return registry_push_blob(r->registry, &r->ref, &up, b->env.cancel, err);
}

static const char *const import_attrs[] = {"!ref", "registry.insecure", NULL};
static const char *const export_attrs[] = {"!ref", "registry.insecure", NULL};

const struct remote_ops remote_registry_ops = {
	.type = "registry",
	.import_attrs = import_attrs,
	.export_attrs = export_attrs,
	.open = registry_backend_open,
	.close = registry_backend_close,
	.read_manifest = registry_read_manifest,
	.write_manifest = registry_write_manifest,
	.remove_manifest = registry_remove_manifest,
	.has_blob = registry_has_blob,
	.read_blob = registry_read_blob,
	.fetch_blob = registry_fetch_blob,
	.take_over = registry_take_over,
	.put_blob = registry_put_blob,
};
