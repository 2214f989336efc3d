/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cli/show.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/printable.h"

void show_text(FILE *out, const char *p, size_t n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	printable_add_lines(&b, p, n);
	(void)fwrite(b.p, 1, b.n, out);
}

void show(FILE *out, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	show_text(out, text, strlen(text));
}
