/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec/step_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/named_file.h"
#include "base/owner_set.h"
#include "base/path.h"
#include "engine/exec/selections.h"
#include "engine/secrets/ssh_forward.h"
#include "engine/tree/tree.h"
#include "engine/tree/tree_copy.h"
#include "engine/tree/tree_rootfs.h"
#include "store/mounts.h"

#define CACHE_MODE 0755 /* of a new one; where the step names a mode it has an input */

struct mounting {
	const struct exec_options *o;
	struct result *const *inputs;
	size_t n_inputs;
	struct job *job;
	struct sandbox_plan *p;
	struct step_mounts *held;
	size_t *ret_hollow;
};

static struct cancel *job_cancel_of(struct job *job)
{
	return job ? job_cancel(job) : NULL;
}

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
		r = m->o->require(m->o->data, m->job, result->layers, result->n_layers, err);
	if (r < 0 && m->ret_hollow)
		*m->ret_hollow = (size_t)input;
	*ret = result;
	return r;
}

/* What is selected of a context, as a directory of its own. */
static int find_selection(const struct mounting *m, struct tree *tree, const char *selector,
			  const char **ret_dir, struct error **err)
{
	_cleanup_free_ char *wanted = path_rooted(selector), *path = NULL;
	struct entry e;
	bool exists;
	int r = tree_resolve(tree, wanted, true, &path, &exists, &e, err);

	if (r < 0)
		return r;
	if (!exists)
		return error_new(err, ERR_NOTFOUND, 0, "\"/%s\": not found", wanted);
	return selections_get(sandbox_env_selections(m->o->env), m->o->store, tree, path,
			      job_cancel_of(m->job), ret_dir, err);
}

/* Where layers cannot be stacked: a copy of the part that is shown, for this step alone. */
static int add_copy(const struct mounting *m, const struct op_mount *mount, struct result *input,
		    unsigned flags, struct error **err)
{
	_cleanup_free_ char *dir = xasprintf("%s/copy%zu", m->p->scratch, m->p->mounts.n);
	_cleanup_free_ char *wanted = path_rooted(mount->selector), *path = NULL;
	bool may_link = flags & WIRE_MOUNT_READONLY && m->p->caps != SANDBOX_CAPS_ALL;
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	_cleanup_close_ int fd = -1;
	struct sandbox_mount *added;
	const char *name;
	struct entry e;
	bool exists;
	int r = tree_of_result(m->o->store, input, &tree, err);

	if (r == 0)
		r = tree_resolve(tree, wanted, true, &path, &exists, &e, err);
	if (r < 0)
		return r;
	if (!exists)
		return error_new(err, ERR_NOTFOUND, 0, "\"/%s\": not found", wanted);
	if (mkdir(dir, 0755) < 0)
		return error_new(err, ERR_IO, errno, "make '%s'", dir);
	fd = fs_open_dir(AT_FDCWD, dir);
	if (fd < 0)
		return error_new(err, ERR_IO, -fd, "open '%s'", dir);
	name = *path ? SELECTION_NAME : "";
	r = tree_copy(tree, path, fd, name,
		      input->tree ? 0 : TREE_COPY_WHOLE | (may_link ? TREE_COPY_LINK : 0u),
		      job_cancel_of(m->job), err);
	if (r < 0)
		return r;
	added = sandbox_plan_mount(m->p, WIRE_OVERLAY, name, mount->dest, flags);
	strv_push(&added->lowers, dir);
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
	/* A selection that is only read can be shown as it is. */
	if (input && m->p->flags & WIRE_COPIED && !(input->tree && mount->readonly))
		return add_copy(m, mount, input, flags, err);
	if (input && input->tree) {
		const char *dir;

		r = find_selection(m, input->tree, mount->selector, &dir, err);
		if (r < 0)
			return r;
		added = sandbox_plan_mount(m->p, WIRE_OVERLAY, SELECTION_NAME, mount->dest, flags);
		strv_push(&added->lowers, dir);
		return 0;
	}
	added = sandbox_plan_mount(m->p, WIRE_OVERLAY, mount->selector, mount->dest, flags);
	if (input)
		exec_plan_layers(m->o->store, input->layers, input->n_layers, &added->lowers);
	return 0;
}

