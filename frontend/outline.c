/* SPDX-License-Identifier: Apache-2.0 */
/* What the target and the stages it needs take from outside: build arguments, secrets and ssh
 * agents, each once, by line. Stages are visited from the target on. */
#include <stdlib.h>
#include <string.h>

#include "frontend/dockerfile/df_text.h"
#include "frontend/lower.h"

struct collecting {
	struct compiler *c;
	struct arena *arena;
	struct map args, secrets, ssh; /* names seen */
	struct map globals;	       /* name -> the last struct global_arg */
	VEC(struct df_outline_arg) arg_list;
	VEC(struct df_outline_mount) secret_list, ssh_list;
};

static bool first(struct map *seen, const char *key)
{
	void **slot = map_puts(seen, key);

	if (*slot)
		return false;
	*slot = seen;
	return true;
}

/* The definition of a global ARG before the one at `end`. */
static const struct global_arg *find_before(const struct collecting *o, const char *name,
					    size_t end)
{
	for (size_t i = end; i-- > 0;)
		if (strcmp(o->c->global_args.v[i].key, name) == 0)
			return &o->c->global_args.v[i];
	return NULL;
}

/* What the default of a global ARG is made from is asked for with it; `ARG X=$X` goes on with the
 * definition before. */
static void add_uses(const struct collecting *o, const struct global_arg *g,
		     struct df_strings *todo)
{
	bool self = true;

	for (; g && self; g = find_before(o, g->key, (size_t)(g - o->c->global_args.v))) {
		self = false;
		for (size_t i = 0; i < g->uses.n_used; i++) {
			if (strcmp(g->uses.used[i].name, g->key) == 0)
				self = true;
			else
				df_strings_push(o->arena, todo, g->uses.used[i].name);
		}
	}
}

static void add_global(struct collecting *o, const char *name)
{
	struct df_strings todo = {0};
	const struct global_arg *found;

	df_strings_push(o->arena, &todo, name);
	for (size_t i = 0; i < todo.n; i++) {
		name = todo.v[i];
		found = map_gets(&o->args, name) ? NULL : map_gets(&o->globals, name);
		if (!found)
			continue;
		(void)first(&o->args, name);
		vec_push(&o->arg_list, (struct df_outline_arg){
					       .name = arena_strdup(o->arena, name),
					       .value = arena_strdup(o->arena, found->value),
					       .doc = found->pair->doc,
					       .span = found->span,
				       });
		add_uses(o, found, &todo);
	}
}

static void add_args(struct collecting *o, const struct stage *s)
{
	/* The last definition of a name counts, the stage's own before a global one. */
	for (size_t i = s->outline_args.n; i-- > 0;) {
		struct df_outline_arg arg = s->outline_args.v[i];

		if (arg.span.line > 0 && first(&o->args, arg.name)) {
			arg.name = arena_strdup(o->arena, arg.name);
			arg.value = arena_strdup(o->arena, arg.value);
			vec_push(&o->arg_list, arg);
		}
	}
	for (size_t i = 0; i < s->outline_args.n; i++)
		if (s->outline_args.v[i].span.line == 0)
			add_global(o, s->outline_args.v[i].name);
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

	for (size_t i = 0; i < c->global_args.n; i++)
		*map_puts(&o.globals, c->global_args.v[i].key) = &c->global_args.v[i];
	walk(&o);
	out->name = c->target->name ? c->target->name : "";
	out->doc = c->target->ast ? c->target->ast->from->from.doc : NULL;
	TAKE_LIST(&o, &o.arg_list, &out->args, &out->n_args, compare_args);
	TAKE_LIST(&o, &o.secret_list, &out->secrets, &out->n_secrets, compare_mounts);
	TAKE_LIST(&o, &o.ssh_list, &out->ssh, &out->n_ssh, compare_mounts);
	map_release(&o.args, NULL);
	map_release(&o.globals, NULL);
	map_release(&o.secrets, NULL);
	map_release(&o.ssh, NULL);
}
