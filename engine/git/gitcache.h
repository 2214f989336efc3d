/* SPDX-License-Identifier: Apache-2.0 */
/* Fetched git objects: a bare repository per remote URL, git/<hash of the URL> of the store.
 *
 * Nothing else in the store needs them; they save fetching again what a ref had before it moved. A
 * repository is locked while it changes; none goes while any is in use. */
#ifndef KILN_ENGINE_GIT_GITCACHE_H
#define KILN_ENGINE_GIT_GITCACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/git/gitlib.h"
#include "store/lock.h"
#include "store/store.h"

/* Those that no build used for so long go. */
#define GITCACHE_AGE_MAX_S (INT64_C(30) * 24 * 60 * 60)

/* Until the lock is released no repository goes. Taken before gitcache_open. */
int gitcache_use(struct store *s, struct cancel *cancel, struct lock **ret,
		 struct error **err) _must_check_;
/* Opens or makes the repository for a URL. Its objects may be read after *ret_lock was released:
 * they only ever come. */
int gitcache_open(struct store *s, const char *url, struct cancel *cancel, struct lock **ret_lock,
		  git_repository **ret, struct error **err) _must_check_;
/* Is everything here that `oid`, a commit or tag, leads to? Its objects may have come one
 * by one. */
bool gitcache_has(git_repository *repo, const char *oid);
int gitcache_set_complete(git_repository *repo, const char *oid, struct error **err) _must_check_;

/* Removes repositories that were last used before `before` (seconds; INT64_MAX: all), unless any is
 * in use now; adds to *ret_bytes what they took. With dry_run only counts. ret_bytes may be
 * NULL. */
int gitcache_prune(struct store *s, int64_t before, bool dry_run, uint64_t *ret_bytes,
		   struct error **err) _must_check_;

#endif
