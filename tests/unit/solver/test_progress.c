/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/strv.h"
#include "solver/progress.h"

static struct strv seen;
static struct digest last_vertex;

static void emit(void *data, const struct event *e)
{
	static const char *const states[] = {"?",    "STARTED", "CACHED",
					     "DONE", "FAILED",	"CANCELED"};

	(void)data;
	last_vertex = e->vertex;
	if (e->kind == EVENT_VERTEX)
		strv_pushf(&seen, "%s %s%s%s", states[e->v.state], e->v.name,
			   e->v.error ? ": " : "", e->v.error ? e->v.error : "");
	else if (e->kind == EVENT_STATUS)
		strv_pushf(&seen, "status %s %llu%s%s", e->status.id,
			   (unsigned long long)e->status.current,
			   e->status.started == e->status.time ? " new" : "",
			   e->status.completed ? " done" : "");
	else if (e->kind == EVENT_LOG)
		strv_pushf(&seen, "log %d %.*s", e->log.stream, (int)e->log.n,
			   (const char *)e->log.data);
	else
		strv_pushf(&seen, "warning %s", e->warning.short_text);
}

static const struct progress progress = {.emit = emit};
static const struct digest vertex = {.b = {7}};

static void expect(const char *events)
{
	_cleanup_free_ char *all = strv_join(&seen, "|");

	assert_string_equal(all, events);
	strv_release(&seen);
}

static struct job *quiet(void)
{
	return job_open_quiet(&progress, NULL, &vertex, &(struct event_vertex){.name = "v"});
}

static void a_step_reports_under_its_vertex(void **state)
{
	struct job *job = job_open_vertex(&progress, NULL, &vertex, "v");

	(void)state;
	job_status(job, "id", 0, 10, false);
	job_log(job, 2, "text", 4);
	job_warn(job, &(struct event_warning){.short_text = "w"});
	assert_int_equal(job_close(job, 0, NULL), 0);
	assert_true(digest_equal(&last_vertex, &vertex));
	expect("STARTED v|status id 0 new|log 2 text|warning w|DONE v");
}

static void the_time_a_status_started_is_kept(void **state)
{
	struct job *job = job_open(&progress, NULL, "v");
	int64_t spin = 0;

	(void)state;
	job_status(job, "id", 0, 10, false);
	for (int i = 0; i < 100000; i++)
		__asm__ volatile("" : "+r"(spin));
	job_status(job, "id", 10, 10, true);
	job_close(job, 0, NULL);
	expect("STARTED v|status id 0 new|status id 10 done|DONE v");
}

static void a_failure_tells_why(void **state)
{
	struct error *err = NULL;
	int r = error_new(&err, ERR_IO, 0, "no luck");

	(void)state;
	assert_int_equal(job_close(job_open(&progress, NULL, "v"), r, &err), r);
	expect("STARTED v|FAILED v: no luck");
	job_close(job_open(&progress, NULL, "v"), -ERR_CANCELED, NULL);
	expect("STARTED v|CANCELED v");
	error_free(err);
}

static void a_quiet_job_is_silent_until_it_has_something_to_say(void **state)
{
	struct job *job;

	(void)state;
	job_close(quiet(), 0, NULL);
	job_close(quiet(), -ERR_CANCELED, NULL);
	expect("");
	job_close_cached(quiet());
	expect("CACHED v");
	progress_cached(&progress, &vertex, &(struct event_vertex){.name = "v"});
	assert_true(digest_equal(&last_vertex, &vertex));
	expect("CACHED v");
	job_close(quiet(), -ERR_IO, NULL);
	expect("STARTED v|FAILED v: unknown error");
	job = quiet();
	job_status(job, "id", 1, 0, false);
	job_start(job);
	job_close(job, 0, NULL);
	expect("STARTED v|status id 1 new|DONE v");
}

static void steps_of_one_name_are_two_vertices(void **state)
{
	struct digest first;

	(void)state;
	job_close(job_open(&progress, NULL, "v"), 0, NULL);
	first = last_vertex;
	job_close(job_open(&progress, NULL, "v"), 0, NULL);
	assert_false(digest_equal(&first, &last_vertex));
	strv_release(&seen);
}

static void no_sink_is_fine(void **state)
{
	struct job *job = job_open(NULL, NULL, "v");

	(void)state;
	progress_cached(NULL, &vertex, &(struct event_vertex){.name = "v"});
	job_log(job, 1, "x", 1);
	job_status(job, "id", 0, 0, true);
	assert_null(job_cancel(job));
	job_close(job, 0, NULL);
	expect("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_reports_under_its_vertex),
		cmocka_unit_test(the_time_a_status_started_is_kept),
		cmocka_unit_test(a_failure_tells_why),
		cmocka_unit_test(a_quiet_job_is_silent_until_it_has_something_to_say),
		cmocka_unit_test(steps_of_one_name_are_two_vertices),
		cmocka_unit_test(no_sink_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
