/* SPDX-License-Identifier: Apache-2.0 */
/* A cache in a bucket of S3 or of a server that speaks like it.
 *
 *	<prefix><manifests_prefix><name>	the manifest; one object for each name
 *	<prefix><blobs_prefix>sha256:<hex>	a blob
 *
 * Objects appear whole or not at all, and a name is replaced in one request, so there is nothing to
 * lock. Blobs are shared by all names of one prefix.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/map.h"
#include "base/times.h"
#include "engine/oci/oci.h"
#include "engine/remote_cache/remote_backend.h"
#include "engine/remote_cache/remote_download.h"
#include "engine/s3/s3.h"

#define TOUCH_REFRESH_NS (24 * 3600 * NS_PER_S)

struct remote_s3 {
	struct remote_backend base;
	struct s3 *s3;
	char *manifests, *blobs; /* what their keys start with */
	struct strv names;	 /* all are written, the first that is there is read */
	int64_t touch_refresh;	 /* ns; a blob that is older gets written anew */
};

static struct remote_s3 *s3_of(struct remote_backend *b)
{
	return (struct remote_s3 *)(void *)b; /* the first member */
}

/* --- opening --- */

static void s3_backend_close(struct remote_backend *b)
{
	struct remote_s3 *r = s3_of(b);

	s3_free(r->s3);
	free(r->manifests);
	free(r->blobs);
	strv_release(&r->names);
	remote_backend_release(b);
	free(r);
}

static const char *attr(const struct remote_spec *spec, const char *key, const char *otherwise)
{
	const char *value = attrs_get(&spec->attrs, key);

	return value ? value : otherwise;
}

/* curl and proxies would take "a/../b" for "b". */
static bool has_dots(const char *key)
{
	for (const char *p = key;; p++) {
		size_t n = strcspn(p, "/");

		if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return true;
		p += n;
		if (!*p)
			return false;
	}
}

static int read_layout(struct remote_s3 *r, const struct remote_spec *spec, struct error **err)
{
	const char *prefix = attr(spec, "prefix", ""),
		   *age = attrs_get(&spec->attrs, "touch_refresh");
	_cleanup_free_ char *names = xstrdup(attr(spec, "name", "buildkit"));
	char *next = names;

	r->manifests = xasprintf("%s%s", prefix, attr(spec, "manifests_prefix", "manifests/"));
	r->blobs = xasprintf("%s%s", prefix, attr(spec, "blobs_prefix", "blobs/"));
	for (const char *name; (name = strsep(&next, ";"));)
		if (*name)
			strv_push(&r->names, name);
	if (r->names.n == 0)
		return error_new(err, ERR_INVALID, 0, "name is empty");
	for (size_t i = 0; i < r->names.n; i++)
		if (has_dots(r->names.v[i]))
			return error_new(err, ERR_INVALID, 0, "invalid name '%s'", r->names.v[i]);
	if (has_dots(r->manifests) || has_dots(r->blobs) || *r->manifests == '/' ||
	    *r->blobs == '/')
		return error_new(err, ERR_INVALID, 0,
				 "a prefix neither starts with '/' nor has '.' or '..' in it");
	r->touch_refresh = TOUCH_REFRESH_NS;
	if (age && (times_parse_duration(age, &r->touch_refresh) < 0 || r->touch_refresh < 0))
		return error_new(err, ERR_INVALID, 0, "invalid touch_refresh '%s': expected 24h",
				 age);
	return 0;
}

static int s3_backend_open(const struct remote_env *env, const struct remote_spec *spec,
			   struct remote_backend **ret, struct error **err)
{
	struct remote_s3 *r = NEW(struct remote_s3);
	struct s3_options o = {0};
	const char *host;
	int res = read_layout(r, spec, err);

	if (res == 0)
		res = s3_options_read(&spec->attrs, spec->use == REMOTE_IMPORT, &o, err);
	if (res < 0) {
		s3_backend_close(&r->base);
		return res;
	}
	host = strstr(o.endpoint, "://") + 3;
	r->base.name = xasprintf("s3://%s/%s%s", o.bucket, r->manifests, r->names.v[0]);
	r->base.source = xasprintf("s3:%s/%s/%s", host, o.bucket, r->blobs);
	r->base.fetches = true;
	r->s3 = s3_new(&o, env->config, &r->base.env.cancel);
	*ret = &r->base;
	return 0;
}

/* --- reading --- */

static char *blob_key(const struct remote_s3 *r, const struct digest *digest)
{
	char text[DIGEST_TEXT];

	return xasprintf("%s%s", r->blobs, digest_format(digest, text));
}

