/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/mp.h"
#include "solver/graph.h"
#include "solver/op_encode.h"
#include "solver/op_key.h"

/* Every kind of op with every list non-empty, and one changed copy at a time. */
static const char *const args[] = {"/bin/sh", "-c", "make"};
static const char *const env[] = {"B=2", "A=1"};
static const char *const patterns[] = {"*.c", "!x.c"};
static const struct op_pair hosts[] = {{"db", "10.0.0.1"}, {"web", "10.0.0.2"}};
static const struct op_pair other_ips[] = {{"db", "10.9.9.9"}, {"web", "10.0.0.2"}};
static const struct op_pair other_names[] = {{"dc", "10.0.0.1"}, {"web", "10.0.0.2"}};
static const struct op_ulimit ulimits[] = {{"nofile", 10, 20}};
static const struct op_secret_env secret_envs[] = {{"token", "TOKEN", true}};
static const struct op_device devices[] = {{"vendor/gpu", false}};

struct sample {
	struct op op;
	struct op_mount mounts[3];
	struct op_file_action actions[5];
};

static void sample_exec(struct sample *s)
{
	*s = (struct sample){.op = {.kind = OP_EXEC, .platform = {.os = "linux", .arch = "amd64"}}};
	s->mounts[0] = (struct op_mount){.input = 0, .dest = "/", .output = 0};
	s->mounts[1] = (struct op_mount){
		.input = 1, .dest = "/src", .selector = "a/b", .output = -1, .readonly = true};
	s->mounts[2] = (struct op_mount){.input = -1,
					 .dest = "/cache",
					 .output = -1,
					 .type = MOUNT_CACHE,
					 .cache_id = "id",
					 .sharing = SHARING_LOCKED};
	s->op.exec = (struct op_exec){
		.args = {args, 3},
		.env = {env, 2},
		.cwd = "/",
		.user = "me",
		.proxy = {.http = "http://proxy"},
		.extra_hosts = {hosts, 2},
		.ulimits = ulimits,
		.n_ulimits = 1,
		.mounts = s->mounts,
		.n_mounts = 3,
		.secret_envs = secret_envs,
		.n_secret_envs = 1,
		.devices = devices,
		.n_devices = 1,
	};
}

static void sample_file(struct sample *s)
{
	*s = (struct sample){.op = {.kind = OP_FILE, .platform = {.os = "linux", .arch = "amd64"}}};
	s->actions[0] = (struct op_file_action){
		.kind = FILE_COPY, .input = 0, .secondary_input = 1, .output = -1};
	s->actions[0].copy = (struct op_file_copy){.src = "a/b/main.c",
						   .dest = "/src/",
						   .mode = -1,
						   .timestamp = OP_TIME_NONE,
						   .include = {patterns, 2},
						   .owner = {.set = true, .user = "me"}};
	s->actions[1] = (struct op_file_action){
		.kind = FILE_MKFILE, .input = 2, .secondary_input = -1, .output = -1};
	s->actions[1].mkfile = (struct op_file_mkfile){.path = "/f", .data = "x\0y", .size = 3};
	s->actions[2] = (struct op_file_action){
		.kind = FILE_MKDIR, .input = 3, .secondary_input = -1, .output = -1};
	s->actions[2].mkdir = (struct op_file_mkdir){.path = "/d", .mode = 0755};
	s->actions[3] = (struct op_file_action){
		.kind = FILE_RM, .input = 4, .secondary_input = -1, .output = -1};
	s->actions[3].rm = (struct op_file_rm){.path = "/r"};
	s->actions[4] = (struct op_file_action){
		.kind = FILE_SYMLINK, .input = 5, .secondary_input = -1, .output = 0};
	s->actions[4].symlink = (struct op_file_symlink){.oldpath = "o", .newpath = "/n"};
	s->op.file = (struct op_file){s->actions, 5};
}

static struct digest full(const struct op *op)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	op_encode(op, 2, OP_FORM_FULL, &b);
	return digest_of(b.p, b.n);
}

