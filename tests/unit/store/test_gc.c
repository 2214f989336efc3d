/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cancel.h"
#include "base/times.h"
#include "store/blob.h"
#include "store/durable.h"
#include "store/gc.h"
#include "store/image.h"
#include "store/mounts.h"
#include "store/record.h"
#include "store/verify.h"

static size_t count_entries(struct fixture *f, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", f->dir, name);
	DIR *dir = opendir(path);
	struct dirent *de;
	size_t n = 0;

	assert_non_null(dir);
	while ((de = readdir(dir)))
		n += de->d_name[0] != '.';
	closedir(dir);
	return n;
}

static int64_t add_record(struct store *s, const char *key, int64_t *layers, size_t n)
{
	struct digest k = digest_of(key, strlen(key));
	struct record r = {
		.layers = layers, .n_layers = n, .data = BUF_INIT, .description = (char[]){"step"}};
	struct error *err = NULL;

	assert_ok(record_add(s, &r, &k, 1, &err), err);
	return r.id;
}

static bool has_record(struct store *s, const char *key)
{
	struct digest k = digest_of(key, strlen(key));
	struct record r = {0};
	struct error *err = NULL;
	bool found = false;

	assert_ok(record_find(s, &k, &found, &r, &err), err);
	if (found)
		record_release(&r);
	return found;
}

static bool has_layer(struct store *s, int64_t id)
{
	struct layer_info info = {0};
	int r = layer_get(s, id, &info, NULL);

	layer_info_release(&info);
	return r == 0;
}

static void gc_removes_what_nothing_names(void **state)
{
	struct fixture *f = *state;
	struct gc_result result = {0};
	int64_t kept = fixture_layer(f->s, "a", "1"), lost = fixture_layer(f->s, "b", "2");
	struct error *err = NULL;
	struct digest blob;

	add_record(f->s, "k", &kept, 1);
	assert_ok(blob_put(f->s, "loose", 5, &blob, &err), err);
	/* Our own lease holds all of it. */
	assert_ok(store_gc(f->s, &result, &err), err);
	assert_int_equal(result.n_layers + result.n_blobs, 0);
	gc_result_release(&result);
	fixture_reopen(f);
	assert_ok(store_gc(f->s, &result, &err), err);
	assert_int_equal(result.n_layers, 1);
	assert_int_equal(result.layers[0], lost);
	assert_int_equal(result.n_blobs, 1);
	assert_true(result.bytes > 0);
	gc_result_release(&result);
	assert_true(has_record(f->s, "k"));
	assert_true(has_layer(f->s, kept));
	assert_false(has_layer(f->s, lost));
	assert_int_equal(count_entries(f, "layers"), 1);
	assert_int_equal(count_entries(f, "tmp"), 0);
}

static void a_lease_of_another_handle_protects(void **state)
{
	struct fixture *f = *state;
	struct store *other = NULL;
	struct error *err = NULL;
	int64_t id;

	assert_ok(store_open(f->dir, &other, &err), err);
	id = fixture_layer(other, "a", "1");
	assert_ok(store_gc(f->s, NULL, &err), err);
	assert_true(has_layer(f->s, id));
	store_close(other);
	assert_ok(store_gc(f->s, NULL, &err), err);
	assert_false(has_layer(f->s, id));
}

static void a_hit_protects_its_layers_from_a_prune_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct prune_options all = {.all = true};
	struct store *other = NULL;
	struct error *err = NULL;
	int64_t id = fixture_layer(f->s, "a", "1");

	add_record(f->s, "k", &id, 1);
	fixture_reopen(f);
	assert_ok(store_open(f->dir, &other, &err), err);
	assert_true(has_record(other, "k"));
	assert_ok(store_prune(f->s, &all, NULL, &err), err);
	assert_false(has_record(f->s, "k"));
	assert_true(has_layer(f->s, id));
	store_close(other);
	assert_ok(store_gc(f->s, NULL, &err), err);
	assert_false(has_layer(f->s, id));
}

