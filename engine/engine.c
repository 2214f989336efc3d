/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "engine/cache/cache_store.h"
#include "engine/image/source_oci_layout.h"
#include "engine/remote_cache/remote_import.h"
#include "engine/require.h"
#include "engine/vertex_ops.h"
#include "solver/solver.h"
#include "store/image.h"

static void image_source_free(void *image)
{
	image_source_release(image);
	free(image);
}

static void context_free(void *data)
{
	struct engine_context *c = data;

	free(c->dir);
	free(c->ignore.name);
	free(c->ignore.text);
	free(c);
}

int engine_open(struct store *s, struct cancel *cancel, struct engine **ret, struct error **err)
{
	struct engine *e = NEW(struct engine);
	int r;

	e->store = s;
	e->cancel = cancel;
	e->session.grants.cancel = cancel;
	e->output.compression =
		(struct compress_options){.type = COMPRESS_NONE, .level = COMPRESS_LEVEL_DEFAULT};
	pthread_mutex_init(&e->lock, NULL);
	r = config_load(&e->config, err);
	if (r < 0) {
		engine_close(e);
		return r;
	}
	e->registry = registry_new(&e->config);
	registry_set_cancel(e->registry, cancel);
	e->http = http_files_new(s, &e->config, &e->session.grants);
	e->git = git_sources_new(s, &e->config, &e->session.grants);
	e->sources = (struct source_env){
		.store = s, .config = &e->config, .http = e->http, .git = e->git};
	e->sandbox = sandbox_env_new();
	*ret = e;
	return 0;
}

void engine_dismiss(struct engine *e)
{
	registry_set_progress(e->registry, NULL);
	sandbox_env_dismiss(e->sandbox);
}

