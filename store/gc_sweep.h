/* SPDX-License-Identifier: Apache-2.0 */
/* The row half of gc, for gc.c and image.c. */
#ifndef KILN_STORE_GC_SWEEP_H
#define KILN_STORE_GC_SWEEP_H

#include "base/strv.h"
#include "store/db.h"
#include "store/gc.h"

/* In `meta`, from the commit that deletes rows until their files are gone: who dies in between
 * leaves files without rows, for which the next collection looks. */
#define GC_SWEEPING "sweeping"

/* Deletes the rows of layers and blobs that nothing names; `result` gets their names. Nothing of a
 * transaction that is not committed shows on disk: the files stay for gc_remove_swept, after the
 * commit, which is a durable one, so that no power cut brings a row back whose file is gone. */
int gc_sweep(struct db_tx *tx, struct gc_result *result, struct error **err) _must_check_;
/* Their files go into the trash, and are removed. */
int gc_remove_swept(struct store *s, struct gc_result *result, struct error **err) _must_check_;
/* The first half of that, in a write transaction that is to be committed. */
int gc_trash_swept(struct store *s, struct db_tx *tx, const struct gc_result *result,
		   struct strv *trash, struct error **err) _must_check_;
/* What was at `path`, if anything, is to be removed: `trash` gets its name there. */
int gc_trash(struct store *s, const char *path, struct strv *trash,
	     struct error **err) _must_check_;
/* The quick half of store_gc: dead leases, what nothing names, and the trash; no search for
 * orphans. */
int gc_collect(struct store *s, struct gc_result *result, struct error **err) _must_check_;
/* Notes that a full collection was done now. */
int gc_note_collection(struct db_tx *tx, struct error **err) _must_check_;
/* Removes the files; returns the bytes of it. */
uint64_t gc_empty_trash(struct store *s, const struct strv *trash);

#endif
