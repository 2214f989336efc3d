/* SPDX-License-Identifier: Apache-2.0 */
/* What `kiln builds` (docker's `buildx history`) does with the records that builds leave in the store
 * (store/history.h, cmd/build/build_record.h). All print to stdout. */
#ifndef KILN_CMD_BUILDS_BUILDS_H
#define KILN_CMD_BUILDS_BUILDS_H

#include "base/json.h"
#include "solver/progress.h"
#include "store/history.h"

/* One record, read. */
struct build_entry {
	struct history_entry file;
	json_t *summary;
	const char *name, *status; /* "completed", "error", "canceled"; borrowed from the summary */
	int64_t started, completed, duration; /* ns */
};
void build_entry_release(struct build_entry *e);
int build_entry_read(struct store *s, const struct history_entry *file, struct build_entry *ret,
		     struct error **err) _must_check_;

struct builds_options {
	const char *format; /* NULL: each command's own */
	const char *progress;
	struct strv filters;
	bool no_trunc, quiet, all;
};

int builds_list(struct store *s, const struct builds_options *o, struct error **err) _must_check_;
int builds_inspect(struct store *s, const struct builds_options *o,
		   const struct history_entry *file, struct error **err) _must_check_;
/* The log as --progress=plain, ordered or rawjson would have printed it. */
int builds_logs(struct store *s, const struct builds_options *o, const struct history_entry *file,
		struct error **err) _must_check_;
/* The steps as "complete" events of the Trace Event Format, which browsers and Perfetto show. */
int builds_trace(struct store *s, const struct history_entry *file,
		 struct error **err) _must_check_;

#endif
