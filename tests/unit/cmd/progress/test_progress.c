/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
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
	*s = (struct stage){
		.out = BUF_INIT, .model = {.keep_log = true}, .tty = {.doing = "Building"}};
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
	step_report(&s.model, s.model.steps.v[0], &s.out);
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
	step_report(&s.model, s.model.steps.v[0], &s.out);
	assert_string_equal(s.out.p, "------\n > [2/2] RUN make:\n0.002 c\n0.003 d\n0.004 e\n"
				     "0.005 f\n0.006 g\n0.007 h\n0.008 i\n0.009 j\n0.010 k\n"
				     "0.011 l\n------\n");
	stage_release(&s);
}

#define BEGIN "\033[?25l\033[?7l"
#define END "\033[J\033[?7h\033[?25h"

static const char *tty(struct stage *s, int64_t at, unsigned columns, unsigned rows)
{
	buf_clear(&s->out);
	tty_render(&s->tty, &s->model, START + at * 1000000, columns, rows, TTY_GOING, &s->out);
	return s->out.n > 0 ? s->out.p : "";
}

/* The rows on the screen, one a line. */
static const char *screen(struct stage *s, int64_t at, unsigned columns, unsigned rows)
{
	(void)tty(s, at, columns, rows);
	buf_clear(&s->out);
	for (size_t i = 0; i < s->tty.frame.n; i++)
		buf_addf(&s->out, "%s\n", s->tty.frame.v[i]);
	return s->out.p;
}

static void the_live_view_rewrites_only_changed_lines(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "[1/2] FROM x", VERTEX_CACHED, 0, NULL);
	vertex(&s, 2, "[2/2] RUN y", VERTEX_STARTED, 0, NULL);
	assert_string_equal(tty(&s, 0, 40, 24),
			    BEGIN "\r\033[K[+] Building 0.0s (1/2)\r\n"
				  "\r\033[K => CACHED [1/2] FROM x            0.0s\r\n"
				  "\r\033[K => [2/2] RUN y                    0.0s\r\n" END);
	assert_string_equal(tty(&s, 2000, 40, 24),
			    BEGIN "\033[3A\r\033[K[+] Building 2.0s (1/2)\r\n\r\n"
				  "\r\033[K => [2/2] RUN y                    2.0s\r\n" END);
	assert_string_equal(tty(&s, 2001, 40, 24), "");
	vertex(&s, 2, NULL, VERTEX_DONE, 2700, NULL);
	buf_clear(&s.out);
	tty_render(&s.tty, &s.model, START + 27 * SECOND / 10, 40, 24, TTY_FINISHED, &s.out);
	assert_non_null(strstr(s.out.p, "[+] Building 2.7s (2/2) FINISHED"));
	stage_release(&s);
}

static void a_narrower_terminal_is_drawn_anew(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "[1/1] RUN y", VERTEX_STARTED, 0, NULL);
	(void)tty(&s, 0, 40, 24);
	/* The row of 39 columns takes two of the 25 that there are now. */
	assert_string_equal(tty(&s, 0, 25, 24),
			    "\033[3A\r\033[J" BEGIN "\r\033[K[+] Building 0.0s (0/1)\r\n"
			    "\r\033[K => [1/1] RUN y     0.0s\r\n" END);
	stage_release(&s);
}

static void names_are_shortened_and_bytes_are_not(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "[1/2] RUN one && two && three && four", VERTEX_STARTED, 0, NULL);
	status(&s, 1, "sha256:0123456789abcdef0123456789abcdef", 1200000, 2000000, 0, 0);
	assert_string_equal(screen(&s, 1500, 40, 24), "[+] Building 0.0s (0/1)\n"
						      " => [1/2] RUN one ...three && four 1.5s\n"
						      " => => sha2...cdef 1.20MB / 2.00MB 1.5s\n");
	stage_release(&s);
}

static void wide_and_combining_characters_are_measured(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "\xe6\x97\xa5\xe6\x9c\xac e\xcc\x81", VERTEX_STARTED, 0, NULL);
	text(&s, 1, "\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\n",
	     0);
	assert_string_equal(
		screen(&s, 0, 20, 24),
		"[+] Building 0.0s (\n"
		" => \xe6\x97\xa5\xe6\x9c\xac e\xcc\x81     0.0s\n"
		" => => # \xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\n");
	stage_release(&s);
}

