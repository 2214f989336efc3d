/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/fixture.h"

#include <pthread.h>

#include "base/times.h"
#include "store/blob.h"
#include "store/db.h"
#include "store/du.h"
#include "store/evict.h"
#include "store/gc.h"
#include "store/image.h"
#include "store/internal.h"
#include "store/mounts.h"
#include "store/record.h"
#include "store/space.h"

#define HOUR INT64_C(3600000000000)

static int64_t add_record(struct store *s, const char *key, int64_t *layers, size_t n,
			  int64_t duration)
{
	struct digest k = digest_of(key, strlen(key));
	struct record r = {.layers = layers,
			   .n_layers = n,
			   .data = BUF_INIT,
			   .description = (char *)(uintptr_t)key,
			   .duration = duration};
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

static void set_last_used(struct store *s, int64_t id, int64_t when)
{
	struct db_tx tx = DB_TX_INIT;
	struct error *err = NULL;

	assert_ok(db_begin(s->db, DB_WRITE, &tx, &err), err);
	assert_ok(db_run(&tx, &err, "UPDATE record_use SET last_used = ? WHERE record = ?", "ii",
			 when, id),
		  err);
	assert_ok(db_commit(&tx, &err), err);
}

static uint64_t total(struct store *s)
{
	struct du_record *records = NULL;
	struct du_totals totals;
	struct error *err = NULL;
	size_t n;

	assert_ok(store_du(s, &records, &n, &totals, &err), err);
	for (size_t i = 0; i < n; i++)
		du_record_release(&records[i]);
	free(records);
	return totals.store;
}

/* A layer of about n bytes. */
static int64_t big_layer(struct store *s, const char *name, size_t n)
{
	_cleanup_free_ char *text = xmalloc(n + 1);

	memset(text, name[0], n);
	text[n] = '\0';
	return fixture_layer(s, name, text);
}

static void limit(struct store *s, uint64_t max_used, bool strict)
{
	struct space_policy policy = {.max_used = max_used, .strict = strict, .keep_ns = 48 * HOUR};

	space_set_policy(s, &policy);
}

static void the_running_total_follows_blobs_layers_and_mounts(void **state)
{
	struct fixture *f = *state;
	struct prune_options all = {.all = true, .mounts = true};
	struct mount_use *m = NULL;
	struct error *err = NULL;
	_cleanup_free_ char *path = NULL;
	FILE *file;

	assert_int_equal(total(f->s), 0);
	assert_ok(blob_put(f->s, "12345", 5, NULL, &err), err);
	assert_ok(blob_put(f->s, "12345", 5, NULL, &err), err);
	assert_int_equal(total(f->s), 5);
	big_layer(f->s, "a", 5000);
	assert_int_equal(total(f->s), 5 + 8192 + 4096 + 4096 - 4096);
	assert_ok(mounts_acquire(f->s, &(struct mount_wish){"id", 0755, 0, 0, NULL}, MOUNT_SHARED,
				 NULL, &m, &err),
		  err);
	assert_ok(mounts_note_step(m, "RUN x", &err), err);
	path = xasprintf("%s/file", mounts_path(m));
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite("x", 1, 1, file), 1);
	fclose(file);
	mounts_release(m);
	assert_true(total(f->s) > 5 + 8192 + 4096);
	fixture_reopen(f);
	assert_ok(store_prune(f->s, &all, NULL, &err), err);
	assert_int_equal(total(f->s), 0);
}

static void what_is_cheap_to_make_and_large_goes_first(void **state)
{
	(void)state;
	assert_true(evict_value(10, 1 << 20, 0) > evict_value(1, 1 << 20, 0));
	assert_true(evict_value(10, 1 << 20, 0) > evict_value(10, 1 << 24, 0));
	assert_true(evict_value(10, 1 << 20, 0) > evict_value(10, 1 << 20, HOUR));
	/* 48 hours unused cost half. */
	assert_true(evict_value(2.5, 1 << 20, 48 * HOUR) < evict_value(1.5, 1 << 20, 0));
	assert_true(evict_value(4.5, 1 << 20, 48 * HOUR) > evict_value(2.0, 1 << 20, 0));
}

