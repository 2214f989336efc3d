/* SPDX-License-Identifier: Apache-2.0 */
/* A growing array of any type.
 *
 *	VEC(struct digest) digests = {0};
 *	vec_push(&digests, d);
 *	for (size_t i = 0; i < digests.n; i++) use(&digests.v[i]);
 *	vec_release(&digests);
 *
 * Elements are moved by realloc: keep no pointer into the array over a push.
 */
#ifndef KILN_BASE_VEC_H
#define KILN_BASE_VEC_H

#include <stdlib.h>

#include "base/alloc.h"

#define VEC(T)                 \
	struct {               \
		T *v;          \
		size_t n, cap; \
	}

#define vec_reserve(vec, extra)                                                                \
	do {                                                                                   \
		if ((vec)->n + (extra) > (vec)->cap) {                                         \
			(vec)->cap = (vec)->cap * 2 > (vec)->n + (extra) ? (vec)->cap * 2      \
									 : (vec)->n + (extra); \
			(vec)->v = xreallocarray((vec)->v, (vec)->cap, sizeof(*(vec)->v));     \
		}                                                                              \
	} while (0)
#define vec_push(vec, ...)                                      \
	do {                                                    \
		vec_reserve(vec, (size_t)((vec)->cap ? 1 : 4)); \
		(vec)->v[(vec)->n++] = (__VA_ARGS__);           \
	} while (0)
#define vec_pop(vec) ((vec)->v[--(vec)->n])
#define vec_last(vec) ((vec)->v[(vec)->n - 1])
#define vec_release(vec)                   \
	do {                               \
		free((vec)->v);            \
		(vec)->v = NULL;           \
		(vec)->n = (vec)->cap = 0; \
	} while (0)

#endif
