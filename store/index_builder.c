/* SPDX-License-Identifier: Apache-2.0 */
/* An index in memory while it is made: entries come in any order, and replace each other. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/path.h"
#include "base/vec.h"
#include "store/index.h"
#include "store/index_map.h"

#define NONE UINT32_MAX

enum { WRITE_CHUNK = 1 << 16 };

/* Strings live in the builder's arena. A removed entry stays in the table as dead and is revived by
 * the next add of its path. */
struct item {
	const char *path, *link;
	uint64_t size; /* of a file; of a device its number, see device_number */
	int64_t mtime;
	struct digest content;
	const uint8_t *capability; /* NULL: none */
	uint32_t mode, uid, gid;
	uint32_t group; /* hard-link group, or NONE */
	uint32_t next;	/* next member of the group */
	uint32_t tag;	/* the user's */
	uint8_t type, capability_size;
	bool opaque, dead;
};

/* Paths of one file. `primary` is the member that carries the data. */
struct group {
	uint32_t primary;
	uint32_t first; /* of the members' list */
};

struct index_builder {
	struct arena arena;
	VEC(struct item) items;
	VEC(struct group) groups;
	uint32_t *table; /* hash -> item, NONE: free */
	size_t table_size;
	size_t live;
	uint64_t seed;
	struct entry *view; /* what index_builder_get returned last */
};

struct index_builder *index_builder_new(void)
{
	struct index_builder *b = NEW(struct index_builder);

	b->view = NEW(struct entry);
	/* Paths come from archives: a predictable hash could be attacked. */
	if (getrandom(&b->seed, sizeof(b->seed), 0) != (ssize_t)sizeof(b->seed))
		b->seed = (uint64_t)(uintptr_t)b;
	return b;
}

void index_builder_free(struct index_builder *b)
{
	if (!b)
		return;
	arena_release(&b->arena);
	vec_release(&b->items);
	vec_release(&b->groups);
	free(b->table);
	free(b->view);
	free(b);
}

static size_t probe(const struct index_builder *b, const char *path)
{
	size_t mask = b->table_size - 1;
	size_t at = (size_t)XXH3_64bits_withSeed(path, strlen(path), b->seed) & mask;

	while (b->table[at] != NONE && strcmp(b->items.v[b->table[at]].path, path) != 0)
		at = (at + 1) & mask;
	return at;
}

static void grow(struct index_builder *b)
{
	b->table_size = b->table_size ? b->table_size * 2 : 64;
	b->table = xreallocarray(b->table, b->table_size, sizeof(*b->table));
	memset(b->table, 0xff, b->table_size * sizeof(*b->table));
	for (size_t i = 0; i < b->items.n; i++)
		b->table[probe(b, b->items.v[i].path)] = (uint32_t)i;
}

static uint32_t find(const struct index_builder *b, const char *path)
{
	uint32_t i = b->table_size ? b->table[probe(b, path)] : NONE;

	return i != NONE && !b->items.v[i].dead ? i : NONE;
}

/* Takes item i out of its group; if it carried the data, another member does from now on. */
static void leave_group(struct index_builder *b, uint32_t i)
{
	struct item *item = &b->items.v[i];
	struct group *g;
	uint32_t *link;

	if (item->group == NONE)
		return;
	g = &b->groups.v[item->group];
	for (link = &g->first; *link != i; link = &b->items.v[*link].next)
		;
	*link = item->next;
	if (g->primary == i && g->first != NONE) {
		struct item *heir = &b->items.v[g->first];
		const char *path = heir->path;
		uint32_t next = heir->next;

		*heir = *item;
		heir->path = path;
		heir->next = next;
		g->primary = g->first;
	}
	item->group = NONE;
}

static void join_group(struct index_builder *b, uint32_t i, uint32_t target)
{
	struct item *to = &b->items.v[target], *item = &b->items.v[i];

	if (to->group == NONE) {
		to->group = (uint32_t)b->groups.n;
		to->next = NONE;
		vec_push(&b->groups, (struct group){.primary = target, .first = target});
	}
	item->group = to->group;
	item->next = b->groups.v[to->group].first;
	b->groups.v[to->group].first = i;
}

static uint32_t slot_for(struct index_builder *b, const char *path)
{
	size_t at;

	if ((b->items.n + 1) * 2 > b->table_size)
		grow(b);
	at = probe(b, path);
	if (b->table[at] == NONE) {
		struct item item = {
			.path = arena_strdup(&b->arena, path), .group = NONE, .dead = true};

		assert(b->items.n < NONE);
		b->table[at] = (uint32_t)b->items.n;
		vec_push(&b->items, item);
	}
	return b->table[at];
}

