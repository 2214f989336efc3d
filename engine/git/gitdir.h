/* SPDX-License-Identifier: Apache-2.0 */
/* A .git directory for an image: what `git log`, `git status` and `git describe` need, with one
 * commit of history (a shallow clone, as of depth 1), HEAD detached at it. */
#ifndef KILN_ENGINE_GIT_GITDIR_H
#define KILN_ENGINE_GIT_GITDIR_H

#include "engine/git/gitref.h"
#include "engine/git/gittree.h"
#include "store/store.h"

/* Writes ".git" at the root of the layer. `url` becomes the origin: it must hold no secret. */
int gitdir_write(struct gittree *t, struct store *s, git_repository *repo, const struct gitref *ref,
		 const char *url, struct error **err) _must_check_;

#endif
