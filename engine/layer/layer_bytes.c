/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layer/layer_bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fs.h"
#include "engine/layer/layer_tar.h"
#include "engine/stream/inflate.h"
#include "store/blob.h"
#include "store/rootfs.h"

#define READ_SIZE ((size_t)256 * 1024)

bool layer_bytes_stored(struct store *s, const struct layer_info *info)
{
	return !info->source && info->has_blob && blob_exists(s, &info->blob.digest, NULL);
}

/* --- From a blob --- */

struct blob_reader {
	int fd;
	struct inflate *in;
	struct hasher hasher; /* of the tar */
	const struct cancel *cancel;
};

static void blob_reader_release(struct blob_reader *r)
{
	inflate_free(r->in);
	hasher_release(&r->hasher);
	cleanup_closep(&r->fd);
}

static int blob_reader_open(struct store *s, const struct digest *blob, struct blob_reader *r,
			    struct error **err)
{
	uint64_t size;

	*r = (struct blob_reader){.fd = blob_open(s, blob, &size, err), .cancel = store_cancel(s)};
	if (r->fd < 0)
		return r->fd;
	r->in = inflate_open(inflate_read_fd, &r->fd);
	hasher_init(&r->hasher);
	return 0;
}

/* Exactly n bytes of the tar: a layer_tar_read_fn. */
static int blob_reader_take(void *data, void *p, size_t n, struct error **err)
{
	struct blob_reader *r = data;

	for (size_t done = 0; done < n;) {
		size_t got;
		int k;

		if (cancel_is_set(r->cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		k = inflate_read(r->in, (char *)p + done, n - done, &got, err);

		if (k < 0)
			return k;
		if (got == 0)
			return error_new(err, ERR_CORRUPT, 0, "the tar ends too early");
		done += got;
	}
	hasher_add(&r->hasher, p, n);
	return 0;
}

static int blob_reader_copy(struct blob_reader *r, tar_sink_fn sink, void *data, struct error **err)
{
	_cleanup_free_ char *buffer = xmalloc(READ_SIZE);

	for (;;) {
		size_t n;
		int k;

		if (cancel_is_set(r->cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		k = inflate_read(r->in, buffer, READ_SIZE, &n, err);

		if (k < 0 || n == 0)
			return k;
		k = sink(data, buffer, n, err);
		if (k < 0)
			return k;
	}
}

int layer_bytes_unpacked(struct store *s, const struct layer_blob *blob, tar_sink_fn sink,
			 void *data, struct error **err)
{
	_cleanup_(blob_reader_release) struct blob_reader reader = {.fd = -1};
	int r = blob_reader_open(s, &blob->digest, &reader, err);

	return r < 0 ? r : blob_reader_copy(&reader, sink, data, err);
}

int layer_bytes_blob(struct store *s, const struct digest *digest, struct cancel *cancel,
		     tar_sink_fn sink, void *data, struct error **err)
{
	_cleanup_free_ char *buffer = xmalloc(READ_SIZE);
	_cleanup_close_ int fd = -1;
	uint64_t size;

	fd = blob_open(s, digest, &size, err);
	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t n = fs_read_full(fd, buffer, READ_SIZE);
		int r;

		if (n < 0)
			return error_new(err, ERR_IO, (int)-n, "read a blob");
		if (n == 0)
			return 0;
		if (cancel_is_set(cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		r = sink(data, buffer, (size_t)n, err);
		if (r < 0)
			return r;
	}
}

/* The stored tar with other times. */
static int write_clamped(struct store *s, const struct layer_info *info,
			 const struct layer_tar_options *o, tar_sink_fn sink, void *data,
			 struct error **err)
{
	_cleanup_(blob_reader_release) struct blob_reader reader = {.fd = -1};
	struct digest tar;
	int r = blob_reader_open(s, &info->blob.digest, &reader, err);

	if (r == 0)
		r = layer_tar_rewrite(s, info->id, o, blob_reader_take, &reader, sink, data, err);
	if (r < 0)
		return r;
	hasher_final(&reader.hasher, &tar);
	if (digest_equal(&tar, &info->diff_id))
		return 0;
	return error_new(err, ERR_CORRUPT, 0, "layer %" PRId64 " is damaged: its blob has changed",
			 info->id);
}

/* --- From a dir --- */

/* The file systems below the topmost layer, if the index of each is known. */
static int open_below(const struct layer_chain *chain, struct rootfs **ret, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	int r = rootfs_open(chain->store, chain->layers, chain->n - 1, ret, &why);

	if (r == -ERR_NOTFOUND) {
		*ret = NULL;
		return 0;
	}
	if (r < 0 && err)
		*err = TAKE_PTR(why);
	return r;
}

int layer_bytes_made(const struct layer_chain *chain, const struct layer_info *info,
		     const int64_t *clamp, struct cancel *cancel, tar_sink_fn sink, void *data,
		     struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *below = NULL;
	struct store *s = chain->store;
	struct layer_tar_options o = {
		.clamp = clamp != NULL, .clamp_time = clamp ? *clamp : 0, .cancel = cancel};
	int r;

	if (layer_bytes_stored(s, info))
		return clamp ? write_clamped(s, info, &o, sink, data, err)
			     : layer_bytes_unpacked(s, &info->blob, sink, data, err);
	if (!info->has_dir)
		return layer_bytes_lost(info->id, ERR_CORRUPT, err);
	r = info->is_exact ? 0 : open_below(chain, &below, err);
	if (r < 0)
		return r;
	o.below = below;
	return layer_tar_write(s, info->id, &o, sink, data, err);
}

int layer_bytes_lost(int64_t layer, enum err_code code, struct error **err)
{
	int r = error_new(err, code, 0, "layer %" PRId64 " has neither a dir nor a blob", layer);

	return error_hint(err, r, "build or load the image again");
}
