/* SPDX-License-Identifier: Apache-2.0 */
/* --progress=tty: the live view of a terminal, drawn again with every change. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/times.h"
#include "cmd/progress/progress_render.h"
#include "cmd/progress/screen_text.h"
#include "cmd/progress/tty_layout.h"

enum { MIN_COLUMNS = 20, MIN_NAME = 8 };

#define RESET "\033[0m"
#define FAINT "\033[2m"
/* While a frame is written the cursor is hidden and no line wraps, whatever a terminal thinks of
 * the width of a character. Both end with the frame, so that nothing is left behind. */
#define BEGIN_FRAME "\033[?25l\033[?7l"
#define END_FRAME "\033[?7h\033[?25h"

/* One frame on its way. */
struct frame {
	const struct tty_renderer *r;
	const struct progress_model *m;
	int64_t now;
	unsigned width; /* of rows: the last column stays free */
	struct strv lines;
};

/* --- Rows --- */

/* "NAME EXTRA ........ 1.2s": the name is shortened, so that what changes is always seen and the
 * time ends where the row does. */
static void add_row(struct frame *f, const char *mark, const char *name, const char *extra,
		    int64_t elapsed, const char *color)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct buf b = BUF_INIT;
	char time[32];
	int time_columns = snprintf(time, sizeof(time), " %.1fs", (double)elapsed / 1e9);
	size_t fixed = (size_t)time_columns + strlen(mark) + (*extra ? strlen(extra) + 1 : 0), used;

	buf_adds(&text, mark);
	used = text_add_shortened(&text, name,
				  f->width > fixed + MIN_NAME ? f->width - fixed : MIN_NAME);
	if (*extra)
		buf_addf(&text, " %s", extra);
	for (used += fixed; used < f->width; used++)
		buf_addc(&text, ' ');
	buf_adds(&text, time);
	if (*color)
		buf_adds(&b, color);
	text_add_cut(&b, text.p, f->width);
	if (*color)
		buf_adds(&b, RESET);
	strv_push_take(&f->lines, buf_take(&b));
}

static void add_more(struct frame *f, const char *mark, size_t n, const char *what)
{
	strv_pushf(&f->lines, "%s+%zu more%s", mark, n, what);
}

static const char *state_prefix(const struct step *s)
{
	switch (s->state) {
	case VERTEX_CACHED:
		return " => CACHED ";
	case VERTEX_FAILED:
		return " => ERROR ";
	case VERTEX_CANCELED:
		return " => CANCELED ";
	case VERTEX_PLANNED:
	case VERTEX_STARTED:
	case VERTEX_DONE:
		break;
	}
	return " => ";
}

static const char *state_color(const struct frame *f, const struct step *s)
{
	const struct screen_colors *c = &f->r->colors;

	if (!c->on || !step_is_over(s))
		return "";
	return s->state == VERTEX_FAILED     ? c->error
	       : s->state == VERTEX_CANCELED ? c->cancel
					     : c->run;
}

static void add_status(struct frame *f, const struct step_status *st, const char *color)
{
	_cleanup_free_ char *current = times_progress_size(st->current);
	_cleanup_free_ char *total = times_progress_size(st->total);
	_cleanup_free_ char *bytes = st->total	   ? xasprintf("%s / %s", current, total)
				     : st->current ? xstrdup(current)
						   : xstrdup("");

	add_row(f, " => => ", st->id, bytes, (st->completed ? st->completed : f->now) - st->started,
		color);
}

/* What is under way goes first where there is no room for all. */
static void add_statuses(struct frame *f, const struct step *s, size_t rows, const char *color)
{
	size_t room = rows < s->statuses.n && rows > 0 ? rows - 1 : rows, going = 0;

	for (size_t i = 0; i < s->statuses.n; i++)
		going += s->statuses.v[i].completed == 0;
	/* How many of those that are over have a row. */
	size_t over = going < room ? room - going : 0, skip = s->statuses.n - going;

	skip = skip > over ? skip - over : 0;
	for (size_t i = 0; i < s->statuses.n && room > 0; i++) {
		const struct step_status *st = &s->statuses.v[i];

		if (st->completed && skip > 0) {
			skip--;
			continue;
		}
		add_status(f, st, color);
		room--;
	}
	if (rows > 0 && rows < s->statuses.n)
		add_more(f, " => => ", s->statuses.n - rows + 1, "");
}

static void add_log_line(struct frame *f, const char *p, size_t n)
{
	static const char mark[] = " => => # ";
	struct buf b = BUF_INIT;
	bool color = f->r->colors.on;

	if (color)
		buf_adds(&b, FAINT);
	buf_adds(&b, mark);
	text_add_log(&b, p, n, f->width - (sizeof(mark) - 1), color);
	if (color)
		buf_adds(&b, RESET);
	strv_push_take(&f->lines, buf_take(&b));
}

static void add_log(struct frame *f, const struct step *s, size_t rows)
{
	const struct buf *open = s->partial.n > 0 ? &s->partial : NULL;
	size_t n = open ? open->n : 0;

	for (size_t i = rows - (open && rows > 0); i-- > 0;) {
		const struct buf *line = step_tail_line(f->m, s, (unsigned)i);
		const char *text = line ? memchr(line->p, ' ', line->n) : NULL;

		if (text)
			add_log_line(f, text + 1, line->n - (size_t)(text + 1 - line->p));
	}
	/* A bar's last carriage return waits for what comes next. */
	while (n > 0 && open->p[n - 1] == '\r')
		n--;
	if (open && rows > 0)
		add_log_line(f, open->p, n);
}

