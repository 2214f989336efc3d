/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries that are loaded when one of their functions is first called.
 *
 * libcurl, libgit2 and libarchive bring forty more libraries, which would take the loader longer
 * than a build that finds everything cached takes for its work; expat is for S3 and nghttp2 and
 * protobuf-c are for `kiln serve` alone. lazy_library.S has an entry point for each of their
 * functions that kiln calls, by its own name: callers include the library's header, call, and are
 * linked as ever. Where there is none of this (lazy_library.S knows x86-64 only) the libraries are
 * linked.
 *
 * A library that is not there ends the program with the loader's message, as a linked one would;
 * only later.
 */
#ifndef KILN_ENGINE_LAZY_LIBRARY_H
#define KILN_ENGINE_LAZY_LIBRARY_H

/* What lazy_library.S lays out for each function. */
struct lazy_function {
	const char *library; /* its soname */
	const char *name;
	void *_Atomic address; /* NULL until first called */
};

/* Called by the entry points only. Thread safe. */
void *lazy_library_find(struct lazy_function *f);

#endif
