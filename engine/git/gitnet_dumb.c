/* SPDX-License-Identifier: Apache-2.0 */
/* A repository's files from a web server that knows nothing of git (gitprotocol-http of git, "Dumb
 * Clients"). What one commit needs is fetched, not its history: loose objects one by one, and all
 * packs as soon as an object is not among the loose ones. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/map.h"
#include "engine/git/gitnet_transport.h"

#define LIST_MAX ((size_t)64 << 20)
#define OBJECT_MAX ((size_t)1 << 30)

enum {
	DEPTH_MAX = 512,
	OBJECTS_MAX = 1 << 22,
};

struct walk {
	const struct gitnet *net;
	struct gitnet_call call;
	git_repository *repo;
	git_odb *odb;
	struct map seen; /* hash -> not NULL */
	bool has_packs;	 /* all of them were fetched */
	uint64_t received;
};

/* --- Files of the server --- */

static int get(const struct gitnet *n, const char *name, size_t max, bool *ret_found,
	       struct buf *ret, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	size_t end = strlen(n->url);
	_cleanup_free_ char *url = NULL;
	struct http_request req;
	int r;

	while (end > 0 && n->url[end - 1] == '/')
		end--;
	url = xasprintf("%.*s/%s", (int)end, n->url, name);
	gitnet_http_request(n, url, &req);
	req.max = max;
	r = http_perform(n->http, &req, &resp, err);
	if (r < 0)
		return r;
	*ret_found = resp.status != 404 && resp.status != 410;
	if (!*ret_found)
		return 0;
	r = gitnet_http_check(n, &resp, err);
	if (r == 0)
		buf_add(ret, resp.body.p, resp.body.n);
	return r;
}

static int get_text(const struct gitnet *n, const char *name, struct buf *ret, struct error **err)
{
	_cleanup_free_ char *shown = giturl_display(n->url);
	bool found;
	int r = get(n, name, LIST_MAX, &found, ret, err);

	if (r == 0 && !found)
		r = error_new(err, ERR_NOTFOUND, 0, "%s: repository not found (no %s)", shown,
			      name);
	return r;
}

/* --- Listing --- */

/* The branch of "ref: refs/heads/main\n"; NULL if HEAD names none. Heap. */
static char *head_target(const struct buf *head)
{
	if (strncmp(head->p, "ref: ", 5) != 0)
		return NULL;
	return xstrndup(head->p + 5, strcspn(head->p + 5, "\r\n"));
}

static int add_line(const char *line, size_t n, struct gitref_list *ret)
{
	_cleanup_free_ char *oid = NULL, *name = NULL;

	if (n < GITREF_HEX + 2 || line[GITREF_HEX] != '\t')
		return -ERR_INVALID;
	oid = xstrndup(line, GITREF_HEX);
	name = xstrndup(line + GITREF_HEX + 1, n - GITREF_HEX - 1);
	if (!gitref_is_commit(oid))
		return -ERR_INVALID;
	gitref_list_add(ret, name, oid, NULL);
	return 0;
}

int gitnet_dumb_list(const struct gitnet *n, struct gitref_list *ret, struct error **err)
{
	_cleanup_buf_ struct buf refs = BUF_INIT, head = BUF_INIT;
	_cleanup_free_ char *shown = giturl_display(n->url), *target = NULL;
	int r = get_text(n, "info/refs", &refs, err);

	if (r < 0)
		return r;
	for (const char *p = refs.p; *p;) {
		size_t len = strcspn(p, "\n");

		if (add_line(p, len, ret) < 0)
			return error_new(err, ERR_UNAVAILABLE, 0, "%s: this is not a git server",
					 shown);
		p += len + (p[len] == '\n');
	}
	r = get_text(n, "HEAD", &head, err);
	if (r < 0)
		return r;
	target = head_target(&head);
	for (size_t i = 0; target && i < ret->heads.n; i++)
		if (strcmp(ret->heads.v[i].name, target) == 0) {
			char oid[GITREF_HEX + 1];

			memcpy(oid, ret->heads.v[i].oid, sizeof(oid));
			gitref_list_add(ret, "HEAD", oid, target);
			break;
		}
	return 0;
}

/* --- Objects --- */

