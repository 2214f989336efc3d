/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/layer_compare.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/path.h"
#include "base/times.h"
#include "engine/layer/tar_rules.h"

#define READ_BLOCK ((size_t)256 * 1024)
#define EXCERPT 48 /* bytes of content that are shown */

/* One of the two tars. */
struct side {
	int fd; /* borrowed */
	const struct cancel *cancel;
	struct inflate *plain;
	struct tar_rules *rules; /* reads `plain` */
	struct archive *tar;
	struct archive_entry *entry; /* NULL: at its end */
};

void difference_release(struct difference *d)
{
	free(d->path);
	free(d->field);
	free(d->first);
	free(d->second);
	*d = (struct difference){0};
}

char *difference_text(const void *p, size_t n)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = ((const unsigned char *)p)[i];

		if (isprint(c) && c < 128)
			buf_addc(&b, (char)c);
		else
			buf_addf(&b, "\\x%02x", c);
	}
	return buf_take(&b);
}

static int damaged(const struct side *s, struct error **err)
{
	const char *why = archive_error_string(s->tar);

	if (cancel_is_set(s->cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	return error_new(err, ERR_CORRUPT, 0, "%s", why ? why : "the layer is not a tar archive");
}

static int read_file(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	struct side *s = data;

	if (cancel_is_set(s->cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	return inflate_read_fd(&s->fd, p, n, ret, err);
}

static int read_plain(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	struct side *s = data;

	return inflate_read(s->plain, p, n, ret, err);
}

static la_ssize_t on_read(struct archive *a, void *data, const void **ret)
{
	_cleanup_(error_freep) struct error *why = NULL;
	struct side *s = data;
	size_t n = 0;

	if (tar_rules_read(s->rules, ret, &n, &why) == 0)
		return (la_ssize_t)n;
	archive_set_error(a, EIO, "%s", error_text(why));
	return -1;
}

/* Entries are what they are when the layer is unpacked. */
static int open_side(struct side *s, int fd, const struct cancel *cancel, struct error **err)
{
	s->fd = fd;
	s->cancel = cancel;
	s->plain = inflate_open(read_file, s);
	s->rules = tar_rules_open(read_plain, s);
	s->tar = archive_read_new();
	archive_read_support_format_tar(s->tar);
	/* A layer without entries is two blocks of zeros. */
	archive_read_support_format_empty(s->tar);
	return archive_read_open(s->tar, s, NULL, on_read, NULL) == ARCHIVE_OK ? 0
									       : damaged(s, err);
}

static void close_side(struct side *s)
{
	archive_read_free(s->tar);
	tar_rules_free(s->rules);
	inflate_free(s->plain);
}

static int next(struct side *s, struct error **err)
{
	int r = archive_read_next_header(s->tar, &s->entry);

	if (r == ARCHIVE_EOF)
		s->entry = NULL;
	return r == ARCHIVE_EOF || r >= ARCHIVE_WARN ? 0 : damaged(s, err);
}

/* The path without the slash that ends directories. Heap. */
static char *path_of(const struct side *s)
{
	const char *name = s->entry ? archive_entry_pathname(s->entry) : NULL;
	size_t n = name ? strlen(name) : 0;

	while (n > 1 && name[n - 1] == '/')
		n--;
	return s->entry ? xstrndup(name ? name : "", n) : NULL;
}

/* --- fields --- */

static const char *type_name(struct archive_entry *e)
{
	if (archive_entry_hardlink(e))
		return "hard link";
	switch (archive_entry_filetype(e)) {
	case AE_IFREG:
		return "file";
	case AE_IFDIR:
		return "directory";
	case AE_IFLNK:
		return "symlink";
	case AE_IFCHR:
		return "character device";
	case AE_IFBLK:
		return "block device";
	case AE_IFIFO:
		return "fifo";
	default:
		return "other";
	}
}

static char *show_type(struct archive_entry *e)
{
	return xstrdup(type_name(e));
}

static char *show_link(struct archive_entry *e)
{
	const char *link = archive_entry_hardlink(e);

	if (!link)
		link = archive_entry_symlink(e);
	return difference_text(link ? link : "", link ? strlen(link) : 0);
}

static char *show_mode(struct archive_entry *e)
{
	return xasprintf("%04o", (unsigned)archive_entry_perm(e));
}

static char *show_uid(struct archive_entry *e)
{
	return xasprintf("%lld", (long long)archive_entry_uid(e));
}

static char *show_gid(struct archive_entry *e)
{
	return xasprintf("%lld", (long long)archive_entry_gid(e));
}

static char *show_device(struct archive_entry *e)
{
	return xasprintf("%lld:%lld", (long long)archive_entry_rdevmajor(e),
			 (long long)archive_entry_rdevminor(e));
}

static char *show_xattrs(struct archive_entry *e)
{
	struct buf b = BUF_INIT;
	const char *name;
	const void *value;
	size_t n;

	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &name, &value, &n) == ARCHIVE_OK) {
		_cleanup_free_ char *text = difference_text(value, n);

		buf_addf(&b, "%s%s=%s", b.n ? " " : "", name, text);
	}
	return buf_take(&b);
}

static char *show_size(struct archive_entry *e)
{
	return xasprintf("%lld bytes", (long long)archive_entry_size(e));
}

static char *show_mtime(struct archive_entry *e)
{
	/* Layers have whole seconds. */
	return times_rfc3339(archive_entry_mtime(e) * NS_PER_S);
}

/* In the order in which they explain each other: content comes between size and mtime. */
static const struct field {
	const char *name;
	char *(*show)(struct archive_entry *e);
} fields[] =
	{
		{"type", show_type},	 {"link", show_link}, {"mode", show_mode},
		{"uid", show_uid},	 {"gid", show_gid},   {"device", show_device},
		{"xattrs", show_xattrs},
},
  late_fields[] = {{"size", show_size}, {"mtime", show_mtime}};

static bool differ(const struct field *f, size_t n, struct side *sides, struct difference *ret)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *first = f[i].show(sides[0].entry);
		_cleanup_free_ char *second = f[i].show(sides[1].entry);

		if (strcmp(first, second) == 0)
			continue;
		ret->field = xstrdup(f[i].name);
		ret->first = TAKE_PTR(first);
		ret->second = TAKE_PTR(second);
		return true;
	}
	return false;
}

