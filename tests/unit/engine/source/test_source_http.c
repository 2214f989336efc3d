/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/secrets/grants.h"
#include "engine/source/source_http.h"
#include "engine/tree/tree_rootfs.h"
#include "fake_server.h"
#include "hostile_urls.h"
#include "layer_fixture.h"
#include "store/rootfs.h"

#define LAST_MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"
#define MTIME 784111777
#define HELLO "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

/* One file as its server has it. */
struct served {
	const char *body, *etag, *modified;
	int status; /* 0: 200 */
	int full;   /* answers with a body so far */
	size_t cut; /* drop the first answer after so many bytes, and then have another ETag */
	char authorization[128];
	const char *location; /* with status: where to */
};

static void serve(struct fake_server *s, const struct fake_request *req, int fd)
{
	struct served *f = s->data;
	_cleanup_free_ char *match = fake_header(req, "if-none-match");
	_cleanup_free_ char *since = fake_header(req, "if-modified-since");
	_cleanup_free_ char *auth = fake_header(req, "authorization");
	_cleanup_buf_ struct buf headers = BUF_INIT;

	snprintf(f->authorization, sizeof(f->authorization), "%s", auth ? auth : "none");
	if (f->etag)
		buf_addf(&headers, "ETag: %s\r\n", f->etag);
	if (f->modified)
		buf_addf(&headers, "Last-Modified: %s\r\n", f->modified);
	if (f->location)
		buf_addf(&headers, "Location: %s\r\n", f->location);
	if (f->status) {
		fake_answer(fd, f->status, headers.p, "no", 2);
		return;
	}
	if ((f->etag && match && strcmp(match, f->etag) == 0) ||
	    (f->modified && since && strcmp(since, f->modified) == 0)) {
		fake_answer(fd, 304, headers.p, NULL, 0);
		return;
	}
	f->full++;
	if (f->cut) {
		_cleanup_free_ char *head =
			xasprintf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n",
				  strlen(f->body), headers.p);

		fake_send(fd, head, strlen(head));
		fake_send(fd, f->body, f->cut);
		f->cut = 0;
		f->etag = "\"another\"";
		return;
	}
	fake_answer(fd, 200, headers.p, f->body, strlen(f->body));
}

/* One command that reads one URL. */
struct reading {
	struct fixture *fixture;
	struct fake_server server;
	struct served served;
	struct config config;
	struct grants grants;
	char *url;
	struct http_file file;
	struct http_files *files;
	struct error *err;
};

static void reading_start(struct reading *r, struct fixture *f, struct served served)
{
	*r = (struct reading){.fixture = f, .served = served};
	fake_start(&r->server, serve, &r->served);
	r->url = xasprintf("http://%s/dir/f.txt", r->server.host);
	r->file = (struct http_file){.url = r->url, .filename = "f.txt", .mode = HTTP_FILE_MODE};
	r->files = http_files_new(f->s, &r->config, &r->grants);
}

/* What another command on the same store would see. */
static void reading_again(struct reading *r)
{
	http_files_free(r->files);
	r->files = http_files_new(r->fixture->s, &r->config, &r->grants);
}

static void reading_stop(struct reading *r)
{
	fake_stop(&r->server);
	http_files_free(r->files);
	grants_release(&r->grants);
	error_free(r->err);
	free(r->url);
}

static struct digest must_pin(struct reading *r)
{
	struct digest key;

	if (http_files_pin(r->files, &r->file, NULL, &key, &r->err) < 0)
		fail_msg("%s", error_text(r->err));
	return key;
}

/* "f.txt 0600 0:0 MTIME 'hello'" */
static char *must_read(struct reading *r)
{
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct rootfs_node node;
	int64_t layer;

	if (http_files_layer(r->files, &r->file, NULL, &layer, &r->err) < 0)
		fail_msg("%s", error_text(r->err));
	assert_int_equal(rootfs_open(r->fixture->s, &layer, 1, &rootfs, NULL), 0);
	assert_true(rootfs_get(rootfs, r->file.filename, &node));
	assert_int_equal(rootfs_read(rootfs, r->file.filename, 1000, &text, NULL), 0);
	return xasprintf("%s %04o %u:%u %lld '%s'", r->file.filename, node.entry.mode,
			 node.entry.uid, node.entry.gid, (long long)node.entry.mtime, text.p);
}

