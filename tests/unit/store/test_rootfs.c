/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/fixture.h"

#include "base/path.h"
#include "base/strv.h"
#include "store/index.h"
#include "store/rootfs.h"

static struct rootfs *open_stack(struct store *s, const int64_t *layers, size_t n)
{
	struct rootfs *fs = NULL;
	struct error *err = NULL;

	assert_ok(rootfs_open(s, layers, n, &fs, &err), err);
	return fs;
}

static int collect(void *data, const struct rootfs_node *node, struct error **err)
{
	(void)err;
	strv_push(data, node->entry.path);
	return 0;
}

static int collect_top(void *data, const struct rootfs_node *node, struct error **err)
{
	(void)err;
	strv_push(data, node->entry.path);
	return *node->entry.path && node->entry.type == ENTRY_DIR ? ROOTFS_SKIP : 0;
}

static void assert_walk(const struct rootfs *fs, const char *path, rootfs_visit_fn visit,
			const char *want)
{
	_cleanup_strv_ struct strv seen = {0};
	_cleanup_free_ char *got = NULL;
	struct error *err = NULL;

	assert_ok(rootfs_walk(fs, path, visit, &seen, &err), err);
	got = strv_join(&seen, " ");
	assert_string_equal(got, want);
}

static void upper_layers_hide_and_replace_lower_ones(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	struct rootfs *fs;
	struct rootfs_node node;
	struct entry opaque = fixture_entry("opq", ENTRY_DIR, 0700);
	int64_t ids[2];

	fixture_file(w, "a/one", "1");
	fixture_file(w, "a/two", "2");
	fixture_file(w, "dir/x/y", "y");
	fixture_file(w, "file", "f");
	fixture_file(w, "opq/low", "l");
	fixture_file(w, "gone/deep/z", "z");
	ids[0] = fixture_commit(w);
	w = fixture_writer(f->s);
	fixture_file(w, "a/two", "new");
	fixture_put(w, "a/one", ENTRY_WHITEOUT, NULL);
	fixture_file(w, "dir", "now a file");
	fixture_file(w, "file/in", "now a dir");
	fixture_put(w, "gone", ENTRY_WHITEOUT, NULL);
	opaque.opaque = true;
	assert_int_equal(layer_writer_put(w, &opaque, NULL), 0);
	fixture_file(w, "opq/high", "h");
	ids[1] = fixture_commit(w);

	fs = open_stack(f->s, ids, 2);
	assert_walk(fs, "", collect, " a a/two dir file file/in opq opq/high");
	assert_walk(fs, "", collect_top, " a dir file opq");
	assert_walk(fs, "a", collect, "a a/two");
	assert_walk(fs, "dir", collect, "dir");
	assert_true(rootfs_get(fs, "a/two", &node));
	assert_int_equal(node.layer, 1);
	assert_int_equal(node.entry.size, 3);
	assert_false(rootfs_get(fs, "a/one", &node));
	assert_false(rootfs_get(fs, "dir/x", &node));
	assert_false(rootfs_get(fs, "gone/deep/z", &node));
	assert_false(rootfs_get(fs, "opq/low", &node));
	assert_true(rootfs_get(fs, "", &node));
	assert_int_equal(rootfs_walk(fs, "gone", collect, NULL, NULL), -ERR_NOTFOUND);
	rootfs_free(fs);
}

static void an_empty_stack_is_an_empty_directory(void **state)
{
	struct fixture *f = *state;
	struct rootfs *fs = open_stack(f->s, NULL, 0);
	struct digest a, b;
	struct rootfs_node node;

	assert_walk(fs, "", collect, "");
	assert_true(rootfs_get(fs, "", &node));
	assert_int_equal(node.entry.mode, 0755);
	assert_false(rootfs_get(fs, "x", &node));
	assert_int_equal(rootfs_digest(fs, &a, NULL), 0);
	assert_int_equal(rootfs_digest(fs, &b, NULL), 0);
	assert_true(digest_equal(&a, &b));
	rootfs_free(fs);
}

