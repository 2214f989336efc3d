/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "engine/stream/inflate.h"

/* A reader that gives at most `step` bytes at a time. */
struct source {
	const struct buf *bytes;
	size_t at, step;
};

static int read_source(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	struct source *s = data;
	size_t left = s->bytes->n - s->at;

	(void)err;
	n = n < s->step ? n : s->step;
	n = n < left ? n : left;
	memcpy(p, s->bytes->p + s->at, n);
	s->at += n;
	*ret = n;
	return 0;
}

static int inflate_all(const struct buf *in, size_t step, size_t out_step, struct buf *out,
		       struct error **err)
{
	struct source s = {.bytes = in, .step = step};
	_cleanup_(inflate_freep) struct inflate *inf = inflate_open(read_source, &s);
	_cleanup_free_ char *p = xmalloc(out_step);
	size_t n = 1;
	int r = 0;

	while (n > 0 && r == 0) {
		r = inflate_read(inf, p, out_step, &n, err);
		if (r == 0)
			buf_add(out, p, n);
	}
	if (r == 0)
		assert_int_equal(inflate_consumed(inf), in->n);
	return r;
}

static void add_gzip(struct buf *b, const void *p, size_t n)
{
	z_stream z = {0};
	size_t room = n + 1024;

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)p;
	z.avail_in = (uInt)n;
	z.next_out = (Bytef *)buf_reserve(b, room);
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	buf_commit(b, room - z.avail_out);
	deflateEnd(&z);
}

static void add_zstd(struct buf *b, const void *p, size_t n)
{
	size_t room = ZSTD_compressBound(n);
	char *to = buf_reserve(b, room);
	size_t got = ZSTD_compress(to, room, p, n, 3);

	assert_false(ZSTD_isError(got));
	buf_commit(b, got);
}

static void fill(struct buf *b, size_t n)
{
	uint32_t x = 12345;

	for (size_t i = 0; i < n; i++) {
		x = x * 1103515245 + 12345;
		buf_addc(b, (char)("kiln layers"[(x >> 16) % 11]));
	}
}

static void expect_plain(const struct buf *in, const struct buf *plain)
{
	static const size_t steps[] = {1, 2, 7, 4096, 1 << 20};

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT;

		assert_int_equal(inflate_all(in, steps[i], i % 2 ? 100000 : 333, &out, NULL), 0);
		assert_int_equal(out.n, plain->n);
		assert_memory_equal(out.p, plain->p, plain->n);
	}
}

static void all_members_of_a_gzip_are_read(void **state)
{
	_cleanup_buf_ struct buf plain = BUF_INIT, in = BUF_INIT;

	(void)state;
	fill(&plain, 200000);
	add_gzip(&in, plain.p, 1);
	add_gzip(&in, plain.p + 1, 0);
	add_gzip(&in, plain.p + 1, 70000);
	add_gzip(&in, plain.p + 70001, plain.n - 70001);
	expect_plain(&in, &plain);
}

static void all_frames_of_a_zstd_are_read(void **state)
{
	_cleanup_buf_ struct buf plain = BUF_INIT, in = BUF_INIT;

	(void)state;
	fill(&plain, 150000);
	buf_add(&in, "\x50\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
	add_zstd(&in, plain.p, 100);
	add_zstd(&in, plain.p + 100, plain.n - 100);
	expect_plain(&in, &plain);
}

static void plain_bytes_stay_as_they_are(void **state)
{
	_cleanup_buf_ struct buf plain = BUF_INIT, empty = BUF_INIT;

	(void)state;
	fill(&plain, 70000);
	expect_plain(&plain, &plain);
	expect_plain(&empty, &empty);
}

static void expect_damage(const struct buf *in)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_(error_freep) struct error *err = NULL;

	assert_int_equal(inflate_all(in, 4096, 4096, &out, &err), -ERR_CORRUPT);
	assert_non_null(strstr(error_text(err), "damaged"));
}

static void streams_that_end_early_are_damaged(void **state)
{
	_cleanup_buf_ struct buf plain = BUF_INIT, gz = BUF_INIT, zst = BUF_INIT;

	(void)state;
	fill(&plain, 5000);
	add_gzip(&gz, plain.p, plain.n);
	add_zstd(&zst, plain.p, plain.n);
	for (size_t n = gz.n - 1; n >= 2; n -= n > 40 ? 13 : 1) {
		buf_truncate(&gz, n);
		expect_damage(&gz);
	}
	for (size_t n = zst.n - 1; n >= 4; n -= n > 40 ? 13 : 1) {
		buf_truncate(&zst, n);
		expect_damage(&zst);
	}
}

static void a_wrong_checksum_or_other_bytes_after_a_member_are_damage(void **state)
{
	_cleanup_buf_ struct buf plain = BUF_INIT, gz = BUF_INIT;

	(void)state;
	fill(&plain, 5000);
	add_gzip(&gz, plain.p, plain.n);
	gz.p[gz.n - 6] ^= 1;
	expect_damage(&gz);
	gz.p[gz.n - 6] ^= 1;
	buf_adds(&gz, "tail");
	expect_damage(&gz);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_members_of_a_gzip_are_read),
		cmocka_unit_test(all_frames_of_a_zstd_are_read),
		cmocka_unit_test(plain_bytes_stay_as_they_are),
		cmocka_unit_test(streams_that_end_early_are_damaged),
		cmocka_unit_test(a_wrong_checksum_or_other_bytes_after_a_member_are_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
