/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln builds logs` and `trace`: the events of a build once more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/times.h"
#include "cmd/builds/builds.h"
#include "cmd/progress/progress_render.h"
#include "cmd/progress/rawjson_read.h"
#include "engine/stream/inflate.h"

enum { PIECE = 64 << 10 };
#define FRAME_NS (INT64_C(100) * 1000 * 1000)

/* Calls `line` for each line of the log, without its newline. One that is no event says that there was
 * no room for some, and is passed over. */
static int read_lines(struct store *s, const char *ref,
		      int (*line)(void *data, const char *p, size_t n, struct error **err),
		      void *data, struct error **err)
{
	_cleanup_close_ int fd = history_open_log(s, ref, err);
	_cleanup_(inflate_freep) struct inflate *in = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t got = 1;
	int r = fd < 0 ? fd : 0;

	if (r == 0)
		in = inflate_open(inflate_read_fd, &fd);
	while (r == 0 && got > 0) {
		size_t at = 0;

		r = inflate_read(in, buf_reserve(&b, PIECE), PIECE, &got, err);
		if (r < 0)
			break;
		buf_commit(&b, got);
		for (const char *nl; r == 0 && (nl = memchr(b.p + at, '\n', b.n - at));
		     at = (size_t)(nl + 1 - b.p))
			r = b.p[at] == '{' ? line(data, b.p + at, (size_t)(nl - b.p) - at, err) : 0;
		memmove(b.p, b.p + at, b.n - at);
		buf_truncate(&b, b.n - at);
	}
	return r < 0 ? error_wrap(err, r, "read the log of build %s", ref) : 0;
}

/* --- logs --- */

struct replay {
	struct progress_model model;
	struct plain_renderer plain;
	struct ordered_renderer ordered;
	bool in_order;
	int64_t now, drawn; /* ns */
	struct buf out;
};

static void print_out(struct replay *replay)
{
	if (replay->out.n > 0)
		(void)fwrite(replay->out.p, 1, replay->out.n, stdout);
	buf_clear(&replay->out);
}

static int64_t time_of(const struct event *e)
{
	switch (e->kind) {
	case EVENT_VERTEX:
		return e->v.time;
	case EVENT_STATUS:
		return e->status.completed ? e->status.completed : e->status.time;
	case EVENT_LOG:
		return e->log.time;
	case EVENT_WARNING:
		break;
	}
	return 0;
}

static void draw(struct replay *replay, bool last)
{
	if (replay->in_order)
		ordered_render(&replay->ordered, &replay->model, replay->now, last, &replay->out);
	else
		plain_render(&replay->plain, &replay->model, replay->now, &replay->out);
	replay->drawn = replay->now;
	print_out(replay);
}

/* Drawn as it was then: by the clock of the events, and not more often. */
static void show_event(void *data, const struct event *e)
{
	struct replay *replay = data;
	int64_t time = time_of(e);

	if (time > replay->drawn + FRAME_NS && replay->now > replay->drawn)
		draw(replay, false);
	replay->now = time > replay->now ? time : replay->now;
	progress_model_apply(&replay->model, e);
}

static int replay_line(void *data, const char *p, size_t n, struct error **err)
{
	const struct progress to = {.emit = show_event, .data = data};

	return rawjson_read(p, n, &to, err);
}

static int print_line(void *data, const char *p, size_t n, struct error **err)
{
	(void)data;
	(void)err;
	(void)fwrite(p, 1, n, stdout);
	(void)putchar('\n');
	return 0;
}

int builds_logs(struct store *s, const struct builds_options *o, const struct history_entry *file,
		struct error **err)
{
	const char *mode = o->progress ? o->progress : "plain";
	struct replay replay = {.out = BUF_INIT, .in_order = strcmp(mode, "ordered") == 0};
	int r;

	if (strcmp(mode, "rawjson") == 0)
		return read_lines(s, file->ref, print_line, NULL, err);
	if (!replay.in_order && strcmp(mode, "plain") != 0)
		return error_new(err, ERR_INVALID, 0,
				 "invalid --progress '%s': use plain, ordered or rawjson", mode);
	replay.model.keep_log = true;
	replay.model.raw_log = !isatty(STDOUT_FILENO);
	r = read_lines(s, file->ref, replay_line, &replay, err);
	draw(&replay, true);
	buf_release(&replay.out);
	progress_model_release(&replay.model);
	return r;
}

/* --- trace --- */

struct trace {
	json_t *events;
	VEC(int64_t)
	lanes; /* when the step of each lane ended: steps at once are below each other */
	struct progress_model model;
};

static size_t free_lane(struct trace *t, int64_t started, int64_t ended)
{
	size_t i = 0;

	while (i < t->lanes.n && t->lanes.v[i] > started)
		i++;
	if (i == t->lanes.n)
		vec_push(&t->lanes, ended);
	t->lanes.v[i] = ended;
	return i;
}

static void trace_event(void *data, const struct event *e)
{
	struct trace *t = data;
	const struct step *s = progress_model_apply(&t->model, e);
	int64_t started;

	if (e->kind != EVENT_VERTEX || !step_is_over(s))
		return;
	started = s->last_started ? s->last_started : e->v.time;
	json_array_append_new(
		t->events, json_pack("{s:s, s:s, s:s, s:I, s:I, s:i, s:I}", "name", s->name, "cat",
				     s->state == VERTEX_CACHED	 ? "cached"
				     : s->state == VERTEX_FAILED ? "error"
								 : "step",
				     "ph", "X", "ts", (json_int_t)(started / 1000), "dur",
				     (json_int_t)((e->v.time - started) / 1000), "pid", 1, "tid",
				     (json_int_t)free_lane(t, started, e->v.time)));
}

static int trace_line(void *data, const char *p, size_t n, struct error **err)
{
	const struct progress to = {.emit = trace_event, .data = data};

	return rawjson_read(p, n, &to, err);
}

int builds_trace(struct store *s, const struct history_entry *file, struct error **err)
{
	struct trace t = {.events = json_array()};
	_cleanup_json_ json_t *doc = json_pack("{s:o}", "traceEvents", t.events);
	_cleanup_buf_ struct buf out = BUF_INIT;
	int r = read_lines(s, file->ref, trace_line, &t, err);

	if (r == 0) {
		js_dump(doc, false, &out);
		printf("%s\n", out.p);
	}
	vec_release(&t.lanes);
	progress_model_release(&t.model);
	return r;
}
