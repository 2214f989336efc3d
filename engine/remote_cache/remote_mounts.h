/* SPDX-License-Identifier: Apache-2.0 */
/* Cache mounts (RUN --mount=type=cache) that travel with a cache outside the store
 * (docs/formats-cache.md): each is a tar of its directory, compressed with zstd, in one
 * blob of the cache's manifest or, if it is large, several. What did not change gives the same
 * blobs, which are not sent again.
 *
 * What an imported cache has is offered at the start of a build, and moves only when a step takes a
 * mount that is new or empty here. Then it is fetched, verified, unpacked aside, and put in place
 * at once: a mount never holds half of what was to come, and never loses what it had.
 */
#ifndef KILN_ENGINE_REMOTE_CACHE_REMOTE_MOUNTS_H
#define KILN_ENGINE_REMOTE_CACHE_REMOTE_MOUNTS_H

#include "engine/remote_cache/remote_backend.h"
#include "engine/remote_cache/remote_manifest.h"
#include "store/mounts.h"

/* What the imported caches of one build have. Thread safe. */
struct remote_mounts;
struct remote_mounts *remote_mounts_new(struct store *s);
void remote_mounts_free(struct remote_mounts *m);
DEFINE_FREEP(struct remote_mounts, remote_mounts_free)

/* `from` (borrowed) has these mounts; with `only` (ids; not empty) those alone are taken. Of two
 * caches with one mount the one that was offered first is asked first. All offers come before the
 * first wish. */
void remote_mounts_offer(struct remote_mounts *m, struct remote_backend *from,
			 const struct remote_manifest *manifest, const struct strv *only);

/* Before a step takes a mount: restores it if it can be and has to be. Each is tried once a build;
 * who comes while another step restores the same one waits. What fails is a warning of `job` (may
 * be NULL); only ERR_CANCELED and a broken store are errors. `m` may be NULL. */
int remote_mounts_restore(struct remote_mounts *m, const struct mount_wish *wish, struct job *job,
			  struct error **err) _must_check_;

/* Sends the mounts of these ids and appends them to the manifest that is about to be written. One
 * that is not here or empty (no step of a build that found everything cached took it) stays as
 * `before` has it, the manifest that the name stands for now (may be NULL). Waits for steps that
 * use them. */
int remote_mounts_save(struct store *s, struct remote_backend *to, const struct strv *ids,
		       const struct remote_manifest *before, struct job *job,
		       struct remote_manifest *ret, struct error **err) _must_check_;

#endif
