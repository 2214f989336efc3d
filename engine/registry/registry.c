/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/registry/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "engine/oci/oci.h"
#include "engine/registry/registry_call.h"

const char registry_accept_manifests[] = "Accept: " OCI_INDEX_TYPE ", " DOCKER_INDEX_TYPE
					 ", " OCI_MANIFEST_TYPE ", " DOCKER_MANIFEST_TYPE;

void registry_manifest_release(struct registry_manifest *m)
{
	free(m->media_type);
	buf_release(&m->bytes);
	free(m->server);
	*m = (struct registry_manifest)REGISTRY_MANIFEST_INIT;
}

static char *manifest_path(const struct imageref *ref)
{
	char digest[DIGEST_TEXT];

	return xasprintf("/v2/%s/manifests/%s", ref->path,
			 ref->has_digest ? digest_format(&ref->digest, digest) : ref->tag);
}

static int corrupt(const char *server, const char *what, const struct digest *expect,
		   const struct digest *got, struct error **err)
{
	char a[DIGEST_TEXT], b[DIGEST_TEXT];

	return error_new(err, ERR_CORRUPT, 0,
			 "registry %s sent wrong bytes for %s: expected %s, got %s", server, what,
			 digest_format(expect, a), digest_format(got, b));
}

/* The media type without its parameters; NULL if the server names none that we know. */
static char *content_type(const struct http_response *resp)
{
	const char *type = http_header(resp, "content-type");
	char *copy = type ? xstrndup(type, strcspn(type, "; \t")) : NULL;

	if (!oci_is_index_type(copy) && !oci_is_manifest_type(copy)) {
		free(copy);
		return NULL;
	}
	return copy;
}

int registry_manifest_get(struct registry *r, const struct imageref *ref, struct cancel *cancel,
			  struct registry_manifest *ret, struct error **err)
{
	_cleanup_free_ char *path = manifest_path(ref), *what = imageref_format(ref);
	_cleanup_free_ char *scope = xasprintf("repository:%s:pull", ref->path), *server = NULL;
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_strv_ struct strv headers = {0};
	struct registry_call call = {.host = ref->host, .path = path, .scope = scope, .what = what};
	const char *claimed;
	struct digest digest, expect;
	int res;

	strv_push(&headers, registry_accept_manifests);
	call.http = (struct http_request){
		.headers = &headers, .max = OCI_DOCUMENT_MAX, .repeatable = true, .cancel = cancel};
	res = registry_call(r, &call, &resp, &server, err);
	if (res < 0)
		return res;
	digest = digest_of(resp.body.p, resp.body.n);
	claimed = http_header(&resp, "docker-content-digest");
	if (ref->has_digest && !digest_equal(&ref->digest, &digest))
		return corrupt(server, what, &ref->digest, &digest, err);
	if (!ref->has_digest && claimed && digest_parse(claimed, &expect) == 0 &&
	    !digest_equal(&expect, &digest))
		return corrupt(server, what, &expect, &digest, err);
	ret->digest = digest;
	ret->media_type = content_type(&resp);
	ret->server = TAKE_PTR(server);
	buf_release(&ret->bytes);
	ret->bytes = resp.body;
	resp.body = (struct buf)BUF_INIT;
	return 0;
}

int registry_manifest_head(struct registry *r, const struct imageref *ref, struct cancel *cancel,
			   struct digest *ret, struct error **err)
{
	_cleanup_free_ char *path = manifest_path(ref), *what = imageref_format(ref);
	_cleanup_free_ char *scope = xasprintf("repository:%s:pull", ref->path);
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_(registry_manifest_release) struct registry_manifest m = REGISTRY_MANIFEST_INIT;
	_cleanup_strv_ struct strv headers = {0};
	struct registry_call call = {.host = ref->host, .path = path, .scope = scope, .what = what};
	const char *claimed;
	int res;

	strv_push(&headers, registry_accept_manifests);
	call.http = (struct http_request){.method = "HEAD", .headers = &headers, .cancel = cancel};
	res = registry_call(r, &call, &resp, NULL, err);
	if (res < 0)
		return res;
	claimed = http_header(&resp, "docker-content-digest");
	if (claimed && digest_parse(claimed, ret) == 0)
		return 0;
	res = registry_manifest_get(r, ref, cancel, &m, err);
	if (res == 0)
		*ret = m.digest;
	return res;
}

#define TAGS_MAX 1000
#define TAG_LENGTH_MAX 128

static bool is_tag(const char *text)
{
	size_t n =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return n > 0 && n <= TAG_LENGTH_MAX && text[n] == '\0' && *text != '.' && *text != '-';
}

