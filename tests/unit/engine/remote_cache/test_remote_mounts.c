/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <sys/stat.h>

#include "cache_dir_fixture.h"
#include "engine/remote_cache/remote_mounts.h"
#include "layer_fixture.h"
#include "store/mounts.h"
#include "tar_build.h"

/* Two machines: the fixture's store fills the cache, `there` reads it. */
struct machines {
	struct fixture *here;
	char there_root[64];
	struct store *there;
	struct remote_backend *to, *from;
	struct remote_manifest manifest;
	struct strv ids;
	struct job *job;
};

static int set_up_both(void **state)
{
	struct machines *m = NEW(struct machines);

	assert_int_equal(set_up((void **)&m->here), 0);
	snprintf(m->there_root, sizeof(m->there_root), "/tmp/kiln-test-XXXXXX");
	assert_non_null(mkdtemp(m->there_root));
	assert_int_equal(store_open(m->there_root, &m->there, NULL), 0);
	m->to = open_cache_dir(m->here->root, m->here->s, REMOTE_EXPORT, "");
	m->from = open_cache_dir(m->here->root, m->there, REMOTE_IMPORT, "");
	strv_push(&m->ids, "tools");
	m->job = job_open(NULL, NULL, "test");
	*state = m;
	return 0;
}

static int tear_down_both(void **state)
{
	struct machines *m = *state;

	(void)job_close(m->job, 0, NULL);
	remote_backend_close(m->to);
	remote_backend_close(m->from);
	remote_manifest_release(&m->manifest);
	strv_release(&m->ids);
	store_close(m->there);
	assert_int_equal(fs_remove_tree(AT_FDCWD, m->there_root), 0);
	assert_int_equal(tear_down((void **)&m->here), 0);
	free(m);
	return 0;
}

/* Path of the directory of mount "tools"; heap. */
static char *mount_dir(struct store *s)
{
	struct mount_use *use = NULL;
	char *path;

	assert_int_equal(mounts_acquire(s, &(struct mount_wish){"tools", 0755, 0, 0, NULL},
					MOUNT_SHARED, NULL, &use, NULL),
			 0);
	path = xstrdup(mounts_path(use));
	mounts_release(use);
	return path;
}

