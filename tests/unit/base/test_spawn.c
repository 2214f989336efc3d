/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/spawn.h"

static int run(const char *script, const struct buf *in, struct buf *out, struct error **err)
{
	const char *const argv[] = {"sh", "-c", script, NULL};

	return spawn_run(argv, in, out, NULL, NULL, err);
}

static void a_program_gets_input_and_gives_output(void **state)
{
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT;

	(void)state;
	/* More than pipes hold, both ways at once. */
	for (int i = 0; i < 50000; i++)
		buf_addf(&in, "line %d\n", i);
	assert_int_equal(run("cat", &in, &out, NULL), 0);
	assert_int_equal(out.n, in.n);
	assert_memory_equal(out.p, in.p, in.n);
}

static void without_input_it_reads_nothing(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(run("cat; echo end", NULL, &out, NULL), 0);
	assert_string_equal(out.p, "end\n");
}

static void a_program_that_reads_nothing_may_get_much(void **state)
{
	_cleanup_buf_ struct buf in = BUF_INIT;

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_adds(&in, "0123456789");
	assert_int_equal(run("exit 0", &in, NULL, NULL), 0);
}

static void output_beyond_the_limit_is_dropped(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT_MAX(100);

	(void)state;
	assert_int_equal(run("for i in 1 2 3 4 5 6 7 8 9; do echo 0123456789012345678901234567890; "
			     "done; exit 0",
			     NULL, &out, NULL),
			 0);
	assert_true(out.n <= 100);
}

static void a_failure_carries_its_status_and_last_words(void **state)
{
	struct error *err = NULL;

	(void)state;
	assert_int_equal(
		run("echo first >&2; echo why it failed >&2; echo >&2; exit 3", NULL, NULL, &err),
		-ERR_PROCESS);
	assert_string_equal(error_text(err), "sh failed with exit status 3: why it failed");
	assert_int_equal(error_exit_status(err), 3);
	error_free(err);
	err = NULL;
	assert_int_equal(run("kill -9 $$", NULL, NULL, &err), -ERR_PROCESS);
	assert_string_equal(error_text(err), "sh was ended by signal 9");
	assert_int_equal(error_exit_status(err), 137);
	error_free(err);
}

static void a_missing_program_is_not_found(void **state)
{
	const char *const argv[] = {"kiln-no-such-program", NULL};
	struct error *err = NULL;

	(void)state;
	assert_int_equal(spawn_run(argv, NULL, NULL, NULL, NULL, &err), -ERR_NOTFOUND);
	assert_non_null(strstr(error_text(err), "kiln-no-such-program"));
	error_free(err);
}

static void a_daemon_that_keeps_the_pipes_does_not_keep_us(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(run("sleep 5 & echo started", NULL, &out, NULL), 0);
	assert_string_equal(out.p, "started\n");
}

static void *cancel_soon(void *data)
{
	(void)usleep(50000);
	cancel_set(data);
	return NULL;
}

static void cancelling_ends_it(void **state)
{
	const char *const argv[] = {"sleep", "60", NULL};
	struct cancel cancel;
	pthread_t thread;

	(void)state;
	cancel_init(&cancel);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &cancel), 0);
	assert_int_equal(spawn_run(argv, NULL, NULL, NULL, &cancel, NULL), -ERR_CANCELED);
	(void)pthread_join(thread, NULL);
	cancel_release(&cancel);
}

static void descriptors_swap_numbers_without_harm(void **state)
{
	char *const argv[] = {(char[]){"sh"}, (char[]){"-c"},
			      (char[]){"echo to-a >&7; echo to-b >&8"}, NULL};
	int a[2], b[2], pidfd = -1, status = -1;
	struct spawn s = {.path = "sh", .argv = argv};
	char text[16] = "";
	pid_t pid = -1;

	(void)state;
	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	assert_int_equal(dup2(a[1], 8), 8); /* each lies where the other must go */
	assert_int_equal(dup2(b[1], 7), 7);
	{
		struct spawn_fd fds[] = {{8, 7}, {7, 8}};

		s.fds = fds;
		s.n_fds = 2;
		assert_int_equal(spawn_start(&s, &pid, &pidfd, NULL), 0);
	}
	assert_int_equal(spawn_wait(pid, pidfd, &status), 0);
	assert_int_equal(status, 0);
	assert_int_equal(read(a[0], text, sizeof(text) - 1), 5);
	assert_string_equal(text, "to-a\n");
	for (int i = 0; i < 2; i++) {
		(void)close(a[i]);
		(void)close(b[i]);
		(void)close(7 + i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_gets_input_and_gives_output),
		cmocka_unit_test(without_input_it_reads_nothing),
		cmocka_unit_test(a_program_that_reads_nothing_may_get_much),
		cmocka_unit_test(output_beyond_the_limit_is_dropped),
		cmocka_unit_test(a_failure_carries_its_status_and_last_words),
		cmocka_unit_test(a_missing_program_is_not_found),
		cmocka_unit_test(a_daemon_that_keeps_the_pipes_does_not_keep_us),
		cmocka_unit_test(cancelling_ends_it),
		cmocka_unit_test(descriptors_swap_numbers_without_harm),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* as kiln does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
