/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/imagetools.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/image_config.h"
#include "engine/oci/oci.h"
#include "engine/oci/oci_manifest.h"

/* A manifest that goes into the index, and where it is. */
struct part {
	struct imageref from; /* owned */
	struct oci_descriptor d;
};

struct work {
	struct registry *r;
	struct cancel *cancel;
	VEC(struct part) parts;
	size_t n_sources;
	/* The only source, put as it is; NULL: an index is made. */
	struct buf single;
	char *single_type;
	bool single_is_index;
};

static void descriptor_release(struct oci_descriptor *d)
{
	free(d->media_type);
	free(d->ref_name);
}

static void work_release(struct work *w)
{
	for (size_t i = 0; i < w->parts.n; i++) {
		imageref_release(&w->parts.v[i].from);
		descriptor_release(&w->parts.v[i].d);
	}
	vec_release(&w->parts);
	buf_release(&w->single);
	free(w->single_type);
}

static struct imageref copy_ref(const struct imageref *ref)
{
	return (struct imageref){.host = xstrdup(ref->host), .path = xstrdup(ref->path)};
}

/* A later manifest of the same platform takes the place of an earlier one. */
static void add_part(struct work *w, const struct imageref *from, const struct oci_descriptor *d)
{
	struct part part = {.from = copy_ref(from), .d = *d};

	part.d.media_type = xstrdup(d->media_type);
	part.d.ref_name = NULL;
	for (size_t i = 0; i < w->parts.n; i++) {
		struct part *old = &w->parts.v[i];
		bool same = digest_equal(&old->d.digest, &d->digest);

		if (!same &&
		    (!d->has_platform || d->attestation || old->d.attestation ||
		     !old->d.has_platform || !platform_equal(&old->d.platform, &d->platform)))
			continue;
		imageref_release(&old->from);
		descriptor_release(&old->d);
		*old = part;
		return;
	}
	vec_push(&w->parts, part);
}

static int read_config(struct registry *r, const struct imageref *ref,
		       const struct oci_descriptor *config, struct cancel *cancel, struct buf *ret,
		       struct error **err)
{
	struct registry_blob blob = {.host = ref->host,
				     .path = ref->path,
				     .digest = config->digest,
				     .size = config->size};

	return registry_blob_read(r, &blob, "config", cancel, ret, err);
}

/* Which platform a manifest is for stands in its config. */
static int read_platform(struct work *w, const struct imageref *ref,
			 const struct oci_descriptor *config, struct platform *ret,
			 struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(OCI_DOCUMENT_MAX);
	struct image_config c;
	int r = read_config(w->r, ref, config, w->cancel, &text, err);

	if (r == 0)
		r = image_config_parse(text.p, text.n, &c, err);
	if (r == 0) {
		*ret = c.platform;
		image_config_release(&c);
	}
	return r;
}

static int add_document(struct work *w, const struct imageref *ref,
			const struct registry_manifest *got, const struct oci_document *doc,
			struct error **err)
{
	struct oci_descriptor d = {.media_type = doc->media_type,
				   .digest = got->digest,
				   .size = got->bytes.n,
				   .has_platform = true};
	int r;

	if (doc->kind == OCI_INDEX) {
		for (size_t i = 0; i < doc->manifests.n; i++)
			add_part(w, ref, &doc->manifests.v[i]);
		return 0;
	}
	r = read_platform(w, ref, &doc->config, &d.platform, err);
	if (r == 0)
		add_part(w, ref, &d);
	return r;
}

static int add_source(struct work *w, const char *text, struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_(registry_manifest_release) struct registry_manifest got = REGISTRY_MANIFEST_INIT;
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	int r = imageref_parse(text, &ref, err);

	if (r == 0)
		r = registry_manifest_get(w->r, &ref, w->cancel, &got, err);
	if (r == 0)
		r = oci_document_parse(got.media_type, got.bytes.p, got.bytes.n, &doc, err);
	if (r == 0)
		r = add_document(w, &ref, &got, &doc, err);
	if (r < 0)
		return error_wrap(err, r, "source %s", text);
	w->n_sources++;
	free(w->single_type);
	w->single_type = xstrdup(doc.media_type);
	w->single_is_index = doc.kind == OCI_INDEX;
	buf_clear(&w->single);
	buf_add(&w->single, got.bytes.p, got.bytes.n);
	return 0;
}

/* --- copying --- */

static int file_sink(void *data, const void *p, size_t n, struct error **err)
{
	int r = fs_write_full(*(int *)data, p, n);

	return r < 0 ? error_new(err, ERR_IO, -r, "write to a temporary file") : 0;
}

