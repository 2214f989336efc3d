/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layer/unpack_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "base/vec.h"
#include "engine/layer/layer_edit.h"
#include "engine/layer/tar_rules.h"
#include "engine/stream/archive_input.h"

enum {
	READ_BLOCK = 1 << 16,
	IMPLIED_DIR_MODE = 0755,
	CAPABILITY_V2_SIZE = 20, /* linux/capability.h: struct vfs_cap_data */
	CAPABILITY_V3_SIZE = 24,
};

/* A directory of the archive: it gets its time when nothing is put into it any more. */
struct dir_time {
	char *path; /* owned */
	int64_t mtime;
};

static locale_t byte_locale;
static pthread_once_t byte_locale_once = PTHREAD_ONCE_INIT;

/* In the C locale libarchive leaves the bytes of names alone; in others it converts them. */
static void make_byte_locale(void)
{
	byte_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (byte_locale == (locale_t)0)
		abort();
}

/* A tar in a file: `plain` undoes the compression, `tar` reads what comes out of it. */
struct tar_file {
	struct archive_input in;
	struct archive *plain, *tar;
	struct tar_rules *rules;
	const struct cancel *cancel;
	locale_t before;
};

static struct archive *new_archive(void)
{
	struct archive *a = archive_read_new();

	if (!a)
		abort();
	return a;
}

