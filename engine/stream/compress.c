/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stream/compress.h"

#include <errno.h>
#include <isa-l/crc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/attrs.h"
#include "engine/stream/deflate.h"

/* These sizes shape the output: changing one changes the digest of every compressed layer. */
#define GZIP_BLOCK ((size_t)512 * 1024)
#define GZIP_LEVEL 6
#define ZSTD_JOB_SIZE (4 * 1024 * 1024)
#define ZSTD_INPUT ((size_t)1024 * 1024)
#define ZSTD_LEVEL 3
#define ZSTD_LEVEL_MAX 22

/* More would only cost memory: every thread has a few blocks in hand, and several layers are
 * compressed at once. Past four, zstd is faster than the hashing before it. */
#define THREADS_MAX 16
#define ZSTD_THREADS_MAX 4

/* A block of a gzip stream on its way through a worker. Its owner is the writing thread, except
 * between submission and `done`, when it is the worker's. */
struct gzip_block {
	unsigned char *in, *out;
	size_t n_in, n_out;		      /* n_out 0: deflate failed */
	unsigned char window[DEFLATE_WINDOW]; /* the input before it */
	size_t n_window;
	uint32_t crc;
	bool last;
	bool done; /* under the lock */
};

struct compress {
	struct compress_options o;
	compress_sink_fn sink;
	void *data;
	int failed; /* the first error's code; the stream is dead */
	struct error *error;

	/* zstd */
	ZSTD_CCtx *zstd;
	unsigned char *in, *out;
	size_t n_in, out_size;
	bool passes; /* `in` was passed on */

	/* gzip: a ring of blocks; [tail, submitted) are with the workers, the block after is being
	 * filled. Positions only grow. */
	struct gzip_block *ring;
	size_t ring_size;
	uint64_t tail, submitted;
	uint32_t crc;
	uint64_t total;
	bool header_written;
	pthread_t threads[THREADS_MAX];
	unsigned n_threads;
	/* protects submitted (as the workers see it), taken, stop and every block's `done` */
	pthread_mutex_t lock;
	pthread_cond_t work, ready;
	uint64_t taken;
	bool stop;
	bool has_lock;
};

int compress_parse(const char *name, enum compression *ret, struct error **err)
{
	if (strcmp(name, "gzip") == 0)
		*ret = COMPRESS_GZIP;
	else if (strcmp(name, "zstd") == 0)
		*ret = COMPRESS_ZSTD;
	else if (strcmp(name, "uncompressed") == 0)
		*ret = COMPRESS_NONE;
	else if (strcmp(name, "estargz") == 0)
		return error_new(err, ERR_UNSUPPORTED, 0, "compression 'estargz' is not supported");
	else
		return error_new(err, ERR_INVALID, 0,
				 "unknown compression '%s': expected gzip, zstd or uncompressed",
				 name);
	return 0;
}

const char *compress_name(enum compression type)
{
	switch (type) {
	case COMPRESS_GZIP:
		return "gzip";
	case COMPRESS_ZSTD:
		return "zstd";
	default:
		return "uncompressed";
	}
}

static bool level_is_valid(enum compression type, int level)
{
	if (level == COMPRESS_LEVEL_DEFAULT)
		return true;
	if (level == COMPRESS_LEVEL_FAST)
		return type == COMPRESS_GZIP;
	switch (type) {
	case COMPRESS_GZIP:
		return level >= 0 && level <= 9;
	case COMPRESS_ZSTD:
		return level >= 0 && level <= ZSTD_LEVEL_MAX;
	default:
		return false;
	}
}

int compress_parse_level(const char *text, int *ret, struct error **err)
{
	int64_t level = 0;
	int r;

	if (strcmp(text, "fast") == 0) {
		*ret = COMPRESS_LEVEL_FAST;
		return 0;
	}
	r = attrs_number("compression-level", text, ZSTD_LEVEL_MAX, &level, err);
	if (r == 0)
		*ret = (int)level;
	return r;
}

int compress_check_level(const struct compress_options *o, struct error **err)
{
	if (level_is_valid(o->type, o->level))
		return 0;
	if (o->level == COMPRESS_LEVEL_FAST)
		return error_new(err, ERR_INVALID, 0, "%s has no compression level 'fast'",
				 compress_name(o->type));
	return error_new(err, ERR_INVALID, 0, "%s has no compression level %d",
			 compress_name(o->type), o->level);
}

static void fail(struct compress *c, int r)
{
	if (!c->failed)
		c->failed = r;
}

static void emit(struct compress *c, const void *p, size_t n)
{
	int r;

	if (c->failed || n == 0)
		return;
	r = c->sink(c->data, p, n, &c->error);
	if (r < 0)
		fail(c, r);
}

/* --- gzip --- */

static int gzip_level(const struct compress *c)
{
	return c->o.level == COMPRESS_LEVEL_DEFAULT ? GZIP_LEVEL : c->o.level;
}

