/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <sys/xattr.h>

#include "store/blob.h"
#include "store/index.h"
#include "store/index_draft.h"
#include "store/rootfs.h"

static struct stat stat_in(struct fixture *f, int64_t id, const char *path)
{
	_cleanup_free_ char *dir = layer_dir_path(f->s, id);
	_cleanup_free_ char *full = xasprintf("%s/%s", dir, path);
	struct stat st;

	if (lstat(full, &st) < 0)
		fail_msg("%s: %s", full, strerror(errno));
	return st;
}

static bool exists_in(struct fixture *f, int64_t id, const char *path)
{
	_cleanup_free_ char *dir = layer_dir_path(f->s, id);
	_cleanup_free_ char *full = xasprintf("%s/%s", dir, path);

	return access(full, F_OK) == 0;
}

static struct entry entry_of(struct fixture *f, int64_t id, const char *path)
{
	_cleanup_(index_unrefp) struct index *i = NULL;
	struct error *err = NULL;
	struct entry e;
	int64_t n;

	assert_ok(layer_index(f->s, id, &i, &err), err);
	n = index_find(i, path);
	if (n < 0)
		fail_msg("'%s' is not in the index", path);
	index_entry(i, (size_t)n, &e);
	return e;
}

static void a_layer_has_a_dir_and_an_index_that_agree(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	struct layer_info info = {0};
	struct error *err = NULL;
	struct entry e;
	struct stat st;
	int64_t id;

	fixture_put(w, "usr", ENTRY_DIR, NULL);
	fixture_file(w, "usr/bin/tool", "hello");
	fixture_put(w, "usr/bin/alias", ENTRY_SYMLINK, "tool");
	fixture_put(w, "usr/bin/twin", ENTRY_HARDLINK, "usr/bin/tool");
	fixture_put(w, "pipe", ENTRY_FIFO, NULL);
	id = fixture_commit(w);

	fixture_reopen(f);
	e = entry_of(f, id, "usr/bin/tool");
	assert_int_equal(e.type, ENTRY_FILE);
	assert_int_equal(e.size, 5);
	e = entry_of(f, id, "usr/bin/twin");
	assert_int_equal(e.type, ENTRY_HARDLINK);
	assert_string_equal(e.link, "usr/bin/tool");
	st = stat_in(f, id, "usr/bin/tool");
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_mtim.tv_sec, 1000000000);
	assert_int_equal(st.st_mtim.tv_nsec, 0);
	st = stat_in(f, id, "usr");
	assert_int_equal(st.st_mtim.tv_sec, 1000000000);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_ok(layer_get(f->s, id, &info, &err), err);
	assert_true(info.has_dir && info.has_digest);
	assert_int_equal(info.size, 5);
	layer_info_release(&info);
}

static int like_below(void *data, struct entry *e, struct error **err)
{
	unsigned *asked = data;

	(void)err;
	(*asked)++;
	if (strcmp(e->path, "tmp") == 0)
		e->mode = 01777;
	e->mtime = 7;
	return 0;
}

static void parents_that_nobody_put_can_look_like_those_below(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	struct error *err = NULL;
	unsigned asked = 0;
	int64_t id;

	assert_false(layer_writer_has_implied(w));
	fixture_file(w, "tmp/said/f", "x");
	fixture_put(w, "tmp/said", ENTRY_DIR, NULL);
	assert_true(layer_writer_has_implied(w));
	assert_ok(layer_writer_imply(w, like_below, &asked, &err), err);
	assert_int_equal(asked, 1);
	id = fixture_commit(w);
	assert_int_equal(entry_of(f, id, "tmp").mode, 01777);
	assert_int_equal(stat_in(f, id, "tmp").st_mode & 07777, 01777);
	assert_int_equal(stat_in(f, id, "tmp").st_mtim.tv_sec, 7);
	assert_int_equal(entry_of(f, id, "tmp/said").mtime, 1000000000);
}

