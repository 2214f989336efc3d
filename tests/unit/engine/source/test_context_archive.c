/* SPDX-License-Identifier: Apache-2.0 */
#include "file_fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/mman.h>

#include "base/digest.h"
#include "base/times.h"
#include "engine/engine.h"
#include "engine/layer/unpack_archive.h"
#include "engine/source/context_archive.h"
#include "fake_server.h"
#include "tar_build.h"

static struct engine *open_engine(struct fixture *f)
{
	struct engine *e = NULL;
	struct error *err = NULL;

	if (engine_open(f->store, NULL, &e, &err) < 0)
		fail_msg("%s", error_text(err));
	return e;
}

/* What a stream of these bytes is taken for. */
static int read_bytes(struct engine *e, const void *p, size_t n, struct context_archive *ret,
		      struct error **err)
{
	int fd = memfd_create("stream", MFD_CLOEXEC), r;

	assert_true(fd >= 0);
	assert_int_equal(fs_write_full(fd, p, n), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	r = context_archive_read(&e->sources, fd, "the stream", NULL, ret, err);
	(void)close(fd);
	return r;
}

static void expect_refused(struct fixture *f, const struct buf *tar, const char *why)
{
	_cleanup_(context_archive_release) struct context_archive c = CONTEXT_ARCHIVE_INIT;
	_cleanup_(error_freep) struct error *err = NULL;
	struct engine *e = open_engine(f);
	_cleanup_free_ char *path = xasprintf("%s/tmp", store_root(f->store));

	assert_int_equal(read_bytes(e, tar->p, tar->n, &c, &err), -ERR_INVALID);
	if (!strstr(error_text(err), why))
		fail_msg("'%s' lacks '%s'", error_text(err), why);
	assert_non_null(strstr(error_text(err), "the stream"));
	engine_close(e);
	/* Nothing half made stays. */
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void assert_layer(struct fixture *f, int64_t layer, const char *expect)
{
	struct result *r = result_new_rootfs(&layer, 1);

	assert_result(f, r, expect);
	result_unref(r);
}

static void compress_with(int filter, const struct buf *tar, struct buf *ret)
{
	struct archive *a = archive_write_new();
	size_t size = tar->n + (1 << 16), used = 0;
	char *out = xmalloc(size);
	struct archive_entry *entry;

	archive_write_set_format_raw(a);
	assert_int_equal(archive_write_add_filter(a, filter), ARCHIVE_OK);
	archive_write_set_bytes_in_last_block(a, 1);
	assert_int_equal(archive_write_open_memory(a, out, size, &used), ARCHIVE_OK);
	entry = archive_entry_new();
	archive_entry_set_filetype(entry, AE_IFREG);
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, tar->p, tar->n), tar->n);
	archive_entry_free(entry);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	buf_add(ret, out, used);
	free(out);
}

static void archives_of_every_kind_become_a_layer_as_they_are(void **state)
{
	static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP,
				      ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD};
	struct fixture *f = *state;
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct engine *e = open_engine(f);

	TAR_ADD(&tar, .name = "./", .type = '5', .mode = 0755);
	TAR_ADD(&tar, .name = "./.dockerignore", .type = '0', .data = "*");
	TAR_ADD(&tar, .name = "./d/", .type = '5', .mode = 0750, .uid = 7);
	TAR_ADD(&tar, .name = "./d/f", .type = '0', .mode = 0640, .uid = 7, .data = "text");
	TAR_ADD(&tar, .name = "./h", .type = '1', .link = "./d/f", .mode = 0640, .uid = 7);
	TAR_ADD(&tar, .name = "./l", .type = '2', .link = "/etc/passwd");
	tar_end(&tar);
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		_cleanup_(context_archive_release) struct context_archive c = CONTEXT_ARCHIVE_INIT;
		_cleanup_buf_ struct buf packed = BUF_INIT;

		compress_with(filters[i], &tar, &packed);
		assert_int_equal(read_bytes(e, packed.p, packed.n, &c, NULL), 0);
		assert_false(c.is_dockerfile);
		assert_layer(f, c.layer,
			     "f 0644 0:0 .dockerignore '*'\nd 0750 7:7 d\nf 0640 7:7 d/f 'text'\n"
			     "f 0640 7:7 h 'text'\nl 0777 0:0 l -> /etc/passwd\n");
	}
	engine_close(e);
}

