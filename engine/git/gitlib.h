/* SPDX-License-Identifier: Apache-2.0 */
/* libgit2, started when the first git source needs it, and its errors as ours. Private to git*.c
 * and source_git.c, which alone know of libgit2.
 *
 * Nothing on this machine but the store shapes what git sources give: the configuration files of
 * git are not read.
 */
#ifndef KILN_ENGINE_GIT_GITLIB_H
#define KILN_ENGINE_GIT_GITLIB_H

#include <git2.h>

#include "base/error.h"

int gitlib_start(struct error **err) _must_check_;
/* The same as error_new, with what libgit2 says of this thread's last failure behind it. */
int gitlib_fail(struct error **err, enum err_code code, const char *fmt, ...) _printf_(3, 4);

static inline void gitlib_blob_freep(git_blob **p)
{
	git_blob_free(*p);
}

static inline void gitlib_commit_freep(git_commit **p)
{
	git_commit_free(*p);
}

static inline void gitlib_object_freep(git_object **p)
{
	git_object_free(*p);
}

static inline void gitlib_odb_freep(git_odb **p)
{
	git_odb_free(*p);
}

static inline void gitlib_odb_object_freep(git_odb_object **p)
{
	git_odb_object_free(*p);
}

static inline void gitlib_remote_freep(git_remote **p)
{
	git_remote_free(*p);
}

static inline void gitlib_repository_freep(git_repository **p)
{
	git_repository_free(*p);
}

static inline void gitlib_tree_freep(git_tree **p)
{
	git_tree_free(*p);
}

#endif
