/* SPDX-License-Identifier: Apache-2.0 */
/* The store as the solver's cache: what is found, on top of what, and which layer stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/cache/cache_store.h"
#include "engine/cache/explain.h"
#include "engine/cache/step_trace.h"
#include "engine/tree/result.h"

#include "layer_fixture.h"

struct cache_fixture {
	struct fixture *f;
	struct cache_policy policy;
	struct cache_store cache;
	struct op_mount mount;
	const char *args[1];
	struct edge input;
	struct vertex base, step;
};

static int cache_set_up(void **state)
{
	struct cache_fixture *c = NEW(struct cache_fixture);
	void *f;

	assert_int_equal(set_up(&f), 0);
	c->f = f;
	cache_store_init(&c->cache, c->f->s, &c->policy, NULL, NULL);
	c->mount = (struct op_mount){.input = 0, .dest = "/", .output = 0, .selector = ""};
	c->args[0] = "make";
	c->base.op.kind = OP_SOURCE;
	c->input.vertex = &c->base;
	c->step = (struct vertex){.id = 1, .inputs = &c->input, .n_inputs = 1};
	c->step.op.kind = OP_EXEC;
	c->step.op.exec.mounts = &c->mount;
	c->step.op.exec.n_mounts = 1;
	c->step.op.exec.args = (struct op_strings){.v = c->args, .n = 1};
	c->step.meta.name = "[2/2] RUN make";
	*state = c;
	return 0;
}

static int cache_tear_down(void **state)
{
	struct cache_fixture *c = *state;
	void *f = c->f;

	cache_store_release(&c->cache);
	cache_policy_release(&c->policy);
	free(c);
	return tear_down(&f);
}

static int64_t file_layer(struct cache_fixture *c, const char *path, const char *text,
			  int64_t mtime)
{
	const struct line line = {.type = 'f', .path = path, .text = text, .mtime = mtime};

	return make_layer(c->f, &line, 1);
}

static struct digest key_of(const char *text)
{
	return digest_of(text, strlen(text));
}

/* Adds what a run on `base` left under one key; returns the result that is used from then on. */
static struct result *add(struct cache_fixture *c, const char *key, struct result *base,
			  int64_t layer)
{
	struct result *out = result_extend(base, layer);
	const struct digest k = key_of(key);
	const struct cache_entry e = {.v = &c->step,
				      .keys = &k,
				      .n_keys = 1,
				      .inputs = &base,
				      .outputs = &out,
				      .n_outputs = 1};
	struct error *err = NULL;

	if (cache_store_backend.add(&c->cache, &e, &err) < 0)
		fail_msg("%s", error_text(err));
	return out;
}

static enum cache_answer find(struct cache_fixture *c, const char *key, bool by_content,
			      struct result *base, struct result **ret)
{
	const struct digest k = key_of(key);
	const struct cache_query q = {.v = &c->step,
				      .key = &k,
				      .by_content = by_content,
				      .inputs = &base,
				      .outputs = ret,
				      .n_outputs = 1};
	enum cache_answer answer;

	assert_int_equal(cache_store_backend.find(&c->cache, &q, &answer, NULL), 0);
	return answer;
}

static void a_hit_by_content_lies_on_the_new_parent(void **state)
{
	struct cache_fixture *c = *state;
	int64_t one = file_layer(c, "base", "b", 1), two = file_layer(c, "base", "b", 2);
	_cleanup_(result_unrefp) struct result *first = result_new_rootfs(&one, 1);
	_cleanup_(result_unrefp) struct result *second = result_new_rootfs(&two, 1);
	_cleanup_(result_unrefp) struct result *out =
		add(c, "k", first, file_layer(c, "x", "x", 1));
	_cleanup_(result_unrefp) struct result *found = NULL;

	assert_int_equal(find(c, "k", true, second, &found), CACHE_HIT);
	assert_int_equal(found->n_layers, 2);
	assert_int_equal(found->layers[0], two);
	assert_int_equal(found->layers[1], out->layers[1]);
}

static void a_definition_made_of_other_inputs_is_passed_over(void **state)
{
	struct cache_fixture *c = *state;
	int64_t one = file_layer(c, "base", "1", 1), two = file_layer(c, "base", "2", 1);
	_cleanup_(result_unrefp) struct result *first = result_new_rootfs(&one, 1);
	_cleanup_(result_unrefp) struct result *second = result_new_rootfs(&two, 1);
	_cleanup_(result_unrefp) struct result *out =
		add(c, "k", first, file_layer(c, "x", "x", 1));
	struct result *found = NULL;

	assert_int_equal(find(c, "k", false, second, &found), CACHE_OTHER);
	assert_int_equal(find(c, "k", false, first, &found), CACHE_HIT);
	result_unref(found);
	/* An input that nothing is known of is not held against it. */
	assert_int_equal(find(c, "k", false, NULL, &found), CACHE_HIT);
	assert_memory_equal(found->layers, out->layers, 2 * sizeof(*out->layers));
	result_unref(found);
}

static void an_equal_layer_on_an_equal_parent_gives_way_to_the_earlier_one(void **state)
{
	struct cache_fixture *c = *state;
	int64_t one = file_layer(c, "base", "b", 1), two = file_layer(c, "base", "b", 2);
	_cleanup_(result_unrefp) struct result *first = result_new_rootfs(&one, 1);
	_cleanup_(result_unrefp) struct result *second = result_new_rootfs(&two, 1);
	int64_t layer = file_layer(c, "x", "x", 1);
	_cleanup_(result_unrefp) struct result *out = add(c, "k1", first, layer);
	_cleanup_(result_unrefp) struct result *again =
		add(c, "k2", second, file_layer(c, "x", "x", 2));

	assert_int_equal(out->layers[1], layer);
	assert_int_equal(again->layers[0], two);
	assert_int_equal(again->layers[1], layer);
}