/* On a worker, with a deflater of its own. */
static void deflate_block(struct deflater *d, struct gzip_block *b)
{
	const struct deflate_input in = {.window = b->window,
					 .n_window = b->n_window,
					 .p = b->in,
					 .n = b->n_in,
					 .last = b->last};

	b->n_out = d ? deflater_block(d, &in, b->out) : 0;
	/* The same sum as zlib's, many times as fast. */
	b->crc = crc32_gzip_refl(0, b->in, b->n_in);
}

static struct gzip_block *block_at(struct compress *c, uint64_t n)
{
	return &c->ring[n % c->ring_size];
}

static void *gzip_worker(void *data)
{
	struct compress *c = data;
	_cleanup_(deflater_freep) struct deflater *d = deflater_new(gzip_level(c));

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		struct gzip_block *b;

		if (c->taken == c->submitted) {
			pthread_cond_wait(&c->work, &c->lock);
			continue;
		}
		b = block_at(c, c->taken++);
		pthread_mutex_unlock(&c->lock);
		deflate_block(d, b);
		pthread_mutex_lock(&c->lock);
		b->done = true;
		pthread_cond_signal(&c->ready);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Writes out the oldest block once its worker is done with it. */
static void gzip_drain_one(struct compress *c)
{
	static const unsigned char plain[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
	struct gzip_block *b = block_at(c, c->tail);

	pthread_mutex_lock(&c->lock);
	while (!b->done)
		pthread_cond_wait(&c->ready, &c->lock);
	pthread_mutex_unlock(&c->lock);
	c->tail++;
	if (b->n_out == 0 && !c->failed)
		fail(c, error_new(&c->error, ERR_INTERNAL, 0, "gzip: deflate failed"));
	if (!c->header_written) {
		unsigned char header[sizeof(plain)];

		/* As Go's writer: no name, no time, unknown system; it marks only the levels 9 and
		 * 1, and what is fast is as good as that. */
		memcpy(header, plain, sizeof(plain));
		if (gzip_level(c) == 9)
			header[8] = 2;
		else if (gzip_level(c) == 1 || gzip_level(c) == COMPRESS_LEVEL_FAST)
			header[8] = 4;
		emit(c, header, sizeof(header));
		c->header_written = true;
	}
	emit(c, b->out, b->n_out);
	c->crc = (uint32_t)crc32_combine(c->crc, b->crc, (z_off_t)b->n_in);
	c->total += b->n_in;
}

static void gzip_start_thread(struct compress *c)
{
	if (c->n_threads >= c->o.threads || c->n_threads >= c->submitted)
		return;
	if (pthread_create(&c->threads[c->n_threads], NULL, gzip_worker, c) == 0)
		c->n_threads++;
	else if (c->n_threads == 0)
		fail(c, error_new(&c->error, ERR_IO, EAGAIN, "start a compression thread"));
}

/* Hands the block being filled to the workers and prepares the next one. */
static void gzip_submit(struct compress *c, bool last)
{
	struct gzip_block *b = block_at(c, c->submitted), *next;

	b->last = last;
	b->done = false;
	pthread_mutex_lock(&c->lock);
	c->submitted++;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	gzip_start_thread(c);
	if (last || c->failed)
		return;
	if (c->submitted - c->tail == c->ring_size)
		gzip_drain_one(c);
	next = block_at(c, c->submitted);
	next->n_in = 0;
	next->n_window = b->n_in < DEFLATE_WINDOW ? b->n_in : DEFLATE_WINDOW;
	memcpy(next->window, b->in + b->n_in - next->n_window, next->n_window);
}

static void gzip_write(struct compress *c, const unsigned char *p, size_t n)
{
	while (n > 0 && !c->failed) {
		struct gzip_block *b = block_at(c, c->submitted);
		size_t room = GZIP_BLOCK - b->n_in, part = n < room ? n : room;

		if (room == 0) {
			gzip_submit(c, false);
			continue;
		}
		if (!b->in) {
			b->in = xmalloc(GZIP_BLOCK);
			b->out = xmalloc(deflate_bound(GZIP_BLOCK));
		}
		memcpy(b->in + b->n_in, p, part);
		b->n_in += part;
		p += part;
		n -= part;
	}
}

static void put_le32(unsigned char *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static void gzip_finish(struct compress *c)
{
	struct gzip_block *b = block_at(c, c->submitted);
	unsigned char trailer[8];

	if (c->failed)
		return;
	if (!b->out) {
		b->in = xmalloc(1);
		b->out = xmalloc(deflate_bound(0));
	}
	gzip_submit(c, true);
	while (!c->failed && c->tail < c->submitted)
		gzip_drain_one(c);
	put_le32(trailer, c->crc);
	put_le32(trailer + 4, (uint32_t)c->total);
	emit(c, trailer, sizeof(trailer));
}

static void gzip_open(struct compress *c)
{
	c->ring_size = (size_t)c->o.threads * 2 + 2;
	c->ring = xcalloc(c->ring_size, sizeof(*c->ring));
	c->crc = (uint32_t)crc32(0, NULL, 0);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->work, NULL);
	pthread_cond_init(&c->ready, NULL);
	c->has_lock = true;
}

static void gzip_close(struct compress *c)
{
	if (!c->has_lock)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_broadcast(&c->work);
	pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < c->n_threads; i++)
		pthread_join(c->threads[i], NULL);
	for (size_t i = 0; i < c->ring_size; i++) {
		free(c->ring[i].in);
		free(c->ring[i].out);
	}
	free(c->ring);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->work);
	pthread_cond_destroy(&c->ready);
}

