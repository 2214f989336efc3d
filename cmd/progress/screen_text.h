/* SPDX-License-Identifier: Apache-2.0 */
/* Text as a terminal shows it: how many columns it takes, and how it is made to fit its row.
 *
 * Widths are the C library's, in its UTF-8 locale: wide characters take two columns, combining ones
 * none. A character that it does not know counts as wide: a row that ends too early does no harm,
 * one that wraps spoils the view. */
#ifndef KILN_CMD_PROGRESS_SCREEN_TEXT_H
#define KILN_CMD_PROGRESS_SCREEN_TEXT_H

#include <stdbool.h>

#include "base/buf.h"

/* Sequences that set a colour or style (SGR) take no column. */
size_t text_columns(const char *s);
/* Appends what fits of s, which is printable; returns the columns that it takes. */
size_t text_add_cut(struct buf *b, const char *s, size_t columns);
/* The same, with "..." in the middle for what does not fit: both ends of a name tell something. */
size_t text_add_shortened(struct buf *b, const char *s, size_t columns);
/* Appends one line of a log, n bytes as a program wrote them: tabs become spaces and control bytes
 * are shown, but sequences that set a colour or style are passed on where `color`, else left out.
 * What does not fit is cut. */
void text_add_log(struct buf *b, const char *p, size_t n, size_t columns, bool color);

#endif
