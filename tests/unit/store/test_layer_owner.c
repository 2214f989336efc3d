/* SPDX-License-Identifier: Apache-2.0 */
/* Whom files belong to after a step in which all files were one user's. Files are made by hand as
 * overlayfs and the supervisor would leave them. */
#include "tests/unit/store/fixture.h"

#include <sys/xattr.h>

#include "base/owner_mark.h"
#include "store/index.h"
#include "store/rootfs.h"

#define STEP_UID 33
#define STEP_GID 34

struct below {
	struct rootfs *rootfs;
	int64_t id;
};

static void put_file(struct layer_writer *w, const char *path, uint32_t uid, uint32_t gid)
{
	struct entry e = {.path = path, .type = ENTRY_FILE, .mode = 0644, .uid = uid, .gid = gid};
	struct error *err = NULL;

	e.mtime = 1000;
	assert_ok(layer_writer_file(w, &e, &err), err);
	assert_ok(layer_writer_file_end(w, NULL, &err), err);
}

static void put(struct layer_writer *w, const char *path, enum entry_type type, uint32_t mode,
		uint32_t uid, uint32_t gid)
{
	struct entry e = {.path = path, .type = type, .mode = mode, .uid = uid, .gid = gid};
	struct error *err = NULL;

	e.mtime = 1000;
	e.link = type == ENTRY_SYMLINK ? "target" : NULL;
	assert_ok(layer_writer_put(w, &e, &err), err);
}

static struct below make_below(struct fixture *f)
{
	struct layer_writer *w = fixture_writer(f->s);
	struct error *err = NULL;
	struct below b;

	put(w, "dir", ENTRY_DIR, 0755, 1, 2);
	put(w, "shared", ENTRY_DIR, 02775, 0, 50);
	put_file(w, "shadow", 0, 42);
	put_file(w, "root-file", 0, 0);
	put(w, "link", ENTRY_SYMLINK, 0777, 5, 6);
	put(w, "other-link", ENTRY_SYMLINK, 0777, 5, 6);
	b.id = fixture_commit(w);
	assert_ok(rootfs_open(f->s, &b.id, 1, &b.rootfs, &err), err);
	return b;
}

struct step {
	struct fixture *f;
	struct below below;
	struct layer_writer *w;
	char *upper, *work;
	int fd;
};

static struct step step_begin(struct fixture *f)
{
	struct step s = {.f = f, .below = make_below(f), .w = fixture_writer(f->s)};

	s.upper = layer_writer_upper(s.w);
	s.work = layer_writer_work(s.w);
	s.fd = open(s.upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s.fd >= 0);
	return s;
}

static void file(const struct step *s, const char *path, const char *mark, bool copied)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", s->upper, path);
	_cleanup_free_ char *origin = xasprintf("%sorigin", store_overlay_prefix(s->f->s));
	_cleanup_close_ int fd = openat(s->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	if (mark)
		assert_int_equal(setxattr(full, OWNER_MARK_XATTR, mark, strlen(mark), 0), 0);
	if (copied)
		assert_int_equal(setxattr(full, origin, "", 0, 0), 0);
}

static void record(const struct step *s, const char *path, uint32_t uid, uint32_t gid)
{
	_cleanup_free_ char *name = xasprintf("%s/" OWNER_RECORDS, s->work);
	_cleanup_close_ int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct owner_record r = {.owner = {uid, gid}};

	assert_int_equal(owner_inode_of(s->fd, path, AT_SYMLINK_NOFOLLOW, &r.inode), 0);
	assert_int_equal(write(fd, &r, sizeof(r)), sizeof(r));
}

/* Reads the step back; *ret_index is of the layer that it made. */
static char *step_end(struct step *s, struct index **ret_index)
{
	struct layer_step who = {s->below.rootfs, STEP_UID, STEP_GID};
	struct error *err = NULL;
	int64_t id;

	assert_ok(layer_writer_scan(s->w, &who, NULL, &err), err);
	id = fixture_commit(s->w);
	assert_ok(layer_index(s->f->s, id, ret_index, &err), err);
	free(s->upper);
	free(s->work);
	close(s->fd);
	rootfs_free(s->below.rootfs);
	return layer_dir_path(s->f->s, id);
}