int registry_tags(struct registry *r, const struct imageref *ref, struct cancel *cancel,
		  struct strv *ret, struct error **err)
{
	_cleanup_free_ char *path = xasprintf("/v2/%s/tags/list?n=%d", ref->path, TAGS_MAX);
	_cleanup_free_ char *scope = xasprintf("repository:%s:pull", ref->path);
	_cleanup_free_ char *name = imageref_name(ref), *what = xasprintf("tags of %s", name);
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	struct registry_call call = {.host = ref->host, .path = path, .scope = scope, .what = what};
	_cleanup_json_ json_t *doc = NULL;
	json_t *tags = NULL;
	int res;

	call.http.cancel = cancel;
	res = registry_call(r, &call, &resp, NULL, err);
	if (res == 0)
		res = js_parse("answer", resp.body.p, resp.body.n, &doc, err);
	if (res == 0 && !json_is_object(doc))
		res = error_new(err, ERR_INVALID, 0, "not a JSON object");
	if (res == 0)
		res = js_array(doc, "tags", &tags, err);
	if (res < 0)
		return error_wrap(err, res, "list the tags of %s", name);
	for (size_t i = 0; i < json_array_size(tags) && i < TAGS_MAX; i++) {
		const char *tag = json_string_value(json_array_get(tags, i));

		if (tag && is_tag(tag))
			strv_push(ret, tag);
	}
	return 0;
}

/* Counts what arrives, so that a server cannot send more than the descriptor promises. */
struct blob_sink {
	http_sink_fn sink;
	void *data;
	uint64_t got, size;
	struct buf start; /* of what came, for the case that it is an error in JSON */
};

enum { BLOB_START_MAX = 4096 };

static int blob_piece(void *data, const void *p, size_t n, struct error **err)
{
	struct blob_sink *b = data;

	buf_add(&b->start, p, n);
	if (n > b->size - b->got)
		return error_new(err, ERR_CORRUPT, 0, "more than the promised %llu bytes",
				 (unsigned long long)b->size);
	b->got += n;
	return b->sink(b->data, p, n, err);
}

static int wrong_size(const struct blob_sink *b, const char *server, const char *what,
		      struct error **err)
{
	_cleanup_buf_ struct buf said = BUF_INIT;

	registry_error_text(b->start.p, b->start.n, &said);
	return error_new(err, ERR_CORRUPT, 0,
			 "registry %s sent %llu bytes for %s: expected %llu%s%s", server,
			 (unsigned long long)b->got, what, (unsigned long long)b->size,
			 said.n > 0 ? "; it says: " : "", said.p);
}

int registry_blob_get(struct registry *r, const struct registry_blob *blob, http_sink_fn sink,
		      void *data, struct cancel *cancel, const atomic_bool *stop, char **ret_server,
		      struct error **err)
{
	char digest[DIGEST_TEXT];
	_cleanup_free_ char *path = NULL, *what = NULL, *scope = NULL, *server = NULL;
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	struct blob_sink b = {.sink = sink,
			      .data = data,
			      .size = blob->size,
			      .start = BUF_INIT_MAX(BLOB_START_MAX)};
	struct registry_call call = {.host = blob->host};
	uint64_t delivered = 0;
	int res;

	digest_format(&blob->digest, digest);
	call.path = path = xasprintf("/v2/%s/blobs/%s", blob->path, digest);
	call.scope = scope = xasprintf("repository:%s:pull", blob->path);
	call.what = what = xasprintf("blob %s of %s/%s", digest, blob->host, blob->path);
	call.http = (struct http_request){.sink = blob_piece,
					  .sink_data = &b,
					  .delivered = &delivered,
					  .repeatable = true,
					  .cancel = cancel,
					  .stop = stop};
	res = registry_call(r, &call, &resp, &server, err);
	if (res == 0 && b.got != blob->size)
		res = wrong_size(&b, server, what, err);
	buf_release(&b.start);
	if (ret_server)
		*ret_server = TAKE_PTR(server);
	return res;
}

static int add_piece(void *data, const void *p, size_t n, struct error **err)
{
	(void)err;
	buf_add(data, p, n);
	return 0;
}

int registry_blob_read(struct registry *r, const struct registry_blob *blob, const char *what,
		       struct cancel *cancel, struct buf *ret, struct error **err)
{
	char expect[DIGEST_TEXT], got[DIGEST_TEXT];
	_cleanup_free_ char *server = NULL;
	size_t before = ret->n;
	struct digest digest;
	int res;

	if (ret->max && blob->size > ret->max - before)
		return error_new(err, ERR_INVALID, 0, "the %s is too large", what);
	res = registry_blob_get(r, blob, add_piece, ret, cancel, NULL, &server, err);
	if (res < 0)
		return res;
	digest = digest_of(ret->p + before, ret->n - before);
	if (digest_equal(&digest, &blob->digest))
		return 0;
	return error_new(err, ERR_CORRUPT, 0, "registry %s sent a wrong %s: expected %s, got %s",
			 server, what, digest_format(&blob->digest, expect),
			 digest_format(&digest, got));
}
