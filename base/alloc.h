/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and clean-up helpers that every file uses.
 *
 * Small allocations abort when memory runs out (xmalloc family): nothing sensible can be done then.
 * A size that comes from input is checked against a named limit before it reaches these.
 * Moves are spelled TAKE_PTR(p) and TAKE_FD(fd), so that a reader sees ownership leave.
 */
#ifndef KILN_BASE_ALLOC_H
#define KILN_BASE_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _must_check_ __attribute__((warn_unused_result))

#define TAKE_PTR(p)                         \
	__extension__({                     \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})
#define TAKE_FD(fd)                \
	__extension__({            \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

void *xmalloc(size_t n) _must_check_;
void *xcalloc(size_t n, size_t size) _must_check_;
void *xrealloc(void *p, size_t n) _must_check_;
/* Grows an array of `n` elements of `size` bytes; aborts on overflow too. */
void *xreallocarray(void *p, size_t n, size_t size) _must_check_;
char *xstrdup(const char *s) _must_check_; /* NULL gives NULL */
char *xstrndup(const char *s, size_t n) _must_check_;
char *xasprintf(const char *fmt, ...) _printf_(1, 2) _must_check_;
char *xvasprintf(const char *fmt, va_list ap) _printf_(1, 0) _must_check_;

/* Zeroed memory for one T. */
#define NEW(T) ((T *)xcalloc(1, sizeof(T)))

void cleanup_freep(void *p);  /* p points at a pointer */
void cleanup_closep(int *fd); /* keeps errno; ignores -1; sets -1 */
#define _cleanup_free_ _cleanup_(cleanup_freep)
#define _cleanup_close_ _cleanup_(cleanup_closep)

/* Defines type_freep for use with _cleanup_, from `void type_free(struct type *)`. */
#define DEFINE_FREEP(type, fn)             \
	static inline void fn##p(type **p) \
	{                                  \
		fn(*p);                    \
	}

#endif