/* --- secrets and agents --- */

static const struct grants *grants_of(const struct mounting *m)
{
	return m->o->session ? &m->o->session->grants : NULL;
}

/* Nobody but its owner may have reason to run it, and he says so with its mode. */
static unsigned secret_flags(const struct op_mount *mount)
{
	return WIRE_MOUNT_READONLY | WIRE_MOUNT_NOSUID |
	       (mount->mode & 0111 ? 0 : WIRE_MOUNT_NOEXEC);
}

static int no_secret(const char *id, struct error **err)
{
	return error_hint(
		err, error_new(err, ERR_NOTFOUND, 0, "secret %s: not found", id),
		"give it to the build: --secret id=%s,src=FILE or --secret id=%s,env=NAME", id, id);
}

static int add_secret(const struct mounting *m, const struct op_mount *mount, struct error **err)
{
	struct buf value = BUF_INIT_MAX(GRANT_SECRET_MAX);
	bool found;
	int r = grants_read_secret(grants_of(m), mount->id, &found, &value, err);

	if (r == 0 && found)
		sandbox_plan_file(m->p, mount->dest, value.p, value.n, mount->mode, mount->uid,
				  mount->gid, secret_flags(mount));
	else if (r == 0 && !mount->optional)
		r = no_secret(mount->id, err);
	explicit_bzero(value.p, value.n);
	buf_release(&value);
	return r;
}

static int add_secret_env(const struct mounting *m, const struct op_secret_env *secret,
			  struct error **err)
{
	struct buf value = BUF_INIT_MAX(GRANT_SECRET_MAX);
	bool found;
	int r = grants_read_secret(grants_of(m), secret->id, &found, &value, err);

	if (r == 0 && found && strlen(value.p) != value.n)
		r = error_new(err, ERR_INVALID, 0,
			      "secret %s: it holds a NUL byte, which no variable can", secret->id);
	else if (r == 0 && found)
		env_set(&m->p->env, secret->name, value.p);
	else if (r == 0 && !secret->optional)
		r = no_secret(secret->id, err);
	explicit_bzero(value.p, value.n);
	buf_release(&value);
	return r;
}

/* In a directory of its own, which no step sees: only the socket is mounted. */
static int forward_agent(const struct mounting *m, const struct op_mount *mount, const char *socket,
			 struct error **err)
{
	_cleanup_free_ char *dir = xasprintf("%s/ssh%zu", m->p->scratch, m->held->agents.n);
	_cleanup_free_ char *path = xasprintf("%s/agent", dir);
	struct ssh_forward *forward;
	int r;

	if (mkdir(dir, 0700) < 0)
		return error_new(err, ERR_IO, errno, "make '%s'", dir);
	vec_push(&m->held->dirs, xstrdup(dir));
	r = ssh_forward_start(socket, dir, "agent", mount->uid, mount->gid, mount->mode, &forward,
			      err);
	if (r < 0)
		return r;
	vec_push(&m->held->agents, forward);
	sandbox_plan_mount(m->p, WIRE_BIND, path, mount->dest,
			   WIRE_MOUNT_NOSUID | WIRE_MOUNT_NOEXEC);
	if (!env_get(&m->p->env, "SSH_AUTH_SOCK"))
		env_set(&m->p->env, "SSH_AUTH_SOCK", mount->dest);
	return 0;
}

static int add_ssh(const struct mounting *m, const struct op_mount *mount, struct error **err)
{
	const struct grants *g = grants_of(m);
	const char *id = mount->id && mount->id[0] ? mount->id : "default";

	_cleanup_free_ char *socket = NULL;
	int r = grants_find_agent(g, id, &socket, err);

	if (r < 0)
		return r;
	if (socket)
		return forward_agent(m, mount, socket, err);
	if (mount->optional)
		return 0;
	(void)error_new(err, ERR_NOTFOUND, 0, "no SSH key \"%s\" forwarded from the client", id);
	return error_hint(err, -ERR_NOTFOUND, "give --ssh %s", id);
}

