/* SPDX-License-Identifier: Apache-2.0 */
/* Ways in which files change that fool a look at size and mtime alone: none may fool the stat
 * index. */
#include "file_fixture.h"

#include <sys/stat.h>

#include "engine/tree/tree.h"

enum { PAST_TICK_US = 60 * 1000 }; /* past the clock tick that makes a file racy */

static struct tree *scan(struct fixture *f)
{
	struct strv none = {0};
	struct error *err = NULL;
	struct tree *t = NULL;

	if (context_open(f->store, f->context, &none, NULL, NULL, &t, &err) < 0)
		fail_msg("%s", error_text(err));
	return t;
}

/* The file's bytes, as a build would know them, are `text`; returns whether they had to be read. */
static bool reads(struct fixture *f, const char *path, const char *text)
{
	struct digest d, expect = digest_of(text, strlen(text));
	struct tree *t = scan(f);
	struct entry e;
	uint64_t group;
	bool known;

	assert_true(t->ops->get(t, path, &e, &group));
	known = !digest_is_zero(&e.content);
	assert_int_equal(tree_content(t, &e, &d, NULL), 0);
	assert_true(digest_equal(&d, &expect));
	tree_unref(t);
	return !known;
}

/* A file that the index knows. */
static void put_known(struct fixture *f, const char *path, const char *text)
{
	put_file(f, path, text, 0644);
	(void)usleep(PAST_TICK_US);
	assert_true(reads(f, path, text));
	assert_false(reads(f, path, text));
}

static struct timespec mtime_of(struct fixture *f, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(f->dirfd, path, &st, 0), 0);
	return st.st_mtim;
}

static void set_mtime(struct fixture *f, const char *path, struct timespec when)
{
	const struct timespec times[2] = {when, when};

	assert_int_equal(utimensat(f->dirfd, path, times, 0), 0);
}

static void a_checkout_that_restores_the_old_mtime_is_read(void **state)
{
	struct fixture *f = *state;
	struct timespec old;

	put_known(f, "a", "one");
	old = mtime_of(f, "a");
	put_file(f, "a", "two", 0644);
	set_mtime(f, "a", old);
	assert_true(reads(f, "a", "two"));
}

static void a_file_that_an_editor_replaces_is_read(void **state)
{
	struct fixture *f = *state;
	struct timespec old;

	put_known(f, "a", "one");
	old = mtime_of(f, "a");
	put_file(f, "a~", "two", 0644);
	set_mtime(f, "a~", old);
	(void)usleep(PAST_TICK_US);
	assert_int_equal(renameat(f->dirfd, "a~", f->dirfd, "a"), 0);
	assert_true(reads(f, "a", "two"));
}

static void a_file_swapped_with_one_that_is_known_is_read(void **state)
{
	struct fixture *f = *state;

	put_known(f, "a", "one");
	put_known(f, "b", "two");
	assert_int_equal(renameat2(f->dirfd, "a", f->dirfd, "b", RENAME_EXCHANGE), 0);
	reads(f, "a", "two");
	reads(f, "b", "one");
}

static void a_write_through_another_hard_link_is_seen(void **state)
{
	struct fixture *f = *state;
	int fd;

	put_known(f, "a", "one");
	assert_int_equal(linkat(f->dirfd, "a", f->dirfd, "b", 0), 0);
	(void)usleep(PAST_TICK_US);
	reads(f, "a", "one");
	reads(f, "b", "one");
	fd = openat(f->dirfd, "b", O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "two", 3, 0), 3);
	(void)close(fd);
	assert_true(reads(f, "a", "two"));
	reads(f, "b", "two");
}

/* The clock was ahead when the file was written, and steps back: its mtime lies in the future for a
 * while, but what counts is the time of the change. */
static void an_mtime_in_the_future_or_far_past_changes_nothing(void **state)
{
	struct fixture *f = *state;
	const struct timespec future = {.tv_sec = INT32_MAX}, past = {.tv_sec = 1};

	put_known(f, "a", "one");
	set_mtime(f, "a", future);
	assert_true(reads(f, "a", "one"));
	(void)usleep(PAST_TICK_US);
	reads(f, "a", "one");
	assert_false(reads(f, "a", "one"));
	put_file(f, "a", "two", 0644);
	set_mtime(f, "a", future);
	assert_true(reads(f, "a", "two"));
	put_file(f, "a", "six", 0644);
	set_mtime(f, "a", past);
	assert_true(reads(f, "a", "six"));
}

static void a_file_changed_twice_in_one_tick_is_read(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 20; i++) {
		char text[8];

		snprintf(text, sizeof(text), "%03d", i);
		put_file(f, "a", text, 0644);
		reads(f, "a", text);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(a_checkout_that_restores_the_old_mtime_is_read),
		T(a_file_that_an_editor_replaces_is_read),
		T(a_file_swapped_with_one_that_is_known_is_read),
		T(a_write_through_another_hard_link_is_seen),
		T(an_mtime_in_the_future_or_far_past_changes_nothing),
		T(a_file_changed_twice_in_one_tick_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
