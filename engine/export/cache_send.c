/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/export/cache_send.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parallel.h"
#include "engine/layer/spool.h"
#include "engine/oci/oci.h"
#include "engine/remote_cache/remote_import.h"
#include "engine/remote_cache/remote_mounts.h"

enum { SENDERS_MAX = 4 };

/* A layer on its way. Its fields are its sender's until it is there. */
struct sent_layer {
	struct layer_body body;
	bool there;
	bool absent; /* its bytes cannot be fetched: what needs it is not exported */
};

static void sent_layer_free(void *layer)
{
	struct sent_layer *l = layer;

	layer_body_release(&l->body);
	free(l);
}

/* --- life --- */

int remote_target_open(struct remote_target *t, const struct export_env *e,
		       const struct remote_env *env, const struct remote_spec *spec,
		       const struct progress *progress, struct error **err)
{
	_cleanup_free_ char *title = xasprintf("exporting cache to %s", spec->type), *unique = NULL;
	struct event_vertex about = {.name = title};
	struct remote_env early = *env;
	struct digest id;
	int r;

	*t = (struct remote_target){.env = *e, .spec = spec};
	cancel_init(&t->stop);
	early.cancel = &t->stop;
	r = remote_backend_open(&early, spec, &t->backend, err);
	if (r < 0) {
		cancel_release(&t->stop);
		return r;
	}
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->asking, NULL);
	unique = xasprintf("%s %s", title, t->backend->name);
	id = digest_of(unique, strlen(unique));
	t->job = job_open_quiet(progress, e->cancel, &id, &about);
	return 0;
}

void remote_target_close(struct remote_target *t)
{
	if (t->job)
		job_close(t->job, -ERR_CANCELED, NULL);
	remote_backend_close(t->backend);
	map_release(&t->layers, sent_layer_free);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->asking);
	cancel_release(&t->stop);
	free(t->wanted);
}

/* --- one blob --- */

struct meter {
	struct job *job;
	const char *line;
	uint64_t total;
};

static void meter_sent(void *data, uint64_t sent)
{
	struct meter *m = data;

	if (sent < m->total)
		job_status(m->job, m->line, sent, m->total, false);
}

static char *writing(const char *what, const struct digest *digest)
{
	char text[DIGEST_TEXT];

	return xasprintf("writing %s %s", what, digest_format(digest, text));
}

/* `fd` is closed. */
static int put(struct remote_target *t, const struct layer_blob *blob, int fd, const char *what,
	       struct error **err)
{
	_cleanup_free_ char *line = writing(what, &blob->digest);
	struct meter meter = {.job = t->job, .line = line, .total = blob->size};
	struct remote_upload up = {.digest = blob->digest,
				   .size = blob->size,
				   .fd = fd,
				   .media_type = blob->media_type,
				   .sent = meter_sent,
				   .data = &meter};
	int r;

	job_status(t->job, line, 0, blob->size, false);
	r = t->backend->ops->put_blob(t->backend, &up, err);
	(void)close(fd);
	if (r == 0)
		job_status(t->job, line, blob->size, blob->size, true);
	return r;
}

/* --- layers --- */

static struct sent_layer *layer_of(struct remote_target *t, int64_t id, bool *ret_new)
{
	struct sent_layer *l;
	void **slot;

	pthread_mutex_lock(&t->lock);
	slot = map_put(&t->layers, &id, sizeof(id));
	*ret_new = !*slot;
	if (!*slot)
		*slot = NEW(struct sent_layer);
	l = *slot;
	pthread_mutex_unlock(&t->lock);
	return l;
}

bool remote_target_has_begun(struct remote_target *t, int64_t layer)
{
	bool is_new;

	(void)layer_of(t, layer, &is_new);
	return !is_new;
}

const char *remote_target_elsewhere(const struct remote_target *t)
{
	const char *source = t->backend->source;
	size_t host = strcspn(source, "/") + 1;

	for (size_t i = 0; t->backend->ops == &remote_registry_ops && i < t->pushed->n; i++)
		if (strncmp(t->pushed->v[i], source, host) == 0)
			return t->pushed->v[i];
	return NULL;
}

static struct layer_blob_options layer_options(const struct remote_target *t)
{
	return (struct layer_blob_options){.compression = t->spec->compression,
					   .force = t->spec->force_compression,
					   .lazy = !t->spec->force_compression,
					   .fetcher = t->env.fetcher};
}

