/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layer/spool.h"

#include <errno.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/blob.h"

static int spool_write(void *data, const void *p, size_t n, struct error **err)
{
	int r = fs_write_full(*(int *)data, p, n);

	return r < 0 ? error_new(err, ERR_IO, -r, "write what is to be sent") : 0;
}

/* Back to the start, for the reader. */
static int rewind_file(int fd, struct error **err)
{
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_new(err, ERR_IO, errno, "read what is to be sent");
	return fd;
}

int spool_bytes(struct store *s, const void *p, size_t n, struct error **err)
{
	_cleanup_close_ int fd = store_tmp_file(s, err);
	int r = fd;

	if (fd >= 0)
		r = spool_write(&fd, p, n, err);
	if (r == 0)
		r = rewind_file(fd, err);
	return r < 0 ? r : TAKE_FD(fd);
}

int spool_layer(const struct layer_chain *chain, const struct layer_blob_options *o,
		const struct blob_fetcher *fetcher, const struct layer_body *body,
		struct cancel *cancel, struct error **err)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	_cleanup_close_ int fd = -1;
	const int64_t *top = &chain->layers[chain->n - 1];
	struct store *s = chain->store;
	bool there = blob_exists(s, &body->blob.digest, NULL);
	int r;

	r = layer_get(s, *top, &info, err);
	if (r < 0)
		return r;
	if (layer_blob_is_received(&info)) {
		if (!there && fetcher->require)
			r = fetcher->require(fetcher->data, top, 1, err);
		/* The config was made from what others said of it, while it was elsewhere. */
		if (r == 0 && digest_equal(&info.blob.digest, &body->blob.digest))
			r = layer_blob_check(s, &info, err);
		return r < 0 ? r : blob_open(s, &body->blob.digest, NULL, err);
	}
	if (there)
		return blob_open(s, &body->blob.digest, NULL, err);
	fd = store_tmp_file(s, err);
	if (fd < 0)
		return fd;
	r = layer_blob_send(chain, o, body, cancel, spool_write, &fd, err);
	if (r == 0)
		r = rewind_file(fd, err);
	return r < 0 ? r : TAKE_FD(fd);
}
