/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/times.h"
#include "cmd/cli/show.h"
#include "engine/remote_cache/remote_import.h"
#include "store/mounts.h"

/* "24h" or "24h=STEPS". */
static int parse_ttl(const char *text, struct cache_ttl *ret, struct error **err)
{
	const char *equals = strchr(text, '=');
	_cleanup_free_ char *age = equals ? xstrndup(text, (size_t)(equals - text)) : xstrdup(text);

	*ret = (struct cache_ttl){0};
	if (times_parse_duration(age, &ret->ns) < 0 || ret->ns < 0 || (equals && !equals[1]))
		return error_new(err, ERR_INVALID, 0,
				 "--cache-ttl \"%s\": expected an age like 24h, or 24h=STEPS",
				 text);
	if (equals)
		ret->steps = xstrdup(equals + 1);
	return 0;
}

static bool asks_for_inline(const struct build_options *o)
{
	const char *value = env_get(&o->build_args, "BUILDKIT_INLINE_CACHE");

	return value && (strcmp(value, "1") == 0 || strcmp(value, "true") == 0);
}

static int parse_caches(struct build_options *o, struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < o->cache_from.n && r == 0; i++)
		r = remote_spec_parse(o->cache_from.v[i], REMOTE_IMPORT, &o->imports, err);
	for (size_t i = 0; i < o->cache_to.n && r == 0; i++)
		r = remote_spec_parse(o->cache_to.v[i], REMOTE_EXPORT, &o->cache_exports, err);
	if (r == 0 && asks_for_inline(o))
		remote_spec_add_inline(&o->cache_exports);
	return r;
}

int build_cache_import(const struct build_options *o, struct engine *e,
		       const struct progress *progress, struct error **err)
{
	struct remote_env env = {.store = e->store,
				 .registry = e->registry,
				 .config = &e->config,
				 .cancel = e->cancel};
	int r = 0;

	if (o->imports.n == 0)
		return 0;
	e->imports = remote_imports_new(&env);
	for (size_t i = 0; i < o->imports.n && r == 0; i++)
		r = remote_imports_add(e->imports, &o->imports.v[i], err);
	if (r == 0)
		remote_imports_start(e->imports, progress);
	return r;
}

int build_cache_check(struct build_options *o, struct error **err)
{
	for (size_t i = 0; i < o->cache_ttls.n; i++) {
		struct cache_ttl ttl;
		int r = parse_ttl(o->cache_ttls.v[i], &ttl, err);

		if (r < 0)
			return r;
		free(ttl.steps);
	}
	if (o->context_modes && strcmp(o->context_modes, "keep") != 0 &&
	    strcmp(o->context_modes, "normalize") != 0)
		return error_new(err, ERR_INVALID, 0,
				 "--context-modes: \"%s\" is not keep or normalize",
				 o->context_modes);
	return parse_caches(o, err);
}

void build_cache_policy(const struct build_options *o, struct cache_policy *p)
{
	p->explain = o->explain;
	p->normalize_modes = o->context_modes && strcmp(o->context_modes, "normalize") == 0;
	for (size_t i = 0; i < o->cache_ttls.n; i++) {
		struct cache_ttl ttl;

		if (parse_ttl(o->cache_ttls.v[i], &ttl, NULL) == 0)
			vec_push(&p->ttls, ttl);
	}
}

static bool is_step(const struct vertex *v)
{
	return v->op.kind == OP_EXEC || v->op.kind == OP_FILE;
}

int build_cache_mark(const struct build_options *o, struct graph *g, struct error **err)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->vertices[i]->meta.ignore_cache)
			g->vertices[i]->meta.ignore_reason =
				o->no_cache ? "--no-cache" : "--no-cache-filter";
	for (size_t k = 0; k < o->no_cache_steps.n; k++) {
		const char *pattern = o->no_cache_steps.v[k];
		bool matched = false;

		for (size_t i = 0; i < g->n; i++) {
			struct vertex *v = g->vertices[i];

			if (!is_step(v) || !vertex_matches(v, pattern))
				continue;
			v->meta.ignore_cache = matched = true;
			v->meta.ignore_reason =
				arena_printf(&g->arena, "--no-cache-step %s", pattern);
		}
		if (!matched)
			return error_new(err, ERR_INVALID, 0,
					 "--no-cache-step \"%s\": no step of this build matches",
					 pattern);
	}
	return 0;
}

static int reset_mount(struct store *s, const char *id, struct error **err)
{
	int r = mounts_remove(s, id, NULL);

	if (r == -ERR_NOTFOUND)
		return 0;
	return r < 0 ? mounts_remove(s, id, err) : r;
}

static int reset_used(const struct vertex *v, struct store *s, struct error **err)
{
	int r = 0;

	for (size_t i = 0; v->op.kind == OP_EXEC && i < v->op.exec.n_mounts && r == 0; i++) {
		const struct op_mount *m = &v->op.exec.mounts[i];

		if (m->type == MOUNT_CACHE)
			r = reset_mount(s, m->cache_id && *m->cache_id ? m->cache_id : m->dest,
					err);
	}
	return r;
}

int build_cache_reset_mounts(const struct build_options *o, const struct graph *g, struct store *s,
			     struct error **err)
{
	const char *list = o->reset_mounts;
	_cleanup_strv_ struct strv ids = {0};
	int r = 0;

	csv_names(list ? list : "", &ids);
	for (size_t i = 0; i < ids.n && r == 0; i++)
		r = reset_mount(s, ids.v[i], err);
	for (size_t i = 0; list && !*list && i < g->n && r == 0; i++)
		r = reset_used(g->vertices[i], s, err);
	return r < 0 ? error_wrap(err, r, "--reset-mounts") : 0;
}

void build_cache_explain(const struct strv *reasons)
{
	if (reasons->n == 0) {
		fprintf(stderr, "\nEvery step was in the cache.\n");
		return;
	}
	fprintf(stderr, "\nWhy steps ran:\n");
	for (size_t i = 0; i < reasons->n; i++)
		show(stderr, "  %s\n", reasons->v[i]);
}
