/* SPDX-License-Identifier: Apache-2.0 */
/* Which commit a git ref stands for, by what a server advertises.
 *
 * A ref is a full name ("refs/pull/7/head"), one without "refs/", a branch, a tag (in this order,
 * as git checkout prefers), a full commit hash, or "" and "HEAD" for the default branch.
 */
#ifndef KILN_ENGINE_GIT_GITREF_H
#define KILN_ENGINE_GIT_GITREF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/vec.h"

enum { GITREF_HEX = 40 };

struct gitref_head {
	char *name;   /* "HEAD", "refs/tags/v1", "refs/tags/v1^{}" for what a tag points to */
	char *target; /* the branch that HEAD names; NULL if unknown */
	char oid[GITREF_HEX + 1];
};

struct gitref_list {
	VEC(struct gitref_head) heads;
};
void gitref_list_release(struct gitref_list *l);
/* Copies. A hash of another length is ignored. */
void gitref_list_add(struct gitref_list *l, const char *name, const char *oid, const char *target);

struct gitref {
	char *name;		     /* in full; NULL: only the commit is known */
	char oid[GITREF_HEX + 1];    /* what the ref names: a commit or an annotated tag */
	char commit[GITREF_HEX + 1]; /* the commit that this leads to */
};
void gitref_release(struct gitref *r);

/* Is `text` a whole commit hash? */
bool gitref_is_commit(const char *text);
/* ERR_INVALID for what no server should ever see: a ref that looks like an option, control
 * characters. */
int gitref_check(const char *ref, struct error **err) _must_check_;
/* ERR_INVALID unless `checksum` is hexadecimal. */
int gitref_check_checksum(const char *checksum, struct error **err) _must_check_;

/* `checksum` (NULL: none) is a prefix that the commit or the tag must have. ERR_NOTFOUND if nothing
 * advertised fits the ref. */
int gitref_resolve(const struct gitref_list *list, const char *ref, const char *checksum,
		   struct gitref *ret, struct error **err) _must_check_;
/* A ref that is a commit hash, which needs no list. */
int gitref_from_commit(const char *commit, const char *checksum, struct gitref *ret,
		       struct error **err) _must_check_;

#endif
