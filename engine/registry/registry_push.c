/* SPDX-License-Identifier: Apache-2.0 */
/* The writing half of the registry client: blobs, mounts of blobs, manifests, deletion. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "engine/oci/oci.h"
#include "engine/registry/registry_call.h"

enum { UPLOAD_TRIES_MAX = 5 };

static char *push_scope(const struct imageref *ref, const char *from)
{
	return from ? xasprintf("repository:%s:pull,push repository:%s:pull", ref->path, from)
		    : xasprintf("repository:%s:pull,push", ref->path);
}

int registry_push_has_blob(struct registry *r, const struct imageref *ref,
			   const struct digest *digest, struct cancel *cancel, bool *ret,
			   struct error **err)
{
	char text[DIGEST_TEXT];
	_cleanup_free_ char *path =
		xasprintf("/v2/%s/blobs/%s", ref->path, digest_format(digest, text));
	_cleanup_free_ char *scope = push_scope(ref, NULL);
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_(error_freep) struct error *failed = NULL;
	struct registry_call call = {.host = ref->host,
				     .path = path,
				     .scope = scope,
				     .what = text,
				     .origin_only = true,
				     .http = {.method = "HEAD", .cancel = cancel}};
	int res = registry_call(r, &call, &resp, NULL, &failed);

	*ret = res == 0;
	if (res == 0 || res == -ERR_NOTFOUND)
		return 0;
	if (err)
		*err = TAKE_PTR(failed);
	return res;
}

/* Follows the upload's location, which every answer may change. */
static int take_location(struct registry *r, const struct imageref *ref,
			 const struct http_response *resp, char **location, struct error **err)
{
	const char *next = http_header(resp, "location");
	char *url = NULL;
	int res;

	if (!next)
		return 0;
	res = http_url_next(resp->url, next, registry_is_insecure(r, ref->host), &url, err);
	if (res < 0)
		return error_wrap(err, res, "where the registry wants the upload");
	free(*location);
	*location = url;
	return 0;
}

/* Opens an upload, or mounts; the answer's status tells which. *ret_location is absolute. */
static int start_upload(struct registry *r, const struct imageref *ref, const char *query,
			const char *from, struct cancel *cancel, int *ret_status,
			char **ret_location, struct error **err)
{
	_cleanup_free_ char *path = xasprintf("/v2/%s/blobs/uploads/%s", ref->path, query);
	_cleanup_free_ char *scope = push_scope(ref, from), *what = imageref_format(ref);
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	struct registry_call call = {.host = ref->host,
				     .path = path,
				     .scope = scope,
				     .what = what,
				     .origin_only = true,
				     .http = {.method = "POST", .body = "", .cancel = cancel}};
	int res = registry_call(r, &call, &resp, NULL, err);

	if (res < 0)
		return res;
	*ret_status = resp.status;
	/* That of a mount which succeeded (201) is the blob's, and nobody's concern. */
	if (resp.status == 202)
		res = take_location(r, ref, &resp, ret_location, err);
	if (res < 0)
		return res;
	if (resp.status == 202 && !*ret_location)
		return error_new(err, ERR_INVALID, 0,
				 "%s: the registry opened an upload and did not say where", what);
	return 0;
}

int registry_push_mount(struct registry *r, const struct imageref *ref, const char *from_path,
			const struct digest *digest, struct cancel *cancel, bool *ret,
			struct error **err)
{
	char text[DIGEST_TEXT];
	_cleanup_free_ char *d = http_escape(digest_format(digest, text));
	_cleanup_free_ char *from = http_escape(from_path), *location = NULL;
	_cleanup_free_ char *query = xasprintf("?mount=%s&from=%s", d, from);
	int status = 0;
	int res = start_upload(r, ref, query, from_path, cancel, &status, &location, err);

	if (res < 0)
		return res;
	*ret = status == 201;
	/* 202 opened an upload instead. Registries expire those that nobody goes on with. */
	return 0;
}

