/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layer/layer_types.h"

#include <string.h>

#include "base/alloc.h"

#define OCI_NONDIST_TYPE "application/vnd.oci.image.layer.nondistributable.v1.tar"

static const struct {
	const char *oci, *docker;
} media_types[] = {
	{OCI_LAYER_TYPE, DOCKER_LAYER_TYPE},
	{OCI_LAYER_TYPE "+gzip", DOCKER_LAYER_TYPE ".gzip"},
	{OCI_LAYER_TYPE "+zstd", DOCKER_LAYER_TYPE ".zstd"},
	/* What may not be distributed is distributed all the same once it is in hand. */
	{OCI_LAYER_TYPE, DOCKER_FOREIGN_LAYER_TYPE},
	{OCI_LAYER_TYPE "+gzip", DOCKER_FOREIGN_LAYER_TYPE ".gzip"},
	{OCI_LAYER_TYPE "+zstd", DOCKER_FOREIGN_LAYER_TYPE ".zstd"},
	{OCI_NONDIST_TYPE, DOCKER_LAYER_TYPE},
	{OCI_NONDIST_TYPE "+gzip", DOCKER_LAYER_TYPE ".gzip"},
	{OCI_NONDIST_TYPE "+zstd", DOCKER_LAYER_TYPE ".zstd"},
};

char *layer_type_convert(const char *media_type, bool docker)
{
	for (size_t i = 0; i < ARRAY_SIZE(media_types); i++)
		if (strcmp(media_type, media_types[i].oci) == 0 ||
		    strcmp(media_type, media_types[i].docker) == 0) {
			const char *plain = strstr(media_type, "gzip")	 ? "+gzip"
					    : strstr(media_type, "zstd") ? "+zstd"
									 : "";

			if (docker)
				return xasprintf("%s%s%s", DOCKER_LAYER_TYPE, *plain ? "." : "",
						 *plain ? plain + 1 : "");
			return xasprintf("%s%s", OCI_LAYER_TYPE, plain);
		}
	return xstrdup(media_type);
}

enum compression layer_type_compression(const char *media_type)
{
	if (strstr(media_type, "zstd"))
		return COMPRESS_ZSTD;
	return strstr(media_type, "gzip") ? COMPRESS_GZIP : COMPRESS_NONE;
}

char *layer_type_of(enum compression c, bool docker)
{
	const char *oci = c == COMPRESS_GZIP   ? OCI_LAYER_TYPE "+gzip"
			  : c == COMPRESS_ZSTD ? OCI_LAYER_TYPE "+zstd"
					       : OCI_LAYER_TYPE;

	return layer_type_convert(oci, docker);
}

bool layer_type_is_known(const char *media_type)
{
	static const char *const types[] = {
		OCI_LAYER_TYPE,
		OCI_LAYER_TYPE "+gzip",
		OCI_LAYER_TYPE "+zstd",
		OCI_NONDIST_TYPE,
		OCI_NONDIST_TYPE "+gzip",
		OCI_NONDIST_TYPE "+zstd",
		/* What may not be distributed is, where the registry has its bytes all the same. */
		DOCKER_FOREIGN_LAYER_TYPE,
		DOCKER_FOREIGN_LAYER_TYPE ".gzip",
		DOCKER_FOREIGN_LAYER_TYPE ".zstd",
		DOCKER_LAYER_TYPE,
		DOCKER_LAYER_TYPE ".gzip",
		DOCKER_LAYER_TYPE ".zstd",
		"application/vnd.docker.image.rootfs.diff.tar+gzip",
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(media_type, types[i]) == 0)
			return true;
	return false;
}
