/* SPDX-License-Identifier: Apache-2.0 */
/* What is synced, and when: the only file of store/ that calls fsync or syncfs, and the only one
 * that renames.
 *
 * Policy. A commit syncs nothing. The rows of a blob or layer carry the id of the boot they were
 * written in until a sync of the whole file system is known to have passed over them
 * (durable_sync). Within one boot the page cache is as good as the disk. After a power cut the boot
 * id differs: such a blob or layer is then verified against its digests when it is first used, and
 * is a miss if it was torn. The database itself cannot be torn (write-ahead log, synchronous =
 * NORMAL); it may lose its newest transactions, never one before an older one.
 *
 * Removal is the reverse: gc first makes the transactions durable that took the last reference
 * away, then renames files into the trash.
 */
#ifndef KILN_STORE_DURABLE_H
#define KILN_STORE_DURABLE_H

#include <stdbool.h>

#include "base/error.h"
#include "store/store.h"

enum durable_step {
	DURABLE_RENAME, /* `what` is the new name */
	DURABLE_SYNC,	/* the file system of the store */
	DURABLE_COMMIT, /* a write transaction */
};

/* Called for every step, for tests of their order; NULL turns it off. Not thread safe. */
typedef void (*durable_trace_fn)(void *data, enum durable_step step, const char *what);
void durable_trace(durable_trace_fn fn, void *data);
void durable_note(enum durable_step step, const char *what);

/* The running kernel's boot id; "unknown" where it cannot be read. */
const char *durable_boot(void);
/* May what carries this boot mark be used without verifying it first? */
bool durable_trusted(const char *boot /* NULL: durable */);

/* renameat within the store; `replace` false fails with -EEXIST if the new name is taken. */
int durable_rename(struct store *s, const char *from, const char *to, bool replace) _must_check_;

/* Syncs the store's file system and marks everything written before as durable. */
int durable_sync(struct store *s, struct error **err) _must_check_;

#endif
