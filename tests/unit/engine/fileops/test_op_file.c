/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cache/op_content.h"
#include "file_fixture.h"

#include "engine/fileops/op_merge.h"
#include "store/index.h"

/* An image to copy into: /etc/passwd with "app", a directory, a file and symlinks. */
static struct result *base_image(struct fixture *f)
{
	static const char passwd[] = "root:x:0:0::/:\napp:x:1000:1001::/:\n";
	static const char group[] = "root:x:0:\nwheel:x:10:\n";
	const struct op_file_action actions[] = {
		{.kind = FILE_MKDIR,
		 .input = OP_INPUT_NONE,
		 .output = -1,
		 .mkdir = {.path = "/etc", .mode = 0755, .timestamp = OP_TIME_NONE}},
		{.kind = FILE_MKFILE,
		 .input = 0,
		 .output = -1,
		 .mkfile = {.path = "/etc/passwd",
			    .data = passwd,
			    .size = strlen(passwd),
			    .mode = 0644,
			    .timestamp = OP_TIME_NONE}},
		{.kind = FILE_MKFILE,
		 .input = 1,
		 .output = -1,
		 .mkfile = {.path = "/etc/group",
			    .data = group,
			    .size = strlen(group),
			    .mode = 0644,
			    .timestamp = OP_TIME_NONE}},
		{.kind = FILE_MKDIR,
		 .input = 2,
		 .output = -1,
		 .mkdir = {.path = "/real/sub",
			   .mode = 0700,
			   .make_parents = true,
			   .timestamp = OP_TIME_NONE}},
		{.kind = FILE_SYMLINK,
		 .input = 3,
		 .output = -1,
		 .symlink = {.oldpath = "/real", .newpath = "/todir", .timestamp = OP_TIME_NONE}},
		{.kind = FILE_SYMLINK,
		 .input = 4,
		 .output = 0,
		 .symlink = {.oldpath = "new", .newpath = "/dangling", .timestamp = OP_TIME_NONE}},
	};
	const struct op_file op = {.actions = actions, .n = ARRAY_SIZE(actions)};
	struct error *err = NULL;
	struct result *r = NULL;

	if (file_op_run(f->store, &op, NULL, 0, NULL, NULL, &r, &err) < 0)
		fail_msg("%s", error_text(err));
	return r;
}

#define BASE_ETC                                                            \
	"d 0755 0:0 etc\nf 0644 0:0 etc/group 'root:x:0:\nwheel:x:10:\n'\n" \
	"f 0644 0:0 etc/passwd 'root:x:0:0::/:\napp:x:1000:1001::/:\n'\n"

/* What the result's newest layer alone holds. */
static void assert_layer(struct fixture *f, const struct result *r, const char *expect)
{
	static const char letters[] = "?fdlcbphw";
	struct index *index = NULL;
	struct buf out = BUF_INIT;

	assert_int_equal(layer_index(f->store, r->layers[r->n_layers - 1], &index, NULL), 0);
	for (size_t i = 0; i < index_count(index); i++) {
		struct entry e;

		index_entry(index, i, &e);
		if (*e.path)
			buf_addf(&out, "%c%s %s\n", letters[e.type], e.opaque ? "o" : "", e.path);
	}
	assert_string_equal(out.p, expect);
	buf_release(&out);
	index_unref(index);
}

static int64_t mtime_of(struct fixture *f, const struct result *r, const char *path)
{
	struct tree *t = NULL;
	struct entry e;
	uint64_t group;

	assert_int_equal(tree_of_result(f->store, r, &t, NULL), 0);
	assert_true(t->ops->get(t, path, &e, &group));
	tree_unref(t);
	return e.mtime;
}

static void assert_fails(struct fixture *f, const struct op_file_action *a, struct result *base,
			 struct result *source, const char *text)
{
	struct result *ret = NULL;
	struct error *err = NULL;

	assert_true(run_action(f, a, base, source, &ret, &err) < 0);
	if (!strstr(error_text(err), text))
		fail_msg("'%s' does not say '%s'", error_text(err), text);
	error_free(err);
}

