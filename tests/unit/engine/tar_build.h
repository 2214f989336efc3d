/* SPDX-License-Identifier: Apache-2.0 */
/* Tars for tests, byte by byte, so that they can be wrong. */
#ifndef KILN_TESTS_TAR_BUILD_H
#define KILN_TESTS_TAR_BUILD_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

struct tar_item {
	const char *name;
	char type; /* '0' file, '1' hard link, '2' symlink, '3' char, '5' dir, '6' fifo, 'x' PAX */
	const char *link, *data;
	size_t size; /* of data; 0: strlen */
	unsigned mode, uid, major, minor;
	uint64_t mtime;
};

static inline void tar_pad(struct buf *b)
{
	while (b->n % 512)
		buf_addc(b, '\0');
}

static inline void tar_item_add(struct buf *b, const struct tar_item *t)
{
	char h[512] = {0};
	size_t size = t->data ? (t->size ? t->size : strlen(t->data)) : 0;
	unsigned sum = 0;

	snprintf(h, 100, "%s", t->name);
	snprintf(h + 100, 8, "%07o", (t->mode ? t->mode : 0644) & 07777777u);
	snprintf(h + 108, 8, "%07o", t->uid);
	snprintf(h + 116, 8, "%07o", t->uid);
	snprintf(h + 124, 12, "%011llo", (unsigned long long)size & 077777777777u);
	snprintf(h + 136, 12, "%011llo",
		 (unsigned long long)(t->mtime ? t->mtime : 1000000000) & 077777777777u);
	h[156] = t->type;
	snprintf(h + 157, 100, "%s", t->link ? t->link : "");
	memcpy(h + 257, "ustar\00000", 8);
	snprintf(h + 329, 8, "%07o", t->major);
	snprintf(h + 337, 8, "%07o", t->minor);
	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum & 0777777u);
	buf_add(b, h, 512);
	if (size > 0)
		buf_add(b, t->data, size);
	tar_pad(b);
}

/* A PAX header with one record, before the item it is about. */
static inline void tar_pax(struct buf *b, const char *key, const void *value, size_t n)
{
	_cleanup_buf_ struct buf rec = BUF_INIT;
	size_t len = strlen(key) + n + 3, digits = len + 1 >= 10 ? (len + 2 >= 100 ? 3 : 2) : 1;

	buf_addf(&rec, "%zu %s=", len + digits, key);
	buf_add(&rec, value, n);
	buf_addc(&rec, '\n');
	tar_item_add(b,
		     &(struct tar_item){.name = "pax", .type = 'x', .data = rec.p, .size = rec.n});
}

static inline void tar_end(struct buf *b)
{
	for (int i = 0; i < 1024; i++)
		buf_addc(b, '\0');
}

#define TAR_ADD(b, ...) tar_item_add(b, &(struct tar_item){__VA_ARGS__})

#endif
