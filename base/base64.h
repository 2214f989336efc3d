/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 with padding and the usual alphabet (RFC 4648, section 4). */
#ifndef KILN_BASE_BASE64_H
#define KILN_BASE_BASE64_H

#include "base/buf.h"

/* Heap. n is at most 1 GiB, else it aborts. */
char *base64_encode(const void *p, size_t n);
/* Appends what the text stands for to *ret; line ends in it are skipped. -EINVAL if it is not
 * base64, -EMSGSIZE if it is longer than 1 GiB or than *ret takes. */
_must_check_ int base64_decode(const char *text, struct buf *ret);

#endif