static void mkdir_and_mkfile_make_a_layer(void **state)
{
	struct fixture *f = *state;
	struct result *r = base_image(f);

	assert_int_equal(r->n_layers, 1);
	assert_result(f, r,
		      "l 0777 0:0 dangling -> new\n" BASE_ETC
		      "d 0700 0:0 real\nd 0700 0:0 real/sub\nl 0777 0:0 todir -> /real\n");
	result_unref(r);
}

static void mkdir_of_what_exists_leaves_an_empty_layer(void **state)
{
	struct fixture *f = *state;
	struct result *base = base_image(f), *r;
	struct op_file_action a = {.kind = FILE_MKDIR,
				   .mkdir = {.path = "/todir/sub",
					     .mode = 0755,
					     .make_parents = true,
					     .timestamp = OP_TIME_NONE}};

	r = must_run(f, &a, base, NULL);
	assert_int_equal(r->n_layers, 2);
	assert_layer(f, r, "");
	result_unref(r);
	result_unref(base);
}

static void a_file_is_copied_to_a_name_or_into_a_directory(void **state)
{
	struct fixture *f = *state;
	struct op_file_action to_name = copy_action("/a", "/x/y"),
			      to_dir = copy_action("/a", "/x/");
	struct result *source, *r;

	put_file(f, "a", "1", 0640);
	source = context_result(f);
	r = must_run(f, &to_name, NULL, source);
	assert_result(f, r, "d 0755 0:0 x\nf 0640 0:0 x/y '1'\n");
	assert_int_equal(mtime_of(f, r, "x/y"), OLD_TIME);
	result_unref(r);
	r = must_run(f, &to_dir, NULL, source);
	assert_result(f, r, "d 0755 0:0 x\nf 0640 0:0 x/a '1'\n");
	result_unref(r);
	result_unref(source);
}

static void a_layer_lists_changed_paths_and_the_directories_above(void **state)
{
	struct fixture *f = *state;
	struct op_file_action a = copy_action("/a", "/real/sub/b");
	struct result *base = base_image(f), *source, *r;

	put_file(f, "a", "1", 0640);
	source = context_result(f);
	r = must_run(f, &a, base, source);
	assert_layer(f, r, "d real\nd real/sub\nf real/sub/b\n");
	assert_int_equal(mtime_of(f, r, "real"), mtime_of(f, base, "real"));
	result_unref(r);
	result_unref(source);
	result_unref(base);
}

static void a_directory_merges_its_contents(void **state)
{
	struct fixture *f = *state;
	struct op_file_action a = copy_action("/d", "/real");
	struct result *base = base_image(f), *source, *r;
	struct timespec times[2] = {{.tv_sec = OLD_TIME}, {.tv_sec = OLD_TIME}};

	put_file(f, "d/one", "1", 0644);
	put_file(f, "d/sub/two", "2", 0644);
	assert_int_equal(fchmodat(f->dirfd, "d/sub", 0711, 0), 0);
	assert_int_equal(utimensat(f->dirfd, "d", times, 0), 0);
	source = context_result(f);
	r = must_run(f, &a, base, source);
	/* The directory copied to keeps its mode, the ones in it take the source's. */
	assert_result(f, r,
		      "l 0777 0:0 dangling -> new\n" BASE_ETC
		      "d 0700 0:0 real\nf 0644 0:0 real/one '1'\nd 0711 0:0 real/sub\n"
		      "f 0644 0:0 real/sub/two '2'\nl 0777 0:0 todir -> /real\n");
	assert_int_equal(mtime_of(f, r, "real"), OLD_TIME);
	result_unref(r);
	result_unref(source);
	result_unref(base);
}

