/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/fixture.h"

#include <sys/wait.h>

#include "store/blob.h"
#include "store/db.h"
#include "store/durable.h"
#include "store/internal.h"

static size_t count_temporaries(struct fixture *f)
{
	_cleanup_free_ char *command = xasprintf("%s/tmp", f->dir);
	size_t n = 0;

	/* Opened and counted by rmdir-free means: an empty directory has two links and no entry. */
	struct stat st;

	assert_int_equal(stat(command, &st), 0);
	if (rmdir(command) == 0)
		assert_int_equal(mkdir(command, 0700), 0);
	else
		n = 1;
	return n;
}

static void a_blob_is_read_back_by_its_digest(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct error *err = NULL;
	struct digest d, want = digest_of("hello", 5);
	uint64_t size = 0;

	assert_ok(blob_put(f->s, "hello", 5, &d, &err), err);
	assert_true(digest_equal(&d, &want));
	fixture_reopen(f);
	assert_true(blob_exists(f->s, &d, &size));
	assert_int_equal(size, 5);
	assert_ok(blob_read(f->s, &d, 100, &b, &err), err);
	assert_string_equal(b.p, "hello");
	assert_int_equal(blob_read(f->s, &d, 4, &b, NULL), -ERR_INVALID);
	assert_int_equal(count_temporaries(f), 0);
}

static void an_absent_blob_is_not_found(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of("absent", 6);

	assert_false(blob_exists(f->s, &d, NULL));
	assert_int_equal(blob_open(f->s, &d, NULL, NULL), -ERR_NOTFOUND);
}

static void commit_rejects_a_wrong_digest_and_leaves_no_file(void **state)
{
	struct fixture *f = *state;
	struct blob_writer *w = NULL;
	_cleanup_(error_freep) struct error *err = NULL;
	struct digest bye = digest_of("bye", 3), hello = digest_of("hello", 5);

	assert_int_equal(blob_writer_open(f->s, &w, NULL), 0);
	blob_writer_write(w, "hello", 5);
	assert_int_equal(blob_writer_size(w), 5);
	assert_int_equal(blob_writer_commit(w, &bye, NULL, &err), -ERR_CORRUPT);
	assert_non_null(strstr(error_text(err), "expected sha256:"));
	blob_writer_free(w);
	assert_false(blob_exists(f->s, &hello, NULL));
	assert_int_equal(count_temporaries(f), 0);
}

static void overwrite(struct fixture *f, const struct digest *d, const char *text)
{
	_cleanup_free_ char *path = store_blob_path(d);
	int fd = openat(store_dirfd(f->s), path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void a_damaged_blob_is_found_out_and_can_be_put_again(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct digest d;

	assert_int_equal(blob_put(f->s, "hello", 5, &d, NULL), 0);
	overwrite(f, &d, "jello");
	assert_int_equal(blob_read(f->s, &d, 100, &b, NULL), -ERR_CORRUPT);
	assert_false(blob_exists(f->s, &d, NULL));
	assert_int_equal(blob_put(f->s, "hello", 5, &d, NULL), 0);
	assert_int_equal(blob_read(f->s, &d, 100, &b, NULL), 0);
	/* Another size shows without hashing. */
	overwrite(f, &d, "he");
	assert_int_equal(blob_open(f->s, &d, NULL, NULL), -ERR_NOTFOUND);
}

static void set_boot(struct fixture *f, const char *boot)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;

	assert_int_equal(db_begin(f->s->db, DB_WRITE, &tx, NULL), 0);
	assert_int_equal(db_run(&tx, NULL, "UPDATE blob SET boot = ?", "t", boot), 0);
	assert_int_equal(db_commit(&tx, NULL), 0);
}

static void a_blob_of_another_boot_is_verified_before_use(void **state)
{
	struct fixture *f = *state;
	struct digest good, torn;

	assert_int_equal(blob_put(f->s, "good", 4, &good, NULL), 0);
	assert_int_equal(blob_put(f->s, "torn", 4, &torn, NULL), 0);
	set_boot(f, "another-boot");
	overwrite(f, &torn, "\0\0\0x");
	overwrite(f, &torn, "zzzz");
	fixture_reopen(f);
	assert_true(blob_exists(f->s, &good, NULL));
	assert_false(blob_exists(f->s, &torn, NULL));
	assert_int_equal(blob_put(f->s, "torn", 4, &torn, NULL), 0);
	assert_true(blob_exists(f->s, &torn, NULL));
}

struct trace {
	char text[512];
};

static void note(void *data, enum durable_step step, const char *what)
{
	struct trace *t = data;
	static const char *const names[] = {"rename", "sync", "commit"};

	snprintf(t->text + strlen(t->text), sizeof(t->text) - strlen(t->text), "%s %.5s\n",
		 names[step], what);
}

static void a_row_is_committed_after_its_file_has_its_name(void **state)
{
	struct fixture *f = *state;
	struct trace trace = {""};
	struct digest d;

	durable_trace(note, &trace);
	assert_int_equal(blob_put(f->s, "x", 1, &d, NULL), 0);
	durable_trace(NULL, NULL);
	assert_string_equal(trace.text, "rename blobs\ncommit kiln.\n");
	trace.text[0] = '\0';
	durable_trace(note, &trace);
	assert_int_equal(durable_sync(f->s, NULL), 0);
	durable_trace(NULL, NULL);
	assert_string_equal(trace.text, "commit kiln.\nsync /tmp/\ncommit kiln.\n");
}

static void two_processes_may_write_one_blob(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of("same bytes", 10);
	pid_t pids[2];

	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct store *s = NULL;
			int failed = store_open(f->dir, &s, NULL) < 0;

			for (int n = 0; n < 50 && !failed; n++) {
				char text[32];
				struct blob_writer *w = NULL;

				snprintf(text, sizeof(text), "blob %d", n);
				failed = blob_put(s, text, strlen(text), NULL, NULL) < 0 ||
					 blob_writer_open(s, &w, NULL) < 0;
				if (failed)
					break;
				blob_writer_write(w, "same bytes", 10);
				failed = blob_writer_commit(w, &d, NULL, NULL) < 0;
				blob_writer_free(w);
			}
			store_close(s);
			_exit(failed);
		}
	}
	for (int i = 0; i < 2; i++) {
		int status = 1;

		waitpid(pids[i], &status, 0);
		assert_int_equal(status, 0);
	}
	assert_true(blob_exists(f->s, &d, NULL));
	assert_int_equal(count_temporaries(f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(a_blob_is_read_back_by_its_digest),
		TEST(an_absent_blob_is_not_found),
		TEST(commit_rejects_a_wrong_digest_and_leaves_no_file),
		TEST(a_damaged_blob_is_found_out_and_can_be_put_again),
		TEST(a_blob_of_another_boot_is_verified_before_use),
		TEST(a_row_is_committed_after_its_file_has_its_name),
		TEST(two_processes_may_write_one_blob),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
