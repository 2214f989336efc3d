/* SPDX-License-Identifier: Apache-2.0 */
/* Layers: what an op adds to its parent, immutable once committed.
 *
 * A layer has an index and one or both of two bodies: a *dir* (layers/<id>/fs, usable as an
 * overlayfs lower layer: whiteouts are 0/0 character devices, opaque directories carry the overlay
 * xattr) and a *blob* (a tar, perhaps compressed, perhaps still at a registry: then only its
 * descriptor is known). A layer that was received and not yet unpacked has neither index nor dir;
 * one that was made here as a blob has an index, and gets its dir when something needs one.
 * A layer id is a small integer, unique in one store and never used again.
 */
#ifndef KILN_STORE_LAYER_H
#define KILN_STORE_LAYER_H

#include <stdint.h>

#include "base/digest.h"
#include "store/entry.h"
#include "store/store.h"

struct index;

/* An OCI content descriptor of a layer blob. */
struct layer_blob {
	char *media_type; /* owned */
	struct digest digest;
	uint64_t size;
};

/* Layers on top of each other, lowest first. Where one layer is meant it is the topmost. */
struct layer_chain {
	struct store *store;
	const int64_t *layers;
	size_t n;
	size_t n_keep; /* so many are the base image's, which stay as they are */
};

struct layer_info {
	int64_t id;
	bool has_index; /* what is in it can be told without its bytes */
	bool has_dir;	/* index and fs are there */
	bool has_diff_id;
	struct digest diff_id; /* sha256 of the uncompressed tar */
	bool has_blob;	       /* `blob` is known (its bytes may be absent: see blob_exists) */
	struct layer_blob blob;
	uint64_t size; /* sum of file sizes, 0 while unknown */
	bool is_exact; /* its tar is the entries of its index as they are, on top of anything:
			  true of layers made here, but for those of older stores */
	bool has_digest;
	struct digest tree_digest; /* over the index, without mtimes: equal content, equal digest */
	int64_t created;	   /* ns since the epoch */
	char *source; /* where a received blob can be fetched again ("docker.io/library/x"); NULL */
};
void layer_info_release(struct layer_info *info);

int layer_get(struct store *s, int64_t id, struct layer_info *ret, struct error **err) _must_check_;
/* Do all of these have an index; or a dir that may be used as it is? (One that another boot left
 * unsynced may not: layer_get checks it.) Asked of every chain at every step, so in one go. */
enum layer_part { LAYER_INDEX, LAYER_DIR };
int layers_have(struct store *s, enum layer_part part, const int64_t *ids, size_t n, bool *ret,
		struct error **err) _must_check_;
/* Does the layer have no dir (any more), and nothing to make one from? */
int layer_is_lost(struct store *s, int64_t id, bool *ret, struct error **err) _must_check_;
/* Compares the dir, if there is one, with the index, past all caches, and the stored blob of a
 * layer made here with its digest. What is damaged is not there from then on. */
int layer_recheck(struct store *s, int64_t id, bool *ret_whole, struct error **err) _must_check_;
/* After a failure: forgets the dirs of these that are not there any more, which their rows do not
 * know. *ret = true if that was any. */
int layer_forget_gone(struct store *s, const int64_t *ids, size_t n, bool *ret,
		      struct error **err) _must_check_;
/* Finds a received or exported layer by diff id; *ret_id = 0 if there is none. */
int layer_find_diff_id(struct store *s, const struct digest *diff_id, int64_t *ret_id,
		       struct error **err) _must_check_;
/* Records a layer known by descriptor only, or returns the one that has this diff id. */
int layer_add_remote(struct store *s, const struct digest *diff_id, const struct layer_blob *blob,
		     const char *source, int64_t *ret_id, struct error **err) _must_check_;
/* What is said of a received layer that was never unpacked: when it was made, and (NULL: nothing)
 * the tree digest of its index. Unpacking it puts the real one in its place. */
int layer_claim(struct store *s, int64_t id, int64_t created, const struct digest *tree,
		struct error **err) _must_check_;
/* What is known of where a received layer comes from turned out useless: without a dir it
 * is lost. */
int layer_give_up(struct store *s, int64_t id, struct error **err) _must_check_;
/* Records what export found out about a layer made here. */
int layer_set_diff_id(struct store *s, int64_t id, const struct digest *diff_id,
		      struct error **err) _must_check_;
int layer_set_blob(struct store *s, int64_t id, const struct layer_blob *blob,
		   struct error **err) _must_check_;

/* The index, cached in memory (index_unref when done). ERR_NOTFOUND if the layer has none. */
int layer_index(struct store *s, int64_t id, struct index **ret, struct error **err) _must_check_;
/* Absolute path of the dir body (heap), for mounts. */
char *layer_dir_path(struct store *s, int64_t id);
/* Descriptor of the dir body. ERR_CORRUPT if it is gone, which it is not expected to be: it counts
 * as damaged from then on. */
int layer_dir_open(struct store *s, int64_t id, struct error **err) _must_check_;

/* --- Making a layer ---------------------------------------------------------------------------
 *
 *	layer_writer_open(s, &w, err);
 *	layer_writer_put(w, &entry, err);              directories, links, devices, whiteouts
 *	layer_writer_file(w, &entry, &fd, err);        a file: write to it, then
 *layer_writer_file_end layer_writer_commit(w, NULL, &id, err);
 *
 * Each call writes the dir body and the index together; names are resolved inside the layer dir
 * without following symlinks, and missing parents are made (0755 root, the layer's or epoch time).
 * Free without commit removes everything. One thread at a time.
 */