static int copy_bytes(struct work *w, const struct imageref *from, const struct imageref *to,
		      const struct oci_descriptor *d, struct error **err)
{
	struct registry_blob blob = {
		.host = from->host, .path = from->path, .digest = d->digest, .size = d->size};
	struct registry_upload up = {.digest = d->digest, .size = d->size};
	char name[] = "/var/tmp/kiln-copy-XXXXXX";
	_cleanup_close_ int fd = mkostemp(name, O_CLOEXEC);
	int r;

	if (fd < 0)
		return error_new(err, ERR_IO, errno, "make a temporary file in /var/tmp");
	(void)unlink(name);
	r = registry_blob_get(w->r, &blob, file_sink, &fd, w->cancel, NULL, NULL, err);
	up.fd = fd;
	/* The receiving registry verifies the digest. */
	return r < 0 ? r : registry_push_blob(w->r, to, &up, w->cancel, err);
}

static int copy_blob(struct work *w, const struct imageref *from, const struct imageref *to,
		     const struct oci_descriptor *d, struct error **err)
{
	bool there = false;
	int r = registry_push_has_blob(w->r, to, &d->digest, w->cancel, &there, err);

	if (r < 0 || there)
		return r;
	if (strcmp(from->host, to->host) == 0 &&
	    registry_push_mount(w->r, to, from->path, &d->digest, w->cancel, &there, NULL) == 0 &&
	    there)
		return 0;
	return copy_bytes(w, from, to, d, err);
}

static int copy_manifest(struct work *w, const struct part *part, const struct imageref *to,
			 struct error **err)
{
	/* Borrow from others, and are not released. */
	struct imageref from = part->from, untagged = *to;
	_cleanup_(registry_manifest_release) struct registry_manifest got = REGISTRY_MANIFEST_INIT;
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	int r;

	from.has_digest = true;
	from.digest = part->d.digest;
	untagged.tag = NULL;
	if (strcmp(from.host, to->host) == 0 && strcmp(from.path, to->path) == 0)
		return 0;
	r = registry_manifest_get(w->r, &from, w->cancel, &got, err);
	if (r == 0)
		r = oci_entry_parse(got.bytes.p, got.bytes.n, &doc, err);
	if (r == 0 && doc.kind != OCI_MANIFEST)
		r = error_new(err, ERR_UNSUPPORTED, 0, "an index within an index");
	if (r == 0)
		r = copy_blob(w, &from, to, &doc.config, err);
	for (size_t i = 0; r == 0 && i < doc.layers.n; i++)
		r = copy_blob(w, &from, to, &doc.layers.v[i], err);
	if (r < 0)
		return r;
	return registry_push_manifest(w->r, &untagged, doc.media_type, got.bytes.p, got.bytes.n,
				      w->cancel, err);
}

static int put(struct work *w, const char *tag, const char *type, const struct buf *bytes,
	       struct error **err)
{
	_cleanup_(imageref_release) struct imageref to = IMAGEREF_INIT;
	int r = imageref_parse(tag, &to, err);

	for (size_t i = 0; r == 0 && i < w->parts.n; i++)
		r = copy_manifest(w, &w->parts.v[i], &to, err);
	if (r == 0)
		r = registry_push_manifest(w->r, &to, type, bytes->p, bytes->n, w->cancel, err);
	return r < 0 ? error_wrap(err, r, "create %s", tag) : 0;
}

/* --- the document --- */

static bool is_wanted(const struct imagetools_create *c, const struct oci_descriptor *d)
{
	if (c->platforms.n == 0)
		return true;
	for (size_t i = 0; i < c->platforms.n; i++)
		if (d->has_platform && platform_match(&c->platforms.v[i], &d->platform))
			return true;
	return false;
}

/* What attests something about one image says so by annotations of the index that it came with. */
static void drop_unwanted(struct work *w, const struct imagetools_create *c)
{
	size_t n = 0;

	for (size_t i = 0; i < w->parts.n; i++) {
		if (!w->parts.v[i].d.attestation && is_wanted(c, &w->parts.v[i].d)) {
			w->parts.v[n++] = w->parts.v[i];
			continue;
		}
		imageref_release(&w->parts.v[i].from);
		descriptor_release(&w->parts.v[i].d);
	}
	w->parts.n = n;
}

/* Annotations ("k=v") of the index (platform NULL) or of what it says of a manifest. */
static void annotations_of(const struct imagetools_create *c, enum export_annotated on,
			   const struct oci_descriptor *d, struct strv *ret)
{
	char text[64] = "";

	if (d && d->has_platform)
		platform_format(&d->platform, text);
	for (size_t i = 0; i < c->annotations.n; i++) {
		const struct export_annotation *a = &c->annotations.v[i];

		if (a->on == on && (!a->platform || strcmp(a->platform, text) == 0))
			strv_push(ret, a->text);
	}
}

