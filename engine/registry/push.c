/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/registry/push.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/parallel.h"
#include "engine/layer/spool.h"
#include "store/blob.h"

/* Registries limit how many connections one client may keep busy. */
enum { UPLOADS_MAX = 4 };

/* One blob on its way: a config, or layer `layer` of an image. */
struct upload {
	const struct push_image *image;
	size_t layer;
	bool is_config;
	struct digest digest;
	uint64_t size;
};

struct uploads {
	struct push_job *p;
	const struct imageref *ref;
	VEC(struct upload) list;
};

void push_job_release(struct push_job *p)
{
	free(p->last);
	p->last = NULL;
}

/* --- the bytes --- */

static int open_bytes(struct push_job *p, const struct upload *u, int *ret_fd, struct error **err)
{
	const struct push_image *m = u->image;
	int r;

	if (u->is_config)
		r = spool_bytes(p->store, m->config->p, m->config->n, err);
	else if (m->layers)
		r = spool_layer(&(struct layer_chain){p->store, m->layers, u->layer + 1, m->n_keep},
				&m->options, &p->fetcher, &m->bodies[u->layer], p->cancel, err);
	else
		r = blob_open(p->store, &u->digest, NULL, err);
	if (r < 0)
		return r;
	*ret_fd = r;
	return 0;
}

/* --- one blob --- */

struct meter {
	struct job *job;
	char id[DIGEST_TEXT];
	uint64_t total;
};

static void meter_sent(void *data, uint64_t sent)
{
	struct meter *m = data;

	if (m->job && sent < m->total)
		job_status(m->job, m->id, sent, m->total, false);
}

/* "host/path" of another repository of the same registry: its path, else NULL. */
static const char *same_registry(const struct imageref *ref, const char *repository)
{
	size_t n = strlen(ref->host);

	if (!repository || strncmp(repository, ref->host, n) != 0 || repository[n] != '/')
		return NULL;
	return strcmp(repository + n + 1, ref->path) == 0 ? NULL : repository + n + 1;
}

/* A blob that could not be taken over is sent all the same. */
static bool mount_from(const struct uploads *all, const struct upload *u, const char *repository)
{
	const char *from = same_registry(all->ref, repository);
	bool mounted = false;

	return from &&
	       registry_push_mount(all->p->registry, all->ref, from, &u->digest, all->p->cancel,
				   &mounted, NULL) == 0 &&
	       mounted;
}

static bool take_over(const struct uploads *all, const struct upload *u)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};

	if (mount_from(all, u, all->p->last))
		return true;
	return !u->is_config && u->image->layers &&
	       layer_get(all->p->store, u->image->layers[u->layer], &info, NULL) == 0 &&
	       mount_from(all, u, info.source);
}

static int send_bytes(const struct uploads *all, const struct upload *u, struct error **err)
{
	struct push_job *p = all->p;
	struct meter meter = {.job = p->job, .total = u->size};
	struct registry_upload up = {
		.digest = u->digest, .size = u->size, .sent = meter_sent, .data = &meter};
	_cleanup_close_ int fd = -1;
	int r = open_bytes(p, u, &fd, err);

	if (r < 0)
		return r;
	digest_format(&u->digest, meter.id);
	up.fd = fd;
	r = registry_push_blob(p->registry, all->ref, &up, p->cancel, err);
	if (r == -ERR_INVALID && !u->is_config)
		r = layer_blob_refused(p->store, &u->digest,
				       u->image->layers ? u->image->layers[u->layer] : 0, r, err);
	if (r == 0 && p->job)
		job_status(p->job, meter.id, u->size, u->size, true);
	return r;
}

static int push_blob(void *data, size_t i, struct error **err)
{
	const struct uploads *all = data;
	const struct upload *u = &all->list.v[i];
	bool there = false;
	int r = registry_push_has_blob(all->p->registry, all->ref, &u->digest, all->p->cancel,
				       &there, err);

	if (r < 0 || there || take_over(all, u))
		return r;
	return send_bytes(all, u, err);
}

