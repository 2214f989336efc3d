/* `kiln imagetools`: images of registries looked at and combined where they are. */
#ifndef KILN_ENGINE_IMAGETOOLS_H
#define KILN_ENGINE_IMAGETOOLS_H

#include "base/json.h"
#include "engine/registry.h"

struct imagetools_create {
	struct strv tags;    /* names to put the result under, one repository each */
	struct strv sources; /* references; their order is the index's */
	bool append;	     /* to what the first tag names now */
	bool dry_run;	     /* only make the document */
	bool prefer_index;   /* an index even over one manifest */
};

/* Copies what the sources name into each tag's repository and puts an index over it there (a single
 * source is put as it is, unless an index is preferred). A later source replaces an earlier one of
 * the same platform. `ret` gets the document. */
int imagetools_create(struct registry *r, const struct imagetools_create *c, struct cancel *cancel,
		      struct buf *ret, const char **ret_type, struct error **err);

#endif
