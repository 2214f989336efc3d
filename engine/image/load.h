/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln load`: images from an archive that docker, podman, skopeo or kiln wrote, into the local
 * store.
 *
 * Every layer is verified against the diff id that the config gives it before anything is recorded;
 * a bad archive leaves no image and no tag. */
#ifndef KILN_ENGINE_IMAGE_LOAD_H
#define KILN_ENGINE_IMAGE_LOAD_H

#include "base/cancel.h"
#include "base/digest.h"
#include "base/platform.h"
#include "base/vec.h"
#include "store/store.h"

struct loaded_image {
	char *name; /* as people write it, "app:latest"; NULL: the archive gives none */
	struct digest id;
};

struct load_result {
	VEC(struct loaded_image) images; /* one per name, or one for an image without */
};
void load_result_release(struct load_result *r);

/* Reads from `fd` (a file, a pipe, or a layout directory); `what` names it in errors. Of an image
 * for several platforms the one that serves `platform` best is loaded. */
int load_images(struct store *s, int fd, const char *what, const struct platform *platform,
		struct cancel *cancel, struct load_result *ret, struct error **err) _must_check_;

struct image_source;

/* One image of such an archive as a base: its layers come into the store, but it is neither
 * recorded nor named. Which: the one of `manifest` (NULL: any), tagged `tag` (NULL: the only one,
 * or else the one tagged "latest", or else the one for the platform). */
int load_base(struct store *s, int fd, const char *tag, const struct digest *manifest,
	      const struct platform *platform, struct cancel *cancel, struct image_source *ret,
	      struct error **err) _must_check_;

#endif
