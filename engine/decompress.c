#include "engine/decompress.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

#define READ_SIZE ((size_t)256 * 1024)

static void archive_closep(struct archive **a)
{
	archive_read_free(*a);
}

static int unpack_error(struct archive *a, struct error **err)
{
	const char *why = archive_error_string(a);

	return error_new(err, ERR_CORRUPT, 0, "unpack: %s", why ? why : "damaged stream");
}

int decompress_fd(int fd, tar_sink_fn sink, void *data, struct error **err)
{
	_cleanup_(archive_closep) struct archive *a = archive_read_new();
	_cleanup_free_ char *buffer = xmalloc(READ_SIZE);
	struct archive_entry *entry;
	int r;

	archive_read_support_filter_gzip(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_xz(a);
	archive_read_support_format_raw(a);
	archive_read_support_format_empty(a);
	if (archive_read_open_fd(a, fd, READ_SIZE) != ARCHIVE_OK)
		return unpack_error(a, err);
	r = archive_read_next_header(a, &entry);
	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK)
		return unpack_error(a, err);
	for (;;) {
		la_ssize_t n = archive_read_data(a, buffer, READ_SIZE);

		if (n < 0)
			return unpack_error(a, err);
		if (n == 0)
			return 0;
		r = sink(data, buffer, (size_t)n, err);
		if (r < 0)
			return r;
	}
}
