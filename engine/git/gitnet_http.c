/* SPDX-License-Identifier: Apache-2.0 */
/* Git's smart HTTP protocol (Documentation/gitprotocol-http of git): GET info/refs, then POSTs to
 * git-upload-pack. An answer is spooled in the store before libgit2 sees it, so that its size costs
 * no memory and credentials and redirects are the http module's. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/git/gitnet_transport.h"

#define LIST_SUFFIX "/info/refs?service=git-upload-pack"
#define REQUEST_MAX ((size_t)64 << 20)

struct transport {
	git_smart_subtransport base;
	struct gitnet_call *call;
	char *url; /* of the repository, after redirects */
};

struct stream {
	git_smart_subtransport_stream base;
	struct transport *transport;
	bool is_list;
	struct buf request;
	int answer; /* file; -1: not asked yet */
	uint64_t received;
};

void gitnet_http_request(const struct gitnet *n, const char *url, struct http_request *ret)
{
	_cleanup_free_ char *host = gitnet_host(url);
	const struct registry_config *trust = config_registry(n->config, host);

	*ret = (struct http_request){
		.url = url,
		.ca = trust ? trust->ca : NULL,
		.insecure = trust && trust->insecure,
		.plain = strncmp(n->url, "http://", 7) == 0,
		.authorization = http_url_same_origin(n->url, url) ? n->authorization : NULL,
		.cancel = gitnet_cancel(n),
	};
}

int gitnet_http_check(const struct gitnet *n, const struct http_response *resp, struct error **err)
{
	_cleanup_free_ char *shown = giturl_display(n->url), *host = gitnet_host(n->url);
	int r;

	if (resp->status == 200)
		return 0;
	if (resp->status == 404 || resp->status == 410)
		return error_new(err, ERR_NOTFOUND, 0, "%s: repository not found (%d)", shown,
				 resp->status);
	if (resp->status != 401 && resp->status != 403)
		return error_new(err, ERR_UNAVAILABLE, 0,
				 "%s: unexpected answer from the server: %d", shown, resp->status);
	r = error_new(err, ERR_DENIED, 0, "%s: authentication %s (%d)", shown,
		      n->authorization ? "failed" : "is needed, or there is no such repository",
		      resp->status);
	return error_hint(err, r, "give a %stoken with --secret id=GIT_AUTH_TOKEN.%s",
			  n->authorization ? "valid " : "", host);
}

/* --- One request --- */

static int keep(void *data, const void *p, size_t n, struct error **err)
{
	struct stream *s = data;
	int r = fs_write_full(s->answer, p, n);

	if (r < 0)
		return error_new(err, ERR_IO, -r, "keep what the git server sent");
	s->received += n;
	if (!s->is_list)
		gitnet_show(s->transport->call, s->received, false);
	return 0;
}

static int open_spool(struct store *store, struct error **err)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int dir = -1, fd = -1;
	int r = store_tmp_dir(store, &name, &dir, err);

	if (r < 0)
		return r;
	fd = openat(dir, "answer", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0 ? error_new(err, ERR_IO, errno, "create a file in the store") : 0;
	store_tmp_remove(store, name);
	return r < 0 ? r : TAKE_FD(fd);
}

/* A repository that moved stays where its first answer came from. */
static void follow(struct transport *t, const char *from)
{
	size_t n = strlen(from), k = strlen(LIST_SUFFIX);

	if (n <= k || strcmp(from + n - k, LIST_SUFFIX) != 0)
		return;
	free(t->url);
	t->url = xstrndup(from, n - k);
}

static int check_type(struct stream *s, const struct http_response *resp, struct error **err)
{
	const char *type = http_header(resp, "content-type");
	const char *want = s->is_list ? "application/x-git-upload-pack-advertisement"
				      : "application/x-git-upload-pack-result";
	_cleanup_free_ char *shown = giturl_display(s->transport->call->net->url);

	if (type && strncmp(type, want, strlen(want)) == 0)
		return 0;
	s->transport->call->dumb = s->is_list;
	return error_new(err, ERR_UNAVAILABLE, 0, "%s: this is not a git server", shown);
}

