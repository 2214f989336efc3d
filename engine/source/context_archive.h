/* SPDX-License-Identifier: Apache-2.0 */
/* Build contexts other than local directories: an archive, or a Dockerfile alone, from standard
 * input or by URL.
 *
 * An archive (tar, plain or compressed with gzip, bzip2, xz or zstd, known by its content) becomes
 * one layer of the store, with owners and times as they stand in it; engine_add_layer_context makes
 * it a context. Archives come from strangers: see `strict` in engine/layer/unpack_archive.h and
 * docs/contexts.md. Of a URL the server's validators are kept, so that a context that did not
 * change is neither fetched nor unpacked again.
 */
#ifndef KILN_ENGINE_SOURCE_CONTEXT_ARCHIVE_H
#define KILN_ENGINE_SOURCE_CONTEXT_ARCHIVE_H

#include "base/buf.h"
#include "engine/source/source_env.h"

#define CONTEXT_DOCKERFILE_MAX (16 << 20) /* bytes */

struct context_archive {
	bool is_dockerfile; /* not an archive: the bytes are in `dockerfile`, the context is empty
			     */
	int64_t layer;	    /* the unpacked archive */
	struct buf dockerfile;
};
#define CONTEXT_ARCHIVE_INIT                                       \
	{                                                          \
		.dockerfile = BUF_INIT_MAX(CONTEXT_DOCKERFILE_MAX) \
	}
void context_archive_release(struct context_archive *c);

/* Reads `fd` (a pipe or a file) from its position to its end; `what` names it in errors. Of a quiet
 * job (job_open_quiet) nothing is shown if it is a small Dockerfile. `job` may be NULL. */
int context_archive_read(const struct source_env *e, int fd, const char *what, struct job *job,
			 struct context_archive *ret, struct error **err) _must_check_;
/* Fetches an http or https URL. */
int context_archive_fetch(const struct source_env *e, const char *url, struct job *job,
			  struct context_archive *ret, struct error **err) _must_check_;
/* The time of an unpacked archive, which is that of its newest member (seconds). */
int context_archive_time(const struct source_env *e, int64_t layer, int64_t *ret,
			 struct error **err) _must_check_;
/* A Dockerfile by URL, whatever its content looks like. */
int context_dockerfile_fetch(const struct source_env *e, const char *url, struct job *job,
			     struct buf *ret, struct error **err) _must_check_;

#endif
