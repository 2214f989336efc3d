/* SPDX-License-Identifier: Apache-2.0 */
/* headers.tar.gz was written by Go's archive/tar from the same list of headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "engine/stream/inflate.h"
#include "engine/stream/tar_write.h"

static const unsigned char capability[20] = {1, 0, 0, 2, 0, 4};

static int to_buf(void *data, const void *p, size_t n, struct error **err)
{
	(void)err;
	buf_add(data, p, n);
	return 0;
}

static int read_fd(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	ssize_t got = read(*(int *)data, p, n);

	(void)err;
	assert_true(got >= 0);
	*ret = (size_t)got;
	return 0;
}

static void unpack(int fd, struct buf *ret)
{
	struct inflate *in = inflate_open(read_fd, &fd);
	static char chunk[65536];
	size_t n;

	do {
		assert_int_equal(inflate_read(in, chunk, sizeof(chunk), &n, NULL), 0);
		buf_add(ret, chunk, n);
	} while (n > 0);
	inflate_free(in);
}

static char *repeat(const char *s, unsigned n, const char *end)
{
	struct buf b = BUF_INIT;

	while (n-- > 0)
		buf_adds(&b, s);
	buf_adds(&b, end);
	return buf_take(&b);
}

static void add(struct tar_writer *w, struct tar_header h, const char *body)
{
	if (h.mtime == 0)
		h.mtime = 1700000000;
	else if (h.mtime == INT64_MIN)
		h.mtime = 0;
	h.size = strlen(body);
	assert_int_equal(tar_write_header(w, &h, NULL), 0);
	assert_int_equal(tar_write_data(w, body, strlen(body), NULL), 0);
}

static void add_named(struct tar_writer *w, struct tar_header h, char *name, const char *body)
{
	h.name = name;
	add(w, h, body);
	free(name);
}

static void write_plain(struct tar_writer *w)
{
	struct tar_header file = {.type = TAR_FILE, .mode = 0644};
	struct tar_header dir = {.type = TAR_DIR, .mode = 0755};
	_cleanup_free_ char *b60 = repeat("b", 60, ""), *x512 = repeat("x", 512, "");
	_cleanup_free_ char *split = repeat("a", 60, "/");

	add(w, (struct tar_header){.type = TAR_DIR, .name = "dir/", .mode = 01777}, "");
	add(w, (struct tar_header){.type = TAR_FILE, .name = "dir/file", .mode = 0644}, "hello\n");
	add(w,
	    (struct tar_header){
		    .type = TAR_FILE, .name = "dir/suid", .mode = 04755, .uid = 1000, .gid = 1000},
	    x512);
	add_named(w, file, xasprintf("%s%s", split, b60), "split");
	add_named(w, file, repeat("a", 101, ""), "long");
	add_named(w, file, repeat("a", 100, ""), "fits");
	add_named(w, dir, repeat("d", 99, "/"), "");
	add_named(w, dir, repeat("d", 100, "/"), "");
	add_named(w, dir, repeat("d/", 130, ""), "");
	file.mode = 0600;
	add_named(w, file, repeat("long/", 60, "end"), "very long");
	file.mode = 0644;
	add_named(w, file, xstrdup("caf\xc3\xa9/\xe6\x97\xa5\xe6\x9c\xac"), "utf8");
	add_named(w, file, xstrdup("bad\xff\xfename"), "not utf8");
}

static void write_special(struct tar_writer *w)
{
	struct tar_header h = {.type = TAR_DIR, .mode = 0644};
	_cleanup_free_ char *e60 = repeat("\xc3\xa9", 60, ""), *x99 = repeat("x", 99, "/y/");
	_cleanup_free_ char *t101 = repeat("t", 101, ""), *u30 = repeat("\xc3\xbc", 30, "");

	add_named(w, h, xasprintf("%s%s", e60, x99), "");
	h = (struct tar_header){
		.type = TAR_SYMLINK, .name = "link", .link = "dir/file", .mode = 0777};
	add(w, h, "");
	h.name = "link2";
	h.link = t101;
	add(w, h, "");
	h.name = "link3";
	h.link = u30;
	add(w, h, "");
	add(w,
	    (struct tar_header){
		    .type = TAR_HARDLINK, .name = "hard", .link = "dir/file", .mode = 0644},
	    "");
	add(w,
	    (struct tar_header){
		    .type = TAR_CHAR, .name = "null", .mode = 0666, .dev_major = 1, .dev_minor = 3},
	    "");
	add(w,
	    (struct tar_header){.type = TAR_BLOCK,
				.name = "sda",
				.mode = 0660,
				.gid = 6,
				.dev_major = 8,
				.dev_minor = 1048575},
	    "");
	add(w, (struct tar_header){.type = TAR_FIFO, .name = "pipe", .mode = 0644}, "");
}

static void write_records(struct tar_writer *w)
{
	struct tar_header h = {.type = TAR_FILE, .name = "cap", .mode = 0755};

	h.capability = capability;
	h.capability_size = sizeof(capability);
	add(w, h, "cap");
	add_named(w, h, repeat("p/", 60, "cap"), "cap");
	add(w,
	    (struct tar_header){.type = TAR_FILE,
				.name = "bigids",
				.mode = 0644,
				.uid = 2097152,
				.gid = 4294967294},
	    "");
	h.mode = 0644;
	h.uid = 3000000;
	h.gid = 4294967294;
	add_named(w, h, repeat("m", 120, "\xc3\xa9"), "");
	h = (struct tar_header){.type = TAR_FILE, .name = "old", .mode = 0644, .mtime = -86400};
	add(w, h, "");
	h.name = "late";
	h.mtime = 8589934592;
	add(w, h, "");
	h.name = "epoch";
	h.mtime = INT64_MIN;
	add(w, h, "");
	h = (struct tar_header){.type = TAR_FILE, .name = "dir/.wh.gone", .mtime = INT64_MIN};
	add(w, h, "");
}

static void headers_are_those_of_go(void **state)
{
	_cleanup_buf_ struct buf made = BUF_INIT, golden = BUF_INIT;
	int fd = open(TEST_DATA "/tar/headers.tar.gz", O_RDONLY | O_CLOEXEC);
	struct tar_writer w;

	(void)state;
	assert_true(fd >= 0);
	unpack(fd, &golden);
	close(fd);
	tar_writer_init(&w, to_buf, &made);
	write_plain(&w);
	write_special(&w);
	write_records(&w);
	assert_int_equal(tar_write_end(&w, NULL), 0);
	for (size_t i = 0; i < made.n && i < golden.n; i++)
		if (made.p[i] != golden.p[i])
			fail_msg("byte %zu (block %zu at %zu) differs", i, i / 512, i % 512);
	assert_int_equal(made.n, golden.n);
}

static void an_incomplete_file_is_an_error(void **state)
{
	_cleanup_buf_ struct buf made = BUF_INIT;
	_cleanup_(error_freep) struct error *err = NULL;
	struct tar_header h = {.type = TAR_FILE, .name = "f", .size = 3};
	struct tar_writer w;

	(void)state;
	tar_writer_init(&w, to_buf, &made);
	assert_int_equal(tar_write_header(&w, &h, NULL), 0);
	assert_int_equal(tar_write_data(&w, "ab", 2, NULL), 0);
	assert_int_equal(tar_write_data(&w, "cd", 2, NULL), -ERR_INTERNAL);
	assert_int_equal(tar_write_end(&w, &err), -ERR_INTERNAL);
	assert_non_null(strstr(error_text(err), "1 bytes"));
}

static void a_file_that_shrank_is_found_out(void **state)
{
	_cleanup_buf_ struct buf made = BUF_INIT;
	_cleanup_(error_freep) struct error *err = NULL;
	struct tar_header h = {.type = TAR_FILE, .name = "f", .size = 1};
	_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct tar_writer w;

	(void)state;
	tar_writer_init(&w, to_buf, &made);
	assert_int_equal(tar_write_header(&w, &h, NULL), 0);
	assert_int_equal(tar_write_fd(&w, fd, "f", NULL, &err), -ERR_CORRUPT);
	assert_non_null(strstr(error_text(err), "shorter"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_those_of_go),
		cmocka_unit_test(an_incomplete_file_is_an_error),
		cmocka_unit_test(a_file_that_shrank_is_found_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
