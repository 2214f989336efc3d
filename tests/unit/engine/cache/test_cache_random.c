/* SPDX-License-Identifier: Apache-2.0 */
/* Random Dockerfiles of real layers, edited at random between builds that share a store, against a
 * model that computes every step afresh: what a build gives is what the model gives, a step runs
 * once on equal inputs, what a step leaves lies on what this build has below it, and of a step that
 * is no function of its inputs one build uses one run.
 *
 * A root file system is a few files of small texts. Steps write, copy and delete them, so that
 * edits bring about all that docs/cache.md, "Early cutoff", speaks of: equal content from other
 * steps, files that a later step deletes, equal layers on different parents, and results that turn
 * out hollow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "engine/cache/cache_store.h"
#include "engine/engine.h"
#include "engine/tree/result.h"
#include "engine/vertex_ops.h"
#include "store/rootfs.h"

#include "layer_fixture.h"

enum { FILES = 4, BASES = 2, STEPS_MAX = 10, ROUNDS = 10, SEEDS = 20 };

/* Each in a directory of its own, which is always there and can be mounted. */
static const char *const dir_names[FILES] = {"a", "b", "c", "d"};
static const char *const file_names[FILES] = {"a/f", "b/f", "c/f", "d/f"};
static const char *const base_names[BASES] = {"image://one", "image://two"};

/* Of every file its text, a digit; 0: it is not there. */
struct files {
	char v[FILES];
};

enum kind { WRITES, DELETES, NOTHING, NOW };

/* Changes `file` of what `below` left, by what it reads of that and of another tree; NOW by the
 * time alone. */
struct step {
	enum kind kind;
	unsigned file, reads, salt;
	size_t below, from; /* bases first, then steps; from: SIZE_MAX for none */
	unsigned from_file;
};

struct world {
	struct fixture *f;
	struct cache_policy policy;
	struct cache_store cache;
	struct engine engine;	/* of which the content digests need the store */
	struct vertex_ops real; /* the engine's, for those digests */
	struct graph g;
	uint64_t rng;
	unsigned epoch;
	struct step steps[STEPS_MAX];
	size_t n;
	struct files bases[BASES], model[BASES + STEPS_MAX];
	bool certain[BASES + STEPS_MAX];	/* the model: no NOW went into it */
	struct result *made[BASES + STEPS_MAX]; /* of this build, by vertex id */

	pthread_mutex_t lock;	/* protects what follows */
	struct map base_layers; /* content -> layer id */
	struct map ran;		/* a step and what it read, over all builds */
	struct map hollow;	/* layer ids */
	size_t reruns;
	int64_t clock; /* no two layers have equal times */
};

static unsigned rnd(struct world *w, size_t n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (unsigned)(w->rng % n);
}

/* --- What steps do --- */

static char text_of(unsigned salt, char a, char b)
{
	const char bytes[] = {(char)salt, a, b};

	return (char)('1' + digest_of(bytes, sizeof(bytes)).b[0] % 3);
}

static void apply(const struct step *s, unsigned epoch, struct files *below, char from)
{
	switch (s->kind) {
	case WRITES:
		below->v[s->file] = text_of(s->salt, below->v[s->reads], from);
		return;
	case DELETES:
		below->v[s->file] = 0;
		return;
	case NOW:
		below->v[s->file] = text_of(epoch, 'n', 0);
		return;
	case NOTHING:
		return;
	}
}

static void model(struct world *w)
{
	memcpy(w->model, w->bases, sizeof(w->bases));
	for (size_t i = 0; i < BASES; i++)
		w->certain[i] = true;
	for (size_t i = 0; i < w->n; i++) {
		const struct step *s = &w->steps[i];
		struct files *files = &w->model[BASES + i];

		w->certain[BASES + i] = s->kind != NOW && w->certain[s->below] &&
					(s->from == SIZE_MAX || w->certain[s->from]);
		*files = w->model[s->below];
		apply(s, w->epoch, files,
		      s->from == SIZE_MAX ? 0 : w->model[s->from].v[s->from_file]);
	}
}

static struct files files_of(struct world *w, const struct result *r)
{
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	struct files files = {{0}};

	assert_int_equal(rootfs_open(w->f->s, r->layers, r->n_layers, &rootfs, NULL), 0);
	for (size_t i = 0; i < FILES; i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		if (rootfs_read(rootfs, file_names[i], 16, &b, NULL) == 0)
			files.v[i] = b.p[0];
	}
	return files;
}

