/* SPDX-License-Identifier: Apache-2.0 */
/* Random graphs, edited at random between builds that share a cache, against a model that computes
 * every step afresh. Two properties: no build sees a stale result, and no step runs on inputs that
 * it has run on before. */
#include "fake.h"

enum { STEPS_MAX = 24, SOURCES = 4, ROUNDS = 12, SEEDS = 150 };

struct step {
	unsigned text;
	bool now; /* not a function of its inputs; always built with ignore_cache */
	bool proxy;
	size_t n;
	size_t inputs[3];      /* sources first, then steps; SIZE_MAX: scratch */
	unsigned selectors[3]; /* 0 whole, 1 "a", 2 "b" */
};

struct program {
	struct fake f;
	uint64_t rng;
	struct step steps[STEPS_MAX];
	size_t n;
	char *values[SOURCES + STEPS_MAX]; /* the model's */
	struct map ran;			   /* what a step and its selections were; under f.lock */
	size_t reruns;
};

static const char *const source_names[SOURCES] = {"local://one", "local://two", "image://one",
						  "image://two"};
static const char *const selector_names[] = {"", "a", "b"};

static unsigned rnd(struct program *p, size_t n)
{
	p->rng ^= p->rng << 13;
	p->rng ^= p->rng >> 7;
	p->rng ^= p->rng << 17;
	return (unsigned)(p->rng % n);
}

static void random_step(struct program *p, size_t i)
{
	struct step *s = &p->steps[i];

	*s = (struct step){.text = rnd(p, 5), .now = rnd(p, 15) == 0, .proxy = rnd(p, 4) == 0};
	s->n = rnd(p, 4);
	for (size_t k = 0; k < s->n; k++) {
		/* Near ones are likelier, so that graphs are deep. */
		size_t near = rnd(p, 3), all = SOURCES + i;

		s->inputs[k] = near > 0 && i > near ? all - near : rnd(p, all);
		if (rnd(p, 12) == 0)
			s->inputs[k] = SIZE_MAX;
		s->selectors[k] = k > 0 ? rnd(p, 3) : 0;
	}
}

static void random_source(struct program *p, size_t i)
{
	_cleanup_free_ char *value = xasprintf("a=%u;b=%u", rnd(p, 3), rnd(p, 3));

	fake_source_set(&p->f, source_names[i], value);
}

static char *step_text(const struct step *s)
{
	return xasprintf(s->now ? "now:%u" : "mod:3:%u", s->text);
}

static void model(struct program *p)
{
	for (size_t i = 0; i < SOURCES; i++) {
		free(p->values[i]);
		p->values[i] = xstrdup(fake_source_get(&p->f, source_names[i]));
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct step *s = &p->steps[i];
		_cleanup_free_ char *text = step_text(s);
		_cleanup_strv_ struct strv selected = {0};

		for (size_t k = 0; k < s->n; k++)
			strv_push_take(
				&selected,
				select_text(s->inputs[k] == SIZE_MAX ? "" : p->values[s->inputs[k]],
					    selector_names[s->selectors[k]]));
		free(p->values[SOURCES + i]);
		p->values[SOURCES + i] = compute(p->f.epoch, text, selected.v, selected.n);
	}
}

static void note_run(struct fake *f, const struct vertex *v, char *const *selected)
{
	/* f is the first member. */
	struct program *p = (struct program *)(void *)f;
	_cleanup_buf_ struct buf b = BUF_INIT;
	void **slot;

	buf_addf(&b, "%s", v->op.exec.args.v[0]);
	for (size_t i = 0; i < v->n_inputs; i++)
		buf_addf(&b, "|%d %d %s", v->inputs[i].vertex == NULL,
			 v->op.exec.mounts[i].readonly, selected[i]);
	pthread_mutex_lock(&f->lock);
	slot = map_put(&p->ran, b.p, b.n);
	if (*slot && !v->meta.ignore_cache)
		p->reruns++;
	*slot = p;
	pthread_mutex_unlock(&f->lock);
}

