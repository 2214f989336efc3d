/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/image_compare.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/image_config.h"
#include "base/json.h"
#include "engine/oci/layout_dir.h"
#include "engine/oci/oci.h"
#include "engine/oci/oci_archive.h"

#define INDEX_FILE "index.json"

/* The same document of both layouts. */
struct pair {
	struct buf bytes[2];
	json_t *json[2];
	struct oci_document docs[2];
};
#define PAIR_INIT                               \
	{                                       \
		.bytes = { BUF_INIT, BUF_INIT } \
	}

static void pair_release(struct pair *p)
{
	for (size_t i = 0; i < 2; i++) {
		buf_release(&p->bytes[i]);
		json_decref(p->json[i]);
		oci_document_release(&p->docs[i]);
	}
}

void image_comparison_release(struct image_comparison *c)
{
	free(c->platform);
	free(c->part);
	free(c->step);
	difference_release(&c->difference);
	*c = (struct image_comparison){0};
}

struct comparison {
	int dirs[2];
	const struct cancel *cancel;
	struct image_comparison *result;
};

static int read_pair(const struct comparison *c, const struct digest *digests, struct pair *p,
		     struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < 2 && r == 0; i++) {
		struct buf *b = &p->bytes[i];

		r = layout_dir_read_blob(c->dirs[i], &digests[i], OCI_DOCUMENT_MAX, b, err);
		if (r == 0)
			r = js_parse("document", b->p, b->n, &p->json[i], err);
	}
	return r;
}

static int parse_pair(struct pair *p, struct error **err)
{
	int r = oci_document_parse(NULL, p->bytes[0].p, p->bytes[0].n, &p->docs[0], err);

	return r < 0 ? r : oci_document_parse(NULL, p->bytes[1].p, p->bytes[1].n, &p->docs[1], err);
}

/* --- documents --- */

static char *show_json(const json_t *value)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (!value)
		return xstrdup("nothing");
	js_dump(value, false, &b);
	return difference_text(b.p, b.n);
}

static bool differ(const json_t *a, const json_t *b, struct buf *path, struct difference *ret);

static bool members_differ(const json_t *a, const json_t *b, struct buf *path,
			   struct difference *ret)
{
	const json_t *const both[] = {a, b};
	size_t at = path->n;

	for (size_t i = 0; i < 2; i++) {
		const char *key;
		json_t *value;

		json_object_foreach((json_t *)(uintptr_t)both[i], key, value)
		{
			buf_addf(path, "%s%s", at ? "." : "", key);
			if (differ(json_object_get(a, key), json_object_get(b, key), path, ret))
				return true;
			buf_truncate(path, at);
		}
	}
	return false;
}

static bool elements_differ(const json_t *a, const json_t *b, struct buf *path,
			    struct difference *ret)
{
	size_t n =
		json_array_size(a) > json_array_size(b) ? json_array_size(a) : json_array_size(b);
	size_t at = path->n;

	for (size_t i = 0; i < n; i++) {
		buf_addf(path, "[%zu]", i);
		if (differ(json_array_get(a, i), json_array_get(b, i), path, ret))
			return true;
		buf_truncate(path, at);
	}
	return false;
}

/* The first member that is not the same in both. */
static bool differ(const json_t *a, const json_t *b, struct buf *path, struct difference *ret)
{
	if (json_is_object(a) && json_is_object(b))
		return members_differ(a, b, path, ret);
	if (json_is_array(a) && json_is_array(b))
		return elements_differ(a, b, path, ret);
	if (a && b && json_equal(a, b))
		return false;
	ret->field = difference_text(path->p, path->n);
	ret->first = show_json(a);
	ret->second = show_json(b);
	return true;
}

/* Equal bytes are the rule, and documents of equal members are written the same. */
static void compare_documents(struct comparison *c, const char *part, const struct pair *p)
{
	_cleanup_buf_ struct buf path = BUF_INIT;

	c->result->differs = differ(p->json[0], p->json[1], &path, &c->result->difference);
	if (c->result->differs)
		c->result->part = xstrdup(part);
}

/* --- layers --- */

/* What the history says of layer number `layer`; NULL if nothing. */
static char *step_of(const struct image_config *config, size_t layer)
{
	for (size_t i = 0; i < config->history.n; i++) {
		const struct image_history *h = &config->history.v[i];

		if (h->empty_layer || layer-- > 0)
			continue;
		return h->created_by ? difference_text(h->created_by, strlen(h->created_by)) : NULL;
	}
	return NULL;
}

static int open_blob(const struct comparison *c, size_t side, const struct digest *digest,
		     struct error **err)
{
	_cleanup_free_ char *name = oci_archive_blob_name(digest);

	return layout_dir_open(c->dirs[side], name, err);
}

