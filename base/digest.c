#include "base/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

/* Fetched once: an implicit fetch per digest costs more than hashing a short string. */
static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256)
		abort();
}

static void check(int ok)
{
	if (ok != 1)
		abort();
}

void hasher_init(struct hasher *h)
{
	pthread_once(&sha256_once, fetch_sha256);
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx)
		abort();
	check(EVP_DigestInit_ex2(h->ctx, sha256, NULL));
}

void hasher_add(struct hasher *h, const void *p, size_t n)
{
	check(EVP_DigestUpdate(h->ctx, p, n));
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
	unsigned n = DIGEST_SIZE;

	check(EVP_DigestFinal_ex(h->ctx, ret->b, &n));
	hasher_release(h);
}

void hasher_release(struct hasher *h)
{
	EVP_MD_CTX_free(h->ctx);
	h->ctx = NULL;
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

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
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