static void prune_keeps_images_and_what_was_used_last(void **state)
{
	struct fixture *f = *state;
	struct gc_result result = {0};
	struct error *err = NULL;
	int64_t ids[3];
	struct image image = {.os = (char[]){"linux"}, .arch = (char[]){"amd64"}};
	int64_t records[3];
	struct prune_options keep = {.limit_storage = true, .keep_storage = 10000};
	char *kilo = xasprintf("%01000d", 0);

	ids[0] = fixture_layer(f->s, "a", kilo);
	ids[1] = fixture_layer(f->s, "b", kilo);
	ids[2] = fixture_layer(f->s, "c", kilo);
	free(kilo);
	records[0] = add_record(f->s, "r0", &ids[0], 1);
	records[1] = add_record(f->s, "r1", &ids[1], 1);
	records[2] = add_record(f->s, "r2", &ids[2], 1);
	assert_ok(record_touch(f->s, &records[0], 1, &err), err);
	assert_ok(blob_put(f->s, "manifest", 8, &image.manifest, &err), err);
	assert_ok(blob_put(f->s, "config", 6, &image.config, &err), err);
	image.layers = &ids[1];
	image.n_layers = 1;
	assert_ok(image_put(f->s, &image, "docker.io/library/x:latest", IMAGE_MADE, NULL, &err),
		  err);
	fixture_reopen(f);
	assert_ok(store_prune(f->s, &keep, &result, &err), err);
	assert_int_equal(result.n_records, 1);
	/* What the image needs doesn't count; of the other two one is more than is to be kept. */
	assert_int_equal(result.records[0], records[2]);
	assert_int_equal(result.n_layers, 1);
	gc_result_release(&result);
	assert_true(blob_exists(f->s, &image.manifest, NULL));

	keep = (struct prune_options){.unused_since = times_now_ns() + 1};
	fixture_reopen(f);
	assert_ok(store_prune(f->s, &keep, &result, &err), err);
	assert_int_equal(result.n_records, 2);
	assert_int_equal(result.n_layers, 1); /* the image needs the other */
	assert_true(has_layer(f->s, ids[1]));
	gc_result_release(&result);
}

/* Commits layers until it is killed. */
static void commit_for_ever(const char *dir)
{
	struct store *s = NULL;

	if (store_open(dir, &s, NULL) < 0)
		_exit(1);
	for (int n = 0;; n++) {
		struct layer_writer *w = NULL;
		struct entry e = fixture_entry("d/f", ENTRY_FILE, 0644);
		int64_t id = 0;

		if (layer_writer_open(s, &w, NULL) < 0 || layer_writer_file(w, &e, NULL) < 0 ||
		    layer_writer_write(w, &n, sizeof(n), NULL) < 0 ||
		    layer_writer_file_end(w, NULL, NULL) < 0 ||
		    layer_writer_commit(w, &id, NULL) < 0 ||
		    blob_put(s, &n, sizeof(n), NULL, NULL) < 0)
			_exit(2);
		layer_writer_free(w);
		if (n % 8 == 3 && store_gc(s, NULL, NULL) < 0)
			_exit(3);
	}
}

static void what_a_killed_process_left_is_collected(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;

	for (int round = 0; round < 12; round++) {
		struct timespec pause = {.tv_nsec = (7 + round * 5) * 1000000L};
		pid_t pid = fork();
		int status;

		if (pid == 0)
			commit_for_ever(f->dir);
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		assert_ok(store_gc(f->s, NULL, &err), err);
		assert_int_equal(count_entries(f, "layers"), 0);
		assert_int_equal(count_entries(f, "tmp"), 0);
	}
	fixture_reopen(f);
	assert_true(has_layer(f->s, fixture_layer(f->s, "works", "still")));
}

