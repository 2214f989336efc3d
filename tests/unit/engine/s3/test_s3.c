/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/s3/s3.h"
#include "fake_server.h"

#define PART (16 << 20)

/* What the server below is to do, and what it saw. */
struct script {
	int failures, failure_status; /* answers like this first */
	const char *failure;	      /* ... with this body */
	const char *headers, *body;
	size_t cut;	 /* drop the first connection after so many bytes of the body */
	int expired;	 /* then answer 403 so many times */
	int broken_part; /* this part of an upload is refused */
	bool refuse_complete;
	bool lose_complete; /* takes it, hangs up, and says the second time that it knows none */
	struct buf log;	    /* "METHOD target\n" */
	struct buf completed;
	char authorization[512];
};

static struct script script;
static struct fake_server server;

static void answer_part(const struct fake_request *req, int fd)
{
	const char *number = strstr(req->target, "partNumber=");
	int part = number ? atoi(number + strlen("partNumber=")) : 0;
	_cleanup_free_ char *etag = xasprintf("ETag: \"etag-%d\"\r\n", part);

	if (part == script.broken_part)
		fake_answer(fd, 400, "", "<Error><Code>BadDigest</Code></Error>", 37);
	else
		fake_answer(fd, 200, etag, NULL, 0);
}

/* Parts of an upload; false for all else. */
static bool answer_upload(const struct fake_request *req, int fd)
{
	static const char opened[] = "<InitiateMultipartUploadResult><UploadId>a/b+c</UploadId>"
				     "</InitiateMultipartUploadResult>";
	static const char unknown[] = "<Error><Code>NoSuchUpload</Code></Error>";
	static const char late[] = "<Error><Code>InternalError</Code></Error>";

	if (strstr(req->target, "?uploads=")) {
		fake_answer(fd, 200, "", opened, sizeof(opened) - 1);
	} else if (strcmp(req->method, "PUT") == 0 && strstr(req->target, "partNumber=")) {
		answer_part(req, fd);
	} else if (strcmp(req->method, "POST") == 0 && script.lose_complete) {
		if (script.completed.n > 0)
			fake_answer(fd, 404, "", unknown, sizeof(unknown) - 1);
		buf_adds(&script.completed, "taken");
	} else if (strcmp(req->method, "POST") == 0) {
		buf_clear(&script.completed);
		buf_add(&script.completed, req->body.p, req->body.n);
		fake_answer(fd, 200, "", script.refuse_complete ? late : "<Ok/>",
			    script.refuse_complete ? sizeof(late) - 1 : 5);
	} else {
		return false;
	}
	return true;
}

static void send_cut(int fd)
{
	size_t n = strlen(script.body);
	_cleanup_free_ char *head = xasprintf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);

	fake_send(fd, head, strlen(head));
	fake_send(fd, script.body, script.cut);
}

static void scripted(struct fake_server *s, const struct fake_request *req, int fd)
{
	_cleanup_free_ char *auth = fake_header(req, "authorization");
	_cleanup_free_ char *range = fake_header(req, "range"), *headers = NULL;
	size_t n = script.body ? strlen(script.body) : 0;
	size_t at = range ? strtoull(range + 6, NULL, 10) : 0;

	(void)s;
	buf_addf(&script.log, "%s %s\n", req->method, req->target);
	snprintf(script.authorization, sizeof(script.authorization), "%s", auth ? auth : "none");
	if (script.failures > 0) {
		script.failures--;
		fake_answer(fd, script.failure_status, script.headers ? script.headers : "",
			    script.failure, script.failure ? strlen(script.failure) : 0);
	} else if (answer_upload(req, fd)) {
		return;
	} else if (script.cut > 0) {
		send_cut(fd);
		script.cut = 0;
	} else if (at > 0 && script.expired > 0) {
		script.expired--;
		fake_answer(fd, 403, "", "<Error><Code>RequestTimeTooSkewed</Code></Error>", 48);
	} else {
		headers = xasprintf("%s%s", script.headers ? script.headers : "",
				    at > 0 ? "Content-Range: bytes 4-9/10\r\n" : "");
		fake_answer(fd, at > 0 ? 206 : 200, headers, script.body + at, n - at);
	}
}

static int start(void **state)
{
	(void)state;
	fake_start(&server, scripted, NULL);
	return 0;
}

