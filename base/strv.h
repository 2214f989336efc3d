/* SPDX-License-Identifier: Apache-2.0 */
/* A growing list of owned strings; `v` is NULL-terminated once anything was pushed, as exec wants.
 * Valid from {0}. strv_argv never returns NULL. */
#ifndef KILN_BASE_STRV_H
#define KILN_BASE_STRV_H

#include <stdbool.h>

#include "base/alloc.h"

struct strv {
	char **v;
	size_t n, cap;
};

void strv_release(struct strv *s);
void strv_push(struct strv *s, const char *str); /* copies */
void strv_pushn(struct strv *s, const char *str, size_t n);
void strv_pushf(struct strv *s, const char *fmt, ...) _printf_(2, 3);
void strv_push_take(struct strv *s, char *str);		  /* takes ownership */
void strv_copy(struct strv *to, const struct strv *from); /* `to` is released first */
bool strv_contains(const struct strv *s, const char *str);
void strv_sort(struct strv *s);					     /* bytewise */
char *strv_join(const struct strv *s, const char *sep) _must_check_; /* heap */
char *const *strv_argv(const struct strv *s);

/* "KEY=value" lists, as environments: replaces KEY in place or appends; order is kept. */
void env_set(struct strv *env, const char *key, const char *value);
const char *env_get(const struct strv *env, const char *key); /* borrowed; NULL if absent */

#define _cleanup_strv_ _cleanup_(strv_release)

#endif
