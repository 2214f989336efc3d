/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/upkeep.h"

#include "store/layer.h"
#include "store/record.h"
#include "store/space.h"

void upkeep_set_policy(struct store *s, const struct gc_config *gc, bool makes_image)
{
	struct space_policy policy;

	if (gc->disabled)
		return;
	space_policy_default(s, &policy);
	policy.makes_image = makes_image;
	if (gc->max_used) {
		policy.max_used = gc->max_used;
		policy.strict = true;
	}
	if (gc->has_min_free)
		policy.min_free = gc->min_free;
	if (gc->has_keep)
		policy.keep_ns = gc->keep_ns;
	space_set_policy(s, &policy);
}

int upkeep_forget_damaged(struct store *s, struct result *const *results, size_t n, bool *ret,
			  struct error **err)
{
	size_t dropped = 0;
	int r;

	*ret = false;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; results[i] && k < results[i]->n_layers; k++) {
			bool whole;

			r = layer_recheck(s, results[i]->layers[k], &whole, err);
			if (r < 0)
				return r;
			*ret = *ret || !whole;
		}
	}
	r = record_drop_torn(s, &dropped, err);
	*ret = *ret || dropped > 0;
	return r;
}
