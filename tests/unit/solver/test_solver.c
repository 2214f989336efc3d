/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include "base/times.h"

static int setup(void **state)
{
	struct fake *f = NEW(struct fake);

	fake_init(f);
	fake_source_set(f, "image://base", "base");
	fake_source_set(f, "local://context", "a=1;b=2");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fake_release(*state);
	free(*state);
	return 0;
}

static struct vertex *chain(struct fake *f)
{
	return fake_exec1(f, "two", fake_exec1(f, "one", fake_source(f, "image://base")));
}

static void a_second_build_runs_nothing(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *events = NULL;

	fake_expect(f, chain(f), "two(one(base))", "image://base one two");
	fake_next_build(f);
	fake_expect(f, chain(f), "two(one(base))", "");
	events = strv_join(&f->events, "|");
	assert_string_equal(events, "PLANNED image://base|PLANNED one|PLANNED two|"
				    "CACHED image://base|CACHED one|CACHED two");
	assert_int_equal(f->stats.definition_hits, 3);
}

static void a_changed_step_runs_and_so_do_those_above(void **state)
{
	struct fake *f = *state;

	fake_expect(f, chain(f), "two(one(base))", "image://base one two");
	fake_next_build(f);
	fake_expect(f, fake_exec1(f, "two", fake_exec1(f, "uno", fake_source(f, "image://base"))),
		    "two(uno(base))", "uno two");
	assert_int_equal(fake_count(&f->events, "CACHED image://base"), 1);
	assert_int_equal(fake_count(&f->events, "STARTED uno"), 1);
	assert_int_equal(fake_count(&f->events, "DONE uno"), 1);
}

static void a_moved_base_image_runs_all(void **state)
{
	struct fake *f = *state;

	fake_expect(f, chain(f), "two(one(base))", "image://base one two");
	fake_next_build(f);
	fake_source_set(f, "image://base", "newer");
	fake_expect(f, chain(f), "two(one(newer))", "image://base one two");
}

static void another_name_of_an_equal_base_hits(void **state)
{
	struct fake *f = *state;

	fake_source_set(f, "image://alias", "base");
	fake_expect(f, chain(f), "two(one(base))", "image://base one two");
	fake_next_build(f);
	fake_expect(f, fake_exec1(f, "two", fake_exec1(f, "one", fake_source(f, "image://alias"))),
		    "two(one(base))", "");
}

static void results_are_told_as_soon_as_they_stand(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *first = NULL, *second = NULL;

	fake_expect(f, chain(f), "two(one(base))", "image://base one two");
	first = strv_join(&f->told, "|");
	assert_string_equal(first, "image://base=base|one=one(base)|two=two(one(base))");

	/* Below what was found nothing has to be brought about. */
	fake_next_build(f);
	fake_expect(f, fake_exec1(f, "three", chain(f)), "three(two(one(base)))", "three");
	second = strv_join(&f->told, "|");
	assert_string_equal(second, "two=two(one(base))|three=three(two(one(base)))");
}

static struct vertex *copy_a(struct fake *f)
{
	return fake_exec2(f, "copy", fake_source(f, "image://base"),
			  fake_source(f, "local://context"), "a");
}

static void a_context_counts_by_what_is_selected_of_it(void **state)
{
	struct fake *f = *state;

	fake_expect(f, fake_exec1(f, "top", copy_a(f)), "top(copy(base,1))",
		    "local://context image://base copy top");
	assert_int_equal(fake_count(&f->events, "DONE local://context"), 1);

	fake_next_build(f);
	fake_source_set(f, "local://context", "a=1;b=3");
	fake_expect(f, fake_exec1(f, "top", copy_a(f)), "top(copy(base,1))", "local://context");
	assert_int_equal(fake_count(&f->events, "DONE local://context"), 1);
	assert_int_equal(fake_count(&f->events, "CACHED top"), 1);

	fake_next_build(f);
	fake_source_set(f, "local://context", "a=9;b=3");
	fake_expect(f, fake_exec1(f, "top", copy_a(f)), "top(copy(base,9))",
		    "local://context copy top");
}

