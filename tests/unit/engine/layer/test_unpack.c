/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/layer/tar_rules.h"
#include "engine/layer/unpack.h"
#include "store/index.h"
#include "tar_build.h"

static char root[] = "/tmp/kiln-unpack-XXXXXX";
static struct store *store;

struct source {
	const struct buf *bytes;
	size_t at;
	size_t most; /* bytes at once; 0: any number */
};

static int read_source(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	struct source *s = data;

	(void)err;
	if (s->most && n > s->most)
		n = s->most;
	*ret = s->bytes->n - s->at < n ? s->bytes->n - s->at : n;
	memcpy(p, s->bytes->p + s->at, *ret);
	s->at += *ret;
	return 0;
}

static int unpack(const struct buf *tar, struct layer_writer **w, struct error **err)
{
	struct source s = {.bytes = tar};
	struct unpack_result result;
	struct digest expect = digest_of(tar->p, tar->n);
	int r;

	assert_int_equal(layer_writer_open(store, w, NULL), 0);
	r = unpack_layer(*w, read_source, &s, false, &result, err);
	if (r == 0)
		assert_true(digest_equal(&result.diff_id, &expect));
	return r;
}

/* Unpacks a tar that is fine and returns its index; *ret_fd is the dir. */
static struct index *unpack_good(const struct buf *tar, int *ret_fd)
{
	_cleanup_(layer_writer_freep) struct layer_writer *w = NULL;
	_cleanup_(error_freep) struct error *err = NULL;
	struct index *index = NULL;
	int64_t id = 0;

	if (unpack(tar, &w, &err) < 0 || layer_writer_commit(w, &id, &err) < 0)
		fail_msg("%s", error_text(err));
	assert_int_equal(layer_index(store, id, &index, NULL), 0);
	*ret_fd = layer_dir_open(store, id, NULL);
	assert_true(*ret_fd >= 0);
	return index;
}

static bool find(const struct index *i, const char *path, struct entry *ret)
{
	int64_t at = index_find(i, path);

	if (at >= 0)
		index_entry(i, (size_t)at, ret);
	return at >= 0;
}

static void expect_refused(const struct buf *tar, int code, const char *text)
{
	_cleanup_(layer_writer_freep) struct layer_writer *w = NULL;
	_cleanup_(error_freep) struct error *err = NULL;

	assert_int_equal(unpack(tar, &w, &err), -code);
	if (!strstr(error_text(err), text))
		fail_msg("'%s' does not say '%s'", error_text(err), text);
}

static void files_keep_their_bytes_owner_mode_and_time(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct index *index;
	struct entry e;
	struct stat st;

	(void)state;
	TAR_ADD(&tar, .name = "./", .type = '5', .mode = 0755);
	TAR_ADD(&tar, .name = "./d/", .type = '5', .mode = 01750, .mtime = 5);
	TAR_ADD(&tar, .name = "/d//f", .type = '0', .data = "hello", .mode = 04755, .mtime = 77);
	TAR_ADD(&tar, .name = "d/h", .type = '1', .link = "/d/f", .mode = 04755, .mtime = 77);
	TAR_ADD(&tar, .name = "d/s", .type = '2', .link = "../../../etc/passwd");
	TAR_ADD(&tar, .name = "p", .type = '6');
	tar_end(&tar);
	buf_adds(&tar, "what follows the end counts");
	index = unpack_good(&tar, &fd);
	assert_true(find(index, "d/f", &e));
	assert_int_equal(e.type, ENTRY_FILE);
	assert_int_equal(e.mode, 04755);
	assert_int_equal(e.mtime, 77);
	assert_int_equal(e.size, 5);
	assert_true(find(index, "d", &e));
	assert_int_equal(e.mode, 01750);
	assert_true(find(index, "d/h", &e));
	assert_int_equal(e.type, ENTRY_HARDLINK);
	assert_string_equal(e.link, "d/f");
	assert_true(find(index, "d/s", &e));
	assert_string_equal(e.link, "../../../etc/passwd");
	assert_int_equal(fstatat(fd, "d/h", &st, 0), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_mode & 07777, 04755);
	assert_int_equal(fstatat(fd, "d", &st, 0), 0);
	assert_int_equal(st.st_mtime, 5);
	index_unref(index);
}