static void what_is_no_archive_is_a_dockerfile(void **state)
{
	static const char *const texts[] = {"", "FROM scratch\n", "# ustar\n"};
	struct engine *e = open_engine(*state);

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_(context_archive_release) struct context_archive c = CONTEXT_ARCHIVE_INIT;

		assert_int_equal(read_bytes(e, texts[i], strlen(texts[i]), &c, NULL), 0);
		assert_true(c.is_dockerfile);
		assert_string_equal(c.dockerfile.p, texts[i]);
		assert_int_equal(c.layer, 0);
	}
	engine_close(e);
}

static void more_than_a_dockerfile_can_be_is_refused(void **state)
{
	struct buf text = BUF_INIT;
	struct fixture *f = *state;

	while (text.n <= CONTEXT_DOCKERFILE_MAX)
		buf_adds(&text, "RUN a long and boring command that does nothing at all, really\n");
	expect_refused(f, &text, "too large for a Dockerfile");
	buf_release(&text);
}

static void one_bad_entry_refuses_the_archive(void **state)
{
	static const struct {
		struct tar_item items[2];
		const char *why;
	} cases[] = {
		{{{.name = "/etc/passwd", .type = '0', .data = "x"}}, "the name is absolute"},
		{{{.name = "../up", .type = '0', .data = "x"}}, "the name contains '..'"},
		{{{.name = "a/../../up", .type = '0', .data = "x"}}, "the name contains '..'"},
		{{{.name = "a/..", .type = '5'}}, "the name contains '..'"},
		{{{.name = "out", .type = '2', .link = "/etc"},
		  {.name = "out/passwd", .type = '0', .data = "x"}},
		 "behind a symlink"},
		{{{.name = "out", .type = '2', .link = "../.."}, {.name = "out/x", .type = '5'}},
		 "behind a symlink"},
		{{{.name = "out", .type = '2', .link = "out"},
		  {.name = "out/x", .type = '0', .data = "x"}},
		 "out"},
		{{{.name = "h", .type = '1', .link = "/etc/passwd"}}, "target is absolute"},
		{{{.name = "h", .type = '1', .link = "../../etc/passwd"}}, "target contains '..'"},
		{{{.name = "h", .type = '1', .link = "nothing"}}, "does not exist"},
		{{{.name = "sda", .type = '4', .major = 8}}, "it is a device"},
		{{{.name = "null", .type = '3', .major = 1, .minor = 3}}, "it is a device"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf tar = BUF_INIT;

		TAR_ADD(&tar, .name = "Dockerfile", .type = '0', .data = "FROM scratch\n");
		for (size_t k = 0; k < 2 && cases[i].items[k].name; k++)
			tar_item_add(&tar, &cases[i].items[k]);
		tar_end(&tar);
		expect_refused(f, &tar, cases[i].why);
	}
}

static void names_with_dots_in_them_are_fine(void **state)
{
	_cleanup_(context_archive_release) struct context_archive c = CONTEXT_ARCHIVE_INIT;
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct engine *e = open_engine(*state);

	TAR_ADD(&tar, .name = "..a/b../...", .type = '0', .data = "x");
	tar_end(&tar);
	assert_int_equal(read_bytes(e, tar.p, tar.n, &c, NULL), 0);
	assert_layer(*state, c.layer,
		     "d 0755 0:0 ..a\nd 0755 0:0 ..a/b..\nf 0644 0:0 ..a/b../... 'x'\n");
	engine_close(e);
}

static void a_damaged_archive_is_no_dockerfile(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf tar = BUF_INIT, packed = BUF_INIT;

	for (unsigned i = 0; i < 64; i++) {
		struct digest d = digest_of(&i, sizeof(i));

		TAR_ADD(&tar, .name = "f", .type = '0', .data = (const char *)d.b, .size = 32);
	}
	tar_end(&tar);
	compress_with(ARCHIVE_FILTER_GZIP, &tar, &packed);
	buf_truncate(&packed, packed.n / 2);
	expect_refused(f, &packed, "truncated");
	buf_truncate(&packed, 30);
	expect_refused(f, &packed, "unpack");
}

static void with_config(struct fixture *f, const char *json)
{
	_cleanup_free_ char *path = xasprintf("%s/config.json", f->dir);

	assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, json, strlen(json), 0600), 0);
	setenv("KILN_CONFIG", path, 1);
}

static void a_decompression_bomb_meets_the_configured_limit(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *zeros = xcalloc(1, 3 << 20);
	_cleanup_(context_archive_release) struct context_archive c = CONTEXT_ARCHIVE_INIT;
	_cleanup_buf_ struct buf tar = BUF_INIT, packed = BUF_INIT;
	struct engine *e;

	TAR_ADD(&tar, .name = "zeros", .type = '0', .data = zeros, .size = 3 << 20);
	tar_end(&tar);
	compress_with(ARCHIVE_FILTER_GZIP, &tar, &packed);
	with_config(f, "{\"limits\": {\"archive-size\": \"2MiB\"}}");
	expect_refused(f, &packed, "more than 2097152 bytes");
	with_config(f, "{\"limits\": {\"archive-size\": \"3MiB\"}}");
	e = open_engine(f);
	assert_int_equal(read_bytes(e, packed.p, packed.n, &c, NULL), 0);
	engine_close(e);
	unsetenv("KILN_CONFIG");
}

