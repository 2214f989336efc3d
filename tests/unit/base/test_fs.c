/* SPDX-License-Identifier: Apache-2.0 */
/* What cannot be read to its end is never taken for complete. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"

/* How many entries can still be read; -1: all. */
static int readable = -1;

struct dirent *__real_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir)
{
	if (readable == 0) {
		errno = EIO;
		return NULL;
	}
	if (readable > 0)
		readable--;
	return __real_readdir(dir);
}

static char *folder_of_three(void)
{
	char *path = xstrdup("/tmp/kiln-fs.XXXXXX");
	int fd;

	assert_non_null(mkdtemp(path));
	fd = fs_open_dir(AT_FDCWD, path);
	assert_true(fd >= 0);
	for (int i = 0; i < 3; i++) {
		char title[] = {(char)('a' + i), 0};
		int file = openat(fd, title, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

		assert_true(file >= 0);
		(void)close(file);
	}
	(void)close(fd);
	return path;
}

static int count_entries(const char *path, int *ret)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int n = 0;

	assert_non_null(dir);
	while ((*ret = fs_next_entry(dir, &e)) > 0)
		n++;
	(void)closedir(dir);
	return n;
}

static void test_entries(void **state)
{
	_cleanup_free_ char *path = folder_of_three();
	int r;

	(void)state;
	assert_int_equal(count_entries(path, &r), 3);
	assert_int_equal(r, 0);
	for (int i = 0; i < 5; i++) {
		readable = i;
		(void)count_entries(path, &r);
		assert_int_equal(r, -EIO);
	}
	readable = -1;
	assert_int_equal(fs_remove_tree(AT_FDCWD, path), 0);
}

static void test_removal(void **state)
{
	_cleanup_free_ char *path = folder_of_three();

	(void)state;
	readable = 2;
	assert_int_equal(fs_remove_tree(AT_FDCWD, path), -EIO);
	readable = -1;
	assert_int_equal(fs_remove_tree(AT_FDCWD, path), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_writing_at(void **state)
{
	char path[] = "/tmp/kiln-fs.XXXXXX", got[8] = {0};
	int fd = mkostemp(path, O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	(void)unlink(path);
	assert_int_equal(fs_write_full(fd, "abcdef", 6), 0);
	assert_int_equal(fs_pwrite_full(fd, "XY", 2, 1), 0);
	assert_int_equal(pread(fd, got, 6, 0), 6);
	assert_string_equal(got, "aXYdef");
	assert_int_equal(fs_pwrite_full(-1, "x", 1, 0), -EBADF);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_removal),
		cmocka_unit_test(test_writing_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
