/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "engine/layer/layer_tar.h"
#include "store/layer.h"
#include "tests/unit/engine/layer_fixture.h"

static int to_buf(void *data, const void *p, size_t n, struct error **err)
{
	(void)err;
	buf_add(data, p, n);
	return 0;
}

/* "d dir/ 0755 1000;f dir/file 0644 1000;..." */
static void list_tar(const struct buf *tar, struct buf *ret)
{
	static const char letters[] = "f?l??d";

	for (size_t at = 0; tar->p[at] != '\0';) {
		const char *h = tar->p + at;
		uint64_t size = strtoull(h + 124, NULL, 8);
		char type = h[156] == '1' ? 'h' : letters[h[156] - '0'];

		buf_addf(ret, "%s%c %s", ret->n > 0 ? ";" : "", type, h);
		if (h[157])
			buf_addf(ret, ">%s", h + 157);
		buf_addf(ret, " %llo %lld", strtoull(h + 100, NULL, 8), strtoll(h + 136, NULL, 8));
		at += 512 + (size + 511) / 512 * 512;
		assert_true(at < tar->n);
	}
}

static void assert_tar(struct fixture *f, int64_t layer, const int64_t *below, size_t n_below,
		       const struct layer_tar_options *options, const char *expected)
{
	_cleanup_buf_ struct buf tar = BUF_INIT, list = BUF_INIT;
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	struct layer_tar_options o = options ? *options : (struct layer_tar_options){0};

	if (below)
		assert_int_equal(rootfs_open(f->s, below, n_below, &rootfs, NULL), 0);
	o.below = rootfs;
	assert_int_equal(layer_tar_write(f->s, layer, &o, to_buf, &tar, NULL), 0);
	list_tar(&tar, &list);
	assert_string_equal(list.p, expected);
}

static void entries_come_in_path_order_with_directories_first(void **state)
{
	struct fixture *f = *state;
	int64_t id = LAYER(f, {.type = 'd', .path = "a"}, {.type = 'f', .path = "a/z", .text = "1"},
			   {.type = 'f', .path = "a.b", .text = "2"}, {.type = 'd', .path = "a-b"},
			   {.type = 'l', .path = "a/link", .text = "z"});

	assert_tar(
		f, id, NULL, 0, NULL,
		"d a/ 755 1000;l a/link>z 777 1000;f a/z 644 1000;d a-b/ 755 1000;f a.b 644 1000");
}

static void what_is_as_it_was_below_is_left_out(void **state)
{
	struct fixture *f = *state;
	int64_t base = LAYER(f, {.type = 'd', .path = "etc"},
			     {.type = 'f', .path = "etc/same", .text = "x"},
			     {.type = 'f', .path = "etc/changed", .text = "x"},
			     {.type = 'd', .path = "var"}, {.type = 'd', .path = "tmp"});
	int64_t top = LAYER(f, {.type = 'd', .path = "etc", .mtime = 2000},
			    {.type = 'f', .path = "etc/same", .text = "x"},
			    {.type = 'f', .path = "etc/changed", .text = "y"},
			    {.type = 'd', .path = "var", .mode = 0700},
			    {.type = 'd', .path = "tmp", .mtime = 2000});

	assert_tar(f, top, &base, 1, NULL,
		   "d etc/ 755 2000;f etc/changed 644 1000;d var/ 700 1000");
}

static void a_whiteout_is_written_where_there_is_something_to_hide(void **state)
{
	struct fixture *f = *state;
	int64_t base =
		LAYER(f, {.type = 'd', .path = "d"}, {.type = 'f', .path = "d/gone", .text = "x"},
		      {.type = 'f', .path = "top", .text = "x"});
	int64_t top = LAYER(f, {.type = 'd', .path = "d"}, {.type = 'w', .path = "d/gone"},
			    {.type = 'w', .path = "d/never"}, {.type = 'w', .path = "top"});

	assert_tar(f, top, &base, 1, NULL, "d d/ 755 1000;f d/.wh.gone 0 0;f .wh.top 0 0");
	assert_tar(f, top, NULL, 0, NULL,
		   "d d/ 755 1000;f d/.wh.gone 0 0;f d/.wh.never 0 0;f .wh.top 0 0");
}