/* The manifest of the first of the names that has one. */
static int read_named(struct remote_s3 *r, size_t max, struct buf *ret, struct error **err)
{
	for (size_t i = 0; i < r->names.n; i++) {
		_cleanup_free_ char *key = xasprintf("%s%s", r->manifests, r->names.v[i]);
		_cleanup_(error_freep) struct error *failed = NULL;
		int res = s3_get(r->s3, key, max, ret, &failed);

		if (res == -ERR_NOTFOUND && i + 1 < r->names.n)
			continue;
		if (res < 0 && err)
			*err = TAKE_PTR(failed);
		return res;
	}
	return -ERR_NOTFOUND; /* there is a name at least */
}

static int read_verified(struct remote_s3 *r, const struct digest *digest, size_t max,
			 struct buf *ret, struct error **err)
{
	_cleanup_free_ char *key = blob_key(r, digest);
	size_t before = ret->n;
	struct digest got;
	int res = s3_get(r->s3, key, max, ret, err);

	if (res < 0)
		return res;
	got = digest_of(ret->p + before, ret->n - before);
	return digest_equal(&got, digest)
		       ? 0
		       : error_new(err, ERR_CORRUPT, 0, "%s has wrong bytes under '%s'",
				   r->base.name, key);
}

static int s3_read_manifest(struct remote_backend *b, const struct digest *digest, size_t max,
			    struct buf *ret, struct error **err)
{
	struct remote_s3 *r = s3_of(b);

	return digest ? read_verified(r, digest, max, ret, err) : read_named(r, max, ret, err);
}

static int s3_read_blob(struct remote_backend *b, const struct digest *digest, uint64_t size,
			struct buf *ret, struct error **err)
{
	size_t before = ret->n;
	int res = read_verified(s3_of(b), digest, (size_t)size, ret, err);

	if (res == 0 && ret->n - before != size)
		return error_new(err, ERR_CORRUPT, 0, "%s has %zu bytes of a blob of %llu", b->name,
				 ret->n - before, (unsigned long long)size);
	return res;
}

static int s3_fetch_blob(struct remote_backend *b, const struct layer_blob *blob, struct job *job,
			 struct error **err)
{
	_cleanup_(remote_download_release) struct remote_download d = {0};
	struct remote_s3 *r = s3_of(b);
	_cleanup_free_ char *key = blob_key(r, &blob->digest);
	int res = remote_download_begin(&d, b->env.store, blob, job, err);

	if (res < 0)
		return res;
	res = s3_get_stream(r->s3, key, remote_download_write, &d, err);
	if (res == 0)
		res = remote_download_end(&d, err);
	return res < 0 ? error_wrap(err, res, "fetch from %s", b->name) : 0;
}

/* --- writing --- */

/* A blob that is there may be about to be removed by a rule on the age of objects, so one that has
 * not been written for a while is written anew; where that fails it is as good as not there. */
static int s3_has_blob(struct remote_backend *b, const struct digest *digest, bool *ret,
		       struct error **err)
{
	struct remote_s3 *r = s3_of(b);
	_cleanup_free_ char *key = blob_key(r, digest);
	struct s3_object o = {0};
	int res = s3_head(r->s3, key, ret, &o, err);

	if (res < 0 || !*ret || times_now_ns() - o.modified <= r->touch_refresh)
		return res;
	res = s3_touch(r->s3, key, &o, NULL);
	if (res == -ERR_CANCELED)
		return error_new(err, ERR_CANCELED, 0, "canceled");
	*ret = res == 0;
	return 0;
}

static int s3_put_blob(struct remote_backend *b, const struct remote_upload *u, struct error **err)
{
	struct remote_s3 *r = s3_of(b);
	_cleanup_free_ char *key = blob_key(r, &u->digest);
	struct s3_upload upload = {
		.key = key,
		.content_type = "application/octet-stream",
		.fd = u->fd,
		.size = u->size,
		.digest = u->digest,
		.sent = u->sent,
		.data = u->data,
	};

	return s3_put_file(r->s3, &upload, err);
}

static int s3_write_manifest(struct remote_backend *b, const char *media_type, const void *p,
			     size_t n, struct error **err)
{
	struct remote_s3 *r = s3_of(b);
	int res = 0;

	for (size_t i = 0; i < r->names.n && res == 0; i++) {
		_cleanup_free_ char *key = xasprintf("%s%s", r->manifests, r->names.v[i]);

		res = s3_put(r->s3, key, media_type, p, n, err);
	}
	return res;
}

/* --- removing --- */

