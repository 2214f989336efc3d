/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strv.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

void strv_release(struct strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct strv){0};
}

void strv_push_take(struct strv *s, char *str)
{
	if (s->n + 2 > s->cap) {
		s->cap = s->cap ? s->cap * 2 : 8;
		s->v = xreallocarray(s->v, s->cap, sizeof(*s->v));
	}
	s->v[s->n++] = str;
	s->v[s->n] = NULL;
}

void strv_push(struct strv *s, const char *str)
{
	strv_push_take(s, xstrdup(str));
}

void strv_pushn(struct strv *s, const char *str, size_t n)
{
	strv_push_take(s, xstrndup(str, n));
}

void strv_pushf(struct strv *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_push_take(s, xvasprintf(fmt, ap));
	va_end(ap);
}

void strv_copy(struct strv *to, const struct strv *from)
{
	strv_release(to);
	for (size_t i = 0; i < from->n; i++)
		strv_push(to, from->v[i]);
}

bool strv_contains(const struct strv *s, const char *str)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i], str) == 0)
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *s)
{
	if (s->n > 1)
		qsort(s->v, s->n, sizeof(*s->v), compare);
}

char *strv_join(const struct strv *s, const char *sep)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < s->n; i++) {
		if (i > 0)
			buf_adds(&b, sep);
		buf_adds(&b, s->v[i]);
	}
	return buf_take(&b);
}

char *const *strv_argv(const struct strv *s)
{
	static char *const empty[] = {NULL};

	return s->v ? s->v : empty;
}

static char **env_slot(const struct strv *env, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], key, n) == 0 && env->v[i][n] == '=')
			return &env->v[i];
	return NULL;
}

void env_set(struct strv *env, const char *key, const char *value)
{
	char **slot = env_slot(env, key);
	char *pair = xasprintf("%s=%s", key, value);

	if (slot) {
		free(*slot);
		*slot = pair;
	} else {
		strv_push_take(env, pair);
	}
}

const char *env_get(const struct strv *env, const char *key)
{
	char **slot = env_slot(env, key);

	return slot ? *slot + strlen(key) + 1 : NULL;
}