static int end(void **state)
{
	(void)state;
	fake_stop(&server);
	return 0;
}

static int forget(void **state)
{
	(void)state;
	buf_release(&script.log);
	buf_release(&script.completed);
	script = (struct script){.log = BUF_INIT, .completed = BUF_INIT};
	return 0;
}

static struct s3 *client(bool signing)
{
	struct s3_options o = {
		.bucket = xstrdup("bucket"),
		.region = xstrdup("here"),
		.endpoint = xasprintf("http://%s", server.host),
		.path_style = true,
		.parallelism = 2,
		.tries = 3,
	};

	if (signing)
		o.credentials =
			(struct s3_credentials){xstrdup("the-id"), xstrdup("hunter2"), NULL};
	return s3_new(&o, NULL, NULL);
}

static int add(void *data, const void *p, size_t n, struct error **err)
{
	(void)err;
	buf_add(data, p, n);
	return 0;
}

static void requests_are_signed_if_there_is_a_key(void **state)
{
	_cleanup_(s3_freep) struct s3 *s = client(true), *anonymous = client(false);
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	script.body = "hello";
	assert_int_equal(s3_get(s, "a b/c", 100, &b, NULL), 0);
	assert_string_equal(b.p, "hello");
	assert_string_equal(script.log.p, "GET /bucket/a%20b/c\n");
	assert_non_null(strstr(script.authorization, "Credential=the-id/"));
	assert_null(strstr(script.authorization, "hunter2"));
	assert_int_equal(s3_get(anonymous, "a b/c", 100, &b, NULL), 0);
	assert_string_equal(script.authorization, "none");
}

static void what_fails_for_now_is_tried_again(void **state)
{
	_cleanup_(s3_freep) struct s3 *s = client(true);
	_cleanup_(error_freep) struct error *err = NULL;

	(void)state;
	script.body = "";
	script.failures = 2;
	script.failure_status = 500;
	assert_int_equal(s3_put(s, "k", "text/plain", "x", 1, NULL), 0);
	assert_string_equal(script.log.p, "PUT /bucket/k\nPUT /bucket/k\nPUT /bucket/k\n");

	script.failures = 3;
	script.failure_status = 503;
	script.failure = "<Error><Code>SlowDown</Code><Message>Reduce&#x9b;31m your rate</Message>"
			 "</Error>";
	assert_int_equal(s3_put(s, "k", "text/plain", "x", 1, &err), -ERR_UNAVAILABLE);
	assert_non_null(strstr(error_text(err), "503 SlowDown: Reduce\\xc2\\x9b31m your rate"));
}

/* Answers `status` and `failure`; the error has this code, and this in its text or hint. */
static void expect_failure(int status, const char *headers, const char *failure, int code,
			   const char *says)
{
	_cleanup_(s3_freep) struct s3 *s = client(true);
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *hint;

	script.failures = 1;
	script.failure_status = status;
	script.headers = headers;
	script.failure = failure;
	assert_int_equal(s3_get(s, "k", 100, &b, &err), code);
	hint = error_hint_text(err);
	if (!strstr(error_text(err), says) && !(hint && strstr(hint, says)))
		fail_msg("%s: %s (%s)", says, error_text(err), hint);
	assert_null(strstr(error_text(err), "hunter2"));
	assert_true(!hint || !strstr(hint, "hunter2"));
}

#define E(code) "<Error><Code>" code "</Code></Error>"

static void answers_say_what_is_wrong(void **state)
{
	(void)state;
	expect_failure(404, NULL, E("NoSuchKey"), -ERR_NOTFOUND, "not in bucket 'bucket'");
	expect_failure(404, NULL, E("NoSuchBucket"), -ERR_NOTFOUND, "there is no bucket 'bucket'");
	expect_failure(403, NULL, E("InvalidAccessKeyId"), -ERR_DENIED, "access key 'the-id'");
	expect_failure(403, NULL, E("SignatureDoesNotMatch"), -ERR_DENIED,
		       "the secret of the access key 'the-id' is wrong");
	expect_failure(403, NULL, E("AccessDenied"), -ERR_DENIED, "s3:GetObject");
	expect_failure(403, NULL, E("ExpiredToken"), -ERR_DENIED, "has expired");
	expect_failure(403, NULL, "<html>", -ERR_DENIED, "denies access to bucket 'bucket' (403)");
	expect_failure(301, "x-amz-bucket-region: there\r\n", E("PermanentRedirect"), -ERR_INVALID,
		       "give region=there");
	expect_failure(400, NULL,
		       "<Error><Code>AuthorizationHeaderMalformed</Code><Region>there</Region>"
		       "</Error>",
		       -ERR_INVALID, "give region=there");
	expect_failure(418, NULL, "", -ERR_INVALID, "answers 418");
}

