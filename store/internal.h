/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of store/ share about a store handle. Nobody else includes this. */
#ifndef KILN_STORE_INTERNAL_H
#define KILN_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/map.h"
#include "base/strv.h"
#include "store/lease.h"
#include "store/space.h"
#include "store/store.h"

struct db;
struct index;

struct store {
	char *root;
	int dirfd;
	const char *overlay_prefix;
	struct db *db;		     /* locks itself */
	const struct cancel *cancel; /* see store_watch; constant once threads run */

	pthread_mutex_t mutex; /* protects all below */
	struct lease lease;
	struct map indexes;  /* layer id -> struct index, kept until the handle closes */
	struct map held;     /* digests of blobs and ids of layers that our lease names -> self; of
				blobs that we wrote -> this map */
	struct strv notices; /* what was found damaged, for store_take_notices */

	atomic_bool plain; /* store_is_plain */
	atomic_bool swept; /* temporaries of the dead were removed, or are being */

	bool limited; /* policy is set; both are constant once threads run */
	struct space_policy policy;
	pthread_mutex_t space_mutex; /* one eviction at a time; protects what follows */
	uint64_t image_bytes;	     /* what images need, when last counted */
	uint64_t made_bytes;	     /* written for an image that is not named yet */
	uint64_t hopeless;	     /* total at which evicting more was tried in vain; 0: none */
};

/* "blobs/sha256/xx/<hex>", relative to the root; heap. */
char *store_blob_path(const struct digest *digest);
/* "layers/<id>", relative to the root; heap. */
char *store_layer_path(int64_t id);
/* A new name below tmp/ that belongs to our lease ("tmp/<lease>.<random>"); heap. */
int store_tmp_name(struct store *s, char **ret, struct error **err) _must_check_;
/* Moves a file or directory to a new name in tmp/; the caller removes that after its transaction.
 * *ret = NULL if there was nothing. */
int store_trash(struct store *s, const char *path, char **ret, struct error **err) _must_check_;

/* Makes a whiteout `name` below dirfd, or marks the directory fd opaque. Where the file system
 * refuses, the store is plain from then on. Return 0 or -errno. */
int store_put_whiteout(struct store *s, int dirfd, const char *name) _must_check_;
int store_mark_opaque(struct store *s, int fd) _must_check_;

/* Keeps an index for the next layer_index; the cache takes its own reference. */
void layer_cache_index(struct store *s, int64_t id, struct index *i);

/* In the transaction that adds the record. */
struct db_tx;
struct trace_entry;
int trace_add(struct db_tx *tx, int64_t record, const struct trace_entry *t,
	      struct error **err) _must_check_;

/* ERR_CANCELED once what the handle was told to watch is set. */
int store_check_canceled(const struct store *s, struct error **err) _must_check_;

/* Of two int64_t, for qsort and bsearch. */
int store_compare_ids(const void *a, const void *b);

/* Bytes on disk of a file or tree; what cannot be read, or is left when the handle is canceled,
 * counts nothing. */
uint64_t store_disk_usage(struct store *s, const char *path);

#endif
