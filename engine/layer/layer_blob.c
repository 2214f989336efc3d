/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layer/layer_blob.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fields.h"
#include "base/number.h"
#include "base/parallel.h"
#include "engine/layer/layer_bytes.h"
#include "engine/layer/layer_pack.h"
#include "engine/layer/layer_types.h"
#include "store/blob.h"
#include "store/record.h"

#define CLAMP_PIN "layer-clamped:"

void layer_body_release(struct layer_body *b)
{
	free(b->blob.media_type);
	*b = (struct layer_body){0};
}

bool layer_blob_is_received(const struct layer_info *info)
{
	return info->source != NULL;
}

/* --- what was made before --- */

/* Which tar of a layer this is about. */
struct form {
	int64_t layer;
	enum compression type;
	int level;
	bool clamp;
	int64_t clamp_time;
};

static char *form_name(const struct form *f)
{
	char clamp[32] = "";
	/* A level makes no difference to what is not compressed. */
	int level = f->type == COMPRESS_NONE ? COMPRESS_LEVEL_DEFAULT : f->level;

	if (f->clamp)
		snprintf(clamp, sizeof(clamp), "@%" PRId64, f->clamp_time);
	return xasprintf("layer-blob:%" PRId64 ":%s:%d%s", f->layer, compress_name(f->type), level,
			 clamp);
}

/* A remembered form: "<diff id> <blob digest> <size>". Forgotten again with the blob. */
static int recall(struct store *s, const struct form *f, struct layer_body *ret, bool *ret_found,
		  struct error **err)
{
	_cleanup_free_ char *name = form_name(f);
	_cleanup_buf_ struct buf value = BUF_INIT;
	char *fields[3];
	int64_t when;
	int r = pin_get(s, name, ret_found, &value, &when, err);

	if (r < 0 || !*ret_found)
		return r;
	*ret_found = fields_split(value.p, fields, 3) == 3 &&
		     digest_parse(fields[0], &ret->diff_id) == 0 &&
		     digest_parse(fields[1], &ret->blob.digest) == 0 &&
		     number_parse(fields[2], 10, UINT64_MAX, &ret->blob.size) == 0;
	if (*ret_found) {
		ret->stored = blob_exists(s, &ret->blob.digest, NULL);
		*ret_found = ret->stored || f->type == COMPRESS_NONE;
	}
	return 0;
}

/* An image that names a clamped tar does not say how it was clamped; this does. */
static int remember_clamp(struct store *s, const struct form *f, const struct digest *tar,
			  struct error **err)
{
	char text[DIGEST_TEXT], value[32];
	_cleanup_free_ char *name = xasprintf(CLAMP_PIN "%s", digest_format(tar, text));

	snprintf(value, sizeof(value), "%" PRId64, f->clamp_time);
	return pin_set(s, name, value, err);
}

int layer_blob_clamp_of(struct store *s, const struct digest *tar, bool *ret_found,
			int64_t *ret_time, struct error **err)
{
	char text[DIGEST_TEXT];
	_cleanup_free_ char *name = xasprintf(CLAMP_PIN "%s", digest_format(tar, text));
	_cleanup_buf_ struct buf value = BUF_INIT;
	int64_t when;
	int r = pin_get(s, name, ret_found, &value, &when, err);

	if (r == 0 && *ret_found)
		*ret_found = number_parse_signed(value.p, INT64_MIN, INT64_MAX, ret_time) == 0;
	return r;
}

/* With `describe` the layer's row gets the descriptor of its uncompressed tar. */
static int remember(struct store *s, const struct form *f, const struct layer_body *body,
		    bool describe, struct error **err)
{
	_cleanup_free_ char *name = form_name(f), *value = NULL;
	char diff_id[DIGEST_TEXT], digest[DIGEST_TEXT];
	int r;

	value = xasprintf("%s %s %" PRIu64, digest_format(&body->diff_id, diff_id),
			  digest_format(&body->blob.digest, digest), body->blob.size);
	r = pin_set(s, name, value, err);
	if (r < 0)
		return r;
	if (f->type != COMPRESS_NONE)
		return 0;
	if (f->clamp)
		return remember_clamp(s, f, &body->diff_id, err);
	if (!describe)
		return 0;
	r = layer_set_diff_id(s, f->layer, &body->diff_id, err);
	return r < 0 ? r : layer_set_blob(s, f->layer, &body->blob, err);
}

/* --- making --- */

