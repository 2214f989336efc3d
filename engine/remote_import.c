#include "engine/remote_import.h"

#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/json.h"
#include "engine/oci.h"
#include "engine/parallel.h"
#include "engine/remote_imported.h"

enum { READERS_MAX = 4 };

/* --- what a name stands for --------------------------------------------------------------------
 */

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

static int take_graph(struct remote_imports *im, struct remote_backend *b,
		      const struct remote_manifest *m, const void *p, size_t n, struct error **err)
{
	struct imported_graph *g = graph_new(b);
	int r = remote_graph_unpack(p, n, &g->graph, err);

	if (r < 0) {
		graph_free(g);
		return r;
	}
	assign_blobs(g, m);
	remote_imports_enter(im, g);
	return 0;
}

static int read_cache(struct remote_imports *im, struct remote_backend *b,
		      const struct remote_manifest *m, struct error **err)
{
	_cleanup_buf_ struct buf packed = BUF_INIT_MAX(REMOTE_GRAPH_PACKED_MAX);
	int r = b->ops->read_blob(b, &m->graph.digest, m->graph.size, &packed, err);

	return r < 0 ? r : take_graph(im, b, m, packed.p, packed.n, err);
}

/* --- inline ------------------------------------------------------------------------------------
 */

static int decode_base64(const char *text, struct buf *ret, struct error **err)
{
	size_t n = strlen(text);
	char *to;
	int got;

	if (n % 4 != 0 || n > (REMOTE_INLINE_MAX + 2) / 3 * 4)
		return error_new(err, ERR_CORRUPT, 0, "the inline cache has %zu bytes", n);
	to = buf_reserve(ret, n / 4 * 3);
	got = EVP_DecodeBlock((unsigned char *)to, (const unsigned char *)text, (int)n);
	if (got < 0)
		return error_new(err, ERR_CORRUPT, 0, "the inline cache is not base64");
	for (size_t i = n; got > 0 && i > 0 && text[i - 1] == '=' && n - i < 2; i--)
		got--;
	buf_commit(ret, (size_t)got);
	return 0;
}

/* The diff ids of the config belong to the layers of the manifest, one by one. */
static int assign_diff_ids(const json_t *config, struct remote_manifest *m, struct error **err)
{
	const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");

	if (json_array_size(ids) != m->results.n)
		return error_new(err, ERR_INVALID, 0, "config and manifest do not fit together");
	for (size_t i = 0; i < m->results.n; i++) {
		const char *text = json_string_value(json_array_get(ids, i));

		if (!text || digest_parse(text, &m->results.v[i].diff_id) < 0)
			return error_new(err, ERR_INVALID, 0, "a diff id is none");
		m->results.v[i].has_diff_id = true;
	}
	return 0;
}

static int read_inline(struct remote_imports *im, struct remote_backend *b,
		       struct remote_manifest *m, struct error **err)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT_MAX(OCI_DOCUMENT_MAX), packed = BUF_INIT;
	_cleanup_json_ json_t *config = NULL;
	const char *text;
	int r;

	if (m->config.size > OCI_DOCUMENT_MAX)
		return error_new(err, ERR_INVALID, 0, "the image's config is too large");
	r = b->ops->read_blob(b, &m->config.digest, m->config.size, &bytes, err);
	if (r == 0)
		r = js_parse("image config", bytes.p, bytes.n, &config, err);
	if (r < 0)
		return r;
	text = json_string_value(json_object_get(config, REMOTE_INLINE_KEY));
	if (!text && json_object_get(config, REMOTE_BUILDKIT_INLINE_KEY))
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "the image has a cache of BuildKit's inline, which kiln cannot "
				 "read");
	if (!text)
		return error_new(err, ERR_NOTFOUND, 0,
				 "the image has no cache inline (build it with --cache-to "
				 "type=inline)");
	r = assign_diff_ids(config, m, err);
	if (r == 0)
		r = decode_base64(text, &packed, err);
	return r < 0 ? r : take_graph(im, b, m, packed.p, packed.n, err);
}

static int read_document(struct remote_imports *im, struct remote_backend *b,
			 const struct digest *digest, struct error **err);