static void names_are_bytes_that_nobody_changes(void **state)
{
	/* e and a combining acute, which normalisation would join; and a byte that is no UTF-8. */
	static const char name[] = "e\xcc\x81", odd[] = "b\xff", target[] = "x\xcc\x81y";
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct index *index;
	struct entry e;

	(void)state;
	tar_pax(&tar, "path", name, strlen(name));
	TAR_ADD(&tar, .name = "short", .type = '0', .data = "1");
	tar_pax(&tar, "linkpath", target, strlen(target));
	TAR_ADD(&tar, .name = odd, .type = '2', .link = "t");
	tar_pax(&tar, "linkpath", name, strlen(name));
	TAR_ADD(&tar, .name = "hard", .type = '1', .link = "t");
	tar_end(&tar);
	index = unpack_good(&tar, &fd);
	assert_true(find(index, name, &e));
	assert_true(find(index, odd, &e));
	assert_string_equal(e.link, target);
	assert_true(find(index, "hard", &e));
	assert_string_equal(e.link, name);
	index_unref(index);
}

static void names_that_lead_out_are_refused(void **state)
{
	static const char *const names[] = {"../x", "a/../../x", "a/..", ".."};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_buf_ struct buf tar = BUF_INIT, hard = BUF_INIT;

		TAR_ADD(&tar, .name = names[i], .type = '0', .data = "x");
		expect_refused(&tar, ERR_INVALID, "leads out");
		TAR_ADD(&hard, .name = "h", .type = '1', .link = names[i]);
		expect_refused(&hard, ERR_INVALID, "leads out");
	}
}

static void names_below_a_symlink_stay_inside_the_layer(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT, loop = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct index *index;
	struct entry e;

	(void)state;
	TAR_ADD(&tar, .name = "usr/lib", .type = '5', .mode = 0755);
	TAR_ADD(&tar, .name = "lib", .type = '2', .link = "usr/lib");
	TAR_ADD(&tar, .name = "out", .type = '2', .link = "/../../tmp");
	TAR_ADD(&tar, .name = "lib/f", .type = '0', .data = "x");
	TAR_ADD(&tar, .name = "out/g", .type = '0', .data = "y");
	tar_end(&tar);
	index = unpack_good(&tar, &fd);
	assert_true(find(index, "usr/lib/f", &e));
	assert_true(find(index, "tmp/g", &e));
	assert_true(find(index, "lib", &e));
	assert_int_equal(e.type, ENTRY_SYMLINK);
	index_unref(index);
	TAR_ADD(&loop, .name = "a", .type = '2', .link = "b");
	TAR_ADD(&loop, .name = "b", .type = '2', .link = "a");
	TAR_ADD(&loop, .name = "a/f", .type = '0', .data = "x");
	expect_refused(&loop, ERR_INVALID, "symlinks");
}