static void a_url_becomes_a_private_file_with_the_time_of_the_server(void **state)
{
	_cleanup_free_ char *got = NULL;
	struct reading r;

	reading_start(&r, *state, (struct served){.body = "hello", .modified = LAST_MODIFIED});
	(void)must_pin(&r);
	got = must_read(&r);
	reading_stop(&r);
	assert_string_equal(got, "f.txt 0600 0:0 784111777 'hello'");
}

static void a_server_without_times_gives_the_epoch_and_empty_files_are_files(void **state)
{
	_cleanup_free_ char *got = NULL;
	struct reading r;

	reading_start(&r, *state, (struct served){.body = ""});
	(void)must_pin(&r);
	got = must_read(&r);
	reading_stop(&r);
	assert_string_equal(got, "f.txt 0600 0:0 0 ''");
}

static void a_file_that_did_not_change_is_not_sent_again(void **state)
{
	static const struct served kinds[] = {
		{.body = "hello", .etag = "\"1\""},
		{.body = "hello", .modified = LAST_MODIFIED},
		{.body = "hello", .etag = "W/\"1\"", .modified = LAST_MODIFIED},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct digest first, second;
		struct reading r;

		reading_start(&r, *state, kinds[i]);
		first = must_pin(&r);
		reading_again(&r);
		second = must_pin(&r);
		reading_stop(&r);
		assert_true(digest_equal(&first, &second));
		assert_int_equal(r.served.full, 1);
		assert_int_equal(r.server.requests, 2);
	}
}

static void what_is_gone_from_the_cache_is_fetched_again(void **state)
{
	_cleanup_free_ char *got = NULL;
	struct reading r;

	reading_start(&r, *state, (struct served){.body = "hello", .etag = "\"1\""});
	(void)must_pin(&r);
	reading_again(&r);
	(void)must_pin(&r);
	got = must_read(&r);
	reading_stop(&r);
	assert_string_equal(got, "f.txt 0600 0:0 0 'hello'");
	assert_int_equal(r.served.full, 2);
}

static void the_key_follows_the_bytes_the_time_and_the_file_s_form(void **state)
{
	struct digest first, second;
	struct reading r;

	reading_start(&r, *state, (struct served){.body = "hello", .etag = "\"1\""});
	first = must_pin(&r);
	reading_again(&r);
	r.served.etag = "\"2\"";
	second = must_pin(&r);
	assert_true(digest_equal(&first, &second)); /* the same bytes under another ETag */
	reading_again(&r);
	r.served = (struct served){.body = "other", .etag = "\"3\""};
	second = must_pin(&r);
	assert_false(digest_equal(&first, &second));
	reading_again(&r);
	r.served = (struct served){.body = "hello", .etag = "\"4\"", .modified = LAST_MODIFIED};
	second = must_pin(&r);
	assert_false(digest_equal(&first, &second));
	r.served = (struct served){.body = "hello", .etag = "\"5\""};
	r.file.mode = 0644;
	second = must_pin(&r);
	assert_false(digest_equal(&first, &second));
	reading_stop(&r);
}

static void one_command_sees_one_version(void **state)
{
	_cleanup_free_ char *got = NULL;
	struct digest first, second;
	struct reading r;

	reading_start(&r, *state, (struct served){.body = "hello", .etag = "\"1\""});
	first = must_pin(&r);
	r.served = (struct served){.body = "other", .etag = "\"2\""};
	second = must_pin(&r);
	got = must_read(&r);
	reading_stop(&r);
	assert_true(digest_equal(&first, &second));
	assert_string_equal(got, "f.txt 0600 0:0 0 'hello'");
}

static void a_file_that_changes_between_key_and_bytes_is_an_error(void **state)
{
	struct reading r;
	int64_t layer;
	int ret;

	reading_start(&r, *state, (struct served){.body = "hello", .etag = "\"1\""});
	(void)must_pin(&r);
	reading_again(&r);
	(void)must_pin(&r);
	r.served = (struct served){.body = "other", .etag = "\"2\""};
	ret = http_files_layer(r.files, &r.file, NULL, &layer, &r.err);
	assert_int_equal(ret, -ERR_UNAVAILABLE);
	assert_non_null(strstr(error_text(r.err), "the file changed from sha256:2cf24"));
	reading_stop(&r);
}