static void logs_keep_their_colors_and_nothing_else(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	s.tty.colors.on = true;
	vertex(&s, 1, "RUN x", VERTEX_STARTED, 0, NULL);
	text(&s, 1, "\x1b[1;31mred\x1b[0m\tand\x1b[2Jmore\n", 0);
	assert_non_null(strstr(screen(&s, 0, 80, 24),
			       " => => # \x1b[1;31mred\x1b[0m     and\\x1b[2Jmore\x1b[0m"));
	s.tty.colors.on = false;
	assert_non_null(strstr(screen(&s, 0, 80, 24), " => => # red     and\\x1b[2Jmore\n"));
	stage_release(&s);
}

static void a_line_without_an_end_is_shown(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "RUN x", VERTEX_STARTED, 0, NULL);
	text(&s, 1, "Continue? ", 0);
	assert_non_null(strstr(screen(&s, 0, 40, 24), " => => # Continue? \n"));
	text(&s, 1, "y\n10%\r", 0);
	assert_non_null(strstr(screen(&s, 0, 40, 24), " => => # Continue? y\n => => # 10%\n"));
	text(&s, 1, "20%\r", 0);
	text(&s, 1, "\r", 0);
	assert_non_null(strstr(screen(&s, 0, 40, 24), " => => # Continue? y\n => => # 20%\n"));
	text(&s, 1, "\n", 0);
	assert_non_null(strstr(screen(&s, 0, 40, 24), " => => # Continue? y\n => => # 20%\n"));
	stage_release(&s);
}

static void steps_that_run_come_before_logs_and_those_that_ended(void **state)
{
	struct stage s;
	const char *rows;

	(void)state;
	stage_init(&s);
	for (uint8_t i = 1; i <= 10; i++) {
		vertex(&s, i, i <= 5 ? "over" : "runs", i <= 5 ? VERTEX_DONE : VERTEX_STARTED, 0,
		       NULL);
		text(&s, i, "one\ntwo\nthree\n", 0);
	}
	/* A heading, a row for each that runs, and a line for two of them. */
	rows = screen(&s, 0, 40, 9);
	assert_string_equal(rows, "[+] Building 0.0s (5/10)\n"
				  " => runs                           0.0s\n => => # three\n"
				  " => runs                           0.0s\n => => # three\n"
				  " => runs                           0.0s\n"
				  " => runs                           0.0s\n"
				  " => runs                           0.0s\n");
	assert_non_null(strstr(screen(&s, 0, 40, 6), " => +2 more running\n"));
	assert_int_equal(s.tty.frame.n, 5);
	for (uint8_t i = 6; i <= 10; i++)
		for (int n = 0; n < 5; n++) {
			char id[] = {'a', (char)('0' + n), '\0'};

			status(&s, i, id, 1, 0, 0, n < 2);
		}
	/* What is under way is shown first. */
	assert_non_null(strstr(screen(&s, 0, 40, 11), " => => a2 1B                       0.0s\n"
						      " => => a3 1B                       0.0s\n"
						      " => => a4 1B                       0.0s\n"
						      " => => +2 more\n"));
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
	for (unsigned rows = 3; rows < 110; rows++) {
		(void)tty(&s, 0, 30, rows);
		assert_true(s.tty.frame.n < rows);
		for (size_t i = 0; i < s.tty.frame.n; i++)
			assert_true(strlen(s.tty.frame.v[i]) <= 30);
	}
	stage_release(&s);
}

static void collect(void *data, const char *p, size_t n)
{
	buf_add(data, p, n);
}

static void a_failure_leaves_the_whole_log_on_the_screen(void **state)
{
	struct buf want = BUF_INIT;
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "RUN make", VERTEX_STARTED, 0, NULL);
	buf_adds(&want, "------\n > RUN make:\n");
	/* More than is kept in memory. */
	for (unsigned i = 0; i < 200000; i++) {
		char line[32];

		snprintf(line, sizeof(line), "line %u of them\n", i);
		text(&s, 1, line, 0);
		buf_addf(&want, "0.000 %s", line);
	}
	buf_adds(&want, "------\n");
	buf_clear(&s.out);
	tty_report(&s.tty, s.model.steps.v[0], collect, &s.out);
	assert_string_equal(s.out.p, want.p);
	buf_clear(&want);
	buf_adds(&want, "#1 RUN make\n");
	for (unsigned i = 0; i < 200000; i++)
		buf_addf(&want, "#1 0.000 line %u of them\n", i);
	assert_string_equal(plain(&s, 0), want.p);
	buf_release(&want);
	stage_release(&s);
}

