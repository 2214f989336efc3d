/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* The library counts in int. */
#define SIZE_LIMIT ((size_t)1 << 30)

char *base64_encode(const void *p, size_t n)
{
	char *text;

	if (n > SIZE_LIMIT)
		abort();
	text = xmalloc(4 * ((n + 2) / 3) + 1);
	EVP_EncodeBlock((unsigned char *)text, p, (int)n);
	return text;
}

int base64_decode(const char *text, struct buf *ret)
{
	size_t n = strlen(text);
	/* The decoder writes whole groups of three before it knows of the padding. */
	unsigned char *to =
		n > SIZE_LIMIT ? NULL : (unsigned char *)buf_reserve(ret, n / 4 * 3 + 3);
	EVP_ENCODE_CTX *ctx;
	int got = 0, last = 0, ok;

	if (!to)
		return -EMSGSIZE;
	/* The decoder takes it for the end of a message, and what follows for nothing. */
	if (strchr(text, '-'))
		return -EINVAL;
	ctx = EVP_ENCODE_CTX_new();
	if (!ctx)
		abort();
	EVP_DecodeInit(ctx);
	ok = EVP_DecodeUpdate(ctx, to, &got, (const unsigned char *)text, (int)n);
	if (ok >= 0)
		ok = EVP_DecodeFinal(ctx, to + got, &last);
	EVP_ENCODE_CTX_free(ctx);
	buf_commit(ret, ok < 0 ? 0 : (size_t)(got + last));
	return ok < 0 ? -EINVAL : 0;
}
