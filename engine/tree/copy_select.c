/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tree/copy_select.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/parallel.h"
#include "base/path.h"
#include "base/pattern.h"
#include "base/suggest.h"

void copy_roots_release(struct copy_roots *roots)
{
	for (size_t i = 0; i < roots->n; i++) {
		free(roots->v[i].name);
		free(roots->v[i].path);
	}
	vec_release(roots);
}

struct siblings {
	size_t dir_n; /* length of the directory's path with its slash */
	struct strv names;
};

static int note_sibling(void *data, const struct entry *e, uint64_t group, struct error **err)
{
	struct siblings *s = data;

	(void)group;
	(void)err;
	if (strlen(e->path) <= s->dir_n)
		return 0;
	strv_push(&s->names, e->path + s->dir_n);
	return e->type == ENTRY_DIR ? TREE_SKIP : 0;
}

static void find_siblings(struct tree *t, const char *dir, struct siblings *s)
{
	struct entry e;
	uint64_t group;

	if (t->ops->names)
		t->ops->names(t, dir, &s->names);
	else if (t->ops->get(t, dir, &e, &group) && e.type == ENTRY_DIR)
		(void)t->ops->walk(t, dir, note_sibling, s, NULL);
}

/* A path of this machine, where one of the context was meant, or the context was not thought of. */
static int explain_context(struct tree *t, const char *path, int r, struct error **err)
{
	const char *place = t->ops->place ? t->ops->place(t) : NULL;
	_cleanup_free_ char *host = xasprintf("/%s", path);

	if (!place)
		return error_hint(err, r, "the build context has no such file");
	if (strchr(path, '/') && access(host, F_OK) == 0)
		return error_hint(err, r,
				  "the build context, %s, has no such file, and %s of this machine "
				  "is not in it: copy it there, or give its folder as "
				  "--build-context NAME=FOLDER and copy --from=NAME",
				  place, host);
	return error_hint(err, r, "the build context, %s, has no such file", place);
}

/* Names a file beside the missing one that may have been meant, or what hides the file itself. */
static int explain_missing(struct tree *t, const char *path, int r, struct error **err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *near;
	_cleanup_free_ char *dir = xstrndup(path, slash ? (size_t)(slash - path) : 0), *line = NULL;
	struct siblings s = {.dir_n = (size_t)(name - path)};

	if (t->ops->leaves_out)
		line = t->ops->leaves_out(t, path);
	if (line)
		return error_hint(err, r, "%s leaves it out of the build context", line);
	find_siblings(t, dir, &s);
	near = suggest(name, (const char *const *)s.names.v, s.names.n, true);
	for (size_t i = 0; i < s.names.n; i++)
		if (strcasecmp(s.names.v[i], name) == 0)
			near = s.names.v[i];
	if (near && strcmp(near, name) != 0)
		r = error_hint(err, r, "did you mean \"/%.*s%s\"?", (int)s.dir_n, path, near);
	else if (t->is_context && !near)
		r = explain_context(t, path, r, err);
	strv_release(&s.names);
	return r;
}

/* The text that BuildKit has for it; people and scripts know it. What it means is said below it. */
static int not_found(struct tree *t, const char *path, struct error **err)
{
	int r = error_new(err, ERR_NOTFOUND, 0,
			  "failed to compute cache key: failed to calculate checksum of ref %s: "
			  "\"/%s\": not found",
			  t->is_context ? "context" : "rootfs", path);

	return explain_missing(t, path, r, err);
}

static int add_root(struct tree *t, const struct op_file_copy *copy, const char *name,
		    struct copy_roots *roots, struct error **err)
{
	struct copy_root root = {0};
	bool exists;
	int r;

	r = tree_resolve(t, name, copy->follow_symlink, &root.path, &exists, &root.entry, err);
	if (r < 0)
		return r;
	if (!exists) {
		free(root.path);
		return not_found(t, name, err);
	}
	root.name = xstrdup(name);
	vec_push(roots, root);
	return 0;
}

/* Is there an unescaped wildcard in the first n bytes? */
static bool has_wildcard(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\\')
			i++;
		else if (strchr("*?[", s[i]))
			return true;
	}
	return false;
}

/* Length of the leading components without wildcards. */
static size_t literal_length(const char *src)
{
	size_t literal = 0;

	for (const char *p = src; *p;) {
		size_t n = strcspn(p, "/");

		if (has_wildcard(p, n))
			break;
		p += n;
		literal = (size_t)(p - src);
		while (*p == '/')
			p++;
	}
	return literal;
}

