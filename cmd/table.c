#include "cmd/table.h"

#include <stdlib.h>

enum { MIN_WIDTH = 10, PADDING = 3 };

/* Columns that UTF-8 text takes, one a character: every byte counts but those that continue one. */
static size_t text_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

void table_cell(struct table *t, const char *text)
{
	strv_push(&t->cells, text);
}

void table_print(const struct table *t, FILE *out)
{
	_cleanup_free_ size_t *widths = xcalloc(t->columns, sizeof(*widths));

	for (size_t i = 0; i < t->cells.n; i++) {
		size_t *width = &widths[i % t->columns], n = text_width(t->cells.v[i]) + PADDING;

		if (*width < n)
			*width = n;
		if (*width < MIN_WIDTH)
			*width = MIN_WIDTH;
	}
	for (size_t i = 0; i < t->cells.n; i++) {
		const char *text = t->cells.v[i];
		bool last = i % t->columns == t->columns - 1;
		size_t pad = last ? 0 : widths[i % t->columns] - text_width(text);

		fprintf(out, "%s%*s%s", text, (int)pad, "", last ? "\n" : "");
	}
}

void table_release(struct table *t)
{
	strv_release(&t->cells);
}
