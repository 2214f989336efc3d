/* SPDX-License-Identifier: Apache-2.0 */
/* What builds left behind: for each a summary and its whole log, as files "history/REF.json" and
 * "history/REF.log". What is in them is the callers' matter.
 *
 * They are written at the end of a build, the log first: a build whose summary is not there was not
 * recorded. They are not synced; a power cut may lose the newest.
 */
#ifndef KILN_STORE_HISTORY_H
#define KILN_STORE_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"
#include "store/store.h"

enum { HISTORY_REF = 25 }; /* letters and digits of a ref */

struct history_entry {
	char ref[HISTORY_REF + 1];
	int64_t time;	/* ns since the epoch: when it was recorded */
	uint64_t bytes; /* of both files */
};
struct history_list {
	VEC(struct history_entry) entries; /* newest first */
};
void history_list_release(struct history_list *l);

/* What is kept: entries that are neither older nor more than that, and take no more. */
struct history_limits {
	int64_t age; /* ns */
	size_t entries;
	uint64_t bytes;
};

/* A new ref: 128 random bits in base 36. */
int history_new_ref(char ret[static HISTORY_REF + 1], struct error **err) _must_check_;
bool history_is_ref(const char *text);

/* `write_log` writes the log to the descriptor that it is given. */
int history_add(struct store *s, const char *ref,
		int (*write_log)(void *data, int fd, struct error **err), void *data,
		const struct buf *summary, struct error **err) _must_check_;
/* An empty list if nothing was recorded. */
int history_list(struct store *s, struct history_list *ret, struct error **err) _must_check_;
/* The entry whose ref begins with `what`, or the newest but N for "^N", the newest for NULL;
 * ERR_NOTFOUND. */
int history_find(struct store *s, const char *what, struct history_entry *ret,
		 struct error **err) _must_check_;
int history_read_summary(struct store *s, const char *ref, struct buf *ret,
			 struct error **err) _must_check_;
/* Returns the log's descriptor. */
int history_open_log(struct store *s, const char *ref, struct error **err) _must_check_;
int history_remove(struct store *s, const char *ref, struct error **err) _must_check_;
int history_trim(struct store *s, const struct history_limits *limits,
		 struct error **err) _must_check_;

#endif
