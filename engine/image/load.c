/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/image_config.h"
#include "base/imageref.h"
#include "base/times.h"
#include "engine/image/load_archive.h"
#include "engine/layer/layer_blob.h"
#include "engine/oci/image_index.h"
#include "engine/oci/oci.h"
#include "engine/oci/oci_manifest.h"
#include "engine/registry/pull.h"
#include "engine/stream/inflate.h"
#include "store/blob.h"
#include "store/image.h"

#define READ_SIZE ((size_t)256 * 1024)

/* An image found in the archive, not recorded yet. */
struct found_image {
	struct digest manifest, config;
	struct strv names; /* full */
	struct strv tags;  /* without a name: of OCI layouts */
	struct image_config parsed;
	VEC(struct oci_descriptor) layers; /* media types owned */
	bool indexed;
	struct digest index; /* that it was chosen from */
};

struct load {
	struct store *s;
	struct load_archive files;
	const struct platform *platform;
	struct cancel *cancel;
	VEC(struct found_image) images;
};

static void found_release(struct found_image *f)
{
	strv_release(&f->names);
	strv_release(&f->tags);
	image_config_release(&f->parsed);
	for (size_t i = 0; i < f->layers.n; i++)
		free(f->layers.v[i].media_type);
	vec_release(&f->layers);
}

static void load_release(struct load *l)
{
	for (size_t i = 0; i < l->images.n; i++)
		found_release(&l->images.v[i]);
	vec_release(&l->images);
	load_archive_release(&l->files);
}

void load_result_release(struct load_result *r)
{
	for (size_t i = 0; i < r->images.n; i++)
		free(r->images.v[i].name);
	vec_release(&r->images);
}

/* --- documents --- */

static int read_document(struct load *l, const struct load_file *file, const char *name,
			 struct buf *ret, struct error **err)
{
	int r;

	if (!file)
		return error_new(err, ERR_INVALID, 0, "the archive lacks %s", name);
	r = blob_read(l->s, &file->digest, OCI_DOCUMENT_MAX, ret, err);
	return error_wrap(err, r, "%s", name);
}

static int read_blob_document(struct load *l, const struct digest *digest, struct buf *ret,
			      struct error **err)
{
	char text[DIGEST_TEXT];

	return read_document(l, load_archive_blob(&l->files, digest), digest_format(digest, text),
			     ret, err);
}

static int parse_config(struct load *l, const struct load_file *file, const char *name,
			struct found_image *f, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = read_document(l, file, name, &b, err);

	if (r < 0)
		return r;
	f->config = file->digest;
	r = image_config_parse(b.p, b.n, &f->parsed, err);
	if (r < 0)
		return error_wrap(err, r, "image config %s", name);
	if (f->parsed.diff_ids.n != f->layers.n)
		return error_new(err, ERR_INVALID, 0,
				 "image config %s has %zu diff ids for %zu layers", name,
				 f->parsed.diff_ids.n, f->layers.n);
	return 0;
}

static int add_name(struct found_image *f, const char *text, struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_free_ char *full = NULL;
	int r = imageref_parse(text, &ref, err);

	if (r < 0)
		return r;
	if (ref.has_digest)
		return 0;
	full = imageref_format(&ref);
	if (!strv_contains(&f->names, full))
		strv_push(&f->names, full);
	return 0;
}

/* --- OCI layouts
 * ------------------------------------------------------------------------------------ */

static struct found_image *find_manifest(struct load *l, const struct digest *manifest)
{
	for (size_t i = 0; i < l->images.n; i++)
		if (digest_equal(&l->images.v[i].manifest, manifest))
			return &l->images.v[i];
	return NULL;
}

static int take_manifest(struct load *l, const struct digest *digest,
			 const struct oci_document *doc, struct error **err)
{
	struct found_image f = {.manifest = *digest};
	char text[DIGEST_TEXT];
	int r;

	for (size_t i = 0; i < doc->layers.n; i++) {
		struct oci_descriptor d = doc->layers.v[i];

		d.media_type = xstrdup(d.media_type);
		d.ref_name = NULL;
		vec_push(&f.layers, d);
	}
	r = parse_config(l, load_archive_blob(&l->files, &doc->config.digest),
			 digest_format(&doc->config.digest, text), &f, err);
	if (r < 0) {
		found_release(&f);
		return r;
	}
	vec_push(&l->images, f);
	return 0;
}