/* Runs one layer's bytes through hash and codec. A received layer is stored whatever the form. */
static int run_form(const struct layer_chain *chain, const struct form *f,
		    const struct layer_info *info, struct cancel *cancel, struct layer_body *ret,
		    uint64_t *ret_plain_size, struct error **err)
{
	bool received = layer_blob_is_received(info);
	const struct layer_pack_options o = {
		.compression = {.type = f->type, .level = f->level},
		.store = received,
	};
	_cleanup_(layer_pack_freep) struct layer_pack *p = NULL;
	int r = layer_pack_open(chain->store, &o, cancel, &p, err);

	if (r < 0)
		return r;
	r = received ? layer_bytes_unpacked(chain->store, &info->blob, layer_pack_write, p, err)
		     : layer_bytes_made(chain, info, f->clamp ? &f->clamp_time : NULL, cancel,
					layer_pack_write, p, err);
	return r < 0 ? r : layer_pack_finish(p, ret, ret_plain_size, err);
}

int layer_blob_misnamed(struct store *s, const struct layer_info *info, const struct digest *found,
			struct error **err)
{
	char blob[DIGEST_TEXT], expected[DIGEST_TEXT], got[DIGEST_TEXT];
	_cleanup_free_ char *text = xasprintf(
		"layer %s is not what the image's config promises: expected diff ID %s, got %s",
		digest_format(&info->blob.digest, blob), digest_format(&info->diff_id, expected),
		digest_format(found, got));

	if (layer_give_up(s, info->id, NULL) == 0)
		store_notice(s, "%s; it is made or fetched again", text);
	return error_new(err, ERR_CORRUPT, 0, "%s", text);
}

static int hash_tar(void *data, const void *p, size_t n, struct error **err)
{
	(void)err;
	hasher_add(data, p, n);
	return 0;
}

static int compare_diff_id(struct store *s, const struct layer_info *info, struct error **err)
{
	_cleanup_hasher_ struct hasher h;
	struct digest digest;
	int r;

	hasher_init(&h);
	r = layer_bytes_unpacked(s, &info->blob, hash_tar, &h, err);
	if (r < 0)
		return r;
	hasher_final(&h, &digest);
	return digest_equal(&digest, &info->diff_id) ? 0
						     : layer_blob_misnamed(s, info, &digest, err);
}

/* An image says which diff ids its layers have. Of a layer that was never unpacked that is what the
 * cache or image said that it came with, so its bytes, where they are here, are looked at once. */
int layer_blob_check(struct store *s, const struct layer_info *info, struct error **err)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_buf_ struct buf value = BUF_INIT;
	char blob[DIGEST_TEXT], diff_id[DIGEST_TEXT];
	bool found;
	int64_t when;
	int r;

	if (info->has_index)
		return 0;
	name = xasprintf("layer-verified:%s", digest_format(&info->blob.digest, blob));
	digest_format(&info->diff_id, diff_id);
	r = pin_get(s, name, &found, &value, &when, err);
	if (r < 0 || (found && strcmp(value.p, diff_id) == 0))
		return r;
	r = compare_diff_id(s, info, err);
	return r < 0 ? r : pin_set(s, name, diff_id, err);
}

/* A received layer as it came, or converted where that was asked for. */
static int make_received(struct store *s, const struct layer_info *info,
			 const struct layer_blob_options *o, const struct form *f,
			 struct cancel *cancel, struct layer_body *ret, struct error **err)
{
	const struct layer_chain alone = {.store = s, .layers = &info->id, .n = 1};
	struct digest diff_id = info->diff_id;
	uint64_t size;
	int r;

	if (!info->has_blob || !info->has_diff_id)
		return layer_bytes_lost(info->id, ERR_CORRUPT, err);
	ret->diff_id = info->diff_id;
	if (!o->force || layer_type_compression(info->blob.media_type) == f->type) {
		ret->blob.digest = info->blob.digest;
		ret->blob.size = info->blob.size;
		ret->stored = blob_exists(s, &info->blob.digest, NULL);
		ret->blob.media_type = layer_type_convert(info->blob.media_type, o->docker_types);
		if (!ret->stored && !o->lazy)
			return error_new(err, ERR_NOTFOUND, 0,
					 "the bytes of layer %" PRId64 " are not in the store",
					 info->id);
		return ret->stored ? layer_blob_check(s, info, err) : 0;
	}
	r = run_form(&alone, f, info, cancel, ret, &size, err);
	if (r < 0)
		return r;
	if (!digest_equal(&diff_id, &ret->diff_id))
		return error_new(err, ERR_CORRUPT, 0,
				 "layer %" PRId64 " does not unpack to its diff id", info->id);
	ret->blob.media_type = layer_type_of(f->type, o->docker_types);
	return 0;
}

/* A layer that was exported before has a diff id; files that were changed since show here, before
 * an image is made of them. */
static int check_unchanged(struct store *s, const struct layer_info *info, const struct form *f,
			   const struct layer_body *body, struct error **err)
{
	char text[DIGEST_TEXT];

	if (f->clamp || !info->has_diff_id || digest_equal(&info->diff_id, &body->diff_id))
		return 0;
	if (layer_bytes_stored(s, info))
		return error_new(err, ERR_CORRUPT, 0,
				 "layer %" PRId64
				 " is damaged: its blob %s is no longer what it was",
				 info->id, digest_format(&info->blob.digest, text));
	return error_new(err, ERR_CORRUPT, 0,
			 "layer %" PRId64 " is damaged: its files are no longer what they were",
			 info->id);
}

