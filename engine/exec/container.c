/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
#include "engine/exec/console.h"
#include "engine/exec/snapshot.h"
#include "engine/exec/users.h"
#include "engine/sandbox/emulation.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static char *random_name(void)
{
	uint8_t bytes[6] = {0};
	struct buf name = BUF_INIT;

	(void)!getrandom(bytes, sizeof(bytes), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		buf_addf(&name, "%02x", bytes[i]);
	return buf_take(&name);
}

/* --- the command --- */

static int set_args(const struct container_options *o, struct sandbox_plan *p, struct error **err)
{
	const struct image_config *c = o->config;
	const struct strv *cmd = &o->args;

	if (o->entrypoint) {
		if (*o->entrypoint)
			strv_push(&p->args, o->entrypoint);
	} else {
		for (size_t i = 0; i < c->entrypoint.n; i++)
			strv_push(&p->args, c->entrypoint.v[i]);
		/* The image's CMD belongs to the image's ENTRYPOINT. */
		if (cmd->n == 0)
			cmd = &c->cmd;
	}
	for (size_t i = 0; i < cmd->n; i++)
		strv_push(&p->args, cmd->v[i]);
	if (p->args.n > 0)
		return 0;
	(void)error_new(err, ERR_INVALID, 0, "no command to run: the image has none");
	return error_hint(err, -ERR_INVALID, "give one after the image's name");
}

static void set_pair(struct strv *env, const char *pair)
{
	const char *equals = strchr(pair, '=');
	_cleanup_free_ char *key = xstrndup(pair, equals ? (size_t)(equals - pair) : strlen(pair));
	const char *value = equals ? equals + 1 : getenv(key);

	if (value)
		env_set(env, key, value);
}

static void set_env(const struct container_options *o, const char *home, struct sandbox_plan *p)
{
	env_set(&p->env, "PATH", PATH_DEFAULT);
	env_set(&p->env, "HOSTNAME", p->hostname);
	if (o->tty)
		env_set(&p->env, "TERM", "xterm");
	for (size_t i = 0; i < o->config->env.n; i++)
		set_pair(&p->env, o->config->env.v[i]);
	for (size_t i = 0; i < o->environment.n; i++)
		set_pair(&p->env, o->environment.v[i]);
	exec_plan_home(p, home);
}

static int set_user(const struct container_options *o, struct sandbox_plan *p, struct error **err)
{
	const char *spec = o->user ? o->user : o->config->user;
	_cleanup_(user_ids_release) struct user_ids user = {0};
	int r = users_find_in_layers(o->store, o->layers, o->n_layers, spec ? spec : "", &user,
				     err);

	if (r < 0)
		return r;
	p->uid = user.uid;
	p->gid = user.gid;
	for (size_t i = 0; i < user.groups.n; i++)
		vec_push(&p->groups, user.groups.v[i]);
	set_env(o, user.home, p);
	return 0;
}

/* --- volumes --- */

static int add_volume(const char *text, struct sandbox_plan *p, struct error **err)
{
	const char *colon = strchr(text, ':'), *options;
	_cleanup_free_ char *host = NULL, *path = NULL, *dest = NULL;
	unsigned flags = WIRE_MOUNT_RECURSIVE;
	int r;

	if (!colon || colon == text)
		return error_new(err, ERR_INVALID, 0,
				 "volume '%s': expected HOST-PATH:CONTAINER-PATH[:ro]", text);
	host = xstrndup(text, (size_t)(colon - text));
	if (host[0] != '/' && host[0] != '.')
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "volume '%s': named volumes are not supported; give a path, as in "
				 "./%s",
				 text, host);
	options = strchr(colon + 1, ':');
	dest = xstrndup(colon + 1, options ? (size_t)(options - colon - 1) : strlen(colon + 1));
	if (options && strcmp(options, ":ro") == 0)
		flags |= WIRE_MOUNT_READONLY;
	else if (options && strcmp(options, ":rw") != 0)
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "volume '%s': unknown option '%s', expected ro or rw", text,
				 options + 1);
	if (dest[0] != '/')
		return error_new(err, ERR_INVALID, 0,
				 "volume '%s': the path in the container is not absolute", text);
	r = access(host, F_OK) == 0 ? 0 : fs_mkdir_p(AT_FDCWD, host, 0755);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "volume '%s': make '%s'", text, host);
	path = realpath(host, NULL);
	if (!path)
		return error_new(err, ERR_IO, errno, "volume '%s'", text);
	sandbox_plan_mount(p, WIRE_BIND, path, dest, flags);
	return 0;
}

