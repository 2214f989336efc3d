/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/oci/image_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/image_config.h"
#include "base/times.h"
#include "store/blob.h"
#include "store/record.h"

#define INDEX_PIN "image-index:"

void image_index_release(struct image_index *i)
{
	buf_release(&i->bytes);
	oci_document_release(&i->doc);
}

static char *pin_name(const struct digest *manifest)
{
	char text[DIGEST_TEXT];

	return xasprintf(INDEX_PIN "%s", digest_format(manifest, text));
}

static int read_document(struct store *s, const struct digest *digest, struct buf *bytes,
			 struct oci_document *ret, struct error **err)
{
	int r = blob_read(s, digest, OCI_DOCUMENT_MAX, bytes, err);

	return r < 0 ? r : oci_entry_parse(bytes->p, bytes->n, ret, err);
}

int image_index_load(struct store *s, const struct digest *manifest, bool *ret_found,
		     struct image_index *ret, struct error **err)
{
	_cleanup_free_ char *name = pin_name(manifest);
	_cleanup_buf_ struct buf value = BUF_INIT;
	int64_t when;
	int r = pin_get(s, name, ret_found, &value, &when, err);

	if (r < 0 || !*ret_found)
		return r;
	*ret_found = digest_parse(value.p, &ret->digest) == 0 && blob_exists(s, &ret->digest, NULL);
	return *ret_found ? read_document(s, &ret->digest, &ret->bytes, &ret->doc, err) : 0;
}

/* --- keeping --- */

static int keep_blob(struct store *s, const struct digest *manifest, const struct digest *blob,
		     struct error **err)
{
	char text[DIGEST_TEXT];

	if (!blob_exists(s, blob, NULL))
		return error_new(err, ERR_NOTFOUND, 0, "%s is not in the store",
				 digest_format(blob, text));
	return image_keep_blob(s, manifest, blob, err);
}

static int keep_entry(struct store *s, const struct digest *manifest, const struct digest *entry,
		      struct error **err)
{
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	int r = keep_blob(s, manifest, entry, err);

	if (r == 0)
		r = read_document(s, entry, &bytes, &doc, err);
	if (r == 0 && doc.kind != OCI_MANIFEST)
		r = error_new(err, ERR_UNSUPPORTED, 0, "an index within an index");
	if (r == 0)
		r = keep_blob(s, manifest, &doc.config.digest, err);
	for (size_t i = 0; r == 0 && i < doc.layers.n; i++)
		r = keep_blob(s, manifest, &doc.layers.v[i].digest, err);
	return r;
}

int image_index_keep(struct store *s, const struct digest *manifest, const struct digest *index,
		     struct error **err)
{
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	_cleanup_free_ char *name = pin_name(manifest);
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	char text[DIGEST_TEXT];
	int r = read_document(s, index, &bytes, &doc, err);

	for (size_t i = 0; r == 0 && i < doc.manifests.n; i++)
		r = keep_entry(s, manifest, &doc.manifests.v[i].digest, err);
	if (r == 0)
		r = keep_blob(s, manifest, index, err);
	return r < 0 ? r : pin_set(s, name, digest_format(index, text), err);
}

/* --- choosing --- */

static void set_platform(struct image *image, const struct platform *p)
{
	free(image->os);
	free(image->arch);
	free(image->variant);
	image->os = xstrdup(p->os);
	image->arch = xstrdup(p->arch);
	image->variant = xstrdup(p->variant);
}

int image_for_entry(struct store *s, struct image *image, const struct digest *manifest,
		    struct error **err)
{
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	_cleanup_buf_ struct buf bytes = BUF_INIT, config = BUF_INIT;
	struct image_config c;
	int r;

	if (digest_equal(manifest, &image->manifest))
		return 0;
	r = read_document(s, manifest, &bytes, &doc, err);
	if (r == 0)
		r = blob_read(s, &doc.config.digest, OCI_DOCUMENT_MAX, &config, err);
	if (r == 0)
		r = image_config_parse(config.p, config.n, &c, err);
	if (r < 0)
		return r;
	image->manifest = *manifest;
	image->config = doc.config.digest;
	image->n_layers = 0;
	image->size = 0;
	image->created = 0;
	for (size_t i = 0; i < doc.layers.n; i++)
		image->size += doc.layers.v[i].size;
	if (c.created)
		(void)!times_parse_rfc3339(c.created, &image->created);
	set_platform(image, &c.platform);
	image_config_release(&c);
	return 0;
}

static int check_platform(const struct image *image, const struct platform *want,
			  struct error **err)
{
	const struct platform have = image_platform(image);
	char wanted[64], there[64];

	return platform_match(want, &have)
		       ? 0
		       : error_new(err, ERR_NOTFOUND, 0, "no image for %s: it is for %s",
				   platform_format(want, wanted), platform_format(&have, there));
}

int image_for_platform(struct store *s, struct image *image, const struct platform *want,
		       struct error **err)
{
	_cleanup_(image_index_release) struct image_index index = IMAGE_INDEX_INIT;
	bool indexed = false;
	size_t chosen;
	int r;

	if (!want)
		return 0;
	r = image_index_load(s, &image->manifest, &indexed, &index, err);
	if (r < 0 || !indexed)
		return r < 0 ? r : check_platform(image, want, err);
	r = oci_index_select(&index.doc, want, &chosen, err);
	return r < 0 ? r : image_for_entry(s, image, &index.doc.manifests.v[chosen].digest, err);
}
