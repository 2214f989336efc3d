/* SPDX-License-Identifier: Apache-2.0 */
/* The tar of a layer that was made here: its index and dir as the byte stream that BuildKit would
 * write for the same change, so that equal content has the diff id BuildKit would give.
 *
 * Entries come in path order, each directory before what is in it. Where the layers below are
 * given, the tar is a true difference: a directory or file that is as it was below is left out (a
 * directory stays if something below it is written), a whiteout of what does not exist is left out,
 * and an opaque directory is written as whiteouts of what it hides. Without them every entry is
 * written and an opaque directory carries `.wh..wh..opq` (OCI image-spec layer.md, "Whiteouts").
 */
#ifndef KILN_ENGINE_LAYER_LAYER_TAR_H
#define KILN_ENGINE_LAYER_LAYER_TAR_H

#include <stdbool.h>

#include "base/cancel.h"
#include "engine/stream/tar_write.h"
#include "store/layer.h"
#include "store/rootfs.h"

struct layer_tar_options {
	const struct rootfs *below; /* NULL: not known */
	bool clamp;		    /* no mtime is after clamp_time */
	int64_t clamp_time;	    /* seconds */
	struct cancel *cancel;	    /* may be NULL */
};

/* Streams the tar of layer `id` (it has a dir) to `sink`. */
int layer_tar_write(struct store *s, int64_t id, const struct layer_tar_options *o,
		    tar_sink_fn sink, void *data, struct error **err) _must_check_;

/* The tar of a layer that was made here as a blob with another clamp: `read` gives the bytes of the
 * tar as it was made (exactly n of them, or it fails), of which all but the headers stays. */
typedef int (*layer_tar_read_fn)(void *data, void *p, size_t n, struct error **err);
int layer_tar_rewrite(struct store *s, int64_t id, const struct layer_tar_options *o,
		      layer_tar_read_fn read, void *read_data, tar_sink_fn sink, void *data,
		      struct error **err) _must_check_;

/* The header of an entry under a name (heap strings are the caller's): what layers and flattened
 * root file systems share. `name` is the entry's path, with a slash at the end for directories. */
void layer_tar_header(const struct entry *e, const char *name, struct tar_header *ret);

/* Writes the header of one entry of a layer of which the entries are those of its tar: `index` has
 * what hard links name, and no directory is opaque. */
int layer_tar_put(struct tar_writer *w, const struct index *index, const struct entry *e,
		  const struct layer_tar_options *o, struct error **err) _must_check_;

#endif