struct layer_writer;
int layer_writer_open(struct store *s, struct layer_writer **ret, struct error **err) _must_check_;
/* For a layer that was received: committing attaches dir and index to layer `id`. */
int layer_writer_open_for(struct store *s, int64_t id, struct layer_writer **ret,
			  struct error **err) _must_check_;
/* Reading and copying end (ERR_CANCELED) once `cancel` is set; without this, or with NULL, it is
 * the store's switch that is asked. Before the first lane. */
struct cancel;
void layer_writer_watch(struct layer_writer *w, const struct cancel *cancel);
/* 0, or ERR_CANCELED if that is set: for loops around the calls below. */
int layer_writer_canceled(const struct layer_writer *w, struct error **err) _must_check_;
/* Makes devices an error: for files that go to steps as they are, from an archive of a stranger. */
void layer_writer_refuse_devices(struct layer_writer *w);
int layer_writer_put(struct layer_writer *w, const struct entry *e,
		     struct error **err) _must_check_;
/* Gives the open file, or the directory `dir` if that is not NULL, an xattr that the index does not
 * know. Where the file system or the kernel does not take it, it is left out. */
void layer_writer_xattr(struct layer_writer *w, const char *dir, const char *name,
			const void *value, size_t n);
/* Gives a file of the layer, with all its hard links, e's mode, owner, capability and time. */
int layer_writer_set_attributes(struct layer_writer *w, const char *path, const struct entry *e,
				struct error **err) _must_check_;
/* Opens the file e->path for writing (size and content of e are ignored). The caller writes the
 * bytes through layer_writer_write, which hashes them and leaves long runs of zeros as holes, or
 * lets layer_writer_copy do it. */
int layer_writer_file(struct layer_writer *w, const struct entry *e,
		      struct error **err) _must_check_;
int layer_writer_write(struct layer_writer *w, const void *p, size_t n,
		       struct error **err) _must_check_;
/* Copies a whole regular file's bytes (reflink where possible, hashed) into the open file. What is
 * a hole in it stays one. */
int layer_writer_copy(struct layer_writer *w, int from, struct error **err) _must_check_;
/* The same for the next `size` bytes, with a digest already known to be right for them: nothing is
 * hashed. */
int layer_writer_copy_known(struct layer_writer *w, int from, const struct digest *content,
			    uint64_t size, struct error **err) _must_check_;
int layer_writer_file_end(struct layer_writer *w, struct digest *ret_content /* or NULL */,
			  struct error **err) _must_check_;
/* Directories that nobody put: they were made because something below them was, and a layer says
 * nothing about them, so that what is below shows. But a dir body hides it, so their metadata must
 * be that of the layers below. Calls `fill` for each, which fills in e's mode, ids and time (0755
 * root and the epoch as given) if it knows better. */
typedef int (*layer_implied_fn)(void *data, struct entry *e, struct error **err);
bool layer_writer_has_implied(const struct layer_writer *w);
int layer_writer_imply(struct layer_writer *w, layer_implied_fn fill, void *data,
		       struct error **err) _must_check_;
/* A writer of the same layer for another thread: files, whose directories are there, may be written
 * through several lanes at once (layer_writer_file .. layer_writer_file_end, and
 * layer_writer_remove of such a file), while nothing is done with the writer itself. Freed before
 * it. */
struct layer_writer *layer_writer_lane(struct layer_writer *w);
/* What this layer says about `path` so far; NULL if nothing. */
const struct entry *layer_writer_get(const struct layer_writer *w, const char *path);
/* Forgets and removes path and what is below it. */
int layer_writer_remove(struct layer_writer *w, const char *path, struct error **err) _must_check_;

/* The directory itself, for a RUN whose overlay upper it is (absolute path, heap). After the step,
 * layer_writer_scan reads the tree back: it turns overlay whiteouts and opaque marks into entries,
 * clamps times to whole seconds, hashes files (in parallel) and drops what cannot be in a layer
 * (sockets, overlay xattrs). */
char *layer_writer_upper(struct layer_writer *w);
char *layer_writer_work(struct layer_writer *w); /* overlay work dir, on the same file system */
/* Who ran the step, where files cannot carry their owners (a user namespace with one id): those
 * come from what the step's supervisor has recorded in the work dir, from the layers below and from
 * here. */
struct rootfs;
struct layer_step {
	const struct rootfs *below;
	uint32_t uid, gid;
};
struct layer_snapshot; /* what the step's copy of its root was; NULL: it ran on an overlay */
int layer_writer_scan(struct layer_writer *w, const struct layer_step *step /* NULL: they can */,
		      const struct layer_snapshot *from, struct error **err) _must_check_;

/* Takes out what changes nothing of `below`, on which the layer was made, and puts whiteouts in the
 * place of opaque marks. After that, or where nothing below is known, the layer's tar holds what
 * its index says, entry by entry. */
int layer_writer_settle(struct layer_writer *w, const struct rootfs *below,
			struct error **err) _must_check_;

/* Applies directory times, writes the index, makes both durable, renames them into place and
 * records the layer under this process's lease. */
int layer_writer_commit(struct layer_writer *w, int64_t *ret_id, struct error **err) _must_check_;
/* Instead: the tree, with the modes and times of its directories, replaces the empty directory
 * `path` (relative to the store) at once, and is not a layer. It can only be freed then. */
int layer_writer_move(struct layer_writer *w, const char *path, struct error **err) _must_check_;
void layer_writer_free(struct layer_writer *w);
DEFINE_FREEP(struct layer_writer, layer_writer_free)

/* A new layer that is a blob, which is in the store already, and has no dir: its index, sealed
 * (store/index_draft.h), moves into place. */
struct index_draft;
int layer_put_blob(struct store *s, struct index_draft *draft, const struct layer_blob *blob,
		   const struct digest *diff_id, int64_t *ret_id, struct error **err) _must_check_;

#endif