static struct vertex *through_const(struct fake *f, const char *first)
{
	struct vertex *v = fake_exec1(f, first, fake_source(f, "image://base"));

	return fake_exec1(f, "top", fake_exec1(f, "const:X", v));
}

static void a_step_that_leaves_what_it_left_before_cuts_off(void **state)
{
	struct fake *f = *state;
	size_t keys;

	fake_expect(f, through_const(f, "one"), "top(X)", "image://base one const:X top");
	keys = cache_memory_size(f->cache);
	fake_next_build(f);
	fake_expect(f, through_const(f, "uno"), "top(X)", "uno const:X");
	assert_int_equal(f->stats.content_hits, 1);
	assert_int_equal(fake_count(&f->events, "CACHED top"), 1);
	assert_int_equal(fake_count(&f->events, "STARTED top"), 0);
	/* Two keys for each of the two that ran, and the definition key that was linked. */
	assert_int_equal(cache_memory_size(f->cache), keys + 2 + 2 + 1);

	fake_next_build(f);
	fake_expect(f, through_const(f, "uno"), "top(X)", "");
	assert_int_equal(f->stats.content_hits, 0);
}

static void a_remote_input_leaves_only_the_definition_key(void **state)
{
	struct fake *f = *state;
	size_t keys;

	fake_source_set(f, "image://remote", "far");
	fake_expect(f, fake_exec1(f, "one", fake_source(f, "image://remote")), "one(far)",
		    "image://remote one");
	keys = cache_memory_size(f->cache);
	assert_int_equal(keys, 2);
	fake_next_build(f);
	fake_expect(f, fake_exec1(f, "one", fake_source(f, "image://remote")), "one(far)", "");
}

static void content_that_cannot_be_told_leaves_no_key_at_all(void **state)
{
	struct fake *f = *state;

	fake_source_set(f, "local://remote", "far");
	for (int i = 0; i < 2; i++) {
		fake_next_build(f);
		fake_expect(f,
			    fake_exec1(f, "two",
				       fake_exec1(f, "one", fake_source(f, "local://remote"))),
			    "two(one(far))",
			    i == 0 ? "local://remote one two" : "local://remote one");
	}
}

static void equal_vertices_are_one(void **state)
{
	struct fake *f = *state;

	assert_ptr_equal(chain(f), chain(f));
	fake_expect(f, fake_exec2(f, "join", chain(f), chain(f), NULL),
		    "join(two(one(base)),two(one(base)))", "image://base one two join");
}

static void vertices_of_equal_keys_run_once(void **state)
{
	struct fake *f = *state;
	struct vertex *base = fake_source(f, "image://base");
	struct vertex *a = fake_exec1(f, "one", base);
	struct vertex *b = fake_exec(
		f, &(struct fake_step){.text = "one", .inputs = {base}, .n = 1, .proxy = "p"});

	assert_ptr_not_equal(a, b);
	fake_expect(f, fake_exec2(f, "join", a, b, NULL), "join(one(base),one(base))",
		    "image://base one join");
	assert_int_equal(fake_count(&f->events, "DONE one"), 1);
	assert_int_equal(fake_count(&f->events, "CACHED one"), 1);
}

