/* SPDX-License-Identifier: Apache-2.0 */
/* What a power cut or a hand can do to the store, and that none of it is ever used. A power cut is
 * simulated: the boot marks of what was not synced become another boot's, and files are torn. */
#include "tests/unit/store/fixture.h"

#include <sys/resource.h>

#include "store/blob.h"
#include "store/db.h"
#include "store/durable.h"
#include "store/gc.h"
#include "store/index.h"
#include "store/internal.h"
#include "store/record.h"
#include "store/verify.h"

static void exec_sql(struct fixture *f, const char *sql)
{
	struct db_tx tx = DB_TX_INIT;
	struct error *err = NULL;

	assert_ok(db_begin(f->s->db, DB_WRITE, &tx, &err), err);
	assert_ok(db_run(&tx, &err, sql, ""), err);
	assert_ok(db_commit(&tx, &err), err);
}

/* The handle ends, and the next one lives in another boot. */
static void cut_power(struct fixture *f)
{
	exec_sql(f, "UPDATE layer SET boot = 'another' WHERE boot IS NOT NULL");
	exec_sql(f, "UPDATE blob SET boot = 'another' WHERE boot IS NOT NULL");
	fixture_reopen(f);
}

static void tear(struct fixture *f, int64_t layer, const char *file, off_t size)
{
	_cleanup_free_ char *path = xasprintf("%s/layers/%lld/%s", f->dir, (long long)layer, file);

	assert_int_equal(truncate(path, size), 0);
}

static int64_t add(struct store *s, const char *key, int64_t layer)
{
	struct digest k = digest_of(key, strlen(key));
	struct record r = {.layers = &layer, .n_layers = 1, .data = BUF_INIT};
	struct error *err = NULL;

	assert_ok(record_add(s, &r, &k, 1, &err), err);
	return layer;
}

static bool hits(struct store *s, const char *key)
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

static bool warns(struct store *s, const char *about)
{
	_cleanup_strv_ struct strv notices = {0};
	bool found = false;

	store_take_notices(s, &notices);
	for (size_t i = 0; i < notices.n; i++)
		found = found || strstr(notices.v[i], about);
	return found;
}

static void whole_layers_of_another_boot_are_used(void **state)
{
	struct fixture *f = *state;

	add(f->s, "k", fixture_layer(f->s, "a", "text"));
	cut_power(f);
	assert_true(hits(f->s, "k"));
	assert_false(warns(f->s, ""));
}

static void a_torn_file_a_torn_index_and_a_lost_dir_are_misses(void **state)
{
	struct fixture *f = *state;
	int64_t file = add(f->s, "file", fixture_layer(f->s, "a", "text"));
	int64_t index = add(f->s, "index", fixture_layer(f->s, "a", "text"));
	int64_t dir = add(f->s, "dir", fixture_layer(f->s, "a", "text"));
	_cleanup_free_ char *path = xasprintf("%s/layers/%lld/fs", f->dir, (long long)dir);

	add(f->s, "whole", fixture_layer(f->s, "a", "text"));
	tear(f, file, "fs/a", 2);
	tear(f, index, "index", 100);
	(void)!fs_remove_tree(AT_FDCWD, path);
	cut_power(f);
	assert_false(hits(f->s, "file"));
	assert_true(warns(f->s, "layer"));
	assert_false(hits(f->s, "index"));
	assert_true(warns(f->s, "layer"));
	assert_false(hits(f->s, "dir"));
	assert_true(warns(f->s, "made again"));
	assert_true(hits(f->s, "whole"));
}

static void a_changed_mode_or_symlink_is_damage(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	_cleanup_free_ char *path = NULL;
	int64_t mode = add(f->s, "mode", fixture_layer(f->s, "a", "text")), link;

	fixture_put(w, "l", ENTRY_SYMLINK, "target");
	link = add(f->s, "link", fixture_commit(w));
	path = xasprintf("%s/layers/%lld/fs/a", f->dir, (long long)mode);
	assert_int_equal(chmod(path, 0600), 0);
	free(path);
	path = xasprintf("%s/layers/%lld/fs/l", f->dir, (long long)link);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	cut_power(f);
	assert_false(hits(f->s, "mode"));
	assert_false(hits(f->s, "link"));
}

