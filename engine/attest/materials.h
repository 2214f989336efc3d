/* SPDX-License-Identifier: Apache-2.0 */
/* What a build is made of: its sources as materials of provenance, and what of it cannot be named. */
#ifndef KILN_ENGINE_ATTEST_MATERIALS_H
#define KILN_ENGINE_ATTEST_MATERIALS_H

#include "base/json.h"
#include "engine/attest/attest_llb.h"
#include "engine/source/source_env.h"

struct attest_materials {
	json_t *list;	    /* [{"uri", "digest"}], each once: images, git, http, sorted; owned */
	struct strv locals; /* names of contexts on this machine, sorted */
	json_t *secrets;    /* [{"id", "optional"}], sorted; owned */
	json_t *ssh;	    /* the same */
	bool network;	    /* a step may reach one */
};
/* Of the sources in these steps, which are pinned already, and of `git`, the context's repository;
 * NULL: it is none. Released by the caller in failure too. */
int attest_materials_find(const struct attest_steps *steps, const struct source_env *sources,
			  const struct op_source *git, struct attest_materials *ret,
			  struct error **err) _must_check_;
void attest_materials_release(struct attest_materials *m);

/* {"sha1": ...} of a commit; a new reference. */
json_t *attest_commit_digest(const char *commit);

#endif
