/* SPDX-License-Identifier: Apache-2.0 */
/* --progress=plain: a line for everything that happens, each with its step's number. */
#include <inttypes.h>
#include <string.h>

#include "base/times.h"
#include "cmd/progress/progress_render.h"

enum { STATUS_PERCENT = 5 };
#define STATUS_INTERVAL (5 * NS_PER_S)

static bool status_is_due(const struct step_status *s, int64_t now)
{
	unsigned percent = s->total ? (unsigned)(s->current * 100 / s->total) : 0;

	if (s->completed || !s->printed_at)
		return true;
	return percent >= s->printed_percent + STATUS_PERCENT ||
	       now - s->printed_at >= STATUS_INTERVAL;
}

static void print_status(struct step *step, struct step_status *s, int64_t now, struct buf *b)
{
	double elapsed = (double)((s->completed ? s->completed : now) - s->started) / 1e9;
	_cleanup_free_ char *current = times_progress_size(s->current);
	_cleanup_free_ char *total = times_progress_size(s->total);

	buf_addf(b, "#%u %s", step->number, s->id);
	if (s->total)
		buf_addf(b, " %s / %s", current, total);
	else if (s->current)
		buf_addf(b, " %s", current);
	if (elapsed > 0.01)
		buf_addf(b, " %.1fs", elapsed);
	buf_adds(b, s->completed ? " done\n" : "\n");
	s->dirty = false;
	s->printed_at = now;
	s->printed_percent = s->total ? (unsigned)(s->current * 100 / s->total) : 0;
}

/* A line ends at a newline; and where a viewer may begin one anew, at a carriage return say, if
 * what comes then looks like a line of kiln's. */
static size_t line_length(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] == '\n' || ((p[i] == '\r' || p[i] == '\v' || p[i] == '\f') && i + 1 < n &&
				     p[i + 1] == '#'))
			return i + 1;
	return n;
}

static void print_log(struct step *s, struct buf *b)
{
	for (size_t at = 0; at < s->log.n;) {
		const char *line = s->log.p + at;
		size_t n = line_length(line, s->log.n - at);

		buf_addf(b, "#%u ", s->number);
		buf_add(b, line, n);
		at += n;
	}
	buf_clear(&s->log);
}

/* No line of it stands for itself: it may come from a server or a Dockerfile. */
static void print_error(const struct step *s, struct buf *b)
{
	const char *p = s->error ? s->error : "failed";

	buf_addf(b, "#%u ERROR: ", s->number);
	for (size_t n; p[n = strcspn(p, "\n")]; p += n + 1) {
		buf_add(b, p, n);
		buf_addf(b, "\n#%u ", s->number);
	}
	buf_addf(b, "%s\n", p);
}

static void print_end(struct step *s, int64_t now, struct buf *b)
{
	switch (s->state) {
	case VERTEX_CACHED:
		buf_addf(b, "#%u CACHED\n", s->number);
		break;
	case VERTEX_DONE:
		buf_addf(b, "#%u DONE %.1fs\n", s->number, (double)step_elapsed(s, now) / 1e9);
		break;
	case VERTEX_FAILED:
		print_error(s, b);
		break;
	case VERTEX_CANCELED:
		buf_addf(b, "#%u CANCELED\n", s->number);
		break;
	case VERTEX_STARTED:
		break;
	}
}

static void print_step(struct plain_renderer *r, struct step *s, int64_t now, struct buf *b)
{
	if (!s->number)
		s->number = ++r->numbers;
	if (r->current != s) {
		if (r->current)
			buf_addf(b, "#%u ...\n", r->current->number);
		if (r->not_first)
			buf_addc(b, '\n');
		r->not_first = true;
		buf_addf(b, "#%u %s\n", s->number, s->name);
	}
	r->current = s;
	for (size_t i = 0; i < s->warnings.n; i++) {
		if (!s->warnings.v[i].printed)
			buf_addf(b, "#%u WARN: %s\n", s->number, s->warnings.v[i].text);
		s->warnings.v[i].printed = true;
	}
	for (size_t i = 0; i < s->statuses.n; i++) {
		struct step_status *status = &s->statuses.v[i];

		if (status->dirty && (status_is_due(status, now) || step_is_over(s)))
			print_status(s, status, now, b);
	}
	print_log(s, b);
	s->dirty = false;
	if (!step_is_over(s))
		return;
	print_end(s, now, b);
	r->current = NULL;
}

/* The open step among those that still run: the one whose block is open, else the oldest. A block
 * stays open as long as its step has something to say, so that output is not torn into shreds. */
static struct step *choose_active(const struct plain_renderer *r, const struct progress_model *m)
{
	struct step *oldest = NULL;

	if (r->current && r->current->dirty)
		return r->current;
	for (size_t i = 0; i < m->steps.n; i++) {
		struct step *s = m->steps.v[i];

		if (!s->dirty || step_is_over(s) || !s->state)
			continue;
		if (!oldest || s->first_started < oldest->first_started)
			oldest = s;
	}
	return oldest;
}

void plain_render(struct plain_renderer *r, struct progress_model *m, int64_t now, struct buf *b)
{
	struct step *active;

	if (r->current && r->current->dirty && step_is_over(r->current))
		print_step(r, r->current, now, b);
	for (size_t i = 0; i < m->steps.n; i++) {
		struct step *s = m->steps.v[i];

		if (s->dirty && step_is_over(s))
			print_step(r, s, now, b);
	}
	active = choose_active(r, m);
	if (active)
		print_step(r, active, now, b);
}
