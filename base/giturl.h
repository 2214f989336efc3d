/* SPDX-License-Identifier: Apache-2.0 */
/* Git URLs as build contexts and ADD take them: a URL or scp-like address, with "#ref:subdir" and
 * "?key=value" parts. */
#ifndef KILN_BASE_GITURL_H
#define KILN_BASE_GITURL_H

#include <stdbool.h>

#include "base/error.h"

struct giturl {
	char *remote; /* what git fetches from, without fragment and query */
	char *host;   /* without the user */
	char *path;   /* with a leading slash */
	bool ssh;
	char *ref;	/* "" if unset; tag= and branch= give refs/tags/.. and refs/heads/.. */
	char *subdir;	/* "" if unset; clean, relative */
	char *checksum; /* NULL if unset: commit=, checksum= */
	int keep_git_dir, submodules; /* -1 if unset, else 0 or 1 */
	bool fetch_by_commit, mtime_commit;
};

/* 1: it is a git URL. 0: it is something else (a path, an http URL without ".git"). Negative: a git
 * URL with a bad query, ERR_INVALID. `github.com/owner/repo` counts as a git URL only in
 * giturl_parse_context. */
int giturl_parse(const char *text, struct giturl *ret, struct error **err) _must_check_;
int giturl_parse_context(const char *text, struct giturl *ret, struct error **err) _must_check_;
void giturl_release(struct giturl *u);
/* `url` (also scp-like) without user and password where it has a scheme, for messages. Heap. */
char *giturl_display(const char *url);
/* "host/path#ref:subdir": the same for every protocol. Heap. */
char *giturl_identifier(const struct giturl *u);

#endif