/* --- zstd --- */

static int zstd_open(struct compress *c, struct error **err)
{
	int level = c->o.level == COMPRESS_LEVEL_DEFAULT ? ZSTD_LEVEL : c->o.level;
	unsigned threads = c->o.threads < ZSTD_THREADS_MAX ? c->o.threads : ZSTD_THREADS_MAX;
	size_t r;

	c->zstd = ZSTD_createCCtx();
	if (!c->zstd)
		return error_new(err, ERR_INTERNAL, 0, "zstd: no memory for a compressor");
	r = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, level);
	if (!ZSTD_isError(r))
		r = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_checksumFlag, 1);
	/* At least one worker and a fixed job size: otherwise the number of cores would show. */
	if (!ZSTD_isError(r))
		r = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_nbWorkers, (int)threads);
	if (!ZSTD_isError(r))
		r = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_jobSize, ZSTD_JOB_SIZE);
	if (ZSTD_isError(r))
		return error_new(err, ERR_UNSUPPORTED, 0, "zstd: %s", ZSTD_getErrorName(r));
	c->in = xmalloc(ZSTD_INPUT);
	c->out_size = ZSTD_CStreamOutSize();
	c->out = xmalloc(c->out_size);
	return 0;
}

static void zstd_push(struct compress *c, const void *p, size_t n, ZSTD_EndDirective mode)
{
	ZSTD_inBuffer in = {p, n, 0};
	bool more = true;

	while (more && !c->failed) {
		ZSTD_outBuffer out = {c->out, c->out_size, 0};
		size_t r = ZSTD_compressStream2(c->zstd, &out, &in, mode);

		if (ZSTD_isError(r)) {
			fail(c, error_new(&c->error, ERR_INTERNAL, 0, "zstd: %s",
					  ZSTD_getErrorName(r)));
			return;
		}
		emit(c, c->out, out.pos);
		more = mode == ZSTD_e_end ? r > 0 : in.pos < in.size;
	}
}

/* The first bytes are held back: a stream that is no longer than them is compressed at once, and
 * its frame says how long it is. Beyond them the library gathers its jobs itself. */
static void zstd_write(struct compress *c, const unsigned char *p, size_t n)
{
	size_t room = ZSTD_INPUT - c->n_in, part = n < room ? n : room;

	memcpy(c->in + c->n_in, p, part);
	c->n_in += part;
	if (part == n)
		return;
	if (!c->passes) {
		zstd_push(c, c->in, c->n_in, ZSTD_e_continue);
		c->passes = true;
	}
	zstd_push(c, p + part, n - part, ZSTD_e_continue);
}

static void zstd_finish(struct compress *c)
{
	zstd_push(c, c->in, c->passes ? 0 : c->n_in, ZSTD_e_end);
}

/* --- the stream --- */

int compress_open(const struct compress_options *o, compress_sink_fn sink, void *data,
		  struct compress **ret, struct error **err)
{
	_cleanup_(compress_freep) struct compress *c = NEW(struct compress);
	int r = 0;

	r = compress_check_level(o, err);
	if (r < 0)
		return r;
	c->o = *o;
	if (c->o.threads == 0) {
		long cores = sysconf(_SC_NPROCESSORS_ONLN);

		c->o.threads = cores > 0 ? (unsigned)cores : 1;
	}
	if (c->o.threads > THREADS_MAX)
		c->o.threads = THREADS_MAX;
	c->sink = sink;
	c->data = data;
	if (o->type == COMPRESS_GZIP)
		gzip_open(c);
	else if (o->type == COMPRESS_ZSTD)
		r = zstd_open(c, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

void compress_write(struct compress *c, const void *p, size_t n)
{
	switch (c->o.type) {
	case COMPRESS_GZIP:
		gzip_write(c, p, n);
		break;
	case COMPRESS_ZSTD:
		zstd_write(c, p, n);
		break;
	default:
		emit(c, p, n);
	}
}

bool compress_failed(const struct compress *c)
{
	return c->failed != 0;
}

int compress_finish(struct compress *c, struct error **err)
{
	if (c->o.type == COMPRESS_GZIP)
		gzip_finish(c);
	else if (c->o.type == COMPRESS_ZSTD && !c->failed)
		zstd_finish(c);
	if (c->failed && err && !*err)
		*err = TAKE_PTR(c->error);
	return c->failed;
}

void compress_free(struct compress *c)
{
	if (!c)
		return;
	gzip_close(c);
	ZSTD_freeCCtx(c->zstd);
	free(c->in);
	free(c->out);
	error_free(c->error);
	free(c);
}
