/* SPDX-License-Identifier: Apache-2.0 */
/* The stat index: what a context directory looked like when it was last scanned, and what its
 * files' bytes hashed to. It makes a warm context cheap: a file whose stat data is unchanged is not
 * read.
 *
 * One mapped file per directory, stat/<hash of the directory's path>, sorted by path_compare. It is
 * a cache: a missing, damaged or foreign file is an empty index, never an error. A file that was
 * modified within the clock's granularity of the scan that recorded it is unknown again (git's
 * racy-clean rule): it may have been changed once more without its times showing it. Files written
 * through a shared mapping that is still open are out of reach. Format: docs/formats-statindex.md.
 */
#ifndef KILN_STORE_STATINDEX_H
#define KILN_STORE_STATINDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "store/store.h"

struct statindex_record {
	const char *path; /* clean, relative; borrowed */
	uint64_t size, dev, ino;
	int64_t mtime, ctime; /* ns since the epoch */
	uint32_t mode;
	struct digest content;
};

struct statindex;
/* The index of a directory (absolute path), empty if there is none. Never NULL. */
struct statindex *statindex_open(struct store *s, const char *dir);
void statindex_free(struct statindex *i);
DEFINE_FREEP(struct statindex, statindex_free)

/* Removes the indexes of directories that were last scanned before `before` (ns since the
 * epoch). */
void statindex_prune(struct store *s, int64_t before);

size_t statindex_count(const struct statindex *i);
void statindex_record(const struct statindex *i, size_t n, struct statindex_record *ret);
/* The content of the file that has this path and this stat data (`want`; its content is ignored),
 * good for as long as the index; NULL if it is unknown. Files are asked for in path order, from
 * *pos = 0 on. */
const struct digest *statindex_find_next(const struct statindex *i, size_t *pos,
					 const struct statindex_record *want);

/* Gives record number n of those to be saved; they are asked for one after the other, twice. */
typedef void (*statindex_get_fn)(void *data, size_t n, struct statindex_record *ret);
/* Replaces the index of `dir` by n records (in path_compare order). `scanned` is the time (ns) at
 * which the first of them was looked at: records modified later than its clock tick before are left
 * out. */
int statindex_save(struct store *s, const char *dir, size_t n, statindex_get_fn get, void *data,
		   int64_t scanned, struct error **err) _must_check_;

#endif