static void symlinks_are_resolved_inside_the_root(void **state)
{
	static const struct {
		const char *path;
		bool last;
		const char *want;
		bool exists;
	} cases[] = {
		{"abs/file", true, "real/file", true},
		{"abs", true, "real", true},
		{"abs", false, "abs", true},
		{"up/file", true, "real/file", true},
		{"dangling", true, "nowhere/at/all", false},
		{"dangling/more", true, "nowhere/at/all/more", false},
		{"abs/../abs/missing", true, "real/missing", false},
		{"real/file/below", true, "real/file/below", false},
		{"../../real/./file", true, "real/file", true},
		{"", true, "", true},
		{"chain", true, "real/file", true},
	};
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	struct rootfs_node node;
	struct rootfs *fs;
	int64_t id;
	bool exists;
	char *path;

	fixture_file(w, "real/file", "x");
	fixture_put(w, "abs", ENTRY_SYMLINK, "/real");
	fixture_put(w, "up", ENTRY_SYMLINK, "../../../real");
	fixture_put(w, "dangling", ENTRY_SYMLINK, "/nowhere/at/all");
	fixture_put(w, "loop", ENTRY_SYMLINK, "loop");
	fixture_put(w, "chain", ENTRY_SYMLINK, "abs/file");
	id = fixture_commit(w);
	fs = open_stack(f->s, &id, 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *got = NULL;
		struct error *err = NULL;

		assert_ok(rootfs_resolve(fs, cases[i].path, cases[i].last, &got, &exists, &node,
					 &err),
			  err);
		assert_string_equal(got, cases[i].want);
		assert_int_equal(exists, cases[i].exists);
	}
	assert_int_equal(rootfs_resolve(fs, "loop", true, &path, &exists, &node, NULL),
			 -ERR_INVALID);
	assert_int_equal(rootfs_resolve(fs, "loop", false, &path, &exists, &node, NULL), 0);
	free(path);
	rootfs_free(fs);
}

static void files_are_read_through_links(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct rootfs *fs;
	struct error *err = NULL;
	int64_t id;

	fixture_file(w, "z", "content");
	fixture_put(w, "m", ENTRY_HARDLINK, "z");
	fixture_put(w, "s", ENTRY_SYMLINK, "m");
	id = fixture_commit(w);
	fs = open_stack(f->s, &id, 1);
	assert_ok(rootfs_read(fs, "s", 100, &b, &err), err);
	assert_string_equal(b.p, "content");
	assert_int_equal(rootfs_read(fs, "s", 3, &b, NULL), -ERR_INVALID);
	assert_int_equal(rootfs_read(fs, "none", 3, &b, NULL), -ERR_NOTFOUND);
	rootfs_free(fs);
}

static struct digest digest_of_stack(struct store *s, const int64_t *ids, size_t n)
{
	struct rootfs *fs = open_stack(s, ids, n);
	struct digest d;
	struct error *err = NULL;

	assert_ok(rootfs_digest(fs, &d, &err), err);
	rootfs_free(fs);
	return d;
}

static void the_digest_depends_on_the_merged_view_only(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w;
	int64_t flat, stack[3];
	struct digest a, b;

	w = fixture_writer(f->s);
	fixture_file(w, "x", "new");
	fixture_file(w, "d/kept", "k");
	flat = fixture_commit(w);
	w = fixture_writer(f->s);
	fixture_file(w, "x", "old");
	fixture_file(w, "d/kept", "k");
	fixture_file(w, "d/gone", "g");
	stack[0] = fixture_commit(w);
	stack[1] = fixture_layer(f->s, "x", "new");
	w = fixture_writer(f->s);
	fixture_put(w, "d/gone", ENTRY_WHITEOUT, NULL);
	stack[2] = fixture_commit(w);
	a = digest_of_stack(f->s, &flat, 1);
	b = digest_of_stack(f->s, stack, 3);
	assert_true(digest_equal(&a, &b));
	b = digest_of_stack(f->s, stack, 3); /* from the store */
	assert_true(digest_equal(&a, &b));
	b = digest_of_stack(f->s, stack, 2);
	assert_false(digest_equal(&a, &b));
}

static void the_digest_tells_links_from_copies(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w;
	int64_t linked, copied, split[2];
	struct digest a, b;

	w = fixture_writer(f->s);
	fixture_file(w, "a", "x");
	fixture_put(w, "b", ENTRY_HARDLINK, "a");
	fixture_put(w, "c", ENTRY_HARDLINK, "a");
	linked = fixture_commit(w);
	w = fixture_writer(f->s);
	fixture_file(w, "a", "x");
	fixture_file(w, "b", "x");
	fixture_put(w, "c", ENTRY_HARDLINK, "b");
	copied = fixture_commit(w);
	a = digest_of_stack(f->s, &linked, 1);
	b = digest_of_stack(f->s, &copied, 1);
	assert_false(digest_equal(&a, &b));
	/* An upper layer that replaces one of the names cuts it off: b and c stay one file. */
	split[0] = linked;
	split[1] = fixture_layer(f->s, "a", "x");
	a = digest_of_stack(f->s, split, 2);
	assert_true(digest_equal(&a, &b));
}

/* --- Against a model: a flat list of paths that layers are applied to one after the other. */

struct model_node {
	char path[16];
	char type; /* 'd', 'f' */
	unsigned version;
};

struct model {
	struct model_node nodes[256];
	size_t n;
};

static void model_remove(struct model *m, const char *path, bool self)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->n; i++) {
		bool is_self = strcmp(m->nodes[i].path, path) == 0;

		if (!path_within(m->nodes[i].path, path) || (is_self && !self))
			m->nodes[kept++] = m->nodes[i];
	}
	m->n = kept;
}