/* Whatever form is made, the uncompressed one is known with it. A layer whose body is a blob keeps
 * that one's descriptor. */
static int remember_forms(struct store *s, const struct form *f, const struct layer_body *body,
			  uint64_t plain_size, bool describe, struct error **err)
{
	struct form plain = *f;
	struct layer_body tar = {0};
	int r = f->type == COMPRESS_NONE ? 0 : remember(s, f, body, false, err);

	if (r < 0)
		return r;
	plain.type = COMPRESS_NONE;
	tar.diff_id = tar.blob.digest = body->diff_id;
	tar.blob.size = plain_size;
	/* What the store keeps of a layer has OCI's media type, whoever asks first. */
	tar.blob.media_type = layer_type_of(COMPRESS_NONE, false);
	r = remember(s, &plain, &tar, describe, err);
	layer_body_release(&tar);
	return r;
}

static int make_and_remember(const struct layer_chain *chain, const struct form *f,
			     const struct layer_info *info, struct cancel *cancel,
			     struct layer_body *ret, struct error **err)
{
	struct store *s = chain->store;
	uint64_t size;
	int r = run_form(chain, f, info, cancel, ret, &size, err);

	if (r == 0)
		r = check_unchanged(s, info, f, ret, err);
	if (r == 0)
		r = remember_forms(s, f, ret, size, !layer_bytes_stored(s, info), err);
	return r;
}

int layer_blob_add(struct store *s, struct index_draft *index, const struct compress_options *c,
		   struct layer_body *body, uint64_t plain_size, int64_t *ret_layer,
		   struct error **err)
{
	struct form f = {.type = c->type, .level = c->level};
	int r;

	body->blob.media_type = layer_type_of(f.type, false);
	r = layer_put_blob(s, index, &body->blob, &body->diff_id, &f.layer, err);
	if (r == 0)
		r = remember_forms(s, &f, body, plain_size, false, err);
	if (r == 0)
		*ret_layer = f.layer;
	return r;
}

/* What to do about a layer that is not what it was. A build that meets it in time helps itself. */
static int advise(int r, struct error **err)
{
	if (r != -ERR_CORRUPT || (err && error_hint_text(*err)))
		return r;
	return error_hint(
		err, r,
		"'kiln store verify' forgets what is damaged; then build, load or pull the "
		"image again");
}

static int find_or_make(const struct layer_chain *chain, const struct layer_blob_options *o,
			struct cancel *cancel, struct layer_body *ret, struct error **err)
{
	struct store *s = chain->store;
	int64_t top = chain->layers[chain->n - 1];
	_cleanup_(layer_info_release) struct layer_info info = {0};
	struct form f = {.layer = top,
			 .type = o->compression.type,
			 .level = o->compression.level,
			 .clamp = o->clamp && chain->n > chain->n_keep,
			 .clamp_time = o->clamp_time};
	bool found;
	int r = layer_get(s, top, &info, err);

	if (r < 0)
		return r;
	if (layer_blob_is_received(&info))
		return make_received(s, &info, o, &f, cancel, ret, err);
	r = recall(s, &f, ret, &found, err);
	if (r < 0)
		return r;
	if (!found) {
		r = make_and_remember(chain, &f, &info, cancel, ret, err);
		if (r < 0)
			return r;
	}
	ret->blob.media_type = layer_type_of(f.type, o->docker_types);
	return 0;
}

static int make_one(const struct layer_chain *chain, const struct layer_blob_options *o,
		    struct cancel *cancel, struct layer_body *ret, struct error **err)
{
	return advise(find_or_make(chain, o, cancel, ret, err), err);
}

/* --- a chain, several layers at a time --- */

struct making {
	const struct layer_chain *chain;
	const struct layer_blob_options *o;
	struct cancel *cancel;
	struct layer_body *bodies;
};

static int make_nth(void *data, size_t i, struct error **err)
{
	struct making *m = data;
	struct layer_chain chain = *m->chain;

	chain.n = i + 1;
	return make_one(&chain, m->o, m->cancel, &m->bodies[i], err);
}

/* Fetches the blobs that received layers lack. */
static int fetch_missing(struct store *s, const int64_t *layers, size_t n,
			 const struct layer_blob_options *o, struct error **err)
{
	_cleanup_free_ int64_t *missing = xcalloc(n + 1, sizeof(*missing));
	size_t n_missing = 0;

	for (size_t i = 0; i < n; i++) {
		_cleanup_(layer_info_release) struct layer_info info = {0};
		int r = layer_get(s, layers[i], &info, err);

		if (r < 0)
			return r;
		if (layer_blob_is_received(&info) && info.has_blob &&
		    !blob_exists(s, &info.blob.digest, NULL))
			missing[n_missing++] = layers[i];
	}
	if (n_missing == 0)
		return 0;
	return o->fetcher.require(o->fetcher.data, missing, n_missing, err);
}

