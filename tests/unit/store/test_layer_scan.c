/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "store/index.h"
#include "store/rootfs.h"

static size_t count_of(struct store *s, int64_t id)
{
	_cleanup_(index_unrefp) struct index *i = NULL;

	assert_int_equal(layer_index(s, id, &i, NULL), 0);
	return index_count(i);
}

static struct entry entry_of(struct store *s, int64_t id, const char *path, bool *ret_found)
{
	_cleanup_(index_unrefp) struct index *i = NULL;
	struct error *err = NULL;
	struct entry e = {0};
	int64_t n;

	assert_ok(layer_index(s, id, &i, &err), err);
	n = index_find(i, path);
	*ret_found = n >= 0;
	if (n >= 0)
		index_entry(i, (size_t)n, &e);
	return e;
}

static void write_at(int dirfd, const char *path, const char *text)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void a_scan_turns_an_upper_directory_into_entries(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	_cleanup_free_ char *upper = layer_writer_upper(w), *work = layer_writer_work(w);
	_cleanup_free_ char *opaque = xasprintf("%sopaque", store_overlay_prefix(f->s));
	_cleanup_free_ char *impure = xasprintf("%simpure", store_overlay_prefix(f->s));
	_cleanup_free_ char *dir = xasprintf("%s/dir", upper);
	_cleanup_close_ int fd = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct error *err = NULL;
	struct stat st;
	struct entry e;
	struct digest want = digest_of("hello", 5);
	bool found;
	int64_t id;

	assert_int_equal(access(work, F_OK), 0);
	assert_int_equal(mkdirat(fd, "dir", 0755), 0);
	write_at(fd, "dir/b", "hello");
	assert_int_equal(linkat(fd, "dir/b", fd, "dir/a", 0), 0);
	assert_int_equal(symlinkat("/etc", fd, "link"), 0);
	assert_int_equal(mknodat(fd, "gone", S_IFCHR | 0600, 0), 0);
	assert_int_equal(setxattr(dir, opaque, "y", 1, 0), 0);
	assert_int_equal(setxattr(dir, impure, "y", 1, 0), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", upper);
	assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);

	assert_ok(layer_writer_scan(w, NULL, NULL, &err), err);
	id = fixture_commit(w);
	assert_int_equal(count_of(f->s, id), 5);
	e = entry_of(f->s, id, "dir", &found);
	assert_true(found && e.type == ENTRY_DIR && e.opaque);
	e = entry_of(f->s, id, "dir/a", &found);
	assert_true(found && e.type == ENTRY_FILE && e.size == 5);
	assert_true(digest_equal(&e.content, &want));
	e = entry_of(f->s, id, "dir/b", &found);
	assert_true(found && e.type == ENTRY_HARDLINK);
	assert_string_equal(e.link, "dir/a");
	e = entry_of(f->s, id, "link", &found);
	assert_string_equal(e.link, "/etc");
	e = entry_of(f->s, id, "gone", &found);
	assert_true(found && e.type == ENTRY_WHITEOUT);
	(void)entry_of(f->s, id, "s", &found);
	assert_false(found);

	free(dir);
	dir = layer_dir_path(f->s, id);
	free(upper);
	upper = xasprintf("%s/dir", dir);
	assert_int_equal(stat(upper, &st), 0);
	assert_int_equal(st.st_mtim.tv_nsec, 0);
	assert_true(getxattr(upper, impure, NULL, 0) < 0);
	assert_int_equal(getxattr(upper, opaque, NULL, 0), 1);
}

static void an_upper_with_a_redirect_is_refused(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	_cleanup_free_ char *upper = layer_writer_upper(w);
	_cleanup_free_ char *name = xasprintf("%sredirect", store_overlay_prefix(f->s));
	_cleanup_free_ char *dir = xasprintf("%s/dir", upper);
	_cleanup_(error_freep) struct error *err = NULL;

	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(setxattr(dir, name, "/x", 2, 0), 0);
	assert_int_equal(layer_writer_scan(w, NULL, NULL, &err), -ERR_CORRUPT);
	assert_non_null(strstr(error_text(err), "redirect"));
	layer_writer_free(w);
}

/* Runs fn in a child with a private mount namespace, where it may mount. */
static int in_mount_namespace(int (*fn)(const char *options, const char *target),
			      const char *options, const char *target)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(77);
		_exit(fn(options, target));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int change_the_mount(const char *options, const char *target)
{
	if (mount("overlay", target, "overlay", 0, options) < 0)
		return 77;
	if (chdir(target) < 0 || unlink("etc/passwd") < 0 || unlink("var/x") < 0 ||
	    rmdir("var") < 0 || mkdir("var", 0700) < 0)
		return 1;
	write_at(AT_FDCWD, "etc/new", "new");
	if (chmod("etc/kept", 0600) < 0 || rename("etc/kept", "kept") < 0)
		return 2;
	return 0;
}