static void expect_canonical(const struct op *op, enum op_form form)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct error *err = NULL;
	struct mp_reader r;

	op_encode(op, 2, form, &b);
	r = mp_reader("op", b.p, b.n);
	if (mp_skip(&r, &err) < 0 || mp_finish(&r, &err) < 0)
		fail_msg("%s", error_text(err));
}

static void every_encoding_is_canonical(void **state)
{
	static const struct op_pair attrs[] = {{"k", "v"}};
	struct op source = {.kind = OP_SOURCE,
			    .source = {.identifier = "local://x", .attrs = {attrs, 1}}};
	struct op merge = {.kind = OP_MERGE}, diff = {.kind = OP_DIFF};
	struct sample exec, file;
	const struct op *ops[] = {&exec.op, &file.op, &source, &merge, &diff};

	(void)state;
	sample_exec(&exec);
	sample_file(&file);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		expect_canonical(ops[i], OP_FORM_FULL);
		expect_canonical(ops[i], OP_FORM_KEY);
	}
}

/* A golden value: a change of it makes every cache cold and needs a new OP_VERSION. */
static void the_encoding_of_a_source_is_fixed(void **state)
{
	const struct op op = {.kind = OP_SOURCE,
			      .platform = {.os = "linux", .arch = "amd64"},
			      .source = {.identifier = "local://x"}};
	static const char expect[] = "\x84\xa4kind\x01\xa2op\x82\xa5"
				     "attrs\x90\xaaidentifier\xa9local://x"
				     "\xa8platform\x84\xa4"
				     "arch\xa5"
				     "amd64\xa2os\xa5linux\xaaos_version\xa0\xa7variant\xa0"
				     "\xa7version\x01";
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	op_encode(&op, 0, OP_FORM_FULL, &b);
	assert_int_equal(b.n, sizeof(expect) - 1);
	assert_memory_equal(b.p, expect, b.n);
}

static void expect_digest(struct digest d, const char *hex)
{
	char text[DIGEST_HEX + 1];

	assert_string_equal(digest_hex(&d, text), hex);
}

/* Golden values, too: of an op as its vertex has it, and of its key. */
static void the_digests_of_ops_are_fixed(void **state)
{
	struct op merge = {.kind = OP_MERGE}, diff = {.kind = OP_DIFF, .diff = {.lower = -1}};
	struct sample exec, file;

	(void)state;
	sample_exec(&exec);
	sample_file(&file);
	expect_digest(full(&exec.op),
		      "8c8382fb48d8d4c8d22dde23d26f776cbb7ab452ce93def8d0a8d8a3aa348cef");
	expect_digest(op_key(&exec.op, 2),
		      "4e069412e4a69c380c1a53629cf983200af52e3f78cda81b51baa1daf123d8bb");
	expect_digest(full(&file.op),
		      "0ff64a17bcc982ea83f0ecc11dc17aee10eb46a64b81f6c6bdcd640dbf9fd51a");
	expect_digest(op_key(&file.op, 2),
		      "fbcec32c2f70100b0d9cd52567e9bd0430b27b15a78c3f6a3e761a6a0d06f87b");
	expect_digest(full(&merge),
		      "073e2cdbecc4bdb854ee32ae5d37fef14078252ad2280b59a352a9aeba9ab01d");
	expect_digest(op_key(&diff, 2),
		      "1724f1922dc6e826c13cba313fa4b134a7119818bd7424f4bb8e609e686806ff");
}

/* Compares with the unchanged sample: does the full digest differ, and does the key? */
#define EXPECT(sample_fn, change, in_key)                          \
	do {                                                       \
		struct sample before, s;                           \
		struct digest ka, ks, fa, fs;                      \
		sample_fn(&before);                                \
		sample_fn(&s);                                     \
		change;                                            \
		fa = full(&before.op), fs = full(&s.op);           \
		ka = op_key(&before.op, 2), ks = op_key(&s.op, 2); \
		assert_false(digest_equal(&fa, &fs));              \
		assert_int_equal(!digest_equal(&ka, &ks), in_key); \
	} while (0)