static void a_spool_with_a_limit_keeps_both_ends(void **state)
{
	struct log_spool spool = LOG_SPOOL_INIT;
	struct buf out = BUF_INIT;
	uint64_t added = 0;

	(void)state;
	spool.max = 1 << 20;
	for (unsigned i = 0; i < 400000; i++) {
		char line[32];
		int n = snprintf(line, sizeof(line), "line %u of them\n", i);

		log_spool_add(&spool, line, (size_t)n);
		added += (size_t)n;
	}
	log_spool_read(&spool, collect, &out);
	assert_true(out.n < 4 << 20 && out.n < added);
	assert_int_equal(strncmp(out.p, "line 0 of them\nline 1 ", 22), 0);
	assert_non_null(strstr(out.p, " bytes of the log are left out here]\nline "));
	assert_non_null(strstr(out.p, "\nline 399999 of them\n"));
	buf_release(&out);
	log_spool_release(&spool);
}

static void a_block_keeps_the_word_for_a_while(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "RUN a", VERTEX_STARTED, 0, NULL);
	vertex(&s, 2, "RUN b", VERTEX_STARTED, 0, NULL);
	text(&s, 1, "a\n", 0);
	text(&s, 2, "b\n", 0);
	assert_string_equal(plain(&s, 1), "#1 RUN a\n#1 0.000 a\n");
	assert_true(s.plain.waiting);
	for (int at = 500; at < 5000; at += 500) {
		text(&s, 1, "a\n", at);
		text(&s, 2, "b\n", at);
		assert_null(strstr(plain(&s, at), "RUN"));
	}
	text(&s, 1, "a\n", 5100);
	assert_string_equal(
		plain(&s, 5100),
		"#1 ...\n\n#2 RUN b\n#2 0.000 b\n#2 0.500 b\n#2 1.000 b\n#2 1.500 b\n"
		"#2 2.000 b\n#2 2.500 b\n#2 3.000 b\n#2 3.500 b\n#2 4.000 b\n#2 4.500 b\n");
	/* One that has become silent loses it sooner. */
	assert_string_equal(plain(&s, 5500), "");
	assert_string_equal(plain(&s, 6200), "#2 ...\n\n#1 RUN a\n#1 5.100 a\n");
	assert_false(s.plain.waiting);
	stage_release(&s);
}

static void rawjson_is_one_status_object_a_line(void **state)
{
	struct event e = {.kind = EVENT_LOG, .vertex = id(1)};
	char name[] = "RUN x";
	struct step step = {.name = name, .last_started = START};
	struct buf b = BUF_INIT;

	(void)state;
	e.log = (struct event_log){.stream = 2, .data = "hi\n", .n = 3, .time = START};
	rawjson_render(&e, &step, &b);
	assert_string_equal(b.p,
			    "{\"logs\":[{\"vertex\":\"sha256:0100000000000000000000000000000000"
			    "000000000000000000000000000000\",\"stream\":2,\"data\":\"aGkK\","
			    "\"timestamp\":\"2023-11-14T22:13:20Z\"}]}\n");
	/* What has ended has begun. */
	buf_clear(&b);
	e = (struct event){.kind = EVENT_VERTEX, .vertex = id(1)};
	e.v = (struct event_vertex){.state = VERTEX_DONE, .time = START + 2 * SECOND};
	rawjson_render(&e, &step, &b);
	assert_non_null(strstr(b.p, "\"name\":\"RUN x\",\"started\":\"2023-11-14T22:13:20Z\","
				    "\"completed\":\"2023-11-14T22:13:22Z\"}"));
	buf_release(&b);
}

static void planned(struct stage *s, uint8_t n, const char *name, uint8_t input)
{
	struct event e = {.kind = EVENT_VERTEX, .vertex = id(n)};
	struct digest of = id(input);

	e.v = (struct event_vertex){.name = name, .inputs = &of, .n_inputs = input ? 1 : 0};
	progress_model_apply(&s->model, &e);
}

static const char *ordered(struct stage *s, struct ordered_renderer *r, int64_t at, bool last)
{
	buf_clear(&s->out);
	ordered_render(r, &s->model, START + at * 1000000, last, &s->out);
	return s->out.n > 0 ? s->out.p : "";
}

