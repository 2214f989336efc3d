/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/exec/snapshot.h"
#include "engine/sandbox/wire.h"
#include "layer_fixture.h"
#include "store/index.h"
#include "store/rootfs.h"

/* A step on a copy of two layers: what it leaves is what the functions below do to its root. */
struct copied {
	struct layer_writer *w;
	char *upper, *work;
	struct layer_snapshot snapshot;
	struct rootfs *below;
	int64_t layers[2];
	int root;
};

static void copy_layers(struct fixture *f, struct copied *c)
{
	_cleanup_free_ char *clock = NULL;
	struct error *err = NULL;

	c->layers[0] = LAYER(
		f, {'d', "d", 0, 0, 0}, {'f', "d/a", "one", 0, 0}, {'h', "d/b", "d/a", 0, 0},
		{'f', "d/old", "old", 0, 0}, {'d', "e", 0, 0, 0}, {'d', "e/sub", 0, 0, 0},
		{'f', "e/sub/s", "s", 0, 0}, {'f', "gone", "g", 0, 0}, {'l', "link", "d/a", 0, 0});
	c->layers[1] = LAYER(f, {'d', "d", 0, 0, 0}, {'f', "d/a", "two", 0, 0},
			     {'w', "gone", 0, 0, 0}, {'f', "mode", "m", 04755, 0});
	assert_int_equal(layer_writer_open(f->s, &c->w, NULL), 0);
	c->upper = layer_writer_upper(c->w);
	c->work = layer_writer_work(c->w);
	clock = xasprintf("%s/clock", c->work);
	if (snapshot_make(&(struct layer_chain){f->s, c->layers, 2, 0}, c->upper, clock, NULL,
			  &c->snapshot, &err) < 0)
		fail_msg("%s", error_text(err));
	assert_int_equal(access(clock, F_OK), -1);
	assert_int_equal(rootfs_open(f->s, c->layers, 2, &c->below, NULL), 0);
	c->root = fs_open_dir(AT_FDCWD, c->upper);
	assert_true(c->root >= 0);
}

/* What becomes of the step, as "TYPE[o] PATH" lines. */
static char *read_back(struct fixture *f, struct copied *c)
{
	_cleanup_(index_unrefp) struct index *index = NULL;
	struct buf out = BUF_INIT;
	struct error *err = NULL;
	bool whole = false;
	int64_t id = 0;

	if (layer_writer_scan(c->w, NULL, &c->snapshot, &err) < 0 ||
	    layer_writer_settle(c->w, c->below, &err) < 0 ||
	    layer_writer_commit(c->w, &id, &err) < 0)
		fail_msg("%s", error_text(err));
	assert_int_equal(layer_recheck(f->s, id, &whole, NULL), 0);
	assert_true(whole);
	assert_int_equal(layer_index(f->s, id, &index, NULL), 0);
	for (size_t i = 0; i < index_count(index); i++) {
		struct entry e;

		index_entry(index, i, &e);
		buf_addf(&out, "%c %s\n", "?fdlcbphw"[e.type], e.path);
	}
	layer_writer_free(c->w);
	layer_snapshot_release(&c->snapshot);
	rootfs_free(c->below);
	(void)close(c->root);
	free(c->upper);
	free(c->work);
	return buf_take(&out);
}

