/* SPDX-License-Identifier: Apache-2.0 */
/* A plain directory as a tar, for cache mounts that travel: the same content gives the same bytes.
 *
 * Entries come sorted by name, the directory itself first ("./"), with mode, owner and times to the
 * second. Hard links stay hard links. Left out is what means nothing elsewhere (sockets, fifos,
 * devices), extended attributes, and names that start with ".wh.", which a tar of layers gives
 * another meaning.
 */
#ifndef KILN_ENGINE_REMOTE_CACHE_MOUNT_TAR_H
#define KILN_ENGINE_REMOTE_CACHE_MOUNT_TAR_H

#include "base/cancel.h"
#include "engine/stream/tar_write.h"

struct mount_tar {
	tar_sink_fn write;
	/* Called before each entry but the first: what comes then may go elsewhere. */
	int (*between)(void *data, const char *path, struct error **err);
	void *data;
	struct cancel *cancel; /* may be NULL */
};
/* Nobody may write into the directory meanwhile. */
int mount_tar_write(int dirfd, const struct mount_tar *to, struct error **err) _must_check_;

#endif