static void an_equal_layer_on_another_parent_stays(void **state)
{
	struct cache_fixture *c = *state;
	int64_t one = file_layer(c, "base", "1", 1), two = file_layer(c, "base", "2", 1);
	_cleanup_(result_unrefp) struct result *first = result_new_rootfs(&one, 1);
	_cleanup_(result_unrefp) struct result *second = result_new_rootfs(&two, 1);
	int64_t later = file_layer(c, "x", "x", 2);
	_cleanup_(result_unrefp) struct result *out =
		add(c, "k1", first, file_layer(c, "x", "x", 1));
	_cleanup_(result_unrefp) struct result *other = add(c, "k2", second, later);

	assert_int_equal(other->layers[1], later);
	assert_int_not_equal(out->layers[1], later);
}

static void a_layer_that_was_forgotten_does_not_come_back(void **state)
{
	struct cache_fixture *c = *state;
	int64_t one = file_layer(c, "base", "b", 1);
	_cleanup_(result_unrefp) struct result *base = result_new_rootfs(&one, 1);
	_cleanup_(result_unrefp) struct result *out = add(c, "k", base, file_layer(c, "x", "x", 1));
	_cleanup_(result_unrefp) struct result *copy = add(c, "other", base, out->layers[1]);
	int64_t later = file_layer(c, "x", "x", 2);
	const struct digest key = key_of("k");
	struct result *made, *found = NULL;

	(void)copy; /* held, as a build that goes on would */
	cache_store_backend.forget(&c->cache, &key, 1, &c->step);
	assert_int_equal(find(c, "k", false, base, &found), CACHE_MISS);
	made = add(c, "k", base, later);
	assert_int_equal(made->layers[1], later);
	result_unref(made);
}

static void an_old_result_is_expired_for_the_steps_that_are_meant(void **state)
{
	struct cache_fixture *c = *state;
	int64_t one = file_layer(c, "base", "b", 1);
	_cleanup_(result_unrefp) struct result *base = result_new_rootfs(&one, 1);
	_cleanup_(result_unrefp) struct result *out = add(c, "k", base, file_layer(c, "x", "x", 1));
	struct result *found = NULL;

	vec_push(&c->policy.ttls, ((struct cache_ttl){.ns = 0, .steps = xstrdup("RUN other*")}));
	assert_int_equal(find(c, "k", false, base, &found), CACHE_HIT);
	result_unref(found);
	vec_push(&c->policy.ttls, ((struct cache_ttl){.ns = 0, .steps = xstrdup("RUN make")}));
	assert_int_equal(find(c, "k", false, base, &found), CACHE_EXPIRED);
	assert_int_equal(find(c, "k", true, base, &found), CACHE_EXPIRED);
	assert_int_equal(out->n_layers, 2);
}

static void a_miss_is_explained_by_the_nearest_trace(void **state)
{
	struct cache_fixture *c = *state;
	int64_t one = file_layer(c, "base", "b", 1);
	_cleanup_(result_unrefp) struct result *base = result_new_rootfs(&one, 1);
	const char *const before[] = {"A=1", "B=2"}, *const after[] = {"A=3", "B=2"};
	_cleanup_strv_ struct strv lines = {0};

	c->policy.explain = true;
	c->step.op.exec.env = (struct op_strings){.v = before, .n = 2};
	result_unref(add(c, "k1", base, file_layer(c, "x", "x", 1)));
	miss_log_release(&c->cache.misses);
	miss_log_init(&c->cache.misses, c->f->s);
	c->step.op.exec.env.v = after;
	result_unref(add(c, "k2", base, file_layer(c, "x", "y", 1)));
	miss_log_lines(&c->cache.misses, &lines);
	assert_int_equal(lines.n, 1);
	assert_string_equal(lines.v[0], "[2/2] RUN make: variable A is \"3\", it was \"1\"");
}

static void a_trace_that_is_cut_short_is_refused(void **state)
{
	struct cache_fixture *c = *state;
	const struct cache_entry e = {.v = &c->step};
	_cleanup_buf_ struct buf b = BUF_INIT;
	json_t *t = NULL;

	assert_int_equal(step_trace_encode(c->f->s, &e, NULL, &b, NULL), 0);
	assert_int_equal(step_trace_decode(b.p, b.n, &t, NULL), 0);
	json_decref(t);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(step_trace_decode(b.p, n, &t, NULL), -ERR_CORRUPT);
}

#define CACHE_TEST(name) cmocka_unit_test_setup_teardown(name, cache_set_up, cache_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(a_hit_by_content_lies_on_the_new_parent),
		CACHE_TEST(a_definition_made_of_other_inputs_is_passed_over),
		CACHE_TEST(an_equal_layer_on_an_equal_parent_gives_way_to_the_earlier_one),
		CACHE_TEST(an_equal_layer_on_another_parent_stays),
		CACHE_TEST(a_layer_that_was_forgotten_does_not_come_back),
		CACHE_TEST(an_old_result_is_expired_for_the_steps_that_are_meant),
		CACHE_TEST(a_miss_is_explained_by_the_nearest_trace),
		CACHE_TEST(a_trace_that_is_cut_short_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