static void destinations_that_are_symlinks_are_followed_inside_the_root(void **state)
{
	struct fixture *f = *state;
	struct op_file_action into = copy_action("/a", "/todir"),
			      onto = copy_action("/a", "/dangling");
	struct result *base = base_image(f), *source, *r;

	put_file(f, "a", "1", 0644);
	source = context_result(f);
	r = must_run(f, &into, base, source);
	assert_layer(f, r, "d real\nf real/a\n");
	result_unref(r);
	r = must_run(f, &onto, base, source);
	assert_layer(f, r, "f new\n");
	result_unref(r);
	result_unref(source);
	result_unref(base);
}

static void a_directory_does_not_replace_a_file_nor_the_reverse(void **state)
{
	struct fixture *f = *state;
	struct op_file_action dir = copy_action("/d", "/etc/passwd"),
			      below = copy_action("/f", "/etc/passwd/x"),
			      nested = copy_action("/e", "/real");
	struct result *base = base_image(f), *source, *r;

	put_file(f, "d/one", "1", 0644);
	put_file(f, "e/sub", "file", 0644);
	put_file(f, "f", "file", 0644);
	source = context_result(f);
	assert_fails(f, &dir, base, source, "cannot copy to non-directory: /etc/passwd");
	assert_fails(f, &below, base, source, "/etc/passwd: not a directory");
	assert_fails(f, &nested, base, source, "cannot replace to directory /real/sub with file");
	nested.copy.always_replace_existing_dest_paths = true;
	r = must_run(f, &nested, base, source);
	assert_layer(f, r, "d real\nf real/sub\n");
	result_unref(r);
	result_unref(source);
	result_unref(base);
}

static void sources_go_through_symlinks_but_symlinks_in_directories_stay(void **state)
{
	struct fixture *f = *state;
	struct op_file_action file = copy_action("/lf", "/x"), dir = copy_action("/ld", "/y");
	struct result *source, *r;

	put_file(f, "d/one", "1", 0644);
	put_link(f, "d/l", "one");
	put_link(f, "ld", "/d");
	put_link(f, "lf", "ld/one");
	source = context_result(f);
	r = must_run(f, &file, NULL, source);
	assert_result(f, r, "f 0644 0:0 x '1'\n");
	result_unref(r);
	r = must_run(f, &dir, NULL, source);
	assert_result(f, r, "d 0755 0:0 y\nl 0777 0:0 y/l -> one\nf 0644 0:0 y/one '1'\n");
	result_unref(r);
	result_unref(source);
}

static void wildcards_match_names_and_copy_what_matched_directories_hold(void **state)
{
	struct fixture *f = *state;
	struct op_file_action files = copy_action("/*.go", "/x/"), dirs = copy_action("/d*", "/x"),
			      none = copy_action("/n*", "/x"),
			      middle = copy_action("/d*/o?e", "/x/");
	struct result *source, *r;

	put_file(f, "a.go", "a", 0644);
	put_file(f, "b.go", "b", 0644);
	put_file(f, "c.c", "c", 0644);
	put_file(f, "d1/one", "1", 0644);
	put_file(f, "d2/two", "2", 0644);
	source = context_result(f);
	r = must_run(f, &files, NULL, source);
	assert_result(f, r, "d 0755 0:0 x\nf 0644 0:0 x/a.go 'a'\nf 0644 0:0 x/b.go 'b'\n");
	result_unref(r);
	r = must_run(f, &dirs, NULL, source);
	assert_result(f, r, "d 0755 0:0 x\nf 0644 0:0 x/one '1'\nf 0644 0:0 x/two '2'\n");
	result_unref(r);
	r = must_run(f, &middle, NULL, source);
	assert_result(f, r, "d 0755 0:0 x\nf 0644 0:0 x/one '1'\n");
	result_unref(r);
	r = must_run(f, &none, NULL, source);
	assert_result(f, r, "");
	assert_int_equal(r->n_layers, 1);
	result_unref(r);
	result_unref(source);
}

static void a_missing_source_is_named_as_buildkit_does(void **state)
{
	struct fixture *f = *state;
	struct op_file_action a = copy_action("/dir/nope", "/x");
	struct result *source = context_result(f);

	assert_fails(f, &a, NULL, source,
		     "failed to compute cache key: failed to calculate checksum of ref context: "
		     "\"/dir/nope\": not found");
	result_unref(source);
}

