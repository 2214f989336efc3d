/* SPDX-License-Identifier: Apache-2.0 */
/* The first value of some msgpack as msgpack-c's parser sees it, in any of its forms; of lists and
 * maps the head alone. For base/mp.c, which accepts one form only. Allocates nothing.
 */
#ifndef KILN_BASE_MP_PARSE_H
#define KILN_BASE_MP_PARSE_H

#include "base/mp.h"

struct mp_value {
	enum mp_type type; /* of a number: MP_INT if it is negative, else MP_UINT */
	uint64_t u;	   /* number, length or count; 0 or 1 of MP_BOOL */
	int64_t i;	   /* MP_INT */
};

enum mp_parsed {
	MP_PARSED,
	MP_PARSED_SHORT, /* more bytes are needed */
	MP_PARSED_OTHER, /* no value, or one of a type that mp.h does not have */
};

enum mp_parsed mp_parse(const void *p, size_t n, struct mp_value *ret);

#endif
