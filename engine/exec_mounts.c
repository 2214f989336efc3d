#include "engine/exec_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
#include "engine/tree.h"
#include "engine/tree_copy.h"

#define SECRET_MAX (500u << 10) /* bytes, BuildKit's limit */

struct mounting {
	const struct exec_options *o;
	struct result *const *inputs;
	size_t n_inputs;
	struct job *job;
	struct sandbox_plan *p;
	struct exec_mounts *held;
	size_t *ret_hollow;
};

/* --- inputs --- */

static int get_input(const struct mounting *m, int input, struct result **ret, struct error **err)
{
	struct result *result = NULL;
	int r = 0;

	if (input != OP_INPUT_NONE && (input < 0 || (size_t)input >= m->n_inputs))
		return error_new(err, ERR_INTERNAL, 0, "a mount of input %d of %zu", input,
				 m->n_inputs);
	if (input != OP_INPUT_NONE)
		result = m->inputs[input];
	if (result && !result->tree && m->o->require)
		r = m->o->require(m->o->require_data, m->job, result->layers, result->n_layers,
				  err);
	if (r < 0 && m->ret_hollow)
		*m->ret_hollow = (size_t)input;
	*ret = result;
	return r;
}

/* What is selected of a context, as a directory of its own: the mount must not show what the ignore
 * file hides. *ret_path is where the selection lies in it. */
static int copy_selection(const struct mounting *m, struct tree *tree, const char *selector,
			  char **ret_dir, char **ret_path, struct error **err)
{
	_cleanup_free_ char *wanted = path_rooted(selector), *path = NULL;
	_cleanup_free_ char *dir = xasprintf("%s/tree%zu", m->p->scratch, m->held->dirs.n);
	_cleanup_close_ int fd = -1;
	struct entry e;
	bool exists;
	int r = tree_resolve(tree, wanted, true, &path, &exists, &e, err);

	if (r < 0)
		return r;
	if (!exists)
		return error_new(err, ERR_NOTFOUND, 0, "\"/%s\": not found", wanted);
	if (mkdir(dir, 0755) < 0)
		return error_new(err, ERR_IO, errno, "make '%s'", dir);
	fd = fs_open_dir(AT_FDCWD, dir);
	if (fd < 0)
		return error_new(err, ERR_IO, -fd, "open '%s'", dir);
	r = tree_copy(tree, path, fd, m->job ? job_cancel(m->job) : NULL, err);
	if (r < 0)
		return r;
	vec_push(&m->held->dirs, xstrdup(dir));
	*ret_dir = TAKE_PTR(dir);
	*ret_path = TAKE_PTR(path);
	return 0;
}

static int add_bind(const struct mounting *m, const struct op_mount *mount, struct error **err)
{
	unsigned flags = mount->readonly ? WIRE_MOUNT_READONLY : 0;
	struct sandbox_mount *added;
	struct result *input;
	int r = get_input(m, mount->input, &input, err);

	if (r < 0)
		return r;
	if (input && input->tree) {
		_cleanup_free_ char *dir = NULL, *path = NULL;

		r = copy_selection(m, input->tree, mount->selector, &dir, &path, err);
		if (r < 0)
			return r;
		added = sandbox_plan_mount(m->p, WIRE_OVERLAY, path, mount->dest, flags);
		strv_push(&added->lowers, dir);
		return 0;
	}
	added = sandbox_plan_mount(m->p, WIRE_OVERLAY, mount->selector, mount->dest, flags);
	if (input)
		exec_plan_layers(m->o->store, input->layers, input->n_layers, &added->lowers);
	return 0;
}

/* --- secrets and agents --- */

/* *ret_found = false if the session has no such secret. */
static int read_secret(const struct exec_session *s, const char *id, bool *ret_found,
		       struct buf *ret, struct error **err)
{
	*ret_found = false;
	for (size_t i = 0; s && i < s->secrets.n; i++) {
		const struct exec_secret *secret = &s->secrets.v[i];
		int r;

		if (strcmp(secret->id, id) != 0)
			continue;
		*ret_found = true;
		if (secret->env) {
			const char *value = getenv(secret->env);

			buf_adds(ret, value ? value : "");
			return 0;
		}
		r = fs_read_file(AT_FDCWD, secret->file, ret);
		if (r == -EFBIG)
			return error_new(err, ERR_INVALID, 0, "secret %s: more than %u bytes", id,
					 SECRET_MAX);
		if (r < 0)
			return error_new(err, ERR_IO, -r, "secret %s: read '%s'", id, secret->file);
		return 0;
	}
	return 0;
}