static void expect(const struct index *index, const char *path, uint32_t uid, uint32_t gid)
{
	int64_t n = index_find(index, path);
	struct entry e;

	assert_true(n >= 0);
	index_entry(index, (size_t)n, &e);
	if (e.uid != uid || e.gid != gid)
		fail_msg("'%s' belongs to %u:%u, not %u:%u", path, e.uid, e.gid, uid, gid);
}

static void expect_mark(const char *dir, const char *path, const char *mark)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", dir, path);
	char text[64] = "";

	(void)!getxattr(full, OWNER_MARK_XATTR, text, sizeof(text) - 1);
	assert_string_equal(text, mark);
}

static void files_are_whose_the_mark_says_or_their_makers(void **state)
{
	_cleanup_(index_unrefp) struct index *index = NULL;
	_cleanup_free_ char *dir = NULL;
	struct step s = step_begin(*state);

	file(&s, "new", NULL, false);
	file(&s, "given", "1000:2000", false);
	file(&s, "half", "-:2000", false);
	file(&s, "roots", "0:0", false);
	file(&s, "forged", "junk", false);
	assert_int_equal(mkdirat(s.fd, "made", 0755), 0);
	dir = step_end(&s, &index);
	expect(index, "new", STEP_UID, STEP_GID);
	expect(index, "given", 1000, 2000);
	expect(index, "half", STEP_UID, 2000);
	expect(index, "roots", 0, 0);
	expect(index, "forged", STEP_UID, STEP_GID);
	expect(index, "made", STEP_UID, STEP_GID);
	/* What later steps see. */
	expect_mark(dir, "new", "33:34");
	expect_mark(dir, "given", "1000:2000");
	expect_mark(dir, "half", "33:2000");
	expect_mark(dir, "roots", "");
	expect_mark(dir, "forged", "33:34");
}

static void copies_from_below_keep_their_owners(void **state)
{
	_cleanup_(index_unrefp) struct index *index = NULL;
	_cleanup_free_ char *dir = NULL;
	struct step s = step_begin(*state);

	file(&s, "root-file", NULL, true);
	file(&s, "moved", "0:42", true);
	file(&s, "renamed-root-file", NULL, true);
	assert_int_equal(mkdirat(s.fd, "dir", 0755), 0);
	file(&s, "dir/new", NULL, false);
	dir = step_end(&s, &index);
	expect(index, "root-file", 0, 0);
	expect(index, "moved", 0, 42);
	expect(index, "renamed-root-file", 0, 0);
	expect(index, "dir", 1, 2);
	expect(index, "dir/new", STEP_UID, STEP_GID);
}

static void a_file_made_in_place_of_another_gets_what_it_was_to_get(void **state)
{
	_cleanup_(index_unrefp) struct index *index = NULL;
	_cleanup_free_ char *dir = NULL, *opaque = NULL;
	struct step s = step_begin(*state);
	_cleanup_free_ char *name = xasprintf("%sopaque", store_overlay_prefix(s.f->s));

	file(&s, "shadow", "-:-", false);  /* as useradd writes it */
	file(&s, "shadow-", "-:-", false); /* its copy */
	file(&s, "shadow.dpkg-old", "7:-", false);
	file(&s, "unrelated", "-:-", false);
	file(&s, "root-file", NULL, false); /* removed and made again */
	assert_int_equal(mkdirat(s.fd, "dir", 0755), 0);
	opaque = xasprintf("%s/dir", s.upper);
	assert_int_equal(setxattr(opaque, name, "y", 1, 0), 0);
	dir = step_end(&s, &index);
	expect(index, "shadow", 0, 42);
	expect(index, "shadow-", 0, 42);
	expect(index, "shadow.dpkg-old", 7, 42);
	expect(index, "unrelated", STEP_UID, STEP_GID);
	expect(index, "root-file", STEP_UID, STEP_GID);
	expect(index, "dir", STEP_UID, STEP_GID);
}

