/* Freeing space: what no tag, lease or record needs goes. Safe beside any number of builds. */
#ifndef KILN_STORE_GC_H
#define KILN_STORE_GC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/strv.h"
#include "store/store.h"

struct gc_result {
	uint64_t bytes;	    /* freed on disk, as far as known */
	int64_t *records;   /* ids of removed cache records; owned */
	size_t n_records;
	int64_t *layers;    /* ids of removed layers; owned */
	size_t n_layers;
	size_t n_blobs;
	struct strv mounts; /* ids of removed cache mounts */
};
void gc_result_release(struct gc_result *r);

/* Removes dead leases and their temporaries, the trash, and layers and blobs that nothing names.
 * `ret` may be NULL. */
int store_gc(struct store *s, struct gc_result *ret, struct error **err);

struct prune_options {
	bool all;	       /* every record, else only what the two below say */
	int64_t unused_since;  /* ns since the epoch: records last used before; 0: no age limit */
	bool limit_storage;    /* remove records, least recently used first, until no more than ... */
	uint64_t keep_storage; /* ... this many bytes of layers remain in use by records */
	bool mounts;	       /* cache mounts too, by the same rules of age */
};

/* Drops cache records by the options, then collects. Layers of images and of running builds stay. */
int store_prune(struct store *s, const struct prune_options *options, struct gc_result *ret,
		struct error **err);

#endif