static void what_shapes_a_run_is_in_its_key(void **state)
{
	static const char *const swapped[] = {"A=1", "B=2"};

	(void)state;
	EXPECT(sample_exec, s.op.exec.args.n = 2, true);
	EXPECT(sample_exec, s.op.exec.env.v = swapped, true);
	EXPECT(sample_exec, s.op.exec.cwd = "/x", true);
	EXPECT(sample_exec, s.op.exec.user = "you", true);
	EXPECT(sample_exec, s.op.exec.hostname = "h", true);
	EXPECT(sample_exec, s.op.exec.cgroup_parent = "c", true);
	EXPECT(sample_exec, s.op.exec.extra_hosts.v = other_names, true);
	EXPECT(sample_exec, s.op.exec.n_ulimits = 0, true);
	EXPECT(sample_exec, s.op.exec.network = NETWORK_NONE, true);
	EXPECT(sample_exec, s.op.exec.security = SECURITY_INSECURE, true);
	EXPECT(sample_exec, s.op.exec.n_secret_envs = 0, true);
	EXPECT(sample_exec, s.op.exec.n_devices = 0, true);
	EXPECT(sample_exec, s.op.platform.arch = "arm64", true);
	EXPECT(sample_exec, s.mounts[1].dest = "/x", true);
	EXPECT(sample_exec, s.mounts[1].readonly = false, true);
	EXPECT(sample_exec, s.mounts[2].type = MOUNT_TMPFS, true);
	EXPECT(sample_exec, s.mounts[2].tmpfs_size = 5, true);
	EXPECT(sample_exec, s.mounts[2].mode = 5, true);
}

static void what_does_not_shape_a_run_is_not(void **state)
{
	(void)state;
	EXPECT(sample_exec, s.op.exec.proxy.http = "", false);
	EXPECT(sample_exec, s.op.exec.extra_hosts.v = other_ips, false);
	EXPECT(sample_exec, s.mounts[1].selector = "a/c", false);
	EXPECT(sample_exec, s.mounts[2].cache_id = "other", false);
	EXPECT(sample_exec, s.mounts[2].sharing = SHARING_SHARED, false);
}

static void a_selector_that_is_written_to_is_in_the_key(void **state)
{
	struct sample a, b;
	struct digest ka, kb;
	struct op_use use;
	size_t i = 0;

	(void)state;
	sample_exec(&a);
	sample_exec(&b);
	a.mounts[1].readonly = b.mounts[1].readonly = false;
	a.mounts[1].output = b.mounts[1].output = 1;
	b.mounts[1].selector = "a/c";
	ka = op_key(&a.op, 2), kb = op_key(&b.op, 2);
	assert_false(digest_equal(&ka, &kb));
	assert_true(op_use_next(&a.op, 1, &i, &use));
	assert_int_equal(use.kind, OP_USE_WHOLE);
	assert_int_equal(op_n_outputs(&a.op), 2);
}

static void what_shapes_files_is_in_the_key(void **state)
{
	(void)state;
	EXPECT(sample_file, s.actions[0].copy.dest = "/src", true);
	EXPECT(sample_file, s.actions[0].copy.src = "a/b/other.c", true);
	EXPECT(sample_file, s.actions[0].copy.include.n = 1, true);
	EXPECT(sample_file, s.actions[0].copy.owner.set = false, true);
	EXPECT(sample_file, s.actions[0].copy.mode = 0644, true);
	EXPECT(sample_file, s.actions[0].copy.allow_wildcard = true, true);
	EXPECT(sample_file, s.actions[1].mkfile.size = 2, true);
	EXPECT(sample_file, s.actions[2].mkdir.mode = 0700, true);
	EXPECT(sample_file, s.actions[3].rm.allow_wildcard = true, true);
	EXPECT(sample_file, s.actions[4].symlink.oldpath = "p", true);
	EXPECT(sample_file, s.actions[4].input = 4, true);
}

