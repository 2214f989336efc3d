/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_host.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/fs.h"
#include "base/json.h"
#include "cmd/cli/session.h"
#include "engine/config/docker_auth.h"

enum { ANSWER_MAX = 2 << 20 };

struct build_host {
	int fd;
	struct cancel *cancel;
	struct cancel stop; /* the watcher is to end */
	pthread_t watcher;
	pthread_mutex_t lock; /* held over a question and its answer */
};

static void *watch(void *arg)
{
	struct build_host *h = arg;
	struct pollfd polls[] = {{.fd = h->fd, .events = POLLRDHUP},
				 {.fd = h->stop.fd, .events = POLLIN}};

	while (poll(polls, ARRAY_SIZE(polls), -1) < 0 && errno == EINTR)
		;
	if (!cancel_is_set(&h->stop))
		cancel_set(h->cancel);
	return NULL;
}

int build_host_open(int fd, struct cancel *cancel, struct build_host **ret, struct error **err)
{
	struct build_host *h = NEW(struct build_host);
	int r;

	h->fd = fd;
	h->cancel = cancel;
	pthread_mutex_init(&h->lock, NULL);
	cancel_init(&h->stop);
	r = pthread_create(&h->watcher, NULL, watch, h);
	if (r != 0) {
		cancel_release(&h->stop);
		free(h);
		return error_new(err, ERR_IO, r, "start a thread");
	}
	/* Secrets will be in our memory: a crash must not leave them in a core file. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	*ret = h;
	return 0;
}

void build_host_close(struct build_host *h)
{
	if (!h)
		return;
	docker_auth_by(NULL, NULL);
	cancel_set(&h->stop);
	(void)pthread_join(h->watcher, NULL);
	cancel_release(&h->stop);
	pthread_mutex_destroy(&h->lock);
	cleanup_closep(&h->fd);
	free(h);
}

static int send_line(const struct build_host *h, json_t *doc)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	js_dump(doc, false, &b);
	buf_addc(&b, '\n');
	json_decref(doc);
	return fs_write_full(h->fd, b.p, b.n);
}

/* Waits for the line, which may be long in coming: somebody may be asked for a password. */
static int read_line(const struct build_host *h, struct buf *b)
{
	struct pollfd polls[] = {{.fd = h->fd, .events = POLLIN},
				 {.fd = h->cancel->fd, .events = POLLIN}};

	while (!memchr(b->p, '\n', b->n)) {
		char piece[4096];
		ssize_t n;

		if (poll(polls, ARRAY_SIZE(polls), -1) < 0 && errno != EINTR)
			return -errno;
		if (cancel_is_set(h->cancel))
			return -ECANCELED;
		n = recv(h->fd, piece, sizeof(piece), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		buf_add(b, piece, (size_t)n);
		explicit_bzero(piece, sizeof(piece));
		if (b->full)
			return -EMSGSIZE;
	}
	return 0;
}

static int ask(struct build_host *h, const char *what, const char *of, json_t **ret,
	       struct error **err)
{
	struct buf line = BUF_INIT_MAX(ANSWER_MAX);
	const char *failure = NULL;
	int r;

	pthread_mutex_lock(&h->lock);
	r = send_line(h, json_pack("{s:s, s:s}", "ask", what, "of", of));
	if (r == 0)
		r = read_line(h, &line);
	pthread_mutex_unlock(&h->lock);
	if (r < 0)
		r = error_new(err, r == -ECANCELED ? ERR_CANCELED : ERR_IO, -r,
			      "ask the client for %s", what);
	else
		r = js_parse("the server's answer", line.p, line.n, ret, err);
	explicit_bzero(line.p, line.n);
	buf_release(&line);
	if (r == 0)
		r = js_string(*ret, "error", &failure, err);
	if (r == 0 && failure)
		r = error_new(err, ERR_UNAVAILABLE, 0, "%s", failure);
	return r;
}

static bool is_found(const json_t *answer)
{
	return json_is_true(json_object_get(answer, "found"));
}

static int read_secret(void *data, const char *id, bool *ret_found, struct buf *ret,
		       struct error **err)
{
	_cleanup_json_ json_t *answer = NULL;
	const char *value = NULL;
	int r = ask(data, "secret", id, &answer, err);

	if (r == 0)
		r = js_string(answer, "value", &value, err);
	if (r < 0)
		return error_wrap(err, r, "secret %s", id);
	*ret_found = is_found(answer);
	if (*ret_found && (!value || base64_decode(value, ret) < 0))
		return error_new(err, ERR_INVALID, 0, "secret %s: more than %u bytes", id,
				 GRANT_SECRET_MAX);
	return 0;
}

static int find_agent(void *data, const char *id, char **ret, struct error **err)
{
	_cleanup_json_ json_t *answer = NULL;
	const char *path = NULL;
	int r = ask(data, "agent", id, &answer, err);

	if (r == 0)
		r = js_string(answer, "socket", &path, err);
	if (r < 0)
		return error_wrap(err, r, "ssh agent %s", id);
	*ret = xstrdup(path);
	return 0;
}

static int find_credentials(void *data, const char *host, bool *ret_found, struct credentials *ret,
			    struct error **err)
{
	_cleanup_json_ json_t *answer = NULL;
	const char *user = NULL, *secret = NULL;
	int r = ask(data, "credentials", host, &answer, err);

	if (r == 0)
		r = js_string(answer, "username", &user, err);
	if (r == 0)
		r = js_string(answer, "secret", &secret, err);
	if (r < 0)
		return error_wrap(err, r, "credentials for %s", host);
	*ret_found = is_found(answer) && secret && *secret;
	if (!*ret_found)
		return 0;
	ret->secret = xstrdup(secret);
	ret->identity_token = !user || !*user;
	ret->username = ret->identity_token ? NULL : xstrdup(user);
	return 0;
}

void build_host_lend(struct build_host *h, struct grants *g)
{
	g->lender = (struct grants_lender){
		.read_secret = read_secret, .find_agent = find_agent, .data = h};
	docker_auth_by(find_credentials, h);
}

void build_host_fail(struct build_host *h, const struct error *err, const char *name,
		     const struct buf *data)
{
	const char *hint = session_hint(err);
	_cleanup_free_ char *text =
		hint ? xasprintf("%s\n%s", error_text(err), hint) : xstrdup(error_text(err));
	json_t *doc = json_pack("{s:s}", "error", text), *value;

	if (!doc)
		doc = json_pack("{s:s}", "error", "(the message is not UTF-8)");
	if (error_exit_status(err) != 0)
		json_object_set_new(doc, "status", json_integer(error_exit_status(err)));
	if (name && error_file(err) && error_span(err).line > 0) {
		_cleanup_free_ char *base64 = base64_encode(data->p, data->n);
		struct source_span span = error_span(err);

		value = json_string(name);
		json_object_set_new(doc, "file", value ? value : json_string("Dockerfile"));
		json_object_set_new(doc, "data", json_string(base64));
		json_object_set_new(doc, "line", json_integer((json_int_t)span.line));
		json_object_set_new(
			doc, "end_line",
			json_integer((json_int_t)(span.end_line > span.line ? span.end_line
									    : span.line)));
	}
	(void)send_line(h, doc);
}
