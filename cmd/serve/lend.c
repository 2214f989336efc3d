/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/serve/lend.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "cmd/serve/api.pb-c.h"

static json_t *failed(struct error *err)
{
	json_t *answer = json_pack("{s:s}", "error", error_text(err));

	error_free(err);
	return answer ? answer : json_pack("{s:s}", "error", "the client's error is not UTF-8");
}

static json_t *not_found(struct error *err)
{
	error_free(err);
	return json_pack("{s:b}", "found", 0);
}

static json_t *get_secret(struct lend *l, const char *id)
{
	_cleanup_free_ char *value = NULL;
	Bk__GetSecretRequest q;
	Bk__GetSecretResponse *m = NULL;
	struct error *err = NULL;
	json_t *answer;
	int r;

	bk__get_secret_request__init(&q);
	q.id = serve_text(id);
	r = session_ask(l->server, l->session, "/moby.buildkit.secrets.v1.Secrets/GetSecret",
			&q.base, &bk__get_secret_response__descriptor, (void **)&m, &err);
	if (r == -ERR_NOTFOUND)
		return not_found(err);
	if (r < 0)
		return failed(err);
	value = base64_encode(m->data.data, m->data.len);
	answer = json_pack("{s:b, s:s}", "found", 1, "value", value);
	explicit_bzero(value, strlen(value));
	explicit_bzero(m->data.data, m->data.len);
	bk__get_secret_response__free_unpacked(m, NULL);
	return answer;
}

/* BuildKit's clients know docker's own registry by its old name. */
static json_t *get_credentials(struct lend *l, const char *host)
{
	Bk__CredentialsRequest q;
	Bk__CredentialsResponse *m = NULL;
	struct error *err = NULL;
	json_t *answer;
	int r;

	bk__credentials_request__init(&q);
	q.host = serve_text(strcmp(host, "docker.io") == 0 ? "registry-1.docker.io" : host);
	r = session_ask(l->server, l->session, "/moby.filesync.v1.Auth/Credentials", &q.base,
			&bk__credentials_response__descriptor, (void **)&m, &err);
	if (r == -ERR_NOTFOUND)
		return not_found(err);
	if (r < 0)
		return failed(err);
	answer = json_pack("{s:b, s:s, s:s}", "found", *m->secret != '\0', "username", m->username,
			   "secret", m->secret);
	explicit_bzero(m->secret, strlen(m->secret));
	bk__credentials_response__free_unpacked(m, NULL);
	return answer ? answer : json_pack("{s:b}", "found", 0);
}

/* Does the client have that agent? */
static int check_agent(struct lend *l, const char *id, struct error **err)
{
	Bk__CheckAgentRequest q;
	Bk__Opaque *m = NULL;
	int r;

	bk__check_agent_request__init(&q);
	q.id = serve_text(id);
	r = session_ask(l->server, l->session, "/moby.sshforward.v1.SSH/CheckAgent", &q.base,
			&bk__opaque__descriptor, (void **)&m, err);
	if (m)
		bk__opaque__free_unpacked(m, NULL);
	return r;
}

static json_t *get_agent(struct lend *l, const char *id)
{
	_cleanup_free_ char *path = NULL;
	struct error *err = NULL;
	struct agent *a = NULL;

	for (size_t i = 0; i < l->agents.n; i++)
		if (strcmp(agent_id(l->agents.v[i]), id) == 0)
			return json_pack("{s:b, s:s}", "found", 1, "socket",
					 agent_path(l->agents.v[i]));
	/* Clients say in many ways that they have none of that id. */
	if (check_agent(l, id, &err) < 0)
		return not_found(err);
	path = xasprintf("%s/agent%zu", l->dir, l->agents.n);
	if (agent_open(l->server, l->session, id, path, &a, &err) < 0)
		return failed(err);
	vec_push(&l->agents, a);
	return json_pack("{s:b, s:s}", "found", 1, "socket", path);
}

json_t *lend_answer(struct lend *l, const json_t *question)
{
	const char *ask = json_string_value(json_object_get(question, "ask"));
	const char *of = json_string_value(json_object_get(question, "of"));

	if (ask && of && strcmp(ask, "secret") == 0)
		return get_secret(l, of);
	if (ask && of && strcmp(ask, "credentials") == 0)
		return get_credentials(l, of);
	if (ask && of && strcmp(ask, "agent") == 0)
		return get_agent(l, of);
	return json_pack("{s:b}", "found", 0);
}

void lend_release(struct lend *l)
{
	for (size_t i = 0; i < l->agents.n; i++)
		agent_close(l->agents.v[i]);
	vec_release(&l->agents);
}
