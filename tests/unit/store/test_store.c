/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/fixture.h"

#include <sqlite3.h>
#include <sys/wait.h>

#include "store/blob.h"
#include "store/db.h"
#include "store/du.h"
#include "store/index.h"
#include "store/internal.h"
#include "store/mounts.h"
#include "store/record.h"
#include "store/schema.h"
#include "store/verify.h"

static void exec_sql(struct fixture *f, const char *sql)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	struct error *err = NULL;

	assert_ok(db_begin(f->s->db, DB_WRITE, &tx, &err), err);
	assert_ok(db_run(&tx, &err, sql, ""), err);
	assert_ok(db_commit(&tx, &err), err);
}

static void a_store_of_a_newer_kiln_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	struct store *s = NULL;

	exec_sql(f, "PRAGMA user_version = 99");
	assert_int_equal(store_open(f->dir, &s, &err), -ERR_UNSUPPORTED);
	assert_non_null(strstr(error_text(err), "version 99"));
	assert_non_null(error_hint_text(err));
}

static void removing_a_store_that_is_not_there_says_so(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_free_ char *root = xasprintf("%s/none", f->dir);

	assert_int_equal(store_remove(root, NULL, &err), -ERR_NOTFOUND);
	assert_non_null(strstr(error_text(err), root));
	assert_non_null(strstr(error_hint_text(err), "KILN_ROOT"));
}

static void removing_a_store_in_use_says_what_to_do(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_free_ char *temporary = NULL;
	_cleanup_close_ int fd = -1;

	assert_ok(store_tmp_dir(f->s, &temporary, &fd, &err), err);
	assert_int_equal(store_remove(f->dir, NULL, &err), -ERR_BUSY);
	assert_non_null(error_hint_text(err));
}

static void must_run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

/* The database as a kiln of version `version` left it, with two records on layers that they
 * share. */
static void make_old_store(struct fixture *f, int version)
{
	_cleanup_free_ char *path = xasprintf("%s/kiln.db", f->dir);
	_cleanup_free_ char *bump = xasprintf("PRAGMA user_version = %d", version);
	sqlite3 *db = NULL;

	store_close(f->s);
	f->s = NULL;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	must_run(db, schema_scripts[0]);
	must_run(db,
		 "INSERT INTO record (id, data, description, created, duration, last_used, uses,"
		 " checksum) VALUES (7, x'00', 'RUN old', 1, 2, 3, 4, 5),"
		 " (8, x'00', 'RUN older', 1, 2, 2, 4, 5), (9, x'00', 'RUN empty', 1, 2, 1, 4, 5)");
	must_run(db, "INSERT INTO layer (id, has_dir, created) VALUES (1, 1, 0), (2, 1, 0),"
		     " (3, 1, 0), (4, 1, 0)");
	must_run(db, "INSERT INTO record_layer (record, position, layer) VALUES (7, 0, 1),"
		     " (7, 1, 3), (7, 2, 2), (8, 0, 1), (8, 1, 3)");
	for (int i = 1; i < version; i++)
		must_run(db, schema_scripts[i]);
	must_run(db, bump);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int64_t number(struct fixture *f, const char *sql)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	struct error *err = NULL;
	int64_t n;

	assert_ok(db_begin(f->s->db, DB_READ, &tx, &err), err);
	assert_ok(db_get_i64(&tx, &n, -1, &err, sql, ""), err);
	return n;
}

static void assert_records(struct fixture *f)
{
	struct du_record *records = NULL;
	struct error *err = NULL;
	struct du_totals totals;
	size_t n;

	assert_ok(store_du(f->s, &records, &n, &totals, &err), err);
	assert_int_equal(n, 3);
	assert_int_equal(records[2].id, 7);
	assert_string_equal(records[2].description, "RUN old");
	assert_int_equal(records[2].last_used, 3);
	assert_int_equal(records[2].uses, 4);
	assert_int_equal(records[2].layer, 2);
	assert_int_equal(records[2].parent, 8);
	for (size_t i = 0; i < n; i++)
		du_record_release(&records[i]);
	free(records);
}

static void a_store_of_an_older_kiln_keeps_its_records(void **state)
{
	struct fixture *f = *state;

	for (int version = 1; version < schema_version; version++) {
		struct error *err = NULL;

		make_old_store(f, version);
		assert_ok(store_open(f->dir, &f->s, &err), err);
		assert_records(f);
		/* What the records stand on is kept, and goes with the last of them. */
		assert_int_equal(number(f, "SELECT count(*) FROM stack"), 3);
		assert_int_equal(number(f, "SELECT count(*) FROM stack WHERE id <>"
					   " chain_id(coalesce(parent, 0), layer)"),
				 0);
		assert_ok(store_gc(f->s, NULL, &err), err);
		assert_int_equal(number(f, "SELECT sum(id) FROM layer"), 1 + 2 + 3);
		assert_ok(record_remove(f->s, 7, &err), err);
		assert_ok(store_gc(f->s, NULL, &err), err);
		assert_int_equal(number(f, "SELECT sum(id) FROM layer"), 1 + 3);
		assert_int_equal(number(f, "SELECT count(*) FROM stack"), 2);
		assert_ok(record_remove(f->s, 8, &err), err);
		assert_ok(store_gc(f->s, NULL, &err), err);
		assert_int_equal(number(f, "SELECT count(*) FROM stack"), 0);
	}
}