static void whiteouts_hide_lower_layers_only(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct index *index;
	struct entry e;
	struct stat st;

	(void)state;
	TAR_ADD(&tar, .name = "d", .type = '5', .mode = 0700);
	TAR_ADD(&tar, .name = "d/.wh.gone", .type = '0');
	TAR_ADD(&tar, .name = "d/stays", .type = '0', .data = "1");
	TAR_ADD(&tar, .name = "d/.wh.stays", .type = '0');
	TAR_ADD(&tar, .name = "o/.wh..wh..opq", .type = '0');
	TAR_ADD(&tar, .name = "o", .type = '5', .mode = 0711);
	TAR_ADD(&tar, .name = ".wh.again", .type = '0');
	TAR_ADD(&tar, .name = "again", .type = '5', .mode = 0755);
	TAR_ADD(&tar, .name = ".wh..wh.plnk", .type = '0');
	TAR_ADD(&tar, .name = "dev", .type = '3');
	tar_end(&tar);
	index = unpack_good(&tar, &fd);
	assert_true(find(index, "d/gone", &e));
	assert_int_equal(e.type, ENTRY_WHITEOUT);
	assert_true(find(index, "d/stays", &e));
	assert_int_equal(e.type, ENTRY_FILE);
	assert_true(find(index, "o", &e));
	assert_true(e.opaque);
	assert_int_equal(e.mode, 0711);
	assert_true(find(index, "again", &e));
	assert_int_equal(e.type, ENTRY_DIR);
	assert_true(e.opaque);
	assert_true(find(index, "dev", &e));
	assert_int_equal(e.type, ENTRY_WHITEOUT);
	assert_false(find(index, ".wh..wh.plnk", &e));
	assert_int_equal(fstatat(fd, "d/gone", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	index_unref(index);
}

static void whiteouts_of_nothing_are_refused(void **state)
{
	static const char *const names[] = {"a/.wh.", "a/.wh..", "a/.wh..."};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_buf_ struct buf tar = BUF_INIT;

		TAR_ADD(&tar, .name = names[i], .type = '0');
		expect_refused(&tar, ERR_INVALID, "whiteout without the name");
	}
}

static void of_several_entries_of_one_name_the_last_counts(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct index *index;
	struct entry e;

	(void)state;
	TAR_ADD(&tar, .name = "f", .type = '0', .data = "first");
	TAR_ADD(&tar, .name = "f", .type = '0', .data = "2nd");
	TAR_ADD(&tar, .name = "d", .type = '5', .mode = 0700);
	TAR_ADD(&tar, .name = "d/in", .type = '0', .data = "x");
	TAR_ADD(&tar, .name = "d", .type = '5', .mode = 0755);
	TAR_ADD(&tar, .name = "t/in", .type = '0', .data = "x");
	TAR_ADD(&tar, .name = "t", .type = '2', .link = "d");
	tar_end(&tar);
	index = unpack_good(&tar, &fd);
	assert_true(find(index, "f", &e));
	assert_int_equal(e.size, 3);
	assert_true(find(index, "d", &e));
	assert_int_equal(e.mode, 0755);
	assert_true(find(index, "d/in", &e));
	assert_true(find(index, "t", &e));
	assert_int_equal(e.type, ENTRY_SYMLINK);
	assert_false(find(index, "t/in", &e));
	index_unref(index);
}

static void hard_links_name_earlier_files_of_the_layer(void **state)
{
	_cleanup_buf_ struct buf absent = BUF_INIT, dir = BUF_INIT, ok = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct index *index;
	struct entry e;

	(void)state;
	TAR_ADD(&absent, .name = "h", .type = '1', .link = "nowhere");
	expect_refused(&absent, ERR_INVALID, "is not a file of this layer");
	TAR_ADD(&dir, .name = "d", .type = '5', .mode = 0755);
	TAR_ADD(&dir, .name = "h", .type = '1', .link = "d");
	expect_refused(&dir, ERR_INVALID, "is not a file of this layer");
	TAR_ADD(&ok, .name = "s", .type = '2', .link = "target");
	TAR_ADD(&ok, .name = "s2", .type = '1', .link = "s");
	TAR_ADD(&ok, .name = "f", .type = '0', .data = "1");
	TAR_ADD(&ok, .name = "h", .type = '1', .link = "f");
	TAR_ADD(&ok, .name = "h2", .type = '1', .link = "h");
	TAR_ADD(&ok, .name = "f", .type = '1', .link = "f");
	tar_end(&ok);
	index = unpack_good(&ok, &fd);
	assert_true(find(index, "s2", &e));
	assert_int_equal(e.type, ENTRY_SYMLINK);
	assert_string_equal(e.link, "target");
	assert_true(find(index, "h2", &e));
	assert_string_equal(e.link, "f");
	index_unref(index);
}

static void expect_file(const struct index *index, int fd, const char *path, const char *data)
{
	struct digest content = digest_of(data, strlen(data));
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	struct entry e;

	assert_true(find(index, path, &e));
	if (e.type == ENTRY_HARDLINK)
		assert_true(find(index, e.link, &e));
	assert_int_equal(e.type, ENTRY_FILE);
	assert_true(digest_equal(&e.content, &content));
	assert_int_equal(fs_read_file(fd, path, &bytes), 0);
	assert_string_equal(bytes.p, data);
}

/* As containerd's: the new entry takes the name, the other names keep the file. */
static void a_file_that_comes_again_leaves_its_links_alone(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct index *index;
	struct entry e;
	struct stat st;

	(void)state;
	TAR_ADD(&tar, .name = "f", .type = '0', .data = "one", .mode = 0640);
	TAR_ADD(&tar, .name = "h", .type = '1', .link = "f", .mode = 0640);
	TAR_ADD(&tar, .name = "h2", .type = '1', .link = "f", .mode = 0640);
	TAR_ADD(&tar, .name = "f", .type = '0', .data = "other", .mode = 0600);
	TAR_ADD(&tar, .name = "h3", .type = '1', .link = "h2", .mode = 0644);
	TAR_ADD(&tar, .name = "d/g", .type = '0', .data = "deep");
	TAR_ADD(&tar, .name = "g", .type = '1', .link = "d/g");
	TAR_ADD(&tar, .name = "d", .type = '0', .data = "no directory");
	tar_end(&tar);
	index = unpack_good(&tar, &fd);
	expect_file(index, fd, "f", "other");
	expect_file(index, fd, "h", "one");
	expect_file(index, fd, "h2", "one");
	expect_file(index, fd, "h3", "one");
	expect_file(index, fd, "g", "deep");
	expect_file(index, fd, "d", "no directory");
	assert_true(find(index, "f", &e));
	assert_int_equal(e.mode, 0600);
	assert_int_equal(fstatat(fd, "h2", &st, 0), 0);
	assert_int_equal(st.st_nlink, 3);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(fstatat(fd, "g", &st, 0), 0);
	assert_int_equal(st.st_nlink, 1);
	index_unref(index);
}

static void a_directory_that_comes_again_has_its_last_owner(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct index *index;
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	TAR_ADD(&tar, .name = "./", .type = '5', .mode = 0755, .uid = 7);
	TAR_ADD(&tar, .name = "d/", .type = '5', .mode = 0755, .uid = 5);
	TAR_ADD(&tar, .name = "d/", .type = '5', .mode = 0755);
	TAR_ADD(&tar, .name = "e", .type = '5', .mode = 0755);
	TAR_ADD(&tar, .name = "e", .type = '5', .mode = 0755, .uid = 5);
	TAR_ADD(&tar, .name = ".", .type = '5', .mode = 0755);
	tar_end(&tar);
	index = unpack_good(&tar, &fd);
	assert_int_equal(fstatat(fd, "d", &st, 0), 0);
	assert_int_equal(st.st_uid + st.st_gid, 0);
	assert_int_equal(fstatat(fd, "e", &st, 0), 0);
	assert_int_equal(st.st_uid, 5);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_uid + st.st_gid, 0);
	index_unref(index);
}

