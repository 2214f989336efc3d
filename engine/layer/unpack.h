/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's tar, as others or this store made it, into a layer of the store.
 *
 * The bytes are pulled from a reader, inflated, hashed and written in one pass. What is accepted:
 * OCI image-spec layer.md, with these rules where it leaves room:
 *
 * - A leading "/" or "./" is dropped, as every tar does; a ".." in a name or in a hard link's
 * target is refused. Symlinks may say what they like: they are resolved in the root when used.
 * - A name below a symlink of the same layer goes where the symlink leads, inside the root.
 * - Of several entries of one name the last counts; a directory keeps what is in it, and a file
 * that is replaced remains under its other names.
 * - A whiteout hides lower layers only, wherever it stands in the tar: what the same layer has of
 *   that name stays (a directory becomes opaque). A 0/0 character device is a whiteout too.
 * - A hard link must name a file of the same layer that came before. Its header's mode, owner, time
 *   and capability become those of the file, whose names share them.
 * - security.capability is brought to its v2 form. `user.*` and security.ima are given to files and
 *   directories where the file system takes them, for local steps to see; they are in no index.
 *   Other xattrs are dropped.
 * - Names are bytes: nothing is converted or normalised.
 *
 * Limits against tars that are made to fill disks: UNPACK_RATIO_MAX, UNPACK_ENTRIES_MAX, and
 * those of names in base/path.h.
 */
#ifndef KILN_ENGINE_LAYER_UNPACK_H
#define KILN_ENGINE_LAYER_UNPACK_H

#include "base/digest.h"
#include "engine/stream/inflate.h"
#include "store/layer.h"

/* Past UNPACK_FREE_SIZE bytes a layer may not unpack to more than this many times its blob. */
#define UNPACK_FREE_SIZE (UINT64_C(4) << 30)
#define UNPACK_RATIO_MAX 200
#define UNPACK_ENTRIES_MAX (8u << 20)

struct unpack_result {
	struct digest diff_id; /* of the uncompressed tar, to its last byte */
	uint64_t entries;
};

/* Everything is read from `read` to its end. The limits do not hold for bytes that are `trusted`:
 * those that this store made. The caller compares the digests and commits `w`, or frees it. */
int unpack_layer(struct layer_writer *w, inflate_read_fn read, void *data, bool trusted,
		 struct unpack_result *ret, struct error **err) _must_check_;

#endif
