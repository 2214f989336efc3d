#include <stdlib.h>
#include <string.h>

#include "engine/oci.h"
#include "engine/registry_call.h"

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
	const char *location;
	int res = registry_call(r, &call, &resp, NULL, err);

	if (res < 0)
		return res;
	*ret_status = resp.status;
	location = http_header(&resp, "location");
	*ret_location = location ? http_url_follow(resp.url, location) : NULL;
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

int registry_push_blob(struct registry *r, const struct imageref *ref,
		       const struct registry_upload *upload, struct cancel *cancel,
		       struct error **err)
{
	char text[DIGEST_TEXT];
	_cleanup_free_ char *location = NULL, *url = NULL, *what = imageref_format(ref);
	_cleanup_free_ char *scope = push_scope(ref, NULL), *digest = NULL;
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_strv_ struct strv headers = {0};
	struct registry_call call = {
		.host = ref->host, .scope = scope, .what = what, .origin_only = true};
	int status = 0;
	int res = start_upload(r, ref, "", NULL, cancel, &status, &location, err);

	if (res < 0)
		return error_wrap(err, res, "push blob %s", digest_format(&upload->digest, text));
	digest = http_escape(digest_format(&upload->digest, text));
	url = xasprintf("%s%cdigest=%s", location, strchr(location, '?') ? '&' : '?', digest);
	strv_push(&headers, "Content-Type: application/octet-stream");
	call.path = url;
	call.http = (struct http_request){.method = "PUT",
					  .headers = &headers,
					  .body_fd = upload->fd,
					  .body_n = upload->size,
					  .sent = upload->sent,
					  .sent_data = upload->data,
					  .cancel = cancel};
	res = registry_call(r, &call, &resp, NULL, err);
	return res < 0 ? error_wrap(err, res, "push blob %s", text) : 0;
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

	strv_pushf(&headers, "Content-Type: %s", media_type);
	call.http = (struct http_request){
		.method = "PUT", .headers = &headers, .body = bytes, .body_n = n, .cancel = cancel};
	res = registry_call(r, &call, &resp, NULL, err);
	if (res < 0)
		return error_wrap(err, res, "push manifest");
	answer = http_header(&resp, "docker-content-digest");
	if (answer && digest_parse(answer, &claimed) == 0 && !digest_equal(&claimed, &digest))
		return error_new(
			err, ERR_CORRUPT, 0,
			"push manifest: %s: the registry stored other bytes than were sent", what);
	return 0;
}