static void write_file(int dir, const char *name, const char *text, int flags)
{
	int fd = openat(dir, name, O_WRONLY | flags | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static void assert_reads(int dir, const char *name, const char *want)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	assert_int_equal(fs_read_file(dir, name, &text), 0);
	assert_string_equal(text.p, want);
}

static void a_copy_is_what_the_layers_show(void **state)
{
	struct copied c;
	struct stat st;
	char target[8] = "";

	copy_layers(*state, &c);
	assert_reads(c.root, "d/a", "two");
	assert_reads(c.root, "d/b", "one");
	assert_reads(c.root, "e/sub/s", "s");
	assert_int_equal(faccessat(c.root, "gone", F_OK, 0), -1);
	assert_int_equal(readlinkat(c.root, "link", target, sizeof(target) - 1), 3);
	assert_string_equal(target, "d/a");
	assert_int_equal(fstatat(c.root, "mode", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 04755);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	assert_int_equal(fstatat(c.root, "d", &st, 0), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1000);

	_cleanup_free_ char *list = read_back(*state, &c);

	assert_string_equal(list, "");
}

static void what_a_step_changes_is_its_layer(void **state)
{
	static const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	_cleanup_free_ char *list = NULL;
	struct copied c;

	copy_layers(*state, &c);
	/* The same size, and the time put back. */
	write_file(c.root, "d/a", "ONE", O_TRUNC);
	assert_int_equal(utimensat(c.root, "d/a", old, 0), 0);
	write_file(c.root, "d/new", "n", O_CREAT | O_EXCL);
	assert_int_equal(fchmodat(c.root, "mode", 0600, 0), 0);
	assert_int_equal(unlinkat(c.root, "link", 0), 0);
	/* A second name: the first is as it was. */
	assert_int_equal(linkat(c.root, "d/old", c.root, "d/old-too", 0), 0);
	list = read_back(*state, &c);
	assert_string_equal(list, "d d\nf d/a\nf d/new\nf d/old-too\nw link\nf mode\n");
}

static void directories_that_moved_or_were_made_anew_are_told_apart(void **state)
{
	_cleanup_free_ char *list = NULL;
	struct copied c;

	copy_layers(*state, &c);
	assert_int_equal(renameat(c.root, "e", c.root, "f"), 0);
	/* Emptied, and another of its name in its place. */
	for (const char *const *name = (const char *const[]){"d/a", "d/b", "d/old", NULL}; *name;
	     name++)
		assert_int_equal(unlinkat(c.root, *name, 0), 0);
	assert_int_equal(unlinkat(c.root, "d", AT_REMOVEDIR), 0);
	assert_int_equal(mkdirat(c.root, "d", 0755), 0);
	write_file(c.root, "d/a", "two", O_CREAT | O_EXCL);
	list = read_back(*state, &c);
	assert_string_equal(list, "d d\nf d/a\nw d/b\nw d/old\nw e\nd f\nd f/sub\nf f/sub/s\n");
}

static void a_rewrite_with_what_was_there_is_no_change(void **state)
{
	static const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	_cleanup_free_ char *list = NULL;
	struct copied c;

	copy_layers(*state, &c);
	write_file(c.root, "d/a", "two", O_TRUNC);
	assert_int_equal(utimensat(c.root, "d/a", old, 0), 0);
	write_file(c.root, "passing", "x", O_CREAT | O_EXCL);
	assert_int_equal(unlinkat(c.root, "passing", 0), 0);
	list = read_back(*state, &c);
	assert_string_equal(list, "");
}

/* The names that the helper wrote down, and what a step made of some. */
static void mount_points_go_unless_a_step_uses_them(void **state)
{
	static const char names[] = "stub\0stub/deep\0stub/deep/file\0d/empty\0d/used\0d/kept\0"
				    "d/text\0moved\0moved/in\0link/x";
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	_cleanup_free_ char *list = NULL, *file = NULL;
	struct error *err = NULL;
	struct copied c;
	struct stat st;
	int fd;

	copy_layers(*state, &c);
	file = xasprintf("%s/" WIRE_STUBS_FILE, c.work);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, names, sizeof(names)), sizeof(names));
	(void)close(fd);
	assert_int_equal(mkdirat(c.root, "stub", 0755), 0);
	assert_int_equal(mkdirat(c.root, "stub/deep", 0755), 0);
	write_file(c.root, "stub/deep/file", "", O_CREAT);
	write_file(c.root, "d/empty", "", O_CREAT);
	assert_int_equal(mkdirat(c.root, "d/used", 0755), 0);
	write_file(c.root, "d/used/x", "x", O_CREAT);
	write_file(c.root, "d/text", "x", O_CREAT);
	assert_int_equal(symlinkat("a", c.root, "d/kept"), 0);
	/* In the place of a mount point's directory, a link to where one of that name is. */
	assert_int_equal(mkdirat(c.root, "e/sub/in", 0755), 0);
	assert_int_equal(symlinkat("e/sub", c.root, "moved"), 0);
	assert_int_equal(utimensat(c.root, "d", old, 0), 0);
	if (snapshot_clear(c.upper, c.work, &err) < 0)
		fail_msg("%s", error_text(err));
	assert_int_equal(fstatat(c.root, "d", &st, 0), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	list = read_back(*state, &c);
	assert_string_equal(list, "d d\nl d/kept\nf d/text\nd d/used\nf d/used/x\nd e\nd e/sub\nd "
				  "e/sub/in\nl moved\n");
}

static void a_copy_can_be_stopped(void **state)
{
	struct fixture *f = *state;
	struct layer_snapshot snapshot;
	struct cancel cancel;
	_cleanup_(layer_writer_freep) struct layer_writer *w = NULL;
	_cleanup_free_ char *upper = NULL, *clock = NULL;
	int64_t layer = LAYER(f, {'f', "a", "text", 0, 0});

	cancel_init(&cancel);
	cancel_set(&cancel);
	assert_int_equal(layer_writer_open(f->s, &w, NULL), 0);
	upper = layer_writer_upper(w);
	clock = xasprintf("%s.clock", upper);
	assert_int_equal(snapshot_make(&(struct layer_chain){f->s, &layer, 1, 0}, upper, clock,
				       &cancel, &snapshot, NULL),
			 -ERR_CANCELED);
	layer_snapshot_release(&snapshot);
	cancel_release(&cancel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(a_copy_is_what_the_layers_show),
		T(what_a_step_changes_is_its_layer),
		T(directories_that_moved_or_were_made_anew_are_told_apart),
		T(a_rewrite_with_what_was_there_is_no_change),
		T(mount_points_go_unless_a_step_uses_them),
		T(a_copy_can_be_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
