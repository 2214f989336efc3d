/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/bake/bake_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/named_file.h"
#include "cmd/cli/session.h"

static const char *const usual_names[] = {
	"docker-bake.json",
	"docker-bake.hcl",
	"docker-bake.override.json",
	"docker-bake.override.hcl",
};

static int read_file(struct bake_config *c, const char *name, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT_MAX(BAKE_FILE_MAX);
	const char *path = strncmp(name, "cwd://", 6) == 0 ? name + 6 : name;
	int r = strcmp(path, "-") == 0 ? named_file_read_fd(STDIN_FILENO, session_cancel(), &b)
				       : named_file_read(path, session_cancel(), &b);

	if (r < 0)
		return error_new(err, named_file_error(r), -r, "read the bake file %s", path);
	bake_config_add_file(c, path, b.p, b.n);
	return 0;
}

/* NAME:NAME, or what $BUILDX_BAKE_PATH_SEPARATOR separates them by. */
static void names_of_environment(struct strv *names)
{
	const char *list = getenv("BUILDX_BAKE_FILE"),
		   *separator = getenv("BUILDX_BAKE_PATH_SEPARATOR");
	size_t n;

	if (!separator || !*separator)
		separator = ":";
	n = strlen(separator);
	while (list && *list) {
		const char *next = strstr(list, separator),
			   *end = next ? next : list + strlen(list);

		while (list < end && (*list == ' ' || *list == '\t'))
			list++;
		while (end > list && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		if (end > list)
			strv_pushn(names, list, (size_t)(end - list));
		list = next ? next + n : NULL;
	}
}

int bake_files_read(struct bake_config *c, const struct strv *named, struct error **err)
{
	_cleanup_strv_ struct strv names = {0};
	int r = 0;

	strv_copy(&names, named);
	if (names.n == 0)
		names_of_environment(&names);
	for (size_t i = 0; i < names.n && r == 0; i++)
		r = read_file(c, names.v[i], err);
	if (r < 0 || names.n > 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(usual_names) && r == 0; i++)
		if (access(usual_names[i], F_OK) == 0)
			r = read_file(c, usual_names[i], err);
	if (r < 0 || c->files)
		return r;
	return error_hint(err,
			  error_new(err, ERR_NOTFOUND, 0, "there is no bake file in this folder"),
			  "it is called docker-bake.hcl or docker-bake.json; name another with -f");
}