static size_t count_components(const char *path)
{
	size_t n = *path ? 1 : 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* The first n components. */
static char *first_components(const char *path, size_t n)
{
	const char *p = path;

	for (; *p; p++) {
		if (*p == '/' && --n == 0)
			break;
	}
	return xstrndup(path, (size_t)(p - path));
}

struct glob_walk {
	struct tree *tree;
	const struct op_file_copy *copy;
	const char *pattern; /* below `base` */
	size_t depth;	     /* of the pattern, in components */
	size_t base_n;	     /* bytes of a path to skip */
	struct copy_roots *roots;
};

static int glob_visit(void *data, const struct entry *e, uint64_t group, struct error **err)
{
	struct glob_walk *g = data;
	_cleanup_free_ char *prefix = NULL;
	const char *rel = e->path + g->base_n;
	size_t depth;
	int r;

	(void)group;
	while (*rel == '/')
		rel++;
	if (*rel == '\0')
		return 0;
	depth = count_components(rel);
	if (depth < g->depth && e->type != ENTRY_DIR)
		return 0;
	prefix = first_components(g->pattern, depth);
	r = glob_match(prefix, rel, err);
	if (r < 0)
		return r;
	if (r > 0 && depth == g->depth) {
		r = add_root(g->tree, g->copy, e->path, g->roots, err);
		if (r < 0)
			return r;
		return e->type == ENTRY_DIR ? TREE_SKIP : 0;
	}
	return r == 0 && e->type == ENTRY_DIR ? TREE_SKIP : 0;
}

static int resolve_wildcards(struct tree *t, const struct op_file_copy *copy, const char *src,
			     size_t literal, struct copy_roots *roots, struct error **err)
{
	_cleanup_free_ char *prefix = xstrndup(src, literal), *base = NULL;
	const char *pattern = src + literal + (literal > 0);
	struct glob_walk g = {.tree = t, .copy = copy, .pattern = pattern, .roots = roots};
	struct entry entry;
	bool exists;
	int r;

	r = tree_resolve(t, prefix, copy->follow_symlink, &base, &exists, &entry, err);
	if (r < 0)
		return r;
	if (!exists)
		return not_found(t, prefix, err);
	r = glob_match(pattern, "", err);
	if (r < 0)
		return error_wrap(err, r, "match '%s'", copy->src);
	g.depth = count_components(pattern);
	g.base_n = strlen(base);
	r = t->ops->walk(t, base, glob_visit, &g, err);
	if (r < 0)
		return r;
	if (roots->n == 0 && !copy->allow_empty_wildcard)
		return error_new(err, ERR_NOTFOUND, 0, "\"/%s\" matches nothing", src);
	return 0;
}

enum { REQUIRE_STOP = 2 }; /* any value but TREE_SKIP */

struct require {
	const char *path;
	const char *root;
	bool found;
};

static int require_visit(void *data, const struct copy_item *item, struct error **err)
{
	struct require *q = data;
	_cleanup_free_ char *path = path_join(q->root, item->rel);

	(void)err;
	q->found = item->included && path_within(path, q->path);
	return q->found ? REQUIRE_STOP : 0;
}

static int check_required(struct tree *t, const struct op_file_copy *copy,
			  const struct copy_roots *roots, struct error **err)
{
	for (size_t i = 0; i < copy->required_paths.n; i++) {
		_cleanup_free_ char *path = path_rooted(copy->required_paths.v[i]);
		struct require q = {.path = path};

		for (size_t k = 0; k < roots->n && !q.found; k++) {
			int r;

			q.root = roots->v[k].name;
			r = copy_select_walk(t, copy, &roots->v[k], require_visit, &q, err);
			if (r < 0)
				return r;
		}
		if (!q.found)
			return not_found(t, path, err);
	}
	return 0;
}

int copy_roots_resolve(struct tree *t, const struct op_file_copy *copy, struct copy_roots *ret,
		       struct error **err)
{
	_cleanup_free_ char *src = path_rooted(copy->src);
	size_t literal = literal_length(src);
	_cleanup_(copy_roots_release) struct copy_roots roots = {0};
	int r;

	if (!copy->allow_wildcard || src[literal] == '\0')
		r = add_root(t, copy, src, &roots, err);
	else
		r = resolve_wildcards(t, copy, src, literal, &roots, err);
	if (r == 0)
		r = check_required(t, copy, &roots, err);
	if (r < 0)
		return r;
	*ret = roots;
	roots = (struct copy_roots){0};
	return 0;
}

/* --- Walking below a root --- */

struct pending {
	char *rel;
	struct entry entry;
};

struct select_walk {
	const struct op_file_copy *copy;
	struct pattern_list *include, *exclude; /* NULL: none */
	bool prune;				/* include patterns have no exceptions */
	size_t root_n;
	copy_visit_fn visit;
	void *data;
	VEC(struct pending) pending; /* directories above, not selected so far */
};

static bool component_is_doublestar(const char *p, size_t n)
{
	return n == 2 && p[0] == '*' && p[1] == '*';
}

/* Can `pattern` match something below the directory `rel`? */
static bool pattern_reaches_below(const char *pattern, const char *rel)
{
	while (*pattern == '/')
		pattern++;
	for (;;) {
		size_t pn = strcspn(pattern, "/"), rn = strcspn(rel, "/");
		_cleanup_free_ char *p = xstrndup(pattern, pn), *r = xstrndup(rel, rn);

		if (component_is_doublestar(pattern, pn))
			return true;
		if (glob_match(p, r, NULL) == 0)
			return false;
		pattern += pn;
		rel += rn;
		if (*rel == '\0' || *pattern == '\0')
			return true;
		pattern++;
		rel++;
	}
}

static bool include_reaches_below(const struct select_walk *w, const char *rel)
{
	if (!w->prune)
		return true;
	for (size_t i = 0; i < w->copy->include.n; i++) {
		if (pattern_reaches_below(w->copy->include.v[i], rel))
			return true;
	}
	return false;
}

/* Drops the pending directories that `rel` is not below. */
static void pending_leave(struct select_walk *w, const char *rel)
{
	while (w->pending.n > 0 && !path_within(rel, vec_last(&w->pending).rel))
		free(vec_pop(&w->pending).rel);
}

static int pending_flush(struct select_walk *w, struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < w->pending.n && r == 0; i++) {
		struct copy_item item = {.rel = w->pending.v[i].rel,
					 .entry = &w->pending.v[i].entry};

		r = w->visit(w->data, &item, err);
	}
	while (w->pending.n > 0)
		free(vec_pop(&w->pending).rel);
	return r;
}

