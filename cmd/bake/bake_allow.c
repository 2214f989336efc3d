/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/bake/bake_allow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attrs.h"
#include "base/path.h"
#include "cmd/cli/show.h"
#include "frontend/frontend.h"

struct granted {
	struct strv read, write; /* real paths */
	bool network_host, security_insecure, ssh, local_delete;
	struct strv missing; /* what --allow is to be given */
};

/* The real path of what there is, with what of it there is not yet. Heap. */
static char *real_path(const char *path)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	_cleanup_free_ char *whole = path_resolve(cwd ? cwd : "/", *path ? path : ".");
	char *real = realpath(whole, NULL);

	if (!real && strcmp(whole, "/") != 0) {
		_cleanup_free_ char *dir = path_dir(whole), *up = real_path(dir);

		real = path_join(up, path_base(whole));
	}
	return real ? real : xstrdup("/");
}

static void grant_path(struct strv *list, const char *path)
{
	/* "*": everything */
	strv_push_take(list, strcmp(path, "*") == 0 ? xstrdup("/") : real_path(path));
}

static int read_given(struct granted *g, const struct strv *given, struct error **err)
{
	for (size_t i = 0; i < given->n; i++) {
		const char *what = given->v[i], *value = strchr(what, '=');
		size_t n = strcspn(what, "=");

		value = value ? value + 1 : "";
		if (strcmp(what, "network.host") == 0)
			g->network_host = true;
		else if (strcmp(what, "security.insecure") == 0)
			g->security_insecure = true;
		else if (strcmp(what, "ssh") == 0)
			g->ssh = true;
		else if (strcmp(what, "buildx.local.delete") == 0)
			g->local_delete = true;
		else if (n == 2 && strncmp(what, "fs", n) == 0) {
			grant_path(&g->read, value);
			grant_path(&g->write, value);
		} else if (n == 7 && strncmp(what, "fs.read", n) == 0)
			grant_path(&g->read, value);
		else if (n == 8 && strncmp(what, "fs.write", n) == 0)
			grant_path(&g->write, value);
		else if (n == 6 && strncmp(what, "device", n) == 0)
			return error_new(err, ERR_UNSUPPORTED, 0,
					 "--allow %s: devices are not supported", what);
		else if (strncmp(what, "image", 5) != 0)
			return error_new(err, ERR_INVALID, 0,
					 "--allow: \"%s\" is not fs=, fs.read=, fs.write=, image=, "
					 "network.host, "
					 "security.insecure, ssh or buildx.local.delete",
					 what);
	}
	return 0;
}

static void need_path(struct granted *g, const struct strv *granted, const char *kind,
		      const char *path)
{
	_cleanup_free_ char *real = real_path(path);

	for (size_t i = 0; i < granted->n; i++)
		if (path_within(real, granted->v[i]))
			return;
	strv_pushf(&g->missing, "%s=%s", kind, real);
}

static void need(struct granted *g, bool granted, const char *what)
{
	if (!granted && !strv_contains(&g->missing, what))
		strv_push(&g->missing, what);
}

static bool is_local(const char *context)
{
	return !frontend_context_is_remote(context) && strncmp(context, "target:", 7) != 0 &&
	       !strstr(context, "://");
}

static const char *entry_text(const struct bake_value *e, const char *name)
{
	const struct bake_value *v = bake_member(e, name);

	return v && v->kind == BAKE_STRING && *v->s ? v->s : NULL;
}

static void need_entries(struct granted *g, const struct bake_target *t, enum bake_field field,
			 const char *member, bool write)
{
	const struct bake_value *list = t->field[field];

	for (size_t i = 0; list && i < list->n; i++) {
		const char *path = entry_text(list->v[i], member),
			   *mode = entry_text(list->v[i], "mode");

		if (path && strcmp(path, "-") != 0)
			need_path(g, write ? &g->write : &g->read, write ? "fs.write" : "fs.read",
				  path);
		if (field == BAKE_OUTPUT && mode && strcmp(mode, "delete") == 0)
			need(g, g->local_delete, "buildx.local.delete");
	}
}