/* What the name stands for now: asked once, by whoever sends first. */
static void look_before(struct remote_target *t)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	int r;

	pthread_mutex_lock(&t->asking);
	if (!t->before.known && t->env.imports)
		t->before.known = remote_imports_manifest(t->env.imports, t->backend->name,
							  &t->before.exists, &t->before.manifest);
	if (!t->before.known) {
		r = t->backend->ops->read_manifest(t->backend, NULL, OCI_DOCUMENT_MAX, &bytes,
						   NULL);
		t->before.known = true;
		t->before.exists = r == 0;
		if (r == 0)
			t->before.manifest = digest_of(bytes.p, bytes.n);
	}
	pthread_mutex_unlock(&t->asking);
}

/* A blob that could not be taken over is sent all the same. */
static bool take_over(struct remote_target *t, const struct digest *digest, const char *elsewhere)
{
	const struct remote_ops *ops = t->backend->ops;
	_cleanup_free_ char *line = writing("layer", digest);
	bool taken = false;

	if (!ops->take_over || !elsewhere ||
	    ops->take_over(t->backend, digest, elsewhere, &taken, NULL) < 0 || !taken)
		return false;
	job_status(t->job, line, 0, 0, true);
	return true;
}

static int put_layer(struct remote_target *t, const int64_t *layers, size_t i,
		     const struct layer_body *body, struct error **err)
{
	const struct layer_chain chain = {t->env.store, layers, i + 1, 0};
	struct layer_blob_options lo = layer_options(t);
	_cleanup_(layer_info_release) struct layer_info info = {0};
	int r = layer_get(t->env.store, layers[i], &info, err), fd;

	if (r < 0 || take_over(t, &body->blob.digest, info.source) ||
	    (t->finishing && take_over(t, &body->blob.digest, remote_target_elsewhere(t))))
		return r;
	fd = spool_layer(&chain, &lo, &lo.fetcher, body, t->backend->env.cancel, err);
	if (fd < 0)
		return fd;
	r = put(t, &body->blob, fd, "layer", err);
	return r == -ERR_INVALID || r == -ERR_CORRUPT
		       ? layer_blob_refused(t->env.store, &body->blob.digest, layers[i], r, err)
		       : r;
}

int remote_send_layer(struct remote_target *t, const int64_t *layers, size_t i, struct error **err)
{
	const struct layer_chain chain = {t->env.store, layers, i + 1, 0};
	struct layer_blob_options lo = layer_options(t);
	struct layer_body body;
	bool is_new, there = false;
	struct sent_layer *l = layer_of(t, layers[i], &is_new);
	int r;

	if (l->there)
		return 0;
	look_before(t);
	r = layer_blob_make_one(&chain, &lo, t->backend->env.cancel, &body, err);
	if (r < 0)
		return r;
	layer_body_release(&l->body);
	l->body = body;
	r = t->backend->ops->has_blob(t->backend, &body.blob.digest, &there, err);
	if (r == 0 && !there)
		r = put_layer(t, layers, i, &body, err);
	l->there = r == 0;
	return r;
}

/* --- what the graph needs --- */

struct missing {
	const struct result *chain;
	size_t i;
};

struct missing_layers {
	struct remote_target *t;
	VEC(struct missing) list;
};

/* A received layer that nobody has any more takes its records with it, not the whole export. */
static int send_nth(void *data, size_t i, struct error **err)
{
	struct missing_layers *m = data;
	const struct missing *one = &m->list.v[i];
	_cleanup_(layer_info_release) struct layer_info info = {0};
	_cleanup_(error_freep) struct error *why = NULL;
	int64_t id = one->chain->layers[one->i];
	bool is_new;
	int r = remote_send_layer(m->t, one->chain->layers, one->i, &why);

	if (r == -ERR_NOTFOUND || r == -ERR_CORRUPT) {
		struct sent_layer *l = layer_of(m->t, id, &is_new);

		if (layer_get(m->t->env.store, id, &info, NULL) == 0 && !info.has_dir &&
		    !info.has_index) {
			l->absent = true;
			return 0;
		}
	}
	if (r < 0 && err)
		*err = TAKE_PTR(why);
	return r;
}

static void add_missing(struct missing_layers *m, struct map *seen, const struct result *chain)
{
	for (size_t i = 0; chain && i < chain->n_layers; i++) {
		void **slot = map_put(seen, &chain->layers[i], sizeof(chain->layers[i]));

		if (*slot || m->t->env.is_base_layer(m->t->env.data, chain->layers[i]))
			continue;
		*slot = seen;
		vec_push(&m->list, (struct missing){.chain = chain, .i = i});
	}
}

