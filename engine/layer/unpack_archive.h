/* SPDX-License-Identifier: Apache-2.0 */
/* ADD of a local archive: a tar, plain or compressed, is unpacked into the layer that is being
 * made.
 *
 * An archive is known by its content, never by its name. Extraction merges with what is there, as
 * `tar -x` does; names and links are resolved inside the destination directory, and a name that
 * leads out of it is an error.
 */
#ifndef KILN_ENGINE_LAYER_UNPACK_ARCHIVE_H
#define KILN_ENGINE_LAYER_UNPACK_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/error.h"

struct layer_edit;

/* No archive may unpack to more than these, unless the caller sets other limits; past
 * UNPACK_ARCHIVE_FREE_SIZE bytes it may not unpack to more than UNPACK_ARCHIVE_RATIO_MAX times its
 * size either. */
#define UNPACK_ARCHIVE_SIZE_MAX (UINT64_C(64) << 30)
#define UNPACK_ARCHIVE_ENTRIES_MAX (UINT64_C(8) << 20)
#define UNPACK_ARCHIVE_FREE_SIZE (UINT64_C(4) << 30)
#define UNPACK_ARCHIVE_RATIO_MAX 200

/* Does `fd` (a regular file, read from its start) hold a tar with at least one entry, perhaps
 * compressed with gzip, bzip2, xz or zstd? */
bool unpack_archive_recognise(int fd, const struct cancel *cancel);

/* The time of its newest member (seconds); 0 if it has none. */
int unpack_archive_newest(int fd, const struct cancel *cancel, int64_t *ret,
			  struct error **err) _must_check_;

struct unpack_options {
	const char *what; /* the archive's name, for errors */
	const char *dest; /* clean path of an existing directory, without symlinks */
	bool owner_set;	  /* uid and gid replace the archive's owners */
	uint32_t uid, gid;
	/* What no archive of a build context needs is refused: absolute names, "..", devices, and
	 * names below a symlink. */
	bool strict;
	uint64_t size_max, entries_max; /* 0: the defaults above */
	struct cancel *cancel;		/* may be NULL */
};
int unpack_archive(struct layer_edit *edit, int fd, const struct unpack_options *options,
		   struct error **err) _must_check_;

#endif