static void a_symlink_in_the_layer_is_never_followed(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	_cleanup_free_ char *victim = xasprintf("%s/victim", f->dir);
	int64_t id;

	assert_int_equal(mkdir(victim, 0755), 0);
	fixture_put(w, "a", ENTRY_SYMLINK, victim);
	fixture_file(w, "a/passwd", "evil");
	fixture_file(w, "b", "file");
	fixture_put(w, "b/c", ENTRY_DIR, NULL);
	id = fixture_commit(w);
	assert_true(S_ISDIR(stat_in(f, id, "a").st_mode));
	assert_true(exists_in(f, id, "a/passwd"));
	assert_true(exists_in(f, id, "b/c"));
	assert_int_equal(rmdir(victim), 0);
	/* The symlink would have hidden a lower directory `a`; so does what replaced it. */
	assert_true(entry_of(f, id, "a").opaque);
}

static void paths_that_leave_the_layer_are_refused(void **state)
{
	static const char *const bad[] = {"../x", "a/../../x", "/etc/x", "a//b",
					  "a/",	  ".",	       "./a",	 ".."};
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct entry e = fixture_entry(bad[i], ENTRY_DIR, 0755);

		assert_int_equal(layer_writer_put(w, &e, NULL), -ERR_INVALID);
		e.type = ENTRY_FILE;
		assert_int_equal(layer_writer_file(w, &e, NULL), -ERR_INVALID);
	}
	layer_writer_free(w);
}

static void a_hard_link_needs_an_earlier_file_of_the_layer(void **state)
{
	static const char *const bad[] = {"nowhere", "dir", "sym", "self", "../../etc/passwd"};
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);

	fixture_put(w, "dir", ENTRY_DIR, NULL);
	fixture_put(w, "sym", ENTRY_SYMLINK, "/etc/passwd");
	fixture_file(w, "self", "x");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct entry e = fixture_entry("self", ENTRY_HARDLINK, 0644);

		e.link = bad[i];
		assert_int_equal(layer_writer_put(w, &e, NULL), -ERR_INVALID);
	}
	layer_writer_free(w);
}

static void a_hard_link_outlives_the_file_it_was_made_to(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	struct entry e;
	int64_t id;

	fixture_file(w, "a", "old");
	fixture_put(w, "b", ENTRY_HARDLINK, "a");
	fixture_put(w, "c", ENTRY_HARDLINK, "b");
	fixture_file(w, "a", "replaced");
	id = fixture_commit(w);
	e = entry_of(f, id, "a");
	assert_int_equal(e.size, 8);
	e = entry_of(f, id, "b");
	assert_int_equal(e.type, ENTRY_FILE);
	assert_int_equal(e.size, 3);
	e = entry_of(f, id, "c");
	assert_int_equal(e.type, ENTRY_HARDLINK);
	assert_string_equal(e.link, "b");
}

static void the_first_path_of_a_group_carries_the_data(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	struct entry e;
	int64_t id;

	fixture_file(w, "z", "data");
	fixture_put(w, "m", ENTRY_HARDLINK, "z");
	fixture_put(w, "b", ENTRY_HARDLINK, "z");
	id = fixture_commit(w);
	e = entry_of(f, id, "b");
	assert_int_equal(e.type, ENTRY_FILE);
	assert_int_equal(e.size, 4);
	e = entry_of(f, id, "z");
	assert_int_equal(e.type, ENTRY_HARDLINK);
	assert_string_equal(e.link, "b");
	assert_int_equal(e.size, 0);
}

