/* Between our terminal and a container's: raw mode, bytes both ways, window size; and the signals
 * that we get, which are meant for the process. One at a time in a process. */
#ifndef KILN_ENGINE_CONSOLE_H
#define KILN_ENGINE_CONSOLE_H

#include <stdbool.h>

#include "engine/sandbox.h"

struct console;

/* Takes over signals and, with `tty`, the terminal; console_close gives both back. */
struct console *console_open(struct sandbox *s, bool tty, bool input);
void console_close(struct console *c);
/* For sandbox_wait_watching, whose data is the console. */
struct sandbox_watch *console_watches(struct console *c);
size_t console_n_watches(const struct console *c);

/* Collects text for later. */
void console_note(struct console *c, const void *p, size_t n);
const char *console_notes(struct console *c); /* without the last newline; borrowed */

#endif
