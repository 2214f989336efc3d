/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "engine/stream/compress.h"
#include "engine/stream/inflate.h"

/* More than a few blocks of every codec, part of it hard to compress. */
#define INPUT_SIZE ((size_t)5 * 1024 * 1024 + 12345)

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

static unsigned char *make_input(size_t n)
{
	unsigned char *p = xmalloc(n);
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = i % 8192 < 2048 ? (unsigned char)(x >> 24) : (unsigned char)(i >> 7);
	}
	return p;
}

static void run_level(enum compression type, int level, unsigned threads, const unsigned char *p,
		      size_t n, size_t step, struct buf *ret)
{
	struct compress_options o = {.type = type, .level = level, .threads = threads};
	struct compress *c;

	assert_int_equal(compress_open(&o, to_buf, ret, &c, NULL), 0);
	for (size_t i = 0; i < n; i += step)
		compress_write(c, p + i, n - i < step ? n - i : step);
	assert_int_equal(compress_finish(c, NULL), 0);
	compress_free(c);
}

static void run(enum compression type, unsigned threads, const unsigned char *p, size_t n,
		size_t step, struct buf *ret)
{
	run_level(type, COMPRESS_LEVEL_DEFAULT, threads, p, n, step, ret);
}

static void assert_unpacks_to(const struct buf *packed, const unsigned char *p, size_t n)
{
	_cleanup_close_ int fd = memfd_create("packed", MFD_CLOEXEC);
	_cleanup_buf_ struct buf plain = BUF_INIT;

	assert_int_equal(write(fd, packed->p, packed->n), packed->n);
	lseek(fd, 0, SEEK_SET);
	unpack(fd, &plain);
	assert_int_equal(plain.n, n);
	assert_memory_equal(plain.p, p, n);
}

static void check_codec(enum compression type)
{
	_cleanup_free_ unsigned char *p = make_input(INPUT_SIZE);
	_cleanup_buf_ struct buf one = BUF_INIT, many = BUF_INIT;

	run(type, 1, p, INPUT_SIZE, INPUT_SIZE, &one);
	run(type, 4, p, INPUT_SIZE, 1009, &many);
	assert_true(one.n < INPUT_SIZE);
	assert_int_equal(one.n, many.n);
	assert_memory_equal(one.p, many.p, one.n);
	assert_unpacks_to(&one, p, INPUT_SIZE);
}

static void gzip_bytes_do_not_depend_on_threads_or_writes(void **state)
{
	(void)state;
	check_codec(COMPRESS_GZIP);
}

/* Any block size, compressible or not, with and without something before it. */
static void fast_gzip_unpacks_to_what_it_was(void **state)
{
	static const size_t sizes[] = {0, 1, 512 * 1024, 512 * 1024 + 1, INPUT_SIZE};
	_cleanup_free_ unsigned char *p = make_input(INPUT_SIZE);
	uint64_t x = 1;

	(void)state;
	for (unsigned noise = 0; noise < 2; noise++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			_cleanup_buf_ struct buf one = BUF_INIT, many = BUF_INIT;

			run_level(COMPRESS_GZIP, COMPRESS_LEVEL_FAST, 1, p, sizes[i], 70000, &one);
			run_level(COMPRESS_GZIP, COMPRESS_LEVEL_FAST, 4, p, sizes[i], 1009, &many);
			assert_unpacks_to(&one, p, sizes[i]);
			assert_int_equal(one.n, many.n);
			assert_memory_equal(one.p, many.p, one.n);
			assert_true(noise || sizes[i] < 2 || one.n < sizes[i] / 2);
		}
		for (size_t i = 0; i < INPUT_SIZE; i++) {
			x = x * 6364136223846793005U + 1442695040888963407U;
			p[i] = (unsigned char)(x >> 56);
		}
	}
}

static void zstd_bytes_do_not_depend_on_threads_or_writes(void **state)
{
	(void)state;
	check_codec(COMPRESS_ZSTD);
}

static void block_boundaries_and_nothing_at_all_round_trip(void **state)
{
	static const size_t sizes[] = {0, 1, 512 * 1024, 512 * 1024 + 1, 1024 * 1024};
	_cleanup_free_ unsigned char *p = make_input(1024 * 1024);

	(void)state;
	for (int type = COMPRESS_NONE; type <= COMPRESS_ZSTD; type++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			_cleanup_buf_ struct buf b = BUF_INIT;

			run((enum compression)type, 2, p, sizes[i], 4096, &b);
			assert_unpacks_to(&b, p, sizes[i]);
		}
}

static void the_gzip_header_has_no_name_and_no_time(void **state)
{
	static const unsigned char header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	run(COMPRESS_GZIP, 1, (const unsigned char *)"x", 1, 1, &b);
	assert_memory_equal(b.p, header, sizeof(header));
}

static int refuse(void *data, const void *p, size_t n, struct error **err)
{
	(void)data;
	(void)p;
	(void)n;
	return error_new(err, ERR_NOSPACE, 0, "no room");
}

static void a_failing_sink_stops_the_stream_and_is_reported(void **state)
{
	_cleanup_free_ unsigned char *p = make_input(INPUT_SIZE);

	(void)state;
	for (int type = COMPRESS_NONE; type <= COMPRESS_ZSTD; type++) {
		struct compress_options o = {.type = (enum compression)type,
					     .level = COMPRESS_LEVEL_DEFAULT,
					     .threads = 2};
		_cleanup_(error_freep) struct error *err = NULL;
		struct compress *c;

		assert_int_equal(compress_open(&o, refuse, NULL, &c, NULL), 0);
		compress_write(c, p, INPUT_SIZE);
		assert_int_equal(compress_finish(c, &err), -ERR_NOSPACE);
		assert_string_equal(error_text(err), "no room");
		compress_free(c);
	}
}

static void an_unfinished_stream_can_be_freed(void **state)
{
	_cleanup_free_ unsigned char *p = make_input(INPUT_SIZE);
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct compress_options o = {.type = COMPRESS_GZIP, .level = 1, .threads = 3};
	struct compress *c;

	(void)state;
	assert_int_equal(compress_open(&o, to_buf, &b, &c, NULL), 0);
	compress_write(c, p, INPUT_SIZE);
	compress_free(c);
}

static void unknown_names_and_levels_are_refused(void **state)
{
	_cleanup_(error_freep) struct error *err = NULL, *err2 = NULL;
	struct compress_options o = {.type = COMPRESS_GZIP, .level = 10};
	enum compression type;
	struct compress *c;

	(void)state;
	assert_int_equal(compress_parse("lzma", &type, &err), -ERR_INVALID);
	assert_non_null(strstr(error_text(err), "'lzma'"));
	assert_int_equal(compress_open(&o, refuse, NULL, &c, &err2), -ERR_INVALID);
	assert_non_null(strstr(error_text(err2), "level 10"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gzip_bytes_do_not_depend_on_threads_or_writes),
		cmocka_unit_test(fast_gzip_unpacks_to_what_it_was),
		cmocka_unit_test(zstd_bytes_do_not_depend_on_threads_or_writes),
		cmocka_unit_test(block_boundaries_and_nothing_at_all_round_trip),
		cmocka_unit_test(the_gzip_header_has_no_name_and_no_time),
		cmocka_unit_test(a_failing_sink_stops_the_stream_and_is_reported),
		cmocka_unit_test(an_unfinished_stream_can_be_freed),
		cmocka_unit_test(unknown_names_and_levels_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