/* One image with a cache is enough. */
static int read_index(struct remote_imports *im, struct remote_backend *b,
		      const struct remote_manifest *m, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < m->manifests.n && r != -ERR_CANCELED; i++) {
		error_free(TAKE_PTR(why));
		r = read_document(im, b, &m->manifests.v[i], &why);
		any = any || r == 0;
	}
	if (any)
		return 0;
	if (m->manifests.n == 0)
		return error_new(err, ERR_NOTFOUND, 0, "the index names no images");
	if (err)
		*err = TAKE_PTR(why);
	return r;
}

/* `digest` NULL: what the name stands for. */
static int read_document(struct remote_imports *im, struct remote_backend *b,
			 const struct digest *digest, struct error **err)
{
	_cleanup_(remote_manifest_release) struct remote_manifest m = REMOTE_MANIFEST_INIT;
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	int r = b->ops->read_manifest(b, digest, OCI_DOCUMENT_MAX, &bytes, err);

	if (r == 0)
		r = remote_manifest_parse(bytes.p, bytes.n, &m, err);
	if (r < 0)
		return r;
	switch (m.kind) {
	case REMOTE_IS_CACHE:
		return read_cache(im, b, &m, err);
	case REMOTE_IS_IMAGE:
		return read_inline(im, b, &m, err);
	case REMOTE_IS_INDEX:
		/* An index within an index is no image's. */
		if (!digest)
			return read_index(im, b, &m, err);
		return error_new(err, ERR_UNSUPPORTED, 0, "an index within an index");
	case REMOTE_IS_BUILDKIT:
		break;
	}
	return error_new(err, ERR_UNSUPPORTED, 0,
			 "this is a cache of BuildKit's, which kiln cannot read");
}

/* --- in the background -------------------------------------------------------------------------
 */

static void warn(struct job *job, const struct remote_backend *b, const struct error *why)
{
	_cleanup_free_ char *text =
		xasprintf("the cache %s is not used: %s", b->name, error_text(why));
	struct event_warning w = {.short_text = text};

	job_warn(job, &w);
}

static int read_one(void *data, size_t i, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	struct remote_imports *im = data;
	struct remote_backend *b = im->backends.v[i];
	_cleanup_free_ char *title = xasprintf("importing cache manifest from %s", b->name);
	struct job *job = job_open(im->progress, &im->stop, title);
	int r = read_document(im, b, NULL, &why);

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

	(void)parallel_for_threads(READERS_MAX, im->backends.n, read_one, im, NULL);
	(void)!write(im->done_fd, &one, sizeof(one));
	return NULL;
}

void remote_imports_start(struct remote_imports *im, const struct progress *progress)
{
	im->progress = progress;
	im->started = true;
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
		for (size_t i = 0; i < im->backends.n; i++)
			im->backends.v[i]->env.cancel = cancel;
	}
	pthread_mutex_unlock(&im->wait_lock);
}

/* --- life --------------------------------------------------------------------------------------
 */

struct remote_imports *remote_imports_new(const struct remote_env *env)
{
	struct remote_imports *im = NEW(struct remote_imports);

	im->env = *env;
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
	struct remote_backend *b;
	int r;

	env.cancel = &im->stop;
	r = remote_backend_open(&env, spec, &b, err);
	if (r == 0)
		vec_push(&im->backends, b);
	return r;
}

size_t remote_imports_count(const struct remote_imports *im)
{
	return im ? im->backends.n : 0;
}

struct remote_backend *remote_imports_backend(const struct remote_imports *im, size_t i)
{
	return im->backends.v[i];
}

void remote_imports_free(struct remote_imports *im)
{
	if (!im)
		return;
	/* What was not needed until now is not waited for. */
	cancel_set(&im->stop);
	remote_imports_wait(im);
	for (size_t i = 0; i < im->graphs.n; i++)
		graph_free(im->graphs.v[i]);
	for (size_t i = 0; i < im->backends.n; i++)
		remote_backend_close(im->backends.v[i]);
	vec_release(&im->graphs);
	vec_release(&im->backends);
	map_release(&im->keys, NULL);
	map_release(&im->ops, NULL);
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
