/* SPDX-License-Identifier: Apache-2.0 */
/* How bytes travel between libgit2 and a server. Private to gitnet*.c. */
#ifndef KILN_ENGINE_GIT_GITNET_TRANSPORT_H
#define KILN_ENGINE_GIT_GITNET_TRANSPORT_H

#include <git2/sys/transport.h>

#include "base/alloc.h"
#include "engine/git/gitnet.h"

/* One conversation. */
struct gitnet_call {
	const struct gitnet *net;
	struct error *failed; /* the first failure in a callback, which libgit2 cannot carry */
	bool dumb;	      /* the server only serves files */
	int64_t shown;	      /* when progress was shown last */
};

/* Keeps `e` (takes it) and returns what tells libgit2 to stop. */
int gitnet_callback_failed(struct gitnet_call *call, struct error *e);
struct cancel *gitnet_cancel(const struct gitnet *n);
/* Shows bytes received so far, a few times a second. */
void gitnet_show(struct gitnet_call *call, uint64_t received, bool completed);

/* git_smart_subtransport_cb; the parameter is a struct gitnet_call. */
int gitnet_http_new(git_smart_subtransport **out, git_transport *owner, void *call) _must_check_;
int gitnet_pipe_new(git_smart_subtransport **out, git_transport *owner, void *call) _must_check_;

/* What all http requests to the server have in common. `url` decides whether the credentials may
 * go along. */
void gitnet_http_request(const struct gitnet *n, const char *url, struct http_request *ret);
/* ERR_DENIED or ERR_NOTFOUND or ERR_UNAVAILABLE for any status but 200. */
int gitnet_http_check(const struct gitnet *n, const struct http_response *resp,
		      struct error **err) _must_check_;

/* --- gitnet_dumb.c --- */
int gitnet_dumb_list(const struct gitnet *n, struct gitref_list *ret,
		     struct error **err) _must_check_;
int gitnet_dumb_fetch(const struct gitnet *n, git_repository *repo, const char *oid,
		      struct error **err) _must_check_;

#endif
