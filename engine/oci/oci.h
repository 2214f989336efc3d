/* SPDX-License-Identifier: Apache-2.0 */
/* OCI and Docker image documents: index (manifest list) and manifest, parsed once and typed.
 *
 * The bytes come from strangers: every size, count and digest is checked here, so that what follows
 * can rely on it. Sources: OCI image-spec image-index.md, manifest.md, descriptor.md; Docker image
 * manifest version 2, schema 2.
 */
#ifndef KILN_ENGINE_OCI_OCI_H
#define KILN_ENGINE_OCI_OCI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"
#include "base/platform.h"
#include "base/vec.h"
#include "engine/layer/layer_types.h"
#include "store/layer.h"

#define OCI_INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define OCI_STATEMENT_TYPE "application/vnd.in-toto+json" /* a layer of attestations */
#define DOCKER_INDEX_TYPE "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_MANIFEST_TYPE "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_CONFIG_TYPE "application/vnd.docker.container.image.v1+json"

enum {
	OCI_DOCUMENT_MAX =
		4 << 20, /* bytes of an index, manifest or config, as registries limit it */
	OCI_MANIFESTS_MAX = 4096, /* entries of one index */
	OCI_LAYERS_MAX = 4096,	  /* layers of one manifest */
	OCI_NESTING_MAX = 4,	  /* indexes within indexes */
};
#define OCI_BLOB_MAX (UINT64_C(1) << 40) /* a tebibyte: larger layers are refused */

struct oci_descriptor {
	char *media_type;
	struct digest digest;
	uint64_t size;
	bool has_platform;
	struct platform platform;
	bool attestation; /* not an image: provenance or an SBOM of a sibling */
	char *ref_name;	  /* org.opencontainers.image.ref.name, io.containerd.image.name; NULL */
};

enum oci_kind { OCI_INDEX = 1, OCI_MANIFEST };

struct oci_document {
	enum oci_kind kind;
	char *media_type;
	VEC(struct oci_descriptor) manifests; /* index */
	struct oci_descriptor config;	      /* manifest */
	VEC(struct oci_descriptor) layers;    /* manifest, lowest first */
};
#define OCI_DOCUMENT_INIT \
	{                 \
		0         \
	}

/* Parses either kind; `media_type` is what the server or descriptor said and may be NULL. Unknown
 * kinds, Docker's schema 1 and artifacts without layers of files are ERR_UNSUPPORTED; everything
 * unsound is ERR_INVALID. */
int oci_document_parse(const char *media_type, const void *json, size_t n, struct oci_document *ret,
		       struct error **err) _must_check_;
/* The same for what an index names: a manifest of attestations, too, whose layers are no files. */
int oci_entry_parse(const void *json, size_t n, struct oci_document *ret,
		    struct error **err) _must_check_;
void oci_document_release(struct oci_document *d);

/* What every descriptor has; one of more than `max` bytes is ERR_INVALID. */
int oci_blob_parse(const json_t *object, uint64_t max, struct layer_blob *ret,
		   struct error **err) _must_check_;

/* Is this entry of an index an image (or an index of images), and nothing about one? */
bool oci_entry_is_image(const struct oci_descriptor *d);
/* The entry of an index that serves `want` best. None: ERR_NOTFOUND listing the platforms that are
 * there. */
int oci_index_select(const struct oci_document *index, const struct platform *want, size_t *ret,
		     struct error **err) _must_check_;

bool oci_is_index_type(const char *media_type);
bool oci_is_manifest_type(const char *media_type);

#endif
