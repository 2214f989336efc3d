/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/source_oci_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/path.h"
#include "engine/image/load.h"
#include "engine/oci/layout_dir.h"
#include "engine/oci/layout_source.h"
#include "engine/oci/oci_archive.h"
#include "engine/registry/image_documents.h"
#include "store/blob.h"
#include "store/layer.h"

/* What a reference names. */
struct layout_ref {
	char *path; /* as given */
	char *tag;  /* NULL: none */
	bool has_digest;
	struct digest digest;
};

static void layout_ref_release(struct layout_ref *r)
{
	free(r->path);
	free(r->tag);
}

static int parse_ref(const char *text, struct layout_ref *ret, struct error **err)
{
	_cleanup_(layout_ref_release) struct layout_ref ref = {.path = xstrdup(text)};
	char *at = strrchr(ref.path, '@'), *slash, *colon;

	if (at && !strchr(at, '/')) {
		if (digest_parse(at + 1, &ref.digest) < 0)
			return error_new(err, ERR_INVALID, 0,
					 "oci-layout://%s: \"%s\" is not a sha256 digest", text,
					 at + 1);
		*at = '\0';
		ref.has_digest = true;
	}
	/* A colon may be part of a directory's name. */
	slash = strrchr(ref.path, '/');
	colon = strrchr(slash ? slash : ref.path, ':');
	if (colon && access(ref.path, F_OK) < 0) {
		ref.tag = xstrdup(colon + 1);
		*colon = '\0';
	}
	if (!*ref.path || (ref.tag && !*ref.tag))
		return error_new(err, ERR_INVALID, 0,
				 "oci-layout://%s: not of the form PATH[:TAG][@DIGEST]", text);
	*ret = ref;
	ref = (struct layout_ref){0};
	return 0;
}

/* --- Which image --- */

/* A name in index.json is a tag or, as docker writes it, a whole reference. */
static bool has_tag(const struct oci_descriptor *d, const char *tag)
{
	const char *colon = d->ref_name ? strrchr(d->ref_name, ':') : NULL;

	return d->ref_name &&
	       (strcmp(d->ref_name, tag) == 0 || (colon && strcmp(colon + 1, tag) == 0));
}

/* The entries of that tag, shallow: the caller only releases the vector. */
static void filter(const struct oci_document *index, const char *tag, struct oci_document *ret)
{
	*ret = (struct oci_document){.kind = OCI_INDEX};
	for (size_t i = 0; i < index->manifests.n; i++)
		if (!tag || has_tag(&index->manifests.v[i], tag))
			vec_push(&ret->manifests, index->manifests.v[i]);
}

static int no_tag(const struct oci_document *index, const char *tag, struct error **err)
{
	int r = error_new(err, ERR_NOTFOUND, 0, "the layout has no image tagged \"%s\"", tag);
	_cleanup_buf_ struct buf names = BUF_INIT;

	for (size_t i = 0; i < index->manifests.n; i++)
		if (index->manifests.v[i].ref_name)
			buf_addf(&names, "%s%s", names.n > 0 ? ", " : "",
				 index->manifests.v[i].ref_name);
	return names.n > 0 ? error_hint(err, r, "it has: %s", names.p) : r;
}

static int select_image(const struct oci_document *index, const char *tag,
			const struct platform *platform, struct digest *ret, struct error **err)
{
	struct oci_document some;
	size_t chosen = 0;
	int r = 0;

	filter(index, tag, &some);
	if (!tag && some.manifests.n > 1) {
		struct oci_document latest;

		filter(index, "latest", &latest);
		if (latest.manifests.n > 0) {
			vec_release(&some.manifests);
			some = latest;
		}
	}
	if (some.manifests.n == 0 && tag)
		r = no_tag(index, tag, err);
	else if (some.manifests.n != 1)
		r = oci_index_select(&some, platform, &chosen, err);
	if (r == 0)
		*ret = some.manifests.v[chosen].digest;
	vec_release(&some.manifests);
	return r;
}

static int find_digest(int dirfd, const struct layout_ref *ref, const struct platform *platform,
		       struct digest *ret, struct error **err)
{
	_cleanup_(oci_document_release) struct oci_document index = OCI_DOCUMENT_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r;

