/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/number.h"
#include "base/times.h"
#include "store/internal.h"

static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz";

void history_list_release(struct history_list *l)
{
	vec_release(&l->entries);
}

int history_new_ref(char ret[static HISTORY_REF + 1], struct error **err)
{
	unsigned char bits[16];

	if (getrandom(bits, sizeof(bits), 0) != sizeof(bits))
		return error_new(err, ERR_IO, errno, "make a name for the build");
	/* Base 36, digit by digit: 36^25 is more than 2^128. */
	for (size_t i = HISTORY_REF; i-- > 0;) {
		unsigned rest = 0;

		for (size_t j = 0; j < sizeof(bits); j++) {
			rest = rest << 8 | bits[j];
			bits[j] = (unsigned char)(rest / 36);
			rest %= 36;
		}
		ret[i] = alphabet[rest];
	}
	ret[HISTORY_REF] = '\0';
	return 0;
}

bool history_is_ref(const char *text)
{
	return strlen(text) == HISTORY_REF && strspn(text, alphabet) == HISTORY_REF;
}

static char *file_name(const char *ref, const char *kind)
{
	return xasprintf("history/%s.%s", ref, kind);
}

/* --- Writing --- */

/* Through a temporary, so that a file is whole or not there. */
static int put_file(struct store *s, const char *ref, const char *kind,
		    int (*write)(void *data, int fd, struct error **err), void *data,
		    struct error **err)
{
	_cleanup_free_ char *tmp = NULL, *path = file_name(ref, kind);
	_cleanup_close_ int fd = -1;
	int r = store_tmp_name(s, &tmp, err);

	if (r < 0)
		return r;
	fd = openat(s->dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "create '%s/%s'", s->root, tmp);
	r = write(data, fd, err);
	if (r == 0 && mkdirat(s->dirfd, "history", 0700) < 0 && errno != EEXIST)
		r = error_new(err, ERR_IO, errno, "create '%s/history'", s->root);
	if (r == 0 && renameat(s->dirfd, tmp, s->dirfd, path) < 0)
		r = error_new(err, ERR_IO, errno, "create '%s/%s'", s->root, path);
	if (r < 0)
		(void)unlinkat(s->dirfd, tmp, 0);
	return r;
}

static int write_summary(void *data, int fd, struct error **err)
{
	const struct buf *summary = data;
	int r = fs_write_full(fd, summary->p, summary->n);

	return r < 0 ? error_new(err, ERR_IO, -r, "write the summary of the build") : 0;
}

int history_add(struct store *s, const char *ref,
		int (*write_log)(void *data, int fd, struct error **err), void *data,
		const struct buf *summary, struct error **err)
{
	struct buf borrowed = *summary;
	int r = put_file(s, ref, "log", write_log, data, err);

	if (r == 0)
		r = put_file(s, ref, "json", write_summary, &borrowed, err);
	return r;
}

/* --- Reading --- */

/* Adds the entry of a summary's file; anything else is passed over. */
static void add_entry(struct store *s, const char *file, struct history_list *list)
{
	struct history_entry entry = {0};
	_cleanup_free_ char *log = NULL;
	struct stat st, log_st;

	if (strlen(file) != HISTORY_REF + strlen(".json") ||
	    strcmp(file + HISTORY_REF, ".json") != 0)
		return;
	memcpy(entry.ref, file, HISTORY_REF);
	log = file_name(entry.ref, "log");
	if (!history_is_ref(entry.ref) || fstatat(s->dirfd, log, &log_st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	_cleanup_free_ char *path = file_name(entry.ref, "json");
	if (fstatat(s->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	entry.time = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
	entry.bytes = (uint64_t)st.st_size + (uint64_t)log_st.st_size;
	vec_push(&list->entries, entry);
}

static int newer_first(const void *a, const void *b)
{
	const struct history_entry *x = a, *y = b;

	return x->time != y->time ? (x->time < y->time ? 1 : -1) : strcmp(x->ref, y->ref);
}

int history_list(struct store *s, struct history_list *ret, struct error **err)
{
	int fd = fs_open_dir(s->dirfd, "history"), r;
	struct dirent *de;
	DIR *dir;

	if (fd == -ENOENT)
		return 0;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = error_new(err, ERR_IO, fd < 0 ? -fd : errno, "list '%s/history'", s->root);
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	while ((r = fs_next_entry(dir, &de)) > 0)
		add_entry(s, de->d_name, ret);
	(void)closedir(dir);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "list '%s/history'", s->root);
	if (ret->entries.n > 0)
		qsort(ret->entries.v, ret->entries.n, sizeof(*ret->entries.v), newer_first);
	return 0;
}

static int choose(const struct history_list *list, const char *what, struct history_entry *ret,
		  struct error **err)
{
	const struct history_entry *found = NULL;
	uint64_t back = 0;

	if (!what || *what == '^') {
		if (what && number_parse(what + 1, 10, SIZE_MAX, &back) < 0)
			return error_new(err, ERR_INVALID, 0,
					 "\"%s\": use ^N for the build N before the last", what);
		if (back < list->entries.n)
			found = &list->entries.v[back];
	}
	for (size_t i = 0; !found && what && *what && i < list->entries.n; i++)
		if (strncmp(list->entries.v[i].ref, what, strlen(what)) == 0)
			found = &list->entries.v[i];
	if (!found)
		return what ? error_new(err, ERR_NOTFOUND, 0, "no record of a build %s", what)
			    : error_new(err, ERR_NOTFOUND, 0, "no build is recorded in this store");
	*ret = *found;
	return 0;
}

int history_find(struct store *s, const char *what, struct history_entry *ret, struct error **err)
{
	struct history_list list = {0};
	int r = history_list(s, &list, err);

	/* buildx writes BUILDER/NODE/REF. */
	if (what && strrchr(what, '/'))
		what = strrchr(what, '/') + 1;
	if (r == 0)
		r = choose(&list, what, ret, err);
	history_list_release(&list);
	return r;
}

int history_read_summary(struct store *s, const char *ref, struct buf *ret, struct error **err)
{
	_cleanup_free_ char *path = file_name(ref, "json");
	int r = fs_read_file(s->dirfd, path, ret);

	return r < 0 ? error_new(err, ERR_IO, -r, "read '%s/%s'", s->root, path) : 0;
}

int history_open_log(struct store *s, const char *ref, struct error **err)
{
	_cleanup_free_ char *path = file_name(ref, "log");
	int fd = openat(s->dirfd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? error_new(err, ERR_IO, errno, "open '%s/%s'", s->root, path) : fd;
}

/* --- Removing --- */

int history_remove(struct store *s, const char *ref, struct error **err)
{
	static const char *const kinds[] = {"json", "log"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_free_ char *path = file_name(ref, kinds[i]);

		if (unlinkat(s->dirfd, path, 0) < 0 && errno != ENOENT)
			return error_new(err, ERR_IO, errno, "remove '%s/%s'", s->root, path);
	}
	return 0;
}

int history_trim(struct store *s, const struct history_limits *limits, struct error **err)
{
	int64_t oldest = times_now_ns() - limits->age;
	struct history_list list = {0};
	uint64_t bytes = 0;
	int r = history_list(s, &list, err);

	for (size_t i = 0; r == 0 && i < list.entries.n; i++) {
		const struct history_entry *e = &list.entries.v[i];

		bytes += e->bytes;
		if (e->time < oldest || i >= limits->entries || bytes > limits->bytes)
			r = history_remove(s, e->ref, err);
	}
	history_list_release(&list);
	return r;
}
