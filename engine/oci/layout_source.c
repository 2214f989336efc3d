/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/oci/layout_source.h"

#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "engine/oci/layout_dir.h"
#include "engine/oci/oci_archive.h"
#include "store/blob.h"

#define SOURCE_PREFIX "oci-layout:"
#define READ_SIZE ((size_t)256 * 1024)

char *oci_layout_source(const char *dir)
{
	return xasprintf(SOURCE_PREFIX "%s", dir);
}

bool oci_layout_is_source(const char *source)
{
	return source && strncmp(source, SOURCE_PREFIX, strlen(SOURCE_PREFIX)) == 0;
}

static int copy(int fd, struct blob_writer *w, uint64_t size, struct cancel *cancel,
		struct error **err)
{
	_cleanup_free_ char *chunk = xmalloc(READ_SIZE);

	for (;;) {
		ssize_t n = fs_read_full(fd, chunk, READ_SIZE);

		if (n < 0)
			return error_new(err, ERR_IO, (int)-n, "read");
		if (n == 0)
			return 0;
		if (cancel_is_set(cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		blob_writer_write(w, chunk, (size_t)n);
		if (blob_writer_size(w) > size)
			return error_new(err, ERR_CORRUPT, 0, "it has more than %llu bytes",
					 (unsigned long long)size);
	}
}

int oci_layout_copy_blob(struct store *s, const char *source, const struct layer_blob *blob,
			 struct cancel *cancel, struct error **err)
{
	const char *dir = source + strlen(SOURCE_PREFIX);
	_cleanup_(blob_writer_freep) struct blob_writer *w = NULL;
	_cleanup_close_ int dirfd = fs_open_dir(AT_FDCWD, dir), fd = -1;
	_cleanup_free_ char *name = oci_archive_blob_name(&blob->digest);
	int r;

	if (dirfd < 0)
		return error_new(err, ERR_NOTFOUND, -dirfd, "open the OCI layout '%s'", dir);
	fd = layout_dir_open(dirfd, name, err);
	r = fd < 0 ? fd : blob_writer_open(s, &w, err);
	if (r == 0)
		r = copy(fd, w, blob->size, cancel, err);
	if (r == 0)
		r = blob_writer_commit(w, &blob->digest, NULL, err);
	return r < 0 ? error_wrap(err, r, "OCI layout '%s', '%s'", dir, name) : 0;
}