/* As Go's reader, and so BuildKit, has it: a slash makes a directory of the untyped entries of
 * ancient tars only, and what is no file has no bytes. */
static void a_name_that_ends_with_a_slash_keeps_its_type(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct index *index;
	struct entry e;

	(void)state;
	TAR_ADD(&tar, .name = "f/", .type = '0', .data = "a file");
	TAR_ADD(&tar, .name = "d/empty//", .type = '0');
	TAR_ADD(&tar, .name = "pax", .type = 'x', .data = "17 path=d/named/\n");
	TAR_ADD(&tar, .name = "short", .type = '0', .data = "by PAX");
	TAR_ADD(&tar, .name = "@LongLink", .type = 'L', .data = "d/long/", .size = 8);
	TAR_ADD(&tar, .name = "short/", .type = '0', .data = "by GNU");
	TAR_ADD(&tar, .name = "s/", .type = '2', .link = "f");
	TAR_ADD(&tar, .name = "h/", .type = '1', .link = "f/");
	TAR_ADD(&tar, .name = "p/", .type = '6');
	TAR_ADD(&tar, .name = "after", .type = '0', .data = "next");
	TAR_ADD(&tar, .name = "old", .type = '\0', .data = "ancient");
	TAR_ADD(&tar, .name = "old.d/", .type = '\0');
	tar_end(&tar);
	index = unpack_good(&tar, &fd);
	expect_file(index, fd, "f", "a file");
	expect_file(index, fd, "d/empty", "");
	expect_file(index, fd, "d/named", "by PAX");
	expect_file(index, fd, "d/long", "by GNU");
	expect_file(index, fd, "h", "a file");
	expect_file(index, fd, "after", "next");
	expect_file(index, fd, "old", "ancient");
	assert_true(find(index, "s", &e));
	assert_int_equal(e.type, ENTRY_SYMLINK);
	assert_true(find(index, "p", &e));
	assert_int_equal(e.type, ENTRY_FIFO);
	assert_true(find(index, "old.d", &e));
	assert_int_equal(e.type, ENTRY_DIR);
	index_unref(index);
}

