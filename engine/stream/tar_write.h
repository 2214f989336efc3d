/* SPDX-License-Identifier: Apache-2.0 */
/* Writes tar archives exactly as Go's archive/tar does, since the bytes of a layer are its
 *identity: USTAR where every field fits, else PAX with the records sorted by key.
 *
 *	tar_writer_init(&w, sink, data);
 *	tar_write_header(&w, &header, err);	then header.size bytes through tar_write_data
 *	tar_write_end(&w, err);
 *
 * The format is POSIX.1-2001's pax; field choices that POSIX leaves open follow archive/tar of
 * Go 1.21 and later.
 */
#ifndef KILN_ENGINE_STREAM_TAR_WRITE_H
#define KILN_ENGINE_STREAM_TAR_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct cancel;

typedef int (*tar_sink_fn)(void *data, const void *p, size_t n, struct error **err);

enum tar_type {
	TAR_FILE = '0',
	TAR_HARDLINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR = '3',
	TAR_BLOCK = '4',
	TAR_DIR = '5',
	TAR_FIFO = '6',
};

struct tar_header {
	enum tar_type type;
	const char *name; /* a directory's ends with a slash */
	const char *link; /* TAR_HARDLINK, TAR_SYMLINK; else NULL */
	uint32_t mode, uid, gid;
	uint64_t size; /* TAR_FILE */
	int64_t mtime; /* seconds */
	uint32_t dev_major, dev_minor;
	const void *capability; /* value of security.capability; NULL: none */
	size_t capability_size;
};

struct tar_writer {
	tar_sink_fn sink;
	void *data;
	uint64_t left; /* bytes of the current file still to come */
	unsigned pad;  /* zero bytes that complete its last block */
};

void tar_writer_init(struct tar_writer *w, tar_sink_fn sink, void *data);
/* ERR_INTERNAL if the file before it is incomplete. */
int tar_write_header(struct tar_writer *w, const struct tar_header *h,
		     struct error **err) _must_check_;
int tar_write_data(struct tar_writer *w, const void *p, size_t n, struct error **err) _must_check_;
/* The caller has put the next n bytes of the current file to where the sink puts them. */
void tar_write_elsewhere(struct tar_writer *w, size_t n);
/* Pads the current file to whole blocks, as the next header would. */
int tar_write_pad(struct tar_writer *w, struct error **err) _must_check_;
/* Copies the current file's bytes from `fd`; ERR_CORRUPT naming `name` if it holds fewer. */
int tar_write_fd(struct tar_writer *w, int fd, const char *name, const struct cancel *cancel,
		 struct error **err) _must_check_;
/* Pads the last file and ends the archive. */
int tar_write_end(struct tar_writer *w, struct error **err) _must_check_;

#endif
