/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cmd/progress/progress_render.h"

#define SECOND INT64_C(1000000000)
#define START (INT64_C(1700000000) * SECOND)

/* A build on a made-up clock: `at` is in ms after START. */
struct stage {
	struct progress_model model;
	struct plain_renderer plain;
	struct tty_renderer tty;
	struct buf out;
};

static void stage_init(struct stage *s)
{
	*s = (struct stage){.out = BUF_INIT, .model = {.keep_log = true}};
}

static void stage_release(struct stage *s)
{
	progress_model_release(&s->model);
	tty_release(&s->tty);
	buf_release(&s->out);
}

static struct digest id(uint8_t n)
{
	return (struct digest){.b = {n}};
}

static void vertex(struct stage *s, uint8_t n, const char *name, enum vertex_state state,
		   int64_t at, const char *error)
{
	struct event e = {.kind = EVENT_VERTEX, .vertex = id(n)};

	e.v = (struct event_vertex){
		.name = name, .state = state, .time = START + at * 1000000, .error = error};
	progress_model_apply(&s->model, &e);
}

static void text(struct stage *s, uint8_t n, const char *line, int64_t at)
{
	struct event e = {.kind = EVENT_LOG, .vertex = id(n)};

	e.log = (struct event_log){
		.stream = 1, .data = line, .n = strlen(line), .time = START + at * 1000000};
	progress_model_apply(&s->model, &e);
}

static void status(struct stage *s, uint8_t n, const char *name, uint64_t current, uint64_t total,
		   int64_t started, int64_t completed)
{
	struct event e = {.kind = EVENT_STATUS, .vertex = id(n)};

	e.status = (struct event_status){.id = name,
					 .current = current,
					 .total = total,
					 .started = START + started * 1000000,
					 .completed = completed ? START + completed * 1000000 : 0};
	progress_model_apply(&s->model, &e);
}

static const char *plain(struct stage *s, int64_t at)
{
	buf_clear(&s->out);
	plain_render(&s->plain, &s->model, START + at * 1000000, &s->out);
	return s->out.p;
}

static void a_step_is_a_block_with_its_lines_and_its_end(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "[internal] load build definition from Dockerfile", VERTEX_STARTED, 0, NULL);
	status(&s, 1, "transferring dockerfile:", 227, 0, 0, 1);
	vertex(&s, 1, NULL, VERTEX_DONE, 20, NULL);
	assert_string_equal(plain(&s, 30), "#1 [internal] load build definition from Dockerfile\n"
					   "#1 transferring dockerfile: 227B done\n"
					   "#1 DONE 0.0s\n");
	stage_release(&s);
}

static void log_lines_carry_the_time_since_the_step_began(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "[2/3] RUN make", VERTEX_STARTED, 0, NULL);
	text(&s, 1, "one\ntw", 1234);
	text(&s, 1, "o\n", 12345);
	text(&s, 1, "three", 123456);
	vertex(&s, 1, NULL, VERTEX_DONE, 123500, NULL);
	assert_string_equal(plain(&s, 123500), "#1 [2/3] RUN make\n"
					       "#1 1.234 one\n"
					       "#1 12.35 two\n"
					       "#1 123.5 three\n"
					       "#1 DONE 123.5s\n");
	stage_release(&s);
}

static void blocks_are_separated_and_left_with_dots(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "[a 1/1] RUN a", VERTEX_STARTED, 0, NULL);
	text(&s, 1, "from a\n", 5);
	assert_string_equal(plain(&s, 10), "#1 [a 1/1] RUN a\n#1 0.005 from a\n");
	vertex(&s, 2, "[b 1/1] RUN b", VERTEX_CACHED, 11, NULL);
	assert_string_equal(plain(&s, 20), "#1 ...\n\n#2 [b 1/1] RUN b\n#2 CACHED\n");
	vertex(&s, 1, NULL, VERTEX_DONE, 2000, NULL);
	assert_string_equal(plain(&s, 2001), "\n#1 [a 1/1] RUN a\n#1 DONE 2.0s\n");
	stage_release(&s);
}