static int ask(struct stream *s, struct error **err)
{
	struct transport *t = s->transport;
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_free_ char *url =
		xasprintf("%s%s", t->url, s->is_list ? LIST_SUFFIX : "/git-upload-pack");
	_cleanup_strv_ struct strv headers = {0};
	struct http_request req;
	int r;

	s->answer = open_spool(t->call->net->store, err);
	if (s->answer < 0)
		return s->answer;
	gitnet_http_request(t->call->net, url, &req);
	req.headers = &headers;
	req.sink = keep;
	req.sink_data = s;
	/* Some servers look for git's name before they speak its protocol. */
	strv_push(&headers, "User-Agent: git/2.0 (kiln)");
	if (!s->is_list) {
		strv_push(&headers, "Content-Type: application/x-git-upload-pack-request");
		strv_push(&headers, "Accept: application/x-git-upload-pack-result");
		req.method = "POST";
		req.body = s->request.p;
		req.body_n = s->request.n;
	}
	r = http_perform(t->call->net->http, &req, &resp, err);
	if (r == 0)
		r = gitnet_http_check(t->call->net, &resp, err);
	if (r == 0)
		r = check_type(s, &resp, err);
	if (r == 0 && s->is_list)
		follow(t, resp.url);
	if (r == 0 && lseek(s->answer, 0, SEEK_SET) < 0)
		r = error_new(err, ERR_IO, errno, "read what the git server sent");
	return r;
}

/* --- What libgit2 calls --- */

static int stream_read(git_smart_subtransport_stream *base, char *p, size_t n, size_t *ret_n)
{
	struct stream *s = (struct stream *)base;
	struct gitnet_call *call = s->transport->call;
	struct error *failed = NULL;
	ssize_t got;

	if (s->answer < 0 && ask(s, &failed) < 0)
		return gitnet_callback_failed(call, failed);
	got = fs_read_full(s->answer, p, n);
	if (got < 0) {
		(void)error_new(&failed, ERR_IO, (int)-got, "read what the git server sent");
		return gitnet_callback_failed(call, failed);
	}
	*ret_n = (size_t)got;
	return 0;
}

static int stream_write(git_smart_subtransport_stream *base, const char *p, size_t n)
{
	struct stream *s = (struct stream *)base;
	struct error *failed = NULL;

	buf_add(&s->request, p, n);
	if (!s->request.full)
		return 0;
	(void)error_new(&failed, ERR_INVALID, 0, "a request to a git server exceeds %zu bytes",
			REQUEST_MAX);
	return gitnet_callback_failed(s->transport->call, failed);
}

static void stream_free(git_smart_subtransport_stream *base)
{
	struct stream *s = (struct stream *)base;

	cleanup_closep(&s->answer);
	buf_release(&s->request);
	free(s);
}

static int transport_action(git_smart_subtransport_stream **out, git_smart_subtransport *base,
			    const char *url, git_smart_service_t action)
{
	struct transport *t = (struct transport *)base;
	struct stream *s;

	if (action != GIT_SERVICE_UPLOADPACK_LS && action != GIT_SERVICE_UPLOADPACK)
		return -1;
	if (!t->url) {
		t->url = xstrdup(url);
		for (size_t n = strlen(url); n > 0 && t->url[n - 1] == '/'; n--)
			t->url[n - 1] = '\0';
	}
	s = NEW(struct stream);
	s->base.subtransport = base;
	s->base.read = stream_read;
	s->base.write = stream_write;
	s->base.free = stream_free;
	s->transport = t;
	s->is_list = action == GIT_SERVICE_UPLOADPACK_LS;
	s->request = (struct buf)BUF_INIT_MAX(REQUEST_MAX);
	s->answer = -1;
	*out = &s->base;
	return 0;
}

static int transport_close(git_smart_subtransport *base)
{
	(void)base;
	return 0;
}

static void transport_free(git_smart_subtransport *base)
{
	struct transport *t = (struct transport *)base;

	free(t->url);
	free(t);
}

int gitnet_http_new(git_smart_subtransport **out, git_transport *owner, void *call)
{
	struct transport *t = NEW(struct transport);

	(void)owner;
	t->base.action = transport_action;
	t->base.close = transport_close;
	t->base.free = transport_free;
	t->call = call;
	*out = &t->base;
	return 0;
}
