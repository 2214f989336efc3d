/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/progress/progress_model.h"

#include "base/printable.h"

#include <stdlib.h>
#include <string.h>

static void step_free(struct step *s)
{
	free(s->name);
	free(s->error);
	for (size_t i = 0; i < s->statuses.n; i++)
		free(s->statuses.v[i].id);
	for (size_t i = 0; i < s->warnings.n; i++)
		free(s->warnings.v[i].text);
	for (size_t i = 0; s->tail && i < TAIL_LINES; i++)
		buf_release(&s->tail[i]);
	free(s->tail);
	vec_release(&s->statuses);
	vec_release(&s->warnings);
	buf_release(&s->log);
	buf_release(&s->partial);
	free(s);
}

void progress_model_release(struct progress_model *m)
{
	for (size_t i = 0; i < m->steps.n; i++)
		step_free(m->steps.v[i]);
	vec_release(&m->steps);
	map_release(&m->by_id, NULL);
}

/* A longer line is shown in pieces, so that output without newlines takes no more memory. */
enum { LINE_BYTES_MAX = 64 << 10 };

static char *sane(const char *text)
{
	struct buf b = BUF_INIT;

	printable_add(&b, text, strlen(text));
	return buf_take(&b);
}

static struct step *step_get(struct progress_model *m, const struct digest *id)
{
	void **slot = map_put(&m->by_id, id->b, sizeof(id->b));
	struct step *s = *slot;

	if (s)
		return s;
	s = NEW(struct step);
	s->id = *id;
	s->name = xstrdup("");
	s->log = (struct buf)BUF_INIT;
	s->partial = (struct buf)BUF_INIT;
	*slot = s;
	vec_push(&m->steps, s);
	return s;
}

bool step_is_over(const struct step *s)
{
	return s->state >= VERTEX_CACHED;
}

static void apply_vertex(struct progress_model *m, struct step *s, const struct event_vertex *v)
{
	bool was_over = step_is_over(s);

	if (v->name && *v->name) {
		free(s->name);
		s->name = sane(v->name);
	}
	s->state = v->state;
	if (v->state == VERTEX_STARTED) {
		s->started = v->time;
		if (!s->first_started)
			s->first_started = v->time;
		if (was_over)
			m->completed--;
		return;
	}
	if (s->started)
		s->elapsed += v->time - s->started;
	s->started = 0;
	s->finished = v->time;
	if (!was_over)
		m->completed++;
	if (v->error) {
		struct buf lines = BUF_INIT;

		printable_add_lines(&lines, v->error, strlen(v->error));
		free(s->error);
		s->error = buf_take(&lines);
	}
}

static void apply_status(struct step *s, const struct event_status *e)
{
	_cleanup_free_ char *id = sane(e->id);
	struct step_status *status = NULL;

	for (size_t i = 0; i < s->statuses.n && !status; i++)
		if (strcmp(s->statuses.v[i].id, id) == 0)
			status = &s->statuses.v[i];
	if (!status) {
		vec_push(&s->statuses, (struct step_status){.id = TAKE_PTR(id)});
		status = &vec_last(&s->statuses);
	}
	status->current = e->current;
	status->total = e->total;
	status->started = e->started;
	status->completed = e->completed;
	status->dirty = true;
}

static void add_to_tail(struct step *s, struct buf line)
{
	if (!s->tail) {
		s->tail = xcalloc(TAIL_LINES, sizeof(*s->tail));
		for (size_t i = 0; i < TAIL_LINES; i++)
			s->tail[i] = (struct buf)BUF_INIT;
	}
	buf_release(&s->tail[s->tail_next]);
	s->tail[s->tail_next] = line;
	s->tail_next = (s->tail_next + 1) % TAIL_LINES;
}

static const char *seconds_format(double t)
{
	return t < 10 ? "%.3f " : t < 100 ? "%.2f " : "%.1f ";
}