/* A header alone, whose size says that bytes follow. */
static void add_sized(struct buf *b, const char *name, char type, const char *link)
{
	size_t from = b->n;

	TAR_ADD(b, .name = name, .type = type, .link = link, .data = "bytes", .mode = 0755);
	buf_truncate(b, from + 512);
}

static void what_is_no_file_has_no_bytes(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct index *index;
	struct entry e;

	(void)state;
	TAR_ADD(&tar, .name = "f", .type = '0', .data = "a file");
	add_sized(&tar, "h", '1', "f");
	add_sized(&tar, "s", '2', "f");
	add_sized(&tar, "d", '5', NULL);
	add_sized(&tar, "p", '6', NULL);
	add_sized(&tar, "old/", '\0', NULL);
	TAR_ADD(&tar, .name = "pax", .type = 'x', .data = "11 size=77\n");
	add_sized(&tar, "d2", '5', NULL);
	TAR_ADD(&tar, .name = "after", .type = '0', .data = "next");
	tar_end(&tar);
	index = unpack_good(&tar, &fd);
	expect_file(index, fd, "h", "a file");
	expect_file(index, fd, "after", "next");
	assert_true(find(index, "old", &e));
	assert_int_equal(e.type, ENTRY_DIR);
	assert_true(find(index, "d2", &e));
	index_unref(index);
}

/* However the bytes come, the same are handed on. */
static void headers_may_come_in_pieces(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT, whole = BUF_INIT;
	_cleanup_free_ char *data = xmalloc(300000);

	(void)state;
	memset(data, 'x', 300000);
	TAR_ADD(&tar, .name = "pax", .type = 'x', .data = "17 path=d/named/\n");
	TAR_ADD(&tar, .name = "short", .type = '0', .data = data, .size = 300000);
	TAR_ADD(&tar, .name = "f/", .type = '0', .data = "a file");
	tar_end(&tar);
	for (size_t piece = tar.n; piece > 0; piece = piece > 1000 ? 700 : piece > 97 ? 97 : 0) {
		struct source s = {.bytes = &tar, .most = piece};
		_cleanup_(tar_rules_freep) struct tar_rules *rules =
			tar_rules_open(read_source, &s);
		_cleanup_buf_ struct buf got = BUF_INIT;
		const void *p;
		size_t n = 1;

		while (n > 0) {
			assert_int_equal(tar_rules_read(rules, &p, &n, NULL), 0);
			buf_add(&got, p, n);
		}
		assert_int_equal(got.n, tar.n);
		if (piece == tar.n)
			buf_add(&whole, got.p, got.n);
		assert_memory_equal(got.p, whole.p, whole.n);
		assert_memory_not_equal(got.p, tar.p, tar.n);
	}
}

