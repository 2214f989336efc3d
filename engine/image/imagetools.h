/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln imagetools`: images of registries looked at and combined where they are. */
#ifndef KILN_ENGINE_IMAGE_IMAGETOOLS_H
#define KILN_ENGINE_IMAGE_IMAGETOOLS_H

#include "base/json.h"
#include "base/vec.h"
#include "engine/export/export.h"
#include "engine/registry/registry.h"

struct imagetools_create {
	struct strv tags;		/* names to put the result under, one repository each */
	struct strv sources;		/* references; their order is the index's */
	bool append;			/* to what the first tag names now */
	bool dry_run;			/* only make the document */
	bool prefer_index;		/* an index even over one manifest */
	VEC(struct platform) platforms; /* only manifests for these; empty: all */
	/* Of the index, and of what it says of each manifest; others are ERR_INVALID. They make an
	 * index of what would have been put as it is. */
	VEC(struct export_annotation) annotations;
};

/* The configs of the images that a document names, as JSON: of a manifest its own, of an index one
 * per platform ("linux/amd64": {...}). */
int imagetools_configs(struct registry *r, const struct imageref *ref,
		       const struct registry_manifest *m, struct cancel *cancel, json_t **ret,
		       struct error **err) _must_check_;

/* Copies what the sources name into each tag's repository and puts an index over it there (a single
 * source is put as it is, unless an index is preferred). A later source replaces an earlier one of
 * the same platform. `ret` gets the document. */
int imagetools_create(struct registry *r, const struct imagetools_create *c, struct cancel *cancel,
		      struct buf *ret, const char **ret_type, struct error **err) _must_check_;

#endif