static void need_agents(struct granted *g, const struct bake_target *t)
{
	const struct bake_value *list = t->field[BAKE_SSH];

	for (size_t i = 0; list && i < list->n; i++) {
		const struct bake_value *paths = bake_member(list->v[i], "paths");

		for (size_t k = 0; paths && k < paths->n; k++)
			need_path(g, &g->read, "fs.read", paths->v[k]->s);
		if (!paths || paths->n == 0)
			need(g, g->ssh, "ssh");
	}
}

static void need_target(struct granted *g, const struct bake_target *t)
{
	const char *context = bake_target_text(t, BAKE_CONTEXT),
		   *dockerfile = bake_target_text(t, BAKE_DOCKERFILE);
	const struct bake_value *contexts = t->field[BAKE_CONTEXTS];
	_cleanup_strv_ struct strv rights = {0};

	if (is_local(context)) {
		_cleanup_free_ char *file =
			path_resolve(context, strncmp(dockerfile, "cwd://", 6) == 0 ? dockerfile + 6
										    : dockerfile);

		need_path(g, &g->read, "fs.read", context);
		if (!t->field[BAKE_DOCKERFILE_INLINE] && !frontend_context_is_remote(dockerfile))
			need_path(g, &g->read, "fs.read", file);
	}
	for (size_t i = 0; contexts && i < contexts->n; i++)
		if (is_local(contexts->v[i]->s))
			need_path(g, &g->read, "fs.read", contexts->v[i]->s);
	need_entries(g, t, BAKE_SECRET, "src", false);
	need_entries(g, t, BAKE_CACHE_FROM, "src", false);
	need_entries(g, t, BAKE_CACHE_TO, "dest", true);
	need_entries(g, t, BAKE_OUTPUT, "dest", true);
	need_agents(g, t);
	bake_target_list(t, BAKE_ENTITLEMENTS, &rights);
	if (strv_contains(&rights, "network.host"))
		need(g, g->network_host, "network.host");
	if (strv_contains(&rights, "security.insecure"))
		need(g, g->security_insecure, "security.insecure");
}

static bool answered_yes(void)
{
	char line[16] = "";

	(void)fputs("\nDo you want to grant these and go on? [y/N] ", stderr);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static int ask(const struct granted *g, struct error **err)
{
	_cleanup_buf_ struct buf list = BUF_INIT;

	for (size_t i = 0; i < g->missing.n; i++)
		buf_addf(&list, "%s--allow %s", i > 0 ? " " : "", g->missing.v[i]);
	if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO)) {
		show(stderr, "The bake file asks for what it is not allowed by itself:\n");
		for (size_t i = 0; i < g->missing.n; i++)
			show(stderr, " - %s\n", g->missing.v[i]);
		if (answered_yes())
			return 0;
	}
	return error_hint(err,
			  error_new(err, ERR_DENIED, 0,
				    "the bake file asks for more than this folder: %s",
				    g->missing.v[0]),
			  "if you trust it, give %s", list.p);
}

static void release(struct granted *g)
{
	strv_release(&g->read);
	strv_release(&g->write);
	strv_release(&g->missing);
}

int bake_allow_check(struct bake_plan *p, const struct strv *given, struct error **err)
{
	const char *off = getenv("BUILDX_BAKE_ENTITLEMENTS_FS");
	struct granted g = {.network_host = p->network_host,
			    .security_insecure = p->security_insecure};
	bool fs = true;
	int r = read_given(&g, given, err);

	if (off && attrs_bool("", off, &fs, NULL) < 0)
		fs = true;
	grant_path(&g.read, fs ? "." : "*");
	grant_path(&g.write, fs ? "." : "*");
	g.ssh = g.ssh || !fs;
	/* What the command line names was meant. */
	for (size_t i = 0; i < p->read.n; i++)
		grant_path(&g.read, p->read.v[i]);
	for (size_t i = 0; i < p->write.n; i++)
		grant_path(&g.write, p->write.v[i]);
	for (size_t i = 0; i < p->targets.n && r == 0; i++)
		need_target(&g, &p->targets.v[i]);
	if (r == 0 && g.missing.n > 0)
		r = ask(&g, err);
	release(&g);
	return r;
}
