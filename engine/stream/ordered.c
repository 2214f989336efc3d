/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stream/ordered.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void ordered_init(struct ordered *o, unsigned workers, unsigned readers)
{
	*o = (struct ordered){
		.workers = workers, .n_readers = readers, .n_slots = (size_t)workers + 2};
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->changed, NULL);
	o->slots = xcalloc(o->n_slots, sizeof(*o->slots));
}

void ordered_release(struct ordered *o)
{
	for (size_t i = 0; i < o->n_slots; i++)
		for (size_t k = 0; k < ORDERED_CHUNKS; k++)
			free(o->slots[i].chunks[k]);
	free(o->slots);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->changed);
}

static struct ordered_slot *slot_of(struct ordered *o, uint64_t piece)
{
	return &o->slots[piece % o->n_slots];
}

/* The first piece that not all have read. */
static uint64_t oldest_piece(const struct ordered *o)
{
	uint64_t oldest = o->readers[0].head;

	for (unsigned i = 1; i < o->n_readers; i++)
		if (o->readers[i].head < oldest)
			oldest = o->readers[i].head;
	return oldest;
}

/* How many of the slot's chunks all have read. */
static uint64_t read_by_all(const struct ordered *o, const struct ordered_slot *slot)
{
	uint64_t n = slot->read[0];

	for (unsigned i = 1; i < o->n_readers; i++)
		if (slot->read[i] < n)
			n = slot->read[i];
	return n;
}

bool ordered_begin(struct ordered *o, struct ordered_writer *w, bool (*take)(void *data),
		   void *data)
{
	bool taken;

	pthread_mutex_lock(&o->lock);
	while (!o->stopped && o->next - oldest_piece(o) >= o->n_slots)
		pthread_cond_wait(&o->changed, &o->lock);
	taken = !o->stopped && take(data);
	if (taken) {
		*w = (struct ordered_writer){.o = o, .slot = slot_of(o, o->next++)};
		w->slot->made = 0;
		memset(w->slot->read, 0, sizeof(w->slot->read));
		w->slot->ended = false;
	}
	pthread_mutex_unlock(&o->lock);
	return taken;
}

/* Hands the chunk at hand over to the reader. */
static void hand_over(struct ordered_writer *w)
{
	struct ordered_slot *slot = w->slot;

	slot->sizes[slot->made % ORDERED_CHUNKS] = w->n;
	slot->made++;
	w->p = NULL;
	w->n = 0;
	pthread_cond_broadcast(&w->o->changed);
}

size_t ordered_room(struct ordered_writer *w, unsigned char **ret)
{
	struct ordered_slot *slot = w->slot;
	struct ordered *o = w->o;

	if (w->p && w->n < ORDERED_CHUNK) {
		*ret = w->p + w->n;
		return ORDERED_CHUNK - w->n;
	}
	pthread_mutex_lock(&o->lock);
	if (w->p)
		hand_over(w);
	while (!o->stopped && slot->made - read_by_all(o, slot) >= ORDERED_CHUNKS)
		pthread_cond_wait(&o->changed, &o->lock);
	if (!o->stopped) {
		unsigned char **chunk = &slot->chunks[slot->made % ORDERED_CHUNKS];

		if (!*chunk)
			*chunk = xmalloc(ORDERED_CHUNK);
		w->p = *chunk;
	}
	pthread_mutex_unlock(&o->lock);
	*ret = w->p;
	return w->p ? ORDERED_CHUNK : 0;
}

void ordered_advance(struct ordered_writer *w, size_t n)
{
	w->n += n;
}

bool ordered_put(struct ordered_writer *w, const void *p, size_t n)
{
	const unsigned char *from = p;

	while (n > 0) {
		unsigned char *to;
		size_t room = ordered_room(w, &to), part = n < room ? n : room;

		if (room == 0)
			return false;
		memcpy(to, from, part);
		ordered_advance(w, part);
		from += part;
		n -= part;
	}
	return true;
}

void ordered_end(struct ordered_writer *w)
{
	pthread_mutex_lock(&w->o->lock);
	if (w->p)
		hand_over(w);
	w->slot->ended = true;
	pthread_cond_broadcast(&w->o->changed);
	pthread_mutex_unlock(&w->o->lock);
}

void ordered_leave(struct ordered *o)
{
	pthread_mutex_lock(&o->lock);
	o->workers--;
	pthread_cond_broadcast(&o->changed);
	pthread_mutex_unlock(&o->lock);
}

bool ordered_read(struct ordered *o, unsigned reader, const unsigned char **ret, size_t *ret_n)
{
	struct ordered_reader *r = &o->readers[reader];
	bool found = false;

	pthread_mutex_lock(&o->lock);
	/* The chunk that was read last is free now. */
	if (r->reading) {
		r->reading = false;
		slot_of(o, r->head)->read[reader]++;
		pthread_cond_broadcast(&o->changed);
	}
	while (!found && !o->stopped) {
		struct ordered_slot *slot = slot_of(o, r->head);
		uint64_t n = slot->read[reader];

		if (r->head == o->next) {
			if (o->workers == 0)
				break;
			pthread_cond_wait(&o->changed, &o->lock);
		} else if (n < slot->made) {
			*ret = slot->chunks[n % ORDERED_CHUNKS];
			*ret_n = slot->sizes[n % ORDERED_CHUNKS];
			r->reading = found = true;
		} else if (slot->ended) {
			r->head++;
			pthread_cond_broadcast(&o->changed);
		} else {
			pthread_cond_wait(&o->changed, &o->lock);
		}
	}
	pthread_mutex_unlock(&o->lock);
	return found;
}

void ordered_stop(struct ordered *o)
{
	pthread_mutex_lock(&o->lock);
	o->stopped = true;
	pthread_cond_broadcast(&o->changed);
	pthread_mutex_unlock(&o->lock);
}
