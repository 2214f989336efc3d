/* SPDX-License-Identifier: Apache-2.0 */
/* Text from outside as a terminal may be given it: a step, a file or a server wrote it, and nothing
 * in it may reach the terminal's interpreter. */
#ifndef KILN_BASE_PRINTABLE_H
#define KILN_BASE_PRINTABLE_H

#include <stddef.h>

#include "base/buf.h"

/* Appends n bytes without control bytes: a tab stays; others, and what is not UTF-8, become \xNN. */
void printable_add(struct buf *b, const char *p, size_t n);
/* The same for the one character at p, of at most n bytes: returns the bytes that it took, at least 1
 * for n > 0. */
size_t printable_add_char(struct buf *b, const char *p, size_t n);
/* The same for what has to be one line: the ends of lines become blanks. */
void printable_add_line(struct buf *b, const char *p, size_t n);
/* The same for text of several lines, which stay lines. */
void printable_add_lines(struct buf *b, const char *p, size_t n);

#endif
