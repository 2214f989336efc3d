/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fileops/op_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/passwd.h"
#include "base/path.h"
#include "base/times.h"
#include "engine/fileops/copy_run.h"
#include "engine/layer/layer_edit.h"
#include "engine/tree/tree_rootfs.h"

struct file_run {
	struct store *store;
	const struct op_file *op;
	struct result *const *inputs;
	size_t n_inputs;
	struct job *job;
	struct layer_edit *edit;
	int64_t now; /* seconds */
};

static int64_t action_time(const struct file_run *run, int64_t timestamp)
{
	int64_t s = timestamp / NS_PER_S;

	if (timestamp == OP_TIME_NONE)
		return run->now;
	return timestamp % NS_PER_S < 0 ? s - 1 : s;
}

/* --- Owners --- */

static int lookup_user(struct file_run *run, const char *name, struct file_owner *ret,
		       struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(PASSWD_FILE_MAX);
	struct passwd_user user;
	int r;

	r = layer_edit_read(run->edit, "etc/passwd", PASSWD_FILE_MAX, &text, err);
	if (r < 0)
		return error_wrap(err, r, "look up user '%s'", name);
	if (!passwd_user_by_name(text.p, text.n, name, &user))
		return error_hint(err,
				  error_new(err, ERR_INVALID, 0,
					    "look up user '%s': not in /etc/passwd", name),
				  "create the user in an earlier step, or give its number");
	ret->uid = user.uid;
	ret->gid = user.gid;
	return 0;
}

static int lookup_group(struct file_run *run, const char *name, struct file_owner *ret,
			struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(PASSWD_FILE_MAX);
	struct passwd_group group;
	int r;

	r = layer_edit_read(run->edit, "etc/group", PASSWD_FILE_MAX, &text, err);
	if (r < 0)
		return error_wrap(err, r, "look up group '%s'", name);
	if (!passwd_group_by_name(text.p, text.n, name, &group))
		return error_hint(err,
				  error_new(err, ERR_INVALID, 0,
					    "look up group '%s': not in /etc/group", name),
				  "create the group in an earlier step, or give its number");
	ret->gid = group.gid;
	return 0;
}

static int resolve_owner(struct file_run *run, const struct op_owner *owner, struct file_owner *ret,
			 struct error **err)
{
	int r;

	*ret = (struct file_owner){.set = owner->set, .uid = owner->uid, .gid = owner->uid};
	if (!owner->set) {
		*ret = (struct file_owner){0};
		return 0;
	}
	if (owner->user && *owner->user) {
		r = lookup_user(run, owner->user, ret, err);
		if (r < 0)
			return r;
	}
	if (!owner->group_set)
		return 0;
	if (owner->group && *owner->group)
		return lookup_group(run, owner->group, ret, err);
	ret->gid = owner->gid;
	return 0;
}

/* --- Actions but copy --- */

static int check_parent(struct file_run *run, const char *what, const char *path,
			struct error **err)
{
	_cleanup_free_ char *parent = xstrdup(path);
	char *slash = strrchr(parent, '/');
	struct entry entry;

	if (!slash)
		return 0;
	*slash = '\0';
	if (!layer_edit_get(run->edit, parent, &entry))
		return error_new(err, ERR_NOTFOUND, 0, "%s /%s: no such file or directory", what,
				 path);
	if (entry.type != ENTRY_DIR)
		return error_new(err, ERR_INVALID, 0, "%s /%s: not a directory", what, path);
	return 0;
}

static int run_mkdir(struct file_run *run, const struct op_file_mkdir *a, struct error **err)
{
	_cleanup_free_ char *path = NULL;
	struct layer_owner owner = {.mode = a->mode & 0777,
				    .mtime = action_time(run, a->timestamp)};
	struct file_owner who;
	bool exists;
	int r;

	r = resolve_owner(run, &a->owner, &who, err);
	if (r < 0)
		return r;
	owner.uid = who.uid;
	owner.gid = who.gid;
	r = layer_edit_resolve(run->edit, "", a->path, true, &path, &exists, NULL, err);
	if (r == 0 && !a->make_parents)
		r = check_parent(run, "mkdir", path, err);
	if (r < 0)
		return r;
	return layer_edit_mkdir_all(run->edit, path, &owner, err);
}

