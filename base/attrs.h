/* SPDX-License-Identifier: Apache-2.0 */
/* The attributes (KEY=VALUE) that --output, --cache-from and --cache-to take, and the values that
 * several of them have; base/csv.h splits them. All failures are ERR_INVALID. */
#ifndef KILN_BASE_ATTRS_H
#define KILN_BASE_ATTRS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/vec.h"

struct attr {
	char *key, *value; /* owned */
};
/* In the order in which they were given; a key may repeat. */
typedef VEC(struct attr) attr_list;
void attrs_add(attr_list *attrs, const char *key, const char *value);
/* The last value of an attribute; NULL if it was not given. Borrowed. */
const char *attrs_get(const attr_list *attrs, const char *key);
void attrs_release(attr_list *attrs);

/* As Go's strconv.ParseBool; a missing value means true. */
int attrs_bool(const char *key, const char *value, bool *ret, struct error **err) _must_check_;
int attrs_number(const char *key, const char *value, int64_t max, int64_t *ret,
		 struct error **err) _must_check_;

#endif
