/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/oci/oci.h"

#include <stdlib.h>
#include <string.h>

static void descriptor_release(struct oci_descriptor *d)
{
	free(d->media_type);
	free(d->ref_name);
	*d = (struct oci_descriptor){0};
}

void oci_document_release(struct oci_document *d)
{
	free(d->media_type);
	for (size_t i = 0; i < d->manifests.n; i++)
		descriptor_release(&d->manifests.v[i]);
	vec_release(&d->manifests);
	descriptor_release(&d->config);
	for (size_t i = 0; i < d->layers.n; i++)
		descriptor_release(&d->layers.v[i]);
	vec_release(&d->layers);
	*d = (struct oci_document){0};
}

static bool is_one_of(const char *text, const char *const *list, size_t n)
{
	for (size_t i = 0; text && i < n; i++)
		if (strcmp(text, list[i]) == 0)
			return true;
	return false;
}

bool oci_is_index_type(const char *media_type)
{
	static const char *const types[] = {OCI_INDEX_TYPE, DOCKER_INDEX_TYPE};

	return is_one_of(media_type, types, ARRAY_SIZE(types));
}

bool oci_is_manifest_type(const char *media_type)
{
	static const char *const types[] = {OCI_MANIFEST_TYPE, DOCKER_MANIFEST_TYPE};

	return is_one_of(media_type, types, ARRAY_SIZE(types));
}

static void copy_field(char *to, size_t size, const char *from)
{
	size_t n = from ? strlen(from) : 0;

	/* A name that does not fit is not one that kiln knows: leave it out, it cannot match. */
	if (n >= size)
		n = 0;
	if (n > 0)
		memcpy(to, from, n);
	to[n] = '\0';
}

static int parse_platform(const json_t *object, struct oci_descriptor *d, struct error **err)
{
	const char *os = NULL, *arch = NULL, *variant = NULL, *version = NULL;
	json_t *p = NULL;
	int r = js_object(object, "platform", &p, err);

	if (r < 0 || !p)
		return r;
	r = js_string(p, "os", &os, err);
	if (r == 0)
		r = js_string(p, "architecture", &arch, err);
	if (r == 0)
		r = js_string(p, "variant", &variant, err);
	if (r == 0)
		r = js_string(p, "os.version", &version, err);
	if (r < 0)
		return error_wrap(err, r, "platform");
	if (!os || !arch)
		return 0;
	d->has_platform = true;
	/* The normal form of arm64 has no variant, that of arm has one. */
	if (strcmp(arch, "arm64") == 0 && variant && strcmp(variant, "v8") == 0)
		variant = NULL;
	if (strcmp(arch, "arm") == 0 && (!variant || !*variant))
		variant = "v7";
	copy_field(d->platform.os, sizeof(d->platform.os), os);
	copy_field(d->platform.arch, sizeof(d->platform.arch), arch);
	copy_field(d->platform.variant, sizeof(d->platform.variant), variant);
	copy_field(d->platform.os_version, sizeof(d->platform.os_version), version);
	return 0;
}

static int parse_annotations(const json_t *object, struct oci_descriptor *d, struct error **err)
{
	const char *kind = NULL, *name = NULL;
	json_t *a = NULL;
	int r = js_object(object, "annotations", &a, err);

	if (r < 0 || !a)
		return r;
	r = js_string(a, "vnd.docker.reference.type", &kind, err);
	if (r == 0)
		r = js_string(a, "org.opencontainers.image.ref.name", &name, err);
	/* containerd and docker put the full name here, and only the tag there. */
	if (r == 0)
		r = js_string(a, "io.containerd.image.name", &name, err);
	if (r < 0)
		return error_wrap(err, r, "annotations");
	d->attestation = kind && strcmp(kind, "attestation-manifest") == 0;
	d->ref_name = xstrdup(name);
	return 0;
}

