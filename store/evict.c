/* SPDX-License-Identifier: Apache-2.0 */
#include "store/evict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/times.h"
#include "store/cache_usage.h"

#define HALF_LIFE_NS (48.0 * 3600e9) /* a result loses half its value in this time */
#define STEP_SECONDS 0.01	     /* what any step costs, however short */
#define MOUNT_BYTES_PER_SECOND 10e6  /* how fast a cache mount is taken to fill again */
enum { BYTES_MIN = 4096 };

double evict_value(double seconds, uint64_t bytes, int64_t unused_ns)
{
	double size = (double)(bytes > BYTES_MIN ? bytes : BYTES_MIN);
	double age = unused_ns > 0 ? (double)unused_ns : 0;

	return (seconds + STEP_SECONDS) / size * exp2(-age / HALF_LIFE_NS);
}

/* Below it what was used is told apart by when: each halving of the age is a class of its own. */
#define RECENT_NS (3600 * NS_PER_S)
#define CLASSES_MAX 8 /* the last: within half a minute */

unsigned evict_recency(int64_t unused_ns)
{
	unsigned class = 0;

	for (int64_t age = RECENT_NS; class < CLASSES_MAX && unused_ns < age; age /= 2)
		class ++;
	return class;
}

struct worth {
	unsigned recency;
	double value;
	int64_t last_used;
};

/* Of two, does the first go before the second? */
static bool goes_first(const struct worth *a, const struct worth *b)
{
	if (a->recency != b->recency)
		return a->recency < b->recency;
	if (a->value < b->value || b->value < a->value)
		return a->value < b->value;
	return a->last_used < b->last_used;
}

void evicted_release(struct evicted *e)
{
	for (size_t i = 0; i < e->mounts.n; i++)
		free(e->mounts.v[i].id);
	vec_release(&e->mounts);
	vec_release(&e->records);
	*e = (struct evicted){0};
}

/* All records of one topmost layer: they go together. */
struct group {
	VEC(struct usage_record *) records;
	struct usage_layer *top;
	int64_t duration, last_used;
	bool gone;
	bool valued; /* worth is set: it is a leaf */
	struct worth worth;
};

struct evict {
	const struct evict_options *o;
	struct cache_usage usage;
	VEC(struct group *) groups;
	VEC(struct evicted_mount) mounts;
	int64_t now;
	uint64_t cache; /* bytes that remain */
};

static void group_records(struct evict *e)
{
	struct map by_top = MAP_INIT;

	for (size_t i = 0; i < e->usage.records.n; i++) {
		struct usage_record *rec = &e->usage.records.v[i];
		struct usage_layer *top;
		struct group *g;
		void **slot;

		if (rec->n_layers == 0)
			continue; /* takes nothing */
		top = rec->chain[rec->n_layers - 1];
		slot = map_put(&by_top, &top->id, sizeof(top->id));
		if (!*slot) {
			*slot = g = NEW(struct group);
			g->top = top;
			vec_push(&e->groups, g);
		}
		g = *slot;
		vec_push(&g->records, rec);
		if (rec->duration > g->duration)
			g->duration = rec->duration;
		if (rec->last_used > g->last_used)
			g->last_used = rec->last_used;
	}
	map_release(&by_top, NULL);
}

static bool may_go(const struct evict *e, const struct group *g)
{
	return !g->gone && g->top->below == 0 && !g->top->image && !g->top->in_use &&
	       g->last_used < e->o->unused_before;
}

/* What goes with the group: the layers that no other record has. */
static uint64_t group_bytes(const struct group *g)
{
	const struct usage_record *rec = g->records.v[0];
	uint64_t bytes = 0;

	for (size_t i = 0; i < rec->n_layers; i++)
		if (rec->chain[i]->records <= g->records.n && !rec->chain[i]->image &&
		    !rec->chain[i]->in_use)
			bytes += rec->chain[i]->bytes;
	return bytes;
}

