/* SPDX-License-Identifier: Apache-2.0 */
#include "store/statindex.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/path.h"
#include "base/times.h"

/* docs/formats-statindex.md */
#define MAGIC "kilnstat"
enum {
	VERSION = 1,
	HEADER_SIZE = 40,
	RECORD_SIZE = 80,
	CHUNK = 1 << 20,
	/* Kernels stamp files with the tick's time; 100 Hz is the coarsest in use. */
	TICK_NS = 2 * NS_PER_S / 100,
};

struct statindex {
	const uint8_t *map; /* NULL: empty */
	size_t size, count;
	const char *strings;
	size_t strings_size;
};

static void put_u32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void put_u64(uint8_t *p, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get_u64(const uint8_t *p)
{
	return (uint64_t)get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

/* stat/<hex of sha256 of the directory's path> */
static char *index_name(const char *dir)
{
	struct digest d = digest_of(dir, strlen(dir));
	char hex[DIGEST_HEX + 1];

	return xasprintf("stat/%s", digest_hex(&d, hex));
}

static bool header_is_sound(const struct statindex *i)
{
	const uint8_t *h = i->map;
	uint64_t count, strings;

	if (memcmp(h, MAGIC, 8) != 0 || get_u32(h + 8) != VERSION || get_u32(h + 12) != 0)
		return false;
	count = get_u64(h + 16);
	strings = get_u64(h + 24);
	if (count > (i->size - HEADER_SIZE) / RECORD_SIZE)
		return false;
	if (strings != i->size - HEADER_SIZE - count * RECORD_SIZE)
		return false;
	if (strings > 0 && i->map[i->size - 1] != '\0')
		return false;
	return get_u64(h + 32) == XXH3_64bits(h + HEADER_SIZE, i->size - HEADER_SIZE);
}

/* Maps the file and checks everything that reading relies on. */
static bool map_index(struct statindex *i, int fd)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0 || st.st_size < HEADER_SIZE)
		return false;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return false;
	i->map = map;
	i->size = (size_t)st.st_size;
	if (!header_is_sound(i))
		return false;
	i->count = get_u64(i->map + 16);
	i->strings_size = get_u64(i->map + 24);
	i->strings = (const char *)i->map + i->size - i->strings_size;
	for (size_t k = 0; k < i->count; k++) {
		if (get_u32(i->map + HEADER_SIZE + k * RECORD_SIZE + 44) >= i->strings_size)
			return false;
	}
	return true;
}

static void unmap_index(struct statindex *i)
{
	if (i->map)
		(void)munmap((void *)(uintptr_t)i->map, i->size);
	*i = (struct statindex){0};
}

struct statindex *statindex_open(struct store *s, const char *dir)
{
	struct statindex *i = NEW(struct statindex);
	_cleanup_free_ char *name = index_name(dir);
	_cleanup_close_ int fd = openat(store_dirfd(s), name, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && !map_index(i, fd))
		unmap_index(i);
	/* Its time says when it was of use last, for statindex_prune. */
	if (fd >= 0)
		(void)futimens(fd, NULL);
	return i;
}

