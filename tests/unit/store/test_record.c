/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/fixture.h"

#include <pthread.h>
#include <sys/wait.h>

#include "store/db.h"
#include "store/du.h"
#include "store/internal.h"
#include "store/lock.h"
#include "store/record.h"

static struct digest key(const char *text)
{
	return digest_of(text, strlen(text));
}

static void a_record_is_found_under_each_of_its_keys(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	struct digest keys[2] = {key("definition"), key("content")};
	int64_t layers[2] = {fixture_layer(f->s, "a", "1"), fixture_layer(f->s, "b", "2")};
	struct record r = {.layers = layers,
			   .n_layers = 2,
			   .data = BUF_INIT,
			   .description = (char[]){"RUN x"},
			   .duration = 77};
	bool found;

	buf_add(&r.data, "a\0b", 3);
	assert_ok(record_add(f->s, &r, keys, 2, &err), err);
	fixture_reopen(f);
	for (int i = 0; i < 2; i++) {
		struct record got = {0};

		assert_ok(record_find(f->s, &keys[i], &found, &got, &err), err);
		assert_true(found);
		assert_int_equal(got.id, r.id);
		assert_int_equal(got.n_layers, 2);
		assert_int_equal(got.layers[1], layers[1]);
		assert_int_equal(got.data.n, 3);
		assert_string_equal(got.description, "RUN x");
		assert_int_equal(got.duration, 77);
		record_release(&got);
	}
	assert_ok(record_remove(f->s, r.id, &err), err);
	assert_ok(record_find(f->s, &keys[1], &found, &r, &err), err);
	assert_false(found);
	buf_release(&r.data);
}

static void a_key_moves_to_the_newer_record(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	struct digest k = key("k");
	int64_t one = fixture_layer(f->s, "a", "1"), two = fixture_layer(f->s, "a", "2");
	struct record r = {.layers = &one, .n_layers = 1, .data = BUF_INIT}, got = {0};
	struct du_record *records = NULL;
	struct du_totals totals;
	bool found;
	size_t n;

	assert_ok(record_add(f->s, &r, &k, 1, &err), err);
	r.layers = &two;
	assert_ok(record_add(f->s, &r, &k, 1, &err), err);
	assert_ok(record_find(f->s, &k, &found, &got, &err), err);
	assert_int_equal(got.layers[0], two);
	record_release(&got);
	assert_ok(store_du(f->s, &records, &n, &totals, &err), err);
	assert_int_equal(n, 1);
	assert_int_equal(records[0].layer, two);
	assert_int_equal(totals.total, 8192); /* blocks: the root and the file */
	du_record_release(&records[0]);
	free(records);
}

static void a_record_of_a_layer_that_is_not_there_is_refused(void **state)
{
	struct fixture *f = *state;
	struct digest k = key("k");
	int64_t none = 99;
	struct record r = {.layers = &none, .n_layers = 1, .data = BUF_INIT}, got;
	bool found = true;

	assert_int_equal(record_add(f->s, &r, &k, 1, NULL), -ERR_NOTFOUND);
	assert_int_equal(record_find(f->s, &k, &found, &got, NULL), 0);
	assert_false(found);
}

static void a_record_that_was_tampered_with_is_a_miss_and_goes(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	struct digest k = key("k");
	int64_t id = fixture_layer(f->s, "a", "1"), left;
	struct record r = {.layers = &id, .n_layers = 1, .data = BUF_INIT}, got;
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	bool found;

	buf_adds(&r.data, "data");
	assert_ok(record_add(f->s, &r, &k, 1, &err), err);
	assert_ok(db_begin(f->s->db, DB_WRITE, &tx, &err), err);
	assert_ok(db_run(&tx, &err, "UPDATE record SET data = x'00'", ""), err);
	assert_ok(db_commit(&tx, &err), err);
	assert_ok(record_find(f->s, &k, &found, &got, &err), err);
	assert_false(found);
	assert_ok(db_begin(f->s->db, DB_READ, &tx, &err), err);
	assert_ok(db_get_i64(&tx, &left, -1, &err, "SELECT count(*) FROM record", ""), err);
	assert_int_equal(left, 0);
	buf_release(&r.data);
}

static int64_t find_id(struct store *s, const struct digest *k)
{
	_cleanup_(record_release) struct record got = {.data = BUF_INIT};
	struct error *err = NULL;
	bool found = false;

	assert_ok(record_look(s, k, &found, &got, &err), err);
	return found ? got.id : 0;
}

static void *find_elsewhere(void *arg)
{
	struct store *s = arg;
	struct digest k = key("k");

	return (void *)(intptr_t)find_id(s, &k);
}

static int64_t add(struct store *s, const struct digest *k)
{
	struct record r = {.data = BUF_INIT};
	struct error *err = NULL;

	assert_ok(record_add(s, &r, k, 1, &err), err);
	return r.id;
}

static void a_view_shows_others_nothing_old_and_us_what_we_write(void **state)
{
	struct fixture *f = *state;
	struct digest k = key("k"), own = key("own");
	struct store *other = NULL;
	struct error *err = NULL;
	pthread_t thread;
	void *seen;
	int64_t id;

	assert_ok(store_open(f->dir, &other, &err), err);
	record_view_begin(f->s);
	assert_int_equal(find_id(f->s, &k), 0);
	id = add(other, &k);
	/* The view is of the time of the first look-up; that of another thread is of now. */
	assert_int_equal(find_id(f->s, &k), 0);
	assert_int_equal(pthread_create(&thread, NULL, find_elsewhere, f->s), 0);
	pthread_join(thread, &seen);
	assert_int_equal((intptr_t)seen, id);
	assert_int_equal(find_id(f->s, &k), id);
	assert_int_equal(find_id(f->s, &own), 0);
	id = add(f->s, &own);
	assert_int_equal(find_id(f->s, &own), id);
	record_view_end(f->s);
	assert_ok(record_remove(other, id, &err), err);
	assert_int_equal(find_id(f->s, &own), 0);
	store_close(other);
}

