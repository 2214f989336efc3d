/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <cmocka.h>

#include "base/mp.h"
#include "engine/remote_cache/remote_graph.h"

static struct digest d(const char *text)
{
	return digest_of(text, strlen(text));
}

static struct remote_chain chain(struct remote_graph *g, const char *names)
{
	uint32_t *layers = arena_alloc(&g->arena, (strlen(names) + 1) * sizeof(*layers));
	size_t n = strlen(names);

	for (size_t i = 0; i < n; i++) {
		struct remote_layer l = {.diff_id = digest_of(names + i, 1),
					 .has_tree = names[i] != 'a',
					 .created = names[i]};

		l.tree = digest_of(&l.diff_id, 32);
		layers[i] = remote_graph_layer(g, &l);
	}
	return (struct remote_chain){.known = true, .layers = layers, .n = n};
}

/* A record of one output; `inputs` "-" is one that nobody knows. */
static void add(struct remote_graph *g, const char *key, const char *out, uint32_t own,
		const char *input)
{
	struct digest *keys = arena_alloc(&g->arena, 2 * sizeof(*keys));
	struct remote_output *o = arena_alloc(&g->arena, sizeof(*o));
	struct remote_chain *in = arena_alloc(&g->arena, sizeof(*in));

	keys[0] = d(key);
	keys[1] = digest_of(&keys[0], 32);
	o->chain = chain(g, out);
	o->own = own;
	if (*input != '-')
		*in = chain(g, input);
	vec_push(&g->records, (struct remote_record){.keys = keys,
						     .n_keys = 2,
						     .op = d("op"),
						     .name = arena_strdup(&g->arena, key),
						     .created = 1000,
						     .duration = 5,
						     .outputs = o,
						     .n_outputs = 1,
						     .inputs = in,
						     .n_inputs = 1});
}

static void add_tree(struct remote_graph *g, const char *names)
{
	vec_push(&g->trees, (struct remote_tree){.chain = chain(g, names), .digest = d(names)});
}

static void pack(const struct remote_graph *g, struct buf *ret)
{
	_cleanup_(error_freep) struct error *err = NULL;

	if (remote_graph_pack(g, ret, &err) < 0)
		fail_msg("%s", error_text(err));
}

static void what_is_packed_is_unpacked(void **state)
{
	struct remote_graph g = REMOTE_GRAPH_INIT, back = REMOTE_GRAPH_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	const struct remote_record *r;
	struct digest tree;

	(void)state;
	add(&g, "RUN make", "abc", 1, "ab");
	add_tree(&g, "ab");
	pack(&g, &b);
	assert_int_equal(remote_graph_unpack(b.p, b.n, &back, NULL), 0);
	assert_int_equal(back.layers.n, 3);
	assert_int_equal(back.records.n, 1);
	r = &back.records.v[0];
	assert_string_equal(r->name, "RUN make");
	assert_int_equal(r->n_keys, 2);
	assert_int_equal(r->created, 1000);
	assert_int_equal(r->duration, 5);
	assert_int_equal(r->outputs[0].own, 1);
	assert_int_equal(r->outputs[0].chain.n, 3);
	assert_true(r->inputs[0].known);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(r->inputs[0].layers[i], r->outputs[0].chain.layers[i]);
	for (size_t i = 0; i < 3; i++) {
		struct digest want = digest_of(&"abc"[i], 1);
		const struct remote_layer *l = &back.layers.v[r->outputs[0].chain.layers[i]];

		assert_true(digest_equal(&l->diff_id, &want));
		assert_int_equal(l->has_tree, i > 0);
		assert_int_equal(l->created, "abc"[i]);
	}
	assert_int_equal(back.trees.n, 1);
	tree = d("ab");
	assert_true(digest_equal(&back.trees.v[0].digest, &tree));
	remote_graph_release(&g);
	remote_graph_release(&back);
}

/* A golden value, of the bytes below the compression: caches at registries hold them. */
static void the_bytes_of_a_graph_are_fixed(void **state)
{
	struct remote_graph g = REMOTE_GRAPH_INIT;
	_cleanup_buf_ struct buf packed = BUF_INIT, content = BUF_INIT;
	char hex[DIGEST_HEX + 1];
	struct digest found;
	size_t n;

	(void)state;
	add(&g, "RUN make", "abc", 1, "ab");
	add(&g, "RUN other", "abd", REMOTE_OWN_ALL, "-");
	add_tree(&g, "ab");
	pack(&g, &packed);
	n = ZSTD_decompress(buf_reserve(&content, 4096), 4096, packed.p, packed.n);
	assert_false(ZSTD_isError(n));
	found = digest_of(content.p, n);
	assert_string_equal(digest_hex(&found, hex),
			    "a8e40cc7d0ea1a385cd5bad25dcaf3898592989b636efe6fef3d0fb59b51e04d");
	remote_graph_release(&g);
}

static void equal_contents_give_equal_bytes(void **state)
{
	struct remote_graph g = REMOTE_GRAPH_INIT, other = REMOTE_GRAPH_INIT;
	_cleanup_buf_ struct buf a = BUF_INIT, b = BUF_INIT;

	(void)state;
	add(&g, "one", "ab", 1, "a");
	add(&g, "two", "abc", 1, "ab");
	add_tree(&g, "a");
	add_tree(&g, "ab");
	(void)chain(&other, "zyx"); /* named by nothing */
	add_tree(&other, "ab");
	add(&other, "two", "abc", 1, "ab");
	add(&other, "one", "ab", 1, "a");
	add(&other, "one", "ab", 1, "a");
	add_tree(&other, "a");
	add_tree(&other, "a");
	pack(&g, &a);
	pack(&other, &b);
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.p, b.p, a.n);
	remote_graph_release(&g);
	remote_graph_release(&other);
}

