/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/serve/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/times.h"

enum { COMES_WITHIN_S = 5, ANSWERS_WITHIN_S = 60 };

struct session {
	struct session *next;
	char *id;
	struct rpc_tunnel *tunnel;
	unsigned users;
	bool over;
};

static struct session *find(struct server *s, const char *id)
{
	struct session *session = s->sessions;

	while (session && (session->over || strcmp(session->id, id) != 0))
		session = session->next;
	return session;
}

void serve_session(struct server *s, struct rpc_call *c)
{
	const char *id = rpc_call_header(c, "x-docker-expose-session-uuid");
	struct session *session, **at;

	if (!id || !*id) {
		serve_fail(s, c, RPC_INVALID, "the session has no x-docker-expose-session-uuid");
		return;
	}
	session = NEW(struct session);
	session->id = xstrdup(id);
	session->tunnel = rpc_tunnel_open(s->loop, c);
	pthread_mutex_lock(&s->lock);
	session->next = s->sessions;
	s->sessions = session;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);

	rpc_wait_closed(s->loop, c);

	/* With the tunnel all calls in it have ended, so that their makers come to an end. */
	pthread_mutex_lock(&s->lock);
	session->over = true;
	while (session->users > 0)
		pthread_cond_wait(&s->changed, &s->lock);
	for (at = &s->sessions; *at != session; at = &(*at)->next)
		;
	*at = session->next;
	pthread_mutex_unlock(&s->lock);
	rpc_tunnel_close(s->loop, session->tunnel);
	free(session->id);
	free(session);
	serve_done(s, c);
}

int session_find(struct server *s, const char *id, struct session **ret, struct error **err)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += COMES_WITHIN_S;
	pthread_mutex_lock(&s->lock);
	while (!(*ret = find(s, id)))
		if (pthread_cond_timedwait(&s->changed, &s->lock, &until) != 0)
			break;
	if (*ret)
		(*ret)->users++;
	pthread_mutex_unlock(&s->lock);
	return *ret ? 0 : error_new(err, ERR_NOTFOUND, 0, "there is no session \"%s\"", id);
}

void session_put(struct server *s, struct session *session)
{
	if (!session)
		return;
	pthread_mutex_lock(&s->lock);
	session->users--;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

int session_call(struct server *s, struct session *session, const char *path,
		 const struct rpc_header *headers, size_t n, struct rpc_call **ret,
		 struct error **err)
{
	*ret = rpc_start(s->loop, session->tunnel, path, headers, n, 0);
	return *ret ? 0 : error_new(err, ERR_UNAVAILABLE, 0, "the client's session has ended");
}

int session_ask(struct server *s, struct session *session, const char *path,
		const ProtobufCMessage *question, const ProtobufCMessageDescriptor *type,
		void **ret, struct error **err)
{
	_cleanup_buf_ struct buf answer = BUF_INIT;
	struct rpc_call *c =
		rpc_start(s->loop, session->tunnel, path, NULL, 0, ANSWERS_WITHIN_S * NS_PER_S);
	int r = 0;

	if (!c)
		return error_new(err, ERR_UNAVAILABLE, 0, "the client's session has ended");
	serve_send(s, c, question);
	rpc_end(s->loop, c);
	if (rpc_recv(s->loop, c, &answer) > 0) {
		*ret = protobuf_c_message_unpack(type, NULL, answer.n, (const uint8_t *)answer.p);
		if (!*ret)
			r = error_new(err, ERR_INVALID, 0, "%s: the client's answer is malformed",
				      path);
		/* It may be a secret. */
		explicit_bzero(answer.p, answer.n);
	} else {
		enum rpc_status status = rpc_result(s->loop, c, err);

		/* One that does not serve this has none of it. */
		r = status == RPC_NOTFOUND || status == RPC_UNIMPLEMENTED ? -ERR_NOTFOUND
									  : -ERR_UNAVAILABLE;
		if (status == RPC_OK)
			r = error_new(err, ERR_UNAVAILABLE, 0, "%s: the client did not answer",
				      path);
	}
	rpc_release(s->loop, c);
	return r;
}