static void owners_are_looked_up_where_the_files_go(void **state)
{
	struct fixture *f = *state;
	struct op_file_action a = copy_action("/a", "/x/y");
	struct result *base = base_image(f), *source, *r;

	put_file(f, "a", "1", 0644);
	source = context_result(f);
	a.copy.owner = (struct op_owner){.set = true, .user = "app"};
	r = must_run(f, &a, base, source);
	assert_int_equal(r->n_layers, 2);
	result_unref(r);
	a.copy.owner =
		(struct op_owner){.set = true, .user = "app", .group = "wheel", .group_set = true};
	a.copy.mode = 0640;
	r = must_run(f, &a, base, source);
	assert_result(f, r,
		      "l 0777 0:0 dangling -> new\n" BASE_ETC
		      "d 0700 0:0 real\nd 0700 0:0 real/sub\nl 0777 0:0 todir -> /real\n"
		      "d 0640 1000:10 x\nf 0640 1000:10 x/y '1'\n");
	result_unref(r);
	a.copy.owner = (struct op_owner){.set = true, .user = "ghost"};
	assert_fails(f, &a, base, source, "look up user 'ghost': not in /etc/passwd");
	result_unref(source);
	result_unref(base);
}

static void numeric_owners_take_the_group_of_the_same_number(void **state)
{
	struct fixture *f = *state;
	struct op_file_action a = copy_action("/a", "/x");
	struct result *source, *r;

	put_file(f, "a", "1", 0644);
	source = context_result(f);
	a.copy.owner = (struct op_owner){.set = true, .uid = 5};
	r = must_run(f, &a, NULL, source);
	assert_result(f, r, "f 0644 5:5 x '1'\n");
	result_unref(r);
	result_unref(source);
}

static void symbolic_modes_count_for_files_and_directories(void **state)
{
	struct fixture *f = *state;
	struct op_file_action a = copy_action("/d", "/x");
	struct result *source, *r;

	put_file(f, "d/s/f", "1", 0600);
	put_file(f, "d/run", "2", 0700);
	source = context_result(f);
	a.copy.mode_text = "go=u,go-w,g+X";
	r = must_run(f, &a, NULL, source);
	assert_result(f, r,
		      "d 0755 0:0 x\nf 0755 0:0 x/run '2'\nd 0755 0:0 x/s\nf 0644 0:0 x/s/f "
		      "'1'\n");
	result_unref(r);
	a.copy.mode_text = "u=q";
	assert_fails(f, &a, NULL, source, "invalid mode 'u=q'");
	result_unref(source);
}

static void hard_links_in_one_source_stay_together(void **state)
{
	struct fixture *f = *state;
	struct op_file_action a = copy_action("/d", "/x");
	struct result *source, *r;

	put_file(f, "d/a", "1", 0644);
	assert_int_equal(linkat(f->dirfd, "d/a", f->dirfd, "d/b", 0), 0);
	source = context_result(f);
	r = must_run(f, &a, NULL, source);
	assert_layer(f, r, "d x\nf x/a\nh x/b\n");
	assert_result(f, r, "d 0755 0:0 x\nf 0644 0:0 x/a '1'\nf 0644 0:0 x/b '1'\n");
	result_unref(source);
	/* And from a rootfs they are found again. */
	a = copy_action("/x", "/y");
	source = r;
	r = must_run(f, &a, NULL, source);
	assert_layer(f, r, "d y\nf y/a\nh y/b\n");
	result_unref(r);
	result_unref(source);
}

