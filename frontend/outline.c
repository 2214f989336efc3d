#include <stdlib.h>
#include <string.h>

#include "frontend/lower.h"

/* What the target and the stages it needs take from outside: build arguments, secrets, ssh agents
 * and cache mounts, each once, by line. Stages are visited from the target on. */

struct collecting {
	struct compiler *c;
	struct arena *arena;
	struct map args, secrets, ssh, caches; /* names seen */
	VEC(struct df_outline_arg) arg_list;
	VEC(struct df_outline_mount) secret_list, ssh_list, cache_list;
};

static bool first(struct map *seen, const char *key)
{
	void **slot = map_puts(seen, key);

	if (*slot)
		return false;
	*slot = seen;
	return true;
}

static void add_global(struct collecting *o, const char *name)
{
	const struct global_arg *found = NULL;

	for (size_t i = 0; i < o->c->global_args.n; i++)
		if (strcmp(o->c->global_args.v[i].key, name) == 0)
			found = &o->c->global_args.v[i];
	if (found && first(&o->args, name))
		vec_push(&o->arg_list, (struct df_outline_arg){
					       .name = arena_strdup(o->arena, name),
					       .value = arena_strdup(o->arena, found->value),
					       .doc = found->pair->doc,
					       .span = found->span,
				       });
}

static void add_args(struct collecting *o, const struct stage *s)
{
	/* The last definition of a name counts. */
	for (size_t i = s->outline_args.n; i-- > 0;) {
		struct df_outline_arg arg = s->outline_args.v[i];

		if (arg.span.line == 0) {
			add_global(o, arg.name);
		} else if (first(&o->args, arg.name)) {
			arg.name = arena_strdup(o->arena, arg.name);
			arg.value = arena_strdup(o->arena, arg.value);
			vec_push(&o->arg_list, arg);
		}
	}
	for (size_t i = 0; i < s->from_vars.n; i++)
		add_global(o, s->from_vars.v[i]);
}

static int compare_args(const void *a, const void *b)
{
	const struct df_outline_arg *x = a, *y = b;

	if (x->span.line != y->span.line)
		return x->span.line < y->span.line ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int compare_mounts(const void *a, const void *b)
{
	const struct df_outline_mount *x = a, *y = b;

	if (x->span.line != y->span.line)
		return x->span.line < y->span.line ? -1 : 1;
	return strcmp(x->id, y->id);
}

#define ADD_USES(o, seen, list, uses)                                                        \
	do {                                                                                 \
		for (size_t i_ = 0; i_ < (uses)->n; i_++)                                    \
			if (first((seen), (uses)->v[i_].id))                                 \
				vec_push((list), (struct df_outline_mount){                  \
							 .id = (uses)->v[i_].id,             \
							 .required = (uses)->v[i_].required, \
							 .span = (uses)->v[i_].span,         \
						 });                                         \
	} while (0)

static void add_stage(struct collecting *o, const struct stage *s)
{
	add_args(o, s);
	ADD_USES(o, &o->secrets, &o->secret_list, &s->secrets);
	ADD_USES(o, &o->ssh, &o->ssh_list, &s->ssh);
	ADD_USES(o, &o->caches, &o->cache_list, &s->caches);
}

static void walk(struct collecting *o)
{
	VEC(struct stage *) todo = {0};

	for (size_t i = 0; i < o->c->stages.n; i++)
		o->c->stages.v[i]->mark = 0;
	vec_push(&todo, o->c->target);
	while (todo.n > 0) {
		struct stage *s = vec_pop(&todo);

		if (s->mark)
			continue;
		s->mark = 1;
		add_stage(o, s);
		for (size_t i = s->deps.n; i-- > 0;)
			vec_push(&todo, s->deps.v[i].stage);
		if (s->base)
			vec_push(&todo, s->base);
	}
	vec_release(&todo);
}

#define TAKE_LIST(o, list, to, count, compare)                                      \
	do {                                                                        \
		size_t size_ = (list)->n * sizeof(*(list)->v);                      \
		void *copy_ = arena_alloc((o)->arena, size_ + 1);                   \
		if ((list)->n > 0) {                                                \
			qsort((list)->v, (list)->n, sizeof(*(list)->v), (compare)); \
			memcpy(copy_, (list)->v, size_);                            \
		}                                                                   \
		*(to) = copy_;                                                      \
		*(count) = (list)->n;                                               \
		vec_release(list);                                                  \
	} while (0)

void outline_fill(struct compiler *c)
{
	struct collecting o = {.c = c, .arena = &c->result->arena};
	struct df_outline *out = &c->result->outline;

	walk(&o);
	out->name = c->target->name ? c->target->name : "";
	out->doc = c->target->ast ? c->target->ast->from->from.doc : NULL;
	TAKE_LIST(&o, &o.arg_list, &out->args, &out->n_args, compare_args);
	TAKE_LIST(&o, &o.secret_list, &out->secrets, &out->n_secrets, compare_mounts);
	TAKE_LIST(&o, &o.ssh_list, &out->ssh, &out->n_ssh, compare_mounts);
	TAKE_LIST(&o, &o.cache_list, &out->caches, &out->n_caches, compare_mounts);
	map_release(&o.args, NULL);
	map_release(&o.secrets, NULL);
	map_release(&o.ssh, NULL);
	map_release(&o.caches, NULL);
}
