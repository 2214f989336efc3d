/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/times.h"
#include "store/statindex.h"

#define SECOND INT64_C(1000000000)
#define SCANNED (1000 * SECOND)

struct fixture {
	char dir[64];
	struct store *store;
};

static int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	strcpy(f->dir, "/tmp/kiln-stat-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(store_open(f->dir, &f->store, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	assert_int_equal(fs_remove_tree(AT_FDCWD, f->dir), 0);
	free(f);
	return 0;
}

static struct statindex_record record(const char *path, int64_t ctime)
{
	return (struct statindex_record){.path = path,
					 .size = 3,
					 .dev = 1,
					 .ino = 2,
					 .mtime = 5,
					 .ctime = ctime,
					 .mode = 0100644,
					 .content = digest_of(path, strlen(path))};
}

static void get(void *data, size_t n, struct statindex_record *ret)
{
	const struct statindex_record *records = data;

	*ret = records[n];
}

static int save_as(struct fixture *f, const char *dir, const struct statindex_record *records,
		   size_t n, int64_t scanned)
{
	return statindex_save(f->store, dir, n, get, (void *)(uintptr_t)records, scanned, NULL);
}

static void save(struct fixture *f, const struct statindex_record *records, size_t n)
{
	assert_int_equal(save_as(f, "/ctx", records, n, SCANNED), 0);
}

static const struct digest *find(const struct statindex *i, const struct statindex_record *want)
{
	size_t pos = 0;

	return statindex_find_next(i, &pos, want);
}

static void what_was_saved_is_found_by_equal_stat_data_only(void **state)
{
	struct fixture *f = *state;
	const struct statindex_record records[] = {record("a", 7), record("a/b", 7),
						   record("a-b", 7)};
	struct statindex_record want;
	struct statindex *i;

	save(f, records, 3);
	i = statindex_open(f->store, "/ctx");
	assert_int_equal(statindex_count(i), 3);
	for (size_t k = 0; k < 3; k++) {
		const struct digest *d = find(i, &records[k]);

		assert_non_null(d);
		assert_true(digest_equal(d, &records[k].content));
	}
#define DIFFERS(field)                       \
	do {                                 \
		want = records[1];           \
		want.field++;                \
		assert_null(find(i, &want)); \
	} while (0)
	DIFFERS(size);
	DIFFERS(dev);
	DIFFERS(ino);
	DIFFERS(mtime);
	DIFFERS(ctime);
	DIFFERS(mode);
	want = record("b", 7);
	assert_null(find(i, &want));
	statindex_free(i);
}

static void asking_in_order_finds_the_same(void **state)
{
	struct fixture *f = *state;
	const struct statindex_record records[] = {record("a", 7), record("b", 7), record("d", 7)};
	const struct statindex_record c = record("c", 7);
	struct statindex *i;
	size_t pos = 0;

	save(f, records, 3);
	i = statindex_open(f->store, "/ctx");
	assert_non_null(statindex_find_next(i, &pos, &records[1]));
	assert_null(statindex_find_next(i, &pos, &c));
	assert_non_null(statindex_find_next(i, &pos, &records[2]));
	statindex_free(i);
}

static void racy_files_are_left_out(void **state)
{
	struct fixture *f = *state;
	const struct statindex_record records[] = {
		record("fresh", SCANNED - SECOND / 1000), record("later", SCANNED + 1),
		record("old", SCANNED - SECOND / 10),
		record("whole", SCANNED - SECOND), /* a file system that keeps seconds */
	};
	struct statindex_record got;
	struct statindex *i;

	save(f, records, 4);
	i = statindex_open(f->store, "/ctx");
	assert_int_equal(statindex_count(i), 1);
	statindex_record(i, 0, &got);
	assert_string_equal(got.path, "old");
	statindex_free(i);
}

/* A clock that was set back between a write and the scan leaves change times in the scan's future:
 * such a file may change again without its times showing it, until the clock has caught up. */
