/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to git servers: which refs there are, and fetching one of them into a repository.
 *
 * libgit2 speaks git's protocol; the bytes travel over our own http, over TCP (git://) or through
 * ssh(1), so that trust, credentials and Ctrl-C are what they are everywhere in kiln. Web servers
 * that only serve a repository's files ("dumb" HTTP) are read file by file. file:// works only
 * where $KILN_ALLOW_FILE_GIT is 1: what a Dockerfile names must not reach files beside the context.
 */
#ifndef KILN_ENGINE_GIT_GITNET_H
#define KILN_ENGINE_GIT_GITNET_H

#include "base/giturl.h"
#include "engine/config/config.h"
#include "engine/git/gitlib.h"
#include "engine/git/gitref.h"
#include "engine/http/http.h"
#include "solver/progress.h"
#include "store/store.h"

/* One server's repository and what reaching it needs. All borrowed. */
struct gitnet {
	const char *url;
	struct store *store; /* for what is spooled */
	struct http *http;
	const struct config *config;
	const char *authorization; /* header for http; NULL: none */
	const char *ssh_socket;	   /* of an agent; NULL: none */
	struct job *job;	   /* may be NULL */
};

/* Is the URL one that may be asked? ERR_INVALID for what could be taken for an option,
 * ERR_UNSUPPORTED for other schemes, ERR_DENIED for files. */
int gitnet_check_url(const char *url, struct error **err) _must_check_;
/* "host:port" as written in the URL. Heap. */
char *gitnet_host(const char *url);

/* One round trip. Errors: ERR_UNAVAILABLE (unknown host, refused), ERR_DENIED (credentials,
 * certificates, host keys), ERR_NOTFOUND (no such repository), ERR_CANCELED. */
int gitnet_list(const struct gitnet *n, struct gitref_list *ret, struct error **err) _must_check_;
/* Brings what ref->oid names, with all its history, into `repo`, a bare repository. */
int gitnet_fetch(const struct gitnet *n, git_repository *repo, const struct gitref *ref,
		 struct error **err) _must_check_;

#endif