static void the_first_failure_cancels_the_rest(void **state)
{
	struct fake *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	struct vertex *base = fake_source(f, "image://base");
	struct vertex *bad =
		fake_exec(f, &(struct fake_step){.text = "fail1",
						 .inputs = {fake_exec1(f, "gate1", base)},
						 .n = 1,
						 .file = "Dockerfile",
						 .line = 7});
	struct vertex *blocked = fake_exec1(f, "block1", fake_exec1(f, "gate2", base));
	struct vertex *never = fake_exec2(f, "never", bad, blocked, NULL);

	f->gate = 2;
	assert_int_equal(fake_solve(f, never, NULL, &err), -ERR_PROCESS);
	assert_string_equal(error_text(err), "fail1 did");
	assert_string_equal(error_file(err), "Dockerfile");
	assert_int_equal(error_span(err).line, 7);
	assert_int_equal(fake_count(&f->events, "FAILED fail1"), 1);
	assert_int_equal(fake_count(&f->events, "STARTED block1"),
			 fake_count(&f->events, "CANCELED block1"));
	assert_int_equal(fake_count(&f->ran, "never"), 0);
	assert_int_equal(f->running, 0);
}

static void what_finished_before_a_failure_is_kept(void **state)
{
	struct fake *f = *state;

	assert_int_equal(fake_solve(f, fake_exec1(f, "fail", chain(f)), NULL, NULL), -ERR_PROCESS);
	fake_next_build(f);
	fake_expect(f, chain(f), "two(one(base))", "");
}

static void a_source_that_cannot_be_pinned_fails_with_its_name(void **state)
{
	struct fake *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;

	assert_int_equal(
		fake_solve(f, fake_exec1(f, "one", fake_source(f, "image://none")), NULL, &err),
		-ERR_NOTFOUND);
	assert_non_null(strstr(error_text(err), "image://none"));
	assert_int_equal(fake_count(&f->events, "FAILED image://none"), 1);
}

static void *interrupt(void *data)
{
	struct fake *f = data;

	pthread_mutex_lock(&f->lock);
	while (f->running == 0 || fake_count(&f->ran, "block") == 0)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
	cancel_set(&f->cancel);
	return NULL;
}

static void an_interrupt_stops_running_steps(void **state)
{
	struct fake *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	struct vertex *v = fake_exec1(f, "block", fake_source(f, "image://base"));
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, interrupt, f), 0);
	assert_int_equal(fake_solve(f, fake_exec1(f, "never", v), NULL, &err), -ERR_CANCELED);
	pthread_join(thread, NULL);
	assert_int_equal(fake_count(&f->events, "CANCELED block"), 1);
	assert_int_equal(fake_count(&f->ran, "never"), 0);
}

static void an_interrupt_before_the_start_runs_nothing(void **state)
{
	struct fake *f = *state;

	cancel_set(&f->cancel);
	assert_int_equal(fake_solve(f, chain(f), NULL, NULL), -ERR_CANCELED);
	assert_int_equal(f->ran.n, 0);
}

/* Makes the cached result of `v` hollow, as a lazy blob that is gone does. */
static void make_hollow(struct fake *f, struct vertex *v)
{
	const struct edge edge = {.vertex = v};
	struct result *result = NULL;

	assert_int_equal(fake_solve_edges(f, &edge, 1, &result, NULL), 0);
	atomic_store(&result->hollow, true);
	fake_unref(result);
}

static void a_hollow_hit_is_run_after_all(void **state)
{
	struct fake *f = *state;

	make_hollow(f, chain(f));
	fake_next_build(f);
	fake_expect(f, fake_exec1(f, "top", chain(f)), "top(two(one(base)))", "top two top");
	assert_int_equal(f->stats.hollow, 1);
	assert_int_equal(fake_count(&f->events, "CACHED two"), 1);
	assert_int_equal(fake_count(&f->events, "DONE two"), 1);
	assert_int_equal(fake_count(&f->events, "DONE top"), 1);
	assert_int_equal(fake_count(&f->events, "FAILED top"), 0);

	fake_next_build(f);
	fake_expect(f, fake_exec1(f, "top", chain(f)), "top(two(one(base)))", "");
}

static void a_chain_of_hollow_hits_is_run_from_the_bottom(void **state)
{
	struct fake *f = *state;
	struct vertex *base = fake_source(f, "image://base");

	make_hollow(f, chain(f));
	make_hollow(f, fake_exec1(f, "one", base));
	make_hollow(f, base);
	fake_next_build(f);
	fake_expect(f, fake_exec1(f, "top", chain(f)), "top(two(one(base)))",
		    "top two one image://base one two top");
	assert_int_equal(f->stats.hollow, 3);
}