static void whiteouts_and_opaque_marks_are_those_of_overlayfs(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	_cleanup_free_ char *name = xasprintf("%sopaque", store_overlay_prefix(f->s));
	_cleanup_free_ char *dir = NULL, *path = NULL;
	struct entry e = fixture_entry("opaque", ENTRY_DIR, 0755);
	struct error *err = NULL;
	char value[4] = "";
	struct stat st;
	int64_t id;

	fixture_put(w, "gone", ENTRY_WHITEOUT, NULL);
	e.opaque = true;
	assert_ok(layer_writer_put(w, &e, &err), err);
	/* A whiteout beside a directory of the same layer hides only what is below it. */
	fixture_put(w, "both", ENTRY_DIR, NULL);
	fixture_file(w, "both/kept", "x");
	fixture_put(w, "both", ENTRY_WHITEOUT, NULL);
	fixture_put(w, "order", ENTRY_WHITEOUT, NULL);
	fixture_put(w, "order", ENTRY_DIR, NULL);
	id = fixture_commit(w);
	st = stat_in(f, id, "gone");
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	assert_int_equal(entry_of(f, id, "gone").type, ENTRY_WHITEOUT);
	dir = layer_dir_path(f->s, id);
	path = xasprintf("%s/opaque", dir);
	assert_int_equal(getxattr(path, name, value, sizeof(value)), 1);
	assert_string_equal(value, "y");
	assert_true(entry_of(f, id, "both").opaque);
	assert_true(exists_in(f, id, "both/kept"));
	assert_true(entry_of(f, id, "order").opaque);
}

static void equal_layers_have_equal_tree_digests_whatever_their_times(void **state)
{
	struct fixture *f = *state;
	struct layer_info a = {0}, b = {0}, c = {0};
	struct layer_writer *w = fixture_writer(f->s);
	struct entry e = fixture_entry("x/y", ENTRY_FILE, 0644);
	int64_t ids[3];

	ids[0] = fixture_layer(f->s, "x/y", "same");
	e.mtime = 5;
	assert_int_equal(layer_writer_file(w, &e, NULL), 0);
	assert_int_equal(layer_writer_write(w, "same", 4, NULL), 0);
	assert_int_equal(layer_writer_file_end(w, NULL, NULL), 0);
	ids[1] = fixture_commit(w);
	ids[2] = fixture_layer(f->s, "x/y", "diff");
	assert_int_equal(layer_get(f->s, ids[0], &a, NULL), 0);
	assert_int_equal(layer_get(f->s, ids[1], &b, NULL), 0);
	assert_int_equal(layer_get(f->s, ids[2], &c, NULL), 0);
	assert_true(digest_equal(&a.tree_digest, &b.tree_digest));
	assert_false(digest_equal(&a.tree_digest, &c.tree_digest));
	layer_info_release(&a);
	layer_info_release(&b);
	layer_info_release(&c);
}

static void an_abandoned_writer_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	_cleanup_free_ char *tmp = xasprintf("%s/tmp", f->dir);

	fixture_file(w, "a/b/c", "x");
	layer_writer_free(w);
	assert_int_equal(rmdir(tmp), 0);
	assert_int_equal(mkdir(tmp, 0700), 0);
}

static void a_received_layer_gets_its_dir_once(void **state)
{
	struct fixture *f = *state;
	struct digest diff = digest_of("diff", 4), blob = digest_of("blob", 4);
	struct layer_blob desc = {.media_type = (char[]){"t"}, .digest = blob, .size = 9};
	struct layer_writer *one = NULL, *two = NULL;
	struct layer_info info = {0};
	int64_t id = 0, again = 0;
	struct error *err = NULL;

	assert_ok(layer_add_remote(f->s, &diff, &desc, "docker.io/library/x", &id, &err), err);
	assert_ok(layer_add_remote(f->s, &diff, &desc, NULL, &again, &err), err);
	assert_int_equal(id, again);
	assert_int_equal(layer_writer_open_for(f->s, id, &one, NULL), 0);
	assert_int_equal(layer_writer_open_for(f->s, id, &two, NULL), 0);
	fixture_file(one, "f", "1");
	fixture_file(two, "f", "1");
	assert_int_equal(fixture_commit(one), id);
	assert_int_equal(fixture_commit(two), id);
	assert_ok(layer_get(f->s, id, &info, &err), err);
	assert_true(info.has_dir && info.has_blob && info.has_diff_id);
	assert_string_equal(info.source, "docker.io/library/x");
	layer_info_release(&info);
	assert_ok(layer_find_diff_id(f->s, &diff, &again, &err), err);
	assert_int_equal(id, again);
}

/* A layer made as a blob whose index lists `path` with `content`. The bytes of the blob do not
 * count here. */
