/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln import ROOTFS.tar NAME[:TAG]`: a root file system in a tar, perhaps compressed, becomes an
 * image of one layer. */
#ifndef KILN_ENGINE_IMAGE_IMPORT_H
#define KILN_ENGINE_IMAGE_IMPORT_H

#include "engine/export/export.h"

struct import_options {
	/* Platform, env, cmd and so on, --change already applied; no diff ids. History rows it has
	 * come after the one that import adds. */
	const struct image_config *config;
	const char *name;    /* as the user wrote it; NULL: no tag */
	const char *message; /* the comment of the history row; NULL: "Imported from <what>" */
	bool has_epoch;
	int64_t epoch; /* seconds */
};

/* Reads the tar from `fd` (a file or a pipe; gzip, zstd, bzip2 and xz are unpacked); `what` names
 * it in errors and in the history. */
int import_rootfs(struct store *s, int fd, const char *what, const struct import_options *o,
		  const struct progress *progress, struct cancel *cancel, struct export_result *ret,
		  struct error **err) _must_check_;

#endif
