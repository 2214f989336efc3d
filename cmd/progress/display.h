/* SPDX-License-Identifier: Apache-2.0 */
/* The display of a build: a sink for progress events and a thread that renders them to stderr.
 *
 * Emitting only updates the model under a mutex; the thread renders at once when something happened
 * after a quiet spell and then at most every 100 ms, so that a build is never slowed by its
 * terminal.
 */
#ifndef KILN_CMD_PROGRESS_DISPLAY_H
#define KILN_CMD_PROGRESS_DISPLAY_H

#include "base/error.h"
#include "cmd/progress/log_spool.h"
#include "solver/progress.h"

enum display_mode {
	DISPLAY_AUTO, /* tty where stderr is a terminal that we may draw on, else plain */
	DISPLAY_PLAIN,
	DISPLAY_ORDERED, /* plain, each step's block whole; with the lines by which GitHub's, GitLab's
			  * log view folds blocks */
	DISPLAY_ORDERED_GITHUB,
	DISPLAY_ORDERED_GITLAB,
	DISPLAY_TTY,
	DISPLAY_RAWJSON,
	DISPLAY_QUIET, /* nothing but errors */
};

struct display;

/* "auto", "plain", "ordered[,groups=github|gitlab]", "tty", "rawjson", "quiet", "none". */
int display_mode_parse(const char *text, enum display_mode *ret, struct error **err) _must_check_;
/* `doing` is the word that heads the live view ("Building"), borrowed. ERR_INVALID: tty was asked for,
 * but it is not a terminal. */
int display_open(enum display_mode mode, const char *doing, struct display **ret,
		 struct error **err) _must_check_;
const struct progress *display_progress(struct display *d);
/* Every event is added to the log too, from now on, as rawjson prints it. Called before the first. */
void display_record(struct display *d, struct log_spool *log);
struct display_counts {
	size_t steps, completed, cached, warnings;
};
/* What came by now. */
struct display_counts display_counts(struct display *d);
/* Draws what is known and leaves the terminal to the caller until display_resume, on the same
 * thread; others wait. */
void display_pause(struct display *d);
void display_resume(struct display *d);
/* Ends the stream: draws what is left and, for every failed step, its last log lines; all of them
 * where only a live view was seen of them. Text of the
 * command that follows may then be printed. Frees d. */
void display_close(struct display *d, bool failed);

#endif
