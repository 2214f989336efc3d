/* SPDX-License-Identifier: Apache-2.0 */
/* The renderers: pure functions from the model to text, called by the display. */
#ifndef KILN_CMD_PROGRESS_PROGRESS_RENDER_H
#define KILN_CMD_PROGRESS_PROGRESS_RENDER_H

#include "base/strv.h"
#include "cmd/progress/progress_model.h"
#include "cmd/progress/screen_colors.h"

/* --progress=plain: BuildKit's grammar, line for line (docs/cli.md). */
struct plain_renderer {
	struct step *current; /* the step whose block is open */
	int64_t since;	      /* ns: when it was opened */
	unsigned numbers;     /* handed out so far */
	bool not_first;
	bool waiting; /* some step has something to say that it will be asked for later */
};
/* Prints what is new of one step: in its block, which is opened if it is not the current one, and
 * closed if the step is over. */
void plain_print_step(struct plain_renderer *r, const struct progress_model *m, struct step *s,
		      int64_t now, struct buf *b);
void plain_render(struct plain_renderer *r, struct progress_model *m, int64_t now, struct buf *b);

/* --progress=ordered: plain's lines, each step's block whole, in the order of the graph. The first
 * step that is not over prints as it goes; the others wait. */
enum log_groups { GROUPS_NONE, GROUPS_GITHUB, GROUPS_GITLAB };
struct ordered_renderer {
	struct plain_renderer plain;
	enum log_groups groups; /* lines around each block by which a CI's log view folds it */
	size_t next;		/* the first step that is not printed whole */
};
/* `last`: nothing more will come of steps that have not begun. */
void ordered_render(struct ordered_renderer *r, struct progress_model *m, int64_t now, bool last,
		    struct buf *b);

/* The live view of a terminal: appends to b what turns the last frame into the next one, which is
 * nothing if they are equal. */
struct tty_renderer {
	const char *doing; /* "Building", borrowed */
	struct screen_colors colors;
	unsigned log_lines; /* at most, of a step that runs; 0: LOG_LINES */
	int64_t started;    /* ns; 0: now */
	struct strv frame;  /* lines on the screen */
	unsigned columns;   /* of the screen that they were made for */
};
enum { LOG_LINES = 6 };
enum tty_end { TTY_GOING, TTY_FINISHED, TTY_FAILED };
void tty_render(struct tty_renderer *r, const struct progress_model *m, int64_t now,
		unsigned columns, unsigned rows, enum tty_end end, struct buf *b);
/* What is on the screen is no longer where it was: the next frame starts below it. */
void tty_forget(struct tty_renderer *r);
/* The whole log of a step that failed; its lines wrap. `write` gets it in pieces. */
void tty_report(const struct tty_renderer *r, const struct step *s,
		void (*write)(void *data, const char *p, size_t n), void *data);
void tty_release(struct tty_renderer *r);

/* --progress=rawjson: one event, which the model knows already, as one line of JSON; `step` is the one
 * that it is about. */
void rawjson_render(const struct event *event, const struct step *step, struct buf *b);

#endif
