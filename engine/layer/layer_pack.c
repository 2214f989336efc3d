/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layer/layer_pack.h"

#include <stdlib.h>

#include "store/blob.h"

struct layer_pack {
	struct cancel *cancel;
	struct hasher hasher;	    /* of the tar */
	uint64_t size;		    /* of the tar */
	struct compress *compress;  /* NULL: as it is */
	struct blob_writer *writer; /* NULL: nothing is kept */
};

static int blob_sink(void *data, const void *p, size_t n, struct error **err)
{
	(void)err;
	blob_writer_write(data, p, n);
	return 0;
}

int layer_pack_open(struct store *s, const struct layer_pack_options *o, struct cancel *cancel,
		    struct layer_pack **ret, struct error **err)
{
	_cleanup_(layer_pack_freep) struct layer_pack *p = NEW(struct layer_pack);
	bool compressed = o->compression.type != COMPRESS_NONE;
	int r = 0;

	p->cancel = cancel;
	hasher_init(&p->hasher);
	if (compressed)
		r = blob_writer_open(s, &p->writer, err);
	else if (o->store)
		r = blob_writer_open_hashed(s, &p->writer, err);
	if (r == 0 && compressed)
		r = compress_open(&o->compression, blob_sink, p->writer, &p->compress, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

int layer_pack_hash(void *data, const void *bytes, size_t n, struct error **err)
{
	struct layer_pack *p = data;

	(void)err;
	hasher_add(&p->hasher, bytes, n);
	return 0;
}

int layer_pack_body(void *data, const void *bytes, size_t n, struct error **err)
{
	struct layer_pack *p = data;

	if (cancel_is_set(p->cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	p->size += n;
	if (p->compress) {
		compress_write(p->compress, bytes, n);
		if (compress_failed(p->compress))
			return compress_finish(p->compress, err);
	} else if (p->writer) {
		blob_writer_write(p->writer, bytes, n);
	}
	return 0;
}

int layer_pack_write(void *data, const void *bytes, size_t n, struct error **err)
{
	int r = layer_pack_hash(data, bytes, n, err);

	return r < 0 ? r : layer_pack_body(data, bytes, n, err);
}

int layer_pack_finish(struct layer_pack *p, struct layer_body *ret, uint64_t *ret_size,
		      struct error **err)
{
	int r = p->compress ? compress_finish(p->compress, err) : 0;

	if (r < 0)
		return r;
	*ret_size = p->size;
	hasher_final(&p->hasher, &ret->diff_id);
	ret->stored = p->writer != NULL;
	ret->blob.digest = ret->diff_id;
	ret->blob.size = p->writer ? blob_writer_size(p->writer) : p->size;
	if (!p->writer)
		return 0;
	return blob_writer_commit(p->writer, p->compress ? NULL : &ret->diff_id, &ret->blob.digest,
				  err);
}

void layer_pack_free(struct layer_pack *p)
{
	if (!p)
		return;
	compress_free(p->compress);
	blob_writer_free(p->writer);
	hasher_release(&p->hasher);
	free(p);
}
