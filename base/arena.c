/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A block is as large as all before it together, within these bounds. */
enum { BLOCK_MIN = 16 * 1024, BLOCK_MAX = 128 * 1024 };

struct arena_block {
	struct arena_block *next;
	alignas(max_align_t) char data[];
};

static void add_block(struct arena *a, size_t n)
{
	size_t cap = a->total < BLOCK_MIN ? BLOCK_MIN : a->total > BLOCK_MAX ? BLOCK_MAX : a->total;
	struct arena_block *block;

	if (cap < n)
		cap = n;
	block = xcalloc(1, sizeof(*block) + cap);
	block->next = a->blocks;
	a->blocks = block;
	a->used = 0;
	a->cap = cap;
	a->total += cap;
}

static char *take(struct arena *a, size_t n, size_t align)
{
	char *p;

	a->used = (a->used + align - 1) & ~(align - 1);
	if (!a->blocks || a->used + n > a->cap) {
		add_block(a, n);
	}
	p = a->blocks->data + a->used;
	a->used += n;
	return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
	return take(a, n, alignof(max_align_t));
}

/* A path is not much longer than the padding behind it would be. */
char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = take(a, n + 1, 1);

	if (n > 0)
		memcpy(p, s, n);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

/* Most texts fit behind what is in the block and are written there at once. */
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	size_t room = a->cap - a->used;
	va_list again;
	char *p;
	int n;

	va_copy(again, ap);
	n = vsnprintf(a->blocks ? a->blocks->data + a->used : NULL, room, fmt, ap);
	if (n < 0)
		abort(); /* the format is broken */
	p = take(a, (size_t)n + 1, 1);
	if ((size_t)n >= room)
		(void)vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return p;
}

void arena_release(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
	*a = (struct arena)ARENA_INIT;
}
