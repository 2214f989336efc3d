/* SPDX-License-Identifier: Apache-2.0 */
/* --progress=tty: the live view of a terminal, drawn again with every change. */
#include <stdio.h>
#include <string.h>

#include "base/times.h"
#include "cmd/progress/progress_render.h"

enum { LOG_ROWS = 6, MIN_COLUMNS = 20 };

#define BLUE "\033[34m"
#define CYAN "\033[36m"
#define RED "\033[31m"
#define RESET "\033[0m"

/* Columns that UTF-8 text takes, one a character: names are mostly ASCII, and a wide character that
 * is cut one column early does no harm. */
static size_t text_columns(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static size_t bytes_of_columns(const char *s, size_t columns)
{
	size_t i = 0;

	for (; s[i]; i++) {
		if (((unsigned char)s[i] & 0xc0) == 0x80)
			continue;
		if (columns-- == 0)
			break;
	}
	return i;
}

/* "left ........ 1.2s", cut or padded so that the time ends in the last column. */
static char *row(const char *left, int64_t elapsed, unsigned columns, const char *color)
{
	struct buf b = BUF_INIT;
	char time[32];
	size_t room, used = text_columns(left);

	snprintf(time, sizeof(time), " %.1fs", (double)elapsed / 1e9);
	room = columns > strlen(time) + 1 ? columns - strlen(time) - 1 : 1;
	if (color)
		buf_adds(&b, color);
	buf_add(&b, left, bytes_of_columns(left, room));
	for (; used < room; used++)
		buf_addc(&b, ' ');
	buf_adds(&b, time);
	if (color)
		buf_adds(&b, RESET);
	return buf_take(&b);
}

static const char *state_prefix(const struct step *s)
{
	switch (s->state) {
	case VERTEX_CACHED:
		return "CACHED ";
	case VERTEX_FAILED:
		return "ERROR ";
	case VERTEX_CANCELED:
		return "CANCELED ";
	case VERTEX_STARTED:
	case VERTEX_DONE:
		break;
	}
	return "";
}

static const char *state_color(const struct step *s)
{
	if (s->state == VERTEX_FAILED)
		return RED;
	if (s->state == VERTEX_CANCELED)
		return CYAN;
	return step_is_over(s) ? BLUE : NULL;
}

static void add_statuses(const struct step *s, int64_t now, unsigned columns, const char *color,
			 struct strv *frame)
{
	for (size_t i = 0; i < s->statuses.n; i++) {
		const struct step_status *st = &s->statuses.v[i];
		_cleanup_free_ char *current = times_progress_size(st->current);
		_cleanup_free_ char *total = times_progress_size(st->total);
		_cleanup_free_ char *left = NULL;

		if (st->total)
			left = xasprintf(" => => %s %s / %s", st->id, current, total);
		else if (st->current)
			left = xasprintf(" => => %s %s", st->id, current);
		else
			left = xasprintf(" => => %s", st->id);
		strv_push_take(frame, row(left, (st->completed ? st->completed : now) - st->started,
					  columns, color));
	}
}

static void add_log(const struct step *s, unsigned columns, struct strv *frame)
{
	for (unsigned i = TAIL_LINES - LOG_ROWS; i < TAIL_LINES; i++) {
		const struct buf *line = step_tail_line(s, i);
		_cleanup_free_ char *left = NULL;
		const char *text;

		if (!line)
			continue;
		text = strchr(line->p, ' ');
		left = xasprintf(" => => # %s", text ? text + 1 : line->p);
		strv_pushn(frame, left, bytes_of_columns(left, columns - 1));
	}
}

static size_t add_step(const struct step *s, int64_t now, unsigned columns, bool use_color,
		       struct strv *frame)
{
	_cleanup_free_ char *left = xasprintf(" => %s%s", state_prefix(s), s->name);
	const char *color = use_color ? state_color(s) : NULL;
	size_t before = frame->n;

	strv_push_take(frame, row(left, step_elapsed(s, now), columns, color));
	add_statuses(s, now, columns, color, frame);
	if (!step_is_over(s))
		add_log(s, columns, frame);
	return frame->n - before;
}

/* Steps are left out from the top, finished ones first, until the rest fits the screen. */
static void compose(const struct progress_model *m, int64_t now, unsigned columns, size_t room,
		    bool use_color, struct strv *frame)
{
	_cleanup_free_ bool *hidden = xcalloc(m->steps.n + 1, sizeof(*hidden));
	size_t lines = 0;

	for (size_t i = 0; i < m->steps.n; i++) {
		struct strv rows = {0};

		if (m->steps.v[i]->state)
			lines += add_step(m->steps.v[i], now, columns, use_color, &rows);
		strv_release(&rows);
	}
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < m->steps.n && lines > room; i++) {
			const struct step *s = m->steps.v[i];
			struct strv rows = {0};

			if (hidden[i] || !s->state || (pass == 0 && !step_is_over(s)))
				continue;
			lines -= add_step(s, now, columns, use_color, &rows);
			strv_release(&rows);
			hidden[i] = true;
		}
	}
	for (size_t i = 0; i < m->steps.n; i++)
		if (!hidden[i] && m->steps.v[i]->state)
			add_step(m->steps.v[i], now, columns, use_color, frame);
}

/* Rewrites only the lines that changed. */
static void repaint(const struct strv *old, const struct strv *new, struct buf *b)
{
	if (old->n > 0)
		buf_addf(b, "\033[%zuA", old->n);
	for (size_t i = 0; i < new->n; i++) {
		if (i >= old->n || strcmp(old->v[i], new->v[i]) != 0)
			/* Erased first: behind a full line some terminals take its last
			 * character. */
			buf_addf(b, "\r\033[K%s", new->v[i]);
		buf_adds(b, "\r\n");
	}
	if (new->n < old->n)
		buf_adds(b, "\033[J");
}

void tty_render(struct tty_renderer *r, const struct progress_model *m, int64_t now,
		unsigned columns, unsigned rows, enum tty_end end, struct buf *b)
{
	_cleanup_free_ char *heading = NULL;
	struct strv frame = {0};
	size_t known = 0;

	if (columns < MIN_COLUMNS)
		columns = MIN_COLUMNS;
	if (!r->started)
		r->started = now;
	for (size_t i = 0; i < m->steps.n; i++)
		known += m->steps.v[i]->state != 0;
	heading = xasprintf("[+] Building %.1fs (%zu/%zu)%s", (double)(now - r->started) / 1e9,
			    m->completed, known, end == TTY_GOING ? "" : " FINISHED");
	strv_pushn(&frame, heading, bytes_of_columns(heading, columns));
	/* The last frame stays on the screen whole, scrolled if need be. */
	compose(m, now, columns, end == TTY_GOING && rows > 3 ? rows - 3 : SIZE_MAX, r->color,
		&frame);
	repaint(&r->frame, &frame, b);
	strv_release(&r->frame);
	r->frame = frame;
}

void tty_release(struct tty_renderer *r)
{
	strv_release(&r->frame);
}
