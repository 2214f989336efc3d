/* SPDX-License-Identifier: Apache-2.0 */
/* Images in an OCI image layout on this machine, as bases and named contexts
 * (--build-context NAME=oci-layout://PATH[:TAG][@DIGEST]).
 *
 * PATH is a layout directory (image-layout.md) or an archive of one; an archive that `docker save`
 * wrote serves too. Documents are read at once, layers when something reads them; everything is
 * verified against its digest on its way into the store. An archive's files go into the store as
 * soon as it is read.
 *
 * Which image: the one of DIGEST, else of TAG, else the layout's only one, else the one tagged
 * "latest", else the one for the platform.
 */
#ifndef KILN_ENGINE_IMAGE_SOURCE_OCI_LAYOUT_H
#define KILN_ENGINE_IMAGE_SOURCE_OCI_LAYOUT_H

#include "engine/registry/pull.h"
#include "store/layer.h"

/* `text` is PATH[:TAG][@DIGEST]. Errors as image_resolve's. */
int oci_layout_resolve(struct store *s, const char *text, const struct platform *platform,
		       struct job *job, struct image_source *ret, struct error **err) _must_check_;

#endif
