/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping the store in order around a build: its size, and what turned out damaged. */
#ifndef KILN_ENGINE_UPKEEP_H
#define KILN_ENGINE_UPKEEP_H

#include "engine/config/config.h"
#include "engine/tree/result.h"
#include "store/store.h"

/* Limits the store as configured, before anything is written to it. `makes_image`: by a command
 * that pulls, loads or exports an image, whose bytes the cap of the cache does not count. */
void upkeep_set_policy(struct store *s, const struct gc_config *gc, bool makes_image);

/* After a failure with ERR_CORRUPT or ERR_NOTFOUND while results were exported: looks through their
 * layers and forgets what is damaged. *ret = true if that found something, so that another try,
 * from solving on, can mend it. */
int upkeep_forget_damaged(struct store *s, struct result *const *results, size_t n, bool *ret,
			  struct error **err) _must_check_;

/* The tries of a command about whole images. What one finds damaged is forgotten with a warning, and
 * the next may fetch it again, or make it of what is left. */
struct upkeep_tries {
	struct store *store;
	size_t n_notices;    /* before the try */
	struct error *first; /* what the first try ended with */
};
struct upkeep_tries upkeep_tries(struct store *s);
/* After a try that ended with *r: is there to be another? *err is NULL then. Where nothing is left to
 * try with, *r and *err become what says most. */
bool upkeep_again(struct upkeep_tries *t, int *r, struct error **err);

#endif