static void note_index(struct load *l, const struct digest *manifest, const struct digest *index)
{
	struct found_image *f = find_manifest(l, manifest);

	if (!f)
		return;
	f->indexed = true;
	f->index = *index;
}

/* Follows a descriptor to a manifest, through indexes. `ret` is the manifest's digest. */
static int take_descriptor(struct load *l, const struct oci_descriptor *d, unsigned depth,
			   struct digest *ret, struct error **err)
{
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t chosen;
	int r;

	*ret = d->digest;
	if (find_manifest(l, &d->digest))
		return 0;
	if (depth > OCI_NESTING_MAX)
		return error_new(err, ERR_INVALID, 0, "indexes are nested too deep");
	r = read_blob_document(l, &d->digest, &b, err);
	if (r == 0)
		r = oci_document_parse(d->media_type, b.p, b.n, &doc, err);
	if (r < 0)
		return r;
	if (doc.kind == OCI_MANIFEST)
		return take_manifest(l, &d->digest, &doc, err);
	r = oci_index_select(&doc, l->platform, &chosen, err);
	if (r == 0)
		r = take_descriptor(l, &doc.manifests.v[chosen], depth + 1, ret, err);
	if (r == 0)
		note_index(l, ret, &d->digest);
	return r;
}

/* A name in index.json may be a whole reference or, by the OCI's letter, a tag alone: then the
 * image stays without a name, since a tag alone does not say of what. */
static int take_name(struct load *l, const struct digest *manifest, const char *name,
		     struct error **err)
{
	struct found_image *f = find_manifest(l, manifest);

	if (!f || !name)
		return 0;
	if (strpbrk(name, "/:"))
		return add_name(f, name, err);
	strv_push(&f->tags, name);
	return 0;
}

