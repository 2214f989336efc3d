/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layer/tar_rules.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK = 512,
	CHUNK = 256 << 10,
	EXTENSION_MAX = 1 << 20, /* bytes of one extended header; libarchive and Go read no more */
	GROUP_MAX = 4 << 20,	 /* of all that belong to one entry */
};

/* Offsets in a header. */
enum {
	NAME = 0,
	NAME_SIZE = 100,
	SIZE = 124,
	SIZE_SIZE = 12,
	SUM = 148,
	SUM_SIZE = 8,
	TYPE = 156,
	SPARSE_MORE = 482,	 /* old GNU sparse files: extension blocks follow */
	SPARSE_BLOCK_MORE = 504, /* in such a block */
};

struct tar_rules {
	inflate_read_fn read;
	void *data;
	uint8_t *p;
	size_t size, at, end; /* of p: all up to `at` is with the caller, up to `end` is read */
	uint64_t body;	      /* bytes at `at` that are not headers */
	bool ended, blind;    /* blind: everything passes from here on */
};

/* The headers of one entry, from the first extended one to its own, and what they say. */
struct group {
	size_t n;      /* bytes */
	size_t own;    /* where the entry's own header is */
	uint64_t body; /* bytes that follow */
	bool has_size; /* by a PAX record */
	uint64_t pax_size;
	char last; /* of its name; 0: none */
	bool pax_name, long_name;
};

static uint64_t round_up(uint64_t n)
{
	return (n + BLOCK - 1) / BLOCK * BLOCK;
}

static bool is_zero(const uint8_t *h)
{
	for (size_t i = 0; i < BLOCK; i++)
		if (h[i])
			return false;
	return true;
}

static unsigned sum_of(const uint8_t *h)
{
	unsigned sum = ' ' * SUM_SIZE;

	for (size_t i = 0; i < BLOCK; i++)
		if (i < SUM || i >= SUM + SUM_SIZE)
			sum += h[i];
	return sum;
}

/* Octal, or GNU's binary form. UINT64_MAX: neither, or too large to be true. */
static uint64_t number(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	size_t i = 0;

	if (*p & 0x80) {
		v = *p & 0x7f;
		for (i = 1; i < n; i++) {
			if (v >> 48)
				return UINT64_MAX;
			v = v << 8 | p[i];
		}
		return v;
	}
	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		v = v * 8 + (uint64_t)(p[i] - '0');
	return i < n && p[i] != ' ' && p[i] != '\0' ? UINT64_MAX : v;
}

static bool is_header(const uint8_t *h)
{
	return number(h + SUM, SUM_SIZE) == sum_of(h);
}

static void set_sum(uint8_t *h)
{
	char text[SUM_SIZE];

	(void)snprintf(text, sizeof(text), "%06o", sum_of(h) & 0777777u);
	text[SUM_SIZE - 1] = ' ';
	memcpy(h + SUM, text, sizeof(text));
}

/* Calls fn with the key and value of each record, which it may change. */
static void each_record(char *p, size_t n,
			void (*fn)(struct group *g, char *key, size_t key_n, char *value,
				   size_t value_n),
			struct group *g)
{
	while (n > 0) {
		size_t len = 0, digits = 0;
		char *equals;

		while (digits < n && digits < 8 && p[digits] >= '0' && p[digits] <= '9')
			len = len * 10 + (size_t)(p[digits++] - '0');
		if (digits == n || p[digits] != ' ' || len > n || len < digits + 3 ||
		    p[len - 1] != '\n')
			return;
		equals = memchr(p + digits + 1, '=', len - digits - 2);
		if (!equals)
			return;
		fn(g, p + digits + 1, (size_t)(equals - p) - digits - 1, equals + 1,
		   len - 1 - (size_t)(equals + 1 - p));
		p += len;
		n -= len;
	}
}

static bool is_key(const char *key, size_t n, const char *want)
{
	return n == strlen(want) && memcmp(key, want, n) == 0;
}

