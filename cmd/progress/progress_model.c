/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/progress/progress_model.h"

#include "base/printable.h"

#include <stdlib.h>
#include <string.h>

static unsigned tail_size(const struct progress_model *m)
{
	return m->tail_lines ? m->tail_lines : TAIL_LINES;
}

static void step_free(const struct progress_model *m, struct step *s)
{
	free(s->name);
	free(s->inputs);
	free(s->error);
	for (size_t i = 0; i < s->statuses.n; i++)
		free(s->statuses.v[i].id);
	for (size_t i = 0; i < s->warnings.n; i++)
		free(s->warnings.v[i].text);
	for (size_t i = 0; s->tail && i < tail_size(m); i++)
		buf_release(&s->tail[i]);
	free(s->tail);
	vec_release(&s->statuses);
	vec_release(&s->warnings);
	log_spool_release(&s->log);
	buf_release(&s->partial);
	free(s);
}

void progress_model_release(struct progress_model *m)
{
	for (size_t i = 0; i < m->steps.n; i++)
		step_free(m, m->steps.v[i]);
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
	s->log = (struct log_spool)LOG_SPOOL_INIT;
	s->log.max = m->log_max;
	s->partial = (struct buf)BUF_INIT;
	*slot = s;
	vec_push(&m->steps, s);
	return s;
}

bool step_is_over(const struct step *s)
{
	return s->state >= VERTEX_CACHED;
}

static void plan(struct step *s, const struct event_vertex *v)
{
	if (s->inputs || v->n_inputs == 0)
		return;
	s->inputs = xcalloc(v->n_inputs, sizeof(*s->inputs));
	s->n_inputs = v->n_inputs;
	memcpy(s->inputs, v->inputs, v->n_inputs * sizeof(*v->inputs));
}

/* A step that has begun, or was found, has all that it needs: what did not run by then is not needed
 * by it, nor what that needs. */
static void pass_inputs(struct progress_model *m, struct step *s)
{
	VEC(struct step *) todo = {0};

	vec_push(&todo, s);
	while (todo.n > 0) {
		const struct step *t = vec_pop(&todo);

		for (size_t i = 0; i < t->n_inputs; i++) {
			struct step *input =
				map_get(&m->by_id, &t->inputs[i], sizeof(t->inputs[i]));

			if (!input || input->state || input->passed)
				continue;
			input->passed = true;
			vec_push(&todo, input);
		}
	}
	vec_release(&todo);
}

static void apply_vertex(struct progress_model *m, struct step *s, const struct event_vertex *v)
{
	bool was_over = step_is_over(s);

	if (v->name && *v->name) {
		free(s->name);
		s->name = sane(v->name);
	}
	if (v->state == VERTEX_PLANNED) {
		plan(s, v);
		return;
	}
	if (!s->state)
		pass_inputs(m, s);
	s->state = v->state;
	if (v->state == VERTEX_STARTED) {
		s->started = s->last_started = v->time;
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

static void add_to_tail(const struct progress_model *m, struct step *s, struct buf line)
{
	unsigned size = tail_size(m);

	if (!s->tail) {
		s->tail = xcalloc(size, sizeof(*s->tail));
		for (size_t i = 0; i < size; i++)
			s->tail[i] = (struct buf)BUF_INIT;
	}
	buf_release(&s->tail[s->tail_next]);
	s->tail[s->tail_next] = line;
	s->tail_next = (s->tail_next + 1) % size;
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
	while (!m->raw_log && s->partial.n > 0 && s->partial.p[s->partial.n - 1] == '\r')
		buf_truncate(&s->partial, s->partial.n - 1);
	buf_add(&line, s->partial.p, s->partial.n);
	buf_clear(&s->partial);
	if (m->keep_log) {
		buf_addc(&line, '\n');
		log_spool_add(&s->log, line.p, line.n);
		buf_truncate(&line, line.n - 1);
	}
	add_to_tail(m, s, line);
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

/* A carriage return redraws the line; what counts is what was drawn last. One at the end waits for
 * what follows: there may be nothing. */
static void skip_redrawn(struct step *s, const char **p, size_t *n)
{
	size_t text = *n;
	const char *cr;

	while (text > 0 && (*p)[text - 1] == '\r')
		text--;
	if (text > 0 && s->partial.n > 0 && s->partial.p[s->partial.n - 1] == '\r')
		buf_clear(&s->partial);
	cr = memrchr(*p, '\r', text);
	if (!cr)
		return;
	buf_clear(&s->partial);
	*n -= (size_t)(cr + 1 - *p);
	*p = cr + 1;
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

	if (event->kind != EVENT_VERTEX || event->v.state != VERTEX_PLANNED)
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

const struct buf *step_tail_line(const struct progress_model *m, const struct step *s, unsigned i)
{
	unsigned size = tail_size(m);
	const struct buf *line =
		s->tail && i < size ? &s->tail[(s->tail_next + size - 1 - i) % size] : NULL;

	return line && line->n > 0 ? line : NULL;
}

void step_report(const struct progress_model *m, const struct step *s, struct buf *b)
{
	buf_addf(b, "------\n > %s:\n", s->name);
	for (unsigned i = TAIL_LINES; i-- > 0;) {
		const struct buf *line = step_tail_line(m, s, i);

		if (!line)
			continue;
		/* Its lines carry no prefix. */
		printable_add(b, line->p, line->n);
		buf_addc(b, '\n');
	}
	buf_adds(b, "------\n");
}
