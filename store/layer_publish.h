/* SPDX-License-Identifier: Apache-2.0 */
/* How a layer, or a body of one, gets its name and its row. Private to store/. */
#ifndef KILN_STORE_LAYER_PUBLISH_H
#define KILN_STORE_LAYER_PUBLISH_H

#include "store/index.h"
#include "store/layer.h"

struct layer_birth {
	int64_t id;	     /* whose dir this is; 0: a new layer */
	char **tmp;	     /* what is renamed, relative to the store's root: holds `index` and
			      * perhaps `fs`. *tmp = NULL once it is in place */
	struct index *index; /* the file in *tmp */
	bool has_dir;
	const struct layer_blob *blob; /* of a layer without dir, already in the store; else NULL */
	const struct digest *diff_id;  /* with `blob` */
};

/* Makes room, renames and records, under this process's lease. A layer that has its index already
 * only gets the dir; ERR_CORRUPT if that is not what the index says. */
int layer_publish(struct store *s, struct layer_birth *b, int64_t *ret_id,
		  struct error **err) _must_check_;

#endif