static void excludes_and_parents_select_below_the_root(void **state)
{
	struct fixture *f = *state;
	const char *const exclude[] = {"*.log", "s"}, *const include[] = {"a/b/c"};
	struct op_file_action a = copy_action("/d", "/x"), p = copy_action("/", "/x");
	struct result *source, *r;

	put_file(f, "d/a.log", "1", 0644);
	put_file(f, "d/b", "2", 0644);
	put_file(f, "d/s/c", "3", 0644);
	put_file(f, "a/b/c/1", "c", 0644);
	put_file(f, "a/b/d", "d", 0644);
	assert_int_equal(fchmodat(f->dirfd, "a/b", 0711, 0), 0);
	source = context_result(f);
	a.copy.exclude = (struct op_strings){exclude, 2};
	r = must_run(f, &a, NULL, source);
	assert_result(f, r, "d 0755 0:0 x\nf 0644 0:0 x/b '2'\n");
	result_unref(r);
	p.copy.include = (struct op_strings){include, 1};
	r = must_run(f, &p, NULL, source);
	assert_result(f, r,
		      "d 0755 0:0 x\nd 0755 0:0 x/a\nd 0711 0:0 x/a/b\nd 0755 0:0 x/a/b/c\n"
		      "f 0644 0:0 x/a/b/c/1 'c'\n");
	result_unref(r);
	p.copy.required_paths = (struct op_strings){(const char *const[]){"/a/none"}, 1};
	assert_fails(f, &p, NULL, source, "\"/a/none\": not found");
	result_unref(source);
}

static void removing_leaves_whiteouts_and_making_again_hides_what_was(void **state)
{
	struct fixture *f = *state;
	const struct op_file_action actions[] = {
		{.kind = FILE_RM, .input = 0, .output = -1, .rm = {.path = "/todir/sub"}},
		{.kind = FILE_RM, .input = 1, .output = -1, .rm = {.path = "/etc"}},
		{.kind = FILE_MKDIR,
		 .input = 2,
		 .output = 0,
		 .mkdir = {.path = "/etc", .mode = 0750, .timestamp = OP_TIME_NONE}},
	};
	const struct op_file op = {.actions = actions, .n = 3};
	struct result *base = base_image(f), *r = NULL;
	struct op_file_action missing = {.kind = FILE_RM, .rm = {.path = "/nope"}};

	assert_int_equal(file_op_run(f->store, &op, &base, 1, NULL, NULL, &r, NULL), 0);
	assert_layer(f, r, "d etc\nw etc/group\nw etc/passwd\nd real\nw real/sub\n");
	assert_result(f, r,
		      "l 0777 0:0 dangling -> new\nd 0750 0:0 etc\nd 0700 0:0 real\n"
		      "l 0777 0:0 todir -> /real\n");
	assert_fails(f, &missing, base, NULL, "/nope: no such file");
	result_unref(r);
	result_unref(base);
}

static void a_content_digest_covers_what_is_selected_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	struct op_file_action a = copy_action("/d*", "/x");
	const struct op_file op = {.actions = &a, .n = 1};
	struct digest d[6];
	size_t n = 0;
	struct result *source;

#define DIGEST()                                                                               \
	do {                                                                                   \
		source = context_result(f);                                                    \
		assert_int_equal(                                                              \
			file_op_content(f->store, &op, 2, 1, source, NULL, &d[n++], NULL), 0); \
		result_unref(source);                                                          \
	} while (0)
	put_file(f, "d/one", "1", 0644);
	put_file(f, "e/two", "2", 0644);
	DIGEST();
	put_file(f, "e/two", "3", 0644);
	assert_int_equal(utimensat(f->dirfd, "d/one", NULL, 0), 0);
	DIGEST();
	assert_true(digest_equal(&d[0], &d[1]));
	assert_int_equal(fchmodat(f->dirfd, "d/one", 0600, 0), 0);
	DIGEST();
	assert_false(digest_equal(&d[0], &d[2]));
	put_file(f, "d/one", "2", 0644);
	DIGEST();
	assert_false(digest_equal(&d[0], &d[3]));
	assert_int_equal(renameat(f->dirfd, "d/one", f->dirfd, "d/1"), 0);
	DIGEST();
	assert_false(digest_equal(&d[3], &d[4]));
	/* The name of a directory whose contents are copied does not show. */
	assert_int_equal(renameat(f->dirfd, "d", f->dirfd, "d2"), 0);
	DIGEST();
	assert_true(digest_equal(&d[4], &d[5]));
}

