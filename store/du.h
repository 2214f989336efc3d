/* SPDX-License-Identifier: Apache-2.0 */
/* What takes space: cache records with what each would free, and what keeps one from being
 * freed. */
#ifndef KILN_STORE_DU_H
#define KILN_STORE_DU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strv.h"
#include "store/store.h"

/* Types, as `docker buildx du` names them: "regular" (what a step made), "source.image",
 * "source.http", "source.git.checkout", "source.local". */
struct du_record {
	int64_t id;
	char *description; /* owned */
	char *type;	   /* owned */
	uint64_t size;	   /* on disk, of the layers that are counted for it and for no other */
	bool shared;	   /* an image or another record with other layers needs it too */
	bool in_use;	   /* a running build holds it: not reclaimable now */
	bool reclaimable;  /* neither an image nor a running build needs it */
	int64_t created, last_used; /* ns since the epoch */
	int64_t uses;
	int64_t parent_layer; /* the layer below its own; 0: none */
	int64_t layer;	      /* its own; 0: none */
	int64_t parent;	      /* the record that parent_layer is counted for; 0: none */
};
void du_record_release(struct du_record *r);

struct du_totals {
	uint64_t shared, private_, reclaimable, total; /* bytes; a layer counts once */
	uint64_t blobs;				       /* bytes of blob files */
	uint64_t store; /* bytes of everything: what records, images and cache mounts take */
};

/* All records, least recently used first. The caller releases each and frees the array. */
int store_du(struct store *s, struct du_record **ret, size_t *ret_n, struct du_totals *ret_totals,
	     struct error **err) _must_check_;

/* What pins record `id`: a line each for the images, running processes and other records that need
 * its layers. None: a prune frees it. ERR_NOTFOUND if there is no such record. */
int store_why(struct store *s, int64_t id, struct strv *ret, struct error **err) _must_check_;

#endif
