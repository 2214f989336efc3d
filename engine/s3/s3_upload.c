/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads to S3, large ones in parts. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parallel.h"
#include "engine/s3/s3_call.h"
#include "engine/s3/s3_xml.h"

enum {
	PARTS_MAX = 10000, /* S3's limit, as is 5 MiB for a part that is not the last */
	HASH_PIECE = 128 << 10,
};
#define PART_SIZE (16ULL << 20)

/* One object that goes up in parts. */
struct parts {
	struct s3 *s;
	const struct s3_upload *u;
	char *id; /* of the upload, encoded */
	uint64_t part_size;
	size_t n;
	char **etags;	      /* by part; as the server said them */
	pthread_mutex_t lock; /* protects done, sent */
	uint64_t *done;	      /* bytes sent of each part */
	uint64_t sent;
};

static int put_whole(struct s3 *s, const struct s3_upload *u, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_strv_ struct strv headers = {0};
	struct s3_call call = {
		.method = "PUT",
		.key = u->key,
		.headers = &headers,
		.payload = &u->digest,
		.http = {.body_fd = u->fd,
			 .body_n = u->size,
			 .sent = u->sent,
			 .sent_data = u->data},
	};

	strv_pushf(&headers, "Content-Type: %s", u->content_type);
	return s3_call(s, &call, &resp, err);
}

static int start(struct parts *p, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_free_ char *id = NULL;
	_cleanup_strv_ struct strv headers = {0};
	struct s3_call call = {.method = "POST",
			       .key = p->u->key,
			       .query = "uploads=",
			       .headers = &headers,
			       .http = {.body = ""}};
	int r;

	strv_pushf(&headers, "Content-Type: %s", p->u->content_type);
	r = s3_call(p->s, &call, &resp, err);
	if (r < 0)
		return r;
	id = s3_xml_find(resp.body.p, resp.body.n, "InitiateMultipartUploadResult/UploadId");
	if (!id || !*id)
		return error_new(err, ERR_INVALID, 0,
				 "POST '%s': the server opened an upload and did not name it",
				 p->u->key);
	p->id = http_escape(id);
	return 0;
}

static int hash_range(int fd, uint64_t at, uint64_t n, struct digest *ret, struct error **err)
{
	_cleanup_free_ uint8_t *piece = xmalloc(HASH_PIECE);
	_cleanup_hasher_ struct hasher h = {0};

	hasher_init(&h);
	while (n > 0) {
		ssize_t got = pread(fd, piece, n < HASH_PIECE ? (size_t)n : HASH_PIECE, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_new(err, ERR_IO, got < 0 ? errno : EIO,
					 "read what is to be sent");
		hasher_add(&h, piece, (size_t)got);
		at += (uint64_t)got;
		n -= (uint64_t)got;
	}
	hasher_final(&h, ret);
	return 0;
}

/* What one part's progress callback gets. */
struct part_progress {
	struct parts *p;
	size_t i;
};

static void on_sent(void *data, uint64_t total)
{
	struct part_progress *progress = data;
	struct parts *p = progress->p;

	pthread_mutex_lock(&p->lock);
	p->sent = p->sent - p->done[progress->i] + total;
	p->done[progress->i] = total;
	if (p->u->sent)
		p->u->sent(p->u->data, p->sent);
	pthread_mutex_unlock(&p->lock);
}

static int send_part(void *data, size_t i, struct error **err)
{
	struct parts *p = data;
	uint64_t at = i * p->part_size;
	uint64_t n = p->u->size - at < p->part_size ? p->u->size - at : p->part_size;
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_free_ char *query = xasprintf("partNumber=%zu&uploadId=%s", i + 1, p->id);
	struct part_progress progress = {p, i};
	struct digest digest;
	struct s3_call call = {
		.method = "PUT",
		.key = p->u->key,
		.query = query,
		.payload = &digest,
		.http = {.body_fd = p->u->fd,
			 .body_at = at,
			 .body_n = n,
			 .sent = on_sent,
			 .sent_data = &progress},
	};
	const char *etag;
	int r = hash_range(p->u->fd, at, n, &digest, err);

	if (r == 0)
		r = s3_call(p->s, &call, &resp, err);
	if (r < 0)
		return r;
	etag = http_header(&resp, "etag");
	if (!etag || strpbrk(etag, "<&"))
		return error_new(err, ERR_INVALID, 0,
				 "PUT '%s': the server took part %zu and gave no ETag", p->u->key,
				 i + 1);
	p->etags[i] = xstrdup(etag);
	return 0;
}

static int finish(struct parts *p, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_free_ char *query = xasprintf("uploadId=%s", p->id);
	_cleanup_buf_ struct buf body = BUF_INIT;
	_cleanup_strv_ struct strv headers = {0};
	struct s3_call call = {
		.method = "POST", .key = p->u->key, .query = query, .headers = &headers};

	strv_push(&headers, "Content-Type: application/xml");
	buf_adds(&body, "<CompleteMultipartUpload>");
	for (size_t i = 0; i < p->n; i++)
		buf_addf(&body, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>", i + 1,
			 p->etags[i]);
	buf_adds(&body, "</CompleteMultipartUpload>");
	call.http = (struct http_request){.body = body.p, .body_n = body.n};
	return s3_call(p->s, &call, &resp, err);
}

/* So that the parts that were sent are not kept, and paid for. The failure that led here is told,
 * not one of this. */
static void give_up(struct parts *p)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_free_ char *query = xasprintf("uploadId=%s", p->id);
	struct s3_call call = {.method = "DELETE", .key = p->u->key, .query = query};
	struct s3 uncanceled = *p->s; /* it may be Ctrl-C that led here */

	uncanceled.cancel = NULL;
	uncanceled.o.tries = 1;
	(void)!s3_call(&uncanceled, &call, &resp, NULL);
}

/* Whether the upload was completed by a request whose answer got lost: asked again, the server
 * knows no such upload any more. */
static bool is_there(const struct parts *p)
{
	struct s3_object o = {0};
	bool found = false;

	return s3_head(p->s, p->u->key, &found, &o, NULL) == 0 && found && o.size == p->u->size;
}

static int put_parts(struct parts *p, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	int r = start(p, err);

	if (r < 0)
		return r;
	r = parallel_for_threads(p->s->o.parallelism, p->n, send_part, p, err);
	if (r == 0) {
		r = finish(p, &why);
		if (r == 0 || (r == -ERR_NOTFOUND && is_there(p)))
			return 0;
		if (err)
			*err = TAKE_PTR(why);
	}
	give_up(p);
	return r;
}

int s3_put_file(struct s3 *s, const struct s3_upload *u, struct error **err)
{
	struct parts p = {.s = s, .u = u, .part_size = PART_SIZE};
	int r;

	if (u->size <= PART_SIZE)
		return put_whole(s, u, err);
	if (u->size / PARTS_MAX >= PART_SIZE)
		p.part_size = u->size / PARTS_MAX + 1;
	p.n = (size_t)((u->size + p.part_size - 1) / p.part_size);
	p.etags = xcalloc(p.n, sizeof(*p.etags));
	p.done = xcalloc(p.n, sizeof(*p.done));
	pthread_mutex_init(&p.lock, NULL);
	r = put_parts(&p, err);
	pthread_mutex_destroy(&p.lock);
	for (size_t i = 0; i < p.n; i++)
		free(p.etags[i]);
	free(p.etags);
	free(p.done);
	free(p.id);
	return r;
}
