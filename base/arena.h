/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is freed at once: AST and graph nodes of one parse or one build. Not thread safe. */
#ifndef KILN_BASE_ARENA_H
#define KILN_BASE_ARENA_H

#include "base/alloc.h"

struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t used, cap; /* of the newest block */
	size_t total;	  /* of all */
};
#define ARENA_INIT \
	{          \
		0  \
	}

void *arena_alloc(struct arena *a, size_t n); /* zeroed, aligned for any type */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_strdup(struct arena *a, const char *s); /* NULL gives NULL */
char *arena_printf(struct arena *a, const char *fmt, ...) _printf_(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) _printf_(2, 0);
void arena_release(struct arena *a);

#define ARENA_NEW(a, T) ((T *)arena_alloc((a), sizeof(T)))

#endif