/* Returns false where overlayfs cannot be mounted. */
static bool change_and_scan(struct fixture *f, int64_t *ret_id)
{
	struct layer_writer *w = fixture_writer(f->s);
	_cleanup_free_ char *upper = NULL, *work = NULL, *lower = NULL, *options = NULL;
	_cleanup_free_ char *target = xasprintf("%s/mnt", f->dir);
	struct error *err = NULL;
	int64_t base;
	int status;

	fixture_file(w, "etc/passwd", "root");
	fixture_file(w, "etc/kept", "kept");
	fixture_file(w, "var/x", "x");
	base = fixture_commit(w);
	w = fixture_writer(f->s);
	upper = layer_writer_upper(w);
	work = layer_writer_work(w);
	lower = layer_dir_path(f->s, base);
	options =
		xasprintf("lowerdir=%s,upperdir=%s,workdir=%s%s", lower, upper, work,
			  store_overlay_prefix(f->s)[0] == 'u' ? ",userxattr"
							       : ",redirect_dir=off,metacopy=off");
	assert_int_equal(mkdir(target, 0755), 0);
	status = in_mount_namespace(change_the_mount, options, target);
	if (status == 77) {
		layer_writer_free(w);
		return false;
	}
	assert_int_equal(status, 0);
	assert_ok(layer_writer_scan(w, NULL, NULL, &err), err);
	*ret_id = fixture_commit(w);
	return true;
}

static void a_real_overlay_mount_reads_back(void **state)
{
	struct fixture *f = *state;
	struct entry e;
	int64_t id = 0;
	bool found;

	if (!change_and_scan(f, &id)) {
		print_message("no overlay mounts here\n");
		skip();
	}
	e = entry_of(f->s, id, "etc/passwd", &found);
	assert_true(found && e.type == ENTRY_WHITEOUT);
	e = entry_of(f->s, id, "etc/kept", &found);
	assert_true(found && e.type == ENTRY_WHITEOUT);
	e = entry_of(f->s, id, "kept", &found);
	assert_true(found && e.type == ENTRY_FILE && e.mode == 0600 && e.size == 4);
	e = entry_of(f->s, id, "var", &found);
	assert_true(found && e.type == ENTRY_DIR && e.opaque && e.mode == 0700);
	e = entry_of(f->s, id, "etc/new", &found);
	assert_true(found && e.size == 3);
	(void)entry_of(f->s, id, "", &found);
	assert_false(found);
}

/* Paths of a layer, each with its type's number and, if it is opaque, a mark. */
static char *list_of(struct store *s, int64_t id)
{
	_cleanup_(index_unrefp) struct index *i = NULL;
	struct buf out = BUF_INIT;

	assert_int_equal(layer_index(s, id, &i, NULL), 0);
	for (size_t n = 0; n < index_count(i); n++) {
		struct entry e;

		index_entry(i, n, &e);
		buf_addf(&out, "%d%s %s\n", (int)e.type, e.opaque ? "o" : "", e.path);
	}
	return buf_take(&out);
}

static void settling_leaves_what_a_tar_of_the_layer_holds(void **state)
{
	struct fixture *f = *state;
	struct layer_writer *w = fixture_writer(f->s);
	struct entry again = fixture_entry("again", ENTRY_DIR, 0755);
	_cleanup_(rootfs_freep) struct rootfs *below = NULL;
	_cleanup_free_ char *list = NULL;
	struct error *err = NULL;
	int64_t base, id;
	bool whole;

	fixture_put(w, "again", ENTRY_DIR, NULL);
	fixture_file(w, "again/gone", "1");
	fixture_file(w, "again/same", "2");
	fixture_put(w, "same", ENTRY_DIR, NULL);
	fixture_file(w, "same/file", "3");
	fixture_file(w, "target", "4");
	fixture_file(w, "was-file", "5");
	base = fixture_commit(w);
	assert_ok(rootfs_open(f->s, &base, 1, &below, &err), err);

	w = fixture_writer(f->s);
	again.opaque = true;
	assert_ok(layer_writer_put(w, &again, &err), err);
	fixture_file(w, "again/new", "6");
	fixture_file(w, "again/same", "2");
	fixture_put(w, "never-was", ENTRY_WHITEOUT, NULL);
	fixture_put(w, "same", ENTRY_DIR, NULL);
	fixture_file(w, "same/file", "3");
	fixture_file(w, "target", "4");
	fixture_put(w, "target-too", ENTRY_HARDLINK, "target");
	again.path = "was-file";
	assert_ok(layer_writer_put(w, &again, &err), err);
	assert_ok(layer_writer_settle(w, below, &err), err);
	id = fixture_commit(w);

	list = list_of(f->s, id);
	assert_string_equal(list, "2 again\n8 again/gone\n1 again/new\n1 target-too\n2 was-file\n");
	/* The dir says the same. */
	assert_ok(layer_recheck(f->s, id, &whole, &err), err);
	assert_true(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(a_scan_turns_an_upper_directory_into_entries),
		TEST(an_upper_with_a_redirect_is_refused),
		TEST(a_real_overlay_mount_reads_back),
		TEST(settling_leaves_what_a_tar_of_the_layer_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