static int run_mkfile(struct file_run *run, const struct op_file_mkfile *a, struct error **err)
{
	struct entry file = {.type = ENTRY_FILE,
			     .mode = a->mode & 0777,
			     .mtime = action_time(run, a->timestamp)};
	_cleanup_free_ char *path = NULL;
	struct file_owner who;
	struct entry have;
	bool exists;
	int r;

	r = resolve_owner(run, &a->owner, &who, err);
	if (r == 0)
		r = layer_edit_resolve(run->edit, "", a->path, true, &path, &exists, &have, err);
	if (r == 0)
		r = check_parent(run, "open", path, err);
	if (r < 0)
		return r;
	if (exists && have.type != ENTRY_FILE)
		return error_new(err, ERR_INVALID, 0, "open /%s: %s", path,
				 have.type == ENTRY_DIR ? "is a directory" : "not a regular file");
	file.path = path;
	file.uid = who.uid;
	file.gid = who.gid;
	/* Writing into a file that is there keeps its mode, and its owner unless one is given. */
	if (exists) {
		file.mode = have.mode;
		file.uid = who.set ? who.uid : have.uid;
		file.gid = who.set ? who.gid : have.gid;
		if (layer_plan_get(layer_edit_plan(run->edit), path)) {
			r = layer_edit_remove(run->edit, path, false, err);
			if (r < 0)
				return r;
		}
	}
	r = layer_edit_spool(run->edit, &file, exists, err);
	if (r == 0)
		r = layer_plan_write(layer_edit_plan(run->edit), a->data, a->size, err);
	if (r == 0)
		layer_plan_spool_end(layer_edit_plan(run->edit));
	return r;
}

static int run_symlink(struct file_run *run, const struct op_file_symlink *a, struct error **err)
{
	struct entry link = {.type = ENTRY_SYMLINK,
			     .mode = 0777,
			     .mtime = action_time(run, a->timestamp),
			     .link = a->oldpath};
	_cleanup_free_ char *path = NULL;
	struct file_owner who;
	bool exists;
	int r;

	r = resolve_owner(run, &a->owner, &who, err);
	if (r == 0)
		r = layer_edit_resolve(run->edit, "", a->newpath, true, &path, &exists, NULL, err);
	if (r == 0)
		r = check_parent(run, "symlink", path, err);
	if (r < 0)
		return r;
	if (exists)
		return error_new(err, ERR_EXISTS, 0, "symlink /%s: file exists", path);
	link.path = path;
	link.uid = who.uid;
	link.gid = who.gid;
	return layer_edit_put(run->edit, &link, false, err);
}

static int run_rm(struct file_run *run, const struct op_file_rm *a, struct error **err)
{
	_cleanup_free_ char *path = path_rooted(a->path), *dir = NULL, *target = NULL;
	const char *base = path_base(path);
	struct entry entry;
	bool exists;
	int r;

	if (a->allow_wildcard && strpbrk(a->path, "*?["))
		return error_new(err, ERR_UNSUPPORTED, 0, "rm '%s': wildcards are not supported",
				 a->path);
	if (*path == '\0')
		return error_new(err, ERR_INVALID, 0, "rm: invalid empty path");
	dir = xstrndup(path, (size_t)(base - path));
	r = layer_edit_resolve(run->edit, "", dir, true, &target, &exists, NULL, err);
	if (r < 0)
		return r;
	free(dir);
	dir = *target ? xasprintf("%s/%s", target, base) : xstrdup(base);
	if (!layer_edit_get(run->edit, dir, &entry)) {
		if (a->allow_not_found)
			return 0;
		return error_new(err, ERR_NOTFOUND, 0, "rm /%s: no such file or directory", dir);
	}
	return layer_edit_remove(run->edit, dir, false, err);
}

/* --- The op --- */

static int run_copy(struct file_run *run, const struct op_file_action *action, struct error **err)
{
	const struct op_file_copy *copy = &action->copy;
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct copy_run c = {.edit = run->edit,
			     .copy = copy,
			     .job = run->job,
			     .now = run->now,
			     .time_set = copy->timestamp != OP_TIME_NONE};
	const struct result *from = NULL;
	int r;

	if (action->secondary_input >= 0 && (size_t)action->secondary_input >= run->n_inputs)
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "copy '%s': copying from an action of the same op", copy->src);
	if (action->secondary_input >= 0)
		from = run->inputs[action->secondary_input];
	r = tree_of_result(run->store, from, &tree, err);
	if (r < 0)
		return r;
	r = resolve_owner(run, &copy->owner, &c.owner, err);
	if (r < 0)
		return r;
	c.tree = tree;
	c.time = action_time(run, copy->timestamp);
	return copy_run(&c, err);
}

