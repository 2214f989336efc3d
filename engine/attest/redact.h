/* SPDX-License-Identifier: Apache-2.0 */
/* What must not leave in a document that others read. */
#ifndef KILN_ENGINE_ATTEST_REDACT_H
#define KILN_ENGINE_ATTEST_REDACT_H

#include <stddef.h>

/* The text with "xxxxx:xxxxx" for user and password of every URL in it. Heap. */
char *attest_redact(const char *text, size_t n);

#endif