static int64_t put_blob_layer(struct fixture *f, const char *path, const char *content)
{
	struct entry e = fixture_entry(path, ENTRY_FILE, 0644);
	struct layer_blob blob = {.media_type = (char *)(uintptr_t) "tar", .size = 3};
	struct index_builder *b = index_builder_new();
	struct digest digest = digest_of(content, strlen(content));
	struct index_draft *draft = NULL;
	struct error *err = NULL;
	int64_t id = 0;

	assert_ok(blob_put(f->s, "tar", 3, &blob.digest, &err), err);
	index_builder_add(b, &e);
	index_builder_tag(b, path, 7);
	assert_ok(index_draft_open(f->s, b, &draft, &err), err);
	index_builder_free(b);
	assert_int_equal(index_draft_tag(draft, 0), 7);
	index_draft_set(draft, 0, strlen(content), &digest);
	index_draft_seal(draft);
	assert_ok(layer_put_blob(f->s, draft, &blob, &blob.digest, &id, &err), err);
	index_draft_free(draft);
	return id;
}

static int attach_dir(struct fixture *f, int64_t id, const char *path, const char *content)
{
	struct layer_writer *w = NULL;
	struct error *err = NULL;
	int64_t same;
	int r;

	assert_ok(layer_writer_open_for(f->s, id, &w, &err), err);
	fixture_file(w, path, content);
	r = layer_writer_commit(w, &same, &err);
	layer_writer_free(w);
	error_free(err);
	return r;
}

static void a_layer_may_be_a_blob_with_an_index(void **state)
{
	struct fixture *f = *state;
	int64_t id = put_blob_layer(f, "file", "hello");
	struct layer_info info = {0};
	bool lost = true, whole = false;
	struct entry e;

	fixture_reopen(f);
	assert_int_equal(layer_get(f->s, id, &info, NULL), 0);
	assert_true(info.has_index && !info.has_dir && info.has_blob && info.has_diff_id);
	assert_int_equal(info.size, 5);
	layer_info_release(&info);
	e = entry_of(f, id, "file");
	assert_int_equal(e.size, 5);
	assert_int_equal(layer_is_lost(f->s, id, &lost, NULL), 0);
	assert_false(lost);
	assert_int_equal(layer_recheck(f->s, id, &whole, NULL), 0);
	assert_true(whole);
	assert_false(exists_in(f, id, ""));
}

static void a_blob_layer_gets_its_dir_later_and_keeps_its_index(void **state)
{
	struct fixture *f = *state;
	int64_t id = put_blob_layer(f, "file", "hello");
	_cleanup_free_ char *index = xasprintf("%s/layers/%lld/index", f->dir, (long long)id);
	struct layer_info info = {0};
	struct stat before, after;

	assert_int_equal(stat(index, &before), 0);
	assert_int_equal(attach_dir(f, id, "file", "hello"), 0);
	assert_int_equal(stat(index, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_true(exists_in(f, id, "file"));
	fixture_reopen(f);
	assert_int_equal(layer_get(f->s, id, &info, NULL), 0);
	assert_true(info.has_index && info.has_dir && info.has_blob);
	layer_info_release(&info);
}

static void a_dir_that_is_not_what_the_index_says_is_refused(void **state)
{
	struct fixture *f = *state;
	int64_t id = put_blob_layer(f, "file", "hello");

	assert_int_equal(attach_dir(f, id, "file", "other"), -ERR_CORRUPT);
	assert_false(exists_in(f, id, ""));
}

static void a_blob_layer_without_its_blob_is_lost(void **state)
{
	struct fixture *f = *state;
	int64_t id = put_blob_layer(f, "file", "hello");
	_cleanup_free_ char *path = NULL;
	struct layer_info info = {0};
	char hex[DIGEST_HEX + 1];
	bool lost = false, whole = true;
	int fd;

	assert_int_equal(layer_get(f->s, id, &info, NULL), 0);
	digest_hex(&info.blob.digest, hex);
	path = xasprintf("%s/blobs/sha256/%.2s/%s", f->dir, hex, hex);
	fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, "rat", 3), 3);
	close(fd);
	assert_int_equal(layer_recheck(f->s, id, &whole, NULL), 0);
	assert_false(whole);
	assert_int_equal(layer_is_lost(f->s, id, &lost, NULL), 0);
	assert_true(lost);
	layer_info_release(&info);
}