static int send_missing(struct remote_target *t, const struct cache_uses *uses, struct error **err)
{
	struct missing_layers m = {.t = t};
	struct map seen = {0};
	int r;

	for (size_t i = 0; i < uses->list.n; i++) {
		const struct cache_use *use = &uses->list.v[i];

		if (use->v->op.kind == OP_SOURCE || !t->wanted[use->v->id])
			continue;
		for (size_t k = 0; k < use->n_outputs; k++)
			if (use->outputs[k] && !use->outputs[k]->tree)
				add_missing(&m, &seen, use->outputs[k]);
	}
	r = parallel_for_threads(SENDERS_MAX, m.list.n, send_nth, &m, err);
	vec_release(&m.list);
	map_release(&seen, NULL);
	return r;
}

/* Layers of a base image travel by name only. */
static bool diff_id_of(void *data, int64_t layer, struct digest *ret)
{
	struct remote_target *t = data;
	_cleanup_(layer_info_release) struct layer_info info = {0};
	const struct sent_layer *l = map_get(&t->layers, &layer, sizeof(layer));

	if (l) {
		*ret = l->body.diff_id;
		return l->there && !l->absent;
	}
	if (!t->env.is_base_layer(t->env.data, layer) ||
	    layer_get(t->env.store, layer, &info, NULL) < 0 || !info.has_diff_id)
		return false;
	*ret = info.diff_id;
	return true;
}

/* --- documents --- */

struct documents {
	struct remote_graph graph;
	struct remote_manifest manifest;
	struct buf packed, config, bytes;
	bool same; /* as what is there */
};
#define DOCUMENTS_INIT                                                     \
	{                                                                  \
		.packed = BUF_INIT, .config = BUF_INIT, .bytes = BUF_INIT, \
	}

static void documents_release(struct documents *d)
{
	remote_graph_release(&d->graph);
	remote_manifest_release(&d->manifest);
	buf_release(&d->packed);
	buf_release(&d->config);
	buf_release(&d->bytes);
}

static void add_blob(struct remote_manifest *m, const struct digest *diff_id,
		     const struct layer_blob *blob)
{
	struct remote_result_blob b = {.has_diff_id = true, .diff_id = *diff_id, .blob = *blob};

	for (size_t i = 0; i < m->results.n; i++)
		if (digest_equal(&m->results.v[i].diff_id, diff_id))
			return;
	b.blob.media_type = xstrdup(blob->media_type);
	vec_push(&m->results, b);
}

/* Those of the layers sent that the graph names. */
static void add_blobs(struct remote_target *t, struct documents *d)
{
	const struct map_entry *entry;

	for (size_t i = 0; (entry = map_next(&t->layers, &i));) {
		const struct sent_layer *l = entry->value;

		if (l->there && !l->absent &&
		    map_get(&d->graph.by_diff_id, l->body.diff_id.b, DIGEST_SIZE))
			add_blob(&d->manifest, &l->body.diff_id, &l->body.blob);
	}
}

/* Where somebody else wrote since the build began, theirs is kept beside ours; else only what is
 * said of layers that ours has too, which a store that never unpacked them does not know. */
static int keep_theirs(struct remote_target *t, struct documents *d,
		       const struct remote_manifest *theirs, bool all, struct error **err)
{
	_cleanup_(remote_graph_release) struct remote_graph graph = REMOTE_GRAPH_INIT;
	_cleanup_buf_ struct buf packed = BUF_INIT;
	int r = t->backend->ops->read_blob(t->backend, &theirs->graph.digest, theirs->graph.size,
					   &packed, NULL);

	if (r == -ERR_CANCELED)
		return error_new(err, ERR_CANCELED, 0, "canceled");
	if (r < 0 || remote_graph_unpack(packed.p, packed.n, &graph, NULL) < 0)
		return 0;
	remote_graph_keep_keys(&d->graph, &graph);
	if (!all) {
		remote_graph_keep_trees(&d->graph, &graph);
		return 0;
	}
	remote_graph_merge(&d->graph, &graph);
	for (size_t i = 0; i < theirs->results.n; i++)
		add_blob(&d->manifest, &theirs->results.v[i].diff_id, &theirs->results.v[i].blob);
	return 0;
}

static int write_documents(struct documents *d, struct error **err)
{
	struct remote_summary summary = {.layers = d->manifest.results.n,
					 .records = d->graph.records.n};
	int r = remote_graph_pack(&d->graph, &d->packed, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < d->graph.records.n; i++)
		if (d->graph.records.v[i].created > summary.newest)
			summary.newest = d->graph.records.v[i].created;
	remote_summary_write(&summary, &d->config);
	d->manifest.kind = REMOTE_IS_CACHE;
	d->manifest.config = (struct layer_blob){.media_type = xstrdup(REMOTE_CONFIG_TYPE),
						 .digest = digest_of(d->config.p, d->config.n),
						 .size = d->config.n};
	d->manifest.graph = (struct layer_blob){.media_type = xstrdup(REMOTE_GRAPH_TYPE),
						.digest = digest_of(d->packed.p, d->packed.n),
						.size = d->packed.n};
	return remote_manifest_write(&d->manifest, &d->bytes, err);
}