static void end_line(struct progress_model *m, struct step *s, double t)
{
	struct buf line = BUF_INIT;

	/* The format is one of three constants. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	buf_addf(&line, seconds_format(t), t);
#pragma GCC diagnostic pop
	if (m->keep_log && m->raw_log) {
		buf_add(&s->log, line.p, line.n);
		buf_add(&s->log, s->partial.p, s->partial.n);
	}
	/* A report's lines carry no prefix. */
	printable_add(&line, s->partial.p, s->partial.n);
	buf_clear(&s->partial);
	if (m->keep_log && !m->raw_log)
		buf_add(&s->log, line.p, line.n);
	if (m->keep_log)
		buf_addc(&s->log, '\n');
	add_to_tail(s, line);
}

/* Shows what there is of a line that is too long, but for the first bytes of a character. */
static void cut_line(struct progress_model *m, struct step *s, double t)
{
	struct buf *b = &s->partial;
	char rest[3];
	size_t n = 0;

	while (n < sizeof(rest) && ((unsigned char)b->p[b->n - 1 - n] & 0xc0) == 0x80)
		n++;
	n = n < sizeof(rest) && (unsigned char)b->p[b->n - 1 - n] >= 0xc0 ? n + 1 : 0;
	memcpy(rest, b->p + b->n - n, n);
	buf_truncate(b, b->n - n);
	end_line(m, s, t);
	buf_add(b, rest, n);
}

static void add_to_line(struct progress_model *m, struct step *s, const char *p, size_t n, double t)
{
	while (n > 0) {
		size_t room;

		if (s->partial.n == LINE_BYTES_MAX)
			cut_line(m, s, t);
		room = LINE_BYTES_MAX - s->partial.n;
		room = n < room ? n : room;
		buf_add(&s->partial, p, room);
		p += room;
		n -= room;
	}
}

/* A carriage return redraws the line; what counts is what was drawn last. */
static void skip_redrawn(struct step *s, const char **p, size_t *n)
{
	for (const char *cr; *n > 1 && (cr = memchr(*p, '\r', *n - 1)); buf_clear(&s->partial)) {
		*n -= (size_t)(cr + 1 - *p);
		*p = cr + 1;
	}
	if (*n > 0 && (*p)[*n - 1] == '\r')
		(*n)--;
}

static void apply_log(struct progress_model *m, struct step *s, const struct event_log *e)
{
	double t = s->first_started ? (double)(e->time - s->first_started) / 1e9 : 0;
	const char *p = e->data, *end = p + e->n;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);

		if (!m->raw_log)
			skip_redrawn(s, &p, &n);
		add_to_line(m, s, p, n, t);
		if (!nl)
			return;
		end_line(m, s, t);
		p = nl + 1;
	}
}

struct step *progress_model_apply(struct progress_model *m, const struct event *event)
{
	struct step *s = step_get(m, &event->vertex);

	s->dirty = true;
	switch (event->kind) {
	case EVENT_VERTEX:
		apply_vertex(m, s, &event->v);
		if (step_is_over(s) && s->partial.n > 0)
			end_line(m, s, (double)(event->v.time - s->first_started) / 1e9);
		break;
	case EVENT_STATUS:
		apply_status(s, &event->status);
		break;
	case EVENT_LOG:
		apply_log(m, s, &event->log);
		break;
	case EVENT_WARNING:
		vec_push(&s->warnings,
			 (struct step_warning){.text = sane(event->warning.short_text)});
		break;
	}
	return s;
}

int64_t step_elapsed(const struct step *s, int64_t now)
{
	return s->elapsed + (s->started ? now - s->started : 0);
}

const struct buf *step_tail_line(const struct step *s, unsigned i)
{
	const struct buf *line = s->tail ? &s->tail[(s->tail_next + i) % TAIL_LINES] : NULL;

	return line && line->n > 0 ? line : NULL;
}

void step_report(const struct step *s, struct buf *b)
{
	buf_addf(b, "------\n > %s:\n", s->name);
	for (unsigned i = 0; i < TAIL_LINES; i++) {
		const struct buf *line = step_tail_line(s, i);

		if (!line)
			continue;
		buf_add(b, line->p, line->n);
		buf_addc(b, '\n');
	}
	buf_adds(b, "------\n");
}