/* Builds and reuses steps; whatever it was given must stay usable to the end. Exits 0 if so. */
static void build_beside_gc(const char *dir, int seed)
{
	struct store *s = NULL;
	unsigned random = (unsigned)seed;
	char text[16];

	for (int n = 0; n < 60; n++) {
		struct record r = {.data = BUF_INIT};
		struct digest k, blob;
		bool found = false;
		int64_t id = 0;
		int fd;

		if (n % 10 == 0) {
			store_close(s);
			s = NULL;
			if (store_open(dir, &s, NULL) < 0)
				_exit(1);
		}
		snprintf(text, sizeof(text), "%d", rand_r(&random) % 6);
		k = digest_of(text, strlen(text));
		if (record_find(s, &k, &found, &r, NULL) < 0)
			_exit(2);
		if (!found) {
			id = fixture_layer(s, "f", text);
			r = (struct record){.layers = &id, .n_layers = 1, .data = BUF_INIT};
			if (record_add(s, &r, &k, 1, NULL) < 0)
				_exit(3);
		} else {
			id = r.layers[0];
			record_release(&r);
		}
		fd = layer_dir_open(s, id, NULL);
		if (fd < 0 || faccessat(fd, "f", F_OK, 0) < 0)
			_exit(4);
		close(fd);
		if (blob_put(s, text, strlen(text), &blob, NULL) < 0)
			_exit(5);
		fd = blob_open(s, &blob, NULL, NULL);
		if (fd < 0)
			_exit(6);
		close(fd);
	}
	store_close(s);
	_exit(0);
}

static void looking_keeps_nothing_and_holding_sees_what_is_gone(void **state)
{
	struct fixture *f = *state;
	struct prune_options all = {.all = true};
	int64_t layer = fixture_layer(f->s, "a", "1");
	struct digest k = digest_of("k", 1);
	struct record r = {0};
	struct error *err = NULL;
	bool found = false, held = true;

	add_record(f->s, "k", &layer, 1);
	fixture_reopen(f);
	assert_ok(record_look(f->s, &k, &found, &r, &err), err);
	assert_true(found);
	assert_int_equal(r.layers[0], layer);
	assert_ok(record_hold(f->s, r.layers, r.n_layers, &held, &err), err);
	assert_true(held);
	assert_ok(store_prune(f->s, &all, NULL, &err), err);
	assert_true(has_layer(f->s, layer));

	fixture_reopen(f);
	assert_ok(store_prune(f->s, &all, NULL, &err), err);
	assert_ok(record_hold(f->s, r.layers, r.n_layers, &held, &err), err);
	assert_false(held);
	record_release(&r);
	assert_ok(record_look(f->s, &k, &found, &r, &err), err);
	assert_false(found);
}

static void builds_and_prunes_at_once_do_not_hurt_each_other(void **state)
{
	struct fixture *f = *state;
	struct prune_options all = {.all = true};
	struct error *err = NULL;
	pid_t pids[2];
	int status = 0;

	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			build_beside_gc(f->dir, i);
	}
	for (int i = 0; i < 2; i++) {
		while (waitpid(pids[i], &status, WNOHANG) == 0)
			assert_ok(store_prune(f->s, &all, NULL, &err), err);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_ok(store_prune(f->s, &all, NULL, &err), err);
	assert_int_equal(count_entries(f, "layers"), 0);
}

/* A step of the order in which things become durable, and the one to die at. */
struct fuse {
	int steps, last;
};

static void burn(void *data, enum durable_step step, const char *what)
{
	struct fuse *fuse = data;

	(void)step;
	(void)what;
	if (++fuse->steps == fuse->last)
		raise(SIGKILL);
}

/* Removes an image and prunes, in another process that dies at the given step; true if it did. */
static bool dies_at(const char *dir, const struct digest *manifest, int last)
{
	struct fuse fuse = {.last = last};
	struct prune_options all = {.all = true, .mounts = true};
	struct store *s = NULL;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (store_open(dir, &s, NULL) < 0)
			_exit(1);
		durable_trace(burn, &fuse);
		if (image_remove(s, manifest, NULL, NULL, NULL) < 0 ||
		    store_prune(s, &all, NULL, NULL) < 0)
			_exit(2);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFSIGNALED(status);
}

static void make_mount(struct store *s)
{
	struct mount_use *m = NULL;
	struct error *err = NULL;

	assert_ok(mounts_acquire(s, &(struct mount_wish){"id", 0755, geteuid(), getegid(), NULL},
				 MOUNT_SHARED, NULL, &m, &err),
		  err);
	mounts_release(m);
}

