/* SPDX-License-Identifier: Apache-2.0 */
/* The files of cmd/completion/, which kiln carries in itself. */
#ifndef KILN_CMD_COMPLETION_SCRIPTS_H
#define KILN_CMD_COMPLETION_SCRIPTS_H

extern const char completion_bash[], completion_bash_end[];
extern const char completion_zsh[], completion_zsh_end[];
extern const char completion_fish[], completion_fish_end[];

#endif