static bool is_device(const struct entry *e)
{
	return e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK;
}

static uint64_t device_number(const struct entry *e)
{
	return (uint64_t)e->dev_major << 32 | e->dev_minor;
}

static void keep_capability(struct index_builder *b, struct item *item, const struct entry *e)
{
	uint8_t *kept;

	if (e->capability_size == 0 || e->capability_size > ENTRY_CAPABILITY_MAX)
		return;
	kept = arena_alloc(&b->arena, e->capability_size);
	memcpy(kept, e->capability, e->capability_size);
	item->capability = kept;
	item->capability_size = e->capability_size;
}

void index_builder_add(struct index_builder *b, const struct entry *e)
{
	uint32_t i = slot_for(b, e->path), target = NONE;
	struct item *item = &b->items.v[i];

	/* Looked up before the old entry goes: the link may be to the very file that it
	 * replaces. */
	if (e->type == ENTRY_HARDLINK && e->link)
		target = find(b, e->link);
	if (target == i)
		return;
	if (item->dead)
		b->live++;
	else
		leave_group(b, i);
	*item = (struct item){
		.path = item->path,
		.link = e->link ? arena_strdup(&b->arena, e->link) : NULL,
		.size = e->type == ENTRY_FILE ? e->size
			: is_device(e)	      ? device_number(e)
					      : 0,
		.mtime = e->mtime,
		.mode = e->mode & 07777,
		.uid = e->uid,
		.gid = e->gid,
		.group = NONE,
		.next = NONE,
		.type = (uint8_t)e->type,
		.opaque = e->opaque,
	};
	if (e->type == ENTRY_FILE) {
		item->content = e->content;
		keep_capability(b, item, e);
	}
	if (target != NONE &&
	    (b->items.v[target].type == ENTRY_FILE || b->items.v[target].group != NONE))
		join_group(b, i, target);
}

void index_builder_set_attributes(struct index_builder *b, const char *path, const struct entry *e)
{
	uint32_t i = find(b, path);
	struct item *item;

	assert(i != NONE);
	if (b->items.v[i].group != NONE)
		i = b->groups.v[b->items.v[i].group].primary;
	item = &b->items.v[i];
	item->mode = e->mode & 07777;
	item->uid = e->uid;
	item->gid = e->gid;
	item->mtime = e->mtime;
	item->capability_size = 0;
	keep_capability(b, item, e);
}

static void view_item(const struct index_builder *b, uint32_t i, struct entry *ret)
{
	const struct item *item = &b->items.v[i];
	const struct item *data = item;

	if (item->group != NONE)
		data = &b->items.v[b->groups.v[item->group].primary];
	*ret = (struct entry){
		.path = item->path,
		.type = (enum entry_type)item->type,
		.mode = data->mode,
		.uid = data->uid,
		.gid = data->gid,
		.size = item->size,
		.mtime = data->mtime,
		.link = data != item ? data->path : item->link,
		.content = item->content,
		.capability_size = item->capability_size,
		.opaque = item->opaque,
	};
	if (item->capability_size > 0)
		memcpy(ret->capability, item->capability, item->capability_size);
	if (is_device(ret)) {
		ret->dev_major = (uint32_t)(item->size >> 32);
		ret->dev_minor = (uint32_t)item->size;
		ret->size = 0;
	}
}

const struct entry *index_builder_get(const struct index_builder *b, const char *path)
{
	uint32_t i = find(b, path);

	if (i == NONE)
		return NULL;
	view_item(b, i, b->view);
	return b->view;
}

void index_builder_remove_tree(struct index_builder *b, const char *path)
{
	uint32_t top = find(b, path);
	bool leaf = top != NONE && b->items.v[top].type != ENTRY_DIR;

	for (uint32_t i = leaf ? top : 0; i < b->items.n; i++) {
		if (!b->items.v[i].dead && path_within(b->items.v[i].path, path)) {
			leave_group(b, i);
			b->items.v[i].dead = true;
			b->live--;
		}
		if (leaf)
			return;
	}
}

size_t index_builder_count(const struct index_builder *b)
{
	return b->live;
}

void index_builder_set_content(struct index_builder *b, const char *path,
			       const struct digest *content, uint64_t size)
{
	uint32_t i = find(b, path);

	assert(i != NONE && b->items.v[i].type == ENTRY_FILE);
	b->items.v[i].content = *content;
	b->items.v[i].size = size;
}