void statindex_prune(struct store *s, int64_t before)
{
	int fd = openat(store_dirfd(s), "stat", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	struct stat st;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while (fs_next_entry(dir, &de) > 0)
		if (fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec < before)
			(void)unlinkat(fd, de->d_name, 0);
	(void)closedir(dir);
}

void statindex_free(struct statindex *i)
{
	if (!i)
		return;
	unmap_index(i);
	free(i);
}

size_t statindex_count(const struct statindex *i)
{
	return i->count;
}

static const char *record_path(const struct statindex *i, size_t n)
{
	return i->strings + get_u32(i->map + HEADER_SIZE + n * RECORD_SIZE + 44);
}

void statindex_record(const struct statindex *i, size_t n, struct statindex_record *ret)
{
	const uint8_t *p = i->map + HEADER_SIZE + n * RECORD_SIZE;

	ret->path = record_path(i, n);
	ret->size = get_u64(p);
	ret->dev = get_u64(p + 8);
	ret->ino = get_u64(p + 16);
	ret->mtime = (int64_t)get_u64(p + 24);
	ret->ctime = (int64_t)get_u64(p + 32);
	ret->mode = get_u32(p + 40);
	memcpy(ret->content.b, p + 48, DIGEST_SIZE);
}

/* The content of record n if that describes the same file. */
static const struct digest *content_of(const struct statindex *i, size_t n,
				       const struct statindex_record *want)
{
	struct statindex_record r;

	if (n >= i->count)
		return NULL;
	statindex_record(i, n, &r);
	if (strcmp(r.path, want->path) != 0 || r.size != want->size || r.dev != want->dev ||
	    r.ino != want->ino || r.mtime != want->mtime || r.ctime != want->ctime ||
	    r.mode != want->mode)
		return NULL;
	/* A digest is bytes, which are aligned anywhere. */
	return (const struct digest *)(i->map + HEADER_SIZE + n * RECORD_SIZE + 48);
}

const struct digest *statindex_find_next(const struct statindex *i, size_t *pos,
					 const struct statindex_record *want)
{
	while (*pos < i->count && path_compare(record_path(i, *pos), want->path) < 0)
		(*pos)++;
	return content_of(i, *pos, want);
}

/* Could the file have been changed again, after it was looked at at `scanned`, without a change of
 * its change time? Whole seconds mean a file system that keeps no more. */
static bool is_racy(const struct statindex_record *r, int64_t scanned)
{
	int64_t tick = r->ctime % NS_PER_S == 0 ? 2 * NS_PER_S : TICK_NS;

	return r->ctime > scanned - tick;
}

/* A file being written in chunks; the first error is kept. */
struct out {
	int fd, r;
	struct buf chunk;
	XXH3_state_t *hash;
};

static void out_flush(struct out *o)
{
	(void)XXH3_64bits_update(o->hash, o->chunk.p, o->chunk.n);
	if (o->r == 0)
		o->r = fs_write_full(o->fd, o->chunk.p, o->chunk.n);
	buf_clear(&o->chunk);
}

static void out_add(struct out *o, const void *p, size_t n)
{
	buf_add(&o->chunk, p, n);
	if (o->chunk.n >= CHUNK)
		out_flush(o);
}

static void out_record(struct out *o, const struct statindex_record *r, uint32_t path)
{
	uint8_t p[RECORD_SIZE];

	put_u64(p, r->size);
	put_u64(p + 8, r->dev);
	put_u64(p + 16, r->ino);
	put_u64(p + 24, (uint64_t)r->mtime);
	put_u64(p + 32, (uint64_t)r->ctime);
	put_u32(p + 40, r->mode);
	put_u32(p + 44, path);
	memcpy(p + 48, r->content.b, DIGEST_SIZE);
	out_add(o, p, sizeof(p));
}

/* Writes header, records and strings; 0 or -errno. */
static int write_index(struct out *o, size_t n, statindex_get_fn get, void *data, int64_t scanned)
{
	uint8_t header[HEADER_SIZE] = {0};
	uint64_t count = 0, strings = 0;
	struct statindex_record r;

	if (lseek(o->fd, HEADER_SIZE, SEEK_SET) < 0)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		get(data, i, &r);
		if (is_racy(&r, scanned) || strings > UINT32_MAX)
			continue;
		out_record(o, &r, (uint32_t)strings);
		count++;
		strings += strlen(r.path) + 1;
	}
	strings = 0;
	for (size_t i = 0; i < n; i++) {
		get(data, i, &r);
		if (is_racy(&r, scanned) || strings > UINT32_MAX)
			continue;
		out_add(o, r.path, strlen(r.path) + 1);
		strings += strlen(r.path) + 1;
	}
	out_flush(o);
	memcpy(header, MAGIC, 8);
	put_u32(header + 8, VERSION);
	put_u64(header + 16, count);
	put_u64(header + 24, strings);
	put_u64(header + 32, XXH3_64bits_digest(o->hash));
	if (o->r == 0)
		o->r = fs_pwrite_full(o->fd, header, sizeof(header), 0);
	return o->r;
}

int statindex_save(struct store *s, const char *dir, size_t n, statindex_get_fn get, void *data,
		   int64_t scanned, struct error **err)
{
	_cleanup_free_ char *name = index_name(dir), *tmp = NULL;
	_cleanup_close_ int tmpfd = -1, fd = -1;
	struct out o = {.chunk = BUF_INIT};
	int r;

	r = store_tmp_dir(s, &tmp, &tmpfd, err);
	if (r < 0)
		return r;
	(void)mkdirat(store_dirfd(s), "stat", 0755);
	fd = openat(tmpfd, "stat", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : 0;
	if (r == 0) {
		o.fd = fd;
		o.hash = XXH3_createState();
		(void)XXH3_64bits_reset(o.hash);
		r = write_index(&o, n, get, data, scanned);
		(void)XXH3_freeState(o.hash);
		buf_release(&o.chunk);
	}
	/* Not synced: a torn file is found by its checksum, and then only costs time. */
	if (r == 0 && renameat(tmpfd, "stat", store_dirfd(s), name) < 0)
		r = -errno;
	store_tmp_remove(s, tmp);
	return r < 0 ? error_new(err, ERR_IO, -r, "write the stat index of '%s'", dir) : 0;
}
