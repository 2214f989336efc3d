/* SPDX-License-Identifier: Apache-2.0 */
/* The renderers: pure functions from the model to text, called by the display. */
#ifndef KILN_CMD_PROGRESS_PROGRESS_RENDER_H
#define KILN_CMD_PROGRESS_PROGRESS_RENDER_H

#include "base/strv.h"
#include "cmd/progress/progress_model.h"

/* --progress=plain: BuildKit's grammar, line for line (docs/cli.md). */
struct plain_renderer {
	struct step *current; /* the step whose block is open */
	unsigned numbers;     /* handed out so far */
	bool not_first;
};
void plain_render(struct plain_renderer *r, struct progress_model *m, int64_t now, struct buf *b);

/* The live view of a terminal: appends to b what turns the last frame into the next one. */
struct tty_renderer {
	struct strv frame; /* lines on the screen */
	int64_t started;   /* ns; 0: now */
	bool color;
};
enum tty_end { TTY_GOING, TTY_FINISHED, TTY_FAILED };
void tty_render(struct tty_renderer *r, const struct progress_model *m, int64_t now,
		unsigned columns, unsigned rows, enum tty_end end, struct buf *b);
void tty_release(struct tty_renderer *r);

/* --progress=rawjson: one event as one line of JSON. */
void rawjson_render(const struct event *event, struct buf *b);

#endif
