/* SPDX-License-Identifier: Apache-2.0 */
/* What `kiln build` attests of its images: which outputs get it, and from what it is made. */
#ifndef KILN_CMD_BUILD_BUILD_ATTEST_H
#define KILN_CMD_BUILD_BUILD_ATTEST_H

#include "cmd/build/build_outputs.h"

/* Reads --attest, --provenance and --sbom, and settles for every output whether attestations go
 * along. ERR_INVALID where they cannot. */
int build_attest_parse(struct build_options *o, struct error **err) _must_check_;

/* NULL if nothing is attested. The build's results need not stand yet. */
struct build_attest *build_attest_open(const struct build_outputs *b);
/* Gives image number i what is attested of it, which lives until the close. */
void build_attest_image(struct build_attest *a, size_t i, struct export_image *image);
/* Adds provenance to what --metadata-file says: v0.2 for all, without steps and times
 * (BUILDX_METADATA_PROVENANCE=min, the default), with all that is known (max), or not (disabled). */
int build_attest_metadata(const struct build_outputs *b, json_t *doc,
			  struct error **err) _must_check_;
void build_attest_close(struct build_attest *a);

#endif