static bool has_mount(struct store *s)
{
	struct mount_info *infos = NULL;
	size_t n = 0;

	assert_int_equal(mounts_list(s, &infos, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		mount_info_release(&infos[i]);
	free(infos);
	return n > 0;
}

static void write_file(const char *dir, const char *name, const char *text, mode_t mode)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {1000, 5}};

	assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, text, strlen(text), mode), 0);
	assert_int_equal(chmod(path, mode), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void expect_file(const char *dir, const char *name, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(fs_read_file(AT_FDCWD, path, &b), 0);
	assert_string_equal(b.p, text);
}

static int save(struct machines *m, struct store *s, const struct remote_manifest *before)
{
	remote_manifest_release(&m->manifest);
	m->manifest = (struct remote_manifest)REMOTE_MANIFEST_INIT;
	return remote_mounts_save(s, m->to, &m->ids, before, m->job, &m->manifest, NULL);
}

static void restore(struct machines *m, const struct strv *only)
{
	struct remote_mounts *mounts = remote_mounts_new(m->there);
	struct mount_wish wish = {.id = "tools", .mode = 0755, .step = "RUN make"};

	remote_mounts_offer(mounts, m->from, &m->manifest, only);
	assert_int_equal(remote_mounts_restore(mounts, &wish, m->job, NULL), 0);
	assert_int_equal(remote_mounts_restore(mounts, &wish, m->job, NULL), 0);
	remote_mounts_free(mounts);
}

static const struct strv any = {0};

static void is_tidy(struct store *s)
{
	_cleanup_free_ char *path = xasprintf("%s/tmp", store_root(s));
	DIR *dir = opendir(path);
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	assert_int_equal(n, 2);
}

static void a_mount_is_the_same_elsewhere(void **state)
{
	struct machines *m = *state;
	_cleanup_free_ char *dir = mount_dir(m->here->s), *sub = xasprintf("%s/sub", dir);
	_cleanup_free_ char *link = xasprintf("%s/link", dir), *hard = xasprintf("%s/hard", sub);
	_cleanup_free_ char *file = xasprintf("%s/file", dir), *got = NULL, *got_hard = NULL;
	_cleanup_free_ char *got_file = NULL, *got_link = NULL;
	struct stat st, other;
	struct digest first;

	assert_int_equal(mkdir(sub, 0700), 0);
	assert_int_equal(chmod(dir, 01777), 0);
	write_file(dir, "file", "text", 04711);
	assert_int_equal(symlink("../../out", link), 0);
	assert_int_equal(linkat(AT_FDCWD, file, AT_FDCWD, hard, 0), 0);
	assert_int_equal(lchown(link, 1000, 1001), 0);
	assert_int_equal(save(m, m->here->s, NULL), 0);
	assert_int_equal(m->manifest.mounts.n, 1);
	first = m->manifest.mounts.v[0].parts.v[0].digest;

	restore(m, &any);
	got = mount_dir(m->there);
	got_file = xasprintf("%s/file", got);
	got_hard = xasprintf("%s/sub/hard", got);
	expect_file(got, "file", "text");
	assert_int_equal(stat(got_file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 04711);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	assert_int_equal(stat(got_hard, &other), 0);
	assert_int_equal(st.st_ino, other.st_ino);
	assert_int_equal(stat(got, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01777);
	got_link = xasprintf("%s/link", got);
	assert_int_equal(lstat(got_link, &st), 0);
	assert_true(S_ISLNK(st.st_mode) && st.st_uid == 1000 && st.st_gid == 1001);
	is_tidy(m->there);

	/* What did not change is the same blob. */
	assert_int_equal(save(m, m->there, NULL), 0);
	assert_true(digest_equal(&first, &m->manifest.mounts.v[0].parts.v[0].digest));
	write_file(got, "file", "other", 0644);
	assert_int_equal(save(m, m->there, NULL), 0);
	assert_false(digest_equal(&first, &m->manifest.mounts.v[0].parts.v[0].digest));
	is_tidy(m->there);
}

/* Files of 1 MiB that nothing compresses. */
static void write_many(const char *dir, unsigned n)
{
	_cleanup_free_ char *bytes = xmalloc(1 << 20);

	for (unsigned i = 0; i < n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%04u", dir, i);
		struct digest d = digest_of(path + strlen(dir), 5);

		for (size_t k = 0; k < 1 << 20; k += DIGEST_SIZE) {
			memcpy(bytes + k, d.b, DIGEST_SIZE);
			d = digest_of(d.b, DIGEST_SIZE);
		}
		assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, bytes, 1 << 20, 0644), 0);
	}
}

/* How many parts of `a` are parts of `b` too. */
static size_t common_parts(const struct remote_mount *a, const struct remote_mount *b)
{
	size_t n = 0;

	for (size_t i = 0; i < a->parts.n; i++)
		for (size_t k = 0; k < b->parts.n; k++)
			n += digest_equal(&a->parts.v[i].digest, &b->parts.v[k].digest);
	return n;
}

static void a_large_mount_is_sent_in_parts_that_stay_the_same(void **state)
{
	struct machines *m = *state;
	_cleanup_free_ char *dir = mount_dir(m->here->s), *got = NULL, *last = NULL;
	struct remote_manifest before;
	size_t n;

	write_many(dir, 150);
	assert_int_equal(save(m, m->here->s, NULL), 0);
	n = m->manifest.mounts.v[0].parts.n;
	assert_in_range(n, 4, 9);
	restore(m, &any);
	got = mount_dir(m->there);
	last = xasprintf("%s/0149", got);
	assert_int_equal(access(last, F_OK), 0);

	/* One file comes, one changes: all but a few parts are those of before. */
	before = m->manifest;
	m->manifest = (struct remote_manifest)REMOTE_MANIFEST_INIT;
	write_file(dir, "0010b", "new", 0644);
	write_file(dir, "0012", "changed", 0644);
	assert_int_equal(save(m, m->here->s, NULL), 0);
	assert_true(common_parts(&before.mounts.v[0], &m->manifest.mounts.v[0]) + 2 >= n);
	assert_true(common_parts(&before.mounts.v[0], &m->manifest.mounts.v[0]) < n);
	remote_manifest_release(&before);
}

static void what_a_mount_has_is_never_overwritten(void **state)
{
	struct machines *m = *state;
	_cleanup_free_ char *dir = mount_dir(m->here->s), *mine = mount_dir(m->there);
	_cleanup_free_ char *file = xasprintf("%s/file", mine);

	write_file(dir, "file", "theirs", 0644);
	assert_int_equal(save(m, m->here->s, NULL), 0);
	write_file(mine, "mine", "mine", 0644);
	restore(m, &any);
	expect_file(mine, "mine", "mine");
	assert_int_not_equal(access(file, F_OK), 0);
}

static void a_mount_in_use_is_left_alone(void **state)
{
	struct machines *m = *state;
	_cleanup_free_ char *dir = mount_dir(m->here->s), *file = NULL;
	struct mount_use *use = NULL;

	write_file(dir, "file", "theirs", 0644);
	assert_int_equal(save(m, m->here->s, NULL), 0);
	assert_int_equal(mounts_acquire(m->there, &(struct mount_wish){"tools", 0755, 0, 0, NULL},
					MOUNT_SHARED, NULL, &use, NULL),
			 0);
	restore(m, &any);
	file = xasprintf("%s/file", mounts_path(use));
	assert_int_not_equal(access(file, F_OK), 0);
	mounts_release(use);
}

static void only_the_mounts_that_were_asked_for_come(void **state)
{
	struct machines *m = *state;
	_cleanup_free_ char *dir = mount_dir(m->here->s);
	_cleanup_strv_ struct strv only = {0};

	write_file(dir, "file", "text", 0644);
	assert_int_equal(save(m, m->here->s, NULL), 0);
	strv_push(&only, "others");
	restore(m, &only);
	assert_false(has_mount(m->there));
	strv_push(&only, "tools");
	restore(m, &only);
	assert_true(has_mount(m->there));
}

static void what_only_lives_here_stays_here(void **state)
{
	struct machines *m = *state;
	_cleanup_free_ char *dir = mount_dir(m->here->s), *got = NULL, *fifo = NULL;
	_cleanup_free_ char *got_fifo = NULL, *got_whiteout = NULL;

	write_file(dir, "file", "text", 0644);
	write_file(dir, ".wh.file", "text", 0644);
	fifo = xasprintf("%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(save(m, m->here->s, NULL), 0);
	restore(m, &any);
	got = mount_dir(m->there);
	expect_file(got, "file", "text");
	got_fifo = xasprintf("%s/fifo", got);
	got_whiteout = xasprintf("%s/.wh.file", got);
	assert_int_not_equal(access(got_fifo, F_OK), 0);
	assert_int_not_equal(access(got_whiteout, F_OK), 0);
}

static void a_mount_that_is_not_here_stays_in_the_cache(void **state)
{
	struct machines *m = *state;
	_cleanup_free_ char *dir = mount_dir(m->here->s);
	struct remote_manifest before = REMOTE_MANIFEST_INIT;

	write_file(dir, "file", "text", 0644);
	assert_int_equal(save(m, m->here->s, NULL), 0);
	before = m->manifest;
	m->manifest = (struct remote_manifest)REMOTE_MANIFEST_INIT;
	assert_int_equal(save(m, m->there, &before), 0);
	assert_int_equal(m->manifest.mounts.n, 1);
	assert_true(digest_equal(&m->manifest.mounts.v[0].parts.v[0].digest,
				 &before.mounts.v[0].parts.v[0].digest));
	assert_int_equal(save(m, m->there, NULL), 0);
	assert_int_equal(m->manifest.mounts.n, 0);
	remote_manifest_release(&before);
}

/* The cache has these bytes as the blob of the mount. */
static void plant(struct machines *m, const void *p, size_t n)
{
	_cleanup_free_ char *path = xasprintf("%s/planted", m->here->root);
	struct remote_upload u = {.digest = digest_of(p, n), .size = n};
	struct layer_blob part = {xstrdup("application/vnd.oci.image.layer.v1.tar"), u.digest, n};
	struct remote_mount mount = {.id = xstrdup("tools")};

	assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, p, n, 0600), 0);
	u.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(m->to->ops->put_blob(m->to, &u, NULL), 0);
	(void)close(u.fd);
	vec_push(&mount.parts, part);
	vec_push(&m->manifest.mounts, mount);
}