static int add_secret(const struct mounting *m, const struct op_mount *mount, struct error **err)
{
	struct buf value = BUF_INIT_MAX(SECRET_MAX);
	bool found;
	int r = read_secret(m->o->session, mount->id, &found, &value, err);

	if (r == 0 && found)
		sandbox_plan_file(m->p, mount->dest, value.p, value.n, mount->mode, mount->uid,
				  mount->gid, WIRE_MOUNT_NOEXEC | WIRE_MOUNT_NOSUID);
	else if (r == 0 && !mount->optional)
		r = error_new(err, ERR_NOTFOUND, 0, "secret %s: not found", mount->id);
	explicit_bzero(value.p, value.n);
	buf_release(&value);
	return r;
}

static int add_secret_env(const struct mounting *m, const struct op_secret_env *secret,
			  struct error **err)
{
	struct buf value = BUF_INIT_MAX(SECRET_MAX);
	bool found;
	int r = read_secret(m->o->session, secret->id, &found, &value, err);

	if (r == 0 && found && strlen(value.p) != value.n)
		r = error_new(err, ERR_INVALID, 0,
			      "secret %s: it holds a NUL byte, which no variable can", secret->id);
	else if (r == 0 && found)
		env_set(&m->p->env, secret->name, value.p);
	else if (r == 0 && !secret->optional)
		r = error_new(err, ERR_NOTFOUND, 0, "secret %s: not found", secret->id);
	explicit_bzero(value.p, value.n);
	buf_release(&value);
	return r;
}

static int add_ssh(const struct mounting *m, const struct op_mount *mount, struct error **err)
{
	const struct exec_session *s = m->o->session;
	const char *id = mount->id && mount->id[0] ? mount->id : "default";

	for (size_t i = 0; s && i < s->ssh.n; i++) {
		if (strcmp(s->ssh.v[i].id, id) != 0)
			continue;
		sandbox_plan_mount(m->p, WIRE_BIND, s->ssh.v[i].socket, mount->dest,
				   WIRE_MOUNT_NOSUID | WIRE_MOUNT_NOEXEC);
		if (!env_get(&m->p->env, "SSH_AUTH_SOCK"))
			env_set(&m->p->env, "SSH_AUTH_SOCK", mount->dest);
		return 0;
	}
	if (mount->optional)
		return 0;
	(void)error_new(err, ERR_NOTFOUND, 0, "no SSH key \"%s\" forwarded from the client", id);
	return error_hint(err, -ERR_NOTFOUND, "give --ssh %s", id);
}

/* --- all --- */

static int add_mount(const struct mounting *m, const struct op_mount *mount, struct error **err)
{
	struct sandbox_mount *added;

	if (mount->output != OP_OUTPUT_NONE)
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "keeping what a step writes to its mount '%s'", mount->dest);
	switch (mount->type) {
	case MOUNT_BIND:
		return add_bind(m, mount, err);
	case MOUNT_TMPFS:
		added = sandbox_plan_mount(m->p, WIRE_TMPFS, NULL, mount->dest, WIRE_MOUNT_NOSUID);
		added->mode = 01777;
		added->size = mount->tmpfs_size;
		return 0;
	case MOUNT_SECRET:
		return add_secret(m, mount, err);
	case MOUNT_SSH:
		return add_ssh(m, mount, err);
	case MOUNT_CACHE:
		return error_new(err, ERR_UNSUPPORTED, 0, "the cache mount '%s'", mount->dest);
	default:
		return error_new(err, ERR_UNSUPPORTED, 0, "a mount of unknown type %d",
				 (int)mount->type);
	}
}

int exec_mounts_add(const struct exec_options *o, const struct op_exec *op,
		    struct result *const *inputs, size_t n_inputs, struct job *job,
		    struct sandbox_plan *p, struct exec_mounts *ret, size_t *ret_hollow,
		    struct error **err)
{
	struct mounting m = {o, inputs, n_inputs, job, p, ret, ret_hollow};
	int r = 0;

	for (size_t i = 0; i < op->n_mounts && r == 0; i++)
		if (strcmp(op->mounts[i].dest, "/") != 0)
			r = add_mount(&m, &op->mounts[i], err);
	for (size_t i = 0; i < op->n_secret_envs && r == 0; i++)
		r = add_secret_env(&m, &op->secret_envs[i], err);
	return r;
}

void exec_mounts_release(struct exec_mounts *m)
{
	for (size_t i = 0; i < m->dirs.n; i++) {
		(void)fs_remove_tree(AT_FDCWD, m->dirs.v[i]);
		free(m->dirs.v[i]);
	}
	vec_release(&m->dirs);
	vec_release(&m->caches);
}
