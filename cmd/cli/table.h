/* SPDX-License-Identifier: Apache-2.0 */
/* Columns as docker prints them: at least 10 wide, 3 blanks between, none after the last. */
#ifndef KILN_CMD_CLI_TABLE_H
#define KILN_CMD_CLI_TABLE_H

#include <stdio.h>

#include "base/strv.h"

struct table {
	struct strv cells;
	size_t columns;
};

void table_cell(struct table *t, const char *text);
void table_take(struct table *t, char *text); /* owned by the table from now on */
void table_print(const struct table *t, FILE *out);
void table_release(struct table *t);

#endif
