/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/image_attestations.h"

#include <stdlib.h>
#include <string.h>

#include "engine/oci/oci.h"

enum { STATEMENT_MAX = 40 << 20 }; /* bytes, as BuildKit has it */

struct reading {
	struct registry *registry;
	const struct imageref *ref;
	struct cancel *cancel;
	struct image_attestations *out;
};

void image_attestations_release(struct image_attestations *a)
{
	json_decref(a->provenance);
	json_decref(a->sbom);
	*a = (struct image_attestations){0};
}

static void take_sbom(json_t *all, const char *platform, json_t *document)
{
	json_t *of_this = json_object_get(all, platform), *more;

	if (!of_this) {
		json_object_set_new(all, platform, json_pack("{s:O}", "SPDX", document));
		return;
	}
	more = json_object_get(of_this, "AdditionalSPDXs");
	if (!more)
		json_object_set_new(of_this, "AdditionalSPDXs", more = json_array());
	json_array_append(more, document);
}

/* What is neither of the two is left alone. */
static int take_statement(struct image_attestations *out, const char *platform, const struct buf *b,
			  struct error **err)
{
	_cleanup_json_ json_t *statement = NULL;
	const char *type = NULL;
	json_t *predicate = NULL;
	int r = js_parse("statement", b->p, b->n, &statement, err);

	if (r == 0)
		r = js_string(statement, "predicateType", &type, err);
	if (r == 0)
		r = js_object(statement, "predicate", &predicate, err);
	if (r < 0 || !type || !predicate)
		return r;
	if (strncmp(type, "https://slsa.dev/provenance/", 28) == 0)
		json_object_set_new(out->provenance, platform,
				    json_pack("{s:O}", "SLSA", predicate));
	else if (strcmp(type, "https://spdx.dev/Document") == 0)
		take_sbom(out->sbom, platform, predicate);
	return 0;
}

static int read_statement(struct reading *g, const struct oci_descriptor *layer,
			  const char *platform, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT_MAX(STATEMENT_MAX);
	struct registry_blob blob = {.host = g->ref->host,
				     .path = g->ref->path,
				     .digest = layer->digest,
				     .size = layer->size};
	int r = 0;

	if (layer->size > STATEMENT_MAX)
		return error_new(err, ERR_INVALID, 0, "a statement has %llu bytes; the limit is %d",
				 (unsigned long long)layer->size, STATEMENT_MAX);
	r = registry_blob_read(g->registry, &blob, "statement", g->cancel, &b, err);
	return r < 0 ? r : take_statement(g->out, platform, &b, err);
}

static int read_entry(struct reading *g, const struct digest *manifest, const char *platform,
		      struct error **err)
{
	_cleanup_(registry_manifest_release) struct registry_manifest m = REGISTRY_MANIFEST_INIT;
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	struct imageref one = *g->ref; /* borrows */
	int r;

	one.has_digest = true;
	one.digest = *manifest;
	r = registry_manifest_get(g->registry, &one, g->cancel, &m, err);
	if (r == 0)
		r = oci_entry_parse(m.bytes.p, m.bytes.n, &doc, err);
	for (size_t i = 0; r == 0 && i < doc.layers.n; i++)
		if (strcmp(doc.layers.v[i].media_type, OCI_STATEMENT_TYPE) == 0)
			r = read_statement(g, &doc.layers.v[i], platform, err);
	return r;
}

/* The image that entry `i` of an index is about. NULL: it does not say. */
static const struct oci_descriptor *find_subject(const struct oci_document *doc, const json_t *json,
						 size_t i)
{
	const json_t *entry = json_array_get(json_object_get(json, "manifests"), i);
	const char *text = json_string_value(json_object_get(json_object_get(entry, "annotations"),
							     "vnd.docker.reference.digest"));
	struct digest digest;

	if (!text || digest_parse(text, &digest) < 0)
		return NULL;
	for (size_t k = 0; k < doc->manifests.n; k++)
		if (digest_equal(&doc->manifests.v[k].digest, &digest) &&
		    doc->manifests.v[k].has_platform)
			return &doc->manifests.v[k];
	return NULL;
}

int image_attestations_read(struct registry *r, const struct imageref *ref,
			    const struct registry_manifest *index, struct cancel *cancel,
			    struct image_attestations *ret, struct error **err)
{
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	_cleanup_json_ json_t *json = NULL;
	struct reading g = {.registry = r, .ref = ref, .cancel = cancel, .out = ret};
	int res;

	*ret = (struct image_attestations){.provenance = json_object(), .sbom = json_object()};
	res = oci_document_parse(index->media_type, index->bytes.p, index->bytes.n, &doc, err);
	if (res == 0)
		res = js_parse("index", index->bytes.p, index->bytes.n, &json, err);
	for (size_t i = 0; res == 0 && i < doc.manifests.n; i++) {
		const struct oci_descriptor *subject =
			doc.manifests.v[i].attestation ? find_subject(&doc, json, i) : NULL;
		char platform[64];

		if (subject)
			res = read_entry(&g, &doc.manifests.v[i].digest,
					 platform_format(&subject->platform, platform), err);
	}
	return res;
}
