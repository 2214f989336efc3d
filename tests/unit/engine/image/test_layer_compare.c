/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/image/layer_compare.h"
#include "tar_build.h"

static int tar_of(const struct tar_item *items, size_t n, size_t cut)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int fd = memfd_create("tar", MFD_CLOEXEC);

	for (size_t i = 0; i < n; i++)
		tar_item_add(&b, &items[i]);
	tar_end(&b);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b.p, b.n - cut), b.n - cut);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void expect(const struct tar_item *a, size_t n_a, const struct tar_item *b, size_t n_b,
		   const char *path, const char *field, const char *first, const char *second)
{
	_cleanup_(difference_release) struct difference d = {0};
	_cleanup_close_ int one = tar_of(a, n_a, 0), two = tar_of(b, n_b, 0);
	bool found = false;

	assert_int_equal(layer_compare(one, two, NULL, &found, &d, NULL), 0);
	assert_int_equal(found, field != NULL);
	if (!field)
		return;
	assert_string_equal(d.path, path);
	assert_string_equal(d.field, field);
	assert_string_equal(d.first, first);
	assert_string_equal(d.second, second);
}

static const struct tar_item dir = {.name = "d/", .type = '5', .mode = 0755};
static const struct tar_item file = {.name = "d/f", .type = '0', .data = "hello\nworld"};

static void equal_layers_have_no_difference(void **state)
{
	const struct tar_item both[] = {dir, file};

	(void)state;
	expect(both, 2, both, 2, NULL, NULL, NULL, NULL);
	expect(NULL, 0, NULL, 0, NULL, NULL, NULL, NULL);
}

static void the_first_different_field_is_told(void **state)
{
	struct tar_item a[] = {dir, file}, b[] = {dir, file};

	(void)state;
	b[0].mode = 0700;
	b[1].uid = 5;
	expect(a, 2, b, 2, "d", "mode", "0755", "0700");
	b[0].mode = 0755;
	expect(a, 2, b, 2, "d/f", "uid", "0", "5");
	b[1] = file;
	b[1].mtime = 86400;
	expect(a, 2, b, 2, "d/f", "mtime", "2001-09-09T01:46:40Z", "1970-01-02T00:00:00Z");
	b[1].data = "hello\nWorld";
	expect(a, 2, b, 2, "d/f", "content", "\"world\" at byte 6", "\"World\" at byte 6");
	b[1].data = "hello\n";
	expect(a, 2, b, 2, "d/f", "content", "\"world\" at byte 6", "its end at byte 6");
	b[1] = (struct tar_item){.name = "d/f", .type = '2', .link = "x\ty"};
	expect(a, 2, b, 2, "d/f", "type", "file", "symlink");
	a[1] = (struct tar_item){.name = "d/f", .type = '2', .link = "x"};
	expect(a, 2, b, 2, "d/f", "link", "x", "x\\x09y");
}

static void what_only_one_has_is_told(void **state)
{
	const struct tar_item both[] = {dir, file};
	const struct tar_item other[] = {dir, {.name = "d/a", .type = '0'}, file};

	(void)state;
	expect(both, 2, both, 1, "d/f", "existence", "is there", "is not there");
	expect(both, 2, other, 3, "d/a", "existence", "is not there", "is there");
}

/* As the layers of images are unpacked, and not as libarchive has it. */
static void headers_mean_what_they_mean_elsewhere(void **state)
{
	struct tar_item slash[] = {{.name = "d/f/", .type = '0', .data = "one"}, file};
	struct tar_item other[] = {{.name = "d/f/", .type = '0', .data = "two"}, file};

	(void)state;
	expect(slash, 2, other, 2, "d/f", "content", "\"one\" at byte 0", "\"two\" at byte 0");
}

static void a_torn_layer_is_an_error(void **state)
{
	const struct tar_item both[] = {dir, file};
	_cleanup_close_ int one = tar_of(both, 2, 0), two = tar_of(both, 2, 1024 + 505);
	_cleanup_(error_freep) struct error *err = NULL;
	struct difference d;
	bool found;

	(void)state;
	assert_int_equal(layer_compare(one, two, NULL, &found, &d, &err), -ERR_CORRUPT);
	assert_non_null(strstr(error_text(err), "runcated"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_layers_have_no_difference),
		cmocka_unit_test(the_first_different_field_is_told),
		cmocka_unit_test(what_only_one_has_is_told),
		cmocka_unit_test(headers_mean_what_they_mean_elsewhere),
		cmocka_unit_test(a_torn_layer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