static void note_record(struct group *g, char *key, size_t key_n, char *value, size_t n)
{
	if (is_key(key, key_n, "path") && n > 0) {
		g->pax_name = true;
		g->last = value[n - 1];
	} else if (is_key(key, key_n, "size")) {
		g->has_size = true;
		g->pax_size = 0;
		for (size_t i = 0; i < n && g->pax_size >> 48 == 0; i++)
			g->pax_size = g->pax_size * 10 + (uint64_t)(value[i] - '0') % 10;
	}
}

/* Slashes at its end become NUL bytes, which end a name for libarchive. */
static void cut_slashes(char *name, size_t n)
{
	while (n > 1 && (name[n - 1] == '/' || name[n - 1] == '\0'))
		name[--n] = '\0';
}

static void cut_record(struct group *g, char *key, size_t key_n, char *value, size_t n)
{
	(void)g;
	if (is_key(key, key_n, "path"))
		cut_slashes(value, n);
}

static void zero_record(struct group *g, char *key, size_t key_n, char *value, size_t n)
{
	(void)g;
	if (is_key(key, key_n, "size"))
		memset(value, '0', n);
}

static bool is_extension(uint8_t type)
{
	return type == 'x' || type == 'g' || type == 'X' || type == 'L' || type == 'K';
}

static void note_extension(struct group *g, uint8_t *h, size_t n)
{
	char *text = (char *)h + BLOCK;
	size_t len;

	if (h[TYPE] == 'x' || h[TYPE] == 'X') {
		each_record(text, n, note_record, g);
	} else if (h[TYPE] == 'L') {
		len = strnlen(text, n);
		g->long_name = len > 0;
		g->last = len > 0 ? text[len - 1] : g->last;
	}
}

/* --- One entry's headers --- */

enum step {
	STEP_READ, /* more bytes are needed */
	STEP_DONE,
	STEP_BLIND, /* nothing that can be followed */
};

/* Blocks that tell where the data of an old GNU sparse file lie. */
static enum step skip_sparse(const struct tar_rules *t, struct group *g)
{
	uint8_t more = t->p[t->at + g->own + SPARSE_MORE];

	while (more) {
		if (t->end - t->at < g->n + BLOCK)
			return STEP_READ;
		more = t->p[t->at + g->n + SPARSE_BLOCK_MORE];
		g->n += BLOCK;
	}
	return STEP_DONE;
}

/* An entry without bytes of its own, for Go. */
static bool is_bodyless(uint8_t type, char last)
{
	return (type >= '1' && type <= '6') || (type == '\0' && last == '/');
}

static enum step note_own(const struct tar_rules *t, struct group *g)
{
	uint8_t *h = t->p + t->at + g->own;
	size_t name = strnlen((char *)h + NAME, NAME_SIZE);

	if (h[TYPE] != '\0' && h[TYPE] != 'S' && (h[TYPE] < '0' || h[TYPE] > '7'))
		return STEP_BLIND;
	if (!g->pax_name && !g->long_name)
		g->last = name > 0 ? (char)h[NAME + name - 1] : '\0';
	g->body = g->has_size ? g->pax_size : number(h + SIZE, SIZE_SIZE);
	if (is_bodyless(h[TYPE], g->last))
		g->body = 0;
	if (g->body > INT64_MAX)
		return STEP_BLIND;
	g->body = round_up(g->body);
	return h[TYPE] == 'S' ? skip_sparse(t, g) : STEP_DONE;
}

