/* SPDX-License-Identifier: Apache-2.0 */
#include "file_fixture.h"
#include "tar_build.h"

#include <archive.h>
#include <archive_entry.h>

/* Writes archives into the context, so that tests say what is in them. */
struct maker {
	struct archive *a;
};

static struct maker make_archive(struct fixture *f, const char *name, int filter)
{
	struct maker m = {archive_write_new()};
	char *path = xasprintf("%s/%s", f->context, name);

	archive_write_set_format_pax_restricted(m.a);
	assert_int_equal(archive_write_add_filter(m.a, filter), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(m.a, path), ARCHIVE_OK);
	free(path);
	return m;
}

struct item {
	const char *name;
	unsigned type; /* 0: a hard link */
	unsigned perm;
	const char *text; /* a file's bytes, a link's target */
	int64_t uid, mtime;
};

static void add_item(struct maker *m, const struct item *i)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, i->name);
	archive_entry_set_filetype(e, i->type);
	archive_entry_set_perm(e, i->perm);
	archive_entry_set_uid(e, i->uid);
	archive_entry_set_gid(e, 34);
	archive_entry_set_mtime(e, i->mtime, 0);
	if (i->type == AE_IFLNK)
		archive_entry_set_symlink(e, i->text);
	if (i->type == 0)
		archive_entry_set_hardlink(e, i->text);
	if (i->type == AE_IFREG)
		archive_entry_set_size(e, (la_int64_t)strlen(i->text));
	assert_int_equal(archive_write_header(m->a, e), ARCHIVE_OK);
	if (i->type == AE_IFREG && *i->text)
		assert_int_equal(archive_write_data(m->a, i->text, strlen(i->text)),
				 strlen(i->text));
	archive_entry_free(e);
}

static void add(struct maker *m, const char *name, unsigned type, unsigned perm, const char *text)
{
	add_item(m, &(struct item){name, type, perm, text, 12, OLD_TIME});
}

static void finish(struct maker *m)
{
	assert_int_equal(archive_write_close(m->a), ARCHIVE_OK);
	archive_write_free(m->a);
}

/* ADD src dest. */
static struct op_file_action add_action(const char *src, const char *dest)
{
	struct op_file_action a = copy_action(src, dest);

	a.copy.attempt_unpack = true;
	return a;
}

static struct result *add_to(struct fixture *f, struct result *base, const char *src,
			     const char *dest)
{
	struct op_file_action a = add_action(src, dest);
	struct result *source = context_result(f), *r = must_run(f, &a, base, source);

	result_unref(source);
	return r;
}

static void archives_of_every_kind_are_unpacked(void **state)
{
	static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP,
				      ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		struct maker m = make_archive(f, "data.bin", filters[i]);
		struct result *r;

		add(&m, "d/", AE_IFDIR, 0750, NULL);
		add(&m, "d/f", AE_IFREG, 04711, "text");
		add(&m, "l", AE_IFLNK, 0777, "d/f");
		finish(&m);
		r = add_to(f, NULL, "/data.bin", "/x");
		assert_result(f, r,
			      "d 0755 0:0 x\nd 0750 12:34 x/d\nf 4711 12:34 x/d/f 'text'\n"
			      "l 0777 12:34 x/l -> d/f\n");
		result_unref(r);
	}
}

static void what_is_no_archive_is_copied(void **state)
{
	struct fixture *f = *state;
	struct result *r;

	put_file(f, "a.tar", "not a tar", 0644);
	put_file(f, "empty.tar", "", 0644);
	r = add_to(f, NULL, "/*.tar", "/x/");
	assert_result(f, r,
		      "d 0755 0:0 x\nf 0644 0:0 x/a.tar 'not a tar'\nf 0644 0:0 x/empty.tar ''\n");
	result_unref(r);
}

static void names_cannot_leave_the_destination(void **state)
{
	struct fixture *f = *state;
	struct maker m = make_archive(f, "a.tar", ARCHIVE_FILTER_NONE);
	struct result *r;

	add(&m, "../../up", AE_IFREG, 0644, "1");
	add(&m, "/abs", AE_IFREG, 0644, "2");
	add(&m, "out", AE_IFLNK, 0777, "/etc");
	add(&m, "out/passwd", AE_IFREG, 0644, "3");
	add(&m, "dots", AE_IFLNK, 0777, "../../..");
	add(&m, "dots/z", AE_IFREG, 0644, "4");
	finish(&m);
	r = add_to(f, NULL, "/a.tar", "/x/y/");
	assert_result(f, r,
		      "d 0755 0:0 x\nd 0755 0:0 x/y\nf 0644 12:34 x/y/abs '2'\n"
		      "l 0777 12:34 x/y/dots -> ../../..\nd 0755 0:0 x/y/etc\n"
		      "f 0644 12:34 x/y/etc/passwd '3'\nl 0777 12:34 x/y/out -> /etc\n"
		      "f 0644 12:34 x/y/up '1'\nf 0644 12:34 x/y/z '4'\n");
	result_unref(r);
}

