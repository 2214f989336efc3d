/* What takes space: cache records with what each would free. */
#ifndef KILN_STORE_DU_H
#define KILN_STORE_DU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "store/store.h"

struct du_record {
	int64_t id;
	char *description;	    /* owned */
	uint64_t size;		    /* of the record's own layer: the topmost of its chain */
	bool shared;		    /* an image or another record with other layers needs it too */
	bool in_use;		    /* a running build holds it: not reclaimable now */
	int64_t created, last_used; /* ns since the epoch */
	int64_t uses;
	int64_t parent_layer; /* the layer below its own; 0: none */
	int64_t layer;	      /* its own; 0: none */
};
void du_record_release(struct du_record *r);

struct du_totals {
	uint64_t shared, private_, reclaimable, total; /* bytes; a layer counts once */
	uint64_t blobs;				       /* bytes of blob files */
};

/* All records, least recently used first. The caller releases each and frees the array. */
int store_du(struct store *s, struct du_record **ret, size_t *ret_n, struct du_totals *ret_totals,
	     struct error **err);

#endif
