/* SPDX-License-Identifier: Apache-2.0 */
/* Git sources: what ADD of a git URL and contexts by git URL read.
 *
 *	git_sources_pin(g, &op, job, &key, err);	asks the server what the ref is now
 *	git_sources_layer(g, &op, job, &layer, err);	fetches and checks out
 *
 * A source op names its repository in the attribute git.fullurl, ref and subdirectory in the
 * identifier ("git://host/path#ref:subdir"). Its key is the commit with what else shapes the files
 * (docs/contexts.md). Fetched objects are kept in a bare repository per remote below git/ of the
 * store, which nothing else needs: it may be removed at any time that no build runs. Thread safe.
 */
#ifndef KILN_ENGINE_GIT_SOURCE_GIT_H
#define KILN_ENGINE_GIT_SOURCE_GIT_H

#include "engine/config/config.h"
#include "solver/op.h"
#include "solver/progress.h"
#include "store/store.h"

struct grants;
struct git_sources;
/* All borrowed. Does nothing but allocate. */
struct git_sources *git_sources_new(struct store *s, const struct config *config,
				    const struct grants *grants);
void git_sources_free(struct git_sources *g); /* no call may be running */
DEFINE_FREEP(struct git_sources, git_sources_free)

/* One round trip to the server, none if the ref is a commit. ERR_NOTFOUND: there is no such ref or
 * repository; ERR_CORRUPT: git.checksum does not match; else as gitnet_list. */
int git_sources_pin(struct git_sources *g, const struct op_source *op, struct job *job,
		    struct digest *ret_key, struct error **err) _must_check_;
int git_sources_layer(struct git_sources *g, const struct op_source *op, struct job *job,
		      int64_t *ret_layer, struct error **err) _must_check_;
/* The commit that was pinned, in hex. Heap. */
int git_sources_commit(struct git_sources *g, const struct op_source *op, struct job *job,
		       char **ret, struct error **err) _must_check_;
/* The time of the commit, in seconds. */
int git_sources_time(struct git_sources *g, const struct op_source *op, struct job *job,
		     int64_t *ret_time, struct error **err) _must_check_;

#endif
