/* SPDX-License-Identifier: Apache-2.0 */
/* The whole log of a step, kept until it is known whether anyone wants to see it: the first of it in
 * memory, what is more in a file without a name. Not thread safe. */
#ifndef KILN_CMD_PROGRESS_STEP_LOG_H
#define KILN_CMD_PROGRESS_STEP_LOG_H

#include <stdint.h>

#include "base/buf.h"

struct step_log {
	struct buf memory; /* what is not in the file */
	int fd;		   /* -1: no file yet; -2: none can be had */
	uint64_t in_file;  /* bytes */
	uint64_t max;	   /* bytes to keep in the file; 0: all */
	uint64_t lost;	   /* bytes between the file's and memory's that there was no room for */
};

#define STEP_LOG_INIT                        \
	{                                    \
		.memory = BUF_INIT, .fd = -1 \
	}

void step_log_release(struct step_log *l);
/* Adds whole lines, with their ends. */
void step_log_add(struct step_log *l, const void *p, size_t n);
/* Hands over all of it, in pieces that end where a line does. */
void step_log_read(const struct step_log *l, void (*piece)(void *data, const char *p, size_t n),
		   void *data);

#endif
