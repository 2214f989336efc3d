/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/git/gitnet.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/times.h"
#include "engine/git/gitnet_transport.h"

#define SHOW_INTERVAL_NS (INT64_C(100) * 1000000)

static bool has_scheme(const char *url, const char *scheme)
{
	size_t n = strlen(scheme);

	return strncasecmp(url, scheme, n) == 0 && strncmp(url + n, "://", 3) == 0;
}

static bool is_http(const char *url)
{
	return has_scheme(url, "http") || has_scheme(url, "https");
}

static bool is_scp(const char *url)
{
	const char *colon = strchr(url, ':'), *slash = strchr(url, '/');

	return !strstr(url, "://") && colon && (!slash || colon < slash);
}

char *gitnet_host(const char *url)
{
	const char *scheme = strstr(url, "://"), *at = scheme ? scheme + 3 : url, *user;
	size_t n = strcspn(at, scheme ? "/?#" : ":");

	if (is_http(url))
		return http_url_host(url);

	for (user = at + n; user > at && user[-1] != '@'; user--)
		;
	return xstrndup(user, n - (size_t)(user - at));
}

/* What ssh's own configuration may hand to a shell (%h, %r in ProxyCommand and Match exec): user
 * and host of a .gitmodules must not be commands there. */
static bool is_ssh_safe(const char *url)
{
	const char *scheme = strstr(url, "://"), *at = scheme ? scheme + 3 : url;
	size_t n = strcspn(at, scheme ? "/" : ":");

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)at[i]) && !strchr("._-+@:[]%", at[i]))
			return false;
	return *at != '-';
}

int gitnet_check_url(const char *url, struct error **err)
{
	const char *allowed = getenv("KILN_ALLOW_FILE_GIT");
	_cleanup_free_ char *shown = giturl_display(url), *host = NULL;

	for (const char *p = url; *p; p++)
		if (iscntrl((unsigned char)*p))
			return error_new(err, ERR_INVALID, 0, "a git URL has control characters");
	if (has_scheme(url, "file") || *url == '/') {
		if (allowed && strcmp(allowed, "1") == 0)
			return 0;
		return error_hint(err,
				  error_new(err, ERR_DENIED, 0,
					    "git repositories of this machine are not read: %s",
					    shown),
				  "KILN_ALLOW_FILE_GIT=1 allows it");
	}
	if (!is_http(url) && !has_scheme(url, "git") && !has_scheme(url, "ssh") && !is_scp(url))
		return error_new(err, ERR_UNSUPPORTED, 0, "%s is not a git URL that kiln supports",
				 shown);
	host = gitnet_host(url);
	if ((has_scheme(url, "ssh") || is_scp(url)) && !is_ssh_safe(url))
		return error_new(err, ERR_INVALID, 0,
				 "invalid git URL %s: ssh's user or host has characters that a "
				 "shell could understand",
				 shown);
	if (*url == '-' || *host == '-' || !*host)
		return error_new(err, ERR_INVALID, 0, "invalid git URL %s", shown);
	return 0;
}

/* --- What happens in callbacks --- */

int gitnet_callback_failed(struct gitnet_call *call, struct error *e)
{
	if (call->failed)
		error_free(e);
	else
		call->failed = e;
	git_error_set_str(GIT_ERROR_NET, call->failed ? error_text(call->failed) : "failed");
	return GIT_EUSER;
}

struct cancel *gitnet_cancel(const struct gitnet *n)
{
	return n->job ? job_cancel(n->job) : NULL;
}

void gitnet_show(struct gitnet_call *call, uint64_t received, bool completed)
{
	int64_t now = times_monotonic_ns();

	if (!call->net->job || (!completed && now - call->shown < SHOW_INTERVAL_NS))
		return;
	call->shown = now;
	job_status(call->net->job, "receiving objects:", received, 0, completed);
}

static int check_cancel(struct gitnet_call *call)
{
	struct error *e = NULL;

	if (!cancel_is_set(gitnet_cancel(call->net)))
		return 0;
	(void)error_new(&e, ERR_CANCELED, 0, "canceled");
	return gitnet_callback_failed(call, e);
}

static int on_progress(const git_indexer_progress *stats, void *data)
{
	struct gitnet_call *call = data;

	if (!is_http(call->net->url))
		gitnet_show(call, stats->received_bytes, false);
	return check_cancel(call);
}

static int on_message(const char *text, int n, void *data)
{
	(void)text;
	(void)n;
	return check_cancel(data);
}

static int on_transport(git_transport **out, git_remote *owner, void *data)
{
	struct gitnet_call *call = data;
	const char *url = call->net->url;
	git_smart_subtransport_definition smart = {
		.callback = is_http(url) ? gitnet_http_new : gitnet_pipe_new,
		.rpc = is_http(url),
		.param = call,
	};

	if (has_scheme(url, "file") || *url == '/')
		return git_transport_local(out, owner, NULL);
	return git_transport_smart(out, owner, &smart);
}

static void set_callbacks(git_remote_callbacks *c, struct gitnet_call *call)
{
	c->transport = on_transport;
	c->transfer_progress = on_progress;
	c->sideband_progress = on_message;
	c->payload = call;
}