	if (ref->has_digest) {
		*ret = ref->digest;
		return 0;
	}
	r = layout_dir_read(dirfd, "index.json", OCI_DOCUMENT_MAX, &b, err);
	if (r == 0)
		r = oci_document_parse(OCI_INDEX_TYPE, b.p, b.n, &index, err);
	if (r < 0)
		return error_wrap(err, r, "index.json");
	return select_image(&index, ref->tag, platform, ret, err);
}

/* --- The image --- */

static int take_manifest(void *data, const struct digest *digest, struct buf *ret, char **ret_type,
			 struct error **err)
{
	(void)ret_type;
	return layout_dir_read_blob(*(int *)data, digest, OCI_DOCUMENT_MAX, ret, err);
}

static int take_config(void *data, const struct oci_descriptor *d, struct buf *ret,
		       struct error **err)
{
	return layout_dir_read_blob(*(int *)data, &d->digest, OCI_DOCUMENT_MAX, ret, err);
}

/* A layer that is known from elsewhere may be out of reach there: what the layout has of it is
 * taken now. */
static int take_known_layers(struct store *s, int dirfd, const char *source,
			     const struct image_source *image, struct cancel *cancel,
			     struct error **err)
{
	for (size_t i = 0; i < image->n_layers; i++) {
		_cleanup_(layer_info_release) struct layer_info info = {0};
		_cleanup_free_ char *name = NULL;
		int r = layer_get(s, image->layers[i], &info, err);

		if (r < 0)
			return r;
		if (info.has_dir || !info.has_blob || !info.source ||
		    oci_layout_is_source(info.source) || blob_exists(s, &info.blob.digest, NULL))
			continue;
		name = oci_archive_blob_name(&info.blob.digest);
		if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			r = oci_layout_copy_blob(s, source, &info.blob, cancel, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int resolve_dir(struct store *s, int dirfd, const char *dir, const struct layout_ref *ref,
		       const struct platform *platform, struct cancel *cancel,
		       struct image_source *ret, struct error **err)
{
	_cleanup_free_ char *source = oci_layout_source(dir);
	const struct document_origin from = {
		.manifest = take_manifest,
		.config = take_config,
		.data = &dirfd,
		.name = ref->tag ? ref->tag : "the image",
		.layer_source = source,
	};
	struct digest digest;
	int r = layout_dir_check(dirfd, err);

	if (r == 0)
		r = find_digest(dirfd, ref, platform, &digest, err);
	if (r == 0)
		r = image_documents_read(s, &from, &digest, platform, ret, err);
	if (r == 0)
		r = take_known_layers(s, dirfd, source, ret, cancel, err);
	return r;
}

static int resolve(struct store *s, const struct layout_ref *ref, const struct platform *platform,
		   struct cancel *cancel, struct image_source *ret, struct error **err)
{
	_cleanup_free_ char *path = realpath(ref->path, NULL);
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (!path)
		return error_new(err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno, "open");
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_new(err, ERR_IO, errno, "open");
	if (S_ISDIR(st.st_mode))
		return resolve_dir(s, fd, path, ref, platform, cancel, ret, err);
	if (!S_ISREG(st.st_mode))
		return error_new(err, ERR_INVALID, 0, "neither a directory nor an archive");
	return load_base(s, fd, ref->tag, ref->has_digest ? &ref->digest : NULL, platform, cancel,
			 ret, err);
}

int oci_layout_resolve(struct store *s, const char *text, const struct platform *platform,
		       struct job *job, struct image_source *ret, struct error **err)
{
	_cleanup_(layout_ref_release) struct layout_ref ref = {0};
	struct image_source image = {.config = BUF_INIT};
	char digest[DIGEST_TEXT];
	int r = parse_ref(text, &ref, err);

	if (r < 0)
		return r;
	r = resolve(s, &ref, platform, job ? job_cancel(job) : NULL, &image, err);
	if (r < 0) {
		image_source_release(&image);
		return error_wrap(err, r, "oci-layout://%s", text);
	}
	image.pinned =
		xasprintf("oci-layout://%s@%s", ref.path, digest_format(&image.digest, digest));
	*ret = image;
	return 0;
}
