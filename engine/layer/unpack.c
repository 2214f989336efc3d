/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layer/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/owner_mark.h"
#include "base/path.h"
#include "engine/layer/tar_rules.h"

enum { CHUNK = 256 << 10, SYMLINKS_MAX = 40 };

static const char whiteout_prefix[] = ".wh.";
static const char whiteout_opaque[] = ".wh..wh..opq";

struct unpack {
	struct layer_writer *w;
	struct inflate *in;
	struct tar_rules *rules; /* reads `in` */
	bool trusted;		 /* no limits */
	struct hasher hash;
	uint64_t tar_bytes;  /* of the tar itself */
	uint64_t file_bytes; /* of files, holes included */
	uint64_t entries;
	char *parent; /* the last directory that resolve found free of symlinks, or NULL */
	int read_r;   /* the reader's failure, with its error */
	struct error *read_err;
};

static int check_size(struct unpack *u, struct error **err)
{
	uint64_t total = u->tar_bytes > u->file_bytes ? u->tar_bytes : u->file_bytes;

	if (u->trusted || total <= UNPACK_FREE_SIZE ||
	    total / UNPACK_RATIO_MAX <= inflate_consumed(u->in))
		return 0;
	return error_new(err, ERR_INVALID, 0,
			 "the layer unpacks to more than %d times its size: refused as a "
			 "decompression bomb",
			 UNPACK_RATIO_MAX);
}

/* --- The tar's bytes for libarchive --- */

/* Every byte of the tar comes through here. */
static int read_tar(void *data, void *p, size_t size, size_t *ret, struct error **err)
{
	struct unpack *u = data;
	int r = inflate_read(u->in, p, size, ret, err);

	if (r < 0)
		return r;
	u->tar_bytes += *ret;
	hasher_add(&u->hash, p, *ret);
	return check_size(u, err);
}

static la_ssize_t on_read(struct archive *a, void *data, const void **ret)
{
	struct unpack *u = data;
	size_t n = 0;

	u->read_r = tar_rules_read(u->rules, ret, &n, &u->read_err);
	if (u->read_r < 0) {
		archive_set_error(a, EIO, "read");
		return -1;
	}
	return (la_ssize_t)n;
}

static int archive_failed(struct unpack *u, struct archive *a, struct error **err)
{
	const char *why = archive_error_string(a);

	if (u->read_r < 0) {
		if (err)
			*err = TAKE_PTR(u->read_err);
		return u->read_r;
	}
	return error_new(err, ERR_CORRUPT, 0, "the layer's tar is damaged: %s",
			 why ? why : "unknown format");
}

/* --- Names --- */

/* The clean form of a name in the tar: no leading slash, no empty or "." component. */
static int clean_name(const char *name, char **ret, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = path_check_length(name, err);

	if (r < 0)
		return r;
	for (const char *p = name; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return error_new(err, ERR_INVALID, 0, "'%s' leads out of the layer", name);
		if (n > 0 && !(n == 1 && p[0] == '.')) {
			if (b.n > 0)
				buf_addc(&b, '/');
			buf_add(&b, p, n);
		}
		p += n + (p[n] == '/');
	}
	*ret = buf_take(&b);
	return 0;
}

/* Puts the components of `link` before those still to be walked. */
static char *splice(const char *link, const char *rest)
{
	return *rest ? xasprintf("%s/%s", link, rest) : xstrdup(link);
}

static void pop_component(struct buf *b)
{
	const char *slash = memrchr(b->p, '/', b->n);

	buf_truncate(b, slash ? (size_t)(slash - b->p) : 0);
}