static int select_visit(void *data, const struct entry *e, uint64_t group, struct error **err)
{
	struct select_walk *w = data;
	const char *rel = e->path + w->root_n;
	struct copy_item item = {.entry = e, .group = group, .included = true};
	bool excluded = false;
	int r;

	while (*rel == '/')
		rel++;
	item.rel = rel;
	if (*rel) {
		pending_leave(w, rel);
		excluded = w->exclude && pattern_list_matches(w->exclude, rel);
		item.included = !excluded && (!w->include || pattern_list_matches(w->include, rel));
	}
	if (!item.included && e->type != ENTRY_DIR)
		return 0;
	if (!item.included) {
		if (excluded && !pattern_list_has_exceptions(w->exclude))
			return TREE_SKIP;
		if (w->include && !include_reaches_below(w, rel))
			return TREE_SKIP;
		vec_push(&w->pending, (struct pending){.rel = xstrdup(rel), .entry = *e});
		return 0;
	}
	r = pending_flush(w, err);
	return r ? r : w->visit(w->data, &item, err);
}

static int patterns_open(const struct op_strings *strings, struct pattern_list **ret,
			 struct error **err)
{
	_cleanup_strv_ struct strv lines = {0};

	*ret = NULL;
	if (strings->n == 0)
		return 0;
	for (size_t i = 0; i < strings->n; i++)
		strv_push(&lines, strings->v[i]);
	return pattern_list_new(&lines, ret, err);
}

int copy_select_walk(struct tree *t, const struct op_file_copy *copy, const struct copy_root *root,
		     copy_visit_fn visit, void *data, struct error **err)
{
	struct select_walk w = {
		.copy = copy, .root_n = strlen(root->path), .visit = visit, .data = data};
	int r;

	r = patterns_open(&copy->include, &w.include, err);
	if (r == 0)
		r = patterns_open(&copy->exclude, &w.exclude, err);
	if (r == 0) {
		w.prune = w.include && !pattern_list_has_exceptions(w.include);
		r = t->ops->walk(t, root->path, select_visit, &w, err);
	}
	while (w.pending.n > 0)
		free(vec_pop(&w.pending).rel);
	vec_release(&w.pending);
	pattern_list_free(w.include);
	pattern_list_free(w.exclude);
	return r;
}

/* --- The digest of a selection --- */

/* Paths whose bytes have to be hashed first. */
struct unknown {
	struct tree *tree;
	VEC(const char *) paths;
};

