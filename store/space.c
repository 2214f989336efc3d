/* SPDX-License-Identifier: Apache-2.0 */
#include "store/space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/strv.h"
#include "base/times.h"
#include "store/durable.h"
#include "store/evict.h"
#include "store/gc_sweep.h"
#include "store/internal.h"
#include "store/mounts.h"

#define CAP_MAX UINT64_C(100000000000)
enum { CAP_SHARE = 5, FREE_SHARE = 20 };
#define HOUR INT64_C(3600000000000)

static void file_system(struct store *s, uint64_t *ret_size, uint64_t *ret_free)
{
	struct statvfs v;

	*ret_size = *ret_free = UINT64_MAX;
	if (fstatvfs(s->dirfd, &v) < 0)
		return;
	*ret_size = (uint64_t)v.f_blocks * v.f_frsize;
	*ret_free = (uint64_t)v.f_bavail * v.f_frsize;
}

void space_policy_default(struct store *s, struct space_policy *ret)
{
	uint64_t size, free;

	file_system(s, &size, &free);
	*ret = (struct space_policy){
		.max_used = size / CAP_SHARE < CAP_MAX ? size / CAP_SHARE : CAP_MAX,
		.min_free = size == UINT64_MAX ? 0 : size / FREE_SHARE,
		.keep_ns = 48 * HOUR,
	};
}

void space_set_policy(struct store *s, const struct space_policy *policy)
{
	s->policy = *policy;
	s->limited = true;
}

static int usage(struct store *s, uint64_t *ret, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int64_t bytes;
	int r = db_begin(s->db, DB_LOOK, &tx, err);

	if (r == 0)
		r = db_get_i64(&tx, &bytes, 0, err, "SELECT bytes FROM usage", "");
	if (r == 0)
		*ret = (uint64_t)bytes;
	return r;
}

/* What images need is not the cache's. Kept for the life of the handle: it changes only when images
 * come and go, and is asked again before anything is evicted. */
static int count_images(struct store *s, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int64_t bytes;
	int r = db_begin(s->db, DB_READ, &tx, err);

	if (r == 0)
		r = db_get_i64(
			&tx, &bytes, 0, err,
			"SELECT coalesce(sum(has_dir * disk + coalesce((SELECT blob.size"
			" FROM blob WHERE blob.digest = layer.blob), 0)), 0) FROM layer"
			" WHERE EXISTS (SELECT 1 FROM image_layer i WHERE i.layer = layer.id)",
			"");
	if (r == 0)
		s->image_bytes = (uint64_t)bytes;
	return r;
}

static bool fits(const struct store *s, uint64_t total, uint64_t more)
{
	return total + more <= s->policy.max_used + s->image_bytes + s->made_bytes;
}

void space_note(struct store *s, uint64_t bytes)
{
	if (!s->limited || !s->policy.makes_image)
		return;
	pthread_mutex_lock(&s->space_mutex);
	s->made_bytes += bytes;
	pthread_mutex_unlock(&s->space_mutex);
}

/* The rows of what was chosen. Mounts are removed later, each under its own lock. */
static int drop_chosen(struct store *s, const struct evict_options *o, struct evicted *chosen,
		       struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r == 0)
		r = evict_choose(s, &tx, o, chosen, err);
	for (size_t i = 0; i < chosen->records.n && r == 0; i++)
		r = db_run(&tx, err, "DELETE FROM record WHERE id = ?", "i", chosen->records.v[i]);
	return r < 0 ? r : db_commit(&tx, err);
}

static int remove_mounts(struct store *s, const struct evicted *chosen, struct gc_result *result,
			 struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < chosen->mounts.n && r == 0; i++) {
		const struct evicted_mount *m = &chosen->mounts.v[i];
		bool removed = false;

		/* One that was used since is left alone. */
		r = mounts_evict(s, m->id, m->instance, m->last_used + 1, &removed, &result->bytes,
				 err);
		if (removed)
			strv_push(&result->mounts, m->id);
	}
	return r;
}

static int evict(struct store *s, const struct evict_options *o, struct evicted *chosen,
		 struct gc_result *result, struct error **err)
{
	struct gc_result freed = {0};
	int r = drop_chosen(s, o, chosen, err);

	if (r == 0)
		r = remove_mounts(s, chosen, result, err);
	if (r == 0)
		r = gc_collect(s, &freed, err);
	result->bytes += freed.bytes;
	result->n_blobs += freed.n_blobs;
	result->layers = TAKE_PTR(freed.layers);
	result->n_layers = freed.n_layers;
	if (chosen->records.n > 0) {
		result->records = xcalloc(chosen->records.n, sizeof(*result->records));
		memcpy(result->records, chosen->records.v,
		       chosen->records.n * sizeof(*result->records));
		result->n_records = chosen->records.n;
	}
	gc_result_release(&freed);
	return r;
}

