/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/s3/s3.h"

#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/times.h"
#include "engine/s3/s3_call.h"
#include "engine/s3/s3_xml.h"

enum {
	LIST_MAX = 1000000, /* objects */
	LIST_PAGE_MAX = 8 << 20,
};
#define COPY_MAX (5ULL << 30) /* bytes that S3 copies in one request */

static void object_release(struct s3_object *o)
{
	free(o->key);
	*o = (struct s3_object){0};
}

void s3_objects_release(s3_objects *o)
{
	for (size_t i = 0; i < o->n; i++)
		object_release(&o->v[i]);
	vec_release(o);
}

int s3_head(struct s3 *s, const char *key, bool *ret_found, struct s3_object *ret,
	    struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	struct s3_call call = {.method = "HEAD", .key = key, .found_only = true};
	const char *size;
	int r = s3_call(s, &call, &resp, err);

	*ret_found = r == 0;
	if (r < 0)
		return r == -ERR_NOTFOUND ? 0 : r;
	size = http_header(&resp, "content-length");
	*ret = (struct s3_object){.modified = http_date(http_header(&resp, "last-modified")) *
					      NS_PER_S};
	if (size && number_parse(size, 10, UINT64_MAX, &ret->size) < 0)
		return error_new(err, ERR_INVALID, 0, "the size of '%s' is \"%s\"", key, size);
	return 0;
}

int s3_get(struct s3 *s, const char *key, size_t max, struct buf *ret, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	struct s3_call call = {.method = "GET", .key = key, .http = {.max = max}};
	int r = s3_call(s, &call, &resp, err);

	if (r == 0)
		buf_add(ret, resp.body.p, resp.body.n);
	return r;
}

int s3_get_stream(struct s3 *s, const char *key, http_sink_fn sink, void *data, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	uint64_t delivered = 0;
	struct s3_call call = {
		.method = "GET",
		.key = key,
		.http = {.sink = sink, .sink_data = data, .delivered = &delivered},
	};

	return s3_call(s, &call, &resp, err);
}

int s3_put(struct s3 *s, const char *key, const char *content_type, const void *p, size_t n,
	   struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_strv_ struct strv headers = {0};
	struct s3_call call = {
		.method = "PUT", .key = key, .headers = &headers, .http = {.body = p, .body_n = n}};

	strv_pushf(&headers, "Content-Type: %s", content_type);
	return s3_call(s, &call, &resp, err);
}

int s3_touch(struct s3 *s, const char *key, const struct s3_object *o, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_free_ char *escaped = s3_escape_key(key);
	_cleanup_strv_ struct strv headers = {0};
	struct s3_call call = {
		.method = "PUT", .key = key, .headers = &headers, .http = {.body = ""}};

	if (o->size > COPY_MAX)
		return 0;
	strv_pushf(&headers, "x-amz-copy-source: /%s/%s", s->o.bucket, escaped);
	/* S3 refuses a copy onto itself that changes nothing. */
	strv_push(&headers, "x-amz-metadata-directive: REPLACE");
	strv_push(&headers, "Content-Type: application/octet-stream");
	return s3_call(s, &call, &resp, err);
}

int s3_delete(struct s3 *s, const char *key, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	struct s3_call call = {.method = "DELETE", .key = key, .found_only = true};
	int r = s3_call(s, &call, &resp, err);

	return r == -ERR_NOTFOUND ? 0 : r;
}

/* --- listing --- */

struct listing {
	s3_objects *to;
	struct s3_object next;
	bool more;
	char *token; /* where the next page starts */
};

static int on_element(void *data, const char *path, const char *text)
{
	static const char contents[] = "ListBucketResult/Contents";
	struct listing *l = data;
	const char *field =
		strncmp(path, contents, strlen(contents)) == 0 ? path + strlen(contents) : NULL;

	if (field && strcmp(field, "/Key") == 0) {
		free(l->next.key);
		l->next.key = xstrdup(text);
	} else if (field && strcmp(field, "/Size") == 0) {
		if (number_parse(text, 10, UINT64_MAX, &l->next.size) < 0)
			return -1;
	} else if (field && strcmp(field, "/LastModified") == 0) {
		(void)!times_parse_rfc3339(text, &l->next.modified);
	} else if (field && !*field) {
		if (!l->next.key)
			return -1;
		vec_push(l->to, l->next);
		l->next = (struct s3_object){0};
	} else if (strcmp(path, "ListBucketResult/IsTruncated") == 0) {
		l->more = strcmp(text, "true") == 0;
	} else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0) {
		free(l->token);
		l->token = xstrdup(text);
	}
	return 0;
}

static int list_page(struct s3 *s, const char *prefix, struct listing *l, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_free_ char *p = http_escape(prefix),
			    *token = http_escape(l->token ? l->token : "");
	_cleanup_free_ char *query =
		xasprintf("%s%s%slist-type=2&prefix=%s", l->token ? "continuation-token=" : "",
			  token, l->token ? "&" : "", p);
	struct s3_call call = {.method = "GET", .query = query, .http = {.max = LIST_PAGE_MAX}};
	int r = s3_call(s, &call, &resp, err);

	if (r < 0)
		return error_wrap(err, r, "list '%s'", prefix);
	l->more = false;
	free(TAKE_PTR(l->token));
	if (s3_xml_walk(resp.body.p, resp.body.n, on_element, l) < 0 || (l->more && !l->token))
		return error_new(
			err, ERR_INVALID, 0,
			"list '%s': the answer of bucket '%s' at %s cannot be read as S3's", prefix,
			s->o.bucket, s->o.endpoint);
	return 0;
}

int s3_list(struct s3 *s, const char *prefix, s3_objects *ret, struct error **err)
{
	struct listing l = {.to = ret};
	int r;

	do {
		r = list_page(s, prefix, &l, err);
		if (r == 0 && ret->n > LIST_MAX)
			r = error_new(err, ERR_INVALID, 0,
				      "list '%s': more than %d objects in bucket '%s'", prefix,
				      LIST_MAX, s->o.bucket);
	} while (r == 0 && l.more);
	object_release(&l.next);
	free(l.token);
	return r;
}
