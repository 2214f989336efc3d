/* SPDX-License-Identifier: Apache-2.0 */
/* The media types of layers, of OCI's family and of docker's. */
#ifndef KILN_ENGINE_LAYER_LAYER_TYPES_H
#define KILN_ENGINE_LAYER_LAYER_TYPES_H

#include <stdbool.h>

#include "engine/stream/compress.h"

#define OCI_LAYER_TYPE "application/vnd.oci.image.layer.v1.tar"
#define DOCKER_LAYER_TYPE "application/vnd.docker.image.rootfs.diff.tar"
#define DOCKER_FOREIGN_LAYER_TYPE "application/vnd.docker.image.rootfs.foreign.diff.tar"

/* Layers that kiln can unpack: tar, tar+gzip, tar+zstd of both families, also typed foreign or
 * nondistributable: whether the registry holds their bytes is seen when they are asked for. */
bool layer_type_is_known(const char *media_type);
/* The type of a layer with this compression. Heap. */
char *layer_type_of(enum compression c, bool docker);
/* Another name for the same kind of layer: OCI's or docker's. Heap; unknown types are unchanged. */
char *layer_type_convert(const char *media_type, bool docker);
enum compression layer_type_compression(const char *media_type);

#endif