static void a_cap_evicts_the_least_worth_and_keeps_what_others_stand_on(void **state)
{
	struct fixture *f = *state;
	int64_t chain[2], other;
	struct error *err = NULL;

	chain[0] = big_layer(f->s, "a", 100000);
	chain[1] = big_layer(f->s, "b", 100000);
	other = big_layer(f->s, "c", 100000);
	/* The parent is worth least, but its child, worth most, stands on it. */
	add_record(f->s, "parent", chain, 1, HOUR / 3600);
	add_record(f->s, "child", chain, 2, HOUR);
	add_record(f->s, "other", &other, 1, HOUR / 60);
	fixture_reopen(f);
	limit(f->s, 250000, false);
	assert_ok(space_reserve(f->s, 0, &err), err);
	assert_false(has_record(f->s, "other"));
	assert_true(has_record(f->s, "parent"));
	assert_true(has_record(f->s, "child"));
	assert_true(total(f->s) <= 250000);
}

/* Of a quick, large base image and results that took long: the base was used just now, those were
 * not. */
static void what_was_used_just_now_goes_last(void **state)
{
	struct fixture *f = *state;
	int64_t now = times_now_ns(), base = big_layer(f->s, "base", 100000);
	int64_t ids[3], n[3];
	static const char *const names[] = {"oldest", "older", "old"};
	struct error *err = NULL;

	assert_int_equal(evict_recency(2 * HOUR), 0);
	assert_int_equal(evict_recency(HOUR * 3 / 4), 1);
	assert_int_equal(evict_recency(HOUR / 3), 2);
	assert_true(evict_recency(0) > evict_recency(HOUR / 60));
	assert_int_equal(evict_recency(0), evict_recency(-HOUR));
	for (int i = 0; i < 3; i++) {
		ids[i] = big_layer(f->s, names[i], 100000);
		n[i] = add_record(f->s, names[i], &ids[i], 1, HOUR * (3 - i));
	}
	set_last_used(f->s, n[0], now - HOUR * 2 / 3);
	set_last_used(f->s, n[1], now - HOUR / 3);
	set_last_used(f->s, n[2], now - HOUR / 6);
	add_record(f->s, "base", &base, 1, 0);
	fixture_reopen(f);
	limit(f->s, 380000, false);
	assert_ok(space_reserve(f->s, 0, &err), err);
	assert_false(has_record(f->s, "oldest"));
	assert_true(has_record(f->s, "older"));
	assert_true(has_record(f->s, "base"));
	fixture_reopen(f); /* what was looked at is in use until then */
	limit(f->s, 280000, false);
	assert_ok(space_reserve(f->s, 0, &err), err);
	assert_false(has_record(f->s, "older"));
	assert_true(has_record(f->s, "old"));
	fixture_reopen(f);
	limit(f->s, 180000, false);
	assert_ok(space_reserve(f->s, 0, &err), err);
	assert_false(has_record(f->s, "old"));
	assert_true(has_record(f->s, "base"));
}

static void a_build_in_progress_loses_nothing_to_the_cap(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = NULL;
	struct error *err = NULL;
	int64_t old = big_layer(f->s, "old", 100000), id;

	add_record(f->s, "old", &old, 1, 0);
	fixture_reopen(f);
	limit(f->s, 150000, false);
	id = big_layer(f->s, "new", 100000); /* evicts the old one as it is committed */
	assert_false(has_record(f->s, "old"));
	/* Beyond the cap, since both are in use. */
	add_record(f->s, "new", &id, 1, 0);
	id = big_layer(f->s, "more", 100000);
	assert_true(has_record(f->s, "new"));
	add_record(f->s, "more", &id, 1, 0);

	/* A cap that was asked for is an error instead, and nothing is left of the attempt. */
	limit(f->s, 150000, true);
	assert_int_equal(layer_writer_open(f->s, &w, &err), -ERR_NOSPACE);
	assert_non_null(strstr(error_text(err), "the limit is 150kB"));
	assert_non_null(error_hint_text(err));
	error_free(err);
	err = NULL;
	assert_true(has_record(f->s, "more"));
	fixture_reopen(f);
	limit(f->s, 150000, true);
	assert_ok(space_maintain(f->s, &err), err);
	assert_true(total(f->s) <= 150000);
}