/* --- content --- */

static int read_block(struct side *s, char *p, size_t *ret, struct error **err)
{
	size_t n = 0;

	while (n < READ_BLOCK) {
		la_ssize_t got = archive_read_data(s->tar, p + n, READ_BLOCK - n);

		if (got < 0)
			return damaged(s, err);
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*ret = n;
	return 0;
}

static char *excerpt(const char *p, size_t n, size_t at, uint64_t offset)
{
	size_t left = n > at ? n - at : 0;
	_cleanup_free_ char *text = difference_text(p + at, left < EXCERPT ? left : EXCERPT);

	return left ? xasprintf("\"%s\"%s at byte %llu", text, left > EXCERPT ? "..." : "",
				(unsigned long long)offset)
		    : xasprintf("its end at byte %llu", (unsigned long long)offset);
}

static int compare_content(struct side *sides, bool *ret_found, struct difference *ret,
			   struct error **err)
{
	_cleanup_free_ char *a = xmalloc(READ_BLOCK), *b = xmalloc(READ_BLOCK);
	uint64_t done = 0;
	size_t n = 0, m = 0, at = 0;

	do {
		int r = read_block(&sides[0], a, &n, err);

		if (r == 0)
			r = read_block(&sides[1], b, &m, err);
		if (r < 0)
			return r;
		for (at = 0; at < n && at < m && a[at] == b[at];)
			at++;
		*ret_found = at < n || at < m;
		done += at;
	} while (!*ret_found && n > 0);
	if (*ret_found) {
		ret->field = xstrdup("content");
		ret->first = excerpt(a, n, at, done);
		ret->second = excerpt(b, m, at, done);
	}
	return 0;
}

/* --- the tars --- */

static int compare_entries(struct side *sides, bool *ret_found, struct difference *ret,
			   struct error **err)
{
	int r = 0;

	*ret_found = differ(fields, ARRAY_SIZE(fields), sides, ret);
	if (!*ret_found)
		r = compare_content(sides, ret_found, ret, err);
	if (r == 0 && !*ret_found)
		*ret_found = differ(late_fields, ARRAY_SIZE(late_fields), sides, ret);
	return r;
}

/* Entries stand in the order of their paths, so that the lesser one is missing in the other tar. */
static void tell_missing(const char *first, const char *second, struct difference *ret)
{
	bool in_first = first && (!second || path_compare(first, second) < 0);
	const char *path = in_first ? first : second;

	ret->path = difference_text(path, strlen(path));
	ret->field = xstrdup("existence");
	ret->first = xstrdup(in_first ? "is there" : "is not there");
	ret->second = xstrdup(in_first ? "is not there" : "is there");
}

static int compare(struct side *sides, bool *ret_found, struct difference *ret, struct error **err)
{
	for (;;) {
		_cleanup_free_ char *first = NULL, *second = NULL;
		int r = next(&sides[0], err);

		if (r == 0)
			r = next(&sides[1], err);
		if (r < 0 || (!sides[0].entry && !sides[1].entry))
			return r;
		first = path_of(&sides[0]);
		second = path_of(&sides[1]);
		if (!first || !second || strcmp(first, second) != 0) {
			*ret_found = true;
			tell_missing(first, second, ret);
			return 0;
		}
		r = compare_entries(sides, ret_found, ret, err);
		if (r == 0 && *ret_found)
			ret->path = difference_text(first, strlen(first));
		if (r < 0 || *ret_found)
			return r;
	}
}

int layer_compare(int first, int second, const struct cancel *cancel, bool *ret_found,
		  struct difference *ret, struct error **err)
{
	struct side sides[2] = {{.tar = NULL}};
	int r = open_side(&sides[0], first, cancel, err);

	if (r == 0)
		r = open_side(&sides[1], second, cancel, err);
	*ret = (struct difference){0};
	*ret_found = false;
	if (r == 0)
		r = compare(sides, ret_found, ret, err);
	for (size_t i = 0; i < ARRAY_SIZE(sides); i++)
		close_side(&sides[i]);
	if (r < 0)
		difference_release(ret);
	return r;
}
