/* SPDX-License-Identifier: Apache-2.0 */
/* Text in double quotes as Go's %q writes it, which is how BuildKit shows commands and arguments in
 * its messages: one line, whatever the text holds. */
#ifndef KILN_BASE_QUOTE_H
#define KILN_BASE_QUOTE_H

#include "base/buf.h"

/* Appends it with the quotes. What is not UTF-8 becomes \xNN, what does not print \n, \x7f, \u200b.
 * Code points without a meaning yet are kept: which they are changes with every Unicode. */
void quote_add(struct buf *b, const char *s, size_t n);

#endif