static struct worth worth_of(const struct evict *e, double seconds, uint64_t bytes,
			     int64_t last_used)
{
	int64_t unused = e->now - last_used;

	return (struct worth){evict_recency(unused), evict_value(seconds, bytes, unused),
			      last_used};
}

static struct group *least_group(struct evict *e)
{
	struct group *least = NULL;

	for (size_t i = 0; i < e->groups.n; i++) {
		struct group *g = e->groups.v[i];

		if (!may_go(e, g))
			continue;
		if (!g->valued)
			g->worth = worth_of(e, (double)g->duration / 1e9, group_bytes(g),
					    g->last_used);
		g->valued = true;
		if (!least || goes_first(&g->worth, &least->worth))
			least = g;
	}
	return least;
}

static void remove_group(struct evict *e, struct group *g, struct evicted *ret)
{
	for (size_t i = 0; i < g->records.n; i++) {
		struct usage_record *rec = g->records.v[i];

		vec_push(&ret->records, rec->id);
		for (size_t k = 0; k < rec->n_layers; k++) {
			struct usage_layer *l = rec->chain[k];

			if (k + 1 < rec->n_layers)
				l->below--;
			if (--l->records == 0 && !l->image && !l->in_use)
				e->cache -= l->bytes < e->cache ? l->bytes : e->cache;
		}
	}
	g->gone = true;
}

static int load_mounts(struct db_tx *tx, struct evict *e, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT id, instance, last_used, size FROM mount WHERE last_used < ?"
			 " AND size > 0",
			 "i", e->o->unused_before);

	for (; r > 0; r = db_step(tx, q, err)) {
		struct evicted_mount m = {
			.id = db_col_text(q, 0),
			.instance = db_col_i64(q, 1),
			.last_used = db_col_i64(q, 2),
			.bytes = (uint64_t)db_col_i64(q, 3),
		};

		vec_push(&e->mounts, m);
	}
	return r;
}

static struct worth mount_worth(const struct evict *e, const struct evicted_mount *m)
{
	return worth_of(e, (double)m->bytes / MOUNT_BYTES_PER_SECOND, m->bytes, m->last_used);
}

static struct evicted_mount *least_mount(const struct evict *e, struct worth *ret)
{
	struct evicted_mount *least = NULL;

	for (size_t i = 0; i < e->mounts.n; i++) {
		struct evicted_mount *m = &e->mounts.v[i];
		struct worth worth = mount_worth(e, m);

		if (!m->id || (least && !goes_first(&worth, ret)))
			continue;
		least = m;
		*ret = worth;
	}
	return least;
}

static void choose(struct evict *e, struct evicted *ret)
{
	while (e->cache > e->o->limit) {
		struct group *g = least_group(e);
		struct worth worth = {0};
		struct evicted_mount *m = least_mount(e, &worth);

		if (!g && !m)
			return;
		if (g && (!m || goes_first(&g->worth, &worth))) {
			remove_group(e, g, ret);
			continue;
		}
		vec_push(&ret->mounts, *m);
		e->cache -= m->bytes < e->cache ? m->bytes : e->cache;
		m->id = NULL; /* moved */
	}
}

int evict_choose(struct store *s, struct db_tx *tx, const struct evict_options *o,
		 struct evicted *ret, struct error **err)
{
	struct evict e = {.o = o, .usage = CACHE_USAGE_INIT, .now = times_now_ns()};
	int r = cache_usage_load(s, tx, false, &e.usage, err);

	if (r == 0 && o->mounts)
		r = load_mounts(tx, &e, err);
	if (r == 0) {
		group_records(&e);
		e.cache = e.usage.total - e.usage.image_bytes;
		*ret = (struct evicted){.before = e.cache};
		choose(&e, ret);
		ret->remaining = e.cache;
	}
	for (size_t i = 0; i < e.groups.n; i++) {
		vec_release(&e.groups.v[i]->records);
		free(e.groups.v[i]);
	}
	for (size_t i = 0; i < e.mounts.n; i++)
		free(e.mounts.v[i].id);
	vec_release(&e.mounts);
	vec_release(&e.groups);
	cache_usage_release(&e.usage);
	return r;
}
