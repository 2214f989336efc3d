#include "engine/archive_input.h"

#include <archive.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/named_file.h"

enum { READ_SIZE = 128 << 10 };

static la_ssize_t read_pipe(struct archive *a, void *data, const void **ret)
{
	struct archive_input *in = data;

	for (;;) {
		int r = named_file_wait(in->fd, in->cancel);
		ssize_t n = r < 0 ? r : read(in->fd, in->buffer, READ_SIZE);

		if (n >= 0) {
			*ret = in->buffer;
			return n;
		}
		if (r == 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		archive_set_error(a, r < 0 ? -r : errno, "cannot be read");
		return -1;
	}
}

bool archive_input_open(struct archive_input *in, struct archive *a, int fd,
			const struct cancel *cancel)
{
	struct stat st;

	*in = (struct archive_input){.fd = fd, .cancel = cancel};
	/* Of a file libarchive skips what nobody asks for. */
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return archive_read_open_fd(a, fd, READ_SIZE) == ARCHIVE_OK;
	in->buffer = xmalloc(READ_SIZE);
	return archive_read_open(a, in, NULL, read_pipe, NULL) == ARCHIVE_OK;
}

void archive_input_release(struct archive_input *in)
{
	free(in->buffer);
	in->buffer = NULL;
}