static void ordered_blocks_are_whole_and_in_the_graphs_order(void **state)
{
	struct ordered_renderer r = {0};
	struct stage s;

	(void)state;
	stage_init(&s);
	planned(&s, 1, "RUN below", 0);
	planned(&s, 2, "RUN needs it", 1);
	planned(&s, 3, "RUN other", 0);
	vertex(&s, 3, NULL, VERTEX_STARTED, 0, NULL);
	text(&s, 3, "o1\n", 0);
	assert_string_equal(ordered(&s, &r, 1, false), "");
	/* What is found needs nothing below it. */
	vertex(&s, 2, NULL, VERTEX_CACHED, 1, NULL);
	assert_string_equal(ordered(&s, &r, 2, false),
			    "#1 RUN needs it\n#1 CACHED\n\n#2 RUN other\n#2 0.000 o1\n");
	vertex(&s, 4, "exporting", VERTEX_STARTED, 3, NULL);
	vertex(&s, 4, NULL, VERTEX_DONE, 4, NULL);
	assert_string_equal(ordered(&s, &r, 5, false), "");
	text(&s, 3, "o2\n", 6);
	vertex(&s, 3, NULL, VERTEX_DONE, 100, NULL);
	assert_string_equal(ordered(&s, &r, 101, false),
			    "#2 0.006 o2\n#2 DONE 0.1s\n\n#3 exporting\n#3 DONE 0.0s\n");
	stage_release(&s);
}

static void groups_fold_each_block(void **state)
{
	struct ordered_renderer r = {.groups = GROUPS_GITHUB};
	struct stage s;

	(void)state;
	stage_init(&s);
	vertex(&s, 1, "RUN 100%", VERTEX_STARTED, 0, NULL);
	s.model.raw_log = true;
	text(&s, 1, "::error::x\ry\r::stop-commands::z\n", 0);
	vertex(&s, 1, NULL, VERTEX_DONE, 100, NULL);
	assert_string_equal(ordered(&s, &r, 1, false),
			    "::group::#1 RUN 100%25\n#1 RUN 100%\n#1 0.000 ::error::x\ry\r#1 "
			    "::stop-commands::z\n"
			    "#1 DONE 0.1s\n::endgroup::\n");
	stage_release(&s);
	r = (struct ordered_renderer){.groups = GROUPS_GITLAB};
	stage_init(&s);
	planned(&s, 2, "never begun", 0);
	vertex(&s, 1, "RUN x", VERTEX_STARTED, 0, NULL);
	assert_string_equal(ordered(&s, &r, 1, false), "");
	vertex(&s, 1, NULL, VERTEX_FAILED, 0, "exit code: 1");
	assert_string_equal(
		ordered(&s, &r, 0, true),
		"\033[0Ksection_start:1700000000:kiln_1[collapsed=true]\r\033[0K#1 RUN x\n"
		"#1 RUN x\n#1 ERROR: exit code: 1\n"
		"\033[0Ksection_end:1700000000:kiln_1\r\033[0K\n");
	stage_release(&s);
}

static void colors_are_those_asked_for(void **state)
{
	struct strv complaints = {0};
	struct screen_colors c;

	(void)state;
	screen_colors_init(&c, NULL, NULL, &complaints);
	assert_true(c.on);
	assert_string_equal(c.error, "\033[31m");
	screen_colors_init(&c, "",
			   "run=green:Error=light-blue:cancel=255,165,0:warning=blu:x=red:y",
			   &complaints);
	assert_string_equal(c.run, "\033[32m");
	assert_string_equal(c.error, "\033[94m");
	assert_string_equal(c.cancel, "\033[38;2;255;165;0m");
	assert_string_equal(c.warning, "\033[33m");
	assert_int_equal(complaints.n, 3);
	strv_release(&complaints);
	screen_colors_init(&c, "1", "run=green", &complaints);
	assert_false(c.on);
	assert_int_equal(complaints.n, 0);
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
		cmocka_unit_test(a_narrower_terminal_is_drawn_anew),
		cmocka_unit_test(names_are_shortened_and_bytes_are_not),
		cmocka_unit_test(wide_and_combining_characters_are_measured),
		cmocka_unit_test(logs_keep_their_colors_and_nothing_else),
		cmocka_unit_test(a_line_without_an_end_is_shown),
		cmocka_unit_test(steps_that_run_come_before_logs_and_those_that_ended),
		cmocka_unit_test(the_live_view_never_exceeds_the_screen),
		cmocka_unit_test(a_failure_leaves_the_whole_log_on_the_screen),
		cmocka_unit_test(a_spool_with_a_limit_keeps_both_ends),
		cmocka_unit_test(a_block_keeps_the_word_for_a_while),
		cmocka_unit_test(ordered_blocks_are_whole_and_in_the_graphs_order),
		cmocka_unit_test(groups_fold_each_block),
		cmocka_unit_test(colors_are_those_asked_for),
		cmocka_unit_test(rawjson_is_one_status_object_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
