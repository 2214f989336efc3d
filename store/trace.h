/* SPDX-License-Identifier: Apache-2.0 */
/* Traces: what the key of a cache record was made of, kept beside the record to tell later why
 * another step was not found (docs/cache.md). Opaque bytes here; a trace goes with its record. */
#ifndef KILN_STORE_TRACE_H
#define KILN_STORE_TRACE_H

#include "base/buf.h"
#include "base/digest.h"
#include "store/store.h"

struct trace {
	int64_t record;
	int64_t created; /* the record's, ns since the epoch */
	struct buf data;
};
void trace_release(struct trace *t);

/* What record_add keeps with a record; borrowed. */
struct trace_entry {
	struct digest op;  /* the key form of the record's op */
	int kind;	   /* of the op */
	const char *place; /* where the step stands; "" if nowhere */
	const void *data;
	size_t n;
};
/* Does any record of this op have a trace? */
int trace_has_op(struct store *s, const struct digest *op, bool *ret,
		 struct error **err) _must_check_;
/* The newest traces of steps at `place`, or (place NULL) of all steps of a kind (0: any), newest
 * first, at most `max`. The caller releases each and frees the array. */
int trace_list(struct store *s, const char *place, int kind, size_t max, struct trace **ret,
	       size_t *ret_n, struct error **err) _must_check_;

#endif