int oci_blob_parse(const json_t *object, uint64_t max, struct layer_blob *ret, struct error **err)
{
	const char *type = NULL, *digest = NULL;
	int64_t size = -1;
	int r;

	if (!json_is_object(object))
		return error_new(err, ERR_INVALID, 0, "a descriptor must be an object");
	r = js_string(object, "mediaType", &type, err);
	if (r == 0)
		r = js_string(object, "digest", &digest, err);
	if (r == 0)
		r = js_int(object, "size", &size, err);
	if (r < 0)
		return r;
	if (!type || !digest || size < 0)
		return error_new(err, ERR_INVALID, 0,
				 "a descriptor needs \"mediaType\", \"digest\" and \"size\"");
	if (strncmp(digest, "sha512:", 7) == 0)
		return error_new(err, ERR_UNSUPPORTED, 0, "digest \"%.32s...\" is not sha256",
				 digest);
	if (digest_parse(digest, &ret->digest) < 0)
		return error_new(err, ERR_INVALID, 0, "\"%.80s\" is not a sha256 digest", digest);
	if ((uint64_t)size > max)
		return error_new(err, ERR_INVALID, 0, "%s has %lld bytes; the limit is %llu",
				 digest, (long long)size, (unsigned long long)max);
	ret->media_type = xstrdup(type);
	ret->size = (uint64_t)size;
	return 0;
}

static int parse_descriptor(const json_t *object, uint64_t max, struct oci_descriptor *d,
			    struct error **err)
{
	struct layer_blob blob = {0};
	int r = oci_blob_parse(object, max, &blob, err);

	if (r < 0)
		return r;
	d->media_type = blob.media_type;
	d->digest = blob.digest;
	d->size = blob.size;
	r = parse_platform(object, d, err);
	return r < 0 ? r : parse_annotations(object, d, err);
}

static int parse_index(const json_t *doc, struct oci_document *ret, struct error **err)
{
	json_t *list = NULL;
	int r = js_array(doc, "manifests", &list, err);

	if (r < 0)
		return r;
	if (json_array_size(list) > OCI_MANIFESTS_MAX)
		return error_new(err, ERR_INVALID, 0, "more than %d manifests", OCI_MANIFESTS_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		vec_push(&ret->manifests, (struct oci_descriptor){0});
		r = parse_descriptor(json_array_get(list, i), OCI_DOCUMENT_MAX,
				     &vec_last(&ret->manifests), err);
		if (r < 0)
			return error_wrap(err, r, "manifests[%zu]", i);
	}
	return 0;
}

static int check_layer(const struct oci_descriptor *d, struct error **err)
{
	char text[DIGEST_TEXT];

	if (layer_type_is_known(d->media_type))
		return 0;
	digest_format(&d->digest, text);
	return error_new(err, ERR_UNSUPPORTED, 0,
			 "layer %s has media type \"%.128s\", which is not a file system layer",
			 text, d->media_type);
}

static int parse_manifest(const json_t *doc, bool statements, struct oci_document *ret,
			  struct error **err)
{
	json_t *config = NULL, *list = NULL;
	int r = js_object(doc, "config", &config, err);

	if (r == 0)
		r = js_array(doc, "layers", &list, err);
	if (r < 0)
		return r;
	if (!config)
		return error_new(err, ERR_INVALID, 0, "\"config\" is missing");
	r = parse_descriptor(config, OCI_DOCUMENT_MAX, &ret->config, err);
	if (r < 0)
		return error_wrap(err, r, "config");
	if (json_array_size(list) > OCI_LAYERS_MAX)
		return error_new(err, ERR_INVALID, 0, "more than %d layers", OCI_LAYERS_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		vec_push(&ret->layers, (struct oci_descriptor){0});
		r = parse_descriptor(json_array_get(list, i), OCI_BLOB_MAX, &vec_last(&ret->layers),
				     err);
		if (r == 0 && !(statements &&
				strcmp(vec_last(&ret->layers).media_type, OCI_STATEMENT_TYPE) == 0))
			r = check_layer(&vec_last(&ret->layers), err);
		if (r < 0)
			return error_wrap(err, r, "layers[%zu]", i);
	}
	return 0;
}

/* What the document is: its own mediaType, else the server's word, else its members. */
static int find_kind(const json_t *doc, const char *media_type, struct oci_document *ret,
		     struct error **err)
{
	const char *own = NULL;
	int64_t version = 0;
	int r = js_string(doc, "mediaType", &own, err);