static void a_store_of_another_id_map_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	struct store *s = NULL;

	if (geteuid() != 0)
		skip();
	exec_sql(f, "UPDATE meta SET value = '0 1000 1 / 0 1000 1' WHERE name = 'id_map'");
	assert_int_equal(store_open(f->dir, &s, &err), -ERR_UNSUPPORTED);
	assert_non_null(strstr(error_text(err), "id map"));
}

static void a_relative_root_and_a_root_that_is_a_file_are_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = xasprintf("%s/kiln.db", f->dir);
	struct store *s = NULL;

	assert_int_equal(store_open("relative", &s, NULL), -ERR_INVALID);
	assert_true(store_open(path, &s, NULL) < 0);
}

static void many_processes_create_one_store(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *dir = xasprintf("%s/new/deep", f->dir);
	pid_t pids[4];

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct store *s = NULL;
			bool bad = store_open(dir, &s, NULL) < 0 ||
				   blob_put(s, "x", 1, NULL, NULL) < 0;

			store_close(s);
			_exit(bad);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		int status = 1;

		waitpid(pids[i], &status, 0);
		assert_int_equal(status, 0);
	}
}

static void a_temporary_directory_comes_and_goes(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *name = NULL, *path = NULL;
	int fd = -1;

	assert_int_equal(store_tmp_dir(f->s, &name, &fd, NULL), 0);
	assert_int_equal(mkdirat(fd, "sub", 0), 0);
	close(fd);
	path = xasprintf("%s/tmp/%s", f->dir, name);
	assert_int_equal(access(path, F_OK), 0);
	store_tmp_remove(f->s, name);
	assert_int_equal(access(path, F_OK), -1);
}

static void closing_a_handle_leaves_no_lease_file(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *lock = xasprintf("%s/lock", f->dir);
	_cleanup_free_ char *create = xasprintf("%s/create", lock);

	assert_int_equal(blob_put(f->s, "x", 1, NULL, NULL), 0);
	fixture_reopen(f);
	assert_int_equal(unlink(create), 0);
	assert_int_equal(rmdir(lock), 0);
	assert_int_equal(mkdir(lock, 0700), 0);
}

struct reports {
	char text[1024];
};

static void note(void *data, enum verify_verdict verdict, const char *what, const char *why)
{
	(void)verdict;
	struct reports *r = data;

	snprintf(r->text + strlen(r->text), sizeof(r->text) - strlen(r->text), "%.10s: %s\n", what,
		 why);
}

static void damage(struct fixture *f, const char *path)
{
	int fd = openat(store_dirfd(f->s), path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "!", 1), 1);
	close(fd);
}

static void verify_finds_every_kind_of_damage(void **state)
{
	struct fixture *f = *state;
	struct reports reports = {""};
	struct verify_counts counts;
	struct error *err = NULL;
	struct digest blob;
	_cleanup_free_ char *path = NULL, *file = NULL, *index = NULL;
	int64_t good, bad_file, bad_index;

	good = fixture_layer(f->s, "g", "good");
	bad_file = fixture_layer(f->s, "b", "bad");
	bad_index = fixture_layer(f->s, "i", "index");
	assert_ok(blob_put(f->s, "blob", 4, &blob, &err), err);
	assert_ok(store_verify(f->s, NULL, note, &reports, &counts, &err), err);
	assert_string_equal(reports.text, "");
	assert_int_equal(counts.layers, 3);
	assert_int_equal(counts.blobs, 1);
	path = store_blob_path(&blob);
	damage(f, path);
	file = xasprintf("layers/%lld/fs/b", (long long)bad_file);
	damage(f, file);
	index = xasprintf("layers/%lld/index", (long long)bad_index);
	damage(f, index);
	assert_ok(store_verify(f->s, NULL, note, &reports, &counts, &err), err);
	assert_int_equal(counts.damaged, 3);
	assert_non_null(strstr(reports.text, "blob sha25: its bytes have another digest"));
	assert_non_null(strstr(reports.text, "'b' has changed its content"));
	assert_non_null(strstr(reports.text, "it is not an index"));
	assert_null(strstr(reports.text, "'g'"));
	assert_true(good > 0);
	/* What was damaged is not trusted any more. */
	reports.text[0] = '\0';
	assert_ok(store_verify(f->s, NULL, note, &reports, &counts, &err), err);
	assert_int_equal(counts.damaged, 0);
	assert_int_equal(counts.layers, 1);
}

