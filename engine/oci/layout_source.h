/* SPDX-License-Identifier: Apache-2.0 */
/* Layers whose bytes lie in an OCI image layout on this machine until something reads them. Everything
 * is verified against its digest on its way into the store. */
#ifndef KILN_ENGINE_OCI_LAYOUT_SOURCE_H
#define KILN_ENGINE_OCI_LAYOUT_SOURCE_H

#include "base/cancel.h"
#include "base/error.h"
#include "store/layer.h"

/* The `source` of layers that lie in the layout directory of this absolute path. Heap. */
char *oci_layout_source(const char *dir);
/* Is this the `source` of a layer (store/layer.h) that lies in a layout directory? */
bool oci_layout_is_source(const char *source);
/* Copies a blob from there into the store. ERR_NOTFOUND if the layout has lost it. */
int oci_layout_copy_blob(struct store *s, const char *source, const struct layer_blob *blob,
			 struct cancel *cancel, struct error **err) _must_check_;

#endif