/* What the name stands for now; *ret_cache = false if that is not a cache of ours. */
static int read_now(struct remote_target *t, struct buf *bytes, struct remote_manifest *ret,
		    bool *ret_cache, struct error **err)
{
	int r = t->backend->ops->read_manifest(t->backend, NULL, OCI_DOCUMENT_MAX, bytes, NULL);

	*ret_cache = r == 0 && remote_manifest_parse(bytes->p, bytes->n, ret, NULL) == 0 &&
		     ret->kind == REMOTE_IS_CACHE;
	return r == -ERR_CANCELED ? error_new(err, ERR_CANCELED, 0, "canceled") : 0;
}

static int make_documents(struct remote_target *t, const struct cache_uses *uses,
			  struct documents *d, struct error **err)
{
	struct remote_collect collect = {
		.env = t->env, .uses = uses, .wanted = t->wanted, .diff_id = diff_id_of, .data = t};
	_cleanup_(remote_manifest_release) struct remote_manifest there = REMOTE_MANIFEST_INIT;
	_cleanup_buf_ struct buf now = BUF_INIT;
	struct digest digest;
	bool is_cache;
	int r = remote_collect(&collect, &d->graph, err);

	if (r == 0)
		r = read_now(t, &now, &there, &is_cache, err);
	if (r < 0)
		return r;
	add_blobs(t, d);
	digest = digest_of(now.p, now.n);
	if (is_cache)
		r = keep_theirs(t, d, &there,
				!t->before.exists || !digest_equal(&t->before.manifest, &digest),
				err);
	if (r == 0)
		r = remote_mounts_save(t->env.store, t->backend, &t->spec->mounts,
				       is_cache ? &there : NULL, t->job, &d->manifest, err);
	if (r == 0)
		r = write_documents(d, err);
	d->same = r == 0 && now.n == d->bytes.n && memcmp(now.p, d->bytes.p, now.n) == 0;
	return r;
}

static int put_document(struct remote_target *t, const struct layer_blob *blob,
			const struct buf *bytes, const char *what, struct error **err)
{
	bool there = false;
	int r = t->backend->ops->has_blob(t->backend, &blob->digest, &there, err), fd;

	if (r < 0 || there)
		return r;
	fd = spool_bytes(t->env.store, bytes->p, bytes->n, err);
	return fd < 0 ? fd : put(t, blob, fd, what, err);
}

static int put_documents(struct remote_target *t, struct documents *d, struct error **err)
{
	struct digest digest = digest_of(d->bytes.p, d->bytes.n);
	char text[DIGEST_TEXT];
	_cleanup_free_ char *line =
		xasprintf("writing cache image manifest %s", digest_format(&digest, text));
	int r = 0;

	if (!d->same)
		r = put_document(t, &d->manifest.graph, &d->packed, "layer", err);
	if (r == 0 && !d->same)
		r = put_document(t, &d->manifest.config, &d->config, "config", err);
	if (r < 0)
		return r;
	job_status(t->job, line, 0, 0, false);
	if (!d->same || t->backend->tidies)
		r = t->backend->ops->write_manifest(t->backend, OCI_MANIFEST_TYPE, d->bytes.p,
						    d->bytes.n, err);
	if (r == 0)
		job_status(t->job, line, 0, 0, true);
	return r;
}

int remote_target_finish(struct remote_target *t, const struct cache_uses *uses, struct error **err)
{
	static const char preparing[] = "preparing build cache for export";
	_cleanup_(documents_release) struct documents d = DOCUMENTS_INIT;
	int r;

	t->backend->env.cancel = t->env.cancel;
	t->finishing = true;
	job_status(t->job, preparing, 0, 0, false);
	look_before(t);
	r = send_missing(t, uses, err);
	if (r == 0)
		r = make_documents(t, uses, &d, err);
	if (r < 0)
		return r;
	job_status(t->job, preparing, 0, 0, true);
	if (d.graph.records.n == 0 && d.manifest.mounts.n == 0) {
		job_status(t->job, "skipping cache export for empty result", 0, 0, true);
		return 0;
	}
	return put_documents(t, &d, err);
}
