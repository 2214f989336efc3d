/* SPDX-License-Identifier: Apache-2.0 */
/* The colours of the live view, as BuildKit's: BUILDKIT_COLORS changes them, NO_COLOR takes them
 * away. */
#ifndef KILN_CMD_PROGRESS_SCREEN_COLORS_H
#define KILN_CMD_PROGRESS_SCREEN_COLORS_H

#include <stdbool.h>

#include "base/strv.h"

enum { COLOR_TEXT = 24 };

/* Sequences for the terminal; "" where a state has no colour. */
struct screen_colors {
	bool on; /* false: no colour at all */
	char run[COLOR_TEXT], cancel[COLOR_TEXT], warning[COLOR_TEXT], error[COLOR_TEXT];
};

/* `no_color` and `spec` are the values of NO_COLOR and BUILDKIT_COLORS
 * ("run=green:warning=yellow:error=red:cancel=255,165,0"), NULL where they are not set. What cannot
 * be used of spec is told in *ret_complaints, and its default stays. */
void screen_colors_init(struct screen_colors *c, const char *no_color, const char *spec,
			struct strv *ret_complaints);

#endif