static void images_do_not_count_and_are_never_evicted(void **state)
{
	struct fixture *f = *state;
	int64_t id = big_layer(f->s, "a", 1000000);
	struct image image = {.layers = &id, .n_layers = 1};
	struct error *err = NULL;
	bool found;

	assert_ok(blob_put(f->s, "m", 1, &image.manifest, &err), err);
	assert_ok(blob_put(f->s, "c", 1, &image.config, &err), err);
	assert_ok(image_put(f->s, &image, "a", IMAGE_MADE, NULL, &err), err);
	add_record(f->s, "step", &id, 1, 0);
	fixture_reopen(f);
	limit(f->s, 50000, true);
	for (int i = 0; i < 3; i++)
		assert_ok(space_reserve(f->s, 1000, &err), err);
	assert_true(has_record(f->s, "step"));
	assert_ok(image_by_name(f->s, "a", &found, &image, NULL, &err), err);
	assert_true(found);
	image_release(&image);
}

static void an_image_in_the_making_does_not_count_but_the_cache_does(void **state)
{
	struct space_policy policy = {
		.max_used = 250000, .strict = true, .keep_ns = 48 * HOUR, .makes_image = true};
	struct fixture *f = *state;
	int64_t a = big_layer(f->s, "a", 200000), b;
	struct error *err = NULL;

	add_record(f->s, "first", &a, 1, HOUR);
	fixture_reopen(f);
	space_set_policy(f->s, &policy);
	/* Larger than what the cache may take, so with it the total is far over the cap. */
	b = big_layer(f->s, "b", 600000);
	assert_ok(space_reserve(f->s, 0, &err), err);
	assert_true(has_record(f->s, "first"));
	/* What goes over the cap by itself goes at the next write, whoever writes. */
	add_record(f->s, "second", &b, 1, HOUR * 2);
	fixture_reopen(f);
	space_set_policy(f->s, &policy);
	(void)big_layer(f->s, "c", 1000);
	assert_false(has_record(f->s, "second"));
}

static void below_the_cap_only_what_is_old_goes_for_free_space(void **state)
{
	struct fixture *f = *state;
	int64_t ids[2] = {big_layer(f->s, "a", 100000), big_layer(f->s, "b", 100000)};
	struct space_policy policy = {
		.max_used = UINT64_MAX / 2, .min_free = UINT64_MAX / 2, .keep_ns = 48 * HOUR};
	struct error *err = NULL;
	int64_t old = add_record(f->s, "old", &ids[0], 1, 0);

	add_record(f->s, "young", &ids[1], 1, 0);
	set_last_used(f->s, old, times_now_ns() - 49 * HOUR);
	fixture_reopen(f);
	space_set_policy(f->s, &policy);
	assert_ok(space_maintain(f->s, &err), err);
	assert_false(has_record(f->s, "old"));
	assert_true(has_record(f->s, "young"));
}

static void a_dry_run_tells_and_leaves_all(void **state)
{
	struct fixture *f = *state;
	struct prune_options o = {.all = true, .mounts = true, .dry_run = true};
	struct gc_result result = {0};
	struct mount_use *m = NULL;
	struct error *err = NULL;
	int64_t id = big_layer(f->s, "a", 100000);

	add_record(f->s, "k", &id, 1, 0);
	assert_ok(mounts_acquire(f->s, &(struct mount_wish){"id", 0755, 0, 0, NULL}, MOUNT_SHARED,
				 NULL, &m, &err),
		  err);
	mounts_release(m);
	fixture_reopen(f);
	assert_ok(store_prune(f->s, &o, &result, &err), err);
	assert_int_equal(result.n_records, 1);
	assert_int_equal(result.n_layers, 1);
	assert_int_equal(result.mounts.n, 1);
	assert_true(result.bytes > 100000);
	gc_result_release(&result);
	assert_true(has_record(f->s, "k"));
}