static void two_consumers_of_one_hollow_hit_wait_for_one_run(void **state)
{
	struct fake *f = *state;
	struct vertex *one;

	make_hollow(f, chain(f));
	fake_next_build(f);
	one = chain(f);
	assert_int_equal(fake_solve(f,
				    fake_exec2(f, "join", fake_exec1(f, "l", one),
					       fake_exec1(f, "r", one), NULL),
				    NULL, NULL),
			 0);
	assert_int_equal(fake_count(&f->ran, "two"), 1);
	assert_int_equal(f->stats.hollow, 1);
}

static void what_was_just_made_cannot_be_hollow(void **state)
{
	struct fake *f = *state;
	const struct edge edge = {.vertex = chain(f)};
	struct result *result = NULL;

	/* Found the first time, run the second, and hollow still: the error stands. */
	assert_int_equal(fake_solve_edges(f, &edge, 1, &result, NULL), 0);
	atomic_store(&result->hollow, true);
	fake_next_build(f);
	fake_expect(f, fake_exec1(f, "const:a", chain(f)), "a", "const:a two const:a");
	fake_unref(result);
}

static struct vertex *afresh(struct fake *f, const char *first, bool ignore)
{
	struct vertex *base = fake_source(f, "image://base");

	return fake_exec1(f, "top",
			  fake_exec(f, &(struct fake_step){.text = first,
							   .inputs = {base},
							   .n = 1,
							   .ignore_cache = ignore}));
}

static void ignore_cache_runs_and_saves(void **state)
{
	struct fake *f = *state;

	fake_expect(f, afresh(f, "one", false), "top(one(base))", "image://base one top");
	fake_next_build(f);
	/* The consumer is not found by definition, since what was made afresh may differ, but it is
	 * by content. */
	fake_expect(f, afresh(f, "one", true), "top(one(base))", "one");
	assert_int_equal(f->stats.content_hits, 1);
	fake_next_build(f);
	fake_expect(f, afresh(f, "one", false), "top(one(base))", "");
}

static void only_what_targets_reach_is_touched(void **state)
{
	struct fake *f = *state;
	struct vertex *v = chain(f);

	fake_exec1(f, "aside", fake_source(f, "image://none"));
	fake_expect(f, v, "two(one(base))", "image://base one two");
	assert_int_equal(f->stats.vertices, 3);
}

static void scratch_is_an_input_and_a_target(void **state)
{
	struct fake *f = *state;
	const struct edge nothing = {0};
	struct result *result = (struct result *)f;

	fake_expect(f, fake_exec1(f, "one", NULL), "one()", "one");
	fake_next_build(f);
	fake_expect(f, fake_exec1(f, "one", NULL), "one()", "");
	assert_int_equal(fake_solve_edges(f, &nothing, 1, &result, NULL), 0);
	assert_null(result);
}

static void an_output_that_does_not_exist_is_an_error(void **state)
{
	struct fake *f = *state;
	const struct edge edge = {.vertex = chain(f), .output = 1};
	struct result *result = NULL;

	assert_int_equal(fake_solve_edges(f, &edge, 1, &result, NULL), -ERR_INTERNAL);
}

/* What another process does while this one waits for the lock of a key. */
static struct {
	struct result *adds;
	bool waits;
	atomic_int held;
} other_process;

static int lock_key(void *data, struct job *job, const struct digest *key, void **ret_lock,
		    bool *ret_waited, struct error **err)
{
	const struct vertex v = {.op = {.kind = OP_EXEC}};
	const struct cache_entry e = {
		.v = &v,
		.keys = key,
		.n_keys = 1,
		.outputs = &other_process.adds,
		.n_outputs = 1,
	};

	(void)job;
	if (other_process.adds && cache_memory_backend.add(data, &e, err) < 0)
		return -ERR_INTERNAL;
	atomic_fetch_add(&other_process.held, 1);
	*ret_lock = &other_process;
	*ret_waited = other_process.waits;
	return 0;
}

