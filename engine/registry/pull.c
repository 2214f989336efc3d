/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/registry/pull.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/image_config.h"
#include "base/times.h"
#include "engine/oci/oci.h"
#include "engine/registry/fetch.h"
#include "store/blob.h"
#include "store/image.h"

/* Registries limit how many connections one client may keep busy. */
enum { FETCHES_MAX = 4 };

struct group {
	struct fetch fetch;
	int (*one)(const struct fetch *f, int64_t id, struct error **err);
	const int64_t *layers;
	size_t n;
	atomic_bool stop;
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t changed;
	size_t next;
	bool *done; /* per layer */
	int r;
	struct error *err;
};

/* Position of the next layer to fetch; false if there is none or the group stops. */
static bool take_next(struct group *g, size_t *ret)
{
	bool taken = false;

	pthread_mutex_lock(&g->lock);
	if (g->r == 0 && g->next < g->n) {
		*ret = g->next++;
		taken = true;
	}
	pthread_mutex_unlock(&g->lock);
	return taken;
}

/* Layers are taken lowest first, so whoever waits for those below waits for work that goes on. */
static int wait_below(void *data, size_t n_below, struct error **err)
{
	struct group *g = data;
	int r;

	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < n_below && g->r == 0;) {
		if (g->done[i])
			i++;
		else
			pthread_cond_wait(&g->changed, &g->lock);
	}
	r = g->r;
	pthread_mutex_unlock(&g->lock);
	return r < 0 ? error_new(err, ERR_CANCELED, 0, "a layer below could not be fetched") : 0;
}

static void *group_main(void *data)
{
	struct group *g = data;
	size_t i;

	while (take_next(g, &i)) {
		struct fetch f = g->fetch;
		struct error *err = NULL;
		int r;

		f.below = g->layers;
		f.n_below = i;
		f.wait_below = wait_below;
		f.wait_data = g;
		r = g->one(&f, g->layers[i], &err);
		pthread_mutex_lock(&g->lock);
		g->done[i] = r == 0;
		if (r < 0 && g->r == 0) {
			g->r = r;
			g->err = TAKE_PTR(err);
		}
		pthread_cond_broadcast(&g->changed);
		pthread_mutex_unlock(&g->lock);
		error_free(err);
		if (r < 0)
			atomic_store(&g->stop, true);
	}
	return NULL;
}

static int run_group(struct group *g, struct error **err)
{
	pthread_t threads[FETCHES_MAX];
	size_t n = 0;

	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
	g->done = xcalloc(g->n, sizeof(*g->done));
	g->fetch.stop = &g->stop;
	/* This thread is one of them. */
	while (n + 1 < FETCHES_MAX && n + 1 < g->n &&
	       pthread_create(&threads[n], NULL, group_main, g) == 0)
		n++;
	group_main(g);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->lock);
	free(g->done);
	if (g->r < 0 && err)
		*err = TAKE_PTR(g->err);
	error_free(g->err);
	return g->r;
}

int layers_require(struct store *s, struct registry *reg, struct job *job, const int64_t *layers,
		   size_t n, struct error **err)
{
	struct group g = {.fetch = {.store = s, .registry = reg, .job = job},
			  .one = fetch_layer,
			  .layers = layers,
			  .n = n};
	bool all;
	int r = layers_have(s, LAYER_DIR, layers, n, &all, err);

	return r < 0 || all ? r : run_group(&g, err);
}

int indexes_require(struct store *s, struct registry *reg, struct job *job, const int64_t *layers,
		    size_t n, struct error **err)
{
	struct group g = {.fetch = {.store = s, .registry = reg, .job = job},
			  .one = fetch_index,
			  .layers = layers,
			  .n = n};
	bool all;
	int r = layers_have(s, LAYER_INDEX, layers, n, &all, err);

	return r < 0 || all ? r : run_group(&g, err);
}

int blobs_require(struct store *s, struct registry *reg, struct job *job, const int64_t *layers,
		  size_t n, struct error **err)
{
	struct group g = {.fetch = {.store = s, .registry = reg, .job = job},
			  .one = fetch_blob,
			  .layers = layers,
			  .n = n};

	return run_group(&g, err);
}

static int64_t image_created(const struct image_source *image)
{
	struct image_config config;
	int64_t ns = 0;

	if (image_config_parse(image->config.p, image->config.n, &config, NULL) < 0)
		return 0;
	if (!config.created || times_parse_rfc3339(config.created, &ns) < 0)
		ns = 0;
	image_config_release(&config);
	return ns;
}

static int record_image(struct store *s, const struct image_source *image, struct error **err)
{
	struct platform p = image->platform;
	struct image i = {.manifest = image->manifest,
			  .config = image->config_digest,
			  .created = image_created(image),
			  .layers = image->layers,
			  .n_layers = image->n_layers,
			  .os = p.os,
			  .arch = p.arch,
			  .variant = p.variant};

	for (size_t n = 0; n < image->n_layers; n++) {
		_cleanup_(layer_info_release) struct layer_info info = {0};
		int r = layer_get(s, image->layers[n], &info, err);

		if (r < 0)
			return r;
		i.size += info.size;
	}
	return image_put(s, &i, image->name, IMAGE_PULLED, NULL, err);
}

int image_complete(struct store *s, struct registry *reg, struct job *job,
		   const struct image_source *image, struct error **err)
{
	int r;

	if (image->made)
		return 0;
	r = layers_require(s, reg, job, image->layers, image->n_layers, err);
	if (r == 0)
		r = blobs_require(s, reg, job, image->layers, image->n_layers, err);
	if (r == 0)
		r = record_image(s, image, err);
	return r < 0 ? error_wrap(err, r, "pull %s", image->pinned) : 0;
}

int image_pull(struct store *s, struct registry *reg, const char *ref,
	       const struct platform *platform, const struct progress *progress,
	       struct cancel *cancel, struct image_source *ret, struct error **err)
{
	_cleanup_(error_freep) struct error *failed = NULL;
	_cleanup_free_ char *title = xasprintf("pull %s", ref);
	struct job *job = job_open(progress, cancel, title);
	struct image_source image = {.config = BUF_INIT};
	int r = image_resolve(s, reg, ref, platform, PULL_ALWAYS, job, &image, &failed);

	if (r == 0)
		r = image_complete(s, reg, job, &image, &failed);
	job_close(job, r, &failed);
	if (r == 0 && ret)
		*ret = image;
	else
		image_source_release(&image);
	if (r < 0 && err)
		*err = TAKE_PTR(failed);
	return r;
}