static void attributes_of_users_are_there_and_those_of_the_store_are_not(void **state)
{
	static const char *const refused[] = {"user.kiln.owner", "user.overlay.opaque",
					      "trusted.overlay.opaque"};
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_close_ int fd = -1, file = -1, sub = -1;
	struct index *index;
	char value[8] = "";

	(void)state;
	tar_pax(&tar, "SCHILY.xattr.user.foo", "bar", 3);
	TAR_ADD(&tar, .name = "f", .type = '0', .data = "1", .mode = 0444);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		_cleanup_free_ char *name = xasprintf("SCHILY.xattr.%s", refused[i]);

		tar_pax(&tar, name, "y", 1);
		TAR_ADD(&tar, .name = "d", .type = '5', .mode = 0755);
	}
	tar_pax(&tar, "SCHILY.xattr.user.foo", "bar", 3);
	TAR_ADD(&tar, .name = "d", .type = '5', .mode = 0755);
	tar_end(&tar);
	index = unpack_good(&tar, &fd);
	file = openat(fd, "f", O_RDONLY | O_CLOEXEC);
	sub = openat(fd, "d", O_RDONLY | O_CLOEXEC);
	/* Not every file system that a store may be on has them. */
	if (fsetxattr(file, "user.probe", "", 0, 0) == 0) {
		assert_int_equal(fgetxattr(file, "user.foo", value, sizeof(value)), 3);
		assert_memory_equal(value, "bar", 3);
		assert_int_equal(fgetxattr(sub, "user.foo", value, sizeof(value)), 3);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_true(fgetxattr(sub, refused[i], value, sizeof(value)) < 0);
	index_unref(index);
}