/* What libgit2 says in `r`, or better what a callback of ours said. */
static int report(struct gitnet_call *call, int r, struct error **err)
{
	_cleanup_free_ char *shown = giturl_display(call->net->url);
	const git_error *last = git_error_last();
	enum err_code code;

	if (call->failed) {
		code = error_code(call->failed);
		if (err)
			*err = TAKE_PTR(call->failed);
		return -(int)code;
	}
	/* git-daemon tells both with one message. */
	if (r == GIT_ENOTFOUND || (last && last->message && strstr(last->message, "not exported")))
		return gitlib_fail(err, ERR_NOTFOUND, "%s: repository not found", shown);
	return gitlib_fail(err, ERR_UNAVAILABLE, "%s", shown);
}

static void call_release(struct gitnet_call *call)
{
	error_free(call->failed);
}

/* `repo` NULL: only for listing. */
static int make_remote(git_remote **ret, git_repository *repo, const char *url)
{
	git_remote_create_options options;
	int r = git_remote_create_options_init(&options, GIT_REMOTE_CREATE_OPTIONS_VERSION);

	options.repository = repo;
	options.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
	return r < 0 ? r : git_remote_create_with_opts(ret, url, &options);
}

/* --- Listing --- */

static int list_heads(git_remote *remote, struct gitref_list *ret)
{
	const git_remote_head **heads;
	size_t n;
	int r = git_remote_ls(&heads, &n, remote);

	for (size_t i = 0; r == 0 && i < n; i++) {
		char oid[GIT_OID_HEXSZ + 1];

		git_oid_tostr(oid, sizeof(oid), &heads[i]->oid);
		gitref_list_add(ret, heads[i]->name, oid, heads[i]->symref_target);
	}
	return r;
}

int gitnet_list(const struct gitnet *n, struct gitref_list *ret, struct error **err)
{
	_cleanup_(gitlib_remote_freep) git_remote *remote = NULL;
	_cleanup_(call_release) struct gitnet_call call = {.net = n};
	git_remote_connect_options options;
	int r = gitlib_start(err);

	if (r == 0)
		r = gitnet_check_url(n->url, err);
	if (r < 0)
		return r;
	r = git_remote_connect_options_init(&options, GIT_REMOTE_CONNECT_OPTIONS_VERSION);
	set_callbacks(&options.callbacks, &call);
	if (r == 0)
		r = make_remote(&remote, NULL, n->url);
	if (r == 0)
		r = git_remote_connect_ext(remote, GIT_DIRECTION_FETCH, &options);
	if (r == 0)
		r = list_heads(remote, ret);
	if (r == 0)
		return 0;
	return call.dumb ? gitnet_dumb_list(n, ret, err) : report(&call, r, err);
}

/* --- Fetching --- */

static int fetch(struct gitnet_call *call, git_repository *repo, const char *refspec)
{
	_cleanup_(gitlib_remote_freep) git_remote *remote = NULL;
	git_fetch_options options;
	_cleanup_free_ char *spec = xstrdup(refspec);
	git_strarray specs = {&spec, 1};
	int r = git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);

	options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	options.update_fetchhead = 0;
	set_callbacks(&options.callbacks, call);
	if (r == 0)
		r = make_remote(&remote, repo, call->net->url);
	return r < 0 ? r : git_remote_fetch(remote, &specs, &options, NULL);
}

static bool has_object(git_repository *repo, const char *oid)
{
	_cleanup_(gitlib_odb_freep) git_odb *odb = NULL;
	git_oid id;

	return git_oid_fromstr(&id, oid) == 0 && git_repository_odb(&odb, repo) == 0 &&
	       git_odb_exists(odb, &id) == 1;
}

/* Servers need not hand out a commit by its hash; then all branches are fetched, and last
 * the tags. */
static int fetch_commit(struct gitnet_call *call, git_repository *repo, const char *oid)
{
	static const char *const wider[] = {"+refs/heads/*:refs/heads/*",
					    "+refs/tags/*:refs/tags/*"};
	_cleanup_free_ char *direct = xasprintf("+%s:refs/kiln/%s", oid, oid);
	int r = fetch(call, repo, direct);

	for (size_t i = 0; i < ARRAY_SIZE(wider) && !call->dumb && !call->failed; i++) {
		if (r == 0 && has_object(repo, oid))
			return 0;
		r = fetch(call, repo, wider[i]);
	}
	return r;
}

int gitnet_fetch(const struct gitnet *n, git_repository *repo, const struct gitref *ref,
		 struct error **err)
{
	_cleanup_(call_release) struct gitnet_call call = {.net = n};
	_cleanup_free_ char *refspec = ref->name ? xasprintf("+%s:%s", ref->name, ref->name) : NULL;
	_cleanup_free_ char *shown = giturl_display(n->url);
	int r = gitnet_check_url(n->url, err);

	if (r < 0)
		return r;
	if (refspec && strcmp(ref->name, "HEAD") != 0)
		r = fetch(&call, repo, refspec);
	else
		r = fetch_commit(&call, repo, ref->oid);
	if (call.dumb)
		return gitnet_dumb_fetch(n, repo, ref->oid, err);
	if (r < 0)
		return report(&call, r, err);
	if (has_object(repo, ref->oid))
		return 0;
	if (ref->name)
		return error_new(err, ERR_UNAVAILABLE, 0, "%s: %s moved away from %s meanwhile",
				 shown, ref->name, ref->oid);
	return error_new(err, ERR_NOTFOUND, 0,
			 "repository does not contain ref %s: %s has no such commit in its "
			 "branches and tags",
			 ref->oid, shown);
}
