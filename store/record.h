/* SPDX-License-Identifier: Apache-2.0 */
/* Cache records: which result a cache key stands for. Several keys may point to one record.
 *
 * A record is a list of layer ids (the whole chain, lowest first) and opaque bytes of the engine's.
 * Finding one that names a layer that is gone, or whose checksum is wrong, removes it and is a
 * miss. Holding registers the layers with this process's lease in one transaction that also sees
 * that they are there, so that no gc can take them away.
 */
#ifndef KILN_STORE_RECORD_H
#define KILN_STORE_RECORD_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/vec.h"
#include "store/store.h"

struct trace_entry;

struct record {
	int64_t id;
	int64_t *layers; /* owned */
	size_t n_layers;
	struct buf data;   /* e.g. outputs of an op; may be empty */
	char *description; /* the step's name, for du; owned */
	const char *type;  /* for du (store/du.h); NULL: "regular"; not set by record_find */
	int64_t created;   /* ns since the epoch */
	int64_t duration;  /* ns the step took */
	/* To be kept with it (store/trace.h), borrowed; NULL: none. Not set by record_find. */
	const struct trace_entry *trace;
};
void record_release(struct record *r);

/* A look-up is record_look, which changes nothing and holds nothing, and then, if the result is
 * really used, record_hold; or both at once, record_find. *ret_found = false on a miss. */
int record_look(struct store *s, const struct digest *key, bool *ret_found, struct record *ret,
		struct error **err) _must_check_;
/* Around many look-ups in a row: those of this thread may find what there was at the first of them,
 * which makes them cheaper. Not for long: the store's log cannot be folded back meanwhile. */
void record_view_begin(struct store *s);
void record_view_end(struct store *s);
/* Registers the layers of a record with the lease. *ret_held = false if one is gone or lost. */
int record_hold(struct store *s, const int64_t *layers, size_t n, bool *ret_held,
		struct error **err) _must_check_;
int record_find(struct store *s, const struct digest *key, bool *ret_found, struct record *ret,
		struct error **err) _must_check_;
/* The record of this id, and every key that finds it (heap). Its layers are not checked or held;
 * *ret_found = false also if it is damaged. */
int record_get(struct store *s, int64_t id, bool *ret_found, struct record *ret,
	       struct digest **ret_keys, size_t *ret_n_keys, struct error **err) _must_check_;
/* Stores a record under `keys` (definition and content key); a key that exists is moved to it. The
 * record's id is set. Its layers must be committed. */
int record_add(struct store *s, struct record *r, const struct digest *keys, size_t n_keys,
	       struct error **err) _must_check_;
int record_remove(struct store *s, int64_t id, struct error **err) _must_check_;
/* One batched last-used update at the end of a build. Sorts the ids, each of which counts once. */
int record_touch(struct store *s, int64_t *ids, size_t n, struct error **err) _must_check_;

/* Forgets the records of layers that are no longer available: torn, and neither a blob of them nor
 * a place to fetch it from is known. */
int record_drop_torn(struct store *s, size_t *ret_n, struct error **err) _must_check_;
/* Compares every record with its checksum; forgets those that differ. */
struct record_verdict {
	size_t looked_at;
	VEC(int64_t) damaged; /* ids; the caller releases */
};
int record_verify_all(struct store *s, struct record_verdict *ret, struct error **err) _must_check_;

/* Source pins: what a mutable name stood for when last asked ("docker-image://..." -> manifest
 * digest, "https://..." -> validators). value is opaque text. */
int pin_get(struct store *s, const char *name, bool *ret_found, struct buf *ret_value,
	    int64_t *ret_time, struct error **err) _must_check_;
int pin_set(struct store *s, const char *name, const char *value, struct error **err) _must_check_;

#endif