static void a_file_that_changes_in_the_middle_is_an_error(void **state)
{
	struct digest key;
	struct reading r;

	reading_start(&r, *state, (struct served){.body = "hello", .etag = "\"1\"", .cut = 2});
	assert_int_equal(http_files_pin(r.files, &r.file, NULL, &key, &r.err), -ERR_UNAVAILABLE);
	assert_non_null(strstr(error_text(r.err), "changed while it was fetched"));
	reading_stop(&r);
}

static void a_wrong_checksum_names_both_digests(void **state)
{
	struct digest key;
	struct reading r;
	int64_t layer;

	reading_start(&r, *state, (struct served){.body = "hellO"});
	(void)must_pin(&r); /* somebody else reads it without checksum */
	for (int i = 0; i < 2; i++) {
		r.file.checksum = HELLO;
		assert_int_equal(http_files_pin(r.files, &r.file, NULL, &key, NULL), 0);
		assert_int_equal(http_files_layer(r.files, &r.file, NULL, &layer, &r.err),
				 -ERR_CORRUPT);
		assert_non_null(strstr(error_text(r.err), "digest mismatch sha256:"));
		assert_non_null(strstr(error_text(r.err), ": " HELLO));
		error_free(r.err);
		r.err = NULL;
		reading_again(&r);
	}
	reading_stop(&r);
}

static void with_a_checksum_the_server_is_asked_for_bytes_only(void **state)
{
	_cleanup_free_ char *got = NULL;
	struct reading r;

	reading_start(&r, *state, (struct served){.body = "hello", .modified = LAST_MODIFIED});
	r.file.checksum = HELLO;
	(void)must_pin(&r);
	assert_int_equal(r.server.requests, 0);
	got = must_read(&r);
	assert_string_equal(got, "f.txt 0600 0:0 784111777 'hello'");
	reading_stop(&r);
	assert_int_equal(r.server.requests, 1);
}

static void a_checksum_that_is_none_is_an_error(void **state)
{
	struct digest key;
	struct reading r;

	reading_start(&r, *state, (struct served){.body = "hello"});
	r.file.checksum = "sha1:123";
	assert_int_equal(http_files_pin(r.files, &r.file, NULL, &key, NULL), -ERR_INVALID);
	reading_stop(&r);
}

static void what_the_server_refuses_is_told_with_its_status(void **state)
{
	static const struct {
		int status, code;
	} cases[] = {
		{404, ERR_NOTFOUND}, {403, ERR_DENIED}, {401, ERR_DENIED}, {500, ERR_UNAVAILABLE}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text =
			xasprintf("invalid response status %d", cases[i].status);
		struct digest key;
		struct reading r;

		reading_start(&r, *state, (struct served){.status = cases[i].status});
		assert_int_equal(http_files_pin(r.files, &r.file, NULL, &key, &r.err),
				 -cases[i].code);
		assert_non_null(strstr(error_text(r.err), text));
		reading_stop(&r);
	}
}

static void a_secret_for_the_host_is_sent_as_token_or_as_header(void **state)
{
	static const char *const prefixes[] = {"HTTP_AUTH_TOKEN_", "HTTP_AUTH_HEADER_"};
	static const char *const sent[] = {"Bearer s3cret", "s3cret"};

	setenv("KILN_TEST_SECRET", "s3cret", 1);
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		_cleanup_free_ char *id = NULL;
		struct reading r;

		reading_start(&r, *state, (struct served){.body = "hello"});
		id = xasprintf("%s%s", prefixes[i], r.server.host);
		grants_add_secret(&r.grants, id, NULL, "KILN_TEST_SECRET");
		(void)must_pin(&r);
		reading_stop(&r);
		assert_string_equal(r.served.authorization, sent[i]);
	}
	unsetenv("KILN_TEST_SECRET");
}

/* Hosts that the tables of hostile URLs look like. */
static const char *const looks[] = {"127.0.0.1", "127.0.0.1:80", "localhost", "[::1]",
				    "[::1]:80",	 "2130706433",	 "u"};

static void give_secrets(struct grants *grants)
{
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		_cleanup_free_ char *id = xasprintf("HTTP_AUTH_TOKEN_%s", looks[i]);

		grants_add_secret(grants, id, NULL, "KILN_TEST_SECRET");
	}
}

