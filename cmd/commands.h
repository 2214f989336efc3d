/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the program, one file each (cmd_NAME.c). A command prints its results to stdout,
 * its errors through session_fail, and returns the exit status: 0, 1 failed, 2 usage, 130
 * interrupted; `run` returns the process's own (docs/cli.md). */
#ifndef KILN_CMD_COMMANDS_H
#define KILN_CMD_COMMANDS_H

#include "cmd/cli/opt.h"

int cmd_bake(const struct command *self, int argc, char **argv);
int cmd_build(const struct command *self, int argc, char **argv);
int cmd_buildx_create(const struct command *self, int argc, char **argv);
int cmd_buildx_inspect(const struct command *self, int argc, char **argv);
int cmd_buildx_ls(const struct command *self, int argc, char **argv);
int cmd_buildx_rm(const struct command *self, int argc, char **argv);
int cmd_buildx_use(const struct command *self, int argc, char **argv);
int cmd_builds(const struct command *self, int argc, char **argv);
int cmd_cache(const struct command *self, int argc, char **argv);
int cmd_complete(const struct command *self, int argc, char **argv);
int cmd_compose(const struct command *self, int argc, char **argv);
int cmd_completion(const struct command *self, int argc, char **argv);
int cmd_context_inspect(const struct command *self, int argc, char **argv);
int cmd_context_ls(const struct command *self, int argc, char **argv);
int cmd_context_show(const struct command *self, int argc, char **argv);
int cmd_context_use(const struct command *self, int argc, char **argv);
int cmd_debug(const struct command *self, int argc, char **argv);
int cmd_doctor(const struct command *self, int argc, char **argv);
int cmd_du(const struct command *self, int argc, char **argv);
int cmd_history(const struct command *self, int argc, char **argv);
int cmd_image_layers(const struct command *self, int argc, char **argv);
int cmd_image_prune(const struct command *self, int argc, char **argv);
int cmd_images(const struct command *self, int argc, char **argv);
int cmd_imagetools(const struct command *self, int argc, char **argv);
int cmd_import(const struct command *self, int argc, char **argv);
int cmd_inspect(const struct command *self, int argc, char **argv);
int cmd_load(const struct command *self, int argc, char **argv);
int cmd_login(const struct command *self, int argc, char **argv);
int cmd_logout(const struct command *self, int argc, char **argv);
int cmd_man(const struct command *self, int argc, char **argv);
int cmd_manifest_inspect(const struct command *self, int argc, char **argv);
int cmd_mounts(const struct command *self, int argc, char **argv);
int cmd_prune(const struct command *self, int argc, char **argv);
int cmd_pull(const struct command *self, int argc, char **argv);
int cmd_push(const struct command *self, int argc, char **argv);
int cmd_rmi(const struct command *self, int argc, char **argv);
int cmd_run(const struct command *self, int argc, char **argv);
int cmd_save(const struct command *self, int argc, char **argv);
int cmd_serve(const struct command *self, int argc, char **argv);
int cmd_store(const struct command *self, int argc, char **argv);
int cmd_system_df(const struct command *self, int argc, char **argv);
int cmd_system_prune(const struct command *self, int argc, char **argv);
int cmd_tag(const struct command *self, int argc, char **argv);
int cmd_verify_build(const struct command *self, int argc, char **argv);
int cmd_version(const struct command *self, int argc, char **argv);

/* Prints "kiln version N, build COMMIT", as `docker --version` does. */
void version_line(void);
/* The version alone, and what kiln was built with: "libcurl 7.88.1, ..." (heap). */
const char *version_number(void);
char *version_libraries(void);

/* The commands that `kiln --help` lists, in its order; NULL after the last. */
const struct command *commands_at(size_t i);
/* The command that argv begins with. *ret_used is how many words name it: 2 in a group. NULL if there
 * is none. */
const struct command *commands_find(int argc, char *const *argv, int *ret_used);
/* docker's groups: "image" with its commands "ls", ... Appends the names. */
void commands_groups(struct strv *ret);
void commands_of_group(const char *group, struct strv *ret);
/* Shows a command's options to `fn`, or those of its subcommand. Returns its exit status. */
int commands_ask(const struct command *command, const char *verb, opt_help_fn *fn, void *arg);

/* The whole program. */
int kiln_main(int argc, char **argv);

#endif