static size_t count_mounts(struct store *s)
{
	struct mount_info *infos = NULL;
	struct error *err = NULL;
	size_t n = 0;

	assert_ok(mounts_list(s, &infos, &n, &err), err);
	for (size_t i = 0; i < n; i++)
		mount_info_release(&infos[i]);
	free(infos);
	return n;
}

static void a_prune_that_dies_damages_nothing(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	bool died = true;

	for (int last = 1; died; last++) {
		struct verify_counts counts = {0};
		int64_t ids[2] = {fixture_layer(f->s, "a", "1"), fixture_layer(f->s, "b", "2")};
		struct image image = {.layers = &ids[1], .n_layers = 1};
		struct digest manifest;

		add_record(f->s, "k", &ids[0], 1);
		assert_ok(blob_put(f->s, "m", 1, &image.manifest, &err), err);
		assert_ok(blob_put(f->s, "c", 1, &image.config, &err), err);
		assert_ok(image_put(f->s, &image, NULL, IMAGE_MADE, NULL, &err), err);
		manifest = image.manifest;
		make_mount(f->s);
		store_close(TAKE_PTR(f->s));
		died = dies_at(f->dir, &manifest, last);
		assert_ok(store_open(f->dir, &f->s, &err), err);
		assert_ok(store_verify(f->s, NULL, NULL, NULL, &counts, &err), err);
		assert_int_equal(counts.damaged + counts.unread, 0);
		/* Whatever it left is found without a search for it having been asked for. */
		fixture_reopen(f);
		if (died)
			(void)!image_remove(f->s, &manifest, NULL, NULL, NULL);
		assert_ok(store_prune(f->s, &(struct prune_options){.all = true}, NULL, &err), err);
		assert_int_equal(count_entries(f, "layers"), 0);
		assert_int_equal(count_entries(f, "tmp"), 0);
		assert_int_equal(count_entries(f, "mounts"), count_mounts(f->s));
		assert_true(last < 100);
	}
}

/* What a power cut leaves of a removal: of its rename and its commit only one. */
static void cache_mounts_without_row_or_directory_go(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	struct mount_use *m = NULL;
	_cleanup_free_ char *path = xasprintf("%s/mounts/1", f->dir);
	_cleanup_free_ char *file = xasprintf("%s/mounts/1/file", f->dir);

	make_mount(f->s);
	assert_int_equal(rmdir(path), 0);
	assert_ok(mounts_acquire_full(f->s, "id", NULL, &m, &err), err);
	assert_null(m);
	assert_ok(store_gc(f->s, NULL, &err), err);
	assert_int_equal(count_mounts(f->s), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mkdir(file, 0700), 0);
	/* Not what the next mount of this number finds. */
	assert_ok(mounts_acquire(f->s,
				 &(struct mount_wish){"other", 0755, geteuid(), getegid(), NULL},
				 MOUNT_SHARED, NULL, &m, &err),
		  err);
	assert_true(mounts_is_new(m));
	assert_string_equal(mounts_path(m), path);
	assert_int_equal(access(file, F_OK), -1);
	mounts_release(m);
	assert_ok(mounts_remove(f->s, "other", &err), err);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_ok(store_gc(f->s, NULL, &err), err);
	assert_int_equal(count_entries(f, "mounts"), 0);
	assert_int_equal(count_entries(f, "tmp"), 0);
}