static void where_a_copy_takes_its_files_from_is_its_selection(void **state)
{
	struct sample a, b;
	struct digest sa, sb;

	(void)state;
	EXPECT(sample_file, s.actions[0].copy.src = "else/where/main.c", false);
	EXPECT(sample_file, s.actions[0].copy.src = "a/b/main.c/", true);
	EXPECT(sample_file, s.op.platform.arch = "arm64", false);
	sample_file(&a);
	sample_file(&b);
	b.actions[0].copy.src = "else/where/main.c";
	sa = op_selection(&a.op, 1), sb = op_selection(&b.op, 1);
	assert_false(digest_equal(&sa, &sb));
	sa = op_selection(&a.op, 0), sb = op_selection(&b.op, 0);
	assert_true(digest_equal(&sa, &sb));
	/* From what an earlier action left it is the whole path. */
	a.actions[0].secondary_input = b.actions[0].secondary_input = 2;
	sa = op_key(&a.op, 2), sb = op_key(&b.op, 2);
	assert_false(digest_equal(&sa, &sb));
}

static void uses_of_inputs_are_listed(void **state)
{
	struct sample s;
	struct op_use use;
	size_t i = 0;

	(void)state;
	sample_exec(&s);
	assert_true(op_use_next(&s.op, 1, &i, &use));
	assert_int_equal(use.kind, OP_USE_PATH);
	assert_string_equal(use.path, "a/b");
	assert_false(op_use_next(&s.op, 1, &i, &use));
	sample_file(&s);
	i = 0;
	assert_true(op_use_next(&s.op, 0, &i, &use));
	assert_int_equal(use.kind, OP_USE_WHOLE);
	assert_false(op_use_next(&s.op, 0, &i, &use));
	i = 0;
	assert_true(op_use_next(&s.op, 1, &i, &use));
	assert_int_equal(use.kind, OP_USE_COPY);
	assert_ptr_equal(use.copy, &s.actions[0].copy);
	assert_false(op_use_next(&s.op, 1, &i, &use));
}

static void equal_vertices_merge_and_others_do_not(void **state)
{
	const struct op op = {.kind = OP_SOURCE, .source = {.identifier = "local://x"}};
	const struct vertex_meta plain = {.name = "one"}, renamed = {.name = "two"};
	const struct vertex_meta ignoring = {.ignore_cache = true};
	const struct op merge = {.kind = OP_MERGE};
	struct vertex *a, *m;
	struct graph g;

	(void)state;
	graph_init(&g);
	a = graph_add(&g, &op, NULL, 0, &plain);
	assert_ptr_equal(graph_add(&g, &op, NULL, 0, &renamed), a);
	assert_ptr_not_equal(graph_add(&g, &op, NULL, 0, &ignoring), a);
	m = graph_add(&g, &merge, &(struct edge){.vertex = a}, 1, &plain);
	assert_ptr_not_equal(graph_add(&g, &merge, &(struct edge){0}, 1, &plain), m);
	assert_ptr_not_equal(graph_add(&g, &merge, &(struct edge){a, 1}, 1, &plain), m);
	assert_ptr_equal(graph_add(&g, &merge, &(struct edge){a, 0}, 1, &plain), m);
	assert_int_equal(g.n, 5);
	for (size_t i = 0; i < g.n; i++)
		assert_int_equal(g.vertices[i]->id, i);
	graph_release(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_encoding_is_canonical),
		cmocka_unit_test(the_encoding_of_a_source_is_fixed),
		cmocka_unit_test(the_digests_of_ops_are_fixed),
		cmocka_unit_test(what_shapes_a_run_is_in_its_key),
		cmocka_unit_test(what_does_not_shape_a_run_is_not),
		cmocka_unit_test(a_selector_that_is_written_to_is_in_the_key),
		cmocka_unit_test(what_shapes_files_is_in_the_key),
		cmocka_unit_test(where_a_copy_takes_its_files_from_is_its_selection),
		cmocka_unit_test(uses_of_inputs_are_listed),
		cmocka_unit_test(equal_vertices_merge_and_others_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
