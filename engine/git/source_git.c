/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/git/source_git.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/map.h"
#include "engine/git/gitauth.h"
#include "engine/git/gitcache.h"
#include "engine/git/gitdir.h"
#include "engine/git/gitmodules.h"
#include "engine/git/gitnet.h"
#include "engine/layer/unpack_archive.h"

enum { SUBMODULE_DEPTH_MAX = 10 };

/* What one op asks for. Borrowed, but ref and subdir. */
struct request {
	const char *remote;
	char *ref, *subdir; /* "" if unset */
	const char *checksum;
	const char *header_secret, *token_secret;
	bool keep_git_dir, skip_submodules, mtime_commit, fetch_by_commit;
};

/* What this command has learnt about a remote. */
struct remote {
	pthread_mutex_t lock; /* held while the server is asked: others want the same answer */
	bool listed;
	struct gitref_list refs;
};

struct git_sources {
	struct store *store;
	const struct config *config;
	const struct grants *grants;
	pthread_mutex_t lock; /* protects what follows */
	struct http *http;    /* made when first needed */
	struct map remotes;   /* URL -> struct remote *, added to only */
};

static void remote_free(void *data)
{
	struct remote *r = data;

	gitref_list_release(&r->refs);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

struct git_sources *git_sources_new(struct store *s, const struct config *config,
				    const struct grants *grants)
{
	struct git_sources *g = NEW(struct git_sources);

	g->store = s;
	g->config = config;
	g->grants = grants;
	pthread_mutex_init(&g->lock, NULL);
	return g;
}

void git_sources_free(struct git_sources *g)
{
	if (!g)
		return;
	http_free(g->http);
	map_release(&g->remotes, remote_free);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

/* --- The op --- */

static void request_release(struct request *q)
{
	free(q->ref);
	free(q->subdir);
}

static int take_attr(const struct op_pair *attr, struct request *q, struct error **err)
{
	const char *key = attr->key, *value = attr->value;

	if (strcmp(key, "git.fullurl") == 0)
		q->remote = value;
	else if (strcmp(key, "git.checksum") == 0)
		q->checksum = value;
	else if (strcmp(key, "git.authheadersecret") == 0)
		q->header_secret = value;
	else if (strcmp(key, "git.authtokensecret") == 0)
		q->token_secret = value;
	else if (strcmp(key, "git.keepgitdir") == 0)
		q->keep_git_dir = strcmp(value, "true") == 0;
	else if (strcmp(key, "git.skipsubmodules") == 0)
		q->skip_submodules = strcmp(value, "true") == 0;
	else if (strcmp(key, "git.fetchbycommit") == 0)
		q->fetch_by_commit = strcmp(value, "true") == 0;
	else if (strcmp(key, "git.mtime") == 0)
		q->mtime_commit = strcmp(value, "commit") == 0;
	else if (strcmp(key, "git.mountsshsock") != 0 && strcmp(key, "git.knownsshhosts") != 0)
		return error_new(err, ERR_UNSUPPORTED, 0, "source attribute '%s'", key);
	return 0;
}

static int check_request(const struct request *q, struct error **err)
{
	int r;

	if (!q->remote)
		return error_new(err, ERR_INVALID, 0, "a git source has no git.fullurl");
	r = gitref_check(q->ref, err);
	if (r == 0 && q->checksum)
		r = gitref_check_checksum(q->checksum, err);
	if (r == 0 && (strcmp(q->subdir, "..") == 0 || strncmp(q->subdir, "../", 3) == 0))
		r = error_new(err, ERR_INVALID, 0,
			      "invalid subdir %s: it leads out of the repository", q->subdir);
	if (r < 0 || !q->fetch_by_commit || gitref_is_commit(q->ref))
		return r;
	if (!q->checksum)
		return error_new(err, ERR_INVALID, 0,
				 "fetch-by-commit requires a checksum or a commit SHA ref");
	if (!gitref_is_commit(q->checksum))
		return error_new(err, ERR_INVALID, 0,
				 "fetch-by-commit requires a full commit SHA checksum, got \"%s\"",
				 q->checksum);
	return 0;
}

static int read_request(const struct op_source *op, struct request *ret, struct error **err)
{
	const char *fragment = strchr(op->identifier, '#');
	const char *colon = fragment ? strchr(fragment, ':') : NULL;
	int r = 0;

	*ret = (struct request){.remote = NULL};
	if (fragment)
		fragment++;
	ret->ref = colon ? xstrndup(fragment, (size_t)(colon - fragment))
			 : xstrdup(fragment ? fragment : "");
	ret->subdir = xstrdup(colon ? colon + 1 : "");
	for (size_t i = 0; i < op->attrs.n && r == 0; i++)
		r = take_attr(&op->attrs.v[i], ret, err);
	return r < 0 ? r : check_request(ret, err);
}

/* --- Servers --- */

static struct remote *get_remote(struct git_sources *g, const char *url)
{
	struct remote *r;
	void **slot;

	pthread_mutex_lock(&g->lock);
	if (!g->http)
		g->http = http_new();
	slot = map_puts(&g->remotes, url);
	if (!*slot) {
		r = NEW(struct remote);
		pthread_mutex_init(&r->lock, NULL);
		*slot = r;
	}
	r = *slot;
	pthread_mutex_unlock(&g->lock);
	return r;
}

/* `ret` borrows; the strings in *ret_auth live as long as needed by the caller. */
static int open_net(struct git_sources *g, const struct request *q, const char *url,
		    struct job *job, char **ret_authorization, struct gitnet *ret,
		    struct error **err)
{
	const struct gitauth_names names = {q->header_secret, q->token_secret};
	int r = gitnet_check_url(url, err);

	if (r == 0)
		r = gitauth_header(g->grants, &names, url, q->remote, ret_authorization, err);
	if (r < 0)
		return r;
	(void)get_remote(g, url); /* makes g->http */
	*ret = (struct gitnet){
		.url = url,
		.store = g->store,
		.http = g->http,
		.config = g->config,
		.authorization = *ret_authorization,
		.ssh_socket = gitauth_ssh_socket(g->grants),
		.job = job,
	};
	return 0;
}

static int list(struct git_sources *g, const struct request *q, struct remote *remote,
		struct job *job, struct error **err)
{
	_cleanup_free_ char *authorization = NULL;
	struct gitref_list refs = {.heads = {.v = NULL}};
	struct gitnet net;
	int r = open_net(g, q, q->remote, job, &authorization, &net, err);

	if (r == 0)
		r = gitnet_list(&net, &refs, err);
	if (r < 0) {
		gitref_list_release(&refs);
		return r;
	}
	remote->refs = refs;
	remote->listed = true;
	return 0;
}

static int resolve(struct git_sources *g, const struct request *q, struct job *job,
		   struct gitref *ret, struct error **err)
{
	const char *commit = gitref_is_commit(q->ref) ? q->ref : NULL;
	struct remote *remote;
	int r;

	if (!commit && q->fetch_by_commit)
		commit = q->checksum;
	if (commit)
		return gitref_from_commit(commit, q->checksum, ret, err);
	remote = get_remote(g, q->remote);
	pthread_mutex_lock(&remote->lock);
	r = remote->listed ? 0 : list(g, q, remote, job, err);
	if (r == 0)
		r = gitref_resolve(&remote->refs, q->ref, q->checksum, ret, err);
	pthread_mutex_unlock(&remote->lock);
	return r;
}

int git_sources_pin(struct git_sources *g, const struct op_source *op, struct job *job,
		    struct digest *ret_key, struct error **err)
{
	_cleanup_(request_release) struct request q = {.remote = NULL};
	_cleanup_(gitref_release) struct gitref ref = {.name = NULL};
	struct hasher h;
	int r = read_request(op, &q, err);

	if (r == 0)
		r = resolve(g, &q, job, &ref, err);
	if (r < 0)
		return r;
	hasher_init(&h);
	hasher_add_string(&h, "git");
	hasher_add_string(&h, q.keep_git_dir ? ref.oid : ref.commit);
	hasher_add_string(&h, q.keep_git_dir && ref.name ? ref.name : "");
	hasher_add_string(&h, q.keep_git_dir ? q.remote : "");
	hasher_add_string(&h, q.subdir);
	hasher_add_u64(&h, (uint64_t)q.keep_git_dir | (uint64_t)q.skip_submodules << 1 |
				   (uint64_t)q.mtime_commit << 2);
	hasher_final(&h, ret_key);
	hasher_release(&h);
	return 0;
}

int git_sources_commit(struct git_sources *g, const struct op_source *op, struct job *job,
		       char **ret, struct error **err)
{
	_cleanup_(request_release) struct request q = {.remote = NULL};
	_cleanup_(gitref_release) struct gitref ref = {.name = NULL};
	int r = read_request(op, &q, err);

	if (r == 0)
		r = resolve(g, &q, job, &ref, err);
	if (r == 0)
		*ret = xstrdup(ref.commit);
	return r;
}

/* --- Checking out --- */

/* Makes sure that the cache has the commit; the tag is followed where the server did not. */
static int require(struct git_sources *g, const struct request *q, const char *url,
		   git_repository *repo, struct gitref *ref, struct job *job, struct error **err)
{
	_cleanup_free_ char *authorization = NULL;
	_cleanup_(gitlib_object_freep) git_object *object = NULL, *commit = NULL;
	struct gitnet net;
	git_oid id;
	int r = 0;

	if (!gitcache_has(repo, ref->oid)) {
		r = open_net(g, q, url, job, &authorization, &net, err);
		if (r == 0)
			r = gitnet_fetch(&net, repo, ref, err);
		if (r == 0)
			r = gitcache_set_complete(repo, ref->oid, err);
	}
	if (r < 0)
		return r;
	if (git_oid_fromstr(&id, ref->oid) < 0 ||
	    git_object_lookup(&object, repo, &id, GIT_OBJECT_ANY) < 0)
		return gitlib_fail(err, ERR_CORRUPT, "read %s", ref->oid);
	if (git_object_peel(&commit, object, GIT_OBJECT_COMMIT) < 0)
		return error_new(err, ERR_INVALID, 0, "%s does not name a commit",
				 ref->name ? ref->name : ref->oid);
	git_oid_tostr(ref->commit, sizeof(ref->commit), git_object_id(commit));
	return 0;
}

/* One repository on the way into the layer: the one asked for, or a submodule of it. */
struct level {
	struct git_sources *sources;
	const struct request *request;
	struct job *job;
	struct gittree *tree;
	const char *url;
	git_repository *repo;
	const char *commit;
	unsigned depth;
	bool has_modules;
	struct gitmodules modules;
};

static int checkout(struct level *l, const char *subdir, const char *dest, struct error **err);

static int read_modules(struct level *l, struct error **err)
{
	_cleanup_(gitlib_object_freep) git_object *blob = NULL;
	_cleanup_free_ char *spec = xasprintf("%s:.gitmodules", l->commit);

	if (l->has_modules)
		return 0;
	l->has_modules = true;
	if (git_revparse_single(&blob, l->repo, spec) < 0 ||
	    git_object_type(blob) != GIT_OBJECT_BLOB)
		return 0;
	return gitmodules_parse(git_blob_rawcontent((git_blob *)blob),
				(size_t)git_blob_rawsize((git_blob *)blob), &l->modules, err);
}

static int find_module(struct level *l, const char *path, char **ret_url, struct error **err)
{
	_cleanup_free_ char *shown = giturl_display(l->url);
	const char *url;
	int r = read_modules(l, err);

	if (r < 0)
		return error_wrap(err, r, "%s", shown);
	url = gitmodules_url(&l->modules, path);
	if (!url)
		return error_hint(err,
				  error_new(err, ERR_NOTFOUND, 0,
					    "%s: .gitmodules names no URL for submodule %s", shown,
					    path),
				  "?submodules=false leaves submodules out");
	return gitmodules_resolve_url(l->url, url, ret_url, err);
}

static int with_cache(struct level *l, const struct gitref *ref, const char *subdir,
		      const char *dest, struct error **err)
{
	_cleanup_(gitlib_repository_freep) git_repository *repo = NULL;
	_cleanup_(lock_releasep) struct lock *lock = NULL;
	struct gitref wanted = *ref;
	int r = gitcache_open(l->sources->store, l->url, l->job ? job_cancel(l->job) : NULL, &lock,
			      &repo, err);

	if (r == 0)
		r = require(l->sources, l->request, l->url, repo, &wanted, l->job, err);
	lock_release(TAKE_PTR(lock));
	if (r < 0)
		return r;
	l->repo = repo;
	l->commit = wanted.commit;
	r = checkout(l, subdir, dest, err);
	if (r == 0 && l->depth == 0 && l->request->keep_git_dir && !*subdir) {
		_cleanup_free_ char *shown = giturl_display(l->url);

		r = gitdir_write(l->tree, l->sources->store, repo, &wanted, shown, err);
	}
	return r;
}

static int on_submodule(void *data, const char *path, const char *oid, const char *subdir,
			const char *dest, struct error **err)
{
	struct level *above = data;
	_cleanup_free_ char *url = NULL, *shown = NULL;
	struct gitref ref = {.name = NULL};
	struct level l = {
		.sources = above->sources,
		.request = above->request,
		.job = above->job,
		.tree = above->tree,
		.depth = above->depth + 1,
	};
	int r = find_module(above, path, &url, err);

	if (r < 0)
		return r;
	shown = giturl_display(url);
	if (l.depth > SUBMODULE_DEPTH_MAX)
		return error_new(err, ERR_INVALID, 0,
				 "submodule %s (%s): submodules are nested more than %d deep", path,
				 shown, SUBMODULE_DEPTH_MAX);
	l.url = url;
	r = gitref_from_commit(oid, NULL, &ref, err);
	if (r == 0)
		r = with_cache(&l, &ref, subdir, dest, err);
	gitmodules_release(&l.modules);
	/* The levels of the tree are walked one inside the other. */
	above->tree->link_data = above;
	return r < 0 ? error_wrap(err, r, "submodule %s (%s)", path, shown) : 0;
}

static int64_t commit_time(git_repository *repo, const char *oid)
{
	_cleanup_(gitlib_commit_freep) git_commit *commit = NULL;
	git_oid id;

	if (git_oid_fromstr(&id, oid) < 0 || git_commit_lookup(&commit, repo, &id) < 0)
		return 0;
	return git_commit_time(commit);
}

static int checkout(struct level *l, const char *subdir, const char *dest, struct error **err)
{
	if (l->depth == 0 && l->request->mtime_commit)
		l->tree->mtime = commit_time(l->repo, l->commit);
	l->tree->link_data = l;
	return gittree_checkout(l->tree, l->repo, l->commit, subdir, dest, err);
}

static void warn_pointers(struct job *job, const struct gittree *t)
{
	_cleanup_free_ char *text = NULL;
	struct event_warning warning = {.level = 1};

	if (t->n_pointers == 0 || !job)
		return;
	text = xasprintf(
		"GitLFS: %zu file%s of the git repository (%s%s) %s a Git LFS pointer, not "
		"the content: kiln does not fetch LFS objects",
		t->n_pointers, t->n_pointers == 1 ? "" : "s", t->pointer,
		t->n_pointers == 1 ? "" : ", ...", t->n_pointers == 1 ? "is" : "are each");
	warning.short_text = text;
	job_warn(job, &warning);
}

static void tree_init(struct gittree *t, struct git_sources *g, const struct request *q,
		      struct layer_writer *w, struct job *job)
{
	const struct config *c = g->config;

	*t = (struct gittree){
		.writer = w,
		.mtime = time(NULL),
		.bytes_left = c->archive_size ? c->archive_size : UNPACK_ARCHIVE_SIZE_MAX,
		.entries_left =
			c->archive_entries ? c->archive_entries : UNPACK_ARCHIVE_ENTRIES_MAX,
		.cancel = job ? job_cancel(job) : NULL,
		.link = q->skip_submodules ? NULL : on_submodule,
	};
}

static int make_layer(struct git_sources *g, const struct request *q, const struct gitref *ref,
		      struct job *job, int64_t *ret_layer, struct error **err)
{
	_cleanup_(layer_writer_freep) struct layer_writer *w = NULL;
	_cleanup_(gittree_release) struct gittree tree = {.writer = NULL};
	struct level top = {
		.sources = g, .request = q, .job = job, .tree = &tree, .url = q->remote};
	_cleanup_(lock_releasep) struct lock *use = NULL;
	int r = gitcache_use(g->store, job ? job_cancel(job) : NULL, &use, err);

	if (r == 0)
		r = layer_writer_open(g->store, &w, err);
	if (r < 0)
		return r;
	tree_init(&tree, g, q, w, job);
	r = with_cache(&top, ref, q->subdir, "", err);
	gitmodules_release(&top.modules);
	lock_release(TAKE_PTR(use));
	/* Tidying up must not fail a build. */
	(void)!gitcache_prune(g->store, time(NULL) - GITCACHE_AGE_MAX_S, false, NULL, NULL);
	if (r == 0)
		warn_pointers(job, &tree);
	return r < 0 ? r : layer_writer_commit(w, ret_layer, err);
}

int git_sources_layer(struct git_sources *g, const struct op_source *op, struct job *job,
		      int64_t *ret_layer, struct error **err)
{
	_cleanup_(request_release) struct request q = {.remote = NULL};
	_cleanup_(gitref_release) struct gitref ref = {.name = NULL};
	_cleanup_free_ char *line = NULL;
	int r = read_request(op, &q, err);

	if (r == 0)
		r = resolve(g, &q, job, &ref, err);
	if (r < 0)
		return r;
	if (job) {
		line = xasprintf("%s\t%s\n", ref.oid, ref.name ? ref.name : "");
		job_log(job, 2, line, strlen(line));
	}
	return make_layer(g, &q, &ref, job, ret_layer, err);
}

int git_sources_time(struct git_sources *g, const struct op_source *op, struct job *job,
		     int64_t *ret_time, struct error **err)
{
	_cleanup_(request_release) struct request q = {.remote = NULL};
	_cleanup_(gitref_release) struct gitref ref = {.name = NULL};
	_cleanup_(gitlib_repository_freep) git_repository *repo = NULL;
	_cleanup_(lock_releasep) struct lock *use = NULL, *lock = NULL;
	struct cancel *cancel = job ? job_cancel(job) : NULL;
	int r = read_request(op, &q, err);

	if (r == 0)
		r = resolve(g, &q, job, &ref, err);
	if (r == 0)
		r = gitcache_use(g->store, cancel, &use, err);
	if (r == 0)
		r = gitcache_open(g->store, q.remote, cancel, &lock, &repo, err);
	if (r == 0)
		r = require(g, &q, q.remote, repo, &ref, job, err);
	if (r == 0)
		*ret_time = commit_time(repo, ref.commit);
	return r;
}