void index_builder_tag(struct index_builder *b, const char *path, uint32_t tag)
{
	uint32_t i = find(b, path);

	assert(i != NONE && b->items.v[i].type == ENTRY_FILE);
	b->items.v[i].tag = tag;
}

uint32_t index_builder_tag_of(const struct index_builder *b, const char *path)
{
	uint32_t i = find(b, path);

	if (i != NONE && b->items.v[i].group != NONE)
		i = b->groups.v[b->items.v[i].group].primary;
	return i == NONE ? 0 : b->items.v[i].tag;
}

const struct entry *index_builder_next_dir(const struct index_builder *b, size_t *at)
{
	while (*at < b->items.n) {
		uint32_t i = (uint32_t)(*at)++;

		if (b->items.v[i].dead || b->items.v[i].type != ENTRY_DIR)
			continue;
		view_item(b, i, b->view);
		return b->view;
	}
	return NULL;
}

static int compare_items(const void *a, const void *b, void *data)
{
	const struct index_builder *builder = data;

	return path_compare(builder->items.v[*(const uint32_t *)a].path,
			    builder->items.v[*(const uint32_t *)b].path);
}

static uint32_t *sorted_items(struct index_builder *b)
{
	uint32_t *order = xreallocarray(NULL, b->live + 1, sizeof(*order));
	bool sorted = true;
	size_t n = 0;

	for (uint32_t i = 0; i < b->items.n; i++) {
		if (b->items.v[i].dead)
			continue;
		if (n > 0 && sorted)
			sorted =
				path_compare(b->items.v[order[n - 1]].path, b->items.v[i].path) < 0;
		order[n++] = i;
	}
	if (!sorted)
		qsort_r(order, n, sizeof(*order), compare_items, b);
	return order;
}

/* In every group the first path in order becomes the one that carries the data. */
static void settle_groups(struct index_builder *b, const uint32_t *order)
{
	for (size_t n = b->live; n-- > 0;) {
		struct item *item = &b->items.v[order[n]], *old, copy;
		struct group *g;

		if (item->group == NONE)
			continue;
		/* Going backwards, the last one to be made primary is the first in order. */
		g = &b->groups.v[item->group];
		old = &b->items.v[g->primary];
		if (old == item)
			continue;
		copy = *item;
		*item = *old;
		item->path = copy.path;
		item->next = copy.next;
		old->type = ENTRY_HARDLINK;
		old->size = 0;
		old->content = (struct digest){0};
		old->capability_size = 0;
		g->primary = order[n];
	}
}

struct index_writer {
	int fd, failed;
	uint8_t *chunk;
	size_t n;
};

static void flush(struct index_writer *w)
{
	if (w->failed == 0 && w->n > 0)
		w->failed = fs_write_full(w->fd, w->chunk, w->n);
	w->n = 0;
}

static void put(struct index_writer *w, const void *p, size_t n)
{
	while (n > 0) {
		size_t room = WRITE_CHUNK - w->n, part = n < room ? n : room;

		memcpy(w->chunk + w->n, p, part);
		w->n += part;
		p = (const char *)p + part;
		n -= part;
		if (w->n == WRITE_CHUNK)
			flush(w);
	}
}

/* Where the strings of one entry are in the heap, and whether they are written there for it. */
struct placed {
	uint32_t link, capability;
	bool own_link;
	uint32_t after;
};

static void encode(uint8_t out[INDEX_ENTRY], const struct entry *e)
{
	memset(out, 0, INDEX_ENTRY);
	out[INDEX_E_TYPE] = (uint8_t)e->type;
	out[INDEX_E_FLAGS] = e->opaque ? INDEX_FLAG_OPAQUE : 0;
	out[INDEX_E_CAP_SIZE] = e->capability_size;
	index_put32(out + INDEX_E_MODE, e->mode);
	index_put32(out + INDEX_E_UID, e->uid);
	index_put32(out + INDEX_E_GID, e->gid);
	index_put32(out + INDEX_E_MAJOR, e->dev_major);
	index_put32(out + INDEX_E_MINOR, e->dev_minor);
	index_put64(out + INDEX_E_SIZE, e->size);
	memcpy(out + INDEX_E_CONTENT, e->content.b, DIGEST_SIZE);
}

static void place_subtrees(struct index_builder *b, const uint32_t *order, struct placed *placed)
{
	VEC(uint32_t) open = {0};

	for (uint32_t n = 0; n < b->live; n++) {
		const char *path = b->items.v[order[n]].path;

		while (open.n > 0 && !path_within(path, b->items.v[order[vec_last(&open)]].path))
			placed[vec_pop(&open)].after = n;
		vec_push(&open, n);
	}
	while (open.n > 0)
		placed[vec_pop(&open)].after = (uint32_t)b->live;
	vec_release(&open);
}

