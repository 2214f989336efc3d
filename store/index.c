/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/path.h"
#include "store/index_map.h"

static const uint8_t *at(const struct index *i, size_t n)
{
	return i->entries + n * INDEX_ENTRY;
}

/* An entry with offsets that point outside would let a damaged file reach past the mapping. */
static bool entry_is_sound(const struct index *i, size_t n)
{
	const uint8_t *e = at(i, n);
	uint32_t cap = index_get32(e + INDEX_E_CAP), after = index_get32(e + INDEX_E_AFTER);
	uint8_t type = e[INDEX_E_TYPE], cap_size = e[INDEX_E_CAP_SIZE];

	return index_get32(e + INDEX_E_PATH) < i->heap_size &&
	       index_get32(e + INDEX_E_LINK) < i->heap_size && type >= ENTRY_FILE &&
	       type <= ENTRY_WHITEOUT && cap_size <= ENTRY_CAPABILITY_MAX && cap < i->heap_size &&
	       cap_size <= i->heap_size - cap && after > n && after <= i->count &&
	       index_get32(e + INDEX_E_MODE) <= 07777;
}

static const char *check_header(const struct index *i)
{
	const uint8_t *h = i->map;
	uint64_t count, heap;

	if (i->map_size < INDEX_HEADER || memcmp(h, INDEX_MAGIC, 8) != 0)
		return "it is not an index";
	if (XXH3_64bits(h, INDEX_H_SUM) != index_get64(h + INDEX_H_SUM))
		return "its header is damaged";
	if (index_get32(h + INDEX_H_VERSION) != INDEX_VERSION ||
	    index_get32(h + INDEX_H_ENTRY_SIZE) != INDEX_ENTRY)
		return "it has another version";
	count = index_get64(h + INDEX_H_COUNT);
	heap = index_get64(h + INDEX_H_HEAP_SIZE);
	if (count > UINT32_MAX - 1 || heap > UINT32_MAX || heap == 0 ||
	    i->map_size - INDEX_HEADER != count * INDEX_ENTRY + heap)
		return "it is cut short";
	return NULL;
}

void index_set_view(struct index *i)
{
	i->count = (size_t)index_get64(i->map + INDEX_H_COUNT);
	i->heap_size = (size_t)index_get64(i->map + INDEX_H_HEAP_SIZE);
	i->entries = i->map + INDEX_HEADER;
	i->heap = (const char *)i->entries + i->count * INDEX_ENTRY;
}

/* Sets up the view of a mapped file; returns what is wrong with it, or NULL. */
static const char *check(struct index *i)
{
	const char *why = check_header(i);

	if (why)
		return why;
	if (XXH3_64bits(i->map + INDEX_HEADER, i->map_size - INDEX_HEADER) !=
	    index_get64(i->map + INDEX_H_BODY_SUM))
		return "its checksum does not match";
	index_set_view(i);
	if (i->heap[0] != '\0' || i->heap[i->heap_size - 1] != '\0')
		return "its strings are damaged";
	for (size_t n = 0; n < i->count; n++)
		if (!entry_is_sound(i, n))
			return "an entry is damaged";
	return NULL;
}

int index_map(int fd, bool writable, const char *name, struct index **ret, struct error **err)
{
	struct index *i;
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return error_new(err, ERR_IO, errno, "look at index '%s'", name);
	if (!S_ISREG(st.st_mode) || st.st_size < INDEX_HEADER)
		return error_new(err, ERR_CORRUPT, 0, "index '%s' cannot be used: it is too small",
				 name);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED,
		   fd, 0);
	if (map == MAP_FAILED)
		return error_new(err, ERR_IO, errno, "map index '%s'", name);
	i = NEW(struct index);
	i->refs = 1;
	i->map = map;
	i->map_size = (size_t)st.st_size;
	*ret = i;
	return 0;
}

int index_open_fd(int fd, const char *name, struct index **ret, struct error **err)
{
	_cleanup_(index_unrefp) struct index *i = NULL;
	const char *why;
	int r = index_map(fd, false, name, &i, err);

	if (r < 0)
		return r;
	why = check(i);
	if (why)
		return error_new(err, ERR_CORRUPT, 0, "index '%s' cannot be used: %s", name, why);
	*ret = TAKE_PTR(i);
	return 0;
}

int index_open(int dirfd, const char *path, struct index **ret, struct error **err)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return error_new(err, ERR_IO, errno, "open index '%s'", path);
	return index_open_fd(fd, path, ret, err);
}

struct index *index_ref(struct index *i)
{
	atomic_fetch_add(&i->refs, 1);
	return i;
}

void index_unref(struct index *i)
{
	if (!i || atomic_fetch_sub(&i->refs, 1) > 1)
		return;
	(void)munmap(i->map, i->map_size);
	free(i);
}

size_t index_count(const struct index *i)
{
	return i->count;
}

static const char *path_at(const struct index *i, size_t n)
{
	return i->heap + index_get32(at(i, n) + INDEX_E_PATH);
}

void index_entry(const struct index *i, size_t n, struct entry *ret)
{
	const uint8_t *e = at(i, n);
	uint32_t link = index_get32(e + INDEX_E_LINK);

	*ret = (struct entry){
		.path = path_at(i, n),
		.type = (enum entry_type)e[INDEX_E_TYPE],
		.mode = index_get32(e + INDEX_E_MODE),
		.uid = index_get32(e + INDEX_E_UID),
		.gid = index_get32(e + INDEX_E_GID),
		.size = index_get64(e + INDEX_E_SIZE),
		.mtime = (int64_t)index_get64(e + INDEX_E_MTIME),
		.link = link ? i->heap + link : NULL,
		.dev_major = index_get32(e + INDEX_E_MAJOR),
		.dev_minor = index_get32(e + INDEX_E_MINOR),
		.capability_size = e[INDEX_E_CAP_SIZE],
		.opaque = e[INDEX_E_FLAGS] & INDEX_FLAG_OPAQUE,
	};
	if (!ret->link && (ret->type == ENTRY_SYMLINK || ret->type == ENTRY_HARDLINK))
		ret->link = "";
	memcpy(ret->content.b, e + INDEX_E_CONTENT, DIGEST_SIZE);
	memcpy(ret->capability, i->heap + index_get32(e + INDEX_E_CAP), ret->capability_size);
}

size_t index_lower_bound(const struct index *i, const char *path)
{
	size_t low = 0, high = i->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (path_compare(path_at(i, middle), path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int64_t index_find(const struct index *i, const char *path)
{
	size_t n = index_lower_bound(i, path);

	return n < i->count && strcmp(path_at(i, n), path) == 0 ? (int64_t)n : -1;
}

size_t index_skip_subtree(const struct index *i, size_t n)
{
	return index_get32(at(i, n) + INDEX_E_AFTER);
}

uint64_t index_file_size(const struct index *i)
{
	return index_get64(i->map + INDEX_H_FILE_SIZE);
}

void index_tree_digest(const struct index *i, struct digest *ret)
{
	memcpy(ret->b, i->map + INDEX_H_TREE, DIGEST_SIZE);
}