static int read_failed(struct archive *a, const struct cancel *cancel, struct error **err)
{
	const char *why = archive_error_string(a);

	if (cancel_is_set(cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	return error_new(err, ERR_INVALID, 0, "%s", why ? why : "the archive is damaged");
}

static int read_plain(void *data, void *p, size_t size, size_t *ret, struct error **err)
{
	struct tar_file *f = data;
	la_ssize_t n = archive_read_data(f->plain, p, size);

	if (n < 0)
		return read_failed(f->plain, f->cancel, err);
	*ret = (size_t)n;
	return 0;
}

static la_ssize_t on_read(struct archive *a, void *data, const void **ret)
{
	struct tar_file *f = data;
	_cleanup_(error_freep) struct error *why = NULL;
	size_t n = 0;

	if (tar_rules_read(f->rules, ret, &n, &why) == 0)
		return (la_ssize_t)n;
	archive_set_error(a, EIO, "%s", error_text(why));
	return -1;
}

/* It is the caller's to close in failure too, after tar_file_failed. */
static bool tar_file_open(struct tar_file *f, int fd, const struct cancel *cancel)
{
	struct archive_entry *entry;

	(void)pthread_once(&byte_locale_once, make_byte_locale);
	*f = (struct tar_file){
		.plain = new_archive(),
		.tar = new_archive(),
		.cancel = cancel,
		.before = uselocale(byte_locale),
	};
	f->rules = tar_rules_open(read_plain, f);
	archive_read_support_filter_gzip(f->plain);
	archive_read_support_filter_bzip2(f->plain);
	archive_read_support_filter_xz(f->plain);
	archive_read_support_filter_zstd(f->plain);
	archive_read_support_format_raw(f->plain);
	archive_read_support_format_tar(f->tar);
	return lseek(fd, 0, SEEK_SET) == 0 && archive_input_open(&f->in, f->plain, fd, cancel) &&
	       archive_read_next_header(f->plain, &entry) == ARCHIVE_OK &&
	       archive_read_open(f->tar, f, NULL, on_read, NULL) == ARCHIVE_OK;
}

static void tar_file_close(struct tar_file *f)
{
	archive_read_free(f->tar);
	archive_read_free(f->plain);
	tar_rules_free(f->rules);
	archive_input_release(&f->in);
	(void)uselocale(f->before);
}

static int tar_file_failed(struct tar_file *f, struct error **err)
{
	return read_failed(archive_error_string(f->tar) ? f->tar : f->plain, f->cancel, err);
}

bool unpack_archive_recognise(int fd, const struct cancel *cancel)
{
	struct archive_entry *entry;
	struct tar_file f;
	bool is_archive;
	int r;

	r = tar_file_open(&f, fd, cancel) ? archive_read_next_header(f.tar, &entry) : ARCHIVE_FATAL;
	is_archive = r >= ARCHIVE_WARN && r != ARCHIVE_EOF &&
		     (archive_format(f.tar) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
	tar_file_close(&f);
	(void)lseek(fd, 0, SEEK_SET);
	return is_archive;
}

int unpack_archive_newest(int fd, const struct cancel *cancel, int64_t *ret, struct error **err)
{
	struct archive_entry *entry;
	struct tar_file f;
	int r;

	*ret = 0;
	r = tar_file_open(&f, fd, cancel) ? ARCHIVE_OK : ARCHIVE_FATAL;
	while (r >= ARCHIVE_WARN && (r = archive_read_next_header(f.tar, &entry)) >= ARCHIVE_WARN) {
		if (r == ARCHIVE_EOF)
			break;
		if (archive_entry_mtime(entry) > *ret)
			*ret = archive_entry_mtime(entry);
	}
	r = r < ARCHIVE_WARN ? tar_file_failed(&f, err) : 0;
	tar_file_close(&f);
	return r;
}

struct unpack {
	struct layer_edit *edit;
	const struct unpack_options *o;
	struct tar_file file;
	char *chunk;
	uint64_t size, entries; /* so far */
	VEC(struct dir_time) dirs;
};

/* --- One entry --- */

static bool has_parent_part(const char *name)
{
	for (const char *p = name; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
			return true;
	}
	return false;
}

static int check_name(const struct unpack *u, const char *what, const char *name,
		      struct error **err)
{
	if (!u->o->strict)
		return 0;
	if (*name == '/')
		return error_new(err, ERR_INVALID, 0, "the %s is absolute", what);
	if (has_parent_part(name))
		return error_new(err, ERR_INVALID, 0, "the %s contains '..'", what);
	return 0;
}

/* With clean names only a symlink can lead elsewhere. */
static int check_parent(const struct unpack *u, const char *dir, const char *parent,
			struct error **err)
{
	const char *below = *u->o->dest ? dir + strlen(u->o->dest) : dir;
	size_t n = strlen(parent);

	below += *below == '/';
	while (n > 0 && parent[n - 1] == '/')
		n--;
	if (!u->o->strict || (strncmp(below, parent, n) == 0 && below[n] == '\0'))
		return 0;
	return error_new(err, ERR_INVALID, 0, "it lies behind a symlink of the archive");
}

static int count_bytes(struct unpack *u, uint64_t n, struct error **err)
{
	uint64_t max = u->o->size_max ? u->o->size_max : UNPACK_ARCHIVE_SIZE_MAX;
	uint64_t read = (uint64_t)archive_filter_bytes(u->file.plain, -1);

	u->size += n;
	if (u->size > max)
		return error_new(err, ERR_INVALID, 0, "the archive unpacks to more than %llu bytes",
				 (unsigned long long)max);
	if (u->size > UNPACK_ARCHIVE_FREE_SIZE && u->size / UNPACK_ARCHIVE_RATIO_MAX > read)
		return error_new(err, ERR_INVALID, 0,
				 "the archive unpacks to more than %d times its size",
				 UNPACK_ARCHIVE_RATIO_MAX);
	return 0;
}

static int count_entry(struct unpack *u, struct error **err)
{
	uint64_t max = u->o->entries_max ? u->o->entries_max : UNPACK_ARCHIVE_ENTRIES_MAX;

	if (++u->entries > max)
		return error_new(err, ERR_INVALID, 0, "the archive has more than %llu entries",
				 (unsigned long long)max);
	return 0;
}

/* The name's place in the layer, with the directory above it resolved and made. */
static int place(struct unpack *u, const char *name, char **ret, struct error **err)
{
	_cleanup_free_ char *clean = path_rooted(name), *parent = NULL, *dir = NULL;
	const char *base = path_base(clean);
	struct layer_owner owner = {.mode = IMPLIED_DIR_MODE, .mtime = layer_edit_now(u->edit)};
	bool exists;
	int r;

	if (*clean == '\0') {
		*ret = NULL;
		return 0;
	}
	parent = xstrndup(clean, (size_t)(base - clean));
	r = layer_edit_resolve(u->edit, u->o->dest, parent, true, &dir, &exists, NULL, err);
	if (r == 0)
		r = check_parent(u, dir, parent, err);
	if (r == 0)
		r = layer_edit_mkdir_all(u->edit, dir, &owner, err);
	if (r < 0)
		return r;
	*ret = *dir ? xasprintf("%s/%s", dir, base) : xstrdup(base);
	return 0;
}

static int make_room(struct unpack *u, const char *path, bool for_dir, struct error **err)
{
	struct entry have;

	if (!layer_edit_get(u->edit, path, &have) || (for_dir && have.type == ENTRY_DIR))
		return 0;
	/* A file of a lower layer is hidden by the new one without further ado. */
	if (have.type != ENTRY_DIR && !layer_plan_get(layer_edit_plan(u->edit), path))
		return 0;
	return layer_edit_remove(u->edit, path, false, err);
}

static void take_capability(struct archive_entry *from, struct entry *to)
{
	const char *name;
	const void *value;
	size_t size;

	(void)archive_entry_xattr_reset(from);
	while (archive_entry_xattr_next(from, &name, &value, &size) == ARCHIVE_OK) {
		if (strcmp(name, "security.capability") != 0 ||
		    (size != CAPABILITY_V2_SIZE && size != CAPABILITY_V3_SIZE))
			continue;
		/* Layers carry the v2 form; the revision is the top byte of the first word. */
		memcpy(to->capability, value, CAPABILITY_V2_SIZE);
		to->capability[3] = 2;
		to->capability_size = CAPABILITY_V2_SIZE;
	}
}

static int take_id(int64_t id, const char *what, uint32_t *ret, struct error **err)
{
	if (id < 0 || id > UINT32_MAX)
		return error_new(err, ERR_INVALID, 0, "%s %lld is out of range", what,
				 (long long)id);
	*ret = (uint32_t)id;
	return 0;
}

/* What a header of any type says: mode, owner, time and, of a file or a link, capability. */
static int read_attributes(struct unpack *u, struct archive_entry *from, struct entry *ret,
			   struct error **err)
{
	struct entry e = {.mode = (uint32_t)archive_entry_perm(from) & 07777,
			  .mtime = archive_entry_mtime(from)};
	int r;

	r = take_id(archive_entry_uid(from), "user id", &e.uid, err);
	if (r == 0)
		r = take_id(archive_entry_gid(from), "group id", &e.gid, err);
	if (r < 0)
		return r;
	if (u->o->owner_set) {
		e.uid = u->o->uid;
		e.gid = u->o->gid;
	}
	if (archive_entry_hardlink(from) || archive_entry_filetype(from) == AE_IFREG)
		take_capability(from, &e);
	*ret = e;
	return 0;
}

/* What the header says, but for the path. */
static int read_header(struct unpack *u, struct archive_entry *from, struct entry *ret,
		       struct error **err)
{
	struct entry e;
	int r = read_attributes(u, from, &e, err);

	if (r < 0)
		return r;
	switch (archive_entry_filetype(from)) {
	case AE_IFREG:
		e.type = ENTRY_FILE;
		break;
	case AE_IFDIR:
		e.type = ENTRY_DIR;
		break;
	case AE_IFLNK:
		e.type = ENTRY_SYMLINK;
		e.mode = 0777;
		e.link = archive_entry_symlink(from);
		break;
	case AE_IFCHR:
		e.type = ENTRY_CHAR;
		break;
	case AE_IFBLK:
		e.type = ENTRY_BLOCK;
		break;
	case AE_IFIFO:
		e.type = ENTRY_FIFO;
		break;
	default:
		return error_new(err, ERR_UNSUPPORTED, 0, "an entry of an unknown type");
	}
	if (e.type == ENTRY_CHAR || e.type == ENTRY_BLOCK) {
		if (u->o->strict)
			return error_new(err, ERR_INVALID, 0, "it is a device");
		e.dev_major = (uint32_t)archive_entry_rdevmajor(from);
		e.dev_minor = (uint32_t)archive_entry_rdevminor(from);
	}
	*ret = e;
	return 0;
}

static int write_file(struct unpack *u, const struct entry *e, struct error **err)
{
	struct layer_plan *plan = layer_edit_plan(u->edit);
	int r;

	r = layer_edit_spool(u->edit, e, false, err);
	while (r == 0) {
		la_ssize_t n = archive_read_data(u->file.tar, u->chunk, READ_BLOCK);

		if (n == 0) {
			layer_plan_spool_end(plan);
			return 0;
		}
		if (n < 0)
			r = tar_file_failed(&u->file, err);
		else if (cancel_is_set(u->o->cancel))
			r = error_new(err, ERR_CANCELED, 0, "canceled");
		else
			r = count_bytes(u, (uint64_t)n, err);
		if (r == 0)
			r = layer_plan_write(plan, u->chunk, (size_t)n, err);
	}
	return r;
}

/* `path`, a symlink, device or fifo, gets what the header of a link says: all of it, but of a
 * symlink the owner alone. */
static int give_attributes(struct unpack *u, const char *path, const struct entry *header,
			   struct error **err)
{
	_cleanup_free_ char *symlink = NULL;
	struct entry have, e = *header;

	if (!layer_edit_get(u->edit, path, &have))
		return error_new(err, ERR_INTERNAL, 0, "'%s' is not there", path);
	e.path = path;
	e.type = have.type;
	e.link = symlink = xstrdup(have.link);
	e.dev_major = have.dev_major;
	e.dev_minor = have.dev_minor;
	e.capability_size = 0;
	if (e.type == ENTRY_SYMLINK) {
		e.mode = have.mode;
		e.mtime = have.mtime;
	}
	return entry_same_attributes(&have, &e) ? 0 : layer_edit_put(u->edit, &e, true, err);
}

/* All names of a file share what the last link's header says. */
static int share_attributes(struct unpack *u, const char *path, const char *target,
			    const struct entry *header, struct error **err)
{
	struct entry have;
	int r;

	if (layer_edit_get(u->edit, target, &have) && have.type == ENTRY_FILE) {
		layer_plan_set_attributes(layer_edit_plan(u->edit), target, header);
		return 0;
	}
	r = give_attributes(u, target, header, err);
	return r < 0 ? r : give_attributes(u, path, header, err);
}

static int put_link(struct unpack *u, struct archive_entry *from, const char *path,
		    const char *link, struct error **err)
{
	_cleanup_free_ char *clean = path_rooted(link), *target = NULL;
	struct entry header;
	bool exists;
	int r = check_name(u, "hard link's target", link, err);

	if (r == 0)
		r = read_attributes(u, from, &header, err);
	if (r < 0)
		return r;
	r = layer_edit_resolve(u->edit, u->o->dest, clean, false, &target, &exists, NULL, err);
	if (r < 0)
		return r;
	/* To itself: the file is there already, and must not be removed first. */
	if (strcmp(target, path) == 0)
		return 0;
	if (!exists)
		return error_new(err, ERR_INVALID, 0, "a hard link to '%s', which does not exist",
				 link);
	if (path_within(target, path))
		return error_new(err, ERR_INVALID, 0, "a hard link to '%s', which it replaces",
				 link);
	r = make_room(u, path, false, err);
	if (r == 0)
		r = layer_edit_link(u->edit, path, target, false, err);
	return r < 0 ? r : share_attributes(u, path, target, &header, err);
}

static int put_entry(struct unpack *u, struct archive_entry *from, const char *path,
		     struct error **err)
{
	const char *link = archive_entry_hardlink(from);
	struct entry e;
	int r;

	if (link)
		return put_link(u, from, path, link, err);
	r = read_header(u, from, &e, err);
	if (r == 0)
		r = make_room(u, path, e.type == ENTRY_DIR, err);
	if (r < 0)
		return r;
	e.path = path;
	if (e.type == ENTRY_FILE)
		return write_file(u, &e, err);
	if (e.type == ENTRY_DIR)
		vec_push(&u->dirs, (struct dir_time){xstrdup(path), e.mtime});
	if (e.type == ENTRY_SYMLINK && (!e.link || !*e.link || strlen(e.link) >= PATH_MAX))
		return error_new(err, ERR_INVALID, 0, "a symlink with %s target",
				 e.link && *e.link ? "too long a" : "no");
	return layer_edit_put(u->edit, &e, false, err);
}

/* --- The archive --- */

static int unpack_entries(struct unpack *u, struct error **err)
{
	struct archive_entry *entry;

	for (;;) {
		_cleanup_free_ char *path = NULL;
		const char *name;
		int r = archive_read_next_header(u->file.tar, &entry);

		if (r == ARCHIVE_EOF)
			return 0;
		/* A warning is about a name that is no UTF-8: its bytes are what counts. */
		if (r < ARCHIVE_WARN)
			return tar_file_failed(&u->file, err);
		if (cancel_is_set(u->o->cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		name = archive_entry_pathname(entry);
		if (!name)
			return error_new(err, ERR_INVALID, 0, "an entry without a name");
		r = path_check_length(name, err);
		if (r < 0)
			return r;
		r = count_entry(u, err);
		if (r == 0)
			r = check_name(u, "name", name, err);
		if (r == 0)
			r = place(u, name, &path, err);
		if (r == 0 && path)
			r = put_entry(u, entry, path, err);
		if (r < 0)
			return error_wrap(err, r, "entry '%s'", name);
	}
}

/* Directories that are still there take the times of the archive. */
static int set_dir_times(struct unpack *u, struct error **err)
{
	for (size_t i = 0; i < u->dirs.n; i++) {
		struct entry dir;
		int r;

		if (!layer_edit_get(u->edit, u->dirs.v[i].path, &dir) || dir.type != ENTRY_DIR)
			continue;
		dir.path = u->dirs.v[i].path;
		dir.mtime = u->dirs.v[i].mtime;
		r = layer_edit_put(u->edit, &dir, true, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int unpack_archive(struct layer_edit *edit, int fd, const struct unpack_options *options,
		   struct error **err)
{
	struct unpack u = {.edit = edit, .o = options, .chunk = xmalloc(READ_BLOCK)};
	int r;

	r = tar_file_open(&u.file, fd, options->cancel) ? unpack_entries(&u, err)
							: tar_file_failed(&u.file, err);
	tar_file_close(&u.file);
	if (r == 0)
		r = set_dir_times(&u, err);
	for (size_t i = 0; i < u.dirs.n; i++)
		free(u.dirs.v[i].path);
	vec_release(&u.dirs);
	free(u.chunk);
	return r < 0 ? error_wrap(err, r, "unpack '%s'", options->what) : 0;
}
