/* SPDX-License-Identifier: Apache-2.0 */
/* What is attested of the images of an index in a registry. */
#ifndef KILN_ENGINE_IMAGE_IMAGE_ATTESTATIONS_H
#define KILN_ENGINE_IMAGE_IMAGE_ATTESTATIONS_H

#include "base/json.h"
#include "engine/registry/registry.h"

struct image_attestations {
	/* By platform ("linux/amd64"); owned. */
	json_t *provenance; /* {"SLSA": the predicate} */
	json_t *sbom;	    /* {"SPDX": the first document, "AdditionalSPDXs": [the others]} */
};
void image_attestations_release(struct image_attestations *a);
/* Nothing of a manifest. The caller releases it in failure too. */
int image_attestations_read(struct registry *r, const struct imageref *ref,
			    const struct registry_manifest *index, struct cancel *cancel,
			    struct image_attestations *ret, struct error **err) _must_check_;

#endif
