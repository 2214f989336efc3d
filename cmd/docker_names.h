/* SPDX-License-Identifier: Apache-2.0 */
/* What people type who have `alias docker=kiln`: docker's options before the command, and commands
 * of docker's that kiln has no counterpart for. */
#ifndef KILN_CMD_DOCKER_NAMES_H
#define KILN_CMD_DOCKER_NAMES_H

#include <stdbool.h>

/* Why kiln has no such command; NULL: docker has none either. `group` is the word before, "" where
 * there is none. */
const char *docker_command_missing(const char *group, const char *name);

/* Takes docker's options off the front of argv (which begins with the program's name): what is left
 * begins with a command. False: the program is to end, with *ret_status. */
bool docker_options_take(int *argc, char ***argv, int *ret_status);

#endif