/* One request of an upload, to where the registry said. */
static int upload_call(struct registry *r, const struct imageref *ref, const char *url,
		       const struct http_request *req, struct http_response *ret,
		       struct error **err)
{
	_cleanup_free_ char *what = imageref_format(ref), *scope = push_scope(ref, NULL);
	struct registry_call call = {.host = ref->host,
				     .path = url,
				     .scope = scope,
				     .what = what,
				     .origin_only = true,
				     .http = *req};

	return registry_call(r, &call, ret, NULL, err);
}

/* Ends the upload; `body_n` bytes come with it. */
static int finish_upload(struct registry *r, const struct imageref *ref,
			 const struct registry_upload *upload, const char *location,
			 struct http_request *req, struct error **err)
{
	char text[DIGEST_TEXT];
	_cleanup_free_ char *digest = http_escape(digest_format(&upload->digest, text));
	_cleanup_free_ char *url =
		xasprintf("%s%cdigest=%s", location, strchr(location, '?') ? '&' : '?', digest);
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;

	req->method = "PUT";
	return upload_call(r, ref, url, req, &resp, err);
}

/* Sends what is missing from `at` on: in one piece with the end, or after a break as a chunk of its
 * own, whose range the registry checks. */
static int send_rest(struct registry *r, const struct imageref *ref,
		     const struct registry_upload *upload, uint64_t at, char **location,
		     struct cancel *cancel, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_strv_ struct strv headers = {0};
	struct http_request req = {.headers = &headers,
				   .body_fd = upload->fd,
				   .body_at = at,
				   .body_n = upload->size - at,
				   .sent = upload->sent,
				   .sent_data = upload->data,
				   .cancel = cancel};
	int res;

	strv_push(&headers, "Content-Type: application/octet-stream");
	if (at == 0)
		return finish_upload(r, ref, upload, *location, &req, err);
	if (at < upload->size) {
		strv_pushf(&headers, "Content-Range: %llu-%llu", (unsigned long long)at,
			   (unsigned long long)upload->size - 1);
		req.method = "PATCH";
		res = upload_call(r, ref, *location, &req, &resp, err);
		if (res == 0)
			res = take_location(r, ref, &resp, location, err);
		if (res < 0)
			return res;
	}
	req = (struct http_request){.body = "", .cancel = cancel};
	return finish_upload(r, ref, upload, *location, &req, err);
}

/* How much of a broken upload has arrived: "Range: 0-N" says N + 1 bytes. */
static int ask_progress(struct registry *r, const struct imageref *ref, uint64_t size,
			char **location, struct cancel *cancel, uint64_t *ret)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	struct http_request req = {.cancel = cancel};
	const char *range;
	uint64_t last;
	int res = upload_call(r, ref, *location, &req, &resp, NULL);

	if (res < 0)
		return res;
	range = http_header(&resp, "range");
	if (!range || strncmp(range, "0-", 2) != 0 ||
	    number_parse(range + 2, 10, UINT64_MAX, &last) < 0 || last >= size)
		return -ERR_INVALID;
	/* Nothing is said as 0-0, which one byte would be too; sending that again is not worse. */
	*ret = last == 0 ? 0 : last + 1;
	return take_location(r, ref, &resp, location, NULL);
}

static bool is_passing(int r)
{
	return r == -ERR_UNAVAILABLE || r == -ERR_TIMEOUT;
}

int registry_push_blob(struct registry *r, const struct imageref *ref,
		       const struct registry_upload *upload, struct cancel *cancel,
		       struct error **err)
{
	char text[DIGEST_TEXT];
	_cleanup_(error_freep) struct error *failed = NULL;
	_cleanup_free_ char *location = NULL;
	uint64_t at = 0;
	int res = 0;

