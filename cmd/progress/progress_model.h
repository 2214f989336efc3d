/* SPDX-License-Identifier: Apache-2.0 */
/* What the progress renderers know: the steps of a build, made from its events. Not thread safe;
 * the display (display.h) guards it. */
#ifndef KILN_CMD_PROGRESS_PROGRESS_MODEL_H
#define KILN_CMD_PROGRESS_PROGRESS_MODEL_H

#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"
#include "cmd/progress/log_spool.h"
#include "solver/progress.h"

enum { TAIL_LINES = 10 }; /* log lines in the report of a failure */

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
	/* Planned steps: what they need; and whether what needs them has done without them. */
	struct digest *inputs;
	size_t n_inputs;
	bool passed;
	char *error;
	int64_t started; /* of the current run interval, 0 if not running */
	int64_t first_started, last_started, finished;
	int64_t elapsed; /* ns in finished intervals */
	VEC(struct step_status) statuses;
	VEC(struct step_warning) warnings;
	/* What was written and not yet printed: whole lines as they came, each with its time
	 * before it. */
	struct log_spool log;
	struct buf partial; /* a line without its end yet */
	/* Ring of the last lines, as in the log; NULL: it has printed nothing. */
	struct buf *tail;
	unsigned tail_next;
	bool dirty;
	int64_t printed_at, waits_since; /* plain: ns; 0: not yet; it does not wait */
};

struct progress_model {
	VEC(struct step *)
	steps; /* in order of appearance, which is the plan's where there is one */
	struct map by_id;
	size_t completed;
	bool keep_log; /* collect step->log */
	/* Every byte of the log as it came, for a file or pipe; else of a line that was redrawn
	 * what was drawn last. */
	bool raw_log;
	uint64_t log_max;    /* bytes of a step's log that are kept beyond memory; 0: all */
	unsigned tail_lines; /* kept of each step's log; 0: TAIL_LINES */
};

void progress_model_release(struct progress_model *m);
/* Returns the step that changed. */
struct step *progress_model_apply(struct progress_model *m, const struct event *event);
/* ns the step has run, up to `now`. */
int64_t step_elapsed(const struct step *s, int64_t now);
bool step_is_over(const struct step *s);
/* The i-th last line of the log (0: the last one), with its time; NULL if there are fewer. */
const struct buf *step_tail_line(const struct progress_model *m, const struct step *s, unsigned i);
/* Appends " > NAME:" and the last log lines between dashes, for a failed step. */
void step_report(const struct progress_model *m, const struct step *s, struct buf *b);

#endif
