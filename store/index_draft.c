/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index_draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/fs.h"
#include "store/index_map.h"
#include "store/internal.h"

struct index_draft {
	struct store *s;
	char *dir; /* relative to the store's root; NULL once it was renamed into place */
	struct index *index;
	uint32_t *tags;
};

int index_draft_open(struct store *s, struct index_builder *b, struct index_draft **ret,
		     struct error **err)
{
	_cleanup_(index_draft_freep) struct index_draft *d = NEW(struct index_draft);
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	d->s = s;
	r = store_tmp_name(s, &d->dir, err);
	if (r < 0)
		return r;
	path = xasprintf("%s/index", d->dir);
	if (mkdirat(s->dirfd, d->dir, 0700) < 0)
		return error_new(err, ERR_IO, errno, "create '%s/%s'", s->root, d->dir);
	fd = openat(s->dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "create '%s/%s'", s->root, path);
	r = index_builder_layout(b, fd, &d->tags, err);
	if (r == 0)
		r = index_map(fd, true, path, &d->index, err);
	if (r < 0)
		return r;
	index_set_view(d->index);
	*ret = TAKE_PTR(d);
	return 0;
}

void index_draft_free(struct index_draft *d)
{
	if (!d)
		return;
	index_unref(d->index);
	if (d->dir)
		(void)!fs_remove_tree(d->s->dirfd, d->dir);
	free(d->dir);
	free(d->tags);
	free(d);
}

const struct index *index_draft_view(const struct index_draft *d)
{
	return d->index;
}

uint32_t index_draft_tag(const struct index_draft *d, size_t n)
{
	return d->tags[n];
}

char **index_draft_dir(struct index_draft *d)
{
	return &d->dir;
}

static uint8_t *entry_at(const struct index *i, size_t n)
{
	return i->map + INDEX_HEADER + n * INDEX_ENTRY;
}

void index_draft_set(struct index_draft *d, size_t n, uint64_t size, const struct digest *content)
{
	uint8_t *e = entry_at(d->index, n);

	index_put64(e + INDEX_E_SIZE, size);
	memcpy(e + INDEX_E_CONTENT, content->b, DIGEST_SIZE);
}

void index_draft_seal(struct index_draft *d)
{
	index_seal(d->index);
	index_unref(d->index);
	d->index = NULL;
	free(TAKE_PTR(d->tags));
}

/* The tree digest covers an entry without its offsets and its mtime, and its strings. */
static void hash_entry(struct hasher *h, const struct index *i, size_t n)
{
	uint8_t fixed[INDEX_ENTRY];
	struct entry e;

	index_entry(i, n, &e);
	memcpy(fixed, entry_at(i, n), sizeof(fixed));
	index_put32(fixed + INDEX_E_PATH, 0);
	index_put32(fixed + INDEX_E_LINK, 0);
	index_put32(fixed + INDEX_E_CAP, 0);
	index_put32(fixed + INDEX_E_AFTER, 0);
	index_put64(fixed + INDEX_E_MTIME, 0);
	hasher_add(h, fixed, sizeof(fixed));
	hasher_add_string(h, e.path);
	hasher_add_string(h, e.link);
	hasher_add(h, e.capability, e.capability_size);
}

void index_seal(struct index *i)
{
	_cleanup_hasher_ struct hasher h;
	uint8_t *header = i->map;
	struct digest tree;
	uint64_t total = 0;

	hasher_init(&h);
	for (size_t n = 0; n < i->count; n++) {
		hash_entry(&h, i, n);
		total += index_get64(entry_at(i, n) + INDEX_E_SIZE);
	}
	hasher_final(&h, &tree);
	memcpy(header + INDEX_H_TREE, tree.b, DIGEST_SIZE);
	index_put64(header + INDEX_H_FILE_SIZE, total);
	index_put64(header + INDEX_H_BODY_SUM,
		    XXH3_64bits(header + INDEX_HEADER, i->map_size - INDEX_HEADER));
	index_put64(header + INDEX_H_SUM, XXH3_64bits(header, INDEX_H_SUM));
}