/* --- caches --- */

static const char *cache_id(const struct op_mount *mount)
{
	return mount->cache_id && mount->cache_id[0] ? mount->cache_id : mount->dest;
}

/* Fills a new cache with what `from` and `source` name. */
static int seed_cache(const struct mounting *m, const struct op_mount *mount,
		      const struct mount_use *use, struct error **err)
{
	_cleanup_free_ char *wanted = path_rooted(mount->selector), *path = NULL;
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	_cleanup_close_ int fd = -1;
	struct result *input;
	struct entry e;
	bool exists;
	int r = get_input(m, mount->input, &input, err);

	if (r < 0 || !input)
		return r;
	r = tree_of_result(m->o->store, input, &tree, err);
	if (r == 0)
		r = tree_resolve(tree, wanted, true, &path, &exists, &e, err);
	if (r < 0)
		return r;
	if (!exists || e.type != ENTRY_DIR)
		return error_new(err, ERR_NOTFOUND, 0, "\"/%s\": not found as a directory", wanted);
	fd = fs_open_dir(AT_FDCWD, mounts_path(use));
	if (fd < 0)
		return error_new(err, ERR_IO, -fd, "open '%s'", mounts_path(use));
	r = tree_copy(tree, path, fd, "", 0, job_cancel_of(m->job), err);
	if (r < 0)
		return r;
	/* The mount's uid, gid and mode are those of the directory that it is filled from; those of
	 * a root are always the same. */
	if (!*path)
		e = (struct entry){.mode = 0755};
	r = owner_set(fd, "", e.uid, e.gid);
	if (r == 0 && fchmod(fd, e.mode) < 0)
		r = -errno;
	return r < 0 ? error_new(err, ERR_IO, -r, "set the owner of '%s'", mounts_path(use)) : 0;
}

static uint32_t cache_mode(const struct op_mount *mount)
{
	return mount->mode ? mount->mode : CACHE_MODE;
}

static int acquire_cache(const struct mounting *m, const struct op_mount *mount,
			 struct mount_use **ret, struct error **err)
{
	static const enum mount_sharing sharing[] = {
		[SHARING_SHARED] = MOUNT_SHARED,
		[SHARING_PRIVATE] = MOUNT_PRIVATE,
		[SHARING_LOCKED] = MOUNT_LOCKED,
	};
	const struct mount_wish wish = {cache_id(mount), cache_mode(mount), mount->uid, mount->gid,
					m->o->step};
	struct store *store = m->o->store;
	struct mount_use *use = NULL;
	int r = m->o->restore ? m->o->restore(m->o->data, &wish, m->job, err) : 0;

	if (r == 0)
		r = mounts_acquire(store, &wish, sharing[mount->sharing], job_cancel_of(m->job),
				   &use, err);
	if (r < 0)
		return r;
	if (m->o->step && mounts_is_new(use))
		r = mounts_note_step(use, m->o->step, err);
	if (r < 0) {
		mounts_release(use);
		return r;
	}
	if (mount->input != OP_INPUT_NONE && mounts_is_new(use)) {
		r = seed_cache(m, mount, use, err);
		if (r < 0) {
			/* Half a seed would pass for a whole one next time. */
			mounts_release(use);
			(void)!mounts_remove(store, cache_id(mount), NULL);
			return error_wrap(err, r, "fill the cache mount '%s'", mount->dest);
		}
	}
	*ret = use;
	return 0;
}

/* The cache mount of the op with the smallest id above `after`, in strcmp order; n_mounts if there
 * is none. Two steps that take several caches in one order cannot wait for each other. */