static void a_set_group_id_directory_gives_its_group(void **state)
{
	_cleanup_(index_unrefp) struct index *index = NULL;
	_cleanup_free_ char *dir = NULL;
	struct step s = step_begin(*state);

	assert_int_equal(mkdirat(s.fd, "shared", 0755), 0);
	assert_int_equal(fchmodat(s.fd, "shared", 02775, 0), 0);
	assert_int_equal(mkdirat(s.fd, "shared/sub", 0755), 0);
	assert_int_equal(fchmodat(s.fd, "shared/sub", 02755, 0), 0);
	file(&s, "shared/f", NULL, false);
	file(&s, "shared/sub/f", NULL, false);
	file(&s, "shared/given", "1:3", false);
	dir = step_end(&s, &index);
	expect(index, "shared", 0, 50);
	expect(index, "shared/f", STEP_UID, 50);
	expect(index, "shared/sub", STEP_UID, 50);
	expect(index, "shared/sub/f", STEP_UID, 50);
	expect(index, "shared/given", 1, 3);
}

static void links_have_theirs_in_records(void **state)
{
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	_cleanup_(index_unrefp) struct index *index = NULL;
	_cleanup_free_ char *dir = NULL, *name = NULL;
	struct step s = step_begin(*state);
	int fd;

	assert_int_equal(symlinkat("target", s.fd, "link"), 0);
	assert_int_equal(utimensat(s.fd, "link", times, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(symlinkat("target", s.fd, "other-link"), 0);
	assert_int_equal(symlinkat("x", s.fd, "given"), 0);
	assert_int_equal(mkfifoat(s.fd, "fifo", 0600), 0);
	record(&s, "given", 1000, OWNER_UNKNOWN);
	record(&s, "given", OWNER_UNKNOWN, 9);
	record(&s, "given", 1001, OWNER_UNKNOWN);
	record(&s, "fifo", OWNER_UNKNOWN, 8);
	assert_int_equal(renameat(s.fd, "given", s.fd, "moved"), 0);
	name = xasprintf("%s/" OWNER_RECORDS, s.work);
	fd = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "torn", 4), 4);
	close(fd);
	dir = step_end(&s, &index);
	expect(index, "link", 5, 6);
	expect(index, "other-link", STEP_UID, STEP_GID); /* made anew */
	expect(index, "moved", 1001, 9);
	expect(index, "fifo", STEP_UID, 8);
}

static void where_files_have_owners_marks_say_nothing(void **state)
{
	_cleanup_(index_unrefp) struct index *index = NULL;
	_cleanup_free_ char *dir = NULL;
	struct step s = step_begin(*state);
	struct error *err = NULL;
	int64_t id;

	file(&s, "given", "1000:2000", false);
	assert_ok(layer_writer_scan(s.w, NULL, NULL, &err), err);
	id = fixture_commit(s.w);
	assert_ok(layer_index(s.f->s, id, &index, &err), err);
	dir = layer_dir_path(s.f->s, id);
	expect(index, "given", geteuid(), getegid());
	expect_mark(dir, "given", "");
	free(s.upper);
	free(s.work);
	close(s.fd);
	rootfs_free(s.below.rootfs);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_are_whose_the_mark_says_or_their_makers),
		TEST(copies_from_below_keep_their_owners),
		TEST(a_file_made_in_place_of_another_gets_what_it_was_to_get),
		TEST(a_set_group_id_directory_gives_its_group),
		TEST(links_have_theirs_in_records),
		TEST(where_files_have_owners_marks_say_nothing),
	};

	if (geteuid() != 0) {
		(void)puts("1..0 # SKIP needs root to give files away");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
