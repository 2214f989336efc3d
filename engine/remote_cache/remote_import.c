/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/remote_cache/remote_import.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/parallel.h"
#include "engine/remote_cache/remote_imported.h"
#include "engine/remote_cache/remote_read.h"

enum { READERS_MAX = 4 };

/* --- what was read --- */

static struct imported_graph *graph_new(struct remote_backend *b)
{
	struct imported_graph *g = NEW(struct imported_graph);

	g->backend = b;
	return g;
}

static void graph_free(struct imported_graph *g)
{
	for (size_t i = 0; g->layers && i < g->graph.layers.n; i++)
		free(g->layers[i].blob.media_type);
	free(g->layers);
	remote_graph_release(&g->graph);
	free(g);
}

/* Which blob each layer of the graph is. */
static void assign_blobs(struct imported_graph *g, const struct remote_manifest *m)
{
	g->layers = xcalloc(g->graph.layers.n + 1, sizeof(*g->layers));
	for (size_t i = 0; i < m->results.n; i++) {
		const struct remote_result_blob *b = &m->results.v[i];
		uintptr_t at = b->has_diff_id ? (uintptr_t)map_get(&g->graph.by_diff_id,
								   b->diff_id.b, DIGEST_SIZE)
					      : 0;
		struct imported_layer *l = at ? &g->layers[at - 1] : NULL;

		if (!l || l->has_blob)
			continue;
		l->has_blob = true;
		l->blob = b->blob;
		l->blob.media_type = xstrdup(b->blob.media_type);
	}
}

struct reading {
	struct remote_imports *im;
	struct remote_backend *backend;
	const struct strv *mounts;
};

static int take_cache(void *data, const struct remote_manifest *m, struct remote_graph *graph,
		      struct error **err)
{
	const struct reading *r = data;
	struct imported_graph *g = graph_new(r->backend);

	(void)err;
	g->graph = *graph;
	*graph = (struct remote_graph)REMOTE_GRAPH_INIT;
	assign_blobs(g, m);
	remote_imports_enter(r->im, g);
	remote_mounts_offer(r->im->mounts, r->backend, m, r->mounts);
	return 0;
}

/* --- in the background --- */

static void warn(struct job *job, const struct remote_backend *b, const struct error *why)
{
	const char *hint = error_hint_text(why);
	_cleanup_free_ char *text = xasprintf("the cache %s is not used: %s%s%s", b->name,
					      error_text(why), hint ? "; " : "", hint ? hint : "");
	struct event_warning w = {.short_text = text};

	job_warn(job, &w);
}

static int read_one(void *data, size_t i, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	struct remote_imports *im = data;
	struct import_source *source = &im->sources.v[i];
	struct remote_backend *b = source->backend;
	_cleanup_free_ char *title = xasprintf("importing cache manifest from %s", b->name);
	struct job *job = job_open(im->progress, &im->stop, title);
	struct reading reading = {im, b, &source->mounts};
	int r = remote_read(b, take_cache, &reading, &source->manifest, &why);

	source->exists = !digest_is_zero(&source->manifest);
	source->known = source->exists || r == -ERR_NOTFOUND;

	(void)err;
	if (r < 0 && r != -ERR_CANCELED)
		warn(job, b, why);
	job_close(job, r == -ERR_CANCELED ? r : 0, NULL);
	return 0;
}

static void *read_all(void *data)
{
	struct remote_imports *im = data;
	uint64_t one = 1;

	(void)!parallel_for_threads(READERS_MAX, im->sources.n, read_one, im, NULL);
	(void)!write(im->done_fd, &one, sizeof(one));
	return NULL;
}

void remote_imports_start(struct remote_imports *im, const struct progress *progress)
{
	im->progress = progress;
	im->running = pthread_create(&im->thread, NULL, read_all, im) == 0;
	/* Without a thread it takes a moment here. */
	if (!im->running)
		(void)read_all(im);
}

void remote_imports_wait(struct remote_imports *im)
{
	struct cancel *cancel = im->env.cancel;

	pthread_mutex_lock(&im->wait_lock);
	while (im->running) {
		struct pollfd fds[2] = {{.fd = im->done_fd, .events = POLLIN},
					{.fd = cancel ? cancel->fd : -1, .events = POLLIN}};

		if (cancel_is_set(cancel) || (poll(fds, 2, -1) > 0 && fds[1].revents))
			cancel_set(&im->stop);
		if (!fds[0].revents && !cancel_is_set(&im->stop))
			continue;
		pthread_join(im->thread, NULL);
		im->running = false;
		for (size_t i = 0; i < im->sources.n; i++)
			im->sources.v[i].backend->env.cancel = cancel;
	}
	pthread_mutex_unlock(&im->wait_lock);
}

/* --- life --- */

struct remote_imports *remote_imports_new(const struct remote_env *env)
{
	struct remote_imports *im = NEW(struct remote_imports);

	im->env = *env;
	im->mounts = remote_mounts_new(env->store);
	cancel_init(&im->stop);
	im->done_fd = eventfd(0, EFD_CLOEXEC);
	pthread_mutex_init(&im->wait_lock, NULL);
	pthread_mutex_init(&im->lock, NULL);
	return im;
}

int remote_imports_add(struct remote_imports *im, const struct remote_spec *spec,
		       struct error **err)
{
	struct remote_env env = im->env;
	struct import_source source = {0};
	struct remote_backend *b;
	int r;

	env.cancel = &im->stop;
	r = remote_backend_open(&env, spec, &b, err);
	if (r < 0)
		return r;
	source.backend = b;
	strv_copy(&source.mounts, &spec->mounts);
	vec_push(&im->sources, source);
	return 0;
}

int remote_imports_restore(struct remote_imports *im, const struct mount_wish *wish,
			   struct job *job, struct error **err)
{
	if (!im)
		return 0;
	remote_imports_wait(im);
	return remote_mounts_restore(im->mounts, wish, job, err);
}

bool remote_imports_manifest(struct remote_imports *im, const char *name, bool *ret_exists,
			     struct digest *ret)
{
	remote_imports_wait(im);
	for (size_t i = 0; i < im->sources.n; i++) {
		const struct import_source *s = &im->sources.v[i];

		if (!s->known || strcmp(s->backend->name, name) != 0)
			continue;
		*ret_exists = s->exists;
		*ret = s->manifest;
		return true;
	}
	return false;
}

static void source_release(struct import_source *s)
{
	remote_backend_close(s->backend);
	strv_release(&s->mounts);
}

void remote_imports_stop(struct remote_imports *im)
{
	if (!im)
		return;
	cancel_set(&im->stop);
	remote_imports_wait(im);
}

void remote_imports_free(struct remote_imports *im)
{
	if (!im)
		return;
	remote_imports_stop(im);
	for (size_t i = 0; i < im->graphs.n; i++)
		graph_free(im->graphs.v[i]);
	for (size_t i = 0; i < im->sources.n; i++)
		source_release(&im->sources.v[i]);
	remote_mounts_free(im->mounts);
	vec_release(&im->graphs);
	vec_release(&im->sources);
	map_release(&im->keys, NULL);
	map_release(&im->hearsay, NULL);
	map_release(&im->trees, NULL);
	map_release(&im->refused, NULL);
	map_release(&im->diff_ids, free);
	if (im->done_fd >= 0)
		(void)close(im->done_fd);
	cancel_release(&im->stop);
	pthread_mutex_destroy(&im->wait_lock);
	pthread_mutex_destroy(&im->lock);
	free(im);
}
