/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/bake/bake_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/named_file.h"
#include "cmd/cli/session.h"
#include "frontend/compose/compose.h"

static const char *const usual_names[] = {
	"compose.yaml",
	"compose.yml",
	"docker-compose.yml",
	"docker-compose.yaml",
	"docker-bake.json",
	"docker-bake.hcl",
	"docker-bake.override.json",
	"docker-bake.override.hcl",
};

static bool is_compose(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (strcasecmp(dot, ".yaml") == 0 || strcasecmp(dot, ".yml") == 0);
}

static int read_compose(struct bake_config *c, const struct compose_options *o, struct error **err)
{
	struct compose_project p = {.arena = &c->arena};
	int r;

	if (o->files.n == 0)
		return 0;
	r = compose_load(o, &p, err);
	if (r == 0)
		r = compose_targets(&p, NULL, c, err);
	compose_release(&p);
	return r;
}

static int read_file(struct bake_config *c, const char *name, struct strv *compose,
		     struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT_MAX(BAKE_FILE_MAX);
	const char *path = strncmp(name, "cwd://", 6) == 0 ? name + 6 : name;
	int r;

	if (is_compose(path)) {
		strv_push(compose, path);
		return 0;
	}
	r = strcmp(path, "-") == 0 ? named_file_read_fd(STDIN_FILENO, session_cancel(), &b)
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

static void usual_files(struct strv *names)
{
	for (size_t i = 0; i < ARRAY_SIZE(usual_names); i++)
		if (access(usual_names[i], F_OK) == 0)
			strv_push(names, usual_names[i]);
}

int bake_files_read(struct bake_config *c, const struct strv *named, const struct strv *vars,
		    struct error **err)
{
	struct compose_options compose = {.for_bake = true};
	_cleanup_strv_ struct strv names = {0};
	int r = 0;

	strv_copy(&names, named);
	strv_copy(&compose.variables, vars);
	if (names.n == 0)
		names_of_environment(&names);
	if (names.n == 0)
		usual_files(&names);
	for (size_t i = 0; i < names.n && r == 0; i++)
		r = read_file(c, names.v[i], &compose.files, err);
	if (r == 0 && names.n == 0)
		r = error_hint(
			err,
			error_new(err, ERR_NOTFOUND, 0, "there is no bake file in this folder"),
			"it is called docker-bake.hcl or docker-bake.json; name another with -f");
	if (r == 0)
		r = read_compose(c, &compose, err);
	strv_release(&compose.files);
	strv_release(&compose.variables);
	return r;
}