static void a_crowd_of_entries_meets_the_configured_limit(void **state)
{
	_cleanup_(context_archive_release) struct context_archive c = CONTEXT_ARCHIVE_INIT;
	struct fixture *f = *state;
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct engine *e;

	for (int i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		TAR_ADD(&tar, .name = name, .type = '0', .data = "");
	}
	tar_end(&tar);
	with_config(f, "{\"limits\": {\"archive-entries\": 99}}");
	expect_refused(f, &tar, "more than 99 entries");
	with_config(f, "{\"limits\": {\"archive-entries\": 100}}");
	e = open_engine(f);
	assert_int_equal(read_bytes(e, tar.p, tar.n, &c, NULL), 0);
	engine_close(e);
	unsetenv("KILN_CONFIG");
}

/* --- by URL --- */

struct served {
	struct buf body;
	int full;
};

static void serve(struct fake_server *s, const struct fake_request *req, int fd)
{
	struct served *served = s->data;
	_cleanup_free_ char *match = fake_header(req, "if-none-match");

	if (match) {
		fake_answer(fd, 304, "ETag: \"1\"\r\n", NULL, 0);
		return;
	}
	served->full++;
	fake_answer(fd, 200, "ETag: \"1\"\r\n", served->body.p, served->body.n);
}

static void a_url_that_did_not_change_is_not_fetched_or_unpacked_again(void **state)
{
	struct served served = {.body = BUF_INIT};
	struct fixture *f = *state;
	_cleanup_free_ char *url = NULL;
	struct fake_server s;
	int64_t first = 0;

	TAR_ADD(&served.body, .name = "f", .type = '0', .data = "x");
	tar_end(&served.body);
	fake_start(&s, serve, &served);
	url = xasprintf("http://%s/context.tar", s.host);
	for (int i = 0; i < 2; i++) {
		_cleanup_(context_archive_release) struct context_archive c = CONTEXT_ARCHIVE_INIT;
		struct engine *e = open_engine(f);

		assert_int_equal(context_archive_fetch(&e->sources, url, NULL, &c, NULL), 0);
		assert_false(c.is_dockerfile);
		assert_layer(f, c.layer, "f 0644 0:0 f 'x'\n");
		assert_true(i == 0 || c.layer == first);
		first = c.layer;
		engine_close(e);
	}
	fake_stop(&s);
	assert_int_equal(served.full, 1);
	assert_int_equal(s.requests, 2);
	buf_release(&served.body);
}

static void a_url_of_a_plain_file_is_a_dockerfile(void **state)
{
	struct served served = {.body = BUF_INIT};
	struct fixture *f = *state;
	_cleanup_free_ char *url = NULL;
	struct fake_server s;

	buf_adds(&served.body, "FROM scratch\n");
	fake_start(&s, serve, &served);
	url = xasprintf("http://%s/Dockerfile", s.host);
	for (int i = 0; i < 2; i++) {
		_cleanup_(context_archive_release) struct context_archive c = CONTEXT_ARCHIVE_INIT;
		struct engine *e = open_engine(f);

		assert_int_equal(context_archive_fetch(&e->sources, url, NULL, &c, NULL), 0);
		assert_true(c.is_dockerfile);
		assert_string_equal(c.dockerfile.p, "FROM scratch\n");
		engine_close(e);
	}
	fake_stop(&s);
	assert_int_equal(served.full, 1);
	buf_release(&served.body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(archives_of_every_kind_become_a_layer_as_they_are),
		cmocka_unit_test(what_is_no_archive_is_a_dockerfile),
		cmocka_unit_test(more_than_a_dockerfile_can_be_is_refused),
		cmocka_unit_test(one_bad_entry_refuses_the_archive),
		cmocka_unit_test(names_with_dots_in_them_are_fine),
		cmocka_unit_test(a_damaged_archive_is_no_dockerfile),
		cmocka_unit_test(a_decompression_bomb_meets_the_configured_limit),
		cmocka_unit_test(a_crowd_of_entries_meets_the_configured_limit),
		cmocka_unit_test(a_url_that_did_not_change_is_not_fetched_or_unpacked_again),
		cmocka_unit_test(a_url_of_a_plain_file_is_a_dockerfile),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