static void a_second_archive_merges_and_replaces_other_kinds(void **state)
{
	struct fixture *f = *state;
	struct maker m = make_archive(f, "a.tar", ARCHIVE_FILTER_NONE);
	struct result *base, *r;

	add(&m, "d/keep", AE_IFREG, 0644, "k");
	add(&m, "d/old", AE_IFREG, 0644, "o");
	add(&m, "file", AE_IFREG, 0644, "f");
	add(&m, "dir/sub/x", AE_IFREG, 0644, "x");
	finish(&m);
	base = add_to(f, NULL, "/a.tar", "/");
	m = make_archive(f, "a.tar", ARCHIVE_FILTER_NONE);
	add(&m, "d", AE_IFDIR, 0700, NULL);
	add(&m, "d/old", AE_IFREG, 0600, "new");
	add(&m, "file/", AE_IFDIR, 0755, NULL);
	add(&m, "file/in", AE_IFREG, 0644, "i");
	add(&m, "dir", AE_IFREG, 0644, "was a directory");
	finish(&m);
	r = add_to(f, base, "/a.tar", "/");
	assert_result(f, r,
		      "d 0700 12:34 d\nf 0644 12:34 d/keep 'k'\nf 0600 12:34 d/old 'new'\n"
		      "f 0644 12:34 dir 'was a directory'\nd 0755 12:34 file\n"
		      "f 0644 12:34 file/in 'i'\n");
	result_unref(r);
	result_unref(base);
}

static void hard_links_reach_into_lower_layers(void **state)
{
	struct fixture *f = *state;
	struct maker m = make_archive(f, "a.tar", ARCHIVE_FILTER_NONE);
	struct result *base, *r;

	add(&m, "a", AE_IFREG, 0644, "bytes");
	finish(&m);
	base = add_to(f, NULL, "/a.tar", "/");
	m = make_archive(f, "a.tar", ARCHIVE_FILTER_NONE);
	add(&m, "b", 0, 0644, "a");
	add(&m, "c", 0, 0644, "/b");
	add(&m, "a", AE_IFREG, 0644, "replaced");
	finish(&m);
	r = add_to(f, base, "/a.tar", "/");
	assert_result(f, r,
		      "f 0644 12:34 a 'replaced'\nf 0644 12:34 b 'bytes'\n"
		      "f 0644 12:34 c 'bytes'\n");
	result_unref(r);
	result_unref(base);
}

/* What a file has is what the last header of one of its names said, as where the links are made and
 * then given to their owners; of a symlink that is the owner alone. */
static void the_names_of_a_file_share_what_the_last_link_says(void **state)
{
	struct fixture *f = *state;
	struct maker m = make_archive(f, "a.tar", ARCHIVE_FILTER_NONE);
	struct result *base, *r;
	struct tree *t = NULL;
	struct entry e;
	uint64_t group;

	add_item(&m, &(struct item){"low", AE_IFREG, 0644, "low", 12, OLD_TIME});
	finish(&m);
	base = add_to(f, NULL, "/a.tar", "/");
	m = make_archive(f, "a.tar", ARCHIVE_FILTER_NONE);
	add_item(&m, &(struct item){"f", AE_IFREG, 0644, "bytes", 12, OLD_TIME});
	add_item(&m, &(struct item){"h", 0, 04711, "f", 56, OLD_TIME + 1});
	add_item(&m, &(struct item){"i", 0, 0600, "h", 78, OLD_TIME + 2});
	add_item(&m, &(struct item){"l", AE_IFLNK, 0777, "f", 12, OLD_TIME});
	add_item(&m, &(struct item){"l2", 0, 0600, "l", 56, OLD_TIME + 1});
	add_item(&m, &(struct item){"up", 0, 0600, "low", 56, OLD_TIME + 1});
	finish(&m);
	r = add_to(f, base, "/a.tar", "/");
	assert_result(f, r,
		      "f 0600 78:34 f 'bytes'\nf 0600 78:34 h 'bytes'\nf 0600 78:34 i 'bytes'\n"
		      "l 0777 56:34 l -> f\nl 0777 56:34 l2 -> f\n"
		      "f 0600 56:34 low 'low'\nf 0600 56:34 up 'low'\n");
	assert_int_equal(tree_of_result(f->store, r, &t, NULL), 0);
	assert_true(t->ops->get(t, "f", &e, &group));
	assert_int_equal(e.mtime, OLD_TIME + 2);
	assert_true(t->ops->get(t, "l2", &e, &group));
	assert_int_equal(e.mtime, OLD_TIME);
	tree_unref(t);
	result_unref(r);
	result_unref(base);
}