/* The directory `dir` with symlinks that this layer made resolved inside the root. */
static int resolve_dir(struct unpack *u, const char *dir, char **ret, struct error **err)
{
	_cleanup_buf_ struct buf done = BUF_INIT;
	_cleanup_free_ char *todo = xstrdup(dir);
	const char *p = todo;
	unsigned links = 0;
	int r;

	while (*p) {
		size_t n = strcspn(p, "/"), before = done.n;
		const char *rest = p + n + (p[n] == '/');
		const struct entry *e;
		char *next;

		if (n == 2 && p[0] == '.' && p[1] == '.') {
			pop_component(&done);
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			if (done.n > 0)
				buf_addc(&done, '/');
			buf_add(&done, p, n);
		}
		e = done.n > before ? layer_writer_get(u->w, done.p) : NULL;
		if (!e || e->type != ENTRY_SYMLINK) {
			p = rest;
			continue;
		}
		if (++links > SYMLINKS_MAX)
			return error_new(err, ERR_INVALID, 0, "'%s': too many levels of symlinks",
					 dir);
		r = path_check_lengths(e->link, rest, err);
		if (r < 0)
			return r;
		buf_truncate(&done, e->link[0] == '/' ? 0 : before);
		next = splice(e->link, rest);
		free(todo);
		p = todo = next;
	}
	*ret = buf_take(&done);
	return 0;
}

/* The name as it is to be in the layer: its last component below its resolved directory. */
static int resolve_name(struct unpack *u, const char *name, char **ret, struct error **err)
{
	const char *slash = strrchr(name, '/');
	_cleanup_free_ char *dir = NULL, *resolved = NULL;
	int r;

	if (!slash || (u->parent && strlen(u->parent) == (size_t)(slash - name) &&
		       strncmp(u->parent, name, (size_t)(slash - name)) == 0)) {
		*ret = xstrdup(name);
		return 0;
	}
	dir = xstrndup(name, (size_t)(slash - name));
	r = resolve_dir(u, dir, &resolved, err);
	if (r < 0)
		return r;
	*ret = *resolved ? xasprintf("%s/%s", resolved, slash + 1) : xstrdup(slash + 1);
	if (strcmp(dir, resolved) == 0) {
		free(u->parent);
		u->parent = TAKE_PTR(resolved);
	}
	return 0;
}

/* --- Entries --- */

/* The writer makes way for an entry of a name that the layer already has; where that was a file,
 * its other names keep it. */
static void note_replaced(struct unpack *u, const struct entry *e)
{
	const struct entry *old = layer_writer_get(u->w, e->path);

	if (old && (e->type != ENTRY_DIR || old->type != ENTRY_DIR))
		free(TAKE_PTR(u->parent));
}

static int put_opaque(struct unpack *u, const char *dir, struct error **err)
{
	const struct entry *old = layer_writer_get(u->w, dir);
	struct entry e = {.path = dir, .type = ENTRY_DIR, .mode = 0755};

	if (old && old->type == ENTRY_DIR)
		e = *old;
	else if (old && old->type != ENTRY_WHITEOUT)
		return error_new(err, ERR_INVALID, 0, "'%s' is opaque and not a directory", dir);
	e.path = dir;
	e.opaque = true;
	return layer_writer_put(u->w, &e, err);
}

static int put_whiteout(struct unpack *u, const char *path, struct error **err)
{
	struct entry e = {.path = path, .type = ENTRY_WHITEOUT};

	return layer_writer_put(u->w, &e, err);
}

/* `.wh.NAME` hides NAME, `.wh..wh..opq` all that lower layers have in its directory. */
static int take_whiteout(struct unpack *u, const char *path, struct error **err)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	size_t dir_n = slash ? (size_t)(slash - path) : 0;
	_cleanup_free_ char *dir = xstrndup(path, dir_n), *hidden = NULL;

	if (strcmp(base, whiteout_opaque) == 0)
		return put_opaque(u, dir, err);
	/* aufs kept its own files under such names; they mean nothing to anyone else. */
	if (strncmp(base, ".wh..wh.", 8) == 0)
		return 0;
	base += strlen(whiteout_prefix);
	if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return error_new(err, ERR_INVALID, 0,
				 "'%s' is a whiteout without the name of what it removes", path);
	hidden = dir_n > 0 ? xasprintf("%s/%s", dir, base) : xstrdup(base);
	return put_whiteout(u, hidden, err);
}

static int put_hard_link(struct unpack *u, struct entry *e, const char *target, struct error **err)
{
	int r;

	e->type = ENTRY_HARDLINK;
	e->link = target;
	note_replaced(u, e);
	r = layer_writer_put(u->w, e, err);
	return r < 0 ? r : layer_writer_set_attributes(u->w, target, e, err);
}

