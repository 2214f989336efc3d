/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/fixture.h"

#include <sys/mman.h>

#include "base/path.h"
#include "store/index.h"
#include "store/index_format.h"

static struct index *write_index(struct index_builder *b)
{
	int fd = memfd_create("index", MFD_CLOEXEC);
	struct index *i = NULL;
	struct error *err = NULL;

	assert_true(fd >= 0);
	assert_ok(index_builder_write(b, fd, &err), err);
	assert_ok(index_open_fd(fd, "memory", &i, &err), err);
	close(fd);
	return i;
}

static void add(struct index_builder *b, const char *path, enum entry_type type)
{
	struct entry e = fixture_entry(path, type, 0644);

	index_builder_add(b, &e);
}

static void entries_come_back_as_they_were_added(void **state)
{
	struct index_builder *b = index_builder_new();
	struct entry e = {.path = "bin/tool",
			  .type = ENTRY_FILE,
			  .mode = 04755,
			  .uid = 1,
			  .gid = 2,
			  .size = 1ull << 40,
			  .mtime = -5,
			  .content = digest_of("x", 1),
			  .capability = {1, 0, 0, 2, 9},
			  .capability_size = 20};
	struct entry got;
	struct index *i;

	(void)state;
	index_builder_add(b, &e);
	e = (struct entry){.path = "dev/null",
			   .type = ENTRY_CHAR,
			   .mode = 0666,
			   .dev_major = 1,
			   .dev_minor = 3};
	index_builder_add(b, &e);
	e = (struct entry){.path = "l", .type = ENTRY_SYMLINK, .mode = 0777, .link = "bin/tool"};
	index_builder_add(b, &e);
	i = write_index(b);
	assert_int_equal(index_count(i), 3);
	index_entry(i, (size_t)index_find(i, "bin/tool"), &got);
	assert_int_equal(got.mode, 04755);
	assert_int_equal(got.uid, 1);
	assert_int_equal(got.gid, 2);
	assert_true(got.size == 1ull << 40);
	assert_int_equal(got.mtime, -5);
	assert_int_equal(got.capability_size, 20);
	assert_int_equal(got.capability[4], 9);
	assert_null(got.link);
	index_entry(i, (size_t)index_find(i, "dev/null"), &got);
	assert_int_equal(got.dev_minor, 3);
	index_entry(i, (size_t)index_find(i, "l"), &got);
	assert_string_equal(got.link, "bin/tool");
	assert_int_equal(index_find(i, "bin"), -1);
	assert_true(index_file_size(i) == 1ull << 40);
	index_unref(i);
	index_builder_free(b);
}

static void subtrees_are_contiguous_and_can_be_skipped(void **state)
{
	static const char *const paths[] = {"a", "a/b", "a/b/c", "a/z", "a-b", "a.x", "b"};
	struct index_builder *b = index_builder_new();
	struct index *i;

	(void)state;
	for (size_t n = ARRAY_SIZE(paths); n-- > 0;)
		add(b, paths[n], ENTRY_DIR);
	add(b, "gone", ENTRY_DIR);
	add(b, "gone/too", ENTRY_FILE);
	index_builder_remove_tree(b, "gone");
	i = write_index(b);
	assert_int_equal(index_count(i), ARRAY_SIZE(paths));
	for (size_t n = 0; n < index_count(i); n++) {
		struct entry e;

		index_entry(i, n, &e);
		assert_string_equal(e.path, paths[n]);
	}
	assert_int_equal(index_skip_subtree(i, 0), 4);
	assert_int_equal(index_skip_subtree(i, 1), 3);
	assert_int_equal(index_skip_subtree(i, 6), 7);
	assert_int_equal(index_lower_bound(i, "a/c"), 3);
	assert_int_equal(index_lower_bound(i, "zzz"), 7);
	index_unref(i);
	index_builder_free(b);
}

static void every_flipped_byte_is_noticed(void **state)
{
	struct index_builder *b = index_builder_new();
	int fd = memfd_create("index", MFD_CLOEXEC);
	struct index *i = NULL;
	struct stat st;

	(void)state;
	add(b, "a", ENTRY_DIR);
	add(b, "a/file", ENTRY_FILE);
	assert_int_equal(index_builder_write(b, fd, NULL), 0);
	index_builder_free(b);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = 0; at < st.st_size; at++) {
		uint8_t byte;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		assert_int_equal(index_open_fd(fd, "x", &i, NULL), -ERR_CORRUPT);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	for (off_t size = st.st_size - 1; size > 0; size /= 2) {
		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(index_open_fd(fd, "x", &i, NULL), -ERR_CORRUPT);
	}
	close(fd);
}

static void a_hundred_thousand_entries_are_found_again(void **state)
{
	enum { DIRS = 100, FILES = 1000 };
	struct index_builder *b = index_builder_new();
	struct index *i;
	char path[64];

	(void)state;
	for (int d = 0; d < DIRS; d++) {
		snprintf(path, sizeof(path), "dir%d", d);
		add(b, path, ENTRY_DIR);
		for (int n = 0; n < FILES; n++) {
			snprintf(path, sizeof(path), "dir%d/file%d", d, n);
			add(b, path, ENTRY_FILE);
		}
	}
	i = write_index(b);
	assert_int_equal(index_count(i), DIRS * (FILES + 1));
	for (int n = 0; n < FILES; n += 7) {
		snprintf(path, sizeof(path), "dir%d/file%d", n % DIRS, n);
		assert_true(index_find(i, path) >= 0);
	}
	for (int d = 0; d < DIRS; d++) {
		int64_t at;

		snprintf(path, sizeof(path), "dir%d", d);
		at = index_find(i, path);
		assert_int_equal(index_skip_subtree(i, (size_t)at) - (size_t)at, FILES + 1);
	}
	index_unref(i);
	index_builder_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_back_as_they_were_added),
		cmocka_unit_test(subtrees_are_contiguous_and_can_be_skipped),
		cmocka_unit_test(every_flipped_byte_is_noticed),
		cmocka_unit_test(a_hundred_thousand_entries_are_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
