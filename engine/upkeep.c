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

struct upkeep_tries upkeep_tries(struct store *s)
{
	return (struct upkeep_tries){.store = s, .n_notices = store_count_notices(s)};
}

bool upkeep_again(struct upkeep_tries *t, int *r, struct error **err)
{
	size_t n = store_count_notices(t->store);

	if (*r == -ERR_CORRUPT && n > t->n_notices) {
		t->n_notices = n;
		if (t->first)
			error_free(*err);
		else
			t->first = *err;
		*err = NULL;
		return true;
	}
	/* What is left, or not, says less than what was damaged first, and what helps. */
	if ((*r == -ERR_NOTFOUND || *r == -ERR_CORRUPT) && t->first) {
		error_free(*err);
		*err = TAKE_PTR(t->first);
		*r = -ERR_CORRUPT;
	}
	error_free(t->first);
	t->first = NULL;
	return false;
}