/* What was unlinked is not done again, and what was not is the next collection's. */
static void a_prune_that_is_to_end_leaves_the_rest(void **state)
{
	struct fixture *f = *state;
	struct prune_options all = {.all = true, .mounts = true};
	struct cancel cancel;
	struct error *err = NULL;
	int64_t id = fixture_layer(f->s, "a", "1");

	add_record(f->s, "k", &id, 1);
	make_mount(f->s);
	fixture_reopen(f);
	cancel_init(&cancel);
	cancel_set(&cancel);
	store_watch(f->s, &cancel);
	assert_int_equal(store_prune(f->s, &all, NULL, NULL), -ERR_CANCELED);
	assert_int_equal(store_gc(f->s, NULL, NULL), -ERR_CANCELED);
	assert_int_equal(count_entries(f, "mounts"), 1);
	assert_int_equal(fs_remove_tree_until(AT_FDCWD, f->dir, &cancel), -ECANCELED);
	assert_int_equal(count_entries(f, "mounts"), 1);
	assert_int_equal(store_verify(f->s, NULL, NULL, NULL, NULL, NULL), 0);
	store_watch(f->s, NULL);
	cancel_release(&cancel);
	fixture_reopen(f);
	assert_ok(store_prune(f->s, &all, NULL, &err), err);
	assert_int_equal(count_entries(f, "layers") + count_entries(f, "mounts"), 0);
	assert_int_equal(count_entries(f, "tmp"), 0);
}

/* Deeper than a process may have open files, and than any path can be. */
static void a_tree_of_any_depth_is_removed(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < 3000; i++) {
		const char *name = i == 0 ? "deep" : "directory";
		int below;

		assert_int_equal(mkdirat(fd, name, 0700), 0);
		below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(below >= 0);
		close(fd);
		fd = below;
	}
	close(fd);
	fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fs_remove_tree(fd, "deep"), 0);
	assert_int_equal(faccessat(fd, "deep", F_OK, 0), -1);
	close(fd);
}

static void a_removed_image_frees_what_only_it_used(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	int64_t shared = fixture_layer(f->s, "s", "1"), own = fixture_layer(f->s, "o", "2");
	struct digest diff = digest_of("diff", 4), *deleted = NULL;
	int64_t both[2] = {shared, own};
	struct image a = {.layers = both, .n_layers = 2}, b = {.layers = both, .n_layers = 1}, got;
	bool found;
	size_t n = 0;

	assert_ok(blob_put(f->s, "ma", 2, &a.manifest, &err), err);
	assert_ok(blob_put(f->s, "ca", 2, &a.config, &err), err);
	assert_ok(blob_put(f->s, "mb", 2, &b.manifest, &err), err);
	assert_ok(blob_put(f->s, "cb", 2, &b.config, &err), err);
	assert_ok(layer_set_diff_id(f->s, own, &diff, &err), err);
	assert_ok(image_put(f->s, &a, "a", IMAGE_MADE, NULL, &err), err);
	assert_ok(image_put(f->s, &b, "b", IMAGE_MADE, NULL, &err), err);
	fixture_reopen(f);
	assert_ok(image_by_name(f->s, "a", &found, &got, NULL, &err), err);
	assert_true(found);
	image_release(&got);
	assert_ok(image_remove(f->s, &a.manifest, &deleted, &n, &err), err);
	assert_int_equal(n, 2);
	assert_true(digest_equal(&deleted[0], &a.config));
	assert_true(digest_equal(&deleted[1], &diff));
	free(deleted);
	assert_true(has_layer(f->s, shared));
	assert_false(has_layer(f->s, own));
	assert_false(blob_exists(f->s, &a.manifest, NULL));
	assert_true(blob_exists(f->s, &b.manifest, NULL));
	assert_int_equal(image_remove(f->s, &a.manifest, NULL, NULL, NULL), -ERR_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(gc_removes_what_nothing_names),
		TEST(a_lease_of_another_handle_protects),
		TEST(a_hit_protects_its_layers_from_a_prune_elsewhere),
		TEST(prune_keeps_images_and_what_was_used_last),
		TEST(what_a_killed_process_left_is_collected),
		TEST(looking_keeps_nothing_and_holding_sees_what_is_gone),
		TEST(builds_and_prunes_at_once_do_not_hurt_each_other),
		TEST(a_prune_that_dies_damages_nothing),
		TEST(cache_mounts_without_row_or_directory_go),
		TEST(a_prune_that_is_to_end_leaves_the_rest),
		TEST(a_tree_of_any_depth_is_removed),
		TEST(a_removed_image_frees_what_only_it_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