/* Drops and collects what evict_choose names for these limits. */
static int evict_to(struct store *s, uint64_t limit, int64_t unused_before, struct error **err)
{
	struct evict_options o = {.limit = limit, .unused_before = unused_before, .mounts = true};
	struct evicted chosen = {0};
	struct gc_result result = {0};
	int r = evict(s, &o, &chosen, &result, err);

	evicted_release(&chosen);
	gc_result_release(&result);
	return r;
}

static int too_much(struct store *s, uint64_t needed, struct error **err)
{
	_cleanup_free_ char *need = times_human_size(needed);
	_cleanup_free_ char *cap = times_human_size(s->policy.max_used);

	(void)error_new(err, ERR_NOSPACE, 0,
			"the build cache would take %s even with everything unused removed; the "
			"limit is %s",
			need, cap);
	return error_hint(err, -ERR_NOSPACE,
			  "raise \"max-used-space\" of \"gc\" in the configuration, or wait until "
			  "other builds have ended");
}

/* Called with space_mutex held. */
static int make_room(struct store *s, uint64_t more, struct error **err)
{
	struct evict_options o = {.unused_before = INT64_MAX, .mounts = true};
	struct evicted chosen = {0};
	struct gc_result result = {0};
	uint64_t total;
	int r;

	o.limit = more < s->policy.max_used ? s->policy.max_used - more : 0;
	r = evict(s, &o, &chosen, &result, err);
	evicted_release(&chosen);
	gc_result_release(&result);
	if (r == 0)
		r = usage(s, &total, err);
	if (r < 0)
		return error_wrap(err, r, "make room in the store '%s'", s->root);
	s->hopeless = fits(s, total, more) ? 0 : total;
	if (s->hopeless && s->policy.strict)
		return too_much(s, total - s->image_bytes + more, err);
	return 0;
}

int space_reserve(struct store *s, uint64_t more, struct error **err)
{
	uint64_t total;
	int r;

	if (!s->limited)
		return 0;
	if (s->policy.makes_image)
		more = 0;
	r = usage(s, &total, err);
	if (r < 0 || total + more <= s->policy.max_used)
		return r;
	pthread_mutex_lock(&s->space_mutex);
	if (!fits(s, total, more)) {
		r = count_images(s, err);
		if (r == 0)
			r = usage(s, &total, err);
	}
	/* Where what is in use leaves no room, trying again at every write would only cost time;
	 * after some growth there may be something to evict. */
	if (r == 0 && !fits(s, total, more) &&
	    (s->policy.strict || s->hopeless == 0 ||
	     total + more > s->hopeless + s->policy.max_used / 16))
		r = make_room(s, more, err);
	pthread_mutex_unlock(&s->space_mutex);
	return r;
}

/* Time of the last full collection; 0: never. */
static int last_collection(struct store *s, int64_t *ret, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_free_ char *text = NULL;
	struct sqlite3_stmt *q = NULL;
	int r = db_begin(s->db, DB_READ, &tx, err);

	*ret = 0;
	if (r == 0)
		r = db_query(&tx, &q, err, "SELECT value FROM meta WHERE name = 'last_full_gc'",
			     "");
	if (r > 0)
		text = db_col_text(q, 0);
	if (text && times_parse_rfc3339(text, ret) < 0)
		*ret = 0;
	return r < 0 ? r : 0;
}

/* In a new store there is nothing to collect: the first build need not wait for the disk. */
static int put_off_collection(struct store *s, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r == 0)
		r = gc_note_collection(&tx, err);
	return r < 0 ? r : db_commit(&tx, err);
}

int space_maintain(struct store *s, struct error **err)
{
	uint64_t size, free, total;
	int64_t last, now = times_now_ns();
	int r;

	if (!s->limited)
		return 0;
	lease_release(s);
	s->made_bytes = 0; /* by now they are an image's, or free to go */
	r = space_reserve(s, 0, NULL);
	if (r == -ERR_NOSPACE)
		r = 0; /* in use; the next write says so */
	if (r == 0)
		r = usage(s, &total, err);
	if (r < 0)
		return r;
	file_system(s, &size, &free);
	if (free < s->policy.min_free) {
		uint64_t excess = s->policy.min_free - free;

		r = evict_to(s, total > excess ? total - excess : 0, now - s->policy.keep_ns, err);
	}
	if (r == 0)
		r = last_collection(s, &last, err);
	/* A clock that was set back must not put it off for ever. */
	if (r == 0 && last == 0)
		r = put_off_collection(s, err);
	else if (r == 0 && (now - last > 24 * HOUR || last > now))
		r = store_gc(s, NULL, err);
	return r;
}