/* A layer that a cache outside the store claims to know. */
static int64_t claimed_layer(struct fixture *f, const char *tree)
{
	char type[] = "application/vnd.oci.image.layer.v1.tar";
	struct layer_blob blob = {.media_type = type, .digest = digest_of("blob", 4), .size = 100};
	struct digest diff_id = digest_of("diff id", 7), claim = digest_of(tree, strlen(tree));
	struct error *err = NULL;
	int64_t id = 0;

	assert_ok(layer_add_remote(f->s, &diff_id, &blob, "host/cache", &id, &err), err);
	assert_ok(layer_claim(f->s, id, 12345, &claim, &err), err);
	return id;
}

static void what_is_unpacked_takes_the_place_of_a_claim(void **state)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	_cleanup_(error_freep) struct error *err = NULL;
	struct fixture *f = *state;
	struct layer_writer *w = NULL;
	int64_t id = claimed_layer(f, "something else"), same;
	struct digest claim;

	assert_ok(layer_get(f->s, id, &info, &err), err);
	assert_int_equal(info.created, 12345);
	assert_true(info.has_digest);
	assert_false(info.has_index);
	assert_ok(layer_writer_open_for(f->s, id, &w, &err), err);
	fixture_file(w, "file", "content");
	assert_ok(layer_writer_commit(w, &same, &err), err);
	assert_int_equal(same, id);
	layer_writer_free(w);
	claim = info.tree_digest;
	layer_info_release(&info);
	assert_ok(layer_get(f->s, id, &info, &err), err);
	assert_true(info.has_dir && !digest_equal(&info.tree_digest, &claim));
}

static void what_is_given_up_is_lost_until_it_is_found_again(void **state)
{
	struct error *err = NULL;
	struct fixture *f = *state;
	bool lost = false;
	int64_t id = claimed_layer(f, "tree"), again;

	assert_ok(layer_is_lost(f->s, id, &lost, &err), err);
	assert_false(lost);
	assert_ok(layer_give_up(f->s, id, &err), err);
	assert_ok(layer_is_lost(f->s, id, &lost, &err), err);
	assert_true(lost);
	again = claimed_layer(f, "tree");
	assert_ok(layer_is_lost(f->s, again, &lost, &err), err);
	assert_false(lost);
	/* One that is here stays. */
	id = fixture_layer(f->s, "file", "content");
	assert_ok(layer_give_up(f->s, id, &err), err);
	assert_ok(layer_is_lost(f->s, id, &lost, &err), err);
	assert_false(lost);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(a_layer_has_a_dir_and_an_index_that_agree),
		TEST(a_layer_may_be_a_blob_with_an_index),
		TEST(a_blob_layer_gets_its_dir_later_and_keeps_its_index),
		TEST(a_dir_that_is_not_what_the_index_says_is_refused),
		TEST(a_blob_layer_without_its_blob_is_lost),
		TEST(parents_that_nobody_put_can_look_like_those_below),
		TEST(a_symlink_in_the_layer_is_never_followed),
		TEST(paths_that_leave_the_layer_are_refused),
		TEST(a_hard_link_needs_an_earlier_file_of_the_layer),
		TEST(a_hard_link_outlives_the_file_it_was_made_to),
		TEST(the_first_path_of_a_group_carries_the_data),
		TEST(whiteouts_and_opaque_marks_are_those_of_overlayfs),
		TEST(equal_layers_have_equal_tree_digests_whatever_their_times),
		TEST(an_abandoned_writer_leaves_nothing),
		TEST(a_received_layer_gets_its_dir_once),
		TEST(what_is_unpacked_takes_the_place_of_a_claim),
		TEST(what_is_given_up_is_lost_until_it_is_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