static void a_clock_that_was_set_back_makes_files_unknown_until_it_has_caught_up(void **state)
{
	struct fixture *f = *state;
	const struct statindex_record r = record("a", SCANNED + 3600 * SECOND + 5);
	struct statindex *i;

	save(f, &r, 1);
	i = statindex_open(f->store, "/ctx");
	assert_int_equal(statindex_count(i), 0);
	statindex_free(i);
	assert_int_equal(save_as(f, "/ctx", &r, 1, SCANNED + 7200 * SECOND), 0);
	i = statindex_open(f->store, "/ctx");
	assert_int_equal(statindex_count(i), 1);
	statindex_free(i);
}

static void indexes_not_used_for_long_are_removed(void **state)
{
	struct fixture *f = *state;
	const struct statindex_record r = record("a", 7);
	struct statindex *i;
	int64_t before;

	assert_int_equal(save_as(f, "/old", &r, 1, SCANNED), 0);
	assert_int_equal(save_as(f, "/used", &r, 1, SCANNED), 0);
	(void)usleep(60 * 1000);
	before = times_now_ns() - SECOND / 25;
	statindex_free(statindex_open(f->store, "/used")); /* a build that changes nothing */
	statindex_prune(f->store, before);
	i = statindex_open(f->store, "/old");
	assert_int_equal(statindex_count(i), 0);
	statindex_free(i);
	i = statindex_open(f->store, "/used");
	assert_int_equal(statindex_count(i), 1);
	statindex_free(i);
}

static void directories_do_not_share_an_index(void **state)
{
	struct fixture *f = *state;
	const struct statindex_record records[] = {record("a", 7)};
	struct statindex *i;

	save(f, records, 1);
	i = statindex_open(f->store, "/ctx2");
	assert_int_equal(statindex_count(i), 0);
	statindex_free(i);
}

/* The one file in stat/. */
static char *index_file(struct fixture *f)
{
	char *path = xasprintf("%s/stat", f->dir), *file = NULL;
	DIR *dir = opendir(path);
	struct dirent *de;

	assert_non_null(dir);
	while ((de = readdir(dir))) {
		if (de->d_name[0] == '.')
			continue;
		assert_null(file);
		file = xasprintf("%s/%s", path, de->d_name);
	}
	(void)closedir(dir);
	free(path);
	assert_non_null(file);
	return file;
}

static void a_damaged_file_is_an_empty_index(void **state)
{
	struct fixture *f = *state;
	const struct statindex_record records[] = {record("a", 7), record("b", 7)};
	struct buf whole = BUF_INIT;
	char *file;

	save(f, records, 2);
	file = index_file(f);
	assert_int_equal(fs_read_file(AT_FDCWD, file, &whole), 0);
	for (size_t k = 0; k < whole.n; k++) {
		struct statindex *i;

		whole.p[k] = (char)(whole.p[k] ^ 0x41);
		assert_int_equal(fs_write_file_atomic(AT_FDCWD, file, whole.p, whole.n, 0644), 0);
		i = statindex_open(f->store, "/ctx");
		assert_int_equal(statindex_count(i), 0);
		statindex_free(i);
		whole.p[k] = (char)(whole.p[k] ^ 0x41);
	}
	for (size_t n = 0; n < whole.n; n++) {
		struct statindex *i;

		assert_int_equal(fs_write_file_atomic(AT_FDCWD, file, whole.p, n, 0644), 0);
		i = statindex_open(f->store, "/ctx");
		assert_int_equal(statindex_count(i), 0);
		statindex_free(i);
	}
	buf_release(&whole);
	free(file);
}

static void an_empty_list_replaces_what_was_there(void **state)
{
	struct fixture *f = *state;
	const struct statindex_record records[] = {record("a", 7)};
	struct statindex *i;

	save(f, records, 1);
	save(f, NULL, 0);
	i = statindex_open(f->store, "/ctx");
	assert_int_equal(statindex_count(i), 0);
	statindex_free(i);
	free(index_file(f));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_was_saved_is_found_by_equal_stat_data_only),
		T(asking_in_order_finds_the_same),
		T(racy_files_are_left_out),
		T(a_clock_that_was_set_back_makes_files_unknown_until_it_has_caught_up),
		T(indexes_not_used_for_long_are_removed),
		T(directories_do_not_share_an_index),
		T(a_damaged_file_is_an_empty_index),
		T(an_empty_list_replaces_what_was_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