static void what_is_not_there_is_no_error_of_looking(void **state)
{
	_cleanup_(s3_freep) struct s3 *s = client(true);
	struct s3_object o = {0};
	bool found = true;

	(void)state;
	script.failures = 1;
	script.failure_status = 404;
	assert_int_equal(s3_head(s, "k", &found, &o, NULL), 0);
	assert_false(found);
	script.headers = "Last-Modified: Fri, 24 May 2013 00:00:00 GMT\r\n";
	script.body = "";
	assert_int_equal(s3_head(s, "k", &found, &o, NULL), 0);
	assert_true(found);
	assert_true(o.modified == INT64_C(1369353600) * 1000000000);
	script.failures = 1;
	assert_int_equal(s3_delete(s, "k", NULL), 0);
}

static void a_copy_may_fail_after_it_said_200(void **state)
{
	_cleanup_(s3_freep) struct s3 *s = client(true);
	_cleanup_(error_freep) struct error *err = NULL;
	struct s3_object small = {.size = 1}, large = {.size = 6ULL << 30};

	(void)state;
	script.body = E("SlowDown");
	assert_int_equal(s3_touch(s, "k", &small, &err), -ERR_UNAVAILABLE);
	script.body = "<CopyObjectResult/>";
	assert_int_equal(s3_touch(s, "k", &small, NULL), 0);
	buf_clear(&script.log);
	assert_int_equal(s3_touch(s, "k", &large, NULL), 0);
	assert_string_equal(script.log.p, "");
}

static void a_long_transfer_outlives_its_signature(void **state)
{
	_cleanup_(s3_freep) struct s3 *s = client(true);
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	script.body = "0123456789";
	script.cut = 4;
	script.expired = 1;
	assert_int_equal(s3_get_stream(s, "k", add, &b, NULL), 0);
	assert_string_equal(b.p, "0123456789");
	assert_string_equal(script.log.p, "GET /bucket/k\nGET /bucket/k\nGET /bucket/k\n");
}

static int file_of(size_t n)
{
	int fd = memfd_create("upload", MFD_CLOEXEC);

	assert_true(fd >= 0 && ftruncate(fd, (off_t)n) == 0);
	return fd;
}

static void large_files_go_up_in_parts(void **state)
{
	_cleanup_(s3_freep) struct s3 *s = client(true);
	_cleanup_close_ int fd = file_of(2 * PART + 5);
	struct s3_upload u = {.key = "k", .content_type = "x/y", .fd = fd, .size = 2 * PART + 5};

	(void)state;
	assert_int_equal(s3_put_file(s, &u, NULL), 0);
	for (int i = 1; i <= 3; i++) {
		_cleanup_free_ char *line =
			xasprintf("PUT /bucket/k?partNumber=%d&uploadId=a%%2Fb%%2Bc\n", i);

		assert_non_null(strstr(script.log.p, line));
	}
	assert_string_equal(script.completed.p,
			    "<CompleteMultipartUpload>"
			    "<Part><PartNumber>1</PartNumber><ETag>\"etag-1\"</ETag></Part>"
			    "<Part><PartNumber>2</PartNumber><ETag>\"etag-2\"</ETag></Part>"
			    "<Part><PartNumber>3</PartNumber><ETag>\"etag-3\"</ETag></Part>"
			    "</CompleteMultipartUpload>");
	assert_null(strstr(script.log.p, "DELETE"));

	buf_clear(&script.log);
	u.size = PART;
	script.body = "";
	assert_int_equal(s3_put_file(s, &u, NULL), 0);
	assert_string_equal(script.log.p, "PUT /bucket/k\n");
}

