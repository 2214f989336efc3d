/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mp.h"

static const int64_t numbers[] = {
	0,	   1,	      127,	  128,	       255,	  256,	     65535,
	65536,	   INT32_MAX, UINT32_MAX, 0x100000000, INT64_MAX, -1,	     -32,
	-33,	   -128,      -129,	  -32768,      -32769,	  INT32_MIN, (int64_t)INT32_MIN - 1,
	INT64_MIN,
};

static void numbers_come_back_as_they_went(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		struct mp_reader r;
		int64_t v = 1;

		mp_put_int(&b, numbers[i]);
		r = mp_reader("test", b.p, b.n);
		assert_int_equal(mp_get_int(&r, &v, NULL), 0);
		assert_true(v == numbers[i]);
		assert_int_equal(mp_finish(&r, NULL), 0);
	}
}

static void signed_and_unsigned_writing_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		_cleanup_buf_ struct buf a = BUF_INIT, b = BUF_INIT;

		if (numbers[i] < 0)
			continue;
		mp_put_int(&a, numbers[i]);
		mp_put_uint(&b, (uint64_t)numbers[i]);
		assert_int_equal(a.n, b.n);
		assert_memory_equal(a.p, b.p, a.n);
	}
}

static void put_document(struct buf *b)
{
	struct digest d = digest_of("x", 1);

	mp_put_map(b, 6);
	mp_put_key(b, "bytes");
	mp_put_bin(b, "\0\1", 2);
	mp_put_key(b, "digest");
	mp_put_digest(b, &d);
	mp_put_key(b, "flag");
	mp_put_bool(b, true);
	mp_put_key(b, "list");
	mp_put_array(b, 2);
	mp_put_str(b, "one");
	mp_put_str(b, NULL);
	mp_put_key(b, "none");
	mp_put_nil(b);
	mp_put_key(b, "number");
	mp_put_uint(b, UINT64_MAX);
}

static void documents_come_back_as_they_went(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct digest d, x = digest_of("x", 1);
	struct mp_reader r;
	struct mp_map m;
	struct mp_text key, text;
	const void *p;
	uint64_t number;
	bool flag = false;
	char *s;
	size_t n;

	(void)state;
	put_document(&b);
	r = mp_reader("test", b.p, b.n);
	assert_int_equal(mp_get_map(&r, &m, NULL), 0);
	assert_int_equal(mp_map_next(&r, &m, &key, NULL), 1);
	assert_true(mp_text_is(key, "bytes"));
	assert_int_equal(mp_get_bin(&r, 2, &p, &n, NULL), 0);
	assert_memory_equal(p, "\0\1", 2);
	assert_int_equal(mp_map_next(&r, &m, &key, NULL), 1);
	assert_int_equal(mp_get_digest(&r, &d, NULL), 0);
	assert_true(digest_equal(&d, &x));
	assert_int_equal(mp_map_next(&r, &m, &key, NULL), 1);
	assert_int_equal(mp_get_bool(&r, &flag, NULL), 0);
	assert_true(flag);
	assert_int_equal(mp_map_next(&r, &m, &key, NULL), 1);
	assert_int_equal(mp_get_array(&r, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(mp_get_string(&r, 3, &s, NULL), 0);
	assert_string_equal(s, "one");
	free(s);
	assert_int_equal(mp_get_str(&r, 0, &text, NULL), 0);
	assert_int_equal(mp_map_next(&r, &m, &key, NULL), 1);
	assert_int_equal(mp_get_nil(&r, &flag, NULL), 0);
	assert_true(flag);
	assert_int_equal(mp_map_next(&r, &m, &key, NULL), 1);
	assert_int_equal(mp_get_uint(&r, UINT64_MAX, &number, NULL), 0);
	assert_true(number == UINT64_MAX);
	assert_int_equal(mp_map_next(&r, &m, &key, NULL), 0);
	assert_int_equal(mp_finish(&r, NULL), 0);
}

/* What stored records and keys are made of, at every border between two forms. A change of one byte
 * makes every cache cold. */
static void the_bytes_of_values_are_fixed(void **state)
{
	static const size_t sizes[] = {0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536};
	static const char expect[] =
		"dc5e4bb5bd05cfad7a6d82b101953e946e8fc16cda509ce040fb31c2cce15af2";
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *body = xcalloc(1, 65536);
	char hex[DIGEST_HEX + 1];
	struct digest d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		mp_put_int(&b, numbers[i]);
		mp_put_uint(&b, (uint64_t)numbers[i]);
	}
	memset(body, 'x', 65536);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		mp_put_strn(&b, body, sizes[i]);
		mp_put_bin(&b, body, sizes[i]);
		mp_put_array(&b, sizes[i]);
		mp_put_map(&b, sizes[i]);
	}
	mp_put_strn(&b, NULL, 0);
	mp_put_bin(&b, NULL, 0);
	mp_put_array(&b, UINT32_MAX);
	mp_put_map(&b, UINT32_MAX);
	put_document(&b);
	d = digest_of(b.p, b.n);
	assert_string_equal(digest_hex(&d, hex), expect);
}

