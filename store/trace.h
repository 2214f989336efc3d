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

/* `op` is the key form of the record's op, `kind` its kind, `place` where the step stands ("" if
 * nowhere). A record that is gone already is no error. */
int trace_put(struct store *s, int64_t record, const struct digest *op, int kind, const char *place,
	      const void *data, size_t n, struct error **err);
/* Does any record of this op have a trace? */
int trace_has_op(struct store *s, const struct digest *op, bool *ret, struct error **err);
/* The newest traces of steps at `place`, or (place NULL) of all steps of a kind (0: any), newest
 * first, at most `max`. The caller releases each and frees the array. */
int trace_list(struct store *s, const char *place, int kind, size_t max, struct trace **ret,
	       size_t *ret_n, struct error **err);

#endif
