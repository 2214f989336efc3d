/* SPDX-License-Identifier: Apache-2.0 */
/* Lists in the values of options and flags. */
#ifndef KILN_BASE_CSV_H
#define KILN_BASE_CSV_H

#include "base/error.h"
#include "base/strv.h"

/* Appends the fields of one CSV record, empty ones too: a field in double quotes may contain
 * commas, and "" in it is a quote. As Go's encoding/csv, which docker reads these options with.
 * ERR_INVALID, and nothing appended, where quotes are not as they should be. */
int csv_split(const char *text, struct strv *fields, struct error **err) _must_check_;
/* Appends the names of a list that knows no quotes: "a,b". Empty ones are left out. */
void csv_names(const char *text, struct strv *names);

#endif
