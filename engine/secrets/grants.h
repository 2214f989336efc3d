/* SPDX-License-Identifier: Apache-2.0 */
/* What a build is given beside its graph and must not leak: the values of secrets and the agents
 * that sign for it. Sources and steps take them from here; no part of them enters a key but secrets
 * that are marked so (secret_salt.h). */
#ifndef KILN_ENGINE_SECRETS_GRANTS_H
#define KILN_ENGINE_SECRETS_GRANTS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/strv.h"
#include "base/vec.h"
#include "store/store.h"

#define GRANT_SECRET_MAX (500u << 10) /* bytes, BuildKit's limit */

struct ssh_agent;

/* --secret: the value is a file's content or an environment variable. */
struct grant_secret {
	char *id, *file, *env; /* owned; one of file and env is set */
	bool in_key;	       /* a step that uses it is found only for this value of it */
};
/* --ssh: an agent's socket. */
struct grant_ssh {
	char *id, *socket;	 /* owned */
	struct ssh_agent *agent; /* one of our own with key files, owned; or NULL */
};

/* Somebody who has what was not given; each may be NULL. Called from several threads. */
struct grants_lender {
	/* Appends the value of a secret to *ret. */
	int (*read_secret)(void *data, const char *id, bool *ret_found, struct buf *ret,
			   struct error **err);
	/* The path of an agent's socket (heap); NULL if there is none of that id. */
	int (*find_agent)(void *data, const char *id, char **ret, struct error **err);
	void *data;
};

struct grants {
	VEC(struct grant_secret) secrets;
	VEC(struct grant_ssh) ssh;
	struct grants_lender lender;
	struct cancel *cancel; /* of the build, for what is read from pipes; may be NULL */
};
void grants_release(struct grants *g);

/* Copies; NULL for what is not set. */
void grants_add_secret(struct grants *g, const char *id, const char *file, const char *env);
/* Marks the secret. */
void grants_key_secret(struct grants *g, const char *id);
/* Appends the value to `ret`, whose max bounds it. *ret_found = false if there is no such secret;
 * `g` may be NULL, which has none. */
int grants_read_secret(const struct grants *g, const char *id, bool *ret_found, struct buf *ret,
		       struct error **err) _must_check_;

/* The socket of that agent (heap), NULL if there is none; `g` may be NULL. */
int grants_find_agent(const struct grants *g, const char *id, char **ret,
		      struct error **err) _must_check_;
void grants_add_ssh(struct grants *g, const char *id, const char *socket);
/* Starts an agent for these key files. */
int grants_add_ssh_keys(struct grants *g, struct store *store, const char *id,
			const struct strv *files, struct error **err) _must_check_;

#endif
