/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/attest/redact.h"

#include <string.h>

#include "base/buf.h"

/* Where the authority of a URL ends, and with it what may be user and password. */
static size_t authority_length(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && (unsigned char)p[i] > ' ' && !strchr("/?#\"'\\`", p[i]))
		i++;
	return i;
}

char *attest_redact(const char *text, size_t n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t i = 0;

	while (i < n) {
		const char *at = NULL;

		buf_addc(&b, text[i++]);
		if (i < 3 || memcmp(text + i - 3, "://", 3) != 0)
			continue;
		for (size_t k = authority_length(text + i, n - i); k-- > 0 && !at;)
			if (text[i + k] == '@')
				at = text + i + k;
		if (!at)
			continue;
		buf_adds(&b, "xxxxx:xxxxx");
		i = (size_t)(at - text);
	}
	buf_addc(&b, '\0');
	return buf_take(&b);
}
