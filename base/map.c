/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "base/alloc.h"

static uint64_t seed(void)
{
	static _Atomic uint64_t value;
	uint64_t s = value;

	if (s == 0) {
		if (getrandom(&s, sizeof(s), GRND_NONBLOCK) != (ssize_t)sizeof(s))
			s = (uint64_t)(uintptr_t)&value;
		s |= 1;
		uint64_t expected = 0;
		if (!atomic_compare_exchange_strong(&value, &expected, s))
			s = expected;
	}
	return s;
}

static struct map_entry *find(const struct map *m, const void *key, size_t n, uint64_t hash)
{
	size_t mask = m->cap - 1;

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		struct map_entry *e = &m->entries[i];

		if (!e->key || (e->hash == hash && e->n == n && memcmp(e->key, key, n) == 0))
			return e;
	}
}

static void grow(struct map *m)
{
	struct map old = *m;

	m->cap = old.cap ? old.cap * 2 : 16;
	m->entries = xcalloc(m->cap, sizeof(*m->entries));
	for (size_t i = 0; i < old.cap; i++)
		if (old.entries[i].key)
			*find(m, old.entries[i].key, old.entries[i].n, old.entries[i].hash) =
				old.entries[i];
	free(old.entries);
}

void map_release(struct map *m, void (*free_value)(void *))
{
	for (size_t i = 0; i < m->cap; i++) {
		if (!m->entries[i].key)
			continue;
		free(m->entries[i].key);
		if (free_value)
			free_value(m->entries[i].value);
	}
	free(m->entries);
	*m = (struct map)MAP_INIT;
}

void *map_get(const struct map *m, const void *key, size_t n)
{
	struct map_entry *e;

	if (m->n == 0)
		return NULL;
	e = find(m, key, n, XXH3_64bits_withSeed(key, n, seed()));
	return e->key ? e->value : NULL;
}

void *map_gets(const struct map *m, const char *key)
{
	return map_get(m, key, strlen(key));
}

void **map_put(struct map *m, const void *key, size_t n)
{
	uint64_t hash = XXH3_64bits_withSeed(key, n, seed());
	struct map_entry *e;

	if ((m->n + 1) * 4 > m->cap * 3)
		grow(m);
	e = find(m, key, n, hash);
	if (!e->key) {
		*e = (struct map_entry){.key = xstrndup(key, n), .n = n, .hash = hash};
		m->n++;
	}
	return &e->value;
}

void **map_puts(struct map *m, const char *key)
{
	return map_put(m, key, strlen(key));
}

struct map_entry *map_next(const struct map *m, size_t *i)
{
	while (*i < m->cap) {
		struct map_entry *e = &m->entries[(*i)++];

		if (e->key)
			return e;
	}
	return NULL;
}
