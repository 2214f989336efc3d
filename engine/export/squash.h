/* SPDX-License-Identifier: Apache-2.0 */
/* Squashing (`build --squash`): what a build put on top of its base image, or of one of its stages,
 * becomes one layer at export. The steps keep their layers in the cache, where the one made of them
 * is remembered too. */
#ifndef KILN_ENGINE_EXPORT_SQUASH_H
#define KILN_ENGINE_EXPORT_SQUASH_H

#include "base/image_config.h"
#include "engine/export/export_env.h"
#include "solver/progress.h"
#include "store/store.h"

/* An image with its upper layers made into one. */
struct squashed {
	struct image_config config;
	int64_t *layers; /* lowest first; owned */
	size_t n_layers;
};
void squashed_release(struct squashed *q);

/* Of the image with these layers and this config (as in struct export_image) the lowest n_keep
 * layers stay. The rest is read from the layers' dirs, which are made present. The merged tree, its
 * times and its hard links stay the same. */
int squash_image(const struct export_env *e, const struct image_config *config,
		 const struct layer_chain *chain, struct job *job, struct squashed *ret,
		 struct error **err) _must_check_;

#endif