static void merge_stacks_layers_and_clones_one_that_comes_twice(void **state)
{
	struct fixture *f = *state;
	struct op_file_action a = copy_action("/a", "/x/y");
	struct result *base = base_image(f), *source, *top, *r = NULL, *twice = NULL;

	put_file(f, "a", "1", 0644);
	source = context_result(f);
	top = must_run(f, &a, NULL, source);
	{
		struct result *const inputs[] = {base, top};

		assert_int_equal(merge_op_run(f->store, inputs, 2, NULL, NULL, &r, NULL), 0);
	}
	assert_int_equal(r->n_layers, 2);
	assert_layer(f, r, "d x\nf x/y\n");
	{
		struct result *const inputs[] = {r, top};

		assert_int_equal(merge_op_run(f->store, inputs, 2, NULL, NULL, &twice, NULL), 0);
	}
	assert_int_equal(twice->n_layers, 3);
	assert_int_not_equal(twice->layers[1], twice->layers[2]);
	assert_layer(f, twice, "d x\nf x/y\n");
	result_unref(twice);
	result_unref(r);
	result_unref(top);
	result_unref(source);
	result_unref(base);
}

static void diff_gives_the_layers_above_or_makes_one(void **state)
{
	struct fixture *f = *state;
	struct op_file_action a = copy_action("/a", "/real/sub/y");
	struct result *base = base_image(f), *source, *top, *r = NULL;

	put_file(f, "a", "1", 0644);
	source = context_result(f);
	top = must_run(f, &a, base, source);
	assert_int_equal(diff_op_run(f->store, base, top, NULL, &r, NULL), 0);
	assert_int_equal(r->n_layers, 1);
	assert_int_equal(r->layers[0], top->layers[1]);
	result_unref(r);
	assert_int_equal(diff_op_run(f->store, top, base, NULL, &r, NULL), 0);
	assert_int_equal(r->n_layers, 1);
	assert_layer(f, r, "d real\nd real/sub\nw real/sub/y\n");
	result_unref(r);
	result_unref(top);
	result_unref(source);
	result_unref(base);
}

static void a_context_can_become_a_root_file_system(void **state)
{
	struct fixture *f = *state;
	struct tree *t;
	struct result *r = NULL;

	put_file(f, "bin/sh", "#!", 0755);
	t = open_context(f);
	assert_int_equal(file_op_materialise(f->store, t, NULL, NULL, &r, NULL), 0);
	assert_result(f, r, "d 0755 0:0 bin\nf 0755 0:0 bin/sh '#!'\n");
	tree_unref(t);
	result_unref(r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(mkdir_and_mkfile_make_a_layer),
		T(mkdir_of_what_exists_leaves_an_empty_layer),
		T(a_file_is_copied_to_a_name_or_into_a_directory),
		T(a_layer_lists_changed_paths_and_the_directories_above),
		T(a_directory_merges_its_contents),
		T(destinations_that_are_symlinks_are_followed_inside_the_root),
		T(a_directory_does_not_replace_a_file_nor_the_reverse),
		T(sources_go_through_symlinks_but_symlinks_in_directories_stay),
		T(wildcards_match_names_and_copy_what_matched_directories_hold),
		T(a_missing_source_is_named_as_buildkit_does),
		T(owners_are_looked_up_where_the_files_go),
		T(numeric_owners_take_the_group_of_the_same_number),
		T(symbolic_modes_count_for_files_and_directories),
		T(hard_links_in_one_source_stay_together),
		T(excludes_and_parents_select_below_the_root),
		T(removing_leaves_whiteouts_and_making_again_hides_what_was),
		T(a_content_digest_covers_what_is_selected_and_nothing_else),
		T(merge_stacks_layers_and_clones_one_that_comes_twice),
		T(diff_gives_the_layers_above_or_makes_one),
		T(a_context_can_become_a_root_file_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