static void bad_links_are_errors(void **state)
{
	struct fixture *f = *state;
	struct maker m = make_archive(f, "a.tar", ARCHIVE_FILTER_NONE);
	struct op_file_action a = add_action("/a.tar", "/");
	struct result *source, *r = NULL;
	struct error *err = NULL;

	add(&m, "b", 0, 0644, "none");
	finish(&m);
	source = context_result(f);
	assert_true(run_action(f, &a, NULL, source, &r, &err) < 0);
	assert_string_equal(error_text(err), "unpack 'a.tar': entry 'b': a hard link to 'none', "
					     "which does not exist");
	error_free(err);
	result_unref(source);
}

static void a_torn_archive_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct maker m = make_archive(f, "a.tar", ARCHIVE_FILTER_NONE);
	struct op_file_action a = add_action("/a.tar", "/");
	struct result *source, *r = NULL;
	struct error *err = NULL;
	char *path;

	add(&m, "b", AE_IFREG, 0644, "some text");
	finish(&m);
	path = xasprintf("%s/a.tar", f->context);
	assert_int_equal(truncate(path, 515), 0);
	free(path);
	source = context_result(f);
	assert_true(run_action(f, &a, NULL, source, &r, &err) < 0);
	assert_non_null(strstr(error_text(err), "unpack 'a.tar'"));
	error_free(err);
	result_unref(source);
}

static void put_tar(struct fixture *f, const char *name, const struct buf *tar)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", f->context, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(tar->p, 1, tar->n, file), tar->n);
	assert_int_equal(fclose(file), 0);
}

/* As BuildKit's: see engine/layer/tar_rules.h. */
static void a_name_that_ends_with_a_slash_keeps_its_type(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct fixture *f = *state;
	struct result *r;

	TAR_ADD(&tar, .name = "f/", .type = '0', .data = "a file");
	TAR_ADD(&tar, .name = "empty/", .type = '0');
	TAR_ADD(&tar, .name = "h/", .type = '1', .link = "f/");
	TAR_ADD(&tar, .name = "old/", .type = '\0', .mode = 0755);
	TAR_ADD(&tar, .name = "after", .type = '0', .data = "next");
	tar_end(&tar);
	put_tar(f, "a.tar", &tar);
	r = add_to(f, NULL, "/a.tar", "/");
	assert_result(f, r,
		      "f 0644 0:0 after 'next'\nf 0644 0:0 empty ''\nf 0644 0:0 f 'a file'\n"
		      "f 0644 0:0 h 'a file'\nd 0755 0:0 old\n");
	result_unref(r);
}

static void entries_that_come_again_are_the_last(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct fixture *f = *state;
	struct result *r;

	TAR_ADD(&tar, .name = "d/", .type = '5', .mode = 0755, .uid = 5);
	TAR_ADD(&tar, .name = "d/f", .type = '0', .data = "one", .mode = 0640);
	TAR_ADD(&tar, .name = "h", .type = '1', .link = "d/f", .mode = 0640);
	TAR_ADD(&tar, .name = "d/f", .type = '0', .data = "other", .mode = 0600);
	TAR_ADD(&tar, .name = "d/", .type = '5', .mode = 0700, .uid = 7);
	tar_end(&tar);
	put_tar(f, "a.tar", &tar);
	r = add_to(f, NULL, "/a.tar", "/");
	assert_result(f, r, "d 0700 7:7 d\nf 0600 0:0 d/f 'other'\nf 0640 0:0 h 'one'\n");
	result_unref(r);
}

static void directories_keep_the_times_of_the_archive(void **state)
{
	struct fixture *f = *state;
	struct maker m = make_archive(f, "a.tar", ARCHIVE_FILTER_NONE);
	struct result *r;
	struct tree *t = NULL;
	struct entry e;
	uint64_t group;

	add(&m, "d/", AE_IFDIR, 0755, NULL);
	add(&m, "d/s/", AE_IFDIR, 0755, NULL);
	add(&m, "d/s/f", AE_IFREG, 0644, "1");
	finish(&m);
	r = add_to(f, NULL, "/a.tar", "/x");
	assert_int_equal(tree_of_result(f->store, r, &t, NULL), 0);
	assert_true(t->ops->get(t, "x/d", &e, &group));
	assert_int_equal(e.mtime, OLD_TIME);
	assert_true(t->ops->get(t, "x/d/s", &e, &group));
	assert_int_equal(e.mtime, OLD_TIME);
	assert_true(t->ops->get(t, "x", &e, &group));
	assert_int_not_equal(e.mtime, OLD_TIME);
	tree_unref(t);
	result_unref(r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(archives_of_every_kind_are_unpacked),
		T(what_is_no_archive_is_copied),
		T(names_cannot_leave_the_destination),
		T(a_second_archive_merges_and_replaces_other_kinds),
		T(hard_links_reach_into_lower_layers),
		T(the_names_of_a_file_share_what_the_last_link_says),
		T(bad_links_are_errors),
		T(a_torn_archive_is_an_error),
		T(directories_keep_the_times_of_the_archive),
		T(a_name_that_ends_with_a_slash_keeps_its_type),
		T(entries_that_come_again_are_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
