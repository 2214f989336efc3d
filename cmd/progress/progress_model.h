/* SPDX-License-Identifier: Apache-2.0 */
/* What the progress renderers know: the steps of a build, made from its events. Not thread safe;
 * the display (display.h) guards it. */
#ifndef KILN_CMD_PROGRESS_PROGRESS_MODEL_H
#define KILN_CMD_PROGRESS_PROGRESS_MODEL_H

#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"
#include "solver/progress.h"

enum { TAIL_LINES = 10 }; /* log lines kept per step for the report of a failure */

struct step_status {
	char *id;
	uint64_t current, total;
	int64_t started, completed; /* ns; completed 0: going */
	bool dirty;		    /* not yet printed in this state */
	int64_t printed_at;	    /* when it was last printed */
	unsigned printed_percent;
};

struct step_warning {
	char *text;
	bool printed;
};

struct step {
	struct digest id;
	unsigned number; /* "#N", given when it is first printed; 0: not yet */
	char *name;	 /* sanitised */
	enum vertex_state state;
	char *error;
	int64_t started; /* of the current run interval, 0 if not running */
	int64_t first_started, finished;
	int64_t elapsed; /* ns in finished intervals */
	VEC(struct step_status) statuses;
	VEC(struct step_warning) warnings;
	struct buf log;	    /* what was written and not yet printed, prefixed lines */
	struct buf partial; /* a line without its end yet */
	/* Ring of the last TAIL_LINES lines, with their time prefix; NULL: it has printed
	 * nothing. */
	struct buf *tail;
	unsigned tail_next;
	bool dirty, reported;
};

struct progress_model {
	VEC(struct step *) steps; /* in order of appearance */
	struct map by_id;
	size_t completed;
	bool keep_log; /* collect step->log for printing (plain) */
	bool raw_log;  /* every byte of the log as it came, for a file or pipe; else sanitised */
};

void progress_model_release(struct progress_model *m);
/* Returns the step that changed. */
struct step *progress_model_apply(struct progress_model *m, const struct event *event);
/* ns the step has run, up to `now`. */
int64_t step_elapsed(const struct step *s, int64_t now);
bool step_is_over(const struct step *s);
/* One of the last TAIL_LINES log lines with its time, oldest first; NULL if there are fewer. */
const struct buf *step_tail_line(const struct step *s, unsigned i);
/* Appends " > NAME:" and the last log lines between dashes, for a failed step. */
void step_report(const struct step *s, struct buf *b);

#endif
