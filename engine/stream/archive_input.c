/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stream/archive_input.h"

#include <archive.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/named_file.h"

enum { READ_SIZE = 128 << 10 };

/* Of a file the wait is over at once, unless it is to stop. */
static la_ssize_t read_some(struct archive *a, void *data, const void **ret)
{
	struct archive_input *in = data;

	for (;;) {
		int r = cancel_is_set(in->cancel) ? -ECANCELED : 0;
		ssize_t n;

		if (r == 0 && in->is_pipe)
			r = named_file_wait(in->fd, in->cancel);
		n = r < 0 ? r : read(in->fd, in->buffer, READ_SIZE);
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

/* What nobody asks for need not be read. */
static la_int64_t skip(struct archive *a, void *data, la_int64_t n)
{
	struct archive_input *in = data;
	off_t from = lseek(in->fd, 0, SEEK_CUR), to;

	(void)a;
	to = from < 0 ? -1 : lseek(in->fd, n, SEEK_CUR);
	return to < 0 ? 0 : to - from;
}

bool archive_input_open(struct archive_input *in, struct archive *a, int fd,
			const struct cancel *cancel)
{
	struct stat st;

	*in = (struct archive_input){.fd = fd, .cancel = cancel, .buffer = xmalloc(READ_SIZE)};
	in->is_pipe = fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
	return archive_read_open2(a, in, NULL, read_some, in->is_pipe ? NULL : skip, NULL) ==
	       ARCHIVE_OK;
}

void archive_input_release(struct archive_input *in)
{
	free(in->buffer);
	in->buffer = NULL;
}
