/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes and manifests from strangers: parsing, and choosing a platform. */
#include "engine/oci/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_document doc = OCI_DOCUMENT_INIT;
	_cleanup_(error_freep) struct error *err = NULL;
	struct platform want = {.os = "linux", .arch = "arm", .variant = "v7"};
	size_t at;

	if (oci_document_parse(NULL, data, size, &doc, &err) < 0)
		return 0;
	if (doc.kind == OCI_INDEX)
		(void)!oci_index_select(&doc, &want, &at, &err);
	oci_document_release(&doc);
	return 0;
}
