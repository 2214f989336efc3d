/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln save`: images of the local store as one archive that docker, podman, skopeo and kiln load:
 * docker's manifest.json and an OCI layout in one tar. */
#ifndef KILN_ENGINE_IMAGE_SAVE_H
#define KILN_ENGINE_IMAGE_SAVE_H

#include "base/json.h"
#include "base/platform.h"
#include "base/strv.h"
#include "engine/layer/layer_blob.h"

/* `images` are names or ids; the same image under several names is written once. Of one for several
 * platforms all are, under its index, or only the one for `platform` (NULL: all). The archive goes
 * to the file `dest`, or to `fd` if dest is NULL. ERR_NOTFOUND names an image that is not in the
 * store. A layer whose bytes are not here is fetched through `fetcher`. */
int save_images(struct store *s, const struct strv *images, const struct platform *platform,
		const char *dest, int fd, const struct blob_fetcher *fetcher, struct cancel *cancel,
		struct error **err) _must_check_;

#endif