static int64_t layer_of(struct world *w, unsigned file, char before, char after)
{
	const char text[] = {after, '\0'};
	const struct line lines[] = {
		{.type = 'd', .path = dir_names[file], .mtime = ++w->clock},
		{.type = after ? 'f' : 'w',
		 .path = file_names[file],
		 .text = text,
		 .mtime = w->clock},
	};

	return make_layer(w->f, lines, after || before ? 2 : 0);
}

static void note_run(struct world *w, const struct vertex *v, const struct files *below, char from)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	void **slot;

	buf_addf(&b, "%s|%zu|%d", v->op.exec.args.v[0], v->n_inputs, from);
	buf_add(&b, below, sizeof(*below));
	slot = map_put(&w->ran, b.p, b.n);
	if (*slot && w->steps[v->id - BASES].kind != NOW)
		w->reruns++;
	*slot = w;
}

static bool is_hollow(struct world *w, const struct result *r)
{
	for (size_t i = 0; i < r->n_layers; i++)
		if (map_get(&w->hollow, &r->layers[i], sizeof(r->layers[i])))
			return true;
	return false;
}

static int run_step(struct world *w, const struct vertex *v, struct result *const *inputs,
		    struct result **ret, size_t *ret_hollow, struct error **err)
{
	const struct step *s = &w->steps[v->id - BASES];
	struct files below, files;
	char from;

	for (size_t i = 0; i < v->n_inputs; i++) {
		if (!is_hollow(w, inputs[i]))
			continue;
		*ret_hollow = i;
		return error_new(err, ERR_CORRUPT, 0, "input %zu is hollow", i);
	}
	files = below = files_of(w, inputs[0]);
	from = v->n_inputs > 1 ? files_of(w, inputs[1]).v[s->from_file] : 0;
	apply(s, w->epoch, &files, from);
	note_run(w, v, &below, from);
	if (s->kind == NOTHING)
		ret[0] = result_extend(inputs[0], layer_of(w, s->file, 0, 0));
	else
		ret[0] = result_extend(inputs[0],
				       layer_of(w, s->file, below.v[s->file], files.v[s->file]));
	return 0;
}

static int64_t base_layer(struct world *w, const struct files *files)
{
	void **slot = map_put(&w->base_layers, files, sizeof(*files));
	struct line lines[2 * FILES];
	char texts[FILES][2] = {{0}};
	size_t n = 0;

	for (size_t i = 0; i < FILES && !*slot; i++) {
		texts[i][0] = files->v[i];
		lines[n++] = (struct line){.type = 'd', .path = dir_names[i], .mtime = ++w->clock};
		if (files->v[i])
			lines[n++] = (struct line){.type = 'f',
						   .path = file_names[i],
						   .text = texts[i],
						   .mtime = w->clock};
	}
	if (!*slot)
		*slot = (void *)(uintptr_t)make_layer(w->f, lines, n);
	return (int64_t)(uintptr_t)*slot;
}

static int world_pin(void *data, struct job *job, const struct vertex *v, struct pin *ret,
		     struct error **err)
{
	struct world *w = data;

	(void)job, (void)err;
	ret->has_key = true;
	ret->key = digest_of(&w->bases[v->id], sizeof(w->bases[v->id]));
	return 0;
}

static int world_content(void *data, struct job *job, const struct vertex *v, size_t input,
			 struct result *in, struct digest *ret, bool *ret_available,
			 struct error **err)
{
	struct world *w = data;

	return vertex_solver_ops.content(&w->real, job, v, input, in, ret, ret_available, err);
}

static int world_run(void *data, struct job *job, const struct vertex *v,
		     struct result *const *inputs, struct result **ret, size_t n_outputs,
		     size_t *ret_hollow, struct error **err)
{
	struct world *w = data;
	int r = 0;

	(void)job;
	assert_int_equal(n_outputs, 1);
	pthread_mutex_lock(&w->lock);
	if (v->op.kind == OP_SOURCE) {
		int64_t layer = base_layer(w, &w->bases[v->id]);

		ret[0] = result_new_rootfs(&layer, 1);
	} else {
		r = run_step(w, v, inputs, ret, ret_hollow, err);
	}
	pthread_mutex_unlock(&w->lock);
	return r;
}

static const struct solver_ops world_ops = {
	.pin = world_pin,
	.content = world_content,
	.run = world_run,
	.ref = result_ref,
	.unref = result_unref,
};

/* --- Builds --- */

static void add_base(struct world *w, size_t i)
{
	const struct op op = {.kind = OP_SOURCE, .source = {.identifier = base_names[i]}};
	const struct vertex_meta meta = {.name = base_names[i]};

	(void)graph_add(&w->g, &op, NULL, 0, &meta);
}