static void unlock_key(void *data, void *lock)
{
	(void)data;
	assert_ptr_equal(lock, &other_process);
	atomic_fetch_sub(&other_process.held, 1);
}

static void who_waited_for_another_process_takes_its_result(void **state)
{
	struct cache_backend locking = cache_memory_backend;
	struct fake *f = *state;

	locking.lock = lock_key;
	locking.unlock = unlock_key;
	f->backend = &locking;
	other_process.waits = false;
	fake_expect(f, fake_source(f, "image://base"), "base", "image://base");

	fake_next_build(f);
	other_process.waits = true;
	other_process.adds = result_of(xstrdup("theirs"));
	fake_expect(f, fake_exec1(f, "one", fake_source(f, "image://base")), "theirs", "");
	assert_int_equal(fake_count(&f->events, "CACHED one"), 1);

	/* One that must run neither waits nor takes what others made. */
	fake_next_build(f);
	fake_expect(f,
		    fake_exec(f, &(struct fake_step){.text = "two", .n = 0, .ignore_cache = true}),
		    "two()", "two");

	/* Who waited for one that failed runs itself. */
	fake_next_build(f);
	fake_unref(TAKE_PTR(other_process.adds));
	fake_expect(f, fake_exec1(f, "three", fake_source(f, "image://base")), "three(base)",
		    "three");
	assert_int_equal(other_process.held, 0);
}

static void the_lock_is_released_when_a_step_fails(void **state)
{
	struct cache_backend locking = cache_memory_backend;
	struct fake *f = *state;

	locking.lock = lock_key;
	locking.unlock = unlock_key;
	f->backend = &locking;
	assert_int_equal(fake_solve(f, fake_exec1(f, "fail", NULL), NULL, NULL), -ERR_PROCESS);
	assert_int_equal(other_process.held, 0);
}

static void a_salt_is_part_of_both_keys(void **state)
{
	struct fake *f = *state;

	for (int i = 0; i < 2; i++) {
		fake_next_build(f);
		f->salt = NULL;
		fake_expect(f, fake_exec1(f, "salted", fake_source(f, "image://base")),
			    "salted(base)", i == 0 ? "image://base salted" : "");
		fake_next_build(f);
		f->salt = "pepper";
		fake_expect(f, fake_exec1(f, "salted", fake_source(f, "image://base")),
			    "salted(base)", i == 0 ? "salted" : "");
	}
}

/* Finds that what step "one" left is too old, while old is set. */
static bool old;

static int find_old(void *data, const struct cache_query *q, enum cache_answer *ret,
		    struct error **err)
{
	int r = cache_memory_backend.find(data, q, ret, err);

	if (r == 0 && *ret == CACHE_HIT && old && strcmp(q->v->meta.name, "now:one") == 0) {
		fake_unref(q->outputs[0]);
		q->outputs[0] = NULL;
		*ret = CACHE_EXPIRED;
	}
	return r;
}

static void what_is_made_of_an_expired_result_is_not_believed(void **state)
{
	struct cache_backend expiring = cache_memory_backend;
	struct fake *f = *state;
	_cleanup_free_ char *first = NULL, *second = NULL, *third = NULL;

	expiring.find = find_old;
	f->backend = &expiring;
	for (int i = 0; i < 3; i++) {
		char **text = i == 0 ? &first : i == 1 ? &second : &third;
		struct vertex *one;

		fake_next_build(f);
		f->epoch = (unsigned)i;
		old = i == 1;
		one = fake_exec1(f, "now:one", fake_source(f, "image://base"));
		assert_int_equal(fake_solve(f, fake_exec1(f, "two", one), text, NULL), 0);
		if (i > 0)
			assert_int_equal(fake_count(&f->ran, "now:one"), i == 1);
	}
	assert_string_not_equal(first, second);
	assert_string_equal(second, third);
}

