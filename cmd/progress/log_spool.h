/* SPDX-License-Identifier: Apache-2.0 */
/* The whole log of a step or build, kept until it is known whether anyone wants to see it: the last of
 * it in memory, what was before in a file without a name. Not thread safe. */
#ifndef KILN_CMD_PROGRESS_LOG_SPOOL_H
#define KILN_CMD_PROGRESS_LOG_SPOOL_H

#include <stdint.h>

#include "base/buf.h"

struct log_spool {
	struct buf memory; /* what is not in the file */
	int fd;		   /* -1: no file yet; -2: none can be had */
	uint64_t in_file;  /* bytes */
	uint64_t max;	   /* bytes to keep in the file; 0: all */
	uint64_t lost;	   /* bytes between the file's and memory's that there was no room for */
};

#define LOG_SPOOL_INIT                       \
	{                                    \
		.memory = BUF_INIT, .fd = -1 \
	}

void log_spool_release(struct log_spool *l);
/* Adds whole lines, with their ends. */
void log_spool_add(struct log_spool *l, const void *p, size_t n);
/* Hands over all of it, in pieces that end where a line does. */
void log_spool_read(const struct log_spool *l, void (*piece)(void *data, const char *p, size_t n),
		    void *data);

#endif
