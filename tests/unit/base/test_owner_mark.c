/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/owner_mark.h"

static void marks_are_what_was_said_of_each_id(void **state)
{
	static const struct {
		struct owner owner;
		const char *text;
	} cases[] = {
		{{0, 0}, "0:0"},
		{{1000, 42}, "1000:42"},
		{{OWNER_UNKNOWN, 42}, "-:42"},
		{{7, OWNER_UNKNOWN}, "7:-"},
		{{OWNER_UNKNOWN, OWNER_UNKNOWN}, "-:-"},
		{{4294967294, 4294967294}, "4294967294:4294967294"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[OWNER_MARK_MAX];
		struct owner o;

		assert_int_equal(owner_mark_format(&cases[i].owner, text), strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
		assert_true(owner_mark_parse(text, strlen(text), &o));
		assert_int_equal(o.uid, cases[i].owner.uid);
		assert_int_equal(o.gid, cases[i].owner.gid);
	}
}

static void what_else_a_step_may_write_is_no_mark(void **state)
{
	static const char *const texts[] = {
		"",
		":",
		"1",
		"1:",
		"-",
		":1",
		"1:2:",
		"1:2 ",
		" 1:2",
		"01:2",
		"1:00",
		"+1:2",
		"--:1",
		"1:-2",
		"1x:2",
		"4294967295:0",
		"0:99999999999",
	};
	struct owner o = {5, 6};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_false(owner_mark_parse(texts[i], strlen(texts[i]), &o));
	assert_false(owner_mark_parse("1:2", 4, &o)); /* with its NUL */
	assert_int_equal(o.uid, 5);
	assert_int_equal(o.gid, 6);
}

static void later_halves_replace_earlier_ones(void **state)
{
	struct owner o = OWNER_NONE;

	(void)state;
	owner_merge(&o, &(struct owner){1000, OWNER_UNKNOWN});
	owner_merge(&o, &(struct owner){OWNER_UNKNOWN, 42});
	assert_int_equal(o.uid, 1000);
	assert_int_equal(o.gid, 42);
	owner_merge(&o, &(struct owner){0, OWNER_UNKNOWN});
	assert_int_equal(o.uid, 0);
	assert_int_equal(o.gid, 42);
}

static void a_file_carries_its_mark(void **state)
{
	char path[] = "/var/tmp/kiln-test-mark.XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	struct owner_inode a, b;
	struct owner o;

	(void)state;
	assert_true(fd >= 0);
	o = owner_mark_read(path);
	assert_int_equal(o.uid, OWNER_UNKNOWN);
	assert_int_equal(owner_mark_write(path, &(struct owner){1000, 2000}), 0);
	o = owner_mark_read(path);
	assert_int_equal(o.uid, 1000);
	assert_int_equal(o.gid, 2000);
	assert_int_equal(setxattr(path, OWNER_MARK_XATTR, "a text that is far too long", 27, 0), 0);
	o = owner_mark_read(path);
	assert_int_equal(o.uid, OWNER_UNKNOWN);
	assert_int_equal(owner_inode_of(AT_FDCWD, path, 0, &a), 0);
	assert_int_equal(owner_inode_of(fd, "", AT_EMPTY_PATH, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(owner_inode_of(AT_FDCWD, path, 0, &a), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_are_what_was_said_of_each_id),
		cmocka_unit_test(what_else_a_step_may_write_is_no_mark),
		cmocka_unit_test(later_halves_replace_earlier_ones),
		cmocka_unit_test(a_file_carries_its_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