/* The inputs that a look-up by definition is given. */
static struct {
	unsigned known, unknown;
} looked;

static int find_and_count(void *data, const struct cache_query *q, enum cache_answer *ret,
			  struct error **err)
{
	if (!q->by_content && strcmp(q->v->meta.name, "two") == 0) {
		looked.known += q->inputs[0] != NULL;
		looked.unknown += q->inputs[0] == NULL;
	}
	return cache_memory_backend.find(data, q, ret, err);
}

static void a_look_up_by_definition_knows_which_inputs_were_found(void **state)
{
	struct cache_backend counting = cache_memory_backend;
	struct fake *f = *state;

	counting.find = find_and_count;
	f->backend = &counting;
	fake_expect(f, chain(f), "two(one(base))", "image://base one two");
	assert_int_equal(looked.unknown, 1);
	fake_next_build(f);
	fake_expect(f, chain(f), "two(one(base))", "");
	assert_int_equal(looked.known, 1);
	assert_int_equal(looked.unknown, 1);
}

/* What the cache was asked to keep for the solve, and what it has lost by then. */
static struct {
	unsigned asked;
	const char *lost;
} held;

static int hold_but_for_lost(void *data, struct result *const *outputs, size_t n, bool *ret_held,
			     struct error **err)
{
	(void)data;
	(void)n;
	(void)err;
	held.asked++;
	*ret_held = !held.lost || strcmp(outputs[0]->text, held.lost) != 0;
	if (!*ret_held)
		held.lost = NULL;
	return 0;
}

static void of_what_is_found_only_what_is_needed_is_held(void **state)
{
	struct cache_backend holding = cache_memory_backend;
	struct fake *f = *state;

	holding.hold = hold_but_for_lost;
	f->backend = &holding;
	held.asked = 0;
	fake_expect(f, chain(f), "two(one(base))", "image://base one two");
	assert_int_equal(held.asked, 0);
	fake_next_build(f);
	fake_expect(f, chain(f), "two(one(base))", "");
	assert_int_equal(held.asked, 1);
}

static void what_went_away_after_it_was_found_is_run(void **state)
{
	struct cache_backend holding = cache_memory_backend;
	struct fake *f = *state;

	holding.hold = hold_but_for_lost;
	f->backend = &holding;
	fake_expect(f, chain(f), "two(one(base))", "image://base one two");
	fake_next_build(f);
	held.lost = "two(one(base))";
	fake_expect(f, chain(f), "two(one(base))", "two");
	assert_int_equal(f->stats.hollow, 1);
	fake_next_build(f);
	held.lost = NULL;
	fake_expect(f, chain(f), "two(one(base))", "");
}

static unsigned digested;

static int count_content(void *data, struct job *job, const struct vertex *v, size_t input,
			 struct result *in, struct digest *ret, bool *ret_available,
			 struct error **err)
{
	struct fake *f = data;

	if (v->inputs[input].vertex->op.kind == OP_SOURCE && fake_count(&f->ran, "copy") == 0)
		digested++;
	return fake_content(data, job, v, input, in, ret, ret_available, err);
}

static void what_no_record_can_exist_for_is_digested_after_its_run(void **state)
{
	struct solver_ops ops = fake_ops;
	struct fake *f = *state;

	ops.content = count_content;
	f->ops = &ops;
	fake_expect(f, fake_exec1(f, "top", copy_a(f)), "top(copy(base,1))",
		    "local://context image://base copy top");
	assert_int_equal(digested, 0);
	fake_next_build(f);
	fake_expect(f, fake_exec1(f, "top", copy_a(f)), "top(copy(base,1))", "local://context");
	assert_true(digested > 0);
	assert_int_equal(f->stats.content_hits, 0);
	fake_next_build(f);
	fake_source_set(f, "local://context", "a=2;b=2");
	fake_expect(f, fake_exec1(f, "top", copy_a(f)), "top(copy(base,2))",
		    "local://context copy top");
}