static void model_set(struct model *m, const char *path, char type, unsigned version)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->nodes[i].path, path) == 0) {
			m->nodes[i].type = type;
			m->nodes[i].version = version;
			return;
		}
	snprintf(m->nodes[m->n].path, sizeof(m->nodes[m->n].path), "%s", path);
	m->nodes[m->n].type = type;
	m->nodes[m->n++].version = version;
}

/* Applies one layer's index to the model, entry by entry in order. */
static void model_apply(struct model *m, struct store *s, int64_t id)
{
	struct index *index = NULL;
	struct error *err = NULL;

	assert_ok(layer_index(s, id, &index, &err), err);
	for (size_t n = 0; n < index_count(index); n++) {
		struct entry e;

		index_entry(index, n, &e);
		if (e.type == ENTRY_WHITEOUT) {
			model_remove(m, e.path, true);
		} else if (e.type == ENTRY_FILE) {
			model_remove(m, e.path, true);
			model_set(m, e.path, 'f', (unsigned)e.mode);
		} else {
			for (size_t i = 0; i < m->n; i++)
				if (strcmp(m->nodes[i].path, e.path) == 0 &&
				    m->nodes[i].type == 'f')
					e.opaque = true;
			if (e.opaque)
				model_remove(m, e.path, true);
			model_set(m, e.path, 'd', (unsigned)e.mode);
		}
	}
	index_unref(index);
}

static int compare_nodes(const void *a, const void *b)
{
	const struct model_node *x = a, *y = b;

	return path_compare(x->path, y->path);
}

static int print_node(void *data, const struct rootfs_node *node, struct error **err)
{
	(void)err;
	if (*node->entry.path)
		buf_addf(data, "%s %c %u\n", node->entry.path,
			 node->entry.type == ENTRY_DIR ? 'd' : 'f', (unsigned)node->entry.mode);
	return 0;
}

static void check_against_model(const struct rootfs *fs, struct model *m)
{
	_cleanup_buf_ struct buf got = BUF_INIT, want = BUF_INIT;
	struct rootfs_node node;

	qsort(m->nodes, m->n, sizeof(m->nodes[0]), compare_nodes);
	for (size_t i = 0; i < m->n; i++) {
		buf_addf(&want, "%s %c %u\n", m->nodes[i].path, m->nodes[i].type,
			 m->nodes[i].version);
		if (!rootfs_get(fs, m->nodes[i].path, &node))
			fail_msg("'%s' is missing", m->nodes[i].path);
		assert_int_equal(node.entry.mode, m->nodes[i].version);
	}
	assert_int_equal(rootfs_walk(fs, "", print_node, &got, NULL), 0);
	assert_string_equal(got.p, want.p);
}

static int64_t random_layer(struct store *s)
{
	static const char names[] = "abc";
	struct layer_writer *w = fixture_writer(s);

	for (int n = 1 + rand() % 6; n > 0; n--) {
		char path[16] = "";
		int depth = 1 + rand() % 3, what = rand() % 5;
		struct entry e;

		for (int i = 0; i < depth; i++)
			snprintf(path + strlen(path), sizeof(path) - strlen(path), "%s%c",
				 i ? "/" : "", names[rand() % 3]);
		e = fixture_entry(path, ENTRY_DIR, (uint32_t)(0700 + rand() % 64));
		e.opaque = what == 4;
		if (what < 2) {
			e.type = ENTRY_FILE;
			assert_int_equal(layer_writer_file(w, &e, NULL), 0);
			assert_int_equal(layer_writer_file_end(w, NULL, NULL), 0);
			continue;
		}
		if (what == 2)
			e.type = ENTRY_WHITEOUT;
		assert_int_equal(layer_writer_put(w, &e, NULL), 0);
	}
	return fixture_commit(w);
}

static void random_stacks_agree_with_a_model(void **state)
{
	struct fixture *f = *state;

	srand(7);
	for (int round = 0; round < 120; round++) {
		struct model m = {0};
		int64_t ids[8];
		size_t n = 1 + (size_t)rand() % ARRAY_SIZE(ids);
		struct rootfs *fs;

		for (size_t i = 0; i < n; i++) {
			ids[i] = random_layer(f->s);
			model_apply(&m, f->s, ids[i]);
		}
		fs = open_stack(f->s, ids, n);
		check_against_model(fs, &m);
		rootfs_free(fs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(upper_layers_hide_and_replace_lower_ones),
		TEST(an_empty_stack_is_an_empty_directory),
		TEST(symlinks_are_resolved_inside_the_root),
		TEST(files_are_read_through_links),
		TEST(the_digest_depends_on_the_merged_view_only),
		TEST(the_digest_tells_links_from_copies),
		TEST(random_stacks_agree_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