static void the_bytes_of_numbers_are_fixed(void **state)
{
	static const struct {
		int64_t v;
		const char *bytes;
		size_t n;
	} cases[] = {
		{0, "\x00", 1},
		{127, "\x7f", 1},
		{128, "\xcc\x80", 2},
		{255, "\xcc\xff", 2},
		{256, "\xcd\x01\x00", 3},
		{65535, "\xcd\xff\xff", 3},
		{65536, "\xce\x00\x01\x00\x00", 5},
		{UINT32_MAX, "\xce\xff\xff\xff\xff", 5},
		{0x100000000, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", 9},
		{-1, "\xff", 1},
		{-32, "\xe0", 1},
		{-33, "\xd0\xdf", 2},
		{-128, "\xd0\x80", 2},
		{-129, "\xd1\xff\x7f", 3},
		{-32769, "\xd2\xff\xff\x7f\xff", 5},
		{INT64_MIN, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		mp_put_int(&b, cases[i].v);
		assert_int_equal(b.n, cases[i].n);
		assert_memory_equal(b.p, cases[i].bytes, b.n);
	}
}

static void long_lists_and_texts_come_back(void **state)
{
	static const size_t sizes[] = {15, 16, 31, 32, 255, 256, 65535, 65536, 70000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		char *s = xcalloc(1, sizes[i]);
		struct mp_reader r;
		struct mp_text t;
		size_t n;

		mp_put_strn(&b, s, sizes[i]);
		mp_put_array(&b, sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			mp_put_uint(&b, k);
		r = mp_reader("test", b.p, b.n);
		assert_int_equal(mp_get_str(&r, sizes[i], &t, NULL), 0);
		assert_int_equal(t.n, sizes[i]);
		assert_int_equal(mp_get_array(&r, &n, NULL), 0);
		assert_int_equal(n, sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(mp_skip(&r, NULL), 0);
		assert_int_equal(mp_finish(&r, NULL), 0);
		free(s);
	}
}

static void what_is_not_canonical_is_corrupt(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *error;
	} cases[] = {
		{"", 0, "ends early"},
		{"\xcc\x05", 2, "shortest form"},
		{"\xcd\x00\xff", 3, "shortest form"},
		{"\xd0\x05", 2, "shortest form"},
		{"\xd0\xff", 2, "shortest form"},
		{"\xd1\xff\x80", 3, "shortest form"},
		{"\xd1\x01\x00", 3, "shortest form"},
		{"\xd3\x7f\xff\xff\xff\xff\xff\xff\xff", 9, "shortest form"},
		{"\xc5\x00\x01x", 4, "shortest form"},
		{"\xdb\x00\x00\x00\x00", 5, "shortest form"},
		{"\xd9\x01x", 3, "shortest form"},
		{"\xdc\x00\x01\x01", 4, "shortest form"},
		{"\xc1", 1, "a type that is not used here"},
		{"\xcb\0\0\0\0\0\0\0\0", 9, "a type that is not used here"},
		{"\xd4\x01\x02", 3, "a type that is not used here"},
		{"\xc9\xff\xff\xff\xff\x01", 6, "a type that is not used here"},
		{"\xdb\xff\xff\xff\xff", 5, "ends early"},
		{"\xc6\xff\xff\xff\xff", 5, "ends early"},
		{"\xa3xy", 3, "ends early"},
		{"\xcd\x01", 2, "ends early"},
		{"\xdd\xff\xff\xff\xff", 5, "more elements than there are bytes"},
		{"\xdf\xff\xff\xff\xff", 5, "more elements than there are bytes"},
		{"\x82\xa1x\x01", 4, "more elements than there are bytes"},
		{"\x82\xa1y\x01\xa1x\x01", 7, "not in order"},
		{"\x82\xa1x\x01\xa1x\x01", 7, "not in order"},
		{"\x81\x01\x01", 3, "expected text but found an integer"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mp_reader r = mp_reader("test", cases[i].bytes, cases[i].n);
		struct error *err = NULL;

		assert_int_equal(mp_skip(&r, &err), -ERR_CORRUPT);
		if (!strstr(error_text(err), cases[i].error))
			fail_msg("case %zu: %s", i, error_text(err));
		error_free(err);
	}
}

static void nesting_is_bounded(void **state)
{
	char deep[MP_DEPTH_MAX + 2];
	struct mp_reader r;

	(void)state;
	memset(deep, '\x91', sizeof(deep));
	deep[MP_DEPTH_MAX] = '\x01';
	r = mp_reader("test", deep, MP_DEPTH_MAX + 1);
	assert_int_equal(mp_skip(&r, NULL), 0);
	deep[MP_DEPTH_MAX] = '\x91';
	deep[MP_DEPTH_MAX + 1] = '\x01';
	r = mp_reader("test", deep, sizeof(deep));
	assert_int_equal(mp_skip(&r, NULL), -ERR_CORRUPT);
}

static void limits_hold(void **state)
{
	struct mp_reader r = mp_reader("test", "\xcd\x01\x00", 3);
	struct mp_text t;
	uint64_t v;
	char *s;

	(void)state;
	assert_int_equal(mp_get_uint(&r, 255, &v, NULL), -ERR_CORRUPT);
	r = mp_reader("test", "\xa2xy", 3);
	assert_int_equal(mp_get_str(&r, 1, &t, NULL), -ERR_CORRUPT);
	r = mp_reader("test", "\xa2x\0", 3);
	assert_int_equal(mp_get_string(&r, 2, &s, NULL), -ERR_CORRUPT);
	r = mp_reader("test", "\x01\x02", 2);
	assert_int_equal(mp_skip(&r, NULL), 0);
	assert_int_equal(mp_finish(&r, NULL), -ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_come_back_as_they_went),
		cmocka_unit_test(signed_and_unsigned_writing_agree),
		cmocka_unit_test(documents_come_back_as_they_went),
		cmocka_unit_test(the_bytes_of_values_are_fixed),
		cmocka_unit_test(the_bytes_of_numbers_are_fixed),
		cmocka_unit_test(long_lists_and_texts_come_back),
		cmocka_unit_test(what_is_not_canonical_is_corrupt),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(limits_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
