/* The plain bytes of a stream that may be compressed (gzip of several members, zstd, bzip2, xz):
 * what it is shows in its first bytes. Reading is libarchive's. */
#ifndef KILN_ENGINE_DECOMPRESS_H
#define KILN_ENGINE_DECOMPRESS_H

#include "engine/tar_write.h"

/* Streams everything that `fd` (read from its position) unpacks to. */
int decompress_fd(int fd, tar_sink_fn sink, void *data, struct error **err);

#endif