static int compare_layer(struct comparison *c, const struct pair *manifests, size_t i,
			 const struct image_config *config, struct error **err)
{
	const struct digest *first = &manifests->docs[0].layers.v[i].digest;
	const struct digest *second = &manifests->docs[1].layers.v[i].digest;
	struct image_comparison *result = c->result;
	_cleanup_close_ int a = -1, b = -1;
	char text[DIGEST_TEXT];
	int r;

	if (digest_equal(first, second))
		return 0;
	a = open_blob(c, 0, first, err);
	b = a < 0 ? a : open_blob(c, 1, second, err);
	if (b < 0)
		return b;
	r = layer_compare(a, b, c->cancel, &result->differs, &result->difference, err);
	if (r < 0)
		return r;
	if (!result->differs) {
		result->difference.field = xstrdup("bytes of the blob");
		result->difference.first = xstrdup(digest_format(first, text));
		result->difference.second = xstrdup(digest_format(second, text));
		result->differs = true;
	}
	result->part = xasprintf("layer %zu of %zu", i + 1, manifests->docs[0].layers.n);
	result->step = step_of(config, i);
	return 0;
}

/* --- images --- */

static int compare_parts(struct comparison *c, struct pair *manifests, const struct pair *configs,
			 struct error **err)
{
	size_t n = manifests->docs[0].layers.n;
	struct image_config config;
	int r = image_config_parse(configs->bytes[0].p, configs->bytes[0].n, &config, err);

	if (r < 0)
		return r;
	if (manifests->docs[1].layers.n < n)
		n = manifests->docs[1].layers.n;
	for (size_t i = 0; i < n && r == 0 && !c->result->differs; i++)
		r = compare_layer(c, manifests, i, &config, err);
	image_config_release(&config);
	if (r == 0 && !c->result->differs)
		compare_documents(c, "config", configs);
	if (r == 0 && !c->result->differs)
		compare_documents(c, "manifest", manifests);
	return r;
}

static int compare_image(struct comparison *c, const struct oci_descriptor *first,
			 const struct oci_descriptor *second, struct error **err)
{
	_cleanup_(pair_release) struct pair manifests = PAIR_INIT, configs = PAIR_INIT;
	const struct digest digests[] = {first->digest, second->digest};
	struct digest config_digests[2];
	char platform[64];
	int r;

	if (digest_equal(&digests[0], &digests[1]))
		return 0;
	r = read_pair(c, digests, &manifests, err);
	if (r == 0)
		r = parse_pair(&manifests, err);
	if (r < 0)
		return r;
	config_digests[0] = manifests.docs[0].config.digest;
	config_digests[1] = manifests.docs[1].config.digest;
	r = read_pair(c, config_digests, &configs, err);
	if (r == 0)
		r = compare_parts(c, &manifests, &configs, err);
	if (r == 0 && c->result->differs && first->has_platform)
		c->result->platform = xstrdup(platform_format(&first->platform, platform));
	return r;
}

/* `p` holds two indexes: those of the layouts, or of several platforms. */
static int compare_indexes(struct comparison *c, struct pair *p, unsigned depth, struct error **err)
{
	size_t n = p->docs[0].manifests.n;
	int r = 0;

	if (p->docs[1].manifests.n < n)
		n = p->docs[1].manifests.n;
	for (size_t i = 0; i < n && r == 0 && !c->result->differs; i++) {
		const struct oci_descriptor *first = &p->docs[0].manifests.v[i];
		const struct oci_descriptor *second = &p->docs[1].manifests.v[i];
		const struct digest digests[] = {first->digest, second->digest};
		_cleanup_(pair_release) struct pair below = PAIR_INIT;

		if (!oci_is_index_type(first->media_type) || depth >= OCI_NESTING_MAX) {
			r = compare_image(c, first, second, err);
			continue;
		}
		r = read_pair(c, digests, &below, err);
		if (r == 0)
			r = parse_pair(&below, err);
		if (r == 0)
			r = compare_indexes(c, &below, depth + 1, err);
	}
	if (r == 0 && !c->result->differs)
		compare_documents(c, "index", p);
	return r;
}

static int compare(struct comparison *c, struct error **err)
{
	_cleanup_(pair_release) struct pair top = PAIR_INIT;
	int r = 0;

	for (size_t i = 0; i < 2 && r == 0; i++) {
		struct buf *b = &top.bytes[i];

		r = layout_dir_read(c->dirs[i], INDEX_FILE, OCI_DOCUMENT_MAX, b, err);
		if (r == 0)
			r = js_parse(INDEX_FILE, b->p, b->n, &top.json[i], err);
	}
	if (r == 0)
		r = parse_pair(&top, err);
	if (r < 0)
		return r;
	if (top.docs[0].manifests.n == 0)
		return error_new(err, ERR_INVALID, 0, "the layout names no image");
	c->result->top = top.docs[0].manifests.v[0].digest;
	return compare_indexes(c, &top, 0, err);
}

int image_compare(const char *first, const char *second, const struct cancel *cancel,
		  struct image_comparison *ret, struct error **err)
{
	_cleanup_close_ int a = fs_open_dir(AT_FDCWD, first), b = fs_open_dir(AT_FDCWD, second);
	struct comparison c = {.dirs = {a, b}, .cancel = cancel, .result = ret};
	int r;

	*ret = (struct image_comparison){0};
	if (a < 0 || b < 0)
		return error_new(err, ERR_IO, a < 0 ? -a : -b, "open '%s'", a < 0 ? first : second);
	r = compare(&c, err);
	if (r < 0)
		image_comparison_release(ret);
	return error_wrap(err, r, "compare '%s' and '%s'", first, second);
}
