/* SPDX-License-Identifier: Apache-2.0 */
/* What libarchive reads of an archive that a person named: a file, or a pipe, whose writer may
 * stand still. It ends when it is asked to: libarchive may read gigabytes for one entry. */
#ifndef KILN_ENGINE_STREAM_ARCHIVE_INPUT_H
#define KILN_ENGINE_STREAM_ARCHIVE_INPUT_H

#include <stdbool.h>

#include "base/cancel.h"

struct archive;

struct archive_input {
	int fd; /* borrowed */
	const struct cancel *cancel;
	char *buffer;
	bool is_pipe;
};

/* False: the archive says why, and if `cancel` is set, that is why. `in` outlives the archive. */
bool archive_input_open(struct archive_input *in, struct archive *a, int fd,
			const struct cancel *cancel);
void archive_input_release(struct archive_input *in);

#endif
