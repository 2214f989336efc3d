/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tree/tree.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/path.h"

/* As many as the kernel follows in one path. */
enum { SYMLINKS_MAX = 40 };

struct tree *tree_ref(struct tree *t)
{
	if (t)
		t->refs++;
	return t;
}

void tree_unref(struct tree *t)
{
	if (t && --t->refs == 0)
		t->ops->free(t);
}

int tree_content(struct tree *t, const struct entry *e, struct digest *ret, struct error **err)
{
	if (!digest_is_zero(&e->content)) {
		*ret = e->content;
		return 0;
	}
	return t->ops->content(t, e, ret, err);
}

struct resolver {
	tree_lookup_fn lookup;
	const void *data;
	struct buf at; /* resolved so far, without symlinks */
	size_t floor;  /* length of the scope, below which ".." removes nothing */
	struct buf rest;
	const char *todo; /* in it: what is still to be walked */
};

static void resolver_up(struct resolver *r)
{
	while (r->at.n > r->floor && r->at.p[r->at.n - 1] != '/')
		buf_truncate(&r->at, r->at.n - 1);
	if (r->at.n > r->floor)
		buf_truncate(&r->at, r->at.n - 1);
}

/* Takes the first component of what is left; false if there is none. */
static bool resolver_next(struct resolver *r, struct buf *component)
{
	const char *p = r->todo;
	size_t n;

	while (*p == '/')
		p++;
	n = strcspn(p, "/");
	buf_clear(component);
	buf_add(component, p, n);
	p += n;
	while (*p == '/')
		p++;
	r->todo = p;
	return component->n > 0;
}

/* Continues with a symlink's target before what is left. */
static void resolver_follow(struct resolver *r, const char *target)
{
	_cleanup_buf_ struct buf rest = BUF_INIT;

	buf_adds(&rest, target);
	buf_addc(&rest, '/');
	buf_adds(&rest, r->todo);
	if (target[0] == '/')
		buf_truncate(&r->at, r->floor);
	buf_clear(&r->rest);
	buf_add(&r->rest, rest.p, rest.n);
	r->todo = r->rest.p;
}

static int resolve(struct resolver *r, const char *path, bool follow_last, struct error **err)
{
	_cleanup_buf_ struct buf component = BUF_INIT;
	unsigned links = 0;
	int code = path_check_lengths(r->at.p, r->todo, err);

	if (code < 0)
		return code;
	while (resolver_next(r, &component)) {
		size_t before = r->at.n;
		struct entry e;

		if (strcmp(component.p, ".") == 0)
			continue;
		if (strcmp(component.p, "..") == 0) {
			resolver_up(r);
			continue;
		}
		if (r->at.n > 0)
			buf_addc(&r->at, '/');
		buf_add(&r->at, component.p, component.n);
		if (!*r->todo && !follow_last)
			break;
		if (!r->lookup(r->data, r->at.p, &e) || e.type != ENTRY_SYMLINK)
			continue;
		if (++links > SYMLINKS_MAX)
			return error_new(err, ERR_INVALID, 0,
					 "resolve '/%s': too many levels of symbolic links", path);
		buf_truncate(&r->at, before);
		resolver_follow(r, e.link);
		code = path_check_lengths(r->at.p, r->todo, err);
		if (code < 0)
			return code;
	}
	return 0;
}

int tree_resolve_scoped(tree_lookup_fn lookup, const void *data, const char *scope,
			const char *path, bool follow_last, char **ret_path, bool *ret_exists,
			struct entry *ret, struct error **err)
{
	struct resolver r = {.lookup = lookup, .data = data, .at = BUF_INIT, .rest = BUF_INIT};
	struct entry e = {0};
	int code;

	buf_adds(&r.at, scope);
	r.floor = r.at.n;
	buf_adds(&r.rest, path);
	r.todo = r.rest.p;
	code = resolve(&r, path, follow_last, err);
	buf_release(&r.rest);
	if (code < 0) {
		buf_release(&r.at);
		return code;
	}
	*ret_exists = lookup(data, r.at.p, &e);
	if (*ret_exists && ret)
		*ret = e;
	*ret_path = buf_take(&r.at);
	return 0;
}

static bool tree_lookup(const void *data, const char *path, struct entry *ret)
{
	struct tree *const *t = data;
	uint64_t group;

	return (*t)->ops->get(*t, path, ret, &group);
}

int tree_resolve(struct tree *t, const char *path, bool follow_last, char **ret_path,
		 bool *ret_exists, struct entry *ret, struct error **err)
{
	return tree_resolve_scoped(tree_lookup, &t, "", path, follow_last, ret_path, ret_exists,
				   ret, err);
}
