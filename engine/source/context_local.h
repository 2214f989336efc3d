/* SPDX-License-Identifier: Apache-2.0 */
/* A host directory as a build context.
 *
 * context_open walks the directory once, in parallel, and keeps what .dockerignore leaves. Contents
 * are hashed on first use only, and not at all where the stat index (store/statindex.h) knows them.
 * A file that changes while it is read is read again; one that keeps changing is an error. Owners
 * read as 0:0 and sockets as empty files, as a client would send them to a builder.
 */
#ifndef KILN_ENGINE_SOURCE_CONTEXT_LOCAL_H
#define KILN_ENGINE_SOURCE_CONTEXT_LOCAL_H

#include "base/strv.h"
#include "engine/tree/tree.h"
#include "solver/progress.h"
#include "store/store.h"

/* Where ignore patterns come from. */
struct ignore_file {
	char *name, *text;
	size_t n;
};

/* `excludes`: lines of the ignore file as ignorefile_parse gives them; NULL: none.
 * `follow`: only these paths (wildcards allowed; symlinks in them are followed) and what is below
 * them are looked at; NULL or a list with "/" or "" or ".": everything. A path that does not exist
 * is not an error here. Reports "transferring context:" through `job` (may be NULL). The stat
 * index is written when the tree is freed. */
int context_open(struct store *s, const char *dir, const struct strv *excludes,
		 const struct strv *follow, struct job *job, struct tree **ret,
		 struct error **err) _must_check_;

/* Files read as 0644, or 0755 where anybody may execute them, directories as 0755: what a checkout
 * under any umask gives. To be called before the tree is used. */
void context_normalize_modes(struct tree *t);

/* For messages: the file whose lines the excludes are. Borrowed, for as long as the tree is used. */
void context_explain_ignored(struct tree *t, const struct ignore_file *file);

#endif