static void a_url_that_looks_like_another_host_does_not_get_its_secret(void **state)
{
	setenv("KILN_TEST_SECRET", "s3cret", 1);
	for (size_t i = 0; i < ARRAY_SIZE(hostile_users); i++) {
		struct reading r;
		struct digest key;

		reading_start(&r, *state, (struct served){.body = "hello"});
		give_secrets(&r.grants);
		free(r.url);
		r.url = hostile_url(hostile_users[i], r.server.host);
		r.file.url = r.url;
		(void)!http_files_pin(r.files, &r.file, NULL, &key, &r.err);
		reading_stop(&r);
		assert_null(strstr(r.served.authorization, "s3cret"));
	}
	unsetenv("KILN_TEST_SECRET");
}

static void a_redirect_to_a_hostile_url_is_no_file(void **state)
{
	struct served stolen = {.body = "stolen"};
	struct fake_server away;

	fake_start(&away, serve, &stolen);
	for (size_t i = 0; i < ARRAY_SIZE(hostile_users); i++) {
		_cleanup_free_ char *to = hostile_url(hostile_users[i], away.host);
		struct reading r;
		struct digest key;
		int k;

		reading_start(&r, *state, (struct served){.status = 302, .location = to});
		k = http_files_pin(r.files, &r.file, NULL, &key, &r.err);
		if (k != -ERR_DENIED && k != -ERR_INVALID)
			fail_msg("'%s': %d", to, k);
		reading_stop(&r);
	}
	fake_stop(&away);
	assert_int_equal(away.requests, 0);
}

static void the_store_keeps_no_url(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf db = BUF_INIT;
	_cleanup_free_ char *url = NULL;
	struct reading r;
	int fd;

	reading_start(&r, f, (struct served){.body = "hello", .etag = "\"1\""});
	url = xasprintf("http://user:hunter2@%s/x", r.server.host);
	r.file.url = url;
	(void)must_pin(&r);
	reading_stop(&r);
	assert_string_equal(r.served.authorization, "Basic dXNlcjpodW50ZXIy");
	fd = openat(store_dirfd(f->s), "kiln.db-wal", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fs_read_fd(fd, &db), 0);
	close(fd);
	assert_null(memmem(db.p, db.n, "hunter2", 7));
}

static void an_op_s_attributes_are_read(void **state)
{
	static const struct op_pair good[] = {{"http.filename", "x"},
					      {"http.gid", "8"},
					      {"http.perm", "0644"},
					      {"http.uid", "7"}};
	static const struct op_pair bad[][1] = {
		{{"http.filename", "a/b"}}, {{"http.filename", ".."}}, {{"http.perm", "rw"}},
		{{"http.perm", "010000"}},  {{"http.uid", "-1"}},      {{"http.colour", "red"}}};
	struct op_source op = {.identifier = "http://h/", .attrs = {good, ARRAY_SIZE(good)}};
	struct http_file f;

	(void)state;
	assert_int_equal(http_file_of_op(&op, &f, NULL), 0);
	assert_string_equal(f.filename, "x");
	assert_int_equal(f.mode, 0644);
	assert_int_equal(f.uid, 7);
	assert_int_equal(f.gid, 8);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		op.attrs = (struct op_pairs){bad[i], 1};
		assert_true(http_file_of_op(&op, &f, NULL) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_url_becomes_a_private_file_with_the_time_of_the_server),
		cmocka_unit_test(a_server_without_times_gives_the_epoch_and_empty_files_are_files),
		cmocka_unit_test(a_file_that_did_not_change_is_not_sent_again),
		cmocka_unit_test(what_is_gone_from_the_cache_is_fetched_again),
		cmocka_unit_test(the_key_follows_the_bytes_the_time_and_the_file_s_form),
		cmocka_unit_test(one_command_sees_one_version),
		cmocka_unit_test(a_file_that_changes_between_key_and_bytes_is_an_error),
		cmocka_unit_test(a_file_that_changes_in_the_middle_is_an_error),
		cmocka_unit_test(a_wrong_checksum_names_both_digests),
		cmocka_unit_test(with_a_checksum_the_server_is_asked_for_bytes_only),
		cmocka_unit_test(a_checksum_that_is_none_is_an_error),
		cmocka_unit_test(what_the_server_refuses_is_told_with_its_status),
		cmocka_unit_test(a_secret_for_the_host_is_sent_as_token_or_as_header),
		cmocka_unit_test(a_url_that_looks_like_another_host_does_not_get_its_secret),
		cmocka_unit_test(a_redirect_to_a_hostile_url_is_no_file),
		cmocka_unit_test(the_store_keeps_no_url),
		cmocka_unit_test(an_op_s_attributes_are_read),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