	for (unsigned tries = 0; tries < UPLOAD_TRIES_MAX; tries++) {
		int status = 0;

		error_free(TAKE_PTR(failed));
		res = 0;
		/* A registry that cannot say how far an upload came gets it from the start. */
		if (location && ask_progress(r, ref, upload->size, &location, cancel, &at) < 0)
			free(TAKE_PTR(location));
		if (!location) {
			at = 0;
			res = start_upload(r, ref, "", NULL, cancel, &status, &location, &failed);
		}
		if (res == 0)
			res = send_rest(r, ref, upload, at, &location, cancel, &failed);
		if (!is_passing(res) || cancel_is_set(cancel))
			break;
	}
	if (res == 0)
		return 0;
	if (err)
		*err = TAKE_PTR(failed);
	return error_wrap(err, res, "push blob %s", digest_format(&upload->digest, text));
}

/* Does the tag stand for this digest already? Where tags are immutable it cannot be put again. */
static bool is_there(struct registry *r, const struct registry_call *put,
		     const struct digest *digest, struct cancel *cancel)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_strv_ struct strv headers = {0};
	struct registry_call call = *put;
	struct digest there;
	const char *answer;

	strv_push(&headers, registry_accept_manifests);
	call.http = (struct http_request){.method = "HEAD", .headers = &headers, .cancel = cancel};
	if (registry_call(r, &call, &resp, NULL, NULL) < 0)
		return false;
	answer = http_header(&resp, "docker-content-digest");
	return answer && digest_parse(answer, &there) == 0 && digest_equal(&there, digest);
}

/* There is no code of its own for it: registries answer 400, 403, 409 or 412, and say it in
 * words. */
static bool says_immutable(const struct http_response *resp)
{
	return resp->status >= 400 && resp->status < 500 && strcasestr(resp->body.p, "immutable");
}

int registry_push_manifest(struct registry *r, const struct imageref *ref, const char *media_type,
			   const void *bytes, size_t n, struct cancel *cancel, struct error **err)
{
	char text[DIGEST_TEXT];
	struct digest digest = digest_of(bytes, n), claimed;
	_cleanup_free_ char *path = xasprintf("/v2/%s/manifests/%s", ref->path,
					      ref->tag ? ref->tag : digest_format(&digest, text));
	_cleanup_free_ char *scope = push_scope(ref, NULL), *what = imageref_format(ref);
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_strv_ struct strv headers = {0};
	struct registry_call call = {
		.host = ref->host, .path = path, .scope = scope, .what = what, .origin_only = true};
	const char *answer;
	int res;

	if (ref->tag && is_there(r, &call, &digest, cancel))
		return 0;
	strv_pushf(&headers, "Content-Type: %s", media_type);
	call.http = (struct http_request){.method = "PUT",
					  .headers = &headers,
					  .body = bytes,
					  .body_n = n,
					  .repeatable = true,
					  .cancel = cancel};
	res = registry_call(r, &call, &resp, NULL, err);
	if (res < 0 && says_immutable(&resp))
		res = error_hint(err, res,
				 "this registry does not let tags change: use another tag");
	if (res < 0)
		return error_wrap(err, res, "push manifest");
	answer = http_header(&resp, "docker-content-digest");
	if (answer && digest_parse(answer, &claimed) == 0 && !digest_equal(&claimed, &digest))
		return error_new(
			err, ERR_CORRUPT, 0,
			"push manifest: %s: the registry stored other bytes than were sent", what);
	return 0;
}

int registry_push_delete(struct registry *r, const struct imageref *ref, struct cancel *cancel,
			 struct error **err)
{
	char text[DIGEST_TEXT];
	_cleanup_free_ char *path =
		xasprintf("/v2/%s/manifests/%s", ref->path, digest_format(&ref->digest, text));
	_cleanup_free_ char *what = imageref_format(ref);
	_cleanup_free_ char *scope = xasprintf("repository:%s:delete,pull", ref->path);
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	struct registry_call call = {.host = ref->host,
				     .path = path,
				     .scope = scope,
				     .what = what,
				     .origin_only = true,
				     .http = {.method = "DELETE", .cancel = cancel}};
	int res = registry_call(r, &call, &resp, NULL, err);

	if (resp.status == 405)
		return error_hint(err, res, "the registry does not allow deletion");
	return res;
}
