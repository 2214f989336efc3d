/* Attributes as --output, --cache-from and --cache-to take them: one CSV record of KEY=VALUE
 * fields, and the values that several of them have. All failures are ERR_INVALID. */
#ifndef KILN_ENGINE_ATTRS_H
#define KILN_ENGINE_ATTRS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strv.h"

/* Splits one CSV record: a field may be quoted, and "" in it is a quote. */
int attrs_split(const char *text, struct strv *fields, struct error **err);
/* As Go's strconv.ParseBool; no value is true. */
int attrs_bool(const char *key, const char *value, bool *ret, struct error **err);
int attrs_number(const char *key, const char *value, int64_t max, int64_t *ret, struct error **err);

#endif
