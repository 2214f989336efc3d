/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char buf_slop[1];

void buf_release(struct buf *b)
{
	if (b->p != buf_slop)
		free(b->p);
	*b = (struct buf){.p = buf_slop, .max = b->max};
}

void buf_clear(struct buf *b)
{
	buf_truncate(b, 0);
	b->full = false;
}

void buf_truncate(struct buf *b, size_t n)
{
	if (n >= b->n)
		return;
	b->n = n;
	b->p[n] = '\0';
}

char *buf_reserve(struct buf *b, size_t n)
{
	size_t need;

	if (__builtin_add_overflow(b->n, n, &need) || need == SIZE_MAX ||
	    (b->max && need > b->max)) {
		b->full = true;
		return NULL;
	}
	if (need + 1 > b->cap) {
		size_t cap = b->cap + b->cap / 2;

		if (cap < need + 1)
			cap = need + 1;
		if (cap < 64)
			cap = 64;
		b->p = xrealloc(b->p == buf_slop ? NULL : b->p, cap);
		b->cap = cap;
		b->p[b->n] = '\0';
	}
	return b->p + b->n;
}

void buf_commit(struct buf *b, size_t n)
{
	b->n += n;
	b->p[b->n] = '\0';
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	char *to;

	if (n == 0)
		return;
	/* Most pieces are a few bytes long and fit. */
	to = n < b->cap - b->n && !b->max ? b->p + b->n : buf_reserve(b, n);
	if (!to)
		return;
	memcpy(to, p, n);
	buf_commit(b, n);
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	char small[256];
	char *to;
	int n;

	va_copy(again, ap);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	if (n >= 0 && (size_t)n < sizeof(small)) {
		buf_add(b, small, (size_t)n);
	} else if (n >= 0) {
		to = buf_reserve(b, (size_t)n);
		if (to) {
			(void)vsnprintf(to, (size_t)n + 1, fmt, again);
			buf_commit(b, (size_t)n);
		}
	}
	va_end(again);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
}

char *buf_take(struct buf *b)
{
	char *p = b->p == buf_slop ? xstrdup("") : b->p;

	*b = (struct buf){.p = buf_slop, .max = b->max};
	return p;
}