static size_t next_cache(const struct op_exec *op, const char *after)
{
	size_t best = op->n_mounts;

	for (size_t i = 0; i < op->n_mounts; i++) {
		const struct op_mount *mount = &op->mounts[i];

		if (mount->type != MOUNT_CACHE || (after && strcmp(cache_id(mount), after) <= 0))
			continue;
		if (best == op->n_mounts ||
		    strcmp(cache_id(mount), cache_id(&op->mounts[best])) < 0)
			best = i;
	}
	return best;
}

/* Takes each id once: a step that names one twice gets the same directory in both places. */
static int acquire_caches(const struct mounting *m, const struct op_exec *op, struct error **err)
{
	const char *after = NULL;

	for (size_t i = 0; i < op->n_mounts; i++)
		vec_push(&m->held->caches, NULL);
	for (;;) {
		size_t i = next_cache(op, after);
		int r;

		if (i == op->n_mounts)
			return 0;
		r = acquire_cache(m, &op->mounts[i], &m->held->caches.v[i], err);
		if (r < 0)
			return r;
		after = cache_id(&op->mounts[i]);
	}
}

static void add_cache(const struct mounting *m, const struct op_exec *op,
		      const struct op_mount *mount)
{
	unsigned flags = mount->readonly ? WIRE_MOUNT_READONLY : 0;

	for (size_t i = 0; i < op->n_mounts; i++) {
		const struct mount_use *use = m->held->caches.v[i];

		if (use && strcmp(cache_id(&op->mounts[i]), cache_id(mount)) == 0)
			sandbox_plan_mount(m->p, WIRE_BIND, mounts_path(use), mount->dest, flags);
	}
}

/* --- all --- */

static int add_mount(const struct mounting *m, const struct op_exec *op,
		     const struct op_mount *mount, struct error **err)
{
	struct sandbox_mount *added;

	if (mount->output != OP_OUTPUT_NONE)
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "keeping what a step writes to its mount '%s'", mount->dest);
	switch (mount->type) {
	case MOUNT_BIND:
		return add_bind(m, mount, err);
	case MOUNT_TMPFS:
		added = sandbox_plan_mount(m->p, WIRE_TMPFS, NULL, mount->dest,
					   WIRE_MOUNT_NOSUID | WIRE_MOUNT_COVERED_MODE);
		added->mode = 01777;
		added->size = mount->tmpfs_size;
		return 0;
	case MOUNT_SECRET:
		return add_secret(m, mount, err);
	case MOUNT_SSH:
		return add_ssh(m, mount, err);
	case MOUNT_CACHE:
		add_cache(m, op, mount);
		return 0;
	default:
		return error_new(err, ERR_UNSUPPORTED, 0, "a mount of unknown type %d",
				 (int)mount->type);
	}
}

int step_mounts_add(const struct exec_options *o, const struct op_exec *op,
		    struct result *const *inputs, size_t n_inputs, struct job *job,
		    struct sandbox_plan *p, struct step_mounts *ret, size_t *ret_hollow,
		    struct error **err)
{
	struct mounting m = {o, inputs, n_inputs, job, p, ret, ret_hollow};
	int r = acquire_caches(&m, op, err);

	for (size_t i = 0; i < op->n_mounts && r == 0; i++)
		if (strcmp(op->mounts[i].dest, "/") != 0)
			r = add_mount(&m, op, &op->mounts[i], err);
	for (size_t i = 0; i < op->n_secret_envs && r == 0; i++)
		r = add_secret_env(&m, &op->secret_envs[i], err);
	return r;
}

void step_mounts_release(struct step_mounts *m)
{
	for (size_t i = 0; i < m->agents.n; i++)
		ssh_forward_stop(m->agents.v[i]);
	vec_release(&m->agents);
	for (size_t i = 0; i < m->dirs.n; i++) {
		(void)!fs_remove_tree(AT_FDCWD, m->dirs.v[i]);
		free(m->dirs.v[i]);
	}
	vec_release(&m->dirs);
	for (size_t i = 0; i < m->caches.n; i++)
		mounts_release(m->caches.v[i]);
	vec_release(&m->caches);
}