/* What the image calls a volume is a directory in any case. It goes with the container. */
static void add_image_volumes(const struct container_options *o, struct sandbox_plan *p)
{
	for (size_t i = 0; i < o->config->volumes.n; i++) {
		_cleanup_free_ char *path = path_resolve("/", o->config->volumes.v[i]);
		bool covered = false;

		for (size_t k = 0; k < p->mounts.n && !covered; k++)
			covered = strcmp(p->mounts.v[k].dest, path) == 0;
		if (!covered)
			strv_push(&p->dirs, path);
	}
}

/* --- the plan --- */

static int plan_root(const struct container_options *o, struct sandbox_plan *p, struct error **err)
{
	_cleanup_free_ char *clock = xasprintf("%s/clock", p->scratch);
	struct layer_snapshot copy;
	int r;

	if (exec_overlays(o->env, o->store, NULL)) {
		exec_plan_layers(o->store, o->layers, o->n_layers, &p->lowers);
		return 0;
	}
	p->flags |= WIRE_COPIED;
	r = snapshot_make(&(struct layer_chain){o->store, o->layers, o->n_layers, 0}, p->upper,
			  clock, NULL, &copy, err);
	layer_snapshot_release(&copy);
	return r;
}

static int make_plan(const struct container_options *o, const char *dir, struct sandbox_plan *p,
		     struct error **err)
{
	const char *workdir = o->workdir ? o->workdir : o->config->working_dir;
	int r;

	p->upper = xasprintf("%s/upper", dir);
	p->scratch = xasprintf("%s/scratch", dir);
	if (mkdir(p->upper, 0755) < 0 || mkdir(p->scratch, 0700) < 0)
		return error_new(err, ERR_IO, errno, "make directories in '%s'", dir);
	for (size_t i = 0; i < o->environment.n; i++)
		if (!*o->environment.v[i] || *o->environment.v[i] == '=')
			return error_new(err, ERR_INVALID, 0, "invalid environment variable: '%s'",
					 o->environment.v[i]);
	r = plan_root(o, p, err);
	if (r < 0)
		return r;
	if (workdir && *workdir && *workdir != '/' && o->workdir)
		return error_new(err, ERR_INVALID, 0,
				 "the working directory '%s' is not an absolute path", workdir);
	p->cwd = path_resolve("/", workdir && *workdir ? workdir : "/");
	p->hostname = o->hostname ? xstrdup(o->hostname) : random_name();
	p->binfmt = emulation_binfmt(&o->config->platform);
	if (o->tty)
		p->flags |= WIRE_TTY;
	if (o->init)
		p->flags |= WIRE_INIT;
	r = set_args(o, p, err);
	if (r == 0)
		r = set_user(o, p, err);
	if (r == 0)
		exec_plan_defaults(p, SECURITY_SANDBOX, 0);
	for (size_t i = 0; i < o->volumes.n && r == 0; i++)
		r = add_volume(o->volumes.v[i], p, err);
	if (r == 0)
		add_image_volumes(o, p);
	return r;
}

int container_run(const struct container_options *o, int *ret_status, struct error **err)
{
	_cleanup_free_ char *name = NULL, *dir = NULL;
	_cleanup_close_ int fd = -1;
	static const struct cgroup_limits no_limits;
	struct exec_network network = {0};
	struct cgroup *group = NULL;
	struct sandbox_plan p;
	int r;

	if (o->tty && o->interactive && !isatty(STDIN_FILENO))
		return error_new(err, ERR_INVALID, 0, "the input device is not a TTY");
	r = store_tmp_dir(o->store, &name, &fd, err);
	if (r < 0)
		return r;
	dir = xasprintf("%s/tmp/%s", store_root(o->store), name);
	sandbox_plan_init(&p);
	r = make_plan(o, dir, &p, err);
	if (r == 0)
		r = exec_network_join(o->env, o->network, &o->publish, p.hostname, &o->hosts, false,
				      NULL, &p, &network, err);
	if (r == 0)
		r = exec_plan_group(&p, &no_limits, NULL, &group, err);
	if (r == 0)
		r = console_run(&p, o->interactive, STDOUT_FILENO, ret_status, err);
	cgroup_remove(group);
	exec_network_leave(o->env, &network);
	sandbox_plan_release(&p);
	store_tmp_remove(o->store, name);
	return r;
}
