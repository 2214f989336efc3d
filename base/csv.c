/* SPDX-License-Identifier: Apache-2.0 */
#include "base/csv.h"

#include <string.h>

#include "base/buf.h"

/* Reads a quoted field behind its opening quote, up to its closing one or to what is in its
 * place. */
static const char *scan_quoted(const char *p, struct buf *field)
{
	for (; *p && (*p != '"' || p[1] == '"'); p++) {
		buf_addc(field, *p);
		p += *p == '"';
	}
	return p;
}

/* Where, and not what: the text may hold a password. */
static int bad_quote(const char *text, const char *at, const char *why, struct error **err)
{
	size_t line = 1, column = 1;

	for (; text < at; text++) {
		column = *text == '\n' ? 1 : column + 1;
		line += *text == '\n';
	}
	return error_new(err, ERR_INVALID, 0, "parse error on line %zu, column %zu: %s", line,
			 column, why);
}

int csv_split(const char *text, struct strv *fields, struct error **err)
{
	_cleanup_strv_ struct strv found = {0};
	const char *p = text;

	for (;; p++) {
		_cleanup_buf_ struct buf field = BUF_INIT;

		if (*p == '"') {
			p = scan_quoted(p + 1, &field);
			if (!*p || (p[1] && p[1] != ','))
				return bad_quote(text, p,
						 "extraneous or missing \" in quoted-field", err);
			p++;
		} else {
			size_t n = strcspn(p, ",\"");

			buf_add(&field, p, n);
			p += n;
			if (*p == '"')
				return bad_quote(text, p, "bare \" in non-quoted-field", err);
		}
		strv_push_take(&found, buf_take(&field));
		if (!*p)
			break;
	}
	for (size_t i = 0; i < found.n; i++)
		strv_push_take(fields, TAKE_PTR(found.v[i]));
	return 0;
}

void csv_names(const char *text, struct strv *names)
{
	for (size_t n; *text; text += n + (text[n] == ',')) {
		n = strcspn(text, ",");
		if (n > 0)
			strv_pushn(names, text, n);
	}
}