/* What an export leaves known of a layer made here is not enough to have it again. */
static void a_torn_layer_whose_descriptor_is_known_is_a_miss(void **state)
{
	struct fixture *f = *state;
	struct layer_blob blob = {.media_type = (char[]){"tar"}, .size = 10};
	int64_t made = add(f->s, "made", fixture_layer(f->s, "a", "text"));
	int64_t stored = add(f->s, "stored", fixture_layer(f->s, "b", "text"));
	struct layer_info info = {0};
	struct error *err = NULL;

	blob.digest = digest_of("never stored", 12);
	assert_ok(layer_set_blob(f->s, made, &blob, &err), err);
	assert_ok(blob_put(f->s, "0123456789", 10, &blob.digest, &err), err);
	assert_ok(layer_set_blob(f->s, stored, &blob, &err), err);
	tear(f, made, "fs/a", 0);
	tear(f, stored, "fs/b", 0);
	cut_power(f);
	assert_false(hits(f->s, "made"));
	/* This one can be unpacked again. */
	assert_true(hits(f->s, "stored"));
	assert_ok(layer_get(f->s, stored, &info, &err), err);
	assert_false(info.has_dir);
	layer_info_release(&info);
}

static void whoever_asks_for_a_torn_layer_is_told_that_it_has_no_dir(void **state)
{
	struct fixture *f = *state;
	int64_t id = fixture_layer(f->s, "a", "text");
	struct layer_info info = {0};
	struct error *err = NULL;
	size_t n;
	bool lost;

	add(f->s, "k", id);
	tear(f, id, "fs/a", 0);
	cut_power(f);
	assert_ok(layer_get(f->s, id, &info, &err), err);
	assert_false(info.has_dir);
	layer_info_release(&info);
	assert_ok(layer_is_lost(f->s, id, &lost, &err), err);
	assert_true(lost);
	assert_ok(record_drop_torn(f->s, &n, &err), err);
	assert_int_equal(n, 1);
}

static void a_flipped_bit_in_an_index_is_found_on_use(void **state)
{
	struct fixture *f = *state;
	int64_t id = fixture_layer(f->s, "a", "text");
	_cleanup_free_ char *path = xasprintf("%s/layers/%lld/index", f->dir, (long long)id);
	struct index *index = NULL;
	FILE *file;

	add(f->s, "k", id);
	file = fopen(path, "r+");
	assert_non_null(file);
	fseek(file, 130, SEEK_SET);
	fputc(0x55, file);
	fclose(file);
	fixture_reopen(f);
	assert_int_equal(layer_index(f->s, id, &index, NULL), -ERR_CORRUPT);
	assert_true(warns(f->s, "layer"));
	assert_false(hits(f->s, "k"));
}

static void verify_finds_and_forgets_changed_records(void **state)
{
	struct fixture *f = *state;
	struct verify_counts counts = {0};
	struct error *err = NULL;

	add(f->s, "a", fixture_layer(f->s, "a", "1"));
	exec_sql(f, "UPDATE record SET checksum = checksum + 1");
	add(f->s, "b", fixture_layer(f->s, "b", "1"));
	assert_ok(store_verify(f->s, NULL, NULL, NULL, &counts, &err), err);
	assert_int_equal(counts.records, 2);
	assert_int_equal(counts.damaged, 1);
	assert_false(hits(f->s, "a"));
	assert_true(hits(f->s, "b"));
}

/* A record of two layers that were there before, under `text`. */
static void add_two(struct store *s, const char *text, int64_t below, int64_t top)
{
	struct digest k = digest_of(text, strlen(text));
	int64_t layers[2] = {below, top};
	struct record r = {.layers = layers, .n_layers = 2, .data = BUF_INIT};
	struct error *err = NULL;

	assert_ok(record_add(s, &r, &k, 1, &err), err);
}

