/* Values of the attributes that --output, --cache-from and --cache-to take (base/csv.h splits
 * those). All failures are ERR_INVALID. */
#ifndef KILN_BASE_ATTRS_H
#define KILN_BASE_ATTRS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* As Go's strconv.ParseBool; no value is true. */
int attrs_bool(const char *key, const char *value, bool *ret, struct error **err);
int attrs_number(const char *key, const char *value, int64_t max, int64_t *ret, struct error **err);

#endif
