/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/secrets/grants.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/named_file.h"
#include "engine/secrets/ssh_agent.h"

void grants_release(struct grants *g)
{
	for (size_t i = 0; i < g->secrets.n; i++) {
		free(g->secrets.v[i].id);
		free(g->secrets.v[i].file);
		free(g->secrets.v[i].env);
	}
	for (size_t i = 0; i < g->ssh.n; i++) {
		free(g->ssh.v[i].id);
		free(g->ssh.v[i].socket);
		ssh_agent_stop(g->ssh.v[i].agent);
	}
	vec_release(&g->secrets);
	vec_release(&g->ssh);
}

void grants_add_secret(struct grants *g, const char *id, const char *file, const char *env)
{
	struct grant_secret secret = {
		.id = xstrdup(id), .file = xstrdup(file), .env = xstrdup(env)};

	vec_push(&g->secrets, secret);
	/* Its value will be in our memory: a crash must not leave it in a core file. */
	(void)prctl(PR_SET_DUMPABLE, 0);
}

void grants_key_secret(struct grants *g, const char *id)
{
	for (size_t i = 0; i < g->secrets.n; i++)
		if (strcmp(g->secrets.v[i].id, id) == 0)
			g->secrets.v[i].in_key = true;
}

void grants_add_ssh(struct grants *g, const char *id, const char *socket)
{
	struct grant_ssh ssh = {xstrdup(id), xstrdup(socket), NULL};

	vec_push(&g->ssh, ssh);
}

int grants_add_ssh_keys(struct grants *g, struct store *store, const char *id,
			const struct strv *files, struct error **err)
{
	struct ssh_agent *agent;
	int r = ssh_agent_start(store, files, g->cancel, &agent, err);

	if (r < 0)
		return error_wrap(err, r, "--ssh %s", id);
	grants_add_ssh(g, id, ssh_agent_socket(agent));
	vec_last(&g->ssh).agent = agent;
	return 0;
}

int grants_read_secret(const struct grants *g, const char *id, bool *ret_found, struct buf *ret,
		       struct error **err)
{
	*ret_found = false;
	for (size_t i = 0; g && i < g->secrets.n; i++) {
		const struct grant_secret *secret = &g->secrets.v[i];
		int r;

		if (strcmp(secret->id, id) != 0)
			continue;
		*ret_found = true;
		if (secret->env) {
			const char *value = getenv(secret->env);

			buf_adds(ret, value ? value : "");
			return 0;
		}
		r = named_file_read(secret->file, g->cancel, ret);
		if (r == -EFBIG)
			return error_new(err, ERR_INVALID, 0, "secret %s: more than %u bytes", id,
					 GRANT_SECRET_MAX);
		if (r < 0)
			return error_new(err, named_file_error(r), -r, "secret %s: read '%s'", id,
					 secret->file);
		return 0;
	}
	return g && g->lender.read_secret
		       ? g->lender.read_secret(g->lender.data, id, ret_found, ret, err)
		       : 0;
}

int grants_find_agent(const struct grants *g, const char *id, char **ret, struct error **err)
{
	*ret = NULL;
	for (size_t i = 0; g && i < g->ssh.n; i++)
		if (strcmp(g->ssh.v[i].id, id) == 0) {
			*ret = xstrdup(g->ssh.v[i].socket);
			return 0;
		}
	return g && g->lender.find_agent ? g->lender.find_agent(g->lender.data, id, ret, err) : 0;
}
