/* SPDX-License-Identifier: Apache-2.0 */
/* The one error value.
 *
 * A function that can fail returns 0 (or a count) on success and a negative enum err_code on
 * failure, and takes `struct error **err` as its last parameter: NULL is allowed, it is set only on
 * failure, and callers test the return value, never *err. Code = what a caller may branch on;
 * text = what a human needs: what was being done, to what, why it failed.
 *
 *	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
 *	if (fd < 0)
 *		return error_new(err, ERR_IO, errno, "open '%s'", name);
 *	r = parse(fd, err);
 *	if (r < 0)
 *		return error_wrap(err, r, "read '%s'", name);
 *
 * Leaf wrappers over system calls in base/ return -errno instead and carry no error; their headers
 * say so.
 */
#ifndef KILN_BASE_ERROR_H
#define KILN_BASE_ERROR_H

#include "base/alloc.h"

enum err_code {
	ERR_INVALID = 1, /* bad input: a flag, a Dockerfile, a document */
	ERR_NOTFOUND,
	ERR_EXISTS,
	ERR_CORRUPT,	 /* bytes do not match their digest or their format */
	ERR_DENIED,	 /* permission or authentication */
	ERR_UNSUPPORTED, /* understood but not possible here */
	ERR_CANCELED,
	ERR_TIMEOUT,
	ERR_UNAVAILABLE, /* a server could not be reached or failed for now */
	ERR_BUSY,
	ERR_PROCESS, /* a process ended with a non-zero status, see error_exit_status */
	ERR_IO,
	ERR_NOSPACE,
	ERR_INTERNAL,
};

/* A place in a text file; lines and columns start at 1, 0 = unknown. */
struct source_span {
	unsigned line, end_line;
	unsigned column;
};

struct error;

/* Sets *err and returns -code. `errnum` != 0 appends ": strerror(errnum)"; a code of ERR_IO is
 * refined from errnum (ENOENT -> NOTFOUND, EACCES/EPERM -> DENIED, ENOSPC/EDQUOT -> NOSPACE,
 * EEXIST -> EXISTS, ECANCELED -> CANCELED). */
int error_new(struct error **err, enum err_code code, int errnum, const char *fmt, ...)
	_printf_(4, 5);
int error_vnew(struct error **err, enum err_code code, int errnum, const char *fmt, va_list ap)
	_printf_(4, 0);

/* Prefixes "fmt: " to *err's text and returns r unchanged, so that wrapping cannot change what a
 * caller branches on. */
int error_wrap(struct error **err, int r, const char *fmt, ...) _printf_(3, 4);

/* Marks where in which file (copied) the error is, unless a deeper caller has. Returns r. */
int error_at(struct error **err, int r, const char *file, struct source_span span);

/* Adds "what to do next", shown on a line of its own. Returns r. */
int error_hint(struct error **err, int r, const char *fmt, ...) _printf_(3, 4);

void error_set_exit_status(struct error *e, int status);

enum err_code error_code(const struct error *e);
int error_errno(const struct error *e);
const char *error_text(const struct error *e); /* borrowed; never NULL */
const char *error_file(const struct error *e); /* borrowed; NULL if no place is known */
struct source_span error_span(const struct error *e);
const char *error_hint_text(const struct error *e); /* borrowed; NULL if none */
int error_exit_status(const struct error *e);	    /* 0 if no process failed */

struct error *error_copy(const struct error *e);
void error_free(struct error *e);
DEFINE_FREEP(struct error, error_free)

#endif