/* A second name for a symlink, device or fifo: another one like it, which nobody can tell apart.
 * The first one becomes like it where the link's header says something else. */
static int put_copy(struct unpack *u, const struct entry *e, const struct entry *to,
		    struct error **err)
{
	_cleanup_free_ char *link = xstrdup(to->link), *first = xstrdup(to->path);
	bool same = entry_same_attributes(to, e);
	struct entry copy = *e;
	int r;

	copy.type = to->type;
	copy.link = link;
	copy.dev_major = to->dev_major;
	copy.dev_minor = to->dev_minor;
	free(TAKE_PTR(u->parent));
	r = layer_writer_put(u->w, &copy, err);
	copy.path = first;
	return r < 0 || same ? r : layer_writer_put(u->w, &copy, err);
}

static int take_hard_link(struct unpack *u, struct entry *e, const char *target, struct error **err)
{
	_cleanup_free_ char *clean = NULL, *resolved = NULL;
	const struct entry *to;
	int r = clean_name(target, &clean, err);

	if (r == 0)
		r = resolve_name(u, clean, &resolved, err);
	if (r < 0)
		return error_wrap(err, r, "hard link '%s'", e->path);
	to = layer_writer_get(u->w, resolved);
	if (to && to->type == ENTRY_HARDLINK) {
		free(resolved);
		resolved = xstrdup(to->link);
		to = layer_writer_get(u->w, resolved);
	}
	if (!to || to->type == ENTRY_DIR || to->type == ENTRY_WHITEOUT)
		return error_new(err, ERR_INVALID, 0,
				 "hard link '%s' names '%s', which is not a file of this layer",
				 e->path, target);
	if (path_within(resolved, e->path)) {
		if (strcmp(resolved, e->path) == 0) /* itself: nothing to do */
			return 0;
		return error_new(err, ERR_INVALID, 0, "hard link '%s' replaces what it names",
				 e->path);
	}
	return to->type == ENTRY_FILE ? put_hard_link(u, e, resolved, err)
				      : put_copy(u, e, to, err);
}

static int write_hole(struct unpack *u, uint64_t n, struct error **err)
{
	static const char zeros[64 << 10];

	while (n > 0) {
		size_t part = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
		int r = layer_writer_write(u->w, zeros, part, err);

		if (r < 0)
			return r;
		n -= part;
	}
	return 0;
}

static int take_data(struct unpack *u, struct archive *a, uint64_t size, struct error **err)
{
	uint64_t at = 0;

	for (;;) {
		const void *p;
		size_t n;
		la_int64_t offset;
		int code = archive_read_data_block(a, &p, &n, &offset);
		int r;

		if (code == ARCHIVE_EOF)
			break;
		if (code < ARCHIVE_WARN)
			return archive_failed(u, a, err);
		if (offset < 0 || (uint64_t)offset < at || (uint64_t)offset > size ||
		    n > size - (uint64_t)offset)
			return error_new(err, ERR_CORRUPT, 0, "its pieces do not fit its size");
		r = write_hole(u, (uint64_t)offset - at, err);
		if (r == 0 && n > 0)
			r = layer_writer_write(u->w, p, n, err);
		if (r < 0)
			return r;
		at = (uint64_t)offset + n;
	}
	return write_hole(u, size - at, err);
}

/* What only a file system shows. Layers made here have none of these, and the index knows none;
 * what this store or overlayfs reads for itself is not an image's to say. */
static void keep_xattrs(struct unpack *u, struct archive_entry *ae, const char *dir)
{
	const char *name;
	const void *value;
	size_t size;

	archive_entry_xattr_reset(ae);
	while (archive_entry_xattr_next(ae, &name, &value, &size) == ARCHIVE_OK) {
		if (!name || (strncmp(name, "user.", 5) != 0 && strcmp(name, "security.ima") != 0))
			continue;
		if (strncmp(name, OWNER_MARK_PREFIX, strlen(OWNER_MARK_PREFIX)) != 0 &&
		    strncmp(name, "user.overlay.", strlen("user.overlay.")) != 0)
			layer_writer_xattr(u->w, dir, name, value, size);
	}
}

