/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a Dockerfile that an error or a warning is about. */
#include <string.h>

#include "frontend/dockerfile/df_check.h"

enum {
	EXCERPT_LINES_MAX = 200, /* of one instruction */
	EXCERPT_LINE_MAX = 1000, /* bytes of a line */
};

/* A line as a terminal may show it. */
static void add_line(const struct df_line *line, struct buf *b)
{
	size_t n = line->n < EXCERPT_LINE_MAX ? line->n : EXCERPT_LINE_MAX;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)line->p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			buf_adds(b, "\xef\xbf\xbd");
		else
			buf_addc(b, (char)c);
	}
	if (n < line->n)
		buf_adds(b, "...");
}

/* Widens [*start, *end] by context, as BuildKit does: two lines on either side of one line, one
 * around several, and at the ends of the file what there is on the other side. */
static void widen(size_t *start, size_t *end, size_t total)
{
	unsigned pad = *start == *end ? 4 : 2;

	for (unsigned p = 0; p < pad; p++) {
		if (*start > 1) {
			(*start)--;
			p++;
		}
		if (*end < total) {
			(*end)++;
			p++;
		}
	}
}

void df_excerpt(const struct df_file *f, struct source_span span, struct buf *b)
{
	size_t first = span.line, last = span.end_line > span.line ? span.end_line : span.line;
	size_t total = f->n_lines, start, end;

	/* The text behind a final line feed counts as a line. */
	if (f->size > 0 && f->data[f->size - 1] == '\n')
		total++;
	if (first == 0 || first > total)
		return;
	if (last > total)
		last = total;
	if (last - first >= EXCERPT_LINES_MAX)
		last = first + EXCERPT_LINES_MAX - 1;
	start = first;
	end = last;
	widen(&start, &end, total);
	buf_addf(b, "%s:%zu\n--------------------\n", f->name, first);
	for (size_t i = start; i <= end; i++) {
		buf_addf(b, " %3zu | %s ", i, i >= first && i <= last ? ">>>" : "   ");
		if (i <= f->n_lines)
			add_line(&f->lines[i - 1], b);
		buf_addc(b, '\n');
	}
	buf_adds(b, "--------------------\n");
}