static int inflate_all(const struct buf *packed, struct buf *ret)
{
	z_stream z = {.next_in = (unsigned char *)packed->p, .avail_in = (unsigned)packed->n};
	int r = inflateInit(&z) == Z_OK ? Z_OK : Z_MEM_ERROR;

	while (r == Z_OK) {
		unsigned char chunk[16384];

		z.next_out = chunk;
		z.avail_out = sizeof(chunk);
		r = inflate(&z, Z_NO_FLUSH);
		if (r == Z_OK || r == Z_STREAM_END)
			buf_add(ret, chunk, sizeof(chunk) - z.avail_out);
		if (r == Z_OK && z.avail_out > 0 && z.avail_in == 0)
			r = Z_DATA_ERROR;
		if (ret->full)
			r = Z_MEM_ERROR;
	}
	inflateEnd(&z);
	return r == Z_STREAM_END ? 0 : -ERR_CORRUPT;
}

static int damaged(const struct walk *w, const char *what, struct error **err)
{
	_cleanup_free_ char *shown = giturl_display(w->net->url);

	return error_new(err, ERR_CORRUPT, 0, "%s: object %s is damaged", shown, what);
}

/* Puts a loose object ("type size", NUL, content; deflated) into the repository. */
static int take_loose(struct walk *w, const struct buf *packed, const git_oid *want,
		      const char *hex, struct error **err)
{
	_cleanup_buf_ struct buf object = BUF_INIT_MAX(OBJECT_MAX);
	const char *space, *content;
	git_object_t type;
	git_oid got;
	_cleanup_free_ char *name = NULL;

	if (inflate_all(packed, &object) < 0)
		return damaged(w, hex, err);
	content = memchr(object.p, '\0', object.n);
	space = content ? memchr(object.p, ' ', (size_t)(content - object.p)) : NULL;
	if (!space)
		return damaged(w, hex, err);
	content++;
	name = xstrndup(object.p, (size_t)(space - object.p));
	type = git_object_string2type(name);
	if (type < GIT_OBJECT_COMMIT || type > GIT_OBJECT_TAG ||
	    git_odb_hash(&got, content, object.n - (size_t)(content - object.p), type) < 0 ||
	    !git_oid_equal(&got, want))
		return damaged(w, hex, err);
	if (git_odb_write(&got, w->odb, content, object.n - (size_t)(content - object.p), type) < 0)
		return gitlib_fail(err, ERR_IO, "keep object %s", hex);
	return 0;
}

/* --- Packs --- */

struct packing {
	git_odb_writepack *writer;
	git_indexer_progress stats;
	struct walk *walk;
};

static int on_pack(void *data, const void *p, size_t n, struct error **err)
{
	struct packing *k = data;

	if (k->writer->append(k->writer, p, n, &k->stats) < 0)
		return gitlib_fail(err, ERR_CORRUPT, "read a pack");
	k->walk->received += n;
	gitnet_show(&k->walk->call, k->walk->received, false);
	return 0;
}

static int fetch_pack(struct walk *w, const char *name, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_free_ char *url = xasprintf("%s/objects/pack/%s", w->net->url, name);
	struct packing k = {.walk = w};
	struct http_request req;
	uint64_t delivered = 0;
	int r;

	if (git_odb_write_pack(&k.writer, w->odb, NULL, NULL) < 0)
		return gitlib_fail(err, ERR_IO, "start a pack");
	gitnet_http_request(w->net, url, &req);
	req.sink = on_pack;
	req.sink_data = &k;
	req.delivered = &delivered;
	r = http_perform(w->net->http, &req, &resp, err);
	if (r == 0)
		r = gitnet_http_check(w->net, &resp, err);
	if (r == 0 && k.writer->commit(k.writer, &k.stats) < 0)
		r = gitlib_fail(err, ERR_CORRUPT, "read pack %s", name);
	k.writer->free(k.writer);
	return r;
}

static bool is_pack_name(const char *name)
{
	size_t n = strlen(name);

	return n > 10 && strncmp(name, "pack-", 5) == 0 && strcmp(name + n - 5, ".pack") == 0 &&
	       strspn(name + 5, "0123456789abcdef") == n - 10;
}

