/* The row half of gc, for gc.c and image.c. */
#ifndef KILN_STORE_GC_SWEEP_H
#define KILN_STORE_GC_SWEEP_H

#include "base/strv.h"
#include "store/db.h"
#include "store/gc.h"

/* Deletes the rows of layers and blobs that nothing names and moves their files into the trash;
 * `trash` gets the names, for gc_empty_trash after the commit. To be called in a write transaction
 * that follows a durable one, so that no power cut brings back a reference to what is removed. */
int gc_sweep(struct store *s, struct db_tx *tx, struct gc_result *result, struct strv *trash,
	     struct error **err);
/* The quick half of store_gc: dead leases, what nothing names, and the trash; no search for
 * orphans. */
int gc_collect(struct store *s, struct gc_result *result, struct error **err);
/* Notes that a full collection was done now. */
int gc_note_collection(struct db_tx *tx, struct error **err);
/* Makes everything committed so far durable. */
int gc_barrier(struct store *s, struct error **err);
/* Removes the files; returns the bytes of it. */
uint64_t gc_empty_trash(struct store *s, const struct strv *trash);

#endif
