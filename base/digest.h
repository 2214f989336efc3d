/* SPDX-License-Identifier: Apache-2.0 */
/* sha256 digests: keys and names of everything that is shared between parties.
 * Text form: "sha256:" and 64 lower-case hex digits. */
#ifndef KILN_BASE_DIGEST_H
#define KILN_BASE_DIGEST_H

#include <openssl/sha.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

#define DIGEST_SIZE 32
#define DIGEST_HEX 64				     /* without NUL */
#define DIGEST_TEXT (sizeof("sha256:") + DIGEST_HEX) /* with NUL */

struct digest {
	uint8_t b[DIGEST_SIZE];
};

struct digest digest_of(const void *p, size_t n);
bool digest_equal(const struct digest *a, const struct digest *b);
int digest_compare(const void *a, const void *b); /* of two struct digest, for qsort and bsearch */
bool digest_is_zero(const struct digest *d);
/* Writes "sha256:<hex>" and returns `out`. */
char *digest_format(const struct digest *d, char out[DIGEST_TEXT]);
char *digest_hex(const struct digest *d, char out[DIGEST_HEX + 1]);
/* 0, or -EINVAL if text is not a sha256 digest in canonical form. */
int digest_parse(const char *text, struct digest *ret) _must_check_;
int digest_parse_hex(const char *hex, size_t n, struct digest *ret) _must_check_;

/* A running sha256. hasher_final may be called once; hasher_init again makes it reusable. */
struct hasher {
	SHA256_CTX state;
};
void hasher_init(struct hasher *h);
void hasher_add(struct hasher *h, const void *p, size_t n);
/* A length-prefixed string, so that two lists of fields never look alike. NULL differs from "". */
void hasher_add_string(struct hasher *h, const char *s);
void hasher_add_u64(struct hasher *h, uint64_t v); /* little endian */
void hasher_final(struct hasher *h, struct digest *ret);
void hasher_release(struct hasher *h); /* wipes it: what was hashed may be secret */

#define _cleanup_hasher_ _cleanup_(hasher_release)

#endif