static int fetch_packs(struct walk *w, struct error **err)
{
	_cleanup_buf_ struct buf list = BUF_INIT;
	bool found;
	int r = get(w->net, "objects/info/packs", LIST_MAX, &found, &list, err);

	w->has_packs = true;
	if (r < 0 || !found)
		return r;
	for (char *save, *line = strtok_r(list.p, "\n", &save); line && r == 0;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "P ", 2) == 0 && is_pack_name(line + 2))
			r = fetch_pack(w, line + 2, err);
	}
	if (r == 0 && git_odb_refresh(w->odb) < 0)
		r = gitlib_fail(err, ERR_IO, "read the packs");
	return r;
}

/* --- What a commit needs --- */

static int need(struct walk *w, const git_oid *oid, const char *hex, struct error **err)
{
	_cleanup_buf_ struct buf packed = BUF_INIT;
	_cleanup_free_ char *name = NULL, *shown = giturl_display(w->net->url);
	bool found = false;
	int r = 0;

	if (git_odb_exists(w->odb, oid))
		return 0;
	name = xasprintf("objects/%.2s/%s", hex, hex + 2);
	r = get(w->net, name, OBJECT_MAX, &found, &packed, err);
	if (r == 0 && found) {
		w->received += packed.n;
		gitnet_show(&w->call, w->received, false);
		return take_loose(w, &packed, oid, hex, err);
	}
	if (r == 0 && !w->has_packs)
		r = fetch_packs(w, err);
	if (r == 0 && !git_odb_exists(w->odb, oid))
		r = error_new(err, ERR_NOTFOUND, 0, "%s: the repository has no object %s", shown,
			      hex);
	return r;
}

static int visit(struct walk *w, const git_oid *oid, unsigned depth, struct error **err);

static int visit_tree(struct walk *w, const git_oid *oid, unsigned depth, struct error **err)
{
	_cleanup_(gitlib_tree_freep) git_tree *tree = NULL;
	int r = 0;

	if (git_tree_lookup(&tree, w->repo, oid) < 0)
		return gitlib_fail(err, ERR_CORRUPT, "read a tree");
	for (size_t i = 0; i < git_tree_entrycount(tree) && r == 0; i++) {
		const git_tree_entry *e = git_tree_entry_byindex(tree, i);

		if (git_tree_entry_type(e) != GIT_OBJECT_COMMIT)
			r = visit(w, git_tree_entry_id(e), depth + 1, err);
	}
	return r;
}

static int visit_inside(struct walk *w, const git_oid *oid, unsigned depth, struct error **err)
{
	_cleanup_(gitlib_object_freep) git_object *o = NULL;
	git_object_t type;
	size_t size;

	if (git_odb_read_header(&size, &type, w->odb, oid) < 0)
		return gitlib_fail(err, ERR_CORRUPT, "read an object");
	if (type == GIT_OBJECT_TREE)
		return visit_tree(w, oid, depth, err);
	if (type == GIT_OBJECT_BLOB)
		return 0;
	if (git_object_lookup(&o, w->repo, oid, type) < 0)
		return gitlib_fail(err, ERR_CORRUPT, "read an object");
	if (type == GIT_OBJECT_COMMIT)
		return visit(w, git_commit_tree_id((git_commit *)o), depth + 1, err);
	return visit(w, git_tag_target_id((git_tag *)o), depth + 1, err);
}

static int visit(struct walk *w, const git_oid *oid, unsigned depth, struct error **err)
{
	char hex[GIT_OID_HEXSZ + 1];
	void **slot = map_put(&w->seen, oid->id, sizeof(oid->id));
	int r;

	if (*slot)
		return 0;
	*slot = w;
	git_oid_tostr(hex, sizeof(hex), oid);
	if (depth > DEPTH_MAX || w->seen.n > OBJECTS_MAX)
		return error_new(err, ERR_INVALID, 0, "the git repository is too large or deep");
	if (cancel_is_set(gitnet_cancel(w->net)))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	r = need(w, oid, hex, err);
	return r < 0 ? r : visit_inside(w, oid, depth, err);
}

int gitnet_dumb_fetch(const struct gitnet *n, git_repository *repo, const char *oid,
		      struct error **err)
{
	struct walk w = {.net = n, .call = {.net = n}, .repo = repo};
	git_oid id;
	int r;

	if (git_oid_fromstr(&id, oid) < 0 || git_repository_odb(&w.odb, repo) < 0)
		return gitlib_fail(err, ERR_INTERNAL, "open the git cache");
	r = visit(&w, &id, 0, err);
	map_release(&w.seen, NULL);
	git_odb_free(w.odb);
	return r;
}