/* A stack that is not what its number says would keep other layers than those of its records. */
static void verify_finds_and_forgets_changed_stacks(void **state)
{
	static const char *const damages[] = {
		"UPDATE stack SET layer = 1 + layer WHERE layer = (SELECT min(id) FROM layer)",
		"UPDATE stack SET parent = NULL WHERE parent IS NOT NULL",
		"UPDATE record SET stack = NULL WHERE instr(layers, ' ')",
	};
	struct fixture *f = *state;
	int64_t one = fixture_layer(f->s, "a", "1"), two = fixture_layer(f->s, "a", "2");
	int64_t three = fixture_layer(f->s, "a", "3");

	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct verify_counts counts = {0};
		struct error *err = NULL;

		add_two(f->s, "a", one, two);
		add(f->s, "b", three);
		exec_sql(f, damages[i]);
		assert_ok(store_verify(f->s, NULL, NULL, NULL, &counts, &err), err);
		assert_int_equal(counts.damaged, 1);
		assert_false(hits(f->s, "a"));
		assert_true(hits(f->s, "b"));
		add_two(f->s, "a", one, two);
		counts = (struct verify_counts){0};
		assert_ok(store_verify(f->s, NULL, NULL, NULL, &counts, &err), err);
		assert_int_equal(counts.damaged, 0);
	}
}

static void what_cannot_be_read_is_not_damaged(void **state)
{
	struct fixture *f = *state;
	struct verify_counts counts = {0};
	struct error *err = NULL;
	struct rlimit limit, none;
	struct digest blob;
	int64_t id = fixture_layer(f->s, "dir/file", "text");

	assert_ok(blob_put(f->s, "blob", 4, &blob, &err), err);
	add(f->s, "k", id);
	cut_power(f); /* whoever uses them now has to look at them first */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	/* The database opens its files when it is asked; after that nothing can be opened. */
	(void)hits(f->s, "none");
	for (rlim_t n = 8; n < 64; n++) {
		none = (struct rlimit){.rlim_cur = n, .rlim_max = limit.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		(void)!store_verify(f->s, NULL, NULL, NULL, &counts, NULL);
		(void)blob_exists(f->s, &blob, NULL);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(counts.damaged, 0);
	}
	assert_ok(store_verify(f->s, NULL, NULL, NULL, &counts, &err), err);
	assert_int_equal(counts.blobs, 1);
	assert_int_equal(counts.layers, 1);
	assert_int_equal(counts.damaged + counts.unread, 0);
	assert_true(blob_exists(f->s, &blob, NULL));
}

struct trace {
	char steps[4096];
};

static void note(void *data, enum durable_step step, const char *what)
{
	struct trace *t = data;
	size_t n = strlen(t->steps);

	/* rename to a place, rename to the trash, commit, sync */
	snprintf(t->steps + n, sizeof(t->steps) - n, "%c",
		 step == DURABLE_COMMIT		 ? 'c'
		 : step == DURABLE_SYNC		 ? 's'
		 : strncmp(what, "tmp/", 4) == 0 ? 't'
						 : 'r');
}

static void names_come_before_rows_and_rows_go_before_names(void **state)
{
	struct fixture *f = *state;
	struct prune_options all = {.all = true};
	struct trace t = {""};
	struct error *err = NULL;
	const char *trash;
	int64_t id;

	fixture_layer(f->s, "warm", "up"); /* takes the lease */
	durable_trace(note, &t);
	id = fixture_layer(f->s, "a", "text");
	assert_string_equal(t.steps, "rc");
	add(f->s, "k", id);
	assert_string_equal(t.steps, "rcc");
	durable_trace(NULL, NULL);
	fixture_reopen(f);
	t = (struct trace){""};
	durable_trace(note, &t);
	assert_ok(store_prune(f->s, &all, NULL, &err), err);
	durable_trace(NULL, NULL);
	/* The record's row, then those of what it needed, then the files; a sync of all at
	 * the end. */
	trash = strchr(t.steps, 't');
	assert_non_null(trash);
	assert_true(trash - t.steps >= 2);
	for (const char *p = t.steps; p < trash; p++)
		assert_int_equal(*p, 'c');
	assert_non_null(strchr(trash, 's'));
	assert_true(strchr(trash, 'c') < strchr(trash, 's'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(whole_layers_of_another_boot_are_used),
		TEST(a_torn_file_a_torn_index_and_a_lost_dir_are_misses),
		TEST(a_changed_mode_or_symlink_is_damage),
		TEST(a_torn_layer_whose_descriptor_is_known_is_a_miss),
		TEST(whoever_asks_for_a_torn_layer_is_told_that_it_has_no_dir),
		TEST(a_flipped_bit_in_an_index_is_found_on_use),
		TEST(verify_finds_and_forgets_changed_records),
		TEST(verify_finds_and_forgets_changed_stacks),
		TEST(what_cannot_be_read_is_not_damaged),
		TEST(names_come_before_rows_and_rows_go_before_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