static void hostile_and_damaged_blobs_leave_nothing(void **state)
{
	struct machines *m = *state;
	static const struct tar_item hostile[] = {
		{.name = "../out", .type = '0', .data = "text"},
		{.name = "a/../../out", .type = '0', .data = "text"},
		{.name = "ok/../../../out", .type = '0', .data = "text"},
		{.name = "memory", .type = '3', .major = 1, .minor = 1},
		{.name = "disk", .type = '4', .major = 8, .minor = 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		_cleanup_buf_ struct buf tar = BUF_INIT;

		TAR_ADD(&tar, .name = "first", .type = '0', .data = "text");
		tar_item_add(&tar, &hostile[i]);
		tar_end(&tar);
		plant(m, tar.p, tar.n);
		restore(m, &any);
		assert_false(has_mount(m->there));
		is_tidy(m->there);
		remote_manifest_release(&m->manifest);
		m->manifest = (struct remote_manifest)REMOTE_MANIFEST_INIT;
	}
	plant(m, "\x28\xb5\x2f\xfd no zstd at all", 20);
	restore(m, &any);
	assert_false(has_mount(m->there));
	is_tidy(m->there);
}

static void of_two_caches_the_other_one_is_asked(void **state)
{
	struct machines *m = *state;
	struct remote_mounts *mounts = remote_mounts_new(m->there);
	struct mount_wish wish = {.id = "tools", .mode = 0755};
	_cleanup_free_ char *dir = mount_dir(m->here->s), *got = NULL;

	plant(m, "these bytes are gone", 20);
	m->manifest.mounts.v[0].parts.v[0].digest = digest_of("absent", 6);
	remote_mounts_offer(mounts, m->from, &m->manifest, &any);
	write_file(dir, "file", "text", 0644);
	assert_int_equal(save(m, m->here->s, NULL), 0);
	remote_mounts_offer(mounts, m->from, &m->manifest, &any);
	assert_int_equal(remote_mounts_restore(mounts, &wish, m->job, NULL), 0);
	remote_mounts_free(mounts);
	got = mount_dir(m->there);
	expect_file(got, "file", "text");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up_both, tear_down_both)
	const struct CMUnitTest tests[] = {
		T(a_mount_is_the_same_elsewhere),
		T(a_large_mount_is_sent_in_parts_that_stay_the_same),
		T(what_a_mount_has_is_never_overwritten),
		T(a_mount_in_use_is_left_alone),
		T(only_the_mounts_that_were_asked_for_come),
		T(what_only_lives_here_stays_here),
		T(a_mount_that_is_not_here_stays_in_the_cache),
		T(hostile_and_damaged_blobs_leave_nothing),
		T(of_two_caches_the_other_one_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
