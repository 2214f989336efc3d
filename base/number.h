/* SPDX-License-Identifier: Apache-2.0 */
/* Whole numbers in text. What is read is digits and, for the signed ones, one sign before them:
 * no blanks, no prefix of the base, and nothing is taken for 0 because it is not a number.
 *
 * All return 0, -EINVAL where there is no number (or something behind it, for number_parse*), or
 * -ERANGE where it is one outside of the bounds; *ret is then untouched.
 */
#ifndef KILN_BASE_NUMBER_H
#define KILN_BASE_NUMBER_H

#include <stdint.h>

#include "base/alloc.h"

/* All of a text. The base is 8, 10 or 16, or 0: as C writes numbers, with 0 or 0x in front. */
_must_check_ int number_parse(const char *text, unsigned base, uint64_t max, uint64_t *ret);
_must_check_ int number_parse_signed(const char *text, int64_t min, int64_t max, int64_t *ret);

/* The number that a text starts with; *at moves behind it, even if it is out of bounds. */
_must_check_ int number_take(const char **at, unsigned base, uint64_t max, uint64_t *ret);
_must_check_ int number_take_signed(const char **at, int64_t min, int64_t max, int64_t *ret);

#endif
