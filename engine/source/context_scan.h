/* SPDX-License-Identifier: Apache-2.0 */
/* One walk over a host directory: what it holds, less what the ignore patterns drop and what is not
 * followed. Directories are read by a few threads; the result is sorted. */
#ifndef KILN_ENGINE_SOURCE_CONTEXT_SCAN_H
#define KILN_ENGINE_SOURCE_CONTEXT_SCAN_H

#include "base/arena.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/strv.h"
#include "store/entry.h"

struct pattern_list;

/* What few nodes have. */
struct scan_extra {
	const char *link;	       /* target of a symlink, else NULL */
	uint32_t dev_major, dev_minor; /* of a device */
	uint8_t capability[ENTRY_CAPABILITY_MAX];
	uint8_t capability_size;
};

/* There may be millions of them. */
struct scan_node {
	const char *path; /* relative, clean */
	uint64_t size, dev, ino;
	int64_t mtime, ctime;		/* ns */
	const struct scan_extra *extra; /* never NULL */
	uint32_t mode;			/* with the type bits, as stat gives it */
	uint32_t nlink;
};

struct scan {
	struct scan_node **nodes; /* in path_compare order; the root ("") first */
	size_t n;
	struct arena *arenas; /* what the nodes and their strings are in */
	size_t n_arenas;
};

struct scan_options {
	const struct pattern_list *excludes; /* NULL: none */
	const struct strv *follow;	     /* concrete paths, see context_follow; NULL: all */
	uint64_t skip_dev, skip_ino; /* a directory to pass over: the store, if it lies in its own
				      * context; 0: none */
	struct cancel *cancel;	     /* may be NULL */
};

/* Reads the directory `rootfd`; `dir` is its name for errors. Files that vanish meanwhile are left
 * out. */
int context_scan(int rootfd, const char *dir, const struct scan_options *o, struct scan *ret,
		 struct error **err) _must_check_;
void scan_release(struct scan *s);

/* Turns paths to follow (with wildcards) into the concrete ones to scan: every symlink on the way
 * is among them, and what it leads to. Sorted, none below another. *ret_all: everything is
 * followed. */
int context_follow(int rootfd, const struct strv *follow, struct strv *ret, bool *ret_all,
		   struct error **err) _must_check_;

#endif
