/* SPDX-License-Identifier: Apache-2.0 */
/* Every file that somebody names for kiln to write: it appears whole under its name (a temporary
 * beside it and a rename) if that is free or a regular file's; a device, a pipe and what a symlink
 * leads to are written through and stay what they are; directories and sockets are refused. Or a
 * descriptor that is given.
 *
 *	out_file_check("out.tar", err);			before the work: could it be written?
 *	out_file_open(&f, "out.tar", -1, cancel, err);
 *	... out_file_write as the sink ...
 *	out_file_commit(&f, err);
 *	out_file_release(&f);		without commit the file is removed
 */
#ifndef KILN_ENGINE_STREAM_OUT_FILE_H
#define KILN_ENGINE_STREAM_OUT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/error.h"

struct out_file {
	int fd;
	bool owned; /* fd is ours to close */
	char *path; /* NULL: a descriptor that was given */
	const struct cancel *cancel;
	int unblocked;	 /* `fd` as a pipe that can be waited for, or -1 */
	char *temporary; /* what is being written; NULL: `path` itself (a pipe, a device) */
	uint64_t size;
	char *buffer; /* small writes are gathered */
	size_t n;
};

/* Finds a destination that cannot be written, without a trace of having looked. */
int out_file_check(const char *path, struct error **err) _must_check_;
/* The same for a directory that is made if need be, with those above it. */
int out_dir_check(const char *path, struct error **err) _must_check_;
/* A whole file at once. */
int out_file_write_all(const char *path, const void *p, size_t n, const struct cancel *cancel,
		       struct error **err) _must_check_;

/* path NULL: writes to `fd`, which is borrowed. Where it is a pipe, `cancel` (may be NULL) ends the
 * wait for its reader. */
int out_file_open(struct out_file *f, const char *path, int fd, const struct cancel *cancel,
		  struct error **err) _must_check_;
/* A tar_sink_fn and compress_sink_fn; data is the struct out_file. */
int out_file_write(void *data, const void *p, size_t n, struct error **err) _must_check_;
int out_file_commit(struct out_file *f, struct error **err) _must_check_;
void out_file_release(struct out_file *f);

#endif