static int unknown_visit(void *data, const struct copy_item *item, struct error **err)
{
	struct unknown *u = data;

	(void)err;
	if (item->entry->type == ENTRY_FILE && digest_is_zero(&item->entry->content))
		vec_push(&u->paths, item->entry->path);
	return 0;
}

static int hash_one(void *data, size_t i, struct error **err)
{
	struct unknown *u = data;
	struct digest digest;
	struct entry e;
	uint64_t group;

	if (!u->tree->ops->get(u->tree, u->paths.v[i], &e, &group))
		return 0;
	return tree_content(u->tree, &e, &digest, err);
}

int copy_item_digest(struct tree *t, const struct op_file_copy *copy, const struct copy_item *item,
		     struct hasher *h, struct error **err)
{
	const struct entry *e = item->entry;
	/* What the action overrides cannot show, but a directory on the way to what is selected may
	 * give its mode to one that exists. */
	bool overridden = copy->mode >= 0 && !(copy->mode_text && *copy->mode_text) &&
			  item->included && e->type != ENTRY_SYMLINK;
	struct digest content;
	int r;

	hasher_add_u64(h, overridden ? 0 : e->mode);
	hasher_add_u64(h, copy->owner.set ? 0 : e->uid);
	hasher_add_u64(h, copy->owner.set ? 0 : e->gid);
	hasher_add_string(h, e->type == ENTRY_SYMLINK ? e->link : NULL);
	hasher_add_u64(h, ((uint64_t)e->dev_major << 32) | e->dev_minor);
	hasher_add_u64(h, e->capability_size);
	hasher_add(h, e->capability, e->capability_size);
	if (e->type != ENTRY_FILE)
		return 0;
	r = tree_content(t, e, &content, err);
	if (r < 0)
		return r;
	hasher_add(h, content.b, sizeof(content.b));
	return 0;
}

struct digest_walk {
	struct tree *tree;
	const struct op_file_copy *copy;
	struct hasher *h;
};

static int digest_visit(void *data, const struct copy_item *item, struct error **err)
{
	struct digest_walk *d = data;

	hasher_add_string(d->h, item->rel);
	hasher_add_u64(d->h, item->entry->type);
	/* Of a directory whose contents are copied nothing shows but what is in it. */
	if (*item->rel == '\0' && item->entry->type == ENTRY_DIR && d->copy->dir_copy_contents)
		return 0;
	return copy_item_digest(d->tree, d->copy, item, d->h, err);
}

static int digest_copy(struct tree *t, const struct op_file_copy *copy, struct hasher *h,
		       struct error **err)
{
	_cleanup_(copy_roots_release) struct copy_roots roots = {0};
	struct unknown unknown = {.tree = t};
	struct digest_walk d = {.tree = t, .copy = copy, .h = h};
	int r;

	r = copy_roots_resolve(t, copy, &roots, err);
	for (size_t i = 0; i < roots.n && r >= 0; i++)
		r = copy_select_walk(t, copy, &roots.v[i], unknown_visit, &unknown, err);
	if (r >= 0)
		r = parallel_for(unknown.paths.n, hash_one, &unknown, err);
	vec_release(&unknown.paths);
	if (r < 0)
		return r;
	hasher_add_u64(h, roots.n);
	for (size_t i = 0; i < roots.n; i++) {
		const struct copy_root *root = &roots.v[i];
		bool contents = root->entry.type == ENTRY_DIR && copy->dir_copy_contents;

		hasher_add_string(h, contents ? NULL : path_base(root->name));
		r = copy_select_walk(t, copy, root, digest_visit, &d, err);
		if (r < 0)
			return r;
		hasher_add_string(h, NULL);
	}
	return 0;
}

int copy_select_digest(struct tree *t, const struct op_file_copy *const *copies, size_t n,
		       struct digest *ret, struct error **err)
{
	_cleanup_hasher_ struct hasher h;

	hasher_init(&h);
	hasher_add_string(&h, "copy selection 1");
	for (size_t i = 0; i < n; i++) {
		int r = digest_copy(t, copies[i], &h, err);

		if (r < 0)
			return r;
	}
	hasher_final(&h, ret);
	return 0;
}

int tree_path_digest(struct tree *t, const char *path, struct digest *ret, struct error **err)
{
	const struct op_file_copy copy = {.src = path, .follow_symlink = true, .mode = -1};
	const struct op_file_copy *copies[] = {&copy};

	return copy_select_digest(t, copies, 1, ret, err);
}
