/* SPDX-License-Identifier: Apache-2.0 */
/* .gitmodules: which repository belongs to which path of a tree. Read as git reads its
 * configuration files, but with no include and from bytes that are not trusted. */
#ifndef KILN_ENGINE_GIT_GITMODULES_H
#define KILN_ENGINE_GIT_GITMODULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/vec.h"

struct gitmodule {
	char *name, *path, *url; /* owned; path and url NULL if not given */
};
struct gitmodules {
	VEC(struct gitmodule) list;
};
/* ERR_INVALID, with the line, for what git would refuse, too. */
int gitmodules_parse(const char *text, size_t n, struct gitmodules *ret,
		     struct error **err) _must_check_;
void gitmodules_release(struct gitmodules *m);
/* The URL for a path; NULL if there is none. Borrowed. */
const char *gitmodules_url(const struct gitmodules *m, const char *path);

/* Resolves a URL that starts with "./" or "../" against the URL of the repository that holds the
 * .gitmodules; others are returned as they are. ERR_INVALID if it leads nowhere. Heap. */
int gitmodules_resolve_url(const char *remote, const char *url, char **ret,
			   struct error **err) _must_check_;

#endif