static void prune_by_name_leaves_what_has_no_name_and_what_was_used_since(void **state)
{
	struct fixture *f = *state;
	struct prune_choice choice = {0};
	struct prune_options o = {.mounts = true, .only = &choice};
	struct gc_result result = {0};
	struct error *err = NULL;
	int64_t id = big_layer(f->s, "a", 10), now = times_now_ns(), k;

	k = add_record(f->s, "k", &id, 1, 0);
	add_record(f->s, "other", &id, 1, 0);
	fixture_reopen(f);
	assert_ok(store_prune(f->s, &o, &result, &err), err);
	assert_int_equal(result.n_records, 0);
	gc_result_release(&result);
	vec_push(&choice.records, k);
	o.unused_since = now;
	set_last_used(f->s, k, now + 1);
	assert_ok(store_prune(f->s, &o, &result, &err), err);
	assert_int_equal(result.n_records, 0);
	gc_result_release(&result);
	set_last_used(f->s, k, now - 1);
	assert_ok(store_prune(f->s, &o, &result, &err), err);
	assert_int_equal(result.n_records, 1);
	gc_result_release(&result);
	assert_false(has_record(f->s, "k"));
	assert_true(has_record(f->s, "other"));
	vec_release(&choice.records);
}

static void why_names_images_and_records_that_pin(void **state)
{
	struct fixture *f = *state;
	int64_t ids[2] = {big_layer(f->s, "a", 10), big_layer(f->s, "b", 10)}, parent, child;
	struct image image = {.layers = ids, .n_layers = 2};
	struct strv lines = {0};
	struct error *err = NULL;

	parent = add_record(f->s, "parent", ids, 1, 0);
	child = add_record(f->s, "child", ids, 2, 0);
	fixture_reopen(f);
	assert_ok(store_why(f->s, child, &lines, &err), err);
	assert_int_equal(lines.n, 0);
	assert_ok(blob_put(f->s, "m", 1, &image.manifest, &err), err);
	assert_ok(blob_put(f->s, "c", 1, &image.config, &err), err);
	assert_ok(image_put(f->s, &image, "docker.io/library/x:latest", IMAGE_MADE, NULL, &err),
		  err);
	assert_ok(store_why(f->s, parent, &lines, &err), err);
	assert_int_equal(lines.n, 2);
	assert_string_equal(lines.v[0], "image docker.io/library/x:latest");
	assert_non_null(strstr(lines.v[1], ": child"));
	strv_release(&lines);
	assert_int_equal(store_why(f->s, 4711, &lines, NULL), -ERR_NOTFOUND);
}

/* Writes layers and blobs beside others of its kind. */
static void *write_many(void *data)
{
	struct store *s = data;

	for (int i = 0; i < 12; i++) {
		char text[64];
		int64_t id;

		snprintf(text, sizeof(text), "f%d-%lu", i, (unsigned long)pthread_self());
		id = big_layer(s, text, 20000);
		add_record(s, text, &id, 1, i);
		(void)!blob_put(s, text, strlen(text), NULL, NULL);
	}
	return NULL;
}

static void many_threads_share_one_cap(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	pthread_t threads[3];

	limit(f->s, 200000, false);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, f->s), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	fixture_reopen(f);
	limit(f->s, 200000, false);
	assert_ok(space_maintain(f->s, &err), err);
	assert_true(total(f->s) <= 200000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(the_running_total_follows_blobs_layers_and_mounts),
		TEST(what_is_cheap_to_make_and_large_goes_first),
		TEST(a_cap_evicts_the_least_worth_and_keeps_what_others_stand_on),
		TEST(what_was_used_just_now_goes_last),
		TEST(a_build_in_progress_loses_nothing_to_the_cap),
		TEST(images_do_not_count_and_are_never_evicted),
		TEST(an_image_in_the_making_does_not_count_but_the_cache_does),
		TEST(below_the_cap_only_what_is_old_goes_for_free_space),
		TEST(a_dry_run_tells_and_leaves_all),
		TEST(prune_by_name_leaves_what_has_no_name_and_what_was_used_since),
		TEST(why_names_images_and_records_that_pin),
		TEST(many_threads_share_one_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
