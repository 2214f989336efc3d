/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rpc/rpc_bytes.h"

#include <errno.h>
#include <stdbool.h>

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static bool take_varint(const unsigned char **p, const unsigned char *end, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
		unsigned char c = *(*p)++;

		*ret |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return true;
	}
	return false;
}

void rpc_bytes_pack(const void *p, size_t n, struct buf *ret)
{
	size_t left = n;

	buf_addc(ret, 1 << 3 | BYTES);
	for (; left >= 0x80; left >>= 7)
		buf_addc(ret, (char)(unsigned char)(left | 0x80));
	buf_addc(ret, (char)left);
	buf_add(ret, p, n);
}

int rpc_bytes_unpack(const void *data, size_t n, struct buf *ret)
{
	const unsigned char *p = data, *end = p + n;
	uint64_t key, size;

	while (p < end) {
		if (!take_varint(&p, end, &key))
			return -EINVAL;
		switch (key & 7) {
		case VARINT:
			if (!take_varint(&p, end, &size))
				return -EINVAL;
			continue;
		case FIXED64:
			size = 8;
			break;
		case FIXED32:
			size = 4;
			break;
		case BYTES:
			if (!take_varint(&p, end, &size))
				return -EINVAL;
			break;
		default:
			return -EINVAL;
		}
		if (size > (uint64_t)(end - p))
			return -EINVAL;
		if (key == (1 << 3 | BYTES))
			buf_add(ret, p, (size_t)size);
		p += size;
	}
	return ret->full ? -EINVAL : 0;
}