static void write_index(const struct work *w, const struct imagetools_create *c, struct buf *ret,
			const char **ret_type)
{
	_cleanup_json_ json_t *list = json_array();
	_cleanup_strv_ struct strv own = {0};
	/* Docker's own kind of index has no annotations. */
	bool docker = w->parts.n > 0 && c->annotations.n == 0;

	for (size_t i = 0; i < w->parts.n; i++)
		docker = docker && strcmp(w->parts.v[i].d.media_type, DOCKER_MANIFEST_TYPE) == 0;
	for (size_t i = 0; i < w->parts.n; i++) {
		const struct oci_descriptor *d = &w->parts.v[i].d;
		_cleanup_strv_ struct strv of_this = {0};

		annotations_of(c, ANNOTATE_MANIFEST_DESCRIPTOR, d, &of_this);
		json_array_append_new(list,
				      oci_descriptor(d->media_type, &d->digest, d->size, &of_this,
						     d->has_platform ? &d->platform : NULL));
	}
	annotations_of(c, ANNOTATE_INDEX, NULL, &own);
	oci_index_write(docker, list, &own, true, ret);
	*ret_type = docker ? DOCKER_INDEX_TYPE : OCI_INDEX_TYPE;
}

static const char *known_type(const char *type)
{
	static const char *const types[] = {OCI_INDEX_TYPE, DOCKER_INDEX_TYPE, OCI_MANIFEST_TYPE,
					    DOCKER_MANIFEST_TYPE};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(type, types[i]) == 0)
			return types[i];
	return OCI_MANIFEST_TYPE;
}

int imagetools_create(struct registry *r, const struct imagetools_create *c, struct cancel *cancel,
		      struct buf *ret, const char **ret_type, struct error **err)
{
	_cleanup_(work_release) struct work w = {.r = r, .cancel = cancel, .single = BUF_INIT};
	int res = 0;

	if (c->append)
		res = add_source(&w, c->tags.v[0], err);
	for (size_t i = 0; res == 0 && i < c->sources.n; i++)
		res = add_source(&w, c->sources.v[i], err);
	if (res < 0)
		return res;
	if (w.n_sources == 1 && (w.single_is_index || !c->prefer_index) && c->platforms.n == 0 &&
	    c->annotations.n == 0) {
		buf_add(ret, w.single.p, w.single.n);
		*ret_type = known_type(w.single_type);
	} else {
		drop_unwanted(&w, c);
		if (w.parts.n == 0)
			return error_new(err, ERR_NOTFOUND, 0,
					 "no source has an image for these platforms");
		write_index(&w, c, ret, ret_type);
	}
	for (size_t i = 0; res == 0 && !c->dry_run && i < c->tags.n; i++)
		res = put(&w, c->tags.v[i], *ret_type, ret, err);
	return res;
}

/* --- configs --- */

static int read_manifest_config(struct registry *r, const struct imageref *ref,
				const struct registry_manifest *m, struct cancel *cancel,
				json_t **ret, struct error **err)
{
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(OCI_DOCUMENT_MAX);
	int res = oci_document_parse(m->media_type, m->bytes.p, m->bytes.n, &doc, err);

	if (res == 0 && doc.kind != OCI_MANIFEST)
		res = error_new(err, ERR_UNSUPPORTED, 0, "an index within an index");
	if (res == 0)
		res = read_config(r, ref, &doc.config, cancel, &text, err);
	return res < 0 ? res : js_parse("image config", text.p, text.n, ret, err);
}

static int read_entry_config(struct registry *r, const struct imageref *ref,
			     const struct oci_descriptor *d, struct cancel *cancel, json_t *all,
			     struct error **err)
{
	_cleanup_(registry_manifest_release) struct registry_manifest m = REGISTRY_MANIFEST_INIT;
	struct imageref one = *ref; /* borrows */
	char platform[64];
	json_t *config = NULL;
	int res;

	one.has_digest = true;
	one.digest = d->digest;
	res = registry_manifest_get(r, &one, cancel, &m, err);
	if (res == 0)
		res = read_manifest_config(r, ref, &m, cancel, &config, err);
	if (res == 0)
		json_object_set_new(all, platform_format(&d->platform, platform), config);
	return res;
}

int imagetools_configs(struct registry *r, const struct imageref *ref,
		       const struct registry_manifest *m, struct cancel *cancel, json_t **ret,
		       struct error **err)
{
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	json_t *all = NULL;
	int res = oci_document_parse(m->media_type, m->bytes.p, m->bytes.n, &doc, err);

	if (res < 0)
		return res;
	if (doc.kind == OCI_MANIFEST)
		return read_manifest_config(r, ref, m, cancel, ret, err);
	all = json_object();
	for (size_t i = 0; i < doc.manifests.n && res == 0; i++)
		if (doc.manifests.v[i].has_platform && !doc.manifests.v[i].attestation)
			res = read_entry_config(r, ref, &doc.manifests.v[i], cancel, all, err);
	if (res < 0)
		json_decref(all);
	else
		*ret = all;
	return res;
}
