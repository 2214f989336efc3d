#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK = 16 * 1024 };

struct arena_block {
	struct arena_block *next;
	alignas(max_align_t) char data[];
};

static char *take(struct arena *a, size_t n, size_t align)
{
	char *p;

	a->used = (a->used + align - 1) & ~(align - 1);
	if (!a->blocks || a->used + n > a->cap) {
		size_t cap = n > ARENA_BLOCK ? n : ARENA_BLOCK;
		struct arena_block *block = xcalloc(1, sizeof(*block) + cap);

		block->next = a->blocks;
		a->blocks = block;
		a->used = 0;
		a->cap = cap;
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

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *heap, *p;

	va_start(ap, fmt);
	heap = xvasprintf(fmt, ap);
	va_end(ap);
	p = arena_strdup(a, heap);
	free(heap);
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