static int run_action(struct file_run *run, const struct op_file_action *action, struct error **err)
{
	switch (action->kind) {
	case FILE_COPY:
		return run_copy(run, action, err);
	case FILE_MKFILE:
		return run_mkfile(run, &action->mkfile, err);
	case FILE_MKDIR:
		return run_mkdir(run, &action->mkdir, err);
	case FILE_RM:
		return run_rm(run, &action->rm, err);
	case FILE_SYMLINK:
		return run_symlink(run, &action->symlink, err);
	}
	return error_new(err, ERR_UNSUPPORTED, 0, "file action %d is not known", (int)action->kind);
}

/* Every action must work on what the one before it left, and the last one's result is the op's. */
static int check_chain(const struct op_file *op, size_t n_inputs, struct error **err)
{
	for (size_t i = 0; i < op->n; i++) {
		const struct op_file_action *a = &op->actions[i];
		bool last = i + 1 == op->n;
		bool in_ok =
			i == 0 ? a->input < (int)n_inputs : a->input == (int)(n_inputs + i - 1);

		if (!in_ok || (last ? a->output > 0 : a->output >= 0))
			return error_new(err, ERR_UNSUPPORTED, 0,
					 "file op: its actions do not form one chain");
	}
	return 0;
}

int file_op_materialise(struct store *s, struct tree *tree, const struct file_op_form *form,
			struct job *job, struct result **ret, struct error **err)
{
	struct op_file_action everything = {
		.kind = FILE_COPY,
		.input = OP_INPUT_NONE,
		.copy = {.src = "/",
			 .dest = "/",
			 .mode = -1,
			 .dir_copy_contents = true,
			 .create_dest_path = true,
			 .timestamp = OP_TIME_NONE},
	};
	const struct op_file op = {.actions = &everything, .n = 1};
	_cleanup_(result_unrefp) struct result *from = result_new_tree(tree);
	struct file_op_form of_context = form ? *form : (struct file_op_form){0};
	struct result *const inputs[] = {from};

	of_context.any_name = true;
	return file_op_run(s, &op, inputs, 1, &of_context, job, ret, err);
}

int file_op_destination(const struct op_file *op)
{
	return op->n > 0 ? op->actions[0].input : OP_INPUT_NONE;
}

static int make_layer(struct file_run *run, const struct rootfs *base,
		      const struct file_op_form *form, int64_t *ret, struct error **err)
{
	struct layer_plan *plan = layer_edit_plan(run->edit);
	struct cancel *cancel = run->job ? job_cancel(run->job) : NULL;
	int r = form && form->any_name ? 0 : layer_plan_check_names(plan, err);

	if (r < 0)
		return r;
	if (form && form->as_blob && !layer_plan_is_dir_only(plan))
		return layer_plan_make_blob(plan, base, &form->compression, cancel, ret, err);
	return layer_plan_make_dir(plan, base, cancel, ret, err);
}

int file_op_run(struct store *s, const struct op_file *op, struct result *const *inputs,
		size_t n_inputs, const struct file_op_form *form, struct job *job,
		struct result **ret, struct error **err)
{
	_cleanup_(layer_edit_freep) struct layer_edit *edit = NULL;
	_cleanup_(rootfs_freep) struct rootfs *base = NULL;
	struct file_run run = {.store = s,
			       .op = op,
			       .inputs = inputs,
			       .n_inputs = n_inputs,
			       .job = job,
			       .now = times_now_ns() / NS_PER_S};
	_cleanup_(result_unrefp) struct result *made = NULL;
	const struct result *dest = NULL;
	int64_t layer;
	int r;

	r = check_chain(op, n_inputs, err);
	if (r < 0)
		return r;
	if (file_op_destination(op) >= 0)
		dest = inputs[file_op_destination(op)];
	if (dest && dest->tree) {
		r = file_op_materialise(s, dest->tree, form, job, &made, err);
		if (r < 0)
			return r;
		dest = made;
	}
	r = rootfs_open(s, dest ? dest->layers : NULL, dest ? dest->n_layers : 0, &base, err);
	if (r < 0)
		return r;
	run.edit = edit = layer_edit_open(s, base, run.now, form ? &form->need : NULL);
	for (size_t i = 0; i < op->n; i++) {
		r = run_action(&run, &op->actions[i], err);
		if (r < 0)
			return r;
	}
	r = make_layer(&run, base, form, &layer, err);
	if (r < 0)
		return r;
	*ret = result_extend(dest, layer);
	return 0;
}
