/* SPDX-License-Identifier: Apache-2.0 */
/* An open-addressing hash table from byte strings to pointers.
 *
 * Keys are copied. The hash (xxh3) is seeded per process, since keys come from Dockerfiles and
 * registries. Iteration order is unspecified and must never reach a digest, a log or a test.
 *
 *	struct map m = MAP_INIT;
 *	void **slot = map_put(&m, key, strlen(key));    (*slot is NULL if the key is new)
 *	void *value = map_get(&m, key, strlen(key));    (NULL if absent)
 */
#ifndef KILN_BASE_MAP_H
#define KILN_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_entry {
	char *key; /* NULL: free slot */
	size_t n;
	uint64_t hash;
	void *value;
};

struct map {
	struct map_entry *entries;
	size_t n, cap;
};

#define MAP_INIT  \
	{         \
		0 \
	}

void map_release(struct map *m, void (*free_value)(void *)); /* free_value may be NULL */
void *map_get(const struct map *m, const void *key, size_t n);
void *map_gets(const struct map *m, const char *key);
void **map_put(struct map *m, const void *key, size_t n);
void **map_puts(struct map *m, const char *key);
/* Visits every entry: start with *i = 0; returns NULL at the end. */
struct map_entry *map_next(const struct map *m, size_t *i);

#endif
