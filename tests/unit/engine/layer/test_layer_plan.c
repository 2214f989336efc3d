/* SPDX-License-Identifier: Apache-2.0 */
/* A layer made as a blob is the layer made as a dir: the same tar, and the same files once it is
 * unpacked. And each source is read once, whatever happens to it meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "engine/layer/layer_bytes.h"
#include "engine/layer/layer_edit.h"
#include "engine/layer/layer_tar.h"
#include "engine/registry/pull.h"
#include "store/blob.h"
#include "tests/unit/engine/layer_fixture.h"

enum { FILES = 5, NOW = 5000, ROUNDS = 40, EDITS = 60 };

/* --- A tree of a few files --- */

struct fake {
	struct tree base;
	int fds[FILES];
	atomic_uint opened[FILES];
	atomic_uint changes; /* how often `still` says no */
};

static const char *const names[FILES] = {"0", "1", "2", "3", "4"};
/* Small, empty, larger than what is read whole, larger than what is handed on at once. */
static const size_t sizes[FILES] = {5, 0, 4096, (256 << 10) + 1, (2 << 20) + 77};

static int fake_open(struct tree *t, const struct entry *e, struct error **err)
{
	struct fake *f = (struct fake *)t;
	int i = *e->path - '0';
	_cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", f->fds[i]);

	(void)err;
	f->opened[i]++;
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool fake_still(struct tree *t, const struct entry *e, int fd, const struct digest *content)
{
	struct fake *f = (struct fake *)t;

	(void)e;
	(void)fd;
	(void)content;
	if (f->changes == 0)
		return true;
	f->changes--;
	return false;
}

static void fake_free(struct tree *t)
{
	struct fake *f = (struct fake *)t;

	for (size_t i = 0; i < FILES; i++)
		close(f->fds[i]);
	free(f);
}

static const struct tree_ops fake_ops = {.open = fake_open, .still = fake_still, .free = fake_free};

static struct fake *fake_new(void)
{
	struct fake *f = NEW(struct fake);

	f->base = (struct tree){.ops = &fake_ops, .refs = 1};
	for (size_t i = 0; i < FILES; i++) {
		_cleanup_free_ char *bytes = xmalloc(sizes[i] + 1);

		for (size_t k = 0; k < sizes[i]; k++)
			bytes[k] = (char)(k * 7 + k / 1000 + i);
		f->fds[i] = memfd_create("source", MFD_CLOEXEC);
		assert_true(f->fds[i] >= 0);
		assert_int_equal(fs_write_full(f->fds[i], bytes, sizes[i]), 0);
	}
	return f;
}

/* --- Random changes --- */

struct dice {
	uint64_t state;
};

static unsigned roll(struct dice *d, unsigned n)
{
	d->state = d->state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(d->state >> 33) % n;
}

static char *random_path(struct dice *d)
{
	static const char *const parts[] = {"a", "b", "b-c", "dir", "\xc3\xa9", "\xff\n"};
	unsigned depth = 1 + roll(d, 3);
	char *path = xstrdup(parts[roll(d, ARRAY_SIZE(parts))]);

	while (--depth > 0) {
		char *longer = xasprintf("%s/%s", path, parts[roll(d, ARRAY_SIZE(parts))]);

		free(path);
		path = longer;
	}
	return path;
}

static void make_way(struct layer_edit *e, const char *path, bool for_dir)
{
	const struct layer_owner owner = {.mode = 0755, .mtime = 77};
	_cleanup_free_ char *parent = xstrdup(path);
	char *slash = strrchr(parent, '/');
	struct entry have;

	for (char *p = strchr(parent, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (layer_edit_get(e, parent, &have) && have.type != ENTRY_DIR)
			(void)!layer_edit_remove(e, parent, false, NULL);
		*p = '/';
	}
	if (slash) {
		*slash = '\0';
		assert_int_equal(layer_edit_mkdir_all(e, parent, &owner, NULL), 0);
	}
	if (layer_edit_get(e, path, &have) && (have.type != ENTRY_DIR || !for_dir))
		(void)!layer_edit_remove(e, path, false, NULL);
}

static void add_file(struct layer_edit *e, struct fake *fake, struct dice *d, const char *path)
{
	unsigned i = roll(d, 20) == 0 ? 3 + roll(d, 2) : roll(d, 3);
	struct entry file = {.path = path,
			     .type = ENTRY_FILE,
			     .mode = roll(d, 2) ? 0644 : 04755,
			     .uid = roll(d, 2) * 1000,
			     .size = sizes[i],
			     .mtime = 100 + roll(d, 2)};

	make_way(e, path, false);
	if (roll(d, 4) == 0) {
		file.capability_size = 20;
		memcpy(file.capability, "\1\0\0\2", 4);
	}
	if (roll(d, 2)) {
		assert_int_equal(layer_edit_file(e, &file, &fake->base, names[i], true, NULL), 0);
		return;
	}
	assert_int_equal(layer_edit_spool(e, &file, true, NULL), 0);
	assert_int_equal(layer_plan_write(layer_edit_plan(e), "spooled", roll(d, 7), NULL), 0);
	layer_plan_spool_end(layer_edit_plan(e));
}

static void add_other(struct layer_edit *e, struct dice *d, const char *path)
{
	static const enum entry_type types[] = {ENTRY_SYMLINK, ENTRY_CHAR, ENTRY_FIFO, ENTRY_DIR};
	struct entry other = {.path = path,
			      .type = types[roll(d, ARRAY_SIZE(types))],
			      .mode = 0700 + roll(d, 2),
			      .mtime = roll(d, 3),
			      .dev_major = 1,
			      .dev_minor = 3,
			      .link = "b"};

	if (other.type == ENTRY_SYMLINK)
		other.mode = 0777;
	else
		other.link = NULL;
	if (other.type != ENTRY_CHAR)
		other.dev_major = other.dev_minor = 0;
	make_way(e, path, other.type == ENTRY_DIR);
	assert_int_equal(layer_edit_put(e, &other, true, NULL), 0);
}

static void change(struct layer_edit *e, struct fake *fake, struct dice *d)
{
	_cleanup_free_ char *path = random_path(d), *target = random_path(d);
	struct entry have;

	switch (roll(d, 6)) {
	case 0:
		(void)!layer_edit_remove(e, path, false, NULL);
		return;
	case 1:
		if (!layer_edit_get(e, target, &have) || have.type != ENTRY_FILE)
			return;
		make_way(e, path, false);
		if (layer_edit_get(e, target, &have) && have.type == ENTRY_FILE)
			assert_int_equal(layer_edit_link(e, path, target, true, NULL), 0);
		return;
	case 2:
	case 3:
		add_other(e, d, path);
		return;
	default:
		add_file(e, fake, d, path);
		return;
	}
}

/* The same changes for the same seed. */
static struct layer_edit *edit(struct fixture *f, const struct rootfs *below, struct fake *fake,
			       uint64_t seed)
{
	struct layer_edit *e = layer_edit_open(f->s, below, NOW, NULL);
	struct dice d = {.state = seed};

	for (unsigned i = 0; i < EDITS; i++)
		change(e, fake, &d);
	return e;
}

static int64_t as_dir(struct layer_edit *e, const struct rootfs *below)
{
	struct error *err = NULL;
	int64_t id = 0;

	if (layer_plan_make_dir(layer_edit_plan(e), below, NULL, &id, &err) < 0)
		fail_msg("%s", error_text(err));
	layer_edit_free(e);
	return id;
}

static int64_t as_blob(struct layer_edit *e, const struct rootfs *below, enum compression type)
{
	const struct compress_options c = {.type = type, .level = COMPRESS_LEVEL_DEFAULT};
	struct error *err = NULL;
	int64_t id = 0;

	if (layer_plan_make_blob(layer_edit_plan(e), below, &c, NULL, &id, &err) < 0)
		fail_msg("%s", error_text(err));
	layer_edit_free(e);
	return id;
}

static int to_buf(void *data, const void *p, size_t n, struct error **err)
{
	(void)err;
	buf_add(data, p, n);
	return 0;
}

/* The tar of the topmost of two layers (below = 0: of one). */
static void tar_of(struct fixture *f, int64_t below, int64_t id, const int64_t *clamp,
		   struct buf *ret)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	const int64_t layers[] = {below, id};
	const struct layer_chain chain = {f->s, below ? layers : layers + 1, below ? 2 : 1, 0};
	struct error *err = NULL;

	assert_int_equal(layer_get(f->s, id, &info, NULL), 0);
	if (layer_bytes_made(&chain, &info, clamp, NULL, to_buf, ret, &err) < 0)
		fail_msg("%s", error_text(err));
}

static void assert_same_tar(struct fixture *f, int64_t below, int64_t a, int64_t b,
			    const int64_t *clamp)
{
	_cleanup_buf_ struct buf x = BUF_INIT, y = BUF_INIT;

	tar_of(f, below, a, clamp, &x);
	tar_of(f, below, b, clamp, &y);
	assert_int_equal(x.n, y.n);
	assert_memory_equal(x.p, y.p, x.n);
}

/* Said to be the same in every respect, but for times of directories. */
static void assert_same_index(struct fixture *f, int64_t a, int64_t b)
{
	_cleanup_(layer_info_release) struct layer_info x = {0}, y = {0};

	assert_int_equal(layer_get(f->s, a, &x, NULL), 0);
	assert_int_equal(layer_get(f->s, b, &y, NULL), 0);
	assert_true(x.is_exact && y.is_exact);
	assert_memory_equal(x.tree_digest.b, y.tree_digest.b, DIGEST_SIZE);
}

static int digest_node(void *data, const struct rootfs_node *node, struct error **err)
{
	struct buf *out = data;
	const struct entry *e = &node->entry;
	char text[DIGEST_TEXT];

	(void)err;
	buf_addf(out, "%d %s %o %u %lld %llu %s %s %d\n", (int)e->type, e->path, e->mode, e->uid,
		 e->type == ENTRY_DIR ? 0 : (long long)e->mtime, (unsigned long long)e->size,
		 e->link && e->type == ENTRY_SYMLINK ? e->link : "",
		 digest_format(&e->content, text), (int)e->capability_size);
	return 0;
}

static char *merged(struct fixture *f, int64_t below, int64_t id)
{
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	const int64_t layers[] = {below, id};
	struct buf out = BUF_INIT;

	assert_int_equal(rootfs_open(f->s, layers, 2, &rootfs, NULL), 0);
	assert_int_equal(rootfs_walk(rootfs, "", digest_node, &out, NULL), 0);
	return buf_take(&out);
}

static void a_blob_is_the_tar_that_the_dir_would_give(void **state)
{
	static const enum compression types[] = {COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_ZSTD};
	const int64_t clamp = 50;
	struct fixture *f = *state;

	for (unsigned i = 0; i < ROUNDS; i++) {
		_cleanup_(rootfs_freep) struct rootfs *empty = NULL, *below = NULL;
		_cleanup_free_ char *one = NULL, *other = NULL;
		struct fake *fake = fake_new();
		struct error *err = NULL;
		int64_t base, dir, blob;
		bool whole;

		assert_int_equal(rootfs_open(f->s, NULL, 0, &empty, NULL), 0);
		base = as_dir(edit(f, empty, fake, i), empty);
		assert_int_equal(rootfs_open(f->s, &base, 1, &below, NULL), 0);
		dir = as_dir(edit(f, below, fake, 1000 + i), below);
		blob = as_blob(edit(f, below, fake, 1000 + i), below, types[i % 3]);
		assert_same_tar(f, base, dir, blob, NULL);
		assert_same_tar(f, base, dir, blob, &clamp);
		/* Whatever it is put on. */
		assert_same_tar(f, 0, dir, blob, NULL);
		assert_same_index(f, dir, blob);
		one = merged(f, base, dir);
		other = merged(f, base, blob);
		assert_string_equal(one, other);
		/* Unpacked, it is what its index says. */
		if (layers_require(f->s, NULL, NULL, &blob, 1, &err) < 0)
			fail_msg("%s", error_text(err));
		assert_int_equal(layer_recheck(f->s, blob, &whole, NULL), 0);
		assert_true(whole);
		tree_unref(&fake->base);
	}
}

/* --- Reading --- */

static struct layer_edit *all_files(struct fixture *f, const struct rootfs *below,
				    struct fake *fake, bool known)
{
	struct layer_edit *e = layer_edit_open(f->s, below, NOW, NULL);

	for (size_t i = 0; i < FILES; i++) {
		struct entry file = {
			.path = names[i], .type = ENTRY_FILE, .mode = 0644, .size = sizes[i]};
		_cleanup_buf_ struct buf b = BUF_INIT;

		assert_int_equal(lseek(fake->fds[i], 0, SEEK_SET), 0);
		assert_int_equal(fs_read_fd(fake->fds[i], &b), 0);
		if (known)
			file.content = digest_of(b.p, b.n);
		assert_int_equal(layer_edit_file(e, &file, &fake->base, names[i], true, NULL), 0);
	}
	return e;
}

static void assert_contents(struct fixture *f, int64_t id, struct fake *fake)
{
	struct index *index = NULL;

	assert_int_equal(layer_index(f->s, id, &index, NULL), 0);
	for (size_t i = 0; i < FILES; i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		struct digest d;
		struct entry e;

		assert_int_equal(lseek(fake->fds[i], 0, SEEK_SET), 0);
		assert_int_equal(fs_read_fd(fake->fds[i], &b), 0);
		d = digest_of(b.p, b.n);
		index_entry(index, i, &e);
		assert_int_equal(e.size, b.n);
		assert_true(digest_equal(&d, &e.content));
	}
	index_unref(index);
}

static void each_file_is_read_once(void **state)
{
	struct fixture *f = *state;

	for (unsigned known = 0; known < 2; known++) {
		_cleanup_(rootfs_freep) struct rootfs *below = NULL;
		struct fake *fake = fake_new();
		int64_t id;

		assert_int_equal(rootfs_open(f->s, NULL, 0, &below, NULL), 0);
		id = as_blob(all_files(f, below, fake, known), below, COMPRESS_NONE);
		for (size_t i = 0; i < FILES; i++)
			assert_int_equal(fake->opened[i], 1);
		assert_contents(f, id, fake);
		tree_unref(&fake->base);
	}
}

static void what_changes_while_it_is_read_is_read_again(void **state)
{
	struct fixture *f = *state;

	for (unsigned changes = 1; changes <= 2; changes++) {
		_cleanup_(rootfs_freep) struct rootfs *below = NULL;
		struct fake *fake = fake_new();
		int64_t id;

		assert_int_equal(rootfs_open(f->s, NULL, 0, &below, NULL), 0);
		fake->changes = changes;
		id = as_blob(all_files(f, below, fake, true), below, COMPRESS_GZIP);
		assert_int_equal(fake->changes, 0);
		assert_contents(f, id, fake);
		tree_unref(&fake->base);
	}
}

/* It was scanned at another size than it has now. */
static void a_file_is_taken_as_it_is_and_not_as_it_was(void **state)
{
	static const size_t now[FILES] = {9, 70000, 1 << 20, 10, 1 << 20};
	_cleanup_(rootfs_freep) struct rootfs *below = NULL;
	struct fixture *f = *state;
	struct fake *fake = fake_new();
	struct layer_edit *e, *other;

	assert_int_equal(rootfs_open(f->s, NULL, 0, &below, NULL), 0);
	e = all_files(f, below, fake, true);
	other = all_files(f, below, fake, true);
	for (size_t i = 0; i < FILES; i++)
		assert_int_equal(ftruncate(fake->fds[i], (off_t)now[i]), 0);
	/* Two large ones changed, each of which makes it start over. */
	assert_contents(f, as_blob(e, below, COMPRESS_NONE), fake);
	assert_contents(f, as_dir(other, below), fake);
	tree_unref(&fake->base);
}

static const struct tree_ops fixed_ops = {.open = fake_open, .free = fake_free};

static void a_file_of_a_layer_that_is_cut_short_is_damage(void **state)
{
	const struct compress_options c = {.type = COMPRESS_NONE, .level = COMPRESS_LEVEL_DEFAULT};
	_cleanup_(rootfs_freep) struct rootfs *below = NULL;
	struct fixture *f = *state;

	assert_int_equal(rootfs_open(f->s, NULL, 0, &below, NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		struct fake *fake = fake_new();
		struct layer_edit *e = all_files(f, below, fake, true);
		bool blob = i % 2;
		struct error *err = NULL;
		int64_t id;
		int r;

		fake->base.ops = &fixed_ops;
		/* A small one, and a large one. */
		assert_int_equal(ftruncate(fake->fds[i < 2 ? 2 : 4], 100), 0);
		r = blob ? layer_plan_make_blob(layer_edit_plan(e), below, &c, NULL, &id, &err)
			 : layer_plan_make_dir(layer_edit_plan(e), NULL, NULL, &id, &err);
		assert_int_equal(r, -ERR_CORRUPT);
		assert_non_null(strstr(error_text(err), i < 2 ? "copy '/2'" : "copy '/4'"));
		error_free(err);
		layer_edit_free(e);
		tree_unref(&fake->base);
	}
}

static void a_file_that_never_rests_is_named(void **state)
{
	const struct compress_options c = {.type = COMPRESS_NONE, .level = COMPRESS_LEVEL_DEFAULT};
	_cleanup_(rootfs_freep) struct rootfs *below = NULL;
	struct fixture *f = *state;

	assert_int_equal(rootfs_open(f->s, NULL, 0, &below, NULL), 0);
	for (unsigned blob = 0; blob < 2; blob++) {
		struct fake *fake = fake_new();
		struct layer_edit *e = all_files(f, below, fake, true);
		struct error *err = NULL;
		int64_t id;
		int r;

		fake->changes = 1000;
		r = blob ? layer_plan_make_blob(layer_edit_plan(e), below, &c, NULL, &id, &err)
			 : layer_plan_make_dir(layer_edit_plan(e), NULL, NULL, &id, &err);
		assert_int_equal(r, -ERR_BUSY);
		assert_non_null(strstr(error_text(err), "keeps changing while it is read"));
		error_free(err);
		layer_edit_free(e);
		tree_unref(&fake->base);
	}
}

static void canceling_leaves_nothing(void **state)
{
	const struct compress_options c = {.type = COMPRESS_GZIP, .level = COMPRESS_LEVEL_DEFAULT};
	_cleanup_(rootfs_freep) struct rootfs *below = NULL;
	struct fixture *f = *state;
	struct fake *fake = fake_new();
	struct layer_edit *e;
	struct cancel cancel;
	int64_t id;

	assert_int_equal(rootfs_open(f->s, NULL, 0, &below, NULL), 0);
	e = all_files(f, below, fake, false);
	cancel_init(&cancel);
	cancel_set(&cancel);
	assert_int_equal(layer_plan_make_blob(layer_edit_plan(e), below, &c, &cancel, &id, NULL),
			 -ERR_CANCELED);
	cancel_release(&cancel);
	layer_edit_free(e);
	tree_unref(&fake->base);
	assert_int_equal(layer_get(f->s, 1, &(struct layer_info){0}, NULL), -ERR_NOTFOUND);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_blob_is_the_tar_that_the_dir_would_give),
		T(each_file_is_read_once),
		T(what_changes_while_it_is_read_is_read_again),
		T(a_file_is_taken_as_it_is_and_not_as_it_was),
		T(a_file_of_a_layer_that_is_cut_short_is_damage),
		T(a_file_that_never_rests_is_named),
		T(canceling_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
