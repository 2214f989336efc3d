#include "engine/layer_pack.h"

#include <stdlib.h>

#include "store/blob.h"

struct layer_pack {
	struct cancel *cancel;
	struct hasher hasher; /* of the tar, unless the blob is the tar */
	bool hashes;
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
	p->hashes = compressed || !o->store;
	if (p->hashes)
		hasher_init(&p->hasher);
	if (compressed || o->store)
		r = blob_writer_open(s, &p->writer, err);
	if (r == 0 && compressed)
		r = compress_open(&o->compression, blob_sink, p->writer, &p->compress, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

int layer_pack_write(void *data, const void *bytes, size_t n, struct error **err)
{
	struct layer_pack *p = data;

	if (cancel_is_set(p->cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	if (p->hashes)
		hasher_add(&p->hasher, bytes, n);
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

int layer_pack_finish(struct layer_pack *p, struct layer_body *ret, uint64_t *ret_size,
		      struct error **err)
{
	int r = p->compress ? compress_finish(p->compress, err) : 0;

	if (r < 0)
		return r;
	*ret_size = p->size;
	ret->stored = p->writer != NULL;
	if (p->writer) {
		ret->blob.size = blob_writer_size(p->writer);
		r = blob_writer_commit(p->writer, NULL, &ret->blob.digest, err);
		if (r < 0)
			return r;
	}
	if (p->hashes)
		hasher_final(&p->hasher, &ret->diff_id);
	else
		ret->diff_id = ret->blob.digest;
	if (!p->writer) {
		ret->blob.digest = ret->diff_id;
		ret->blob.size = p->size;
	}
	return 0;
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
