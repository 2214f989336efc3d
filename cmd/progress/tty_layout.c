/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/progress/tty_layout.h"

static bool runs(const struct step *s)
{
	return s->state == VERTEX_STARTED;
}

static size_t show_running(const struct progress_model *m, size_t *room, struct tty_share *shares)
{
	size_t running = 0, hidden = 0;

	for (size_t i = 0; i < m->steps.n; i++)
		running += runs(m->steps.v[i]);
	/* One row is for the number of those without one. */
	if (running > *room && *room > 0)
		--*room;
	for (size_t i = 0; i < m->steps.n; i++) {
		if (!runs(m->steps.v[i]))
			continue;
		shares[i].shown = *room > 0;
		*room -= shares[i].shown;
		hidden += !shares[i].shown;
	}
	return hidden;
}

static void show_statuses(const struct progress_model *m, size_t *room, struct tty_share *shares)
{
	for (size_t i = 0; i < m->steps.n; i++) {
		const struct step *s = m->steps.v[i];

		if (!runs(s) || !shares[i].shown)
			continue;
		shares[i].statuses = s->statuses.n < *room ? s->statuses.n : *room;
		*room -= shares[i].statuses;
	}
}

/* The lines of a log that there are, the unfinished one too. */
static size_t log_size(const struct progress_model *m, const struct step *s, size_t max)
{
	size_t n = 0;

	while (n < max && step_tail_line(m, s, (unsigned)n))
		n++;
	return n < max && s->partial.n > 0 ? n + 1 : n;
}

static void show_logs(const struct progress_model *m, size_t *room, size_t log_lines,
		      struct tty_share *shares)
{
	_cleanup_free_ size_t *has = xcalloc(m->steps.n + 1, sizeof(*has));

	for (size_t i = 0; i < m->steps.n; i++)
		if (runs(m->steps.v[i]) && shares[i].shown)
			has[i] = log_size(m, m->steps.v[i], log_lines);
	for (size_t line = 1; line <= log_lines; line++) {
		for (size_t i = 0; i<m->steps.n && * room> 0; i++) {
			if (has[i] < line)
				continue;
			shares[i].logs = line;
			--*room;
		}
	}
}

static void show_ended(const struct progress_model *m, size_t *room, struct tty_share *shares)
{
	for (size_t i = m->steps.n; i-- > 0 && *room > 0;) {
		const struct step *s = m->steps.v[i];
		size_t statuses;

		if (!s->state || runs(s))
			continue;
		--*room;
		statuses = s->statuses.n < *room ? s->statuses.n : *room;
		shares[i] = (struct tty_share){.shown = true, .statuses = statuses};
		*room -= statuses;
	}
}

size_t tty_layout(const struct progress_model *m, size_t room, size_t log_lines,
		  struct tty_share *shares)
{
	size_t hidden = show_running(m, &room, shares);

	if (hidden > 0)
		return hidden;
	show_statuses(m, &room, shares);
	show_logs(m, &room, log_lines, shares);
	show_ended(m, &room, shares);
	return 0;
}
