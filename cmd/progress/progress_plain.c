/* SPDX-License-Identifier: Apache-2.0 */
/* --progress=plain: a line for everything that happens, each with its step's number. */
#include <inttypes.h>
#include <string.h>

#include "base/printable.h"
#include "base/times.h"
#include "cmd/progress/progress_render.h"

enum { STATUS_PERCENT = 5 };
#define STATUS_INTERVAL (5 * NS_PER_S)
#define BLOCK_TIME (5 * NS_PER_S)
#define SILENCE NS_PER_S

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
 * what comes then looks like a line of kiln's, or like a command to a CI ("::add-mask::"). */
static size_t line_length(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] == '\n' || ((p[i] == '\r' || p[i] == '\v' || p[i] == '\f') && i + 1 < n &&
				     (p[i + 1] == '#' || p[i + 1] == ':')))
			return i + 1;
	return n;
}

struct log_target {
	unsigned number;
	bool raw;
	struct buf *b;
};

static void print_piece(void *data, const char *p, size_t n)
{
	const struct log_target *to = data;
	_cleanup_buf_ struct buf shown = BUF_INIT;

	if (!to->raw) {
		printable_add_lines(&shown, p, n);
		p = shown.p;
		n = shown.n;
	}
	for (size_t at = 0; at < n;) {
		size_t line = line_length(p + at, n - at);

		buf_addf(to->b, "#%u ", to->number);
		buf_add(to->b, p + at, line);
		at += line;
	}
}

static void print_log(struct step *s, bool raw, struct buf *b)
{
	struct log_target to = {.number = s->number, .raw = raw, .b = b};

	log_spool_read(&s->log, print_piece, &to);
	log_spool_release(&s->log);
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
	case VERTEX_PLANNED:
	case VERTEX_STARTED:
		break;
	}
}

void plain_print_step(struct plain_renderer *r, const struct progress_model *m, struct step *s,
		      int64_t now, struct buf *b)
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
		r->since = now;
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
	print_log(s, m->raw_log, b);
	s->dirty = false;
	s->printed_at = now;
	s->waits_since = 0;
	if (!step_is_over(s))
		return;
	print_end(s, now, b);
	r->current = NULL;
}

/* The step that has waited longest to say something; NULL if none waits. */
static struct step *longest_waiting(const struct progress_model *m, int64_t now)
{
	struct step *longest = NULL;

	for (size_t i = 0; i < m->steps.n; i++) {
		struct step *s = m->steps.v[i];

		if (!s->dirty || step_is_over(s) || !s->state)
			continue;
		if (!s->waits_since)
			s->waits_since = now;
		if (!longest || s->waits_since < longest->waits_since)
			longest = s;
	}
	return longest;
}

/* A step keeps its block for a while even if others have something to say, so that the output of
 * steps that run at the same time is not torn into shreds; not if it has become silent. */
static bool keeps_block(const struct plain_renderer *r, int64_t now)
{
	return r->current && now - r->since < BLOCK_TIME &&
	       (r->current->dirty || now - r->current->printed_at < SILENCE);
}

static void print_running(struct plain_renderer *r, struct progress_model *m, int64_t now,
			  struct buf *b)
{
	struct step *next = longest_waiting(m, now);

	if (next && keeps_block(r, now))
		next = r->current;
	if (next && next->dirty)
		plain_print_step(r, m, next, now, b);
	r->waiting = longest_waiting(m, now) != NULL;
}

void plain_render(struct plain_renderer *r, struct progress_model *m, int64_t now, struct buf *b)
{
	if (r->current && r->current->dirty && step_is_over(r->current))
		plain_print_step(r, m, r->current, now, b);
	for (size_t i = 0; i < m->steps.n; i++) {
		struct step *s = m->steps.v[i];

		if (s->dirty && step_is_over(s))
			plain_print_step(r, m, s, now, b);
	}
	print_running(r, m, now, b);
}
