/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec/shell.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"

/* The shell that the step's own command is for: "/bin/bash -o pipefail -c ...". */
static char *find_shell(const struct sandbox_plan *p)
{
	const char *first = p->args.v[0];
	size_t n = strlen(first);
	bool is_shell = n >= 2 && strcmp(first + n - 2, "sh") == 0;

	return xstrdup(p->args.n > 1 && is_shell ? first : "/bin/sh");
}

/* Removes what the helper made for itself. What was written to overlay mounts stays, as do what
 * mounts show and the sockets of agents. */
static int clear_scratch(const char *path, struct error **err)
{
	static const char *const made[] = {"stub", "work", "links."};
	_cleanup_strv_ struct strv names = {0};
	DIR *dir = opendir(path);
	struct dirent *e;
	int r;

	if (!dir)
		return error_new(err, ERR_IO, errno, "open '%s'", path);
	while ((r = fs_next_entry(dir, &e)) > 0)
		for (size_t i = 0; i < ARRAY_SIZE(made); i++)
			if (strncmp(e->d_name, made[i], strlen(made[i])) == 0)
				strv_pushf(&names, "%s/%s", path, e->d_name);
	(void)closedir(dir);
	for (size_t i = 0; i < names.n && r == 0; i++)
		r = fs_remove_tree(AT_FDCWD, names.v[i]);
	return r < 0 ? error_new(err, ERR_IO, -r, "empty '%s'", path) : 0;
}

int shell_plan(struct sandbox_plan *p, struct error **err)
{
	_cleanup_free_ char *shell = find_shell(p);
	const char *term = getenv("TERM");

	strv_release(&p->args);
	strv_push(&p->args, shell);
	if (!env_get(&p->env, "TERM"))
		env_set(&p->env, "TERM", term && *term ? term : "xterm");
	p->flags |= WIRE_TTY;
	return clear_scratch(p->scratch, err);
}