static void add_digest(const json_t *descriptor, struct map *blobs)
{
	const char *text = json_string_value(json_object_get(descriptor, "digest"));
	struct digest digest;

	/* The value only says that the key is there. */
	if (text && digest_parse(text, &digest) == 0)
		*map_puts(blobs, text) = blobs;
}

/* Adds the digests of the blobs that a manifest names. What is not a manifest of ours (BuildKit keeps
 * its own kind at such places) cannot be told, so nothing may be removed beside it. */
static int add_blobs(struct remote_s3 *r, const char *key, struct map *blobs, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_json_ json_t *doc = NULL;
	json_t *layers = NULL, *config = NULL;
	const json_t *layer;
	size_t i;
	int res = s3_get(r->s3, key, OCI_DOCUMENT_MAX, &b, err);

	if (res == 0)
		res = js_parse(key, b.p, b.n, &doc, err);
	if (res == 0)
		res = js_array(doc, "layers", &layers, err);
	if (res == 0)
		res = js_object(doc, "config", &config, err);
	if (res == 0 && (!layers || !config))
		res = error_new(err, ERR_UNSUPPORTED, 0,
				"'%s' is not a cache manifest that kiln wrote", key);
	if (res < 0)
		return res;
	add_digest(config, blobs);
	json_array_foreach(layers, i, layer) add_digest(layer, blobs);
	return 0;
}

static bool is_ours(const struct remote_s3 *r, const char *key)
{
	return strv_contains(&r->names, key + strlen(r->manifests));
}

/* Which blobs the manifests to go and those to stay need. */
static int find_blobs(struct remote_s3 *r, const s3_objects *manifests, struct map *gone,
		      struct map *kept, struct error **err)
{
	int res = 0;

	for (size_t i = 0; i < manifests->n && res == 0; i++) {
		const char *key = manifests->v[i].key;

		/* A broken manifest can go, its blobs stay. */
		if (is_ours(r, key))
			(void)add_blobs(r, key, gone, NULL);
		else
			res = add_blobs(r, key, kept, err);
	}
	return res;
}

static int delete_names(struct remote_s3 *r, struct error **err)
{
	int res = 0;

	for (size_t i = 0; i < r->names.n && res == 0; i++) {
		_cleanup_free_ char *key = xasprintf("%s%s", r->manifests, r->names.v[i]);

		res = s3_delete(r->s3, key, err);
	}
	return res;
}

static int delete_blobs(struct remote_s3 *r, const struct map *gone, const struct map *kept,
			struct error **err)
{
	const struct map_entry *e;
	size_t at = 0;
	int res = 0;

	while (res == 0 && (e = map_next(gone, &at))) {
		_cleanup_free_ char *key = xasprintf("%s%s", r->blobs, e->key);

		if (!map_gets(kept, e->key))
			res = s3_delete(r->s3, key, err);
	}
	return res;
}

static int s3_remove_manifest(struct remote_backend *b, struct error **err)
{
	struct remote_s3 *r = s3_of(b);
	s3_objects manifests = {0};
	struct map gone = MAP_INIT, kept = MAP_INIT;
	bool any = false;
	int res = s3_list(r->s3, r->manifests, &manifests, err);

	for (size_t i = 0; i < manifests.n; i++)
		any = any || is_ours(r, manifests.v[i].key);
	if (res == 0 && !any)
		res = error_new(err, ERR_NOTFOUND, 0, "there is no %s", b->name);
	/* Names first: a manifest never names blobs that have gone. */
	if (res == 0)
		res = find_blobs(r, &manifests, &gone, &kept, err);
	if (res == 0)
		res = delete_names(r, err);
	if (res == 0)
		res = delete_blobs(r, &gone, &kept, err);
	s3_objects_release(&manifests);
	map_release(&gone, NULL);
	map_release(&kept, NULL);
	return res;
}

static const char *const attrs[] = {
	"bucket",
	"region",
	"prefix",
	"manifests_prefix",
	"blobs_prefix",
	"name",
	"touch_refresh",
	"endpoint_url",
	"use_path_style",
	"access_key_id",
	"secret_access_key",
	"session_token",
	"upload_parallelism",
	"retry_mode",
	"retry_max_attempts",
	NULL,
};

const struct remote_ops remote_s3_ops = {
	.type = "s3",
	.import_attrs = attrs,
	.export_attrs = attrs,
	.open = s3_backend_open,
	.close = s3_backend_close,
	.read_manifest = s3_read_manifest,
	.write_manifest = s3_write_manifest,
	.remove_manifest = s3_remove_manifest,
	.has_blob = s3_has_blob,
	.read_blob = s3_read_blob,
	.fetch_blob = s3_fetch_blob,
	.put_blob = s3_put_blob,
};
