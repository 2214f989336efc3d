/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/remote_cache/remote_mounts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/map.h"
#include "base/parallel.h"
#include "engine/layer/unpack.h"
#include "store/blob.h"
#include "store/mounts.h"

enum { FETCHES_MAX = 4 };

struct offer {
	struct remote_backend *from;
	struct remote_mount mount;
};

enum tried { TRYING = 1, TRIED };

struct remote_mounts {
	struct store *store;
	pthread_mutex_t lock; /* protects tried and, until the first wish, offers */
	VEC(struct offer) offers;
	pthread_cond_t changed;
	struct map tried; /* id -> enum tried */
};

struct remote_mounts *remote_mounts_new(struct store *s)
{
	struct remote_mounts *m = NEW(struct remote_mounts);

	m->store = s;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->changed, NULL);
	return m;
}

void remote_mounts_free(struct remote_mounts *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->offers.n; i++)
		remote_mount_release(&m->offers.v[i].mount);
	vec_release(&m->offers);
	map_release(&m->tried, NULL);
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->changed);
	free(m);
}

static void copy_mount(struct remote_mount *to, const struct remote_mount *from)
{
	to->id = xstrdup(from->id);
	for (size_t i = 0; i < from->parts.n; i++) {
		struct layer_blob part = from->parts.v[i];

		part.media_type = xstrdup(part.media_type);
		vec_push(&to->parts, part);
	}
}

void remote_mounts_offer(struct remote_mounts *m, struct remote_backend *from,
			 const struct remote_manifest *manifest, const struct strv *only)
{
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < manifest->mounts.n; i++) {
		const struct remote_mount *has = &manifest->mounts.v[i];
		struct offer o = {.from = from};

		if (only->n > 0 && !strv_contains(only, has->id))
			continue;
		copy_mount(&o.mount, has);
		vec_push(&m->offers, o);
	}
	pthread_mutex_unlock(&m->lock);
}

/* --- the bytes --- */

struct fetching {
	struct remote_mounts *mounts;
	const struct offer *offer;
	struct job *job;
};

static int fetch_part(void *data, size_t i, struct error **err)
{
	const struct fetching *f = data;
	struct remote_backend *from = f->offer->from;
	const struct layer_blob *part = &f->offer->mount.parts.v[i];

	if (blob_exists(f->mounts->store, &part->digest, NULL))
		return 0;
	return from->ops->fetch_blob(from, part, f->job, err);
}

/* Reads the parts as one stream. */
struct reading {
	struct store *store;
	const struct remote_mount *mount;
	size_t next; /* the part to open when this one has ended */
	int fd;	     /* -1: none is open */
	struct cancel *cancel;
};

static int read_parts(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	struct reading *r = data;

	*ret = 0;
	while (r->fd >= 0 || r->next < r->mount->parts.n) {
		ssize_t got;

		if (cancel_is_set(r->cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		if (r->fd < 0) {
			int fd = blob_open(r->store, &r->mount->parts.v[r->next++].digest, NULL,
					   err);

			if (fd < 0)
				return fd;
			r->fd = fd;
		}
		got = fs_read_full(r->fd, p, n);
		if (got < 0)
			return error_new(err, ERR_IO, (int)-got, "read the blob");
		if (got > 0) {
			*ret = (size_t)got;
			return 0;
		}
		cleanup_closep(&r->fd);
	}
	return 0;
}

/* Fetches and unpacks aside, then puts in place. */
static int fill(struct remote_mounts *m, const struct offer *o, struct mount_use *use,
		struct job *job, struct error **err)
{
	_cleanup_(layer_writer_freep) struct layer_writer *w = NULL;
	struct fetching fetching = {m, o, job};
	struct reading reading = {.store = m->store,
				  .mount = &o->mount,
				  .fd = -1,
				  .cancel = job ? job_cancel(job) : NULL};
	struct unpack_result unpacked;
	int r = parallel_for_threads(FETCHES_MAX, o->mount.parts.n, fetch_part, &fetching, err);

	if (r == 0)
		r = layer_writer_open(m->store, &w, err);
	if (r == 0)
		layer_writer_refuse_devices(w);
	if (r == 0)
		r = unpack_layer(w, read_parts, &reading, false, &unpacked, err);
	cleanup_closep(&reading.fd);
	return r < 0 ? r : mounts_fill(use, w, err);
}

/* --- turns --- */

static void warn(struct job *job, const struct offer *o, const struct error *why)
{
	_cleanup_free_ char *text = xasprintf("cache mount '%s' was not restored from %s: %s",
					      o->mount.id, o->from->name, error_text(why));
	const struct event_warning warning = {.short_text = text, .level = 1};

	if (job)
		job_warn(job, &warning);
}

/* *ret_done: nobody else needs to try. */
static int restore_from(struct remote_mounts *m, const struct offer *o,
			const struct mount_wish *wish, struct job *job, bool *ret_done,
			struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	struct mount_wish offered = *wish;
	struct mount_use *use = NULL;
	bool is_new;
	int r;

	offered.id = o->mount.id;
	r = mounts_acquire_empty(m->store, &offered, &use, err);

	*ret_done = r < 0 || !use;
	if (*ret_done)
		return r;
	is_new = mounts_is_new(use);
	r = fill(m, o, use, job, &why);
	if (r == 0 && wish->step)
		r = mounts_note_step(use, wish->step, &why);
	mounts_release(use);
	*ret_done = r == 0;
	if (r == 0)
		return 0;
	/* So that it is new to the step: `from=` may have something for it. */
	if (is_new)
		(void)!mounts_remove(m->store, o->mount.id, NULL);
	if (r == -ERR_CANCELED)
		return error_new(err, ERR_CANCELED, 0, "canceled");
	warn(job, o, why);
	return 0;
}

static int restore(struct remote_mounts *m, const struct mount_wish *wish, struct job *job,
		   struct error **err)
{
	bool done = false;
	int r = 0;

	for (size_t i = 0; i < m->offers.n && r == 0 && !done; i++)
		if (strcmp(m->offers.v[i].mount.id, wish->id) == 0)
			r = restore_from(m, &m->offers.v[i], wish, job, &done, err);
	return r;
}

/* Is it this caller's turn? Waits for another's to end. */
static bool begin(struct remote_mounts *m, const char *id)
{
	void **slot;
	bool mine;

	pthread_mutex_lock(&m->lock);
	slot = map_puts(&m->tried, id);
	mine = !*slot;
	if (mine)
		*slot = (void *)(uintptr_t)TRYING;
	while (!mine && map_gets(&m->tried, id) == (void *)(uintptr_t)TRYING)
		pthread_cond_wait(&m->changed, &m->lock);
	pthread_mutex_unlock(&m->lock);
	return mine;
}

static void finish(struct remote_mounts *m, const char *id)
{
	pthread_mutex_lock(&m->lock);
	*map_puts(&m->tried, id) = (void *)(uintptr_t)TRIED;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

int remote_mounts_restore(struct remote_mounts *m, const struct mount_wish *wish, struct job *job,
			  struct error **err)
{
	int r;

	if (!m || m->offers.n == 0 || !begin(m, wish->id))
		return 0;
	r = restore(m, wish, job, err);
	finish(m, wish->id);
	return r;
}