static int take_file(struct unpack *u, struct archive *a, struct archive_entry *ae, struct entry *e,
		     struct error **err)
{
	la_int64_t size = archive_entry_size(ae);
	int r;

	if (size < 0)
		return error_new(err, ERR_CORRUPT, 0, "'%s' has a negative size", e->path);
	e->size = (uint64_t)size;
	u->file_bytes += e->size;
	note_replaced(u, e);
	r = check_size(u, err);
	if (r == 0)
		r = layer_writer_file(u->w, e, err);
	if (r < 0)
		return r;
	r = take_data(u, a, e->size, err);
	if (r < 0)
		return error_wrap(err, r, "'%s'", e->path);
	keep_xattrs(u, ae, NULL);
	return layer_writer_file_end(u->w, NULL, err);
}

/* security.capability: VFS_CAP_REVISION_3 says whose namespace it counts in, which is nothing that
 * leaves this machine; v2 is v3 without that word. */
static void take_capability(struct archive_entry *ae, struct entry *e)
{
	const char *name;
	const void *value;
	size_t size;

	archive_entry_xattr_reset(ae);
	while (archive_entry_xattr_next(ae, &name, &value, &size) == ARCHIVE_OK) {
		uint32_t magic;

		if (!name || strcmp(name, "security.capability") != 0 || size < XATTR_CAPS_SZ_2 ||
		    size > XATTR_CAPS_SZ_3)
			continue;
		memcpy(&magic, value, sizeof(magic));
		magic = le32toh(magic);
		if ((magic & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_2 &&
		    (magic & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_3)
			continue;
		memcpy(e->capability, value, XATTR_CAPS_SZ_2);
		magic = htole32(VFS_CAP_REVISION_2 | (magic & VFS_CAP_FLAGS_EFFECTIVE));
		memcpy(e->capability, &magic, sizeof(magic));
		e->capability_size = XATTR_CAPS_SZ_2;
	}
}

static int take_owner(la_int64_t id, const char *path, uint32_t *ret, struct error **err)
{
	/* The largest value is the system's "no one". */
	if (id < 0 || id >= UINT32_MAX)
		return error_new(err, ERR_INVALID, 0, "'%s' has owner %lld", path, (long long)id);
	*ret = (uint32_t)id;
	return 0;
}

/* Where even engine/layer/tar_rules.h could not follow: libarchive takes a regular file whose name ends
 * with a slash for a directory, and would then take its bytes for headers. */
static bool is_slashed_file(struct archive_entry *ae)
{
	return archive_entry_filetype(ae) == AE_IFDIR && archive_entry_size(ae) > 0;
}

static int take_typed(struct unpack *u, struct archive *a, struct archive_entry *ae,
		      struct entry *e, struct error **err)
{
	const char *hard = archive_entry_hardlink(ae);
	int r;

	if (hard) {
		take_capability(ae, e);
		return take_hard_link(u, e, hard, err);
	}
	if (is_slashed_file(ae))
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "'%s/' is a file whose name ends with a slash", e->path);
	switch (archive_entry_filetype(ae)) {
	case AE_IFREG:
		e->type = ENTRY_FILE;
		take_capability(ae, e);
		return take_file(u, a, ae, e, err);
	case AE_IFDIR:
		e->type = ENTRY_DIR;
		break;
	case AE_IFLNK:
		e->type = ENTRY_SYMLINK;
		e->link = archive_entry_symlink(ae);
		if (!e->link || !*e->link || strlen(e->link) >= PATH_MAX)
			return error_new(err, ERR_INVALID, 0, "symlink '%s' has a bad target",
					 e->path);
		break;
	case AE_IFIFO:
		e->type = ENTRY_FIFO;
		break;
	case AE_IFCHR:
	case AE_IFBLK:
		e->type = archive_entry_filetype(ae) == AE_IFCHR ? ENTRY_CHAR : ENTRY_BLOCK;
		e->dev_major = (uint32_t)archive_entry_rdevmajor(ae);
		e->dev_minor = (uint32_t)archive_entry_rdevminor(ae);
		if (e->type == ENTRY_CHAR && e->dev_major == 0 && e->dev_minor == 0)
			return put_whiteout(u, e->path, err);
		break;
	default: /* sockets: they live only as long as a process */
		return 0;
	}
	note_replaced(u, e);
	if (e->type == ENTRY_SYMLINK)
		free(TAKE_PTR(u->parent));
	r = layer_writer_put(u->w, e, err);
	if (r == 0 && e->type == ENTRY_DIR)
		keep_xattrs(u, ae, e->path);
	return r;
}

static int take_entry(struct unpack *u, struct archive *a, struct archive_entry *ae,
		      struct error **err)
{
	const char *name = archive_entry_pathname(ae);
	_cleanup_free_ char *clean = NULL, *path = NULL;
	struct entry e = {0};
	int r;

	if (!name)
		return error_new(err, ERR_CORRUPT, 0, "an entry without a name");
	if (++u->entries > UNPACK_ENTRIES_MAX && !u->trusted)
		return error_new(err, ERR_INVALID, 0, "more than %u entries", UNPACK_ENTRIES_MAX);
	r = clean_name(name, &clean, err);
	if (r == 0)
		r = resolve_name(u, clean, &path, err);
	if (r < 0)
		return r;
	e.path = path;
	if (strncmp(path_base(path), whiteout_prefix, strlen(whiteout_prefix)) == 0)
		return take_whiteout(u, path, err);
	if (!*path && archive_entry_filetype(ae) != AE_IFDIR)
		return error_new(err, ERR_INVALID, 0, "the root is not a directory");
	r = take_owner(archive_entry_uid(ae), path, &e.uid, err);
	if (r == 0)
		r = take_owner(archive_entry_gid(ae), path, &e.gid, err);
	if (r < 0)
		return r;
	e.mode = archive_entry_perm(ae) & 07777;
	e.mtime = archive_entry_mtime(ae);
	return take_typed(u, a, ae, &e, err);
}

static int take_all(struct unpack *u, struct archive *a, struct error **err)
{
	_cleanup_free_ char *chunk = xmalloc(CHUNK);
	struct archive_entry *ae;
	size_t n = 1;
	int r;

	for (;;) {
		int code = archive_read_next_header(a, &ae);

		if (code == ARCHIVE_EOF)
			break;
		/* A warning is about converting names, which nobody wants: see byte_locale. */
		if (code < ARCHIVE_WARN)
			return archive_failed(u, a, err);
		r = layer_writer_canceled(u->w, err);
		if (r == 0)
			r = take_entry(u, a, ae, err);
		if (r < 0)
			return r;
	}
	/* What follows the end mark counts in the diff ID. */
	while (n > 0) {
		r = layer_writer_canceled(u->w, err);
		if (r == 0)
			r = read_tar(u, chunk, CHUNK, &n, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static locale_t byte_locale;
static pthread_once_t byte_locale_once = PTHREAD_ONCE_INIT;

/* In a UTF-8 locale libarchive brings names of PAX headers to a normal form, which makes other
 * names of them; in the C locale it cannot, warns, and leaves the bytes alone. */
static void make_byte_locale(void)
{
	byte_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (byte_locale == (locale_t)0)
		abort();
}

int unpack_layer(struct layer_writer *w, inflate_read_fn read, void *data, bool trusted,
		 struct unpack_result *ret, struct error **err)
{
	struct unpack u = {.w = w, .in = inflate_open(read, data), .trusted = trusted};
	struct archive *a = archive_read_new();
	locale_t before;
	int r;

	if (!a)
		abort();
	pthread_once(&byte_locale_once, make_byte_locale);
	before = uselocale(byte_locale);
	hasher_init(&u.hash);
	u.rules = tar_rules_open(read_tar, &u);
	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	if (archive_read_open(a, &u, NULL, on_read, NULL) != ARCHIVE_OK)
		r = archive_failed(&u, a, err);
	else
		r = take_all(&u, a, err);
	archive_read_free(a);
	uselocale(before);
	if (r == 0) {
		hasher_final(&u.hash, &ret->diff_id);
		ret->entries = u.entries;
	}
	hasher_release(&u.hash);
	tar_rules_free(u.rules);
	inflate_free(u.in);
	error_free(u.read_err);
	free(u.parent);
	return r;
}