static void add_step(struct world *w, size_t i)
{
	const struct step *s = &w->steps[i];
	struct op_mount *mounts = arena_alloc(&w->g.arena, 2 * sizeof(*mounts));
	const char **args = arena_alloc(&w->g.arena, sizeof(*args));
	struct op op = {.kind = OP_EXEC};
	struct vertex_meta meta = {.ignore_cache = s->kind == NOW && rnd(w, 3) == 0,
				   .ignore_reason = "now"};
	struct edge edges[2] = {{.vertex = w->g.vertices[s->below]}};
	size_t n = 1;

	args[0] = arena_printf(&w->g.arena, "%d %u %u %u %u", (int)s->kind, s->file, s->reads,
			       s->salt, s->from_file);
	meta.name = arena_printf(&w->g.arena, "[%zu/%zu] RUN %s", i + 1, w->n, args[0]);
	op.exec.args = (struct op_strings){.v = args, .n = 1};
	/* Not in the key, but in the vertex's digest: equal steps stay two vertices. */
	op.exec.proxy.http = arena_printf(&w->g.arena, "%zu", i);
	mounts[0] = (struct op_mount){.input = 0, .dest = "/", .output = 0, .selector = ""};
	if (s->from != SIZE_MAX) {
		edges[n] = (struct edge){.vertex = w->g.vertices[s->from]};
		mounts[n++] = (struct op_mount){.input = 1,
						.dest = "/from",
						.output = OP_OUTPUT_NONE,
						.readonly = true,
						.selector = dir_names[s->from_file]};
	}
	op.exec.mounts = mounts;
	op.exec.n_mounts = n;
	(void)graph_add(&w->g, &op, edges, n, &meta);
}

static void made(void *data, const struct vertex *v, struct result *const *outputs,
		 size_t n_outputs)
{
	struct world *w = data;

	assert_int_equal(n_outputs, 1);
	result_unref(w->made[v->id]);
	w->made[v->id] = result_ref(outputs[0]);
}

/* What a build has of `below` and of what else a step reads gives what it has of the step. */
static void check_step(struct world *w, size_t id)
{
	const struct step *s = &w->steps[id - BASES];
	const struct result *below = w->made[s->below], *from = NULL;
	struct files files = files_of(w, w->made[id]), expect;

	if (s->from != SIZE_MAX)
		from = w->made[s->from];
	if (w->certain[id])
		assert_memory_equal(&files, &w->model[id], sizeof(files));
	if (!below || (s->from != SIZE_MAX && !from))
		return; /* never brought about: the step was found without them */
	expect = files_of(w, below);
	apply(s, w->epoch, &expect, from ? files_of(w, from).v[s->from_file] : 0);
	if (s->kind == NOW)
		expect.v[s->file] = files.v[s->file];
	assert_memory_equal(&files, &expect, sizeof(files));
}

/* How many layers the results of both share because their root file systems do. */
static size_t shared(const struct world *w, size_t a, size_t b)
{
	size_t depth = 0;

	while (a != b) {
		size_t *later = a > b ? &a : &b;

		if (*later < BASES)
			return 0;
		*later = w->steps[*later - BASES].below;
	}
	for (; a >= BASES; a = w->steps[a - BASES].below)
		depth++;
	return depth + 1;
}

static void check(struct world *w)
{
	size_t n = BASES + w->n;

	for (size_t i = 0; i < n; i++) {
		if (i >= BASES && w->made[i])
			check_step(w, i);
		for (size_t k = 0; k < i; k++) {
			size_t layers = shared(w, i, k);

			if (!w->made[i] || !w->made[k])
				continue;
			assert_true(w->made[i]->n_layers >= layers &&
				    w->made[k]->n_layers >= layers);
			assert_memory_equal(w->made[i]->layers, w->made[k]->layers,
					    layers * sizeof(int64_t));
		}
	}
}

static void forget_made(struct world *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(w->made); i++) {
		result_unref(w->made[i]);
		w->made[i] = NULL;
	}
}