/* --- an image, or several under an index --- */

static void add_upload(struct uploads *all, const struct upload *u)
{
	for (size_t i = 0; i < all->list.n; i++)
		if (digest_equal(&all->list.v[i].digest, &u->digest))
			return;
	vec_push(&all->list, *u);
}

static void list_blobs(struct uploads *all)
{
	for (size_t i = 0; i < all->p->n_images; i++) {
		const struct push_image *m = &all->p->images[i];

		for (size_t k = 0; k < m->n_layers; k++)
			add_upload(all, &(struct upload){.image = m,
							 .layer = k,
							 .digest = m->bodies[k].blob.digest,
							 .size = m->bodies[k].blob.size});
		add_upload(all, &(struct upload){.image = m,
						 .is_config = true,
						 .digest = m->config_digest,
						 .size = m->config->n});
	}
}

int push_layer(struct push_job *p, const char *name, const struct push_image *m, size_t layer,
	       struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	struct uploads all = {.p = p, .ref = &ref};
	int r = imageref_parse(name, &ref, err);

	if (r < 0)
		return r;
	add_upload(&all, &(struct upload){.image = m,
					  .layer = layer,
					  .digest = m->bodies[layer].blob.digest,
					  .size = m->bodies[layer].blob.size});
	r = push_blob(&all, 0, err);
	vec_release(&all.list);
	if (r == 0) {
		free(p->last);
		p->last = imageref_name(&ref);
	}
	return r;
}

static int push_layers(struct push_job *p, const struct imageref *ref, struct error **err)
{
	struct uploads all = {.p = p, .ref = ref};
	int r;

	if (p->job)
		job_status(p->job, "pushing layers", 0, 0, false);
	list_blobs(&all);
	r = parallel_for_threads(UPLOADS_MAX, all.list.n, push_blob, &all, err);
	vec_release(&all.list);
	if (r == 0 && p->job)
		job_status(p->job, "pushing layers", 0, 0, true);
	return r;
}

/* Under `ref`'s tag, or under its digest if it has none. */
static int push_document(struct push_job *p, const struct imageref *ref, const char *type,
			 const struct buf *bytes, const struct digest *digest, struct error **err)
{
	_cleanup_free_ char *name = imageref_format(ref), *line = NULL;
	char text[DIGEST_TEXT];
	int r;

	line = xasprintf("pushing manifest for %s@%s", name, digest_format(digest, text));
	if (p->job)
		job_status(p->job, line, 0, 0, false);
	r = registry_push_manifest(p->registry, ref, type, bytes->p, bytes->n, p->cancel, err);
	if (r == 0 && p->job)
		job_status(p->job, line, 0, 0, true);
	return r;
}

static int push_manifests(struct push_job *p, const struct imageref *ref, struct error **err)
{
	/* Borrows from ref, and is not released. */
	struct imageref untagged = *ref;
	const struct imageref *last = p->by_digest ? &untagged : ref;
	int r = 0;

	untagged.tag = NULL;
	if (!p->index)
		return push_document(p, last, p->images->manifest_type, p->images->manifest,
				     &p->images->manifest_digest, err);
	for (size_t i = 0; i < p->n_images && r == 0; i++)
		r = registry_push_manifest(p->registry, &untagged, p->images[i].manifest_type,
					   p->images[i].manifest->p, p->images[i].manifest->n,
					   p->cancel, err);
	return r < 0 ? r : push_document(p, last, p->index_type, p->index, &p->index_digest, err);
}

int push_run(struct push_job *p, const char *name, struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	int r = imageref_parse(name, &ref, err);

	if (r == 0)
		r = push_layers(p, &ref, err);
	if (r == 0)
		r = push_manifests(p, &ref, err);
	if (r < 0)
		return error_wrap(err, r, "push %s", name);
	free(p->last);
	p->last = imageref_name(&ref);
	return 0;
}