static void an_upload_that_fails_leaves_no_parts(void **state)
{
	_cleanup_(s3_freep) struct s3 *s = client(true);
	_cleanup_close_ int fd = file_of(2 * PART);
	struct s3_upload u = {.key = "k", .content_type = "x/y", .fd = fd, .size = 2 * PART};
	_cleanup_(error_freep) struct error *err = NULL, *late = NULL;

	(void)state;
	script.body = "";
	script.broken_part = 2;
	assert_int_equal(s3_put_file(s, &u, &err), -ERR_INVALID);
	assert_non_null(strstr(error_text(err), "BadDigest"));
	assert_non_null(strstr(script.log.p, "DELETE /bucket/k?uploadId=a%2Fb%2Bc\n"));

	buf_clear(&script.log);
	script.broken_part = 0;
	script.refuse_complete = true;
	assert_int_equal(s3_put_file(s, &u, &late), -ERR_UNAVAILABLE);
	assert_non_null(strstr(script.log.p, "DELETE /bucket/k?uploadId=a%2Fb%2Bc\n"));
}

static void an_upload_is_done_though_the_answer_was_lost(void **state)
{
	_cleanup_(s3_freep) struct s3 *s = client(true);
	_cleanup_close_ int fd = file_of(2 * PART);
	_cleanup_free_ char *all = xmalloc(2 * PART + 1);
	struct s3_upload u = {.key = "k", .content_type = "x/y", .fd = fd, .size = 2 * PART};

	(void)state;
	memset(all, 'x', 2 * PART);
	all[2 * PART] = '\0';
	script.lose_complete = true;
	script.body = all;
	assert_int_equal(s3_put_file(s, &u, NULL), 0);
	assert_non_null(strstr(script.log.p, "HEAD /bucket/k\n"));
	assert_null(strstr(script.log.p, "DELETE"));

	buf_clear(&script.completed);
	script.body = "another object";
	assert_int_equal(s3_put_file(s, &u, NULL), -ERR_NOTFOUND);
}

static void lists_are_read_page_by_page(void **state)
{
	_cleanup_(s3_freep) struct s3 *s = client(true);
	_cleanup_(error_freep) struct error *err = NULL;
	s3_objects all = {0};

	(void)state;
	script.failures = 1;
	script.failure_status = 200;
	script.failure = "<ListBucketResult><IsTruncated>true</IsTruncated>"
			 "<NextContinuationToken>a=b&amp;c</NextContinuationToken>"
			 "<Contents><Key>p/1</Key><Size>7</Size><LastModified>2013-05-24T00:00:00."
			 "000Z</LastModified></Contents></ListBucketResult>";
	script.body = "<ListBucketResult><IsTruncated>false</IsTruncated>"
		      "<Contents><Key>p/&lt;2&gt;</Key><Size>8</Size></Contents>"
		      "</ListBucketResult>";
	assert_int_equal(s3_list(s, "p/", &all, NULL), 0);
	assert_int_equal(all.n, 2);
	assert_string_equal(all.v[0].key, "p/1");
	assert_true(all.v[0].size == 7);
	assert_true(all.v[0].modified == INT64_C(1369353600) * 1000000000);
	assert_string_equal(all.v[1].key, "p/<2>");
	assert_string_equal(script.log.p,
			    "GET /bucket/?list-type=2&prefix=p%2F\n"
			    "GET /bucket/?continuation-token=a%3Db%26c&list-type=2&prefix=p%2F\n");
	s3_objects_release(&all);

	script.body = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
	assert_int_equal(s3_list(s, "p/", &all, &err), -ERR_INVALID);
	assert_non_null(strstr(error_text(err), "cannot be read as S3's"));
	s3_objects_release(&all);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, forget)
	const struct CMUnitTest tests[] = {
		T(requests_are_signed_if_there_is_a_key),
		T(what_fails_for_now_is_tried_again),
		T(answers_say_what_is_wrong),
		T(what_is_not_there_is_no_error_of_looking),
		T(a_copy_may_fail_after_it_said_200),
		T(a_long_transfer_outlives_its_signature),
		T(large_files_go_up_in_parts),
		T(an_upload_that_fails_leaves_no_parts),
		T(an_upload_is_done_though_the_answer_was_lost),
		T(lists_are_read_page_by_page),
	};

	return cmocka_run_group_tests(tests, start, end);
}