	if (r == 0)
		r = js_int(doc, "schemaVersion", &version, err);
	if (r < 0)
		return r;
	if (version == 1)
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "it is a Docker schema 1 manifest, a format given up in 2017");
	if (own)
		media_type = own;
	if (!oci_is_index_type(media_type) && !oci_is_manifest_type(media_type)) {
		if (own)
			return error_new(err, ERR_UNSUPPORTED, 0,
					 "media type \"%.128s\" is not that of an image", own);
		media_type = json_object_get(doc, "manifests") ? OCI_INDEX_TYPE : OCI_MANIFEST_TYPE;
	}
	/* A document that could be read as both has been used to smuggle images past checks. */
	if (json_object_get(doc, "manifests") && json_object_get(doc, "layers"))
		return error_new(err, ERR_INVALID, 0, "it has both \"manifests\" and \"layers\"");
	ret->kind = oci_is_index_type(media_type) ? OCI_INDEX : OCI_MANIFEST;
	ret->media_type = xstrdup(media_type);
	return 0;
}

static int parse_document(const char *media_type, const void *json, size_t n, bool statements,
			  struct oci_document *ret, struct error **err)
{
	json_t *doc = NULL;
	int r;

	*ret = (struct oci_document){0};
	if (n > OCI_DOCUMENT_MAX)
		return error_new(err, ERR_INVALID, 0, "the manifest has %zu bytes; the limit is %d",
				 n, OCI_DOCUMENT_MAX);
	r = js_parse("manifest", json, n, &doc, err);
	if (r < 0)
		return r;
	if (!json_is_object(doc))
		r = error_new(err, ERR_INVALID, 0, "the manifest is not a JSON object");
	if (r == 0)
		r = find_kind(doc, media_type, ret, err);
	if (r == 0)
		r = ret->kind == OCI_INDEX ? parse_index(doc, ret, err)
					   : parse_manifest(doc, statements, ret, err);
	json_decref(doc);
	if (r < 0)
		oci_document_release(ret);
	return r;
}

int oci_document_parse(const char *media_type, const void *json, size_t n, struct oci_document *ret,
		       struct error **err)
{
	return parse_document(media_type, json, n, false, ret, err);
}

int oci_entry_parse(const void *json, size_t n, struct oci_document *ret, struct error **err)
{
	return parse_document(NULL, json, n, true, ret, err);
}

bool oci_entry_is_image(const struct oci_descriptor *d)
{
	return !d->attestation &&
	       (oci_is_manifest_type(d->media_type) || oci_is_index_type(d->media_type)) &&
	       !(d->has_platform && strcmp(d->platform.os, "unknown") == 0);
}

static int no_platform(const struct oci_document *index, const struct platform *want,
		       struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char text[64];
	int r;

	for (size_t i = 0; i < index->manifests.n && i < 32; i++) {
		const struct oci_descriptor *d = &index->manifests.v[i];

		if (oci_entry_is_image(d) && d->has_platform)
			buf_addf(&b, "%s%s", b.n > 0 ? ", " : "",
				 platform_format(&d->platform, text));
	}
	r = error_new(err, ERR_NOTFOUND, 0,
		      "no match for platform %s: the image is available for %s",
		      platform_format(want, text), b.n > 0 ? b.p : "no platform");
	return b.n > 0 ? error_hint(err, r, "choose one of them with --platform") : r;
}

int oci_index_select(const struct oci_document *index, const struct platform *want, size_t *ret,
		     struct error **err)
{
	size_t best = 0, nameless = 0, n_nameless = 0;
	int best_score = 0;

	for (size_t i = 0; i < index->manifests.n; i++) {
		const struct oci_descriptor *d = &index->manifests.v[i];
		int score;

		if (!oci_entry_is_image(d))
			continue;
		if (!d->has_platform) {
			nameless = i;
			n_nameless++;
			continue;
		}
		score = platform_match(want, &d->platform);
		if (score > best_score) {
			best_score = score;
			best = i;
		}
	}
	/* An index of one image without a word on its platform: that image is meant. */
	if (best_score == 0 && n_nameless == 1) {
		best = nameless;
		best_score = 1;
	}
	if (best_score == 0)
		return no_platform(index, want, err);
	*ret = best;
	return 0;
}
