/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of one byte stream, made by several threads and read in order, by one thread or by two
 *that each read all of it.
 *
 * Workers take pieces of work one after the other; what a worker writes for its piece is read after
 * everything of the pieces before it. Memory is bounded: a worker waits when it is too far ahead of
 * the slower reader.
 *
 *	worker:	while (ordered_begin(o, &w, take, data))	`take` says which piece this is
 *			... ordered_room / ordered_advance or ordered_put ..., ordered_end(&w)
 *		ordered_leave(o)
 *	reader:	while (ordered_read(o, 0, &p, &n)) use p
 *		ordered_stop(o), join the workers, ordered_release(o)
 */
#ifndef KILN_ENGINE_STREAM_ORDERED_H
#define KILN_ENGINE_STREAM_ORDERED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ORDERED_CHUNK = 512 * 1024, ORDERED_CHUNKS = 2, ORDERED_READERS = 2 };

/* A piece that is being made or waits to be read. */
struct ordered_slot {
	unsigned char *chunks[ORDERED_CHUNKS];
	size_t sizes[ORDERED_CHUNKS];
	uint64_t made, read[ORDERED_READERS]; /* chunks so far */
	bool ended;
};

struct ordered_reader {
	uint64_t head; /* the piece being read */
	bool reading;  /* has a chunk of it in hand */
};

struct ordered {
	pthread_mutex_t lock; /* protects all below, but not the bytes of a chunk being made */
	pthread_cond_t changed;
	struct ordered_slot *slots;
	size_t n_slots;
	uint64_t next; /* pieces begun */
	struct ordered_reader readers[ORDERED_READERS];
	unsigned n_readers;
	unsigned workers; /* that have not left */
	bool stopped;
};

/* For so many workers, which must all call ordered_leave, and so many readers. */
void ordered_init(struct ordered *o, unsigned workers, unsigned readers);
void ordered_release(struct ordered *o);

/* A worker's end. */
struct ordered_writer {
	struct ordered *o;
	struct ordered_slot *slot;
	unsigned char *p; /* the chunk at hand; NULL: none */
	size_t n;
};
/* Waits for a place and calls `take`, one caller at a time and in the order of the pieces. False if
 * that has nothing left, or after ordered_stop. */
bool ordered_begin(struct ordered *o, struct ordered_writer *w, bool (*take)(void *data),
		   void *data);
/* Where to write next and how much fits, at least one byte; 0 after ordered_stop. */
size_t ordered_room(struct ordered_writer *w, unsigned char **ret);
void ordered_advance(struct ordered_writer *w, size_t n);
/* Copies; false after ordered_stop. */
bool ordered_put(struct ordered_writer *w, const void *p, size_t n);
void ordered_end(struct ordered_writer *w);
void ordered_leave(struct ordered *o);

/* The next bytes for this reader, counted from 0; valid until its next call. False at the end of
 * all pieces, when all workers have left or it was stopped. */
bool ordered_read(struct ordered *o, unsigned reader, const unsigned char **ret, size_t *ret_n);
/* Nothing more is read: workers stop as soon as they ask for room. On any thread. */
void ordered_stop(struct ordered *o);

#endif
