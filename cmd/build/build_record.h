/* SPDX-License-Identifier: Apache-2.0 */
/* The record that a build leaves in the store (store/history.h), for `kiln builds`: a summary, with the
 * field names of `docker buildx history inspect --format json`, and every event of its progress. */
#ifndef KILN_CMD_BUILD_BUILD_RECORD_H
#define KILN_CMD_BUILD_BUILD_RECORD_H

#include "cmd/build/build_request.h"
#include "cmd/progress/display.h"
#include "store/history.h"

struct build_record {
	char ref[HISTORY_REF + 1]; /* "" if nothing is recorded */
	int64_t started;	   /* ns since the epoch */
	struct log_spool log;
	struct display_counts counts;
	char *error; /* what the build failed with; NULL */
	bool canceled;
};

/* Before the first event. KILN_HISTORY=off: nothing is recorded. */
void build_record_begin(struct build_record *r, struct display *d);
/* When all has been said, before the display is closed. `err` is what the build failed with, or NULL. */
void build_record_end(struct build_record *r, struct display *d, const struct error *err);
/* Writes it, and removes those that are too old or too many. A build does not fail because of its
 * record: what goes wrong is a warning on stderr. */
void build_record_write(const struct build_record *r, const struct build_request *q);
void build_record_release(struct build_record *r);

#endif