static void each_record_of_a_build_is_marked_as_used_once(void **state)
{
	struct fixture *f = *state;
	static const int64_t uses[] = {1, 1, 0, 1, 0, 1};
	struct du_record *records = NULL;
	struct error *err = NULL;
	struct du_totals totals;
	int64_t ids[6], used[6];
	size_t n;

	for (int i = 0; i < 6; i++) {
		struct digest k = key((char[]){(char)('a' + i), '\0'});

		ids[i] = add(f->s, &k);
	}
	memcpy(used, (int64_t[]){ids[5], ids[1], ids[0], ids[3], ids[1], ids[3]}, sizeof(used));
	assert_ok(record_touch(f->s, used, 6, &err), err);
	assert_ok(record_touch(f->s, used, 0, &err), err);
	assert_ok(store_du(f->s, &records, &n, &totals, &err), err);
	assert_int_equal(n, 6);
	/* Those that were not used come first. */
	assert_int_equal(records[0].id, ids[2]);
	assert_int_equal(records[1].id, ids[4]);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < 6; k++)
			if (records[i].id == ids[k])
				assert_int_equal(records[i].uses, uses[k]);
		du_record_release(&records[i]);
	}
	free(records);
}

static void pins_keep_the_last_value(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf value = BUF_INIT;
	int64_t when = 0;
	bool found = true;

	assert_int_equal(pin_get(f->s, "x", &found, &value, &when, NULL), 0);
	assert_false(found);
	assert_int_equal(pin_set(f->s, "x", "one", NULL), 0);
	assert_int_equal(pin_set(f->s, "x", "two", NULL), 0);
	assert_int_equal(pin_get(f->s, "x", &found, &value, &when, NULL), 0);
	assert_true(found && when > 0);
	assert_string_equal(value.p, "two");
}

static void two_processes_with_one_key_build_once(void **state)
{
	struct fixture *f = *state;
	struct digest k = key("slow step");
	_cleanup_free_ char *path = xasprintf("%s/builds", f->dir);
	struct stat st;
	pid_t pids[3];

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct store *s = NULL;
			struct lock *lock = NULL;
			struct record r = {.data = BUF_INIT};
			bool found = false;

			if (store_open(f->dir, &s, NULL) < 0 ||
			    lock_step(s, &k, false, NULL, &lock, NULL) < 0 ||
			    record_find(s, &k, &found, &r, NULL) < 0)
				_exit(1);
			if (!found) {
				int fd =
					open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
				int64_t id = fixture_layer(s, "out", "built");

				r = (struct record){.layers = &id, .n_layers = 1, .data = BUF_INIT};
				if (write(fd, "x", 1) != 1 || record_add(s, &r, &k, 1, NULL) < 0)
					_exit(2);
			}
			lock_release(lock);
			store_close(s);
			_exit(0);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		int status = 1;

		waitpid(pids[i], &status, 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1);
}

static void a_wait_for_a_lock_can_be_canceled(void **state)
{
	struct fixture *f = *state;
	struct digest k = key("k");
	struct lock *lock = NULL, *second = NULL;
	struct cancel cancel;

	cancel_init(&cancel);
	assert_int_equal(lock_step(f->s, &k, false, NULL, &lock, NULL), 0);
	assert_int_equal(lock_step(f->s, &k, true, NULL, &second, NULL), 0);
	assert_null(second);
	cancel_set(&cancel);
	assert_int_equal(lock_step(f->s, &k, false, &cancel, &second, NULL), -ERR_CANCELED);
	lock_release(lock);
	assert_int_equal(lock_step(f->s, &k, true, NULL, &second, NULL), 0);
	assert_non_null(second);
	lock_release(second);
	cancel_release(&cancel);
}

struct worker {
	struct store *s;
	int number, failed;
};

static void *work(void *data)
{
	struct worker *w = data;

	for (int i = 0; i < 20 && !w->failed; i++) {
		struct record r = {.data = BUF_INIT}, got = {0};
		char text[32];
		struct digest k;
		int64_t id;
		bool found = false;

		snprintf(text, sizeof(text), "%d %d", w->number, i);
		k = key(text);
		id = fixture_layer(w->s, "f", text);
		r.layers = &id;
		r.n_layers = 1;
		w->failed = record_add(w->s, &r, &k, 1, NULL) < 0 ||
			    record_find(w->s, &k, &found, &got, NULL) < 0 || !found;
		record_release(&got);
	}
	return NULL;
}

static void many_threads_share_one_handle(void **state)
{
	struct fixture *f = *state;
	struct worker workers[4];
	pthread_t threads[4];

	for (int i = 0; i < 4; i++) {
		workers[i] = (struct worker){.s = f->s, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].failed, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(a_record_is_found_under_each_of_its_keys),
		TEST(a_key_moves_to_the_newer_record),
		TEST(a_record_of_a_layer_that_is_not_there_is_refused),
		TEST(a_record_that_was_tampered_with_is_a_miss_and_goes),
		TEST(a_view_shows_others_nothing_old_and_us_what_we_write),
		TEST(each_record_of_a_build_is_marked_as_used_once),
		TEST(pins_keep_the_last_value),
		TEST(two_processes_with_one_key_build_once),
		TEST(a_wait_for_a_lock_can_be_canceled),
		TEST(many_threads_share_one_handle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
