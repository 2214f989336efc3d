/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/printable.h"

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
	table_take(t, xstrdup(text));
}

void table_take(struct table *t, char *text)
{
	struct buf b = BUF_INIT;

	/* Nothing of an image or a Dockerfile ends a row, or moves the cursor. */
	printable_add(&b, text, strlen(text));
	free(text);
	buf_add(&b, "", 0);
	strv_push_take(&t->cells, buf_take(&b));
}

static void put_blanks(size_t n, FILE *out)
{
	static const char blanks[] = "                                ";

	for (; n > sizeof(blanks) - 1; n -= sizeof(blanks) - 1)
		(void)fputs(blanks, out);
	(void)fwrite(blanks, 1, n, out);
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

		(void)fputs(text, out);
		if (last)
			(void)fputc('\n', out);
		else
			put_blanks(widths[i % t->columns] - text_width(text), out);
	}
}

void table_release(struct table *t)
{
	strv_release(&t->cells);
}