static struct vertex *build_graph(struct program *p, struct vertex **vertices)
{
	for (size_t i = 0; i < SOURCES; i++)
		vertices[i] = fake_source(&p->f, source_names[i]);
	for (size_t i = 0; i < p->n; i++) {
		const struct step *s = &p->steps[i];
		_cleanup_free_ char *text = step_text(s);
		struct fake_step step = {.text = text, .n = s->n, .ignore_cache = s->now};

		step.proxy = s->proxy ? "http://proxy" : NULL;
		for (size_t k = 0; k < s->n; k++) {
			step.inputs[k] = s->inputs[k] == SIZE_MAX ? NULL : vertices[s->inputs[k]];
			step.selectors[k] = selector_names[s->selectors[k]];
		}
		vertices[SOURCES + i] = fake_exec(&p->f, &step);
	}
	return vertices[SOURCES + p->n - 1];
}

static void build(struct program *p)
{
	struct vertex *vertices[SOURCES + STEPS_MAX];
	_cleanup_(error_freep) struct error *err = NULL;
	struct result *results[2] = {NULL, NULL};
	size_t second = rnd(p, SOURCES + p->n);
	struct edge targets[2];

	fake_next_build(&p->f);
	targets[0] = (struct edge){.vertex = build_graph(p, vertices)};
	targets[1] = (struct edge){.vertex = vertices[second]};
	model(p);
	p->f.max_parallelism = 1 + rnd(p, 3);
	if (fake_solve_edges(&p->f, targets, 1 + rnd(p, 2), results, &err) < 0)
		fail_msg("%s", error_text(err));
	assert_string_equal(results[0]->text, p->values[SOURCES + p->n - 1]);
	if (results[1])
		assert_string_equal(results[1]->text, p->values[second]);
	fake_unref(results[0]);
	fake_unref(results[1]);
	assert_int_equal(p->f.running, 0);
}

static void edit(struct program *p)
{
	p->f.epoch++;
	if (rnd(p, 3) == 0)
		random_source(p, rnd(p, SOURCES));
	if (rnd(p, 2) == 0)
		random_step(p, rnd(p, p->n));
	/* The smallest edit: another part of the same input. */
	for (size_t i = rnd(p, p->n), k = 1; k < p->steps[i].n; k++)
		p->steps[i].selectors[k] = rnd(p, 3);
	if (rnd(p, 6) == 0 && p->n < STEPS_MAX)
		random_step(p, p->n++);
}

static void program_init(struct program *p, uint64_t seed)
{
	*p = (struct program){.rng = seed * 0x9e3779b97f4a7c15u + 1};
	fake_init(&p->f);
	p->f.on_run = note_run;
	for (size_t i = 0; i < SOURCES; i++)
		random_source(p, i);
	p->n = 1 + rnd(p, STEPS_MAX - 4);
	for (size_t i = 0; i < p->n; i++)
		random_step(p, i);
}

static void program_release(struct program *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->values); i++)
		free(p->values[i]);
	map_release(&p->ran, NULL);
	fake_release(&p->f);
}

static void nothing_stale_is_used_and_nothing_is_run_twice(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct program p;

		program_init(&p, seed);
		for (int round = 0; round < ROUNDS; round++) {
			build(&p);
			if (p.reruns > 0)
				fail_msg("seed %llu: a step ran again on equal inputs",
					 (unsigned long long)seed);
			edit(&p);
		}
		program_release(&p);
	}
}

static void an_unchanged_program_runs_only_contexts(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct program p;

		program_init(&p, seed);
		for (size_t i = 0; i < p.n; i++)
			p.steps[i].now = false;
		build(&p);
		for (int again = 0; again < 3; again++) {
			char *text = NULL;
			struct vertex *vertices[SOURCES + STEPS_MAX];

			fake_next_build(&p.f);
			assert_int_equal(fake_solve(&p.f, build_graph(&p, vertices), &text, NULL),
					 0);
			assert_string_equal(text, p.values[SOURCES + p.n - 1]);
			free(text);
			for (size_t i = 0; i < p.f.ran.n; i++)
				assert_int_equal(strncmp(p.f.ran.v[i], "local://", 8), 0);
		}
		program_release(&p);
	}
}

static void hollow_hits_are_mended(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct program p;

		program_init(&p, seed);
		p.f.keep_made = true;
		for (int round = 0; round < ROUNDS; round++) {
			build(&p);
			for (size_t i = 0; i < p.f.made.n; i++)
				if (rnd(&p, 4) == 0)
					atomic_store(&p.f.made.v[i]->hollow, true);
			edit(&p);
		}
		program_release(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_stale_is_used_and_nothing_is_run_twice),
		cmocka_unit_test(an_unchanged_program_runs_only_contexts),
		cmocka_unit_test(hollow_hits_are_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