static enum step measure(const struct tar_rules *t, struct group *g)
{
	for (;;) {
		uint8_t *h = t->p + t->at + g->n;
		size_t left = t->end - t->at - g->n;
		uint64_t n;

		if (g->n > GROUP_MAX)
			return STEP_BLIND;
		if (left < BLOCK)
			return STEP_READ;
		if (!is_header(h))
			return is_zero(h) && g->n == 0 ? (g->n = BLOCK, STEP_DONE) : STEP_BLIND;
		n = number(h + SIZE, SIZE_SIZE);
		if (!is_extension(h[TYPE])) {
			g->own = g->n;
			g->n += BLOCK;
			return note_own(t, g);
		}
		if (n > EXTENSION_MAX)
			return STEP_BLIND;
		if (left < BLOCK + round_up(n))
			return STEP_READ;
		note_extension(g, h, (size_t)n);
		g->n += BLOCK + (size_t)round_up(n);
	}
}

/* Calls fn with the records of every extended header. */
static void change_records(struct tar_rules *t, struct group *g,
			   void (*fn)(struct group *g, char *key, size_t key_n, char *value,
				      size_t value_n))
{
	for (size_t at = 0; at < g->own;) {
		uint8_t *h = t->p + t->at + at;
		size_t n = (size_t)number(h + SIZE, SIZE_SIZE);

		if (h[TYPE] == 'x' || h[TYPE] == 'X')
			each_record((char *)h + BLOCK, n, fn, g);
		else if (h[TYPE] == 'L' && fn == cut_record)
			cut_slashes((char *)h + BLOCK, n);
		at += BLOCK + (size_t)round_up(n);
	}
}

static void rewrite(struct tar_rules *t, struct group *g)
{
	uint8_t *h = t->p + t->at + g->own;

	if (is_bodyless(h[TYPE], g->last) && (g->has_size || number(h + SIZE, SIZE_SIZE) > 0)) {
		change_records(t, g, zero_record);
		memcpy(h + SIZE, "00000000000", SIZE_SIZE);
		set_sum(h);
	} else if ((h[TYPE] == '0' || h[TYPE] == '7') && g->last == '/') {
		change_records(t, g, cut_record);
		cut_slashes((char *)h + NAME, NAME_SIZE);
		set_sum(h);
	}
}

/* --- The stream --- */

struct tar_rules *tar_rules_open(inflate_read_fn read, void *data)
{
	struct tar_rules *t = NEW(struct tar_rules);

	t->read = read;
	t->data = data;
	t->size = CHUNK;
	t->p = xmalloc(t->size);
	return t;
}

void tar_rules_free(struct tar_rules *t)
{
	if (!t)
		return;
	free(t->p);
	free(t);
}

/* Moves `at` past what may be handed out. */
static void advance(struct tar_rules *t)
{
	for (;;) {
		size_t left = t->end - t->at;
		struct group g = {0};
		enum step step;

		if (t->blind || t->body > 0) {
			size_t n = t->blind || t->body > left ? left : (size_t)t->body;

			t->at += n;
			t->body -= t->blind ? 0 : n;
			if (n == left)
				return;
		}
		step = measure(t, &g);
		if (step == STEP_READ && !t->ended)
			return;
		if (step == STEP_DONE) {
			rewrite(t, &g);
			t->at += g.n;
			t->body = g.body;
		} else {
			t->blind = true;
		}
	}
}

/* Drops the first `from` bytes, and fills the rest. */
static int fill(struct tar_rules *t, size_t from, struct error **err)
{
	size_t n = 0;
	int r;

	t->end -= from;
	t->at -= from;
	memmove(t->p, t->p + from, t->end);
	if (t->end == t->size) {
		t->size *= 2;
		t->p = xrealloc(t->p, t->size);
	}
	r = t->read(t->data, t->p + t->end, t->size - t->end, &n, err);
	if (r < 0)
		return r;
	t->end += n;
	t->ended = n == 0;
	return 0;
}

int tar_rules_read(struct tar_rules *t, const void **ret, size_t *ret_n, struct error **err)
{
	size_t from = t->at;

	advance(t);
	while (t->at == from && !t->ended) {
		int r = fill(t, from, err);

		if (r < 0)
			return r;
		from = 0;
		advance(t);
	}
	*ret = t->p + from;
	*ret_n = t->at - from;
	return 0;
}