static void no_cache_at_all_runs_everything(void **state)
{
	struct fake *f = *state;

	f->backend = NULL;
	for (int i = 0; i < 2; i++) {
		fake_next_build(f);
		fake_expect(f, copy_a(f), "copy(base,1)", "local://context image://base copy");
	}
}

static struct vertex *big_graph(struct fake *f)
{
	struct vertex *columns[100], *top = fake_source(f, "image://base");
	char text[32];

	for (size_t c = 0; c < 100; c++)
		columns[c] = top;
	for (unsigned row = 0; row < 98; row++)
		for (size_t c = 0; c < 100; c++) {
			(void)snprintf(text, sizeof(text), "mod:7:%u %zu", row, c);
			columns[c] = fake_exec1(f, text, columns[c]);
		}
	for (size_t c = 0; c < 100; c++) {
		(void)snprintf(text, sizeof(text), "mod:7:join%zu", c);
		top = fake_exec2(f, text, top, columns[c], NULL);
	}
	return top;
}

static void ten_thousand_cached_vertices_are_quick(void **state)
{
	struct fake *f = *state;
	struct vertex *top = big_graph(f);
	int64_t start, built;

	assert_int_equal(fake_solve(f, top, NULL, NULL), 0);
	fake_next_build(f);
	start = times_monotonic_ns();
	top = big_graph(f);
	built = times_monotonic_ns();
	assert_int_equal(fake_solve(f, top, NULL, NULL), 0);
	print_message("%zu vertices: graph %lld ms, solve %lld ms\n", f->g.n,
		      (long long)((built - start) / 1000000),
		      (long long)((times_monotonic_ns() - built) / 1000000));
	assert_int_equal(f->ran.n, 0);
	assert_int_equal(f->stats.definition_hits, f->g.n);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_second_build_runs_nothing),
		T(results_are_told_as_soon_as_they_stand),
		T(a_changed_step_runs_and_so_do_those_above),
		T(a_moved_base_image_runs_all),
		T(another_name_of_an_equal_base_hits),
		T(a_context_counts_by_what_is_selected_of_it),
		T(a_step_that_leaves_what_it_left_before_cuts_off),
		T(a_remote_input_leaves_only_the_definition_key),
		T(content_that_cannot_be_told_leaves_no_key_at_all),
		T(equal_vertices_are_one),
		T(vertices_of_equal_keys_run_once),
		T(the_first_failure_cancels_the_rest),
		T(what_finished_before_a_failure_is_kept),
		T(a_source_that_cannot_be_pinned_fails_with_its_name),
		T(an_interrupt_stops_running_steps),
		T(an_interrupt_before_the_start_runs_nothing),
		T(a_hollow_hit_is_run_after_all),
		T(a_chain_of_hollow_hits_is_run_from_the_bottom),
		T(two_consumers_of_one_hollow_hit_wait_for_one_run),
		T(what_was_just_made_cannot_be_hollow),
		T(ignore_cache_runs_and_saves),
		T(only_what_targets_reach_is_touched),
		T(scratch_is_an_input_and_a_target),
		T(an_output_that_does_not_exist_is_an_error),
		T(who_waited_for_another_process_takes_its_result),
		T(the_lock_is_released_when_a_step_fails),
		T(a_salt_is_part_of_both_keys),
		T(what_is_made_of_an_expired_result_is_not_believed),
		T(a_look_up_by_definition_knows_which_inputs_were_found),
		T(of_what_is_found_only_what_is_needed_is_held),
		T(what_went_away_after_it_was_found_is_run),
		T(what_no_record_can_exist_for_is_digested_after_its_run),
		T(no_cache_at_all_runs_everything),
		T(ten_thousand_cached_vertices_are_quick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
