/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rpc/rpc.h"

#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/times.h"

void rpc_call_ref(struct rpc_call *c)
{
	c->refs++;
}

void rpc_call_unref(struct rpc_call *c)
{
	if (--c->refs > 0)
		return;
	for (size_t i = 0; i < c->headers.n; i++) {
		free(c->headers.v[i].name);
		free(c->headers.v[i].value);
	}
	vec_release(&c->headers);
	for (size_t i = 0; i < c->answer.n; i++) {
		free(c->answer.v[i].name);
		free(c->answer.v[i].value);
	}
	vec_release(&c->answer);
	buf_release(&c->in);
	buf_release(&c->out);
	free(c->path);
	free(c->message);
	free(c->details);
	pthread_cond_destroy(&c->changed);
	free(c);
}

const char *rpc_call_header(const struct rpc_call *c, const char *name)
{
	for (size_t i = 0; i < c->headers.n; i++)
		if (strcmp(c->headers.v[i].name, name) == 0)
			return c->headers.v[i].value;
	return NULL;
}

char *rpc_percent_encode(const char *text)
{
	struct buf b = BUF_INIT;

	for (const char *p = text; *p; p++) {
		if (*p >= ' ' && *p <= '~' && *p != '%')
			buf_addc(&b, *p);
		else
			buf_addf(&b, "%%%02X", (unsigned)(unsigned char)*p);
	}
	return buf_take(&b);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char *rpc_percent_decode(const char *text)
{
	struct buf b = BUF_INIT;

	for (const char *p = text; *p; p++) {
		int high = *p == '%' ? hex_digit(p[1]) : -1;
		int low = high >= 0 ? hex_digit(p[2]) : -1;

		if (low < 0 || high + low == 0) {
			buf_addc(&b, *p);
			continue;
		}
		buf_addc(&b, (char)(high << 4 | low));
		p += 2;
	}
	return buf_take(&b);
}

int64_t rpc_parse_timeout(const char *text)
{
	static const struct {
		char unit;
		int64_t ns;
	} units[] = {{'H', 3600 * NS_PER_S}, {'M', 60 * NS_PER_S}, {'S', NS_PER_S},
		     {'m', 1000000},	     {'u', 1000},	   {'n', 1}};
	uint64_t n = 0;

	/* The protocol allows eight digits: no product overflows. */
	if (number_take(&text, 10, 99999999, &n) < 0 || !*text || text[1])
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (units[i].unit == *text)
			return units[i].ns > 60 * NS_PER_S && n > 2000000
				       ? INT64_MAX / 2
				       : (int64_t)n * units[i].ns;
	return -1;
}
