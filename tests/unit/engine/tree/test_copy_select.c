/* SPDX-License-Identifier: Apache-2.0 */
#include "file_fixture.h"

#include "engine/tree/copy_select.h"

static struct op_file_copy copy_of(const char *src)
{
	return copy_action(src, "/x").copy;
}

static int note(void *data, const struct copy_item *item, struct error **err)
{
	struct buf *out = data;

	(void)err;
	buf_addf(out, "%s%s;", item->included ? "" : "~", item->rel);
	return 0;
}

/* "name>path:rel;rel;" for each root; ~ marks a directory that only leads to something. */
static void assert_selects(struct tree *t, const struct op_file_copy *copy, const char *expect)
{
	struct copy_roots roots = {0};
	struct buf out = BUF_INIT;
	struct error *err = NULL;

	if (copy_roots_resolve(t, copy, &roots, &err) < 0)
		fail_msg("%s", error_text(err));
	for (size_t i = 0; i < roots.n; i++) {
		buf_addf(&out, "%s%s>%s:", i ? " " : "", roots.v[i].name, roots.v[i].path);
		assert_int_equal(copy_select_walk(t, copy, &roots.v[i], note, &out, NULL), 0);
	}
	assert_string_equal(out.p, expect);
	buf_release(&out);
	copy_roots_release(&roots);
}

static struct tree *sample(struct fixture *f)
{
	put_file(f, "a/b/c", "1", 0644);
	put_file(f, "a/b/d.log", "2", 0644);
	put_file(f, "a/e", "3", 0644);
	put_file(f, "a2/b/c", "4", 0644);
	put_file(f, "top.txt", "5", 0644);
	put_link(f, "la", "a");
	put_link(f, "ltop.txt", "top.txt");
	return open_context(f);
}

static void literal_sources_follow_symlinks_and_keep_their_name(void **state)
{
	struct tree *t = sample(*state);
	struct op_file_copy c = copy_of("/la/b/"), file = copy_of("ltop.txt"),
			    out = copy_of("/../../a/./b/../e");

	assert_selects(t, &c, "la/b>a/b:;c;d.log;");
	assert_selects(t, &file, "ltop.txt>top.txt:;");
	assert_selects(t, &out, "a/e>a/e:;");
	file.follow_symlink = false;
	assert_selects(t, &file, "ltop.txt>ltop.txt:;");
	tree_unref(t);
}

static void wildcards_match_one_component_each(void **state)
{
	struct tree *t = sample(*state);
	struct op_file_copy c = copy_of("/*/b"), txt = copy_of("*.txt"), below = copy_of("la/*"),
			    deep = copy_of("/a*/b/c");

	assert_selects(t, &c, "a/b>a/b:;c;d.log; a2/b>a2/b:;c;");
	assert_selects(t, &txt, "ltop.txt>top.txt:; top.txt>top.txt:;");
	assert_selects(t, &below, "a/b>a/b:;c;d.log; a/e>a/e:;");
	assert_selects(t, &deep, "a/b/c>a/b/c:; a2/b/c>a2/b/c:;");
	tree_unref(t);
}

static void a_bad_pattern_is_an_error(void **state)
{
	struct tree *t = sample(*state);
	struct op_file_copy c = copy_of("/[");
	struct copy_roots roots = {0};
	struct error *err = NULL;

	assert_int_equal(copy_roots_resolve(t, &c, &roots, &err), -ERR_INVALID);
	error_free(err);
	tree_unref(t);
}

static void a_wildcard_without_match_must_be_allowed(void **state)
{
	struct tree *t = sample(*state);
	struct op_file_copy c = copy_of("/z*");
	struct copy_roots roots = {0};
	struct error *err = NULL;

	assert_selects(t, &c, "");
	c.allow_empty_wildcard = false;
	assert_int_equal(copy_roots_resolve(t, &c, &roots, &err), -ERR_NOTFOUND);
	error_free(err);
	tree_unref(t);
}

static void includes_bring_the_directories_above_only_where_something_is_below(void **state)
{
	struct tree *t = sample(*state);
	struct op_file_copy c = copy_of("/");

	c.include = (struct op_strings){(const char *const[]){"a/b/c", "a2/none"}, 2};
	assert_selects(t, &c, ">:;~a;~a/b;a/b/c;");
	c.include = (struct op_strings){(const char *const[]){"**/c"}, 1};
	assert_selects(t, &c, ">:;~a;~a/b;a/b/c;~a2;~a2/b;a2/b/c;");
	c.include = (struct op_strings){(const char *const[]){"a*/b"}, 1};
	c.exclude = (struct op_strings){(const char *const[]){"**/*.log"}, 1};
	assert_selects(t, &c, ">:;~a;a/b;a/b/c;~a2;a2/b;a2/b/c;");
	tree_unref(t);
}

static void excludes_can_be_taken_back(void **state)
{
	struct tree *t = sample(*state);
	struct op_file_copy c = copy_of("/a");

	c.exclude = (struct op_strings){(const char *const[]){"b", "!b/c"}, 2};
	assert_selects(t, &c, "a>a:;~b;b/c;e;");
	c.exclude = (struct op_strings){(const char *const[]){"*"}, 1};
	assert_selects(t, &c, "a>a:;");
	tree_unref(t);
}

static void the_digest_of_one_path_is_that_of_what_a_mount_shows(void **state)
{
	struct fixture *f = *state;
	struct digest before, after, other;
	struct error *err = NULL;
	struct tree *t = sample(f);

	assert_int_equal(tree_path_digest(t, "/la", &before, NULL), 0);
	assert_int_equal(tree_path_digest(t, "a2", &other, NULL), 0);
	assert_false(digest_equal(&before, &other));
	assert_int_equal(tree_path_digest(t, "/nope", &other, &err), -ERR_NOTFOUND);
	error_free(err);
	tree_unref(t);
	put_file(f, "top.txt", "changed", 0644);
	t = open_context(f);
	assert_int_equal(tree_path_digest(t, "/la", &after, NULL), 0);
	assert_true(digest_equal(&before, &after));
	tree_unref(t);
	assert_int_equal(fchmodat(f->dirfd, "a", 0700, 0), 0);
	t = open_context(f);
	assert_int_equal(tree_path_digest(t, "/la", &after, NULL), 0);
	assert_false(digest_equal(&before, &after));
	tree_unref(t);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(literal_sources_follow_symlinks_and_keep_their_name),
		T(wildcards_match_one_component_each),
		T(a_bad_pattern_is_an_error),
		T(a_wildcard_without_match_must_be_allowed),
		T(includes_bring_the_directories_above_only_where_something_is_below),
		T(excludes_can_be_taken_back),
		T(the_digest_of_one_path_is_that_of_what_a_mount_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
