/* SPDX-License-Identifier: Apache-2.0 */
/* The files of an image archive, brought into the store: docker's and OCI's, as a tar (perhaps
 * compressed, perhaps a pipe) or as a layout directory. Archives come from strangers: names that
 * lead out, devices, too many files and blobs that are not what their name says are refused. */
#ifndef KILN_ENGINE_IMAGE_LOAD_ARCHIVE_H
#define KILN_ENGINE_IMAGE_LOAD_ARCHIVE_H

#include "base/cancel.h"
#include "base/digest.h"
#include "base/map.h"
#include "store/store.h"

#define LOAD_FILES_MAX 65536 /* files of one archive */
#define LOAD_NAME_MAX 4096

/* One file of the archive; its bytes are a blob of the store. */
struct load_file {
	struct digest digest;
	uint64_t size;
	char *link; /* another file of the archive that this name stands for; NULL: none */
};

struct load_archive {
	struct map files; /* name -> struct load_file */
};

void load_archive_release(struct load_archive *a);
/* Reads an archive from `fd`: a tar from its position, or a directory. `name` is for errors. */
int load_archive_read(struct store *s, int fd, const char *name, struct cancel *cancel,
		      struct load_archive *a, struct error **err) _must_check_;
/* NULL if there is no such file. */
const struct load_file *load_archive_find(const struct load_archive *a, const char *name);
/* The file blobs/sha256/<hex>. */
const struct load_file *load_archive_blob(const struct load_archive *a,
					  const struct digest *digest);

#endif