static int write_entries(struct index_builder *b, const uint32_t *order, struct placed *placed,
			 struct index_writer *w, uint64_t *ret_heap, struct error **err)
{
	uint64_t heap = 1; /* offset 0 is the empty string */
	struct map links = MAP_INIT;

	for (size_t n = 0; n < b->live; n++) {
		uint8_t fixed[INDEX_ENTRY];
		struct entry e;
		uint32_t path;

		view_item(b, order[n], &e);
		encode(fixed, &e);
		if (e.capability_size > 0) {
			placed[n].capability = (uint32_t)heap;
			heap += e.capability_size;
		}
		if (e.link && *e.link) {
			void **slot = map_puts(&links, e.link);

			placed[n].own_link = !*slot;
			if (!*slot) {
				*slot = (void *)(uintptr_t)heap;
				heap += strlen(e.link) + 1;
			}
			placed[n].link = (uint32_t)(uintptr_t)*slot;
		}
		path = *e.path ? (uint32_t)heap : 0;
		heap += *e.path ? strlen(e.path) + 1 : 0;
		if (heap >= UINT32_MAX)
			break;
		index_put32(fixed + INDEX_E_PATH, path);
		index_put32(fixed + INDEX_E_LINK, placed[n].link);
		index_put32(fixed + INDEX_E_CAP, placed[n].capability);
		index_put32(fixed + INDEX_E_AFTER, placed[n].after);
		index_put64(fixed + INDEX_E_MTIME, (uint64_t)e.mtime);
		put(w, fixed, sizeof(fixed));
	}
	map_release(&links, NULL);
	if (heap >= UINT32_MAX)
		return error_new(err, ERR_UNSUPPORTED, 0, "the layer's names take more than 4 GiB");
	*ret_heap = heap + 1;
	return 0;
}

static void write_heap(struct index_builder *b, const uint32_t *order, const struct placed *placed,
		       struct index_writer *w)
{
	put(w, "", 1);
	for (size_t n = 0; n < b->live; n++) {
		struct entry e;

		view_item(b, order[n], &e);
		put(w, e.capability, e.capability_size);
		if (placed[n].own_link)
			put(w, e.link, strlen(e.link) + 1);
		if (*e.path)
			put(w, e.path, strlen(e.path) + 1);
	}
	put(w, "", 1);
	flush(w);
}

/* In the order of the entries. */
static uint32_t *collect_tags(const struct index_builder *b, const uint32_t *order)
{
	uint32_t *tags = xreallocarray(NULL, b->live + 1, sizeof(*tags));

	for (size_t n = 0; n < b->live; n++)
		tags[n] = b->items.v[order[n]].tag;
	return tags;
}

int index_builder_layout(struct index_builder *b, int fd, uint32_t **ret_tags, struct error **err)
{
	_cleanup_free_ uint32_t *order = sorted_items(b);
	_cleanup_free_ struct placed *placed = xcalloc(b->live + 1, sizeof(*placed));
	_cleanup_free_ uint8_t *chunk = xmalloc(WRITE_CHUNK);
	struct index_writer w = {.fd = fd, .chunk = chunk};
	uint8_t header[INDEX_HEADER] = INDEX_MAGIC;
	uint64_t heap = 0;
	int r;

	settle_groups(b, order);
	place_subtrees(b, order, placed);
	/* A hole for the header, which is known last. */
	put(&w, header, sizeof(header));
	r = write_entries(b, order, placed, &w, &heap, err);
	if (r < 0)
		return r;
	write_heap(b, order, placed, &w);
	index_put32(header + INDEX_H_VERSION, INDEX_VERSION);
	index_put32(header + INDEX_H_ENTRY_SIZE, INDEX_ENTRY);
	index_put64(header + INDEX_H_COUNT, b->live);
	index_put64(header + INDEX_H_HEAP_SIZE, heap);
	r = w.failed;
	if (r == 0)
		r = fs_pwrite_full(fd, header, sizeof(header), 0);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "write a layer index");
	if (ret_tags)
		*ret_tags = collect_tags(b, order);
	return 0;
}

int index_builder_write(struct index_builder *b, int fd, struct error **err)
{
	_cleanup_(index_unrefp) struct index *i = NULL;
	int r = index_builder_layout(b, fd, NULL, err);

	if (r == 0)
		r = index_map(fd, true, "index", &i, err);
	if (r < 0)
		return r;
	index_set_view(i);
	index_seal(i);
	return 0;
}