static int read_index(struct load *l, const struct load_file *file, struct error **err)
{
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = read_document(l, file, "index.json", &b, err);

	if (r == 0)
		r = oci_document_parse(OCI_INDEX_TYPE, b.p, b.n, &doc, err);
	if (r < 0)
		return error_wrap(err, r, "index.json");
	for (size_t i = 0; i < doc.manifests.n; i++) {
		const struct oci_descriptor *d = &doc.manifests.v[i];
		struct digest manifest;

		if (d->attestation)
			continue;
		r = take_descriptor(l, d, 0, &manifest, err);
		if (r == 0)
			r = take_name(l, &manifest, d->ref_name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- docker's manifest.json
 * ------------------------------------------------------------------------- */

/* Which compression a blob has shows in its first bytes. */
static int layer_type(struct load *l, const struct digest *digest, const char **ret,
		      struct error **err)
{
	unsigned char magic[4] = {0};
	uint64_t size;
	_cleanup_close_ int fd = blob_open(l->s, digest, &size, err);

	if (fd < 0)
		return fd;
	(void)!fs_read_full(fd, magic, sizeof(magic));
	if (magic[0] == 0x1f && magic[1] == 0x8b)
		*ret = OCI_LAYER_TYPE "+gzip";
	else if (memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0)
		*ret = OCI_LAYER_TYPE "+zstd";
	else
		*ret = OCI_LAYER_TYPE;
	return 0;
}

static int take_docker_layers(struct load *l, const json_t *entry, struct found_image *f,
			      struct error **err)
{
	_cleanup_strv_ struct strv names = {0};
	int r = js_strings(entry, "Layers", &names, err);

	if (r == 0 && names.n > OCI_LAYERS_MAX)
		r = error_new(err, ERR_INVALID, 0, "more than %d layers", OCI_LAYERS_MAX);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		const struct load_file *file = load_archive_find(&l->files, names.v[i]);
		const char *type;

		if (!file)
			return error_new(err, ERR_INVALID, 0, "the archive lacks layer '%s'",
					 names.v[i]);
		r = layer_type(l, &file->digest, &type, err);
		if (r == 0)
			vec_push(&f->layers, (struct oci_descriptor){.media_type = xstrdup(type),
								     .digest = file->digest,
								     .size = file->size});
	}
	return r;
}

/* Docker's archives of old have no manifest; this is the one they would have. */
static int make_manifest(struct load *l, struct found_image *f, uint64_t config_size,
			 struct error **err)
{
	_cleanup_free_ struct layer_body *bodies = xcalloc(f->layers.n + 1, sizeof(*bodies));
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (size_t i = 0; i < f->layers.n; i++) {
		bodies[i].blob.media_type = f->layers.v[i].media_type;
		bodies[i].blob.digest = f->layers.v[i].digest;
		bodies[i].blob.size = f->layers.v[i].size;
	}
	oci_manifest_write(false, &f->config, config_size, bodies, f->layers.n, NULL, &b);
	return blob_put(l->s, b.p, b.n, &f->manifest, err);
}

/* The image of an entry, which an OCI index may have named before. */
static int take_docker_image(struct load *l, const json_t *entry, struct found_image **ret,
			     struct error **err)
{
	struct found_image f = {0};
	const struct load_file *config;
	const char *name = NULL;
	int r = js_string(entry, "Config", &name, err);

	if (r < 0)
		return r;
	config = name ? load_archive_find(&l->files, name) : NULL;
	if (!config)
		return error_new(err, ERR_INVALID, 0, "the archive lacks the config '%s'",
				 name ? name : "");
	for (size_t i = 0; i < l->images.n; i++)
		if (digest_equal(&l->images.v[i].config, &config->digest)) {
			*ret = &l->images.v[i];
			return 0;
		}
	r = take_docker_layers(l, entry, &f, err);
	if (r == 0)
		r = parse_config(l, config, name, &f, err);
	if (r == 0)
		r = make_manifest(l, &f, config->size, err);
	if (r < 0) {
		found_release(&f);
		return r;
	}
	vec_push(&l->images, f);
	*ret = &vec_last(&l->images);
	return 0;
}

/* Has the OCI index said whose these names are? It can tell platforms apart, manifest.json
 * cannot. */
static bool are_named(const struct load *l, const struct strv *tags)
{
	for (size_t i = 0; i < tags->n; i++) {
		_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
		_cleanup_free_ char *full = NULL;
		bool found = false;

		if (imageref_parse(tags->v[i], &ref, NULL) < 0)
			return false;
		full = imageref_format(&ref);
		for (size_t k = 0; k < l->images.n && !found; k++)
			found = strv_contains(&l->images.v[k].names, full);
		if (!found)
			return false;
	}
	return tags->n > 0;
}

static int read_docker(struct load *l, const struct load_file *file, struct error **err)
{
	_cleanup_json_ json_t *doc = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = read_document(l, file, "manifest.json", &b, err);

	if (r == 0)
		r = js_parse("manifest.json", b.p, b.n, &doc, err);
	if (r == 0 && !json_is_array(doc))
		r = error_new(err, ERR_INVALID, 0, "manifest.json is not an array");
	for (size_t i = 0; r == 0 && i < json_array_size(doc); i++) {
		const json_t *entry = json_array_get(doc, i);
		_cleanup_strv_ struct strv tags = {0};
		struct found_image *f = NULL;

		if (!json_is_object(entry))
			return error_new(err, ERR_INVALID, 0,
					 "manifest.json: entry %zu is not an object", i);
		r = js_strings(entry, "RepoTags", &tags, err);
		if (r == 0 && are_named(l, &tags))
			continue;
		if (r == 0)
			r = take_docker_image(l, entry, &f, err);
		for (size_t k = 0; r == 0 && k < tags.n; k++)
			r = add_name(f, tags.v[k], err);
	}
	return error_wrap(err, r, "manifest.json");
}

/* --- into the store
 * ------------------------------------------------------------------------------------ */

static int hash_plain(struct load *l, const struct digest *blob, struct digest *ret,
		      struct error **err)
{
	_cleanup_(inflate_freep) struct inflate *in = NULL;
	_cleanup_free_ char *buffer = xmalloc(READ_SIZE);
	_cleanup_hasher_ struct hasher hasher;
	_cleanup_close_ int fd = -1;
	uint64_t size;
	size_t n;

	hasher_init(&hasher);
	fd = blob_open(l->s, blob, &size, err);
	if (fd < 0)
		return fd;
	in = inflate_open(inflate_read_fd, &fd);
	do {
		int r = inflate_read(in, buffer, READ_SIZE, &n, err);

		if (r < 0)
			return r;
		if (cancel_is_set(l->cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		hasher_add(&hasher, buffer, n);
	} while (n > 0);
	hasher_final(&hasher, ret);
	return 0;
}

/* A layer whose plain bytes are not what the config promises would spoil every image that shares
 * it. */
static int verify_layer(struct load *l, const struct oci_descriptor *d,
			const struct digest *diff_id, struct error **err)
{
	const struct load_file *file = load_archive_blob(&l->files, &d->digest);
	char expected[DIGEST_TEXT], found[DIGEST_TEXT];
	struct digest digest;
	int r;

	if (!blob_exists(l->s, &d->digest, NULL))
		return error_new(err, ERR_INVALID, 0, "the archive lacks layer %s",
				 digest_format(&d->digest, found));
	if (file && file->size != d->size)
		return error_new(err, ERR_INVALID, 0,
				 "layer %s is not as large as its descriptor says",
				 digest_format(&d->digest, found));
	r = hash_plain(l, &d->digest, &digest, err);
	if (r < 0)
		return error_wrap(err, r, "layer %s", digest_format(&d->digest, found));
	if (!digest_equal(&digest, diff_id))
		return error_new(err, ERR_CORRUPT, 0, "layer %s unpacks to %s, not to its diff id",
				 digest_format(diff_id, expected), digest_format(&digest, found));
	return 0;
}

static int take_layer(struct load *l, const struct oci_descriptor *d, const struct digest *diff_id,
		      int64_t *ret, struct error **err)
{
	struct layer_blob blob = {
		.media_type = d->media_type, .digest = d->digest, .size = d->size};
	_cleanup_(layer_info_release) struct layer_info info = {0};
	int r = layer_find_diff_id(l->s, diff_id, ret, err);

	if (r == 0 && *ret != 0)
		r = layer_get(l->s, *ret, &info, err);
	if (r < 0 || info.has_dir || (info.has_blob && blob_exists(l->s, &info.blob.digest, NULL)))
		return r;
	r = verify_layer(l, d, diff_id, err);
	if (r < 0)
		return r;
	/* A layer that a registry has, and this store not yet: from now on it has these bytes. */
	if (*ret != 0)
		return layer_set_blob(l->s, *ret, &blob, err);
	return layer_add_remote(l->s, diff_id, &blob, LAYER_SOURCE_ARCHIVE, ret, err);
}

static void report(struct load_result *result, const char *full, const struct digest *id)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_free_ char *name = NULL;
	struct loaded_image image = {.id = *id};

	if (full && imageref_parse(full, &ref, NULL) == 0) {
		name = imageref_familiar_name(&ref);
		image.name = xasprintf("%s:%s", name, ref.tag ? ref.tag : "latest");
	}
	vec_push(&result->images, image);
}

static int put_image(struct load *l, const struct found_image *f, struct load_result *result,
		     struct error **err)
{
	struct image image = {.manifest = f->manifest,
			      .config = f->config,
			      .os = xstrdup(f->parsed.platform.os),
			      .arch = xstrdup(f->parsed.platform.arch),
			      .variant = xstrdup(f->parsed.platform.variant)};
	int r = 0;

	if (f->parsed.created)
		(void)!times_parse_rfc3339(f->parsed.created, &image.created);
	image.layers = xcalloc(f->layers.n + 1, sizeof(*image.layers));
	for (; r == 0 && image.n_layers < f->layers.n; image.n_layers += r == 0)
		r = take_layer(l, &f->layers.v[image.n_layers],
			       &f->parsed.diff_ids.v[image.n_layers], &image.layers[image.n_layers],
			       err);
	/* An image that was loaded is ready to run: every layer has its dir. */
	if (r == 0)
		r = layers_require(l->s, NULL, NULL, image.layers, image.n_layers, err);
	for (size_t i = 0; r == 0 && i < image.n_layers; i++) {
		_cleanup_(layer_info_release) struct layer_info info = {0};

		r = layer_get(l->s, image.layers[i], &info, err);
		image.size += info.size;
	}
	if (r == 0)
		r = image_put(l->s, &image, f->names.n > 0 ? f->names.v[0] : NULL, IMAGE_MADE, NULL,
			      err);
	for (size_t i = 1; r == 0 && i < f->names.n; i++)
		r = image_tag(l->s, &f->manifest, f->names.v[i], IMAGE_MADE, err);
	image_release(&image);
	/* The other platforms stay with it, if the archive has them whole. */
	if (r == 0 && f->indexed)
		(void)!image_index_keep(l->s, &f->manifest, &f->index, NULL);
	if (r < 0)
		return r;
	for (size_t i = 0; i < f->names.n; i++)
		report(result, f->names.v[i], &f->config);
	if (f->names.n == 0)
		report(result, NULL, &f->config);
	return 0;
}

static int find_images(struct load *l, struct error **err)
{
	const struct load_file *index = load_archive_find(&l->files, "index.json");
	const struct load_file *docker = load_archive_find(&l->files, "manifest.json");
	int r = 0;

	if (!index && !docker)
		return error_hint(
			err,
			error_new(err, ERR_INVALID, 0,
				  "no image: neither index.json nor manifest.json is in it"),
			"to make an image of a root file system, use import");
	if (index)
		r = read_index(l, index, err);
	if (r == 0 && docker)
		r = read_docker(l, docker, err);
	if (r == 0 && l->images.n == 0)
		r = error_new(err, ERR_INVALID, 0, "the archive names no image");
	return r;
}

int load_images(struct store *s, int fd, const char *what, const struct platform *platform,
		struct cancel *cancel, struct load_result *ret, struct error **err)
{
	_cleanup_(load_release) struct load l = {.s = s, .platform = platform, .cancel = cancel};
	struct load_result result = {0};
	int r = load_archive_read(s, fd, what, cancel, &l.files, err);

	if (r < 0)
		return r;
	r = find_images(&l, err);
	for (size_t i = 0; r == 0 && i < l.images.n; i++)
		r = put_image(&l, &l.images.v[i], &result, err);
	if (r < 0) {
		load_result_release(&result);
		return error_wrap(err, r, "load '%s'", what);
	}
	*ret = result;
	return 0;
}

/* --- as a base --- */

static bool has_tag(const struct found_image *f, const char *tag)
{
	for (size_t i = 0; i < f->names.n; i++) {
		const char *colon = strrchr(f->names.v[i], ':');

		if (colon && strcmp(colon + 1, tag) == 0)
			return true;
	}
	return strv_contains(&f->tags, tag);
}

/* The image of these that serves the platform best; NULL if there is none. */
static struct found_image *best_image(struct load *l, const char *tag,
				      const struct digest *manifest)
{
	struct found_image *best = NULL;
	int best_score = 0;

	for (size_t i = 0; i < l->images.n; i++) {
		struct found_image *f = &l->images.v[i];
		int score = platform_match(l->platform, &f->parsed.platform);

		if ((tag && !has_tag(f, tag)) ||
		    (manifest && !digest_equal(manifest, &f->manifest)))
			continue;
		if (!best || score > best_score) {
			best = f;
			best_score = score;
		}
	}
	return best;
}

static struct found_image *choose_image(struct load *l, const char *tag,
					const struct digest *manifest)
{
	struct found_image *latest = NULL;

	if (!tag && !manifest && l->images.n > 1)
		latest = best_image(l, "latest", NULL);
	return latest ? latest : best_image(l, tag, manifest);
}

static int take_base(struct load *l, const struct found_image *f, struct image_source *ret,
		     struct error **err)
{
	int r = blob_read(l->s, &f->config, OCI_DOCUMENT_MAX, &ret->config, err);

	ret->digest = ret->manifest = f->manifest;
	ret->config_digest = f->config;
	ret->platform = f->parsed.platform;
	ret->layers = xcalloc(f->layers.n + 1, sizeof(*ret->layers));
	for (; r == 0 && ret->n_layers < f->layers.n; ret->n_layers += r == 0)
		r = take_layer(l, &f->layers.v[ret->n_layers], &f->parsed.diff_ids.v[ret->n_layers],
			       &ret->layers[ret->n_layers], err);
	return r;
}

int load_base(struct store *s, int fd, const char *tag, const struct digest *manifest,
	      const struct platform *platform, struct cancel *cancel, struct image_source *ret,
	      struct error **err)
{
	_cleanup_(load_release) struct load l = {.s = s, .platform = platform, .cancel = cancel};
	const struct found_image *f;
	int r = load_archive_read(s, fd, "the archive", cancel, &l.files, err);

	if (r == 0)
		r = find_images(&l, err);
	if (r < 0)
		return r;
	f = choose_image(&l, tag, manifest);
	if (!f)
		return error_new(err, ERR_NOTFOUND, 0, "the archive has no image %s%s",
				 manifest ? "of this digest" : "tagged ", manifest ? "" : tag);
	return take_base(&l, f, ret, err);
}
