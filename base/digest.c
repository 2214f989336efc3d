/* SPDX-License-Identifier: Apache-2.0 */
/* The plain functions, deprecated as they are: the first use of the EVP interface reads openssl.cnf
 * and sets up tables of every algorithm, a third of what a build takes that finds everything
 * cached; each use of it allocates. Both run the same code over the bytes. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

void hasher_init(struct hasher *h)
{
	SHA256_Init(&h->state);
}

void hasher_add(struct hasher *h, const void *p, size_t n)
{
	SHA256_Update(&h->state, p, n);
}

void hasher_add_u64(struct hasher *h, uint64_t v)
{
	uint8_t b[8];

	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	hasher_add(h, b, sizeof(b));
}

void hasher_add_string(struct hasher *h, const char *s)
{
	size_t n = s ? strlen(s) : 0;

	hasher_add_u64(h, s ? (uint64_t)n + 1 : 0);
	if (n > 0)
		hasher_add(h, s, n);
}

void hasher_final(struct hasher *h, struct digest *ret)
{
	SHA256_Final(ret->b, &h->state);
}

void hasher_release(struct hasher *h)
{
	OPENSSL_cleanse(&h->state, sizeof(h->state));
}

struct digest digest_of(const void *p, size_t n)
{
	struct hasher h;
	struct digest d;

	hasher_init(&h);
	hasher_add(&h, p, n);
	hasher_final(&h, &d);
	return d;
}

int digest_compare(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_SIZE);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_SIZE) == 0;
}

bool digest_is_zero(const struct digest *d)
{
	static const struct digest zero;

	return digest_equal(d, &zero);
}

char *digest_hex(const struct digest *d, char out[DIGEST_HEX + 1])
{
	static const char hex[] = "0123456789abcdef";

	for (int i = 0; i < DIGEST_SIZE; i++) {
		out[2 * i] = hex[d->b[i] >> 4];
		out[2 * i + 1] = hex[d->b[i] & 15];
	}
	out[DIGEST_HEX] = '\0';
	return out;
}

char *digest_format(const struct digest *d, char out[DIGEST_TEXT])
{
	memcpy(out, "sha256:", 7);
	digest_hex(d, out + 7);
	return out;
}

/* By table: the digits of a digest are of no pattern that a branch could be foreseen by. */
static int hex_value(char c)
{
	static const signed char plus_one[256] = {
		['0'] = 1,  ['1'] = 2,	['2'] = 3,  ['3'] = 4,	['4'] = 5,  ['5'] = 6,
		['6'] = 7,  ['7'] = 8,	['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
		['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
	};

	return plus_one[(unsigned char)c] - 1;
}

int digest_parse_hex(const char *hex, size_t n, struct digest *ret)
{
	struct digest d;

	if (n != DIGEST_HEX)
		return -EINVAL;
	for (int i = 0; i < DIGEST_SIZE; i++) {
		int hi = hex_value(hex[2 * i]), lo = hex_value(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		d.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*ret = d;
	return 0;
}

int digest_parse(const char *text, struct digest *ret)
{
	if (strncmp(text, "sha256:", 7) != 0)
		return -EINVAL;
	return digest_parse_hex(text + 7, strlen(text + 7), ret);
}
