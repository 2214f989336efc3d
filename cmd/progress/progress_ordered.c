/* SPDX-License-Identifier: Apache-2.0 */
/* --progress=ordered: a block for each step, whole and in the order of the graph, for people and
 * programs that read a log from its beginning to its end. */
#include <inttypes.h>

#include "base/times.h"
#include "cmd/progress/progress_render.h"

/* GitHub's commands escape what would end them. */
static void add_github_title(struct buf *b, const struct step *s)
{
	buf_addf(b, "::group::#%u ", s->number);
	for (const char *p = s->name; *p; p++) {
		if (*p == '%')
			buf_adds(b, "%25");
		else
			buf_addc(b, *p);
	}
	buf_addc(b, '\n');
}

static void open_group(struct ordered_renderer *r, struct step *s, int64_t now, struct buf *b)
{
	if (!s->number)
		s->number = ++r->plain.numbers;
	switch (r->groups) {
	case GROUPS_NONE:
		return;
	case GROUPS_GITHUB:
		add_github_title(b, s);
		return;
	case GROUPS_GITLAB:
		buf_addf(b,
			 "\033[0Ksection_start:%" PRId64
			 ":kiln_%u[collapsed=true]\r\033[0K#%u %s\n",
			 now / NS_PER_S, s->number, s->number, s->name);
		return;
	}
}

static void close_group(const struct ordered_renderer *r, const struct step *s, int64_t now,
			struct buf *b)
{
	if (r->groups == GROUPS_GITHUB)
		buf_adds(b, "::endgroup::\n");
	if (r->groups == GROUPS_GITLAB)
		buf_addf(b, "\033[0Ksection_end:%" PRId64 ":kiln_%u\r\033[0K\n", now / NS_PER_S,
			 s->number);
}

static void print_step(struct ordered_renderer *r, struct progress_model *m, struct step *s,
		       int64_t now, struct buf *b)
{
	bool over = step_is_over(s);

	if (!s->dirty)
		return;
	if (r->plain.current != s)
		open_group(r, s, now, b);
	plain_print_step(&r->plain, m, s, now, b);
	if (over)
		close_group(r, s, now, b);
}

/* A result that turned out to be gone is made again, after what was made of it: its block comes as
 * soon as it is whole. */
static void print_late(struct ordered_renderer *r, struct progress_model *m, int64_t now,
		       struct buf *b)
{
	for (size_t i = 0; i < r->next; i++)
		if (step_is_over(m->steps.v[i]))
			print_step(r, m, m->steps.v[i], now, b);
}

void ordered_render(struct ordered_renderer *r, struct progress_model *m, int64_t now, bool last,
		    struct buf *b)
{
	for (; r->next < m->steps.n; r->next++) {
		struct step *s = m->steps.v[r->next];

		if (s->state == VERTEX_PLANNED) {
			if (s->passed || last)
				continue;
			break;
		}
		print_step(r, m, s, now, b);
		if (!step_is_over(s) && !last)
			break;
	}
	if (!r->plain.current)
		print_late(r, m, now, b);
}
