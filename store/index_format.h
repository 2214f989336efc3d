/* SPDX-License-Identifier: Apache-2.0 */
/* Byte layout of an index file; docs/formats-store.md has the table. Private to index*.c and to
 * tests that damage indexes on purpose. All integers are little endian. */
#ifndef KILN_STORE_INDEX_FORMAT_H
#define KILN_STORE_INDEX_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define INDEX_MAGIC "kilnidx\n"

enum {
	INDEX_VERSION = 1,

	INDEX_HEADER = 96,
	INDEX_H_MAGIC = 0,
	INDEX_H_VERSION = 8,
	INDEX_H_ENTRY_SIZE = 12,
	INDEX_H_COUNT = 16,
	INDEX_H_HEAP_SIZE = 24,
	INDEX_H_FILE_SIZE = 32, /* sum of file sizes */
	INDEX_H_TREE = 40,	/* tree digest, 32 bytes */
	INDEX_H_BODY_SUM = 72,	/* xxh3 of all that follows the header */
	INDEX_H_RESERVED = 80,
	INDEX_H_SUM = 88, /* xxh3 of the header up to here */

	INDEX_ENTRY = 88,
	INDEX_E_PATH = 0, /* offset in the heap */
	INDEX_E_LINK = 4, /* offset in the heap; 0: none */
	INDEX_E_TYPE = 8,
	INDEX_E_FLAGS = 9,
	INDEX_E_CAP_SIZE = 10,
	INDEX_E_RESERVED = 11,
	INDEX_E_MODE = 12,
	INDEX_E_UID = 16,
	INDEX_E_GID = 20,
	INDEX_E_MAJOR = 24,
	INDEX_E_MINOR = 28,
	INDEX_E_SIZE = 32,
	INDEX_E_MTIME = 40,
	INDEX_E_CONTENT = 48,
	INDEX_E_CAP = 80,   /* offset of the capability in the heap */
	INDEX_E_AFTER = 84, /* number of the first entry after this one's subtree */

	INDEX_FLAG_OPAQUE = 1,
};

static inline uint32_t index_get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t index_get64(const uint8_t *p)
{
	return (uint64_t)index_get32(p) | (uint64_t)index_get32(p + 4) << 32;
}

static inline void index_put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline void index_put64(uint8_t *p, uint64_t v)
{
	index_put32(p, (uint32_t)v);
	index_put32(p + 4, (uint32_t)(v >> 32));
}

#endif
