#include "cmd/table.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_WIDTH = 10, PADDING = 3 };

void table_cell(struct table *t, const char *text)
{
	strv_push(&t->cells, text);
}

void table_print(const struct table *t, FILE *out)
{
	_cleanup_free_ size_t *widths = xcalloc(t->columns, sizeof(*widths));

	for (size_t i = 0; i < t->cells.n; i++) {
		size_t *width = &widths[i % t->columns], n = strlen(t->cells.v[i]) + PADDING;

		if (*width < n)
			*width = n;
		if (*width < MIN_WIDTH)
			*width = MIN_WIDTH;
	}
	for (size_t i = 0; i < t->cells.n; i++) {
		bool last = i % t->columns == t->columns - 1;

		if (last)
			fprintf(out, "%s\n", t->cells.v[i]);
		else
			fprintf(out, "%-*s", (int)widths[i % t->columns], t->cells.v[i]);
	}
}

void table_release(struct table *t)
{
	strv_release(&t->cells);
}