static void merging_adds_what_has_other_keys(void **state)
{
	struct remote_graph a = REMOTE_GRAPH_INIT, b = REMOTE_GRAPH_INIT;

	(void)state;
	add(&a, "one", "ab", 1, "a");
	add(&b, "one", "ax", 1, "a");
	add(&b, "two", "axy", REMOTE_OWN_ALL, "-");
	add_tree(&b, "ax");
	remote_graph_merge(&a, &b);
	assert_int_equal(a.records.n, 2);
	assert_string_equal(a.records.v[1].name, "two");
	assert_int_equal(a.records.v[1].outputs[0].own, REMOTE_OWN_ALL);
	assert_false(a.records.v[1].inputs[0].known);
	assert_int_equal(a.trees.n, 1);
	assert_int_equal(a.layers.n, 4);
	remote_graph_release(&b);
	remote_graph_release(&a);
}

static void compress(const struct buf *content, struct buf *ret)
{
	size_t room = ZSTD_compressBound(content->n);

	buf_clear(ret);
	buf_commit(ret, ZSTD_compress(buf_reserve(ret, room), room, content->p, content->n, 1));
}

static void expect_refused(const struct buf *content, int code, const char *reason)
{
	_cleanup_buf_ struct buf packed = BUF_INIT;
	_cleanup_(error_freep) struct error *err = NULL;
	struct remote_graph g = REMOTE_GRAPH_INIT;

	compress(content, &packed);
	assert_int_equal(remote_graph_unpack(packed.p, packed.n, &g, &err), -code);
	if (!strstr(error_text(err), reason))
		fail_msg("%s", error_text(err));
	assert_int_equal(g.layers.n, 0);
}

static void put_head(struct buf *b, uint64_t version, size_t n_layers)
{
	buf_clear(b);
	mp_put_array(b, 2);
	mp_put_uint(b, version);
	mp_put_map(b, 3);
	mp_put_key(b, "layers");
	mp_put_array(b, n_layers);
}

static void put_layer(struct buf *b, const char *name)
{
	struct digest digest = d(name);

	mp_put_map(b, 3);
	mp_put_key(b, "created");
	mp_put_int(b, 0);
	mp_put_key(b, "diff_id");
	mp_put_digest(b, &digest);
	mp_put_key(b, "tree");
	mp_put_nil(b);
}

static void hostile_graphs_are_refused(void **state)
{
	struct digest a = d("a"), b = d("b");
	bool ascending = memcmp(a.b, b.b, DIGEST_SIZE) < 0;
	_cleanup_buf_ struct buf content = BUF_INIT;

	(void)state;
	put_head(&content, 2, 0);
	expect_refused(&content, ERR_UNSUPPORTED, "version 2 is not known");
	put_head(&content, 1, 2);
	put_layer(&content, ascending ? "b" : "a");
	put_layer(&content, ascending ? "a" : "b");
	expect_refused(&content, ERR_CORRUPT, "the entries are out of order");
	put_head(&content, 1, 1000000);
	expect_refused(&content, ERR_CORRUPT, "");
	put_head(&content, 1, 0);
	mp_put_key(&content, "records");
	mp_put_array(&content, 0);
	mp_put_key(&content, "trees");
	mp_put_array(&content, 1);
	mp_put_map(&content, 2);
	mp_put_key(&content, "digest");
	mp_put_digest(&content, &a);
	mp_put_key(&content, "layers");
	mp_put_array(&content, 1);
	mp_put_uint(&content, 0);
	expect_refused(&content, ERR_CORRUPT, "there is no such layer");
}

static void damage_never_goes_unseen(void **state)
{
	struct remote_graph g = REMOTE_GRAPH_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	add(&g, "one", "ab", 1, "a");
	add(&g, "two", "abc", 1, "ab");
	pack(&g, &b);
	for (size_t i = 0; i < b.n; i++) {
		struct remote_graph back = REMOTE_GRAPH_INIT;

		b.p[i] = (char)(b.p[i] ^ 0x10);
		if (remote_graph_unpack(b.p, b.n, &back, NULL) == 0) {
			/* A bit of the frame's header that says nothing of the content. */
			assert_int_equal(back.records.n, 2);
			remote_graph_release(&back);
		}
		assert_true(remote_graph_unpack(b.p, i, &back, NULL) < 0);
		b.p[i] = (char)(b.p[i] ^ 0x10);
	}
	remote_graph_release(&g);
}

static void frames_that_grow_too_large_are_refused(void **state)
{
	_cleanup_buf_ struct buf content = BUF_INIT, packed = BUF_INIT;
	_cleanup_(error_freep) struct error *err = NULL;
	struct remote_graph g = REMOTE_GRAPH_INIT;
	size_t n = REMOTE_GRAPH_MAX + 1;

	(void)state;
	memset(buf_reserve(&content, n), 0, n);
	buf_commit(&content, n);
	compress(&content, &packed);
	assert_int_equal(remote_graph_unpack(packed.p, packed.n, &g, &err), -ERR_CORRUPT);
	assert_non_null(strstr(error_text(err), "size"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_packed_is_unpacked),
		cmocka_unit_test(the_bytes_of_a_graph_are_fixed),
		cmocka_unit_test(equal_contents_give_equal_bytes),
		cmocka_unit_test(merging_adds_what_has_other_keys),
		cmocka_unit_test(hostile_graphs_are_refused),
		cmocka_unit_test(damage_never_goes_unseen),
		cmocka_unit_test(frames_that_grow_too_large_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