static void build(struct world *w)
{
	const struct solver_options o = {
		.ops = &world_ops,
		.ops_data = w,
		.cache = &cache_store_backend,
		.cache_data = &w->cache,
		.max_parallelism = 1 + rnd(w, 3),
		.workers = 2,
		.made = made,
		.made_data = w,
	};
	struct result *results[2] = {NULL, NULL};
	struct error *err = NULL;
	struct edge targets[2];

	graph_init(&w->g);
	for (size_t i = 0; i < BASES; i++)
		add_base(w, i);
	for (size_t i = 0; i < w->n; i++)
		add_step(w, i);
	assert_int_equal(w->g.n, BASES + w->n);
	cache_store_init(&w->cache, w->f->s, &w->policy, NULL, NULL);
	for (size_t i = 0; i < 2; i++)
		targets[i] = (struct edge){.vertex = w->g.vertices[BASES + rnd(w, w->n)]};
	model(w);
	if (solver_solve(&o, &w->g, targets, 2, results, &err) < 0)
		fail_msg("%s", error_text(err));
	for (size_t i = 0; i < 2; i++) {
		const struct result *told = w->made[targets[i].vertex->id];

		assert_int_equal(results[i]->n_layers, told->n_layers);
		assert_memory_equal(results[i]->layers, told->layers,
				    told->n_layers * sizeof(*told->layers));
		result_unref(results[i]);
	}
	check(w);
	cache_store_release(&w->cache);
	graph_release(&w->g);
}

static void random_step(struct world *w, size_t i)
{
	static const enum kind kinds[] = {WRITES, WRITES,  WRITES,  WRITES,
					  WRITES, DELETES, DELETES, NOTHING};
	struct step *s = &w->steps[i];

	*s = (struct step){.kind = rnd(w, 6) == 0 ? NOW : kinds[rnd(w, ARRAY_SIZE(kinds))],
			   .file = rnd(w, FILES),
			   .reads = rnd(w, FILES),
			   .salt = rnd(w, 4),
			   .below = BASES + i - 1,
			   .from = SIZE_MAX,
			   .from_file = rnd(w, FILES)};
	/* Stages start on a base or another stage, and steps follow one another. */
	if (i == 0 || rnd(w, 3) == 0)
		s->below = rnd(w, BASES + i);
	if (rnd(w, 3) == 0)
		s->from = rnd(w, BASES + i);
}

static void random_base(struct world *w, size_t i)
{
	for (size_t k = 0; k < FILES; k++)
		w->bases[i].v[k] = (char)(rnd(w, 3) ? '0' + (char)(1 + rnd(w, 3)) : 0);
}

static void edit(struct world *w)
{
	size_t i = rnd(w, w->n);

	w->epoch++;
	if (rnd(w, 4) == 0)
		random_base(w, rnd(w, BASES));
	if (rnd(w, 3) == 0)
		random_step(w, i);
	else if (rnd(w, 3) == 0)
		w->steps[i].salt = rnd(w, 4);
	if (rnd(w, 4) == 0 && w->n < STEPS_MAX)
		random_step(w, w->n++);
}

static void world_init(struct world *w, struct fixture *f, uint64_t seed)
{
	*w = (struct world){.f = f, .rng = seed * 0x9e3779b97f4a7c15u + 1, .clock = 1000};
	w->engine.store = f->s;
	w->real.engine = &w->engine;
	pthread_mutex_init(&w->lock, NULL);
	for (size_t i = 0; i < BASES; i++)
		random_base(w, i);
	w->n = 2 + rnd(w, STEPS_MAX - 4);
	for (size_t i = 0; i < w->n; i++)
		random_step(w, i);
}

static void world_release(struct world *w)
{
	forget_made(w);
	map_release(&w->base_layers, NULL);
	map_release(&w->ran, NULL);
	map_release(&w->hollow, NULL);
	pthread_mutex_destroy(&w->lock);
}

/* Worlds of every seed, with `between` after each build and before what is edited for the next. */
static void build_worlds(void (*between)(struct world *w, uint64_t seed))
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w;
		void *f;

		assert_int_equal(set_up(&f), 0);
		world_init(&w, f, seed);
		for (int round = 0; round < ROUNDS; round++) {
			build(&w);
			between(&w, seed);
			forget_made(&w);
			edit(&w);
		}
		world_release(&w);
		assert_int_equal(tear_down(&f), 0);
	}
}

static void expect_no_rerun(struct world *w, uint64_t seed)
{
	if (w->reruns > 0)
		fail_msg("seed %llu: a step ran again on equal inputs", (unsigned long long)seed);
}

static void nothing_stale_is_used_and_nothing_is_run_twice(void **state)
{
	(void)state;
	build_worlds(expect_no_rerun);
}

static void hollow_out(struct world *w, uint64_t seed)
{
	(void)seed;
	for (size_t i = BASES; i < ARRAY_SIZE(w->made); i++) {
		const struct result *r = w->made[i];

		if (r && rnd(w, 4) == 0)
			*map_put(&w->hollow, &r->layers[r->n_layers - 1], sizeof(*r->layers)) = w;
	}
}

static void hollow_hits_are_mended(void **state)
{
	(void)state;
	build_worlds(hollow_out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_stale_is_used_and_nothing_is_run_twice),
		cmocka_unit_test(hollow_hits_are_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