/* As link(2), chown(2), chmod(2) and utimes(2) one after the other leave it: containerd's way. */
static void the_names_of_a_file_share_what_the_last_link_says(void **state)
{
	static const uint8_t caps[20] = {1, 0, 0, 2, 0xff};
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct index *index;
	struct entry e;
	struct stat st;

	(void)state;
	tar_pax(&tar, "SCHILY.xattr.security.capability", caps, sizeof(caps));
	TAR_ADD(&tar, .name = "f", .type = '0', .data = "1", .mode = 0755, .mtime = 5);
	TAR_ADD(&tar, .name = "h", .type = '1', .link = "f", .mode = 04711, .mtime = 6, .uid = 7);
	TAR_ADD(&tar, .name = "k", .type = '0', .data = "1", .mode = 0640, .uid = 9);
	tar_pax(&tar, "SCHILY.xattr.security.capability", caps, sizeof(caps));
	TAR_ADD(&tar, .name = "a", .type = '1', .link = "k", .mode = 0600, .mtime = 8);
	TAR_ADD(&tar, .name = "s", .type = '2', .link = "f", .mtime = 5);
	TAR_ADD(&tar, .name = "s2", .type = '1', .link = "s", .mtime = 6, .uid = 3);
	tar_end(&tar);
	index = unpack_good(&tar, &fd);
	assert_true(find(index, "f", &e));
	assert_int_equal(e.mode, 04711);
	assert_int_equal(e.uid, 7);
	assert_int_equal(e.mtime, 6);
	assert_int_equal(e.capability_size, 0);
	assert_int_equal(fstatat(fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 04711);
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(st.st_mtime, 6);
	assert_true(find(index, "a", &e));
	assert_int_equal(e.mode, 0600);
	assert_int_equal(e.uid, 0);
	assert_int_equal(e.capability_size, 20);
	assert_int_equal(fstatat(fd, "k", &st, 0), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	for (int i = 0; i < 2; i++) {
		assert_true(find(index, i ? "s2" : "s", &e));
		assert_int_equal(e.type, ENTRY_SYMLINK);
		assert_int_equal(e.uid, 3);
		assert_int_equal(e.mtime, 6);
	}
	index_unref(index);
}

static void capabilities_are_kept_as_v2_and_other_xattrs_dropped(void **state)
{
	static const uint8_t v3[24] = {1, 0, 0, 3, 0xff, [20] = 0xe8, [21] = 3};
	static const uint8_t expect[20] = {1, 0, 0, 2, 0xff};
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct index *index;
	struct entry e;

	(void)state;
	tar_pax(&tar, "SCHILY.xattr.security.capability", v3, sizeof(v3));
	TAR_ADD(&tar, .name = "ping", .type = '0', .data = "x", .mode = 0755);
	tar_pax(&tar, "SCHILY.xattr.trusted.overlay.opaque", "y", 1);
	TAR_ADD(&tar, .name = "d", .type = '5', .mode = 0755);
	tar_end(&tar);
	index = unpack_good(&tar, &fd);
	assert_true(find(index, "ping", &e));
	assert_int_equal(e.capability_size, 20);
	assert_memory_equal(e.capability, expect, 20);
	assert_true(find(index, "d", &e));
	assert_false(e.opaque);
	index_unref(index);
}

static void damaged_tars_are_refused(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT, noise = BUF_INIT;

	(void)state;
	TAR_ADD(&tar, .name = "f", .type = '0', .data = "0123456789");
	buf_truncate(&tar, 512 + 5);
	expect_refused(&tar, ERR_CORRUPT, "damaged");
	for (int i = 0; i < 2048; i++)
		buf_addc(&noise, (char)(i * 7 + 1));
	expect_refused(&noise, ERR_CORRUPT, "damaged");
}

static void a_bomb_is_refused_by_its_ratio(void **state)
{
	/* A sparse file of 8 GiB in a few hundred bytes, as GNU tar writes it (PAX 0.1). */
	_cleanup_buf_ struct buf tar = BUF_INIT;
	static const char size[] = "8589934592", map[] = "0,1";

	(void)state;
	{
		_cleanup_buf_ struct buf rec = BUF_INIT;

		buf_adds(&rec, "22 GNU.sparse.major=0\n22 GNU.sparse.minor=1\n");
		buf_addf(&rec, "%zu GNU.sparse.size=%s\n", strlen(size) + 20, size);
		buf_addf(&rec, "25 GNU.sparse.numblocks=1\n");
		buf_addf(&rec, "%zu GNU.sparse.map=%s\n", strlen(map) + 19, map);
		TAR_ADD(&tar, .name = "pax", .type = 'x', .data = rec.p, .size = rec.n);
	}
	TAR_ADD(&tar, .name = "bomb", .type = '0', .data = "x");
	tar_end(&tar);
	expect_refused(&tar, ERR_INVALID, "bomb");
}

static int setup(void **state)
{
	_cleanup_(error_freep) struct error *err = NULL;

	(void)state;
	assert_non_null(mkdtemp(root));
	if (store_open(root, &store, &err) < 0)
		fail_msg("%s", error_text(err));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(store);
	return fs_remove_tree(AT_FDCWD, root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_keep_their_bytes_owner_mode_and_time),
		cmocka_unit_test(names_are_bytes_that_nobody_changes),
		cmocka_unit_test(names_that_lead_out_are_refused),
		cmocka_unit_test(names_below_a_symlink_stay_inside_the_layer),
		cmocka_unit_test(whiteouts_hide_lower_layers_only),
		cmocka_unit_test(whiteouts_of_nothing_are_refused),
		cmocka_unit_test(of_several_entries_of_one_name_the_last_counts),
		cmocka_unit_test(hard_links_name_earlier_files_of_the_layer),
		cmocka_unit_test(a_name_that_ends_with_a_slash_keeps_its_type),
		cmocka_unit_test(what_is_no_file_has_no_bytes),
		cmocka_unit_test(headers_may_come_in_pieces),
		cmocka_unit_test(a_directory_that_comes_again_has_its_last_owner),
		cmocka_unit_test(a_file_that_comes_again_leaves_its_links_alone),
		cmocka_unit_test(attributes_of_users_are_there_and_those_of_the_store_are_not),
		cmocka_unit_test(the_names_of_a_file_share_what_the_last_link_says),
		cmocka_unit_test(capabilities_are_kept_as_v2_and_other_xattrs_dropped),
		cmocka_unit_test(damaged_tars_are_refused),
		cmocka_unit_test(a_bomb_is_refused_by_its_ratio),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
