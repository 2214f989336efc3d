/* SPDX-License-Identifier: Apache-2.0 */
/* Leases: what a running kiln uses, so that no gc takes it away.
 *
 * A lease is a file lock/lease.<name> under an open-file-description lock for the life of the
 * handle (process ids mean nothing across containers that share a store) and rows that name layers
 * and blobs. Temporaries carry the name of their lease. A lease whose lock can be taken is dead: gc
 * removes its rows and its leavings. */
#ifndef KILN_STORE_LEASE_H
#define KILN_STORE_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"

struct store;
struct db_tx;

enum { LEASE_NAME = 16 }; /* hex digits */

struct lease {
	char name[LEASE_NAME + 1]; /* "": not taken yet */
	int fd;
};
#define LEASE_INIT       \
	{                \
		.fd = -1 \
	}

/* Creates and locks the lease file unless that was done. Call before db_begin: it is file I/O. */
int lease_take(struct store *s, struct error **err) _must_check_;
/* Name under our lease, inside a write transaction after lease_take. */
int lease_add_layers(struct store *s, struct db_tx *tx, const int64_t *layers, size_t n,
		     struct error **err) _must_check_;
int lease_add_blob(struct store *s, struct db_tx *tx, const struct digest *digest,
		   struct error **err) _must_check_;
/* What this handle remembers of the blobs it holds, so that a second use spares a write
 * transaction. To be noted after the commit that named the blob; not knowing only costs asking.
 * `written`: this handle has hashed the bytes as it wrote them. */
void lease_note_blob(struct store *s, const struct digest *digest, bool written);
bool lease_wrote_blob(struct store *s, const struct digest *digest);
bool lease_holds_blob(struct store *s, const struct digest *digest);
void lease_forget_blob(struct store *s, const struct digest *digest);

/* Is the lease `name` held by a living handle (ours counts)? */
bool lease_alive(struct store *s, const char *name);
/* Removes the file of a dead lease; a living one is left alone. */
void lease_bury(struct store *s, const char *name);
/* Removes rows, file and lock. */
void lease_release(struct store *s);

#endif