static void add_step(struct frame *f, const struct step *s, const struct tty_share *share)
{
	const char *color = state_color(f, s);

	add_row(f, state_prefix(s), s->name, "", step_elapsed(s, f->now), color);
	add_statuses(f, s, share->statuses, color);
	add_log(f, s, share->logs);
}

/* --- Frames --- */

static void add_heading(struct frame *f, enum tty_end end)
{
	static const char *const ends[] = {
		[TTY_GOING] = "", [TTY_FINISHED] = " FINISHED", [TTY_FAILED] = " FAILED"};
	_cleanup_free_ char *text = NULL;
	struct buf b = BUF_INIT;
	size_t known = 0;

	/* At the end nothing is still to come. */
	for (size_t i = 0; i < f->m->steps.n; i++)
		known += f->m->steps.v[i]->state != VERTEX_PLANNED ||
			 (end == TTY_GOING && !f->m->steps.v[i]->passed);
	text = xasprintf("[+] %s %.1fs (%zu/%zu)%s", f->r->doing,
			 (double)(f->now - f->r->started) / 1e9, f->m->completed, known, ends[end]);
	text_add_cut(&b, text, f->width);
	strv_push_take(&f->lines, buf_take(&b));
}

static void compose(struct frame *f, size_t room, size_t log_lines)
{
	_cleanup_free_ struct tty_share *shares = xcalloc(f->m->steps.n + 1, sizeof(*shares));
	size_t hidden = tty_layout(f->m, room, log_lines, shares);

	for (size_t i = 0; i < f->m->steps.n; i++)
		if (shares[i].shown)
			add_step(f, f->m->steps.v[i], &shares[i]);
	if (hidden > 0)
		add_more(f, " => ", hidden, " running");
}

/* The rows that the last frame takes on a screen that has become narrower: terminals wrap then. */
static size_t rows_of_old(const struct tty_renderer *r, unsigned columns)
{
	size_t n = 0;

	for (size_t i = 0; i < r->frame.n; i++) {
		size_t width = text_columns(r->frame.v[i]);

		n += width > columns ? (width + columns - 1) / columns : 1;
	}
	return n;
}

/* Rewrites only the lines that changed. */
static void repaint(const struct strv *old, const struct strv *new, struct buf *b)
{
	size_t first = 0;

	while (first < old->n && first < new->n &&strcmp(old->v[first], new->v[first]) == 0)
		first++;
	if (first == old->n && first == new->n)
		return;
	buf_adds(b, BEGIN_FRAME);
	if (first < old->n)
		buf_addf(b, "\033[%zuA", old->n - first);
	for (size_t i = first; i < new->n; i++) {
		if (i >= old->n || strcmp(old->v[i], new->v[i]) != 0)
			/* Erased first: behind a full line some terminals take its last
			 * character. */
			buf_addf(b, "\r\033[K%s", new->v[i]);
		buf_adds(b, "\r\n");
	}
	/* Also what the terminal has shown of a key below the frame. */
	buf_adds(b, "\033[J" END_FRAME);
}

static void repaint_all(const struct tty_renderer *r, const struct frame *f, unsigned columns,
			struct buf *b)
{
	static const struct strv none = {0};
	size_t rows = rows_of_old(r, columns);

	if (rows > 0)
		buf_addf(b, "\033[%zuA\r\033[J", rows);
	repaint(&none, &f->lines, b);
}

void tty_render(struct tty_renderer *r, const struct progress_model *m, int64_t now,
		unsigned columns, unsigned rows, enum tty_end end, struct buf *b)
{
	struct frame f = {.r = r, .m = m, .now = now};

	if (columns < MIN_COLUMNS)
		columns = MIN_COLUMNS;
	f.width = columns - 1;
	if (!r->started)
		r->started = now;
	add_heading(&f, end);
	/* The last frame stays on the screen whole, scrolled if need be. */
	compose(&f,
		end != TTY_GOING ? SIZE_MAX
		: rows > 2	 ? rows - 2
				 : 1,
		r->log_lines ? r->log_lines : LOG_LINES);
	if (columns < r->columns)
		repaint_all(r, &f, columns, b);
	else
		repaint(&r->frame, &f.lines, b);
	strv_release(&r->frame);
	r->frame = f.lines;
	r->columns = columns;
}

void tty_forget(struct tty_renderer *r)
{
	strv_release(&r->frame);
}

void tty_release(struct tty_renderer *r)
{
	strv_release(&r->frame);
}

/* --- The log of a failure --- */

struct report {
	void (*write)(void *data, const char *p, size_t n);
	void *data;
	bool color;
};

static void report_lines(void *data, const char *p, size_t n)
{
	const struct report *report = data;
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (const char *end = p + n; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t line = (size_t)((nl ? nl : end) - p);

		text_add_log(&b, p, line, SIZE_MAX, report->color);
		if (nl)
			buf_addc(&b, '\n');
		p += line + (nl != NULL);
	}
	report->write(report->data, b.p, b.n);
}

void tty_report(const struct tty_renderer *r, const struct step *s,
		void (*write)(void *data, const char *p, size_t n), void *data)
{
	struct report report = {.write = write, .data = data, .color = r->colors.on};
	_cleanup_free_ char *heading = xasprintf("------\n > %s:\n", s->name);
	static const char end[] = "------\n";

	write(data, heading, strlen(heading));
	log_spool_read(&s->log, report_lines, &report);
	write(data, end, sizeof(end) - 1);
}