void engine_close(struct engine *e)
{
	if (!e)
		return;
	remote_imports_free(e->imports);
	sandbox_env_free(e->sandbox);
	grants_release(&e->session.grants);
	cache_policy_release(&e->cache_policy);
	vec_release(&e->watches);
	map_release(&e->contexts, context_free);
	map_release(&e->images, image_source_free);
	map_release(&e->lost, NULL);
	http_files_free(e->http);
	git_sources_free(e->git);
	registry_free(e->registry);
	config_release(&e->config);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

static void add_context(struct engine *e, const char *name, struct engine_context context)
{
	void **slot = map_puts(&e->contexts, name);

	if (*slot)
		context_free(*slot);
	*slot = NEW(struct engine_context);
	*(struct engine_context *)*slot = context;
}

void engine_add_context(struct engine *e, const char *name, const char *dir)
{
	add_context(e, name, (struct engine_context){.dir = xstrdup(dir)});
}

void engine_set_ignore_file(struct engine *e, const char *context, const char *file,
			    const char *text, size_t n)
{
	struct engine_context *c = map_gets(&e->contexts, context);

	free(c->ignore.name);
	free(c->ignore.text);
	c->ignore = (struct ignore_file){xstrdup(file), xstrndup(text, n), n};
}

void engine_add_layer_context(struct engine *e, const char *name, int64_t layer)
{
	add_context(e, name, (struct engine_context){.layer = layer});
}

const struct engine_context *engine_find_context(const struct engine *e, const char *name)
{
	return map_gets(&e->contexts, name);
}

static char *image_key(const char *digest, const struct platform *platform)
{
	char text[64];

	return xasprintf("%s %s", digest, platform_format(platform, text));
}

/* Keeps what was resolved under the digest that pins it, and returns the kept one. */
static const struct image_source *remember(struct engine *e, struct image_source *image,
					   const struct platform *platform)
{
	char digest[DIGEST_TEXT];
	_cleanup_free_ char *key = image_key(digest_format(&image->digest, digest), platform);
	void **slot;

	pthread_mutex_lock(&e->lock);
	slot = map_puts(&e->images, key);
	if (*slot) {
		image_source_release(image);
	} else {
		struct image_source *kept = NEW(struct image_source);

		*kept = *image;
		*slot = kept;
	}
	image = *slot;
	pthread_mutex_unlock(&e->lock);
	return image;
}

static int resolve_image(struct engine *e, struct job *job, const char *ref, bool oci_layout,
			 const struct platform *platform, enum pull_policy policy,
			 struct image_source *ret, struct error **err)
{
	if (oci_layout)
		return oci_layout_resolve(e->store, ref, platform, job, ret, err);
	return image_resolve(e->store, e->registry, ref, platform, policy, job, ret, err);
}

int engine_find_image(struct engine *e, struct job *job, const char *pinned, bool oci_layout,
		      const struct platform *platform, const struct image_source **ret,
		      struct error **err)
{
	struct image_source image = {.config = BUF_INIT};
	const char *at = strrchr(pinned, '@');
	_cleanup_free_ char *key = image_key(at ? at + 1 : pinned, platform);
	int r;

	pthread_mutex_lock(&e->lock);
	*ret = map_gets(&e->images, key);
	pthread_mutex_unlock(&e->lock);
	if (*ret)
		return 0;
	r = resolve_image(e, job, pinned, oci_layout, platform, PULL_LOCAL, &image, err);
	if (r < 0)
		return r;
	*ret = remember(e, &image, platform);
	return 0;
}

bool engine_is_base_layer(struct engine *e, int64_t layer)
{
	const struct map_entry *entry;
	bool found = false;

	pthread_mutex_lock(&e->lock);
	for (size_t i = 0; !found && (entry = map_next(&e->images, &i));) {
		const struct image_source *image = entry->value;

		for (size_t k = 0; k < image->n_layers; k++)
			found = found || image->layers[k] == layer;
	}
	pthread_mutex_unlock(&e->lock);
	return found;
}

bool engine_has_lost_base(struct engine *e)
{
	const struct map_entry *entry;
	bool found = false;

	pthread_mutex_lock(&e->lock);
	for (size_t i = 0; !found && (entry = map_next(&e->images, &i));) {
		const struct image_source *image = entry->value;

		for (size_t k = 0; !found && k < image->n_layers; k++)
			if (layer_is_lost(e->store, image->layers[k], &found, NULL) < 0)
				found = false;
	}
	pthread_mutex_unlock(&e->lock);
	return found;
}

struct resolve_task {
	struct engine *engine;
	const struct progress *progress;
	struct engine_image *images;
};

static int resolve_one(void *data, size_t i, struct error **err)
{
	struct resolve_task *task = data;
	struct engine_image *image = &task->images[i];
	struct image_source source = {.config = BUF_INIT};
	struct job *job = job_open(task->progress, task->engine->cancel, image->name);
	int r;

	r = resolve_image(task->engine, job, image->ref, image->oci_layout, &image->platform,
			  image->policy, &source, &image->error);
	if (r == 0)
		image->source = remember(task->engine, &source, &image->platform);
	job_close(job, r, &image->error);
	return r == -ERR_CANCELED ? error_new(err, ERR_CANCELED, 0, "canceled") : 0;
}

int engine_resolve(struct engine *e, const struct progress *progress, struct engine_image *images,
		   size_t n, struct error **err)
{
	struct resolve_task task = {.engine = e, .progress = progress, .images = images};

	registry_set_progress(e->registry, progress);
	return parallel_for(n, resolve_one, &task, err);
}

static int is_named(struct store *s, const struct image_source *image, bool *ret,
		    struct error **err)
{
	_cleanup_(image_release) struct image named = {0};
	int r = image_by_name(s, image->name, ret, &named, NULL, err);

	if (r == 0 && *ret)
		*ret = digest_equal(&named.manifest, &image->manifest);
	return r;
}

static int keep_image(struct engine *e, const struct progress *progress,
		      const struct image_source *image, struct error **err)
{
	const struct platform host = platform_host();
	struct event_vertex about = {0};
	bool named = false;
	struct digest id;
	struct job *job;
	char *title;
	int r;

	if (!image->name || image->made || !platform_match(&host, &image->platform))
		return 0;
	r = is_named(e->store, image, &named, err);
	if (r < 0 || named)
		return r;
	/* Shown only if something has to be fetched. */
	title = xasprintf("[internal] keep %s", image->name);
	about.name = title;
	id = digest_of(title, strlen(title));
	job = job_open_quiet(progress, e->cancel, &id, &about);
	free(title);
	r = image_complete(e->store, e->registry, job, image, err);
	return job_close(job, r, err);
}

int engine_keep_images(struct engine *e, const struct progress *progress, struct error **err)
{
	const struct map_entry *entry;
	int r = 0;

	for (size_t i = 0; r == 0 && (entry = map_next(&e->images, &i));)
		r = keep_image(e, progress, entry->value, err);
	return r;
}

static int fetch_blobs(void *data, const int64_t *layers, size_t n, struct error **err)
{
	return require_blobs(data, NULL, layers, n, err);
}

struct blob_fetcher engine_blob_fetcher(struct engine *e)
{
	return (struct blob_fetcher){.require = fetch_blobs, .data = e};
}

static bool is_base_layer(void *data, int64_t layer)
{
	return engine_is_base_layer(data, layer);
}

static int make_dirs(void *data, struct job *job, const int64_t *layers, size_t n,
		     struct error **err)
{
	return require_dirs(data, job, layers, n, err);
}

struct export_env engine_export_env(struct engine *e)
{
	return (struct export_env){.store = e->store,
				   .registry = e->registry,
				   .config = &e->config,
				   .cancel = e->cancel,
				   .imports = e->imports,
				   .fetcher = engine_blob_fetcher(e),
				   .is_base_layer = is_base_layer,
				   .require_dirs = make_dirs,
				   .data = e};
}

static void tell_watches(void *data, const struct vertex *v, struct result *const *outputs,
			 size_t n_outputs)
{
	const struct engine *e = data;

	for (size_t i = 0; i < e->watches.n; i++)
		e->watches.v[i].made(e->watches.v[i].data, v, outputs, n_outputs);
}

int engine_solve(struct engine *e, const struct graph *g, const struct edge *targets, size_t n,
		 const struct progress *progress, struct result **ret, struct error **err)
{
	struct cache_store cache;
	struct vertex_ops ops;
	struct solver_options o = {
		.ops = &vertex_solver_ops,
		.ops_data = &ops,
		.cache = &cache_store_backend,
		.cache_data = &cache,
		.progress = progress,
		.cancel = e->cancel,
		.max_parallelism = e->max_parallelism,
		.made = tell_watches,
		.made_data = e,
	};
	int r;

	registry_set_progress(e->registry, progress);
	cache_store_init(&cache, e->store, &e->cache_policy, e->imports, e->uses);
	vertex_ops_init(&ops, e, g, targets, n);
	r = solver_solve(&o, g, targets, n, ret, err);
	vertex_ops_release(&ops);
	/* Failing to note what was used must not hide how the build ended. */
	(void)!cache_store_finish(&cache, NULL);
	miss_log_lines(&cache.misses, &e->cache_policy.reasons);
	cache_store_release(&cache);
	return r;
}