static void an_opaque_directory_becomes_whiteouts_of_what_it_hides(void **state)
{
	struct fixture *f = *state;
	int64_t base = LAYER(
		f, {.type = 'd', .path = "d"}, {.type = 'f', .path = "d/a", .text = "x"},
		{.type = 'd', .path = "d/sub"}, {.type = 'f', .path = "d/sub/x", .text = "x"},
		{.type = 'f', .path = "d/sub/y", .text = "x"}, {.type = 'd', .path = "d/whole"},
		{.type = 'f', .path = "d/whole/x", .text = "x"});
	int64_t top = LAYER(
		f, {.type = 'o', .path = "d"}, {.type = 'f', .path = "d/b", .text = "x"},
		{.type = 'd', .path = "d/sub"}, {.type = 'f', .path = "d/sub/x", .text = "new"});

	assert_tar(
		f, top, &base, 1, NULL,
		"d d/ 755 1000;f d/.wh.a 0 0;f d/b 644 1000;d d/sub/ 755 1000;f d/sub/x 644 1000;"
		"f d/sub/.wh.y 0 0;f d/.wh.whole 0 0");
	assert_tar(f, top, NULL, 0, NULL,
		   "d d/ 755 1000;f d/.wh..wh..opq 0 0;f d/b 644 1000;d d/sub/ 755 1000;"
		   "f d/sub/x 644 1000");
}

static void an_opaque_directory_over_nothing_is_a_directory(void **state)
{
	struct fixture *f = *state;
	int64_t base = LAYER(f, {.type = 'd', .path = "other"});
	int64_t top =
		LAYER(f, {.type = 'o', .path = "d"}, {.type = 'f', .path = "d/a", .text = "x"});

	assert_tar(f, top, &base, 1, NULL, "d d/ 755 1000;f d/a 644 1000");
}

static void the_first_name_of_a_file_carries_its_bytes(void **state)
{
	struct fixture *f = *state;
	int64_t id = LAYER(f, {.type = 'f', .path = "m", .text = "bytes", .mode = 0600},
			   {.type = 'h', .path = "a", .text = "m"},
			   {.type = 'h', .path = "z", .text = "m"});

	assert_tar(f, id, NULL, 0, NULL, "f a 600 1000;h m>a 600 1000;h z>a 600 1000");
}

static void clamping_lowers_times_and_raises_none(void **state)
{
	struct fixture *f = *state;
	int64_t id = LAYER(f, {.type = 'f', .path = "new", .text = "x", .mtime = 9000},
			   {.type = 'f', .path = "old", .text = "x", .mtime = 10});

	assert_tar(f, id, NULL, 0, &(struct layer_tar_options){.clamp = true, .clamp_time = 500},
		   "f new 644 500;f old 644 10");
}

static void an_empty_layer_is_the_empty_tar(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct layer_writer *w;
	struct layer_tar_options o = {0};
	struct digest digest;
	char text[DIGEST_TEXT];
	int64_t id;

	assert_int_equal(layer_writer_open(f->s, &w, NULL), 0);
	assert_int_equal(layer_writer_commit(w, &id, NULL), 0);
	layer_writer_free(w);
	assert_int_equal(layer_tar_write(f->s, id, &o, to_buf, &tar, NULL), 0);
	digest = digest_of(tar.p, tar.n);
	/* The diff id that every builder gives a step that changed nothing. */
	assert_string_equal(
		digest_format(&digest, text),
		"sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(entries_come_in_path_order_with_directories_first),
		TEST(what_is_as_it_was_below_is_left_out),
		TEST(a_whiteout_is_written_where_there_is_something_to_hide),
		TEST(an_opaque_directory_becomes_whiteouts_of_what_it_hides),
		TEST(an_opaque_directory_over_nothing_is_a_directory),
		TEST(the_first_name_of_a_file_carries_its_bytes),
		TEST(clamping_lowers_times_and_raises_none),
		TEST(an_empty_layer_is_the_empty_tar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
