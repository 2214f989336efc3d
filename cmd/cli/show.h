/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people, of which parts were written by strangers: a server, an image, a Dockerfile. What
 * a terminal would obey is shown as \\xNN; newlines and tabs are as they are (printable_add
 * escapes newlines too). What is read by programs, --format and JSON, is printed without. */
#ifndef KILN_CMD_CLI_SHOW_H
#define KILN_CMD_CLI_SHOW_H

#include <stdio.h>

#include "base/alloc.h"

void show(FILE *out, const char *fmt, ...) _printf_(2, 3);
/* n bytes, in which newlines end lines. */
void show_text(FILE *out, const char *p, size_t n);

#endif
