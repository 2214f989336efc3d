/* SPDX-License-Identifier: Apache-2.0 */
/* The documents in which an image's attestations lie beside it: in-toto statements (the layers), and
 * the manifest that holds them together, as an OCI artifact with the image as its subject or in the
 * form from before there were artifacts (BuildKit's docs/attestations/attestation-storage.md). */
#ifndef KILN_ENGINE_ATTEST_STATEMENT_H
#define KILN_ENGINE_ATTEST_STATEMENT_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/platform.h"
#include "base/vec.h"

#define ATTEST_ARTIFACT_TYPE "application/vnd.docker.attestation.manifest.v1+json"
#define ATTEST_PREDICATE_ANNOTATION "in-toto.io/predicate-type"
#define ATTEST_STATEMENT_TYPE "https://in-toto.io/Statement/v1"

struct attest_statement {
	const char *predicate_type;
	struct buf bytes;
	struct digest digest;
};

/* "pkg:docker/library@tag?platform=linux%2Famd64" of a full name, with the digest in it where the
 * name has no tag. `type`: "docker", "oci". Heap; ERR_INVALID if it is not a name. */
int attest_purl(const char *type, const char *full_name, const struct platform *platform,
		char **ret, struct error **err) _must_check_;

/* {"name", "digest": {"sha256"}} */
json_t *attest_subject(const char *subject, const struct digest *digest);
/* A statement about `subjects`, an array; both are borrowed. */
void attest_statement_write(const char *predicate_type, json_t *subjects, json_t *predicate,
			    bool indented, struct buf *b);

/* The manifest of an image's statements. */
struct attest_manifest {
	VEC(struct attest_statement) statements;
	struct buf config, manifest;
	struct digest config_digest, digest;
};
#define ATTEST_MANIFEST_INIT                             \
	{                                                \
		.config = BUF_INIT, .manifest = BUF_INIT \
	}
void attest_manifest_release(struct attest_manifest *m);
void attest_manifest_add(struct attest_manifest *m, const char *predicate_type, struct buf *bytes);
/* About the manifest `subject`, of this type and size. */
void attest_manifest_close(struct attest_manifest *m, bool artifact, const char *subject_type,
			   const struct digest *subject, uint64_t subject_size);
/* Its entry in the index; a new reference. */
json_t *attest_manifest_entry(const struct attest_manifest *m, const struct digest *subject);

#endif