static void failures_and_cancellations_end_their_blocks(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "[2/2] RUN false", VERTEX_STARTED, 0, NULL);
	vertex(&s, 1, NULL, VERTEX_FAILED, 100, "exit code: 1");
	vertex(&s, 2, "[other 1/1] RUN sleep", VERTEX_STARTED, 0, NULL);
	vertex(&s, 2, NULL, VERTEX_CANCELED, 100, NULL);
	assert_string_equal(plain(&s, 200), "#1 [2/2] RUN false\n#1 ERROR: exit code: 1\n\n"
					    "#2 [other 1/1] RUN sleep\n#2 CANCELED\n");
	stage_release(&s);
}

static void progress_lines_are_throttled_but_never_lost(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "[1/2] FROM x", VERTEX_STARTED, 0, NULL);
	status(&s, 1, "sha256:aa", 0, 2000000, 0, 0);
	assert_string_equal(plain(&s, 1), "#1 [1/2] FROM x\n#1 sha256:aa 0B / 2.00MB\n");
	status(&s, 1, "sha256:aa", 40000, 2000000, 0, 0);
	assert_string_equal(plain(&s, 100), "");
	status(&s, 1, "sha256:aa", 1200000, 2000000, 0, 0);
	assert_string_equal(plain(&s, 1500), "#1 sha256:aa 1.20MB / 2.00MB 1.5s\n");
	status(&s, 1, "sha256:aa", 2000000, 2000000, 0, 1600);
	assert_string_equal(plain(&s, 1700), "#1 sha256:aa 2.00MB / 2.00MB 1.6s done\n");
	stage_release(&s);
}

static void control_bytes_of_a_build_are_shown_not_sent(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "RUN \x1b[2J", VERTEX_STARTED, 0, NULL);
	text(&s, 1, "10%\r50%\r100%\r\n\x1b]0;title\a\n", 1);
	assert_string_equal(plain(&s, 2), "#1 RUN \\x1b[2J\n#1 0.001 100%\n"
					  "#1 0.001 \\x1b]0;title\\x07\n");
	stage_release(&s);
}

static void a_file_gets_every_byte_of_a_log(void **state)
{
	static const char bytes[] = "10%\r50%\r\x1b[1mq\0\x80\r\n";
	struct event e = {.kind = EVENT_LOG, .vertex = id(1)};
	struct stage s;

	(void)state;
	stage_init(&s);
	s.model.raw_log = true;
	vertex(&s, 1, "RUN x", VERTEX_STARTED, 0, NULL);
	e.log = (struct event_log){
		.stream = 1, .data = bytes, .n = sizeof(bytes) - 1, .time = START + 1000000};
	progress_model_apply(&s.model, &e);
	(void)plain(&s, 2);
	assert_memory_equal(s.out.p, "#1 RUN x\n#1 0.001 10%\r50%\r\x1b[1mq\0\x80\r\n", s.out.n);
	assert_int_equal(s.out.n, sizeof("#1 RUN x\n#1 0.001 ") - 1 + sizeof(bytes) - 1);
	buf_clear(&s.out);
	step_report(s.model.steps.v[0], &s.out);
	/* A report has no step's number before its lines. */
	assert_string_equal(s.out.p, "------\n > RUN x:\n0.001 10%\\x0d50%\\x0d\\x1b[1mq\\x00"
				     "\\x80\\x0d\n------\n");
	stage_release(&s);
}

static void a_very_long_line_is_shown_in_pieces(void **state)
{
	struct stage s;
	static char line[(64 << 10) + 8];
	const char *out;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "RUN cat", VERTEX_STARTED, 0, NULL);
	(void)plain(&s, 0);
	memset(line, 'a', sizeof(line) - 1);
	/* A character across the border stays whole. */
	memcpy(line + (64 << 10) - 1, "\xc3\xa9", 2);
	text(&s, 1, line, 0);
	out = plain(&s, 0);
	assert_int_equal(strlen(out), strlen("#1 0.000 \n") + (64 << 10) - 1);
	text(&s, 1, "\n", 0);
	assert_string_equal(plain(&s, 0), "#1 0.000 \xc3\xa9"
					  "aaaaaa\n");
	stage_release(&s);
}