static void a_layer_torn_by_a_power_cut_is_not_used(void **state)
{
	struct fixture *f = *state;
	int64_t whole = fixture_layer(f->s, "w", "whole"), torn = fixture_layer(f->s, "t", "torn");
	_cleanup_free_ char *path = xasprintf("layers/%lld/fs/t", (long long)torn);
	struct index *index = NULL;

	exec_sql(f, "UPDATE layer SET boot = 'another-boot'");
	damage(f, path);
	fixture_reopen(f);
	assert_int_equal(layer_index(f->s, whole, &index, NULL), 0);
	index_unref(index);
	assert_int_equal(layer_index(f->s, torn, &index, NULL), -ERR_CORRUPT);
	assert_int_equal(layer_index(f->s, torn, &index, NULL), -ERR_NOTFOUND);
}

static void a_record_of_a_torn_layer_is_a_miss(void **state)
{
	struct fixture *f = *state;
	int64_t whole = fixture_layer(f->s, "w", "whole"), torn = fixture_layer(f->s, "t", "torn");
	_cleanup_free_ char *path = xasprintf("layers/%lld/fs/t", (long long)torn);
	struct digest keys[2] = {digest_of("w", 1), digest_of("t", 1)};
	struct record r = {.layers = &whole, .n_layers = 1, .data = BUF_INIT}, got;
	bool found = false;

	assert_int_equal(record_add(f->s, &r, &keys[0], 1, NULL), 0);
	r.layers = &torn;
	assert_int_equal(record_add(f->s, &r, &keys[1], 1, NULL), 0);
	exec_sql(f, "UPDATE layer SET boot = 'another-boot'");
	damage(f, path);
	fixture_reopen(f);
	assert_int_equal(record_find(f->s, &keys[1], &found, &got, NULL), 0);
	assert_false(found);
	assert_int_equal(record_find(f->s, &keys[0], &found, &got, NULL), 0);
	assert_true(found);
	record_release(&got);
}

static void private_cache_mounts_get_a_directory_each(void **state)
{
	struct fixture *f = *state;
	struct mount_use *a = NULL, *b = NULL, *c = NULL;
	struct mount_info *infos = NULL;
	struct error *err = NULL;
	struct stat st;
	size_t n = 0;

	assert_ok(mounts_acquire(
			  f->s,
			  &(struct mount_wish){"/root/.cache", 0700, geteuid(), getegid(), NULL},
			  MOUNT_PRIVATE, NULL, &a, &err),
		  err);
	assert_ok(mounts_acquire(
			  f->s,
			  &(struct mount_wish){"/root/.cache", 0700, geteuid(), getegid(), NULL},
			  MOUNT_PRIVATE, NULL, &b, &err),
		  err);
	assert_string_not_equal(mounts_path(a), mounts_path(b));
	assert_true(mounts_is_new(a));
	assert_int_equal(stat(mounts_path(a), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(mounts_remove(f->s, "/root/.cache", NULL), -ERR_BUSY);
	mounts_release(a);
	assert_ok(mounts_acquire(
			  f->s,
			  &(struct mount_wish){"/root/.cache", 0755, geteuid(), getegid(), NULL},
			  MOUNT_SHARED, NULL, &c, &err),
		  err);
	assert_false(mounts_is_new(c));
	mounts_release(b);
	mounts_release(c);
	assert_ok(mounts_list(f->s, &infos, &n, &err), err);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++) {
		assert_true(infos[i].size > 0 && infos[i].uses > 0);
		mount_info_release(&infos[i]);
	}
	free(infos);
	assert_ok(mounts_remove(f->s, "/root/.cache", &err), err);
	assert_int_equal(mounts_remove(f->s, "/root/.cache", NULL), -ERR_NOTFOUND);
}

static void a_locked_cache_mount_waits_until_canceled(void **state)
{
	struct fixture *f = *state;
	struct mount_use *a = NULL, *b = NULL;
	struct cancel cancel;

	cancel_init(&cancel);
	assert_int_equal(
		mounts_acquire(f->s, &(struct mount_wish){"id", 0755, geteuid(), getegid(), NULL},
			       MOUNT_LOCKED, NULL, &a, NULL),
		0);
	cancel_set(&cancel);
	assert_int_equal(
		mounts_acquire(f->s, &(struct mount_wish){"id", 0755, geteuid(), getegid(), NULL},
			       MOUNT_LOCKED, &cancel, &b, NULL),
		-ERR_CANCELED);
	mounts_release(a);
	cancel_release(&cancel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(a_store_of_a_newer_kiln_is_refused),
		TEST(a_store_of_an_older_kiln_keeps_its_records),
		TEST(a_store_of_another_id_map_is_refused),
		TEST(a_relative_root_and_a_root_that_is_a_file_are_refused),
		TEST(removing_a_store_that_is_not_there_says_so),
		TEST(removing_a_store_in_use_says_what_to_do),
		TEST(many_processes_create_one_store),
		TEST(a_temporary_directory_comes_and_goes),
		TEST(closing_a_handle_leaves_no_lease_file),
		TEST(verify_finds_every_kind_of_damage),
		TEST(a_layer_torn_by_a_power_cut_is_not_used),
		TEST(a_record_of_a_torn_layer_is_a_miss),
		TEST(private_cache_mounts_get_a_directory_each),
		TEST(a_locked_cache_mount_waits_until_canceled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