int layer_blob_make_one(const struct layer_chain *chain, const struct layer_blob_options *o,
			struct cancel *cancel, struct layer_body *ret, struct error **err)
{
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	if (!o->lazy && o->fetcher.require)
		r = fetch_missing(chain->store, &chain->layers[chain->n - 1], 1, o, err);
	if (r == 0)
		r = make_one(chain, o, cancel, ret, err);
	if (r < 0)
		layer_body_release(ret);
	return r;
}

int layer_blob_make(const struct layer_chain *chain, const struct layer_blob_options *o,
		    struct cancel *cancel, struct layer_body *ret, struct error **err)
{
	struct making m = {.chain = chain, .o = o, .cancel = cancel, .bodies = ret};
	int r;

	memset(ret, 0, chain->n * sizeof(*ret));
	if (!o->lazy && o->fetcher.require) {
		r = fetch_missing(chain->store, chain->layers, chain->n, o, err);
		if (r < 0)
			return r;
	}
	r = parallel_for(chain->n, make_nth, &m, err);
	if (r < 0)
		for (size_t i = 0; i < chain->n; i++)
			layer_body_release(&ret[i]);
	return r;
}

/* --- sending --- */

/* Passes bytes on, and hashes them. */
struct tee {
	struct hasher hasher;
	tar_sink_fn sink;
	void *data;
	struct cancel *cancel;
};

static int tee_write(void *data, const void *p, size_t n, struct error **err)
{
	struct tee *t = data;

	if (cancel_is_set(t->cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	hasher_add(&t->hasher, p, n);
	return t->sink(t->data, p, n, err);
}

static int send_made(const struct layer_chain *chain, const int64_t *clamp, struct tee *t,
		     struct error **err)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	int r = layer_get(chain->store, chain->layers[chain->n - 1], &info, err);

	return r < 0 ? r : layer_bytes_made(chain, &info, clamp, t->cancel, tee_write, t, err);
}

int layer_blob_refused(struct store *s, const struct digest *blob, int64_t layer, int r,
		       struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	_cleanup_free_ char *whose = layer ? xasprintf("layer %" PRId64 ": ", layer) : xstrdup("");
	char text[DIGEST_TEXT];

	if (blob_verify(s, blob, NULL, &why) != -ERR_CORRUPT)
		return r;
	if (err) {
		error_free(*err);
		*err = TAKE_PTR(why);
	}
	return advise(error_wrap(err, -ERR_CORRUPT, "%sits blob %s in the store is damaged", whose,
				 digest_format(blob, text)),
		      err);
}

static int send_verified(const struct layer_chain *chain, const struct layer_blob_options *o,
			 const struct layer_body *body, struct cancel *cancel, tar_sink_fn sink,
			 void *data, struct error **err)
{
	struct store *s = chain->store;
	struct tee t = {.sink = sink, .data = data, .cancel = cancel};
	const int64_t *clamp = o->clamp && chain->n > chain->n_keep ? &o->clamp_time : NULL;
	int64_t top = chain->n > 0 ? chain->layers[chain->n - 1] : 0;
	char expected[DIGEST_TEXT], found[DIGEST_TEXT];
	struct digest digest;
	int r;

	/* What was hashed a moment ago, as it was written, is what it says. */
	if (body->stored && blob_is_ours(s, &body->blob.digest))
		return layer_bytes_blob(s, &body->blob.digest, cancel, sink, data, err);
	hasher_init(&t.hasher);
	r = body->stored ? layer_bytes_blob(s, &body->blob.digest, cancel, tee_write, &t, err)
			 : send_made(chain, clamp, &t, err);
	if (r == 0)
		hasher_final(&t.hasher, &digest);
	hasher_release(&t.hasher);
	if (r < 0)
		return r;
	if (digest_equal(&digest, &body->blob.digest))
		return 0;
	r = error_new(err, ERR_CORRUPT, 0, "layer %" PRId64 ": expected %s, found %s", top,
		      digest_format(&body->blob.digest, expected), digest_format(&digest, found));
	return body->stored ? layer_blob_refused(s, &body->blob.digest, top, r, err) : r;
}

int layer_blob_send(const struct layer_chain *chain, const struct layer_blob_options *o,
		    const struct layer_body *body, struct cancel *cancel, tar_sink_fn sink,
		    void *data, struct error **err)
{
	return advise(send_verified(chain, o, body, cancel, sink, data, err), err);
}