static void a_failure_is_reported_with_its_last_lines(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "[2/2] RUN make", VERTEX_STARTED, 0, NULL);
	for (int i = 0; i < 12; i++) {
		char line[16] = {(char)('a' + i), '\n'};

		text(&s, 1, line, i);
	}
	buf_clear(&s.out);
	step_report(s.model.steps.v[0], &s.out);
	assert_string_equal(s.out.p, "------\n > [2/2] RUN make:\n0.002 c\n0.003 d\n0.004 e\n"
				     "0.005 f\n0.006 g\n0.007 h\n0.008 i\n0.009 j\n0.010 k\n"
				     "0.011 l\n------\n");
	stage_release(&s);
}

static void the_live_view_rewrites_only_changed_lines(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "[1/2] FROM x", VERTEX_CACHED, 0, NULL);
	vertex(&s, 2, "[2/2] RUN y", VERTEX_STARTED, 0, NULL);
	tty_render(&s.tty, &s.model, START, 40, 24, TTY_GOING, &s.out);
	assert_string_equal(s.out.p, "\r\033[K[+] Building 0.0s (1/2)\r\n"
				     "\r\033[K => CACHED [1/2] FROM x            0.0s\r\n"
				     "\r\033[K => [2/2] RUN y                    0.0s\r\n");
	buf_clear(&s.out);
	tty_render(&s.tty, &s.model, START + 2 * SECOND, 40, 24, TTY_GOING, &s.out);
	assert_string_equal(s.out.p, "\033[3A\r\033[K[+] Building 2.0s (1/2)\r\n\r\n"
				     "\r\033[K => [2/2] RUN y                    2.0s\r\n");
	vertex(&s, 2, NULL, VERTEX_DONE, 2700, NULL);
	buf_clear(&s.out);
	tty_render(&s.tty, &s.model, START + 27 * SECOND / 10, 40, 24, TTY_FINISHED, &s.out);
	assert_non_null(strstr(s.out.p, "[+] Building 2.7s (2/2) FINISHED"));
	stage_release(&s);
}

static void the_live_view_never_exceeds_the_screen(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	for (uint8_t i = 1; i < 100; i++)
		vertex(&s, i,
		       "a step with a name that is far too long for one line of this terminal",
		       i < 50 ? VERTEX_DONE : VERTEX_STARTED, 0, NULL);
	tty_render(&s.tty, &s.model, START, 30, 10, TTY_GOING, &s.out);
	assert_true(s.tty.frame.n <= 10);
	for (size_t i = 0; i < s.tty.frame.n; i++)
		assert_true(strlen(s.tty.frame.v[i]) < 30);
	stage_release(&s);
}

static void rawjson_is_one_status_object_a_line(void **state)
{
	struct event e = {.kind = EVENT_LOG, .vertex = id(1)};
	struct buf b = BUF_INIT;

	(void)state;
	e.log = (struct event_log){.stream = 2, .data = "hi\n", .n = 3, .time = START};
	rawjson_render(&e, &b);
	assert_string_equal(b.p,
			    "{\"logs\":[{\"vertex\":\"sha256:0100000000000000000000000000000000"
			    "000000000000000000000000000000\",\"stream\":2,\"data\":\"aGkK\","
			    "\"timestamp\":\"2023-11-14T22:13:20Z\"}]}\n");
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_is_a_block_with_its_lines_and_its_end),
		cmocka_unit_test(log_lines_carry_the_time_since_the_step_began),
		cmocka_unit_test(blocks_are_separated_and_left_with_dots),
		cmocka_unit_test(failures_and_cancellations_end_their_blocks),
		cmocka_unit_test(progress_lines_are_throttled_but_never_lost),
		cmocka_unit_test(control_bytes_of_a_build_are_shown_not_sent),
		cmocka_unit_test(a_file_gets_every_byte_of_a_log),
		cmocka_unit_test(a_very_long_line_is_shown_in_pieces),
		cmocka_unit_test(a_failure_is_reported_with_its_last_lines),
		cmocka_unit_test(the_live_view_rewrites_only_changed_lines),
		cmocka_unit_test(the_live_view_never_exceeds_the_screen),
		cmocka_unit_test(rawjson_is_one_status_object_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
