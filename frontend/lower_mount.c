/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts of RUN to mounts of an exec op. */
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "frontend/dockerfile/df_parse.h"
#include "frontend/dockerfile/df_text.h"
#include "frontend/lower.h"

/* One --mount while it is lowered. */
struct mounting {
	struct compiler *c;
	struct stage *s;
	const struct df_instruction *in;
	struct exec_mounts *out;
	struct stage *from; /* NULL: the main context, or nothing */
};

void exec_mounts_release(struct exec_mounts *m)
{
	vec_release(&m->mounts);
	vec_release(&m->secret_envs);
	vec_release(&m->inputs.list);
}

static void note_use(struct stage *s, struct arena *a, enum df_mount_type type, const char *id,
		     bool required, struct source_span span)
{
	struct outline_use use = {.id = arena_strdup(a, id), .required = required, .span = span};

	if (type == DF_MOUNT_SECRET)
		vec_push(&s->secrets, use);
	else
		vec_push(&s->ssh, use);
}

static const char *absolute(const struct mounting *m, const char *path)
{
	_cleanup_free_ char *full = path_resolve(*m->s->dir ? m->s->dir : "/", path);

	return arena_strdup(m->c->arena, full);
}

static int mount_secret(struct mounting *m, const struct df_mount *mount, struct error **err)
{
	const char *id = *mount->source ? mount->source : mount->id;

	if (!*id && !*mount->target)
		return error_new(err, ERR_INVALID, 0, "one of source, target required");
	if (!*id)
		id = arena_strdup(m->c->arena, path_base(mount->target));
	note_use(m->s, &m->c->result->arena, DF_MOUNT_SECRET, id, mount->required, m->in->span);
	if (mount->env)
		vec_push(&m->out->secret_envs,
			 (struct op_secret_env){.id = id,
						.name = *mount->env ? mount->env : id,
						.optional = !mount->required});
	if (mount->env && !*mount->target)
		return 0;
	vec_push(&m->out->mounts,
		 (struct op_mount){
			 .input = OP_INPUT_NONE,
			 .selector = "",
			 .dest = *mount->target ? absolute(m, mount->target)
						: arena_printf(m->c->arena, "/run/secrets/%s",
							       path_base(id)),
			 .output = OP_OUTPUT_NONE,
			 .type = MOUNT_SECRET,
			 .cache_id = "",
			 .id = id,
			 .uid = mount->has_uid ? mount->uid : 0,
			 .gid = mount->has_gid ? mount->gid : 0,
			 .mode = mount->has_mode ? mount->mode : 0400,
			 .optional = !mount->required,
		 });
	return 0;
}

static int mount_ssh(struct mounting *m, const struct df_mount *mount, struct error **err)
{
	const char *id = *mount->id ? mount->id : "default", *dest;

	if (*mount->source)
		return error_new(err, ERR_INVALID, 0, "ssh does not support source");
	note_use(m->s, &m->c->result->arena, DF_MOUNT_SSH, id, mount->required, m->in->span);
	if (*mount->target)
		dest = absolute(m, mount->target);
	else
		dest = arena_printf(m->c->arena, "/run/buildkit/ssh_agent.%u", m->out->n_ssh);
	if (m->out->n_ssh++ == 0)
		m->out->ssh_socket = dest;
	vec_push(&m->out->mounts, (struct op_mount){
					  .input = OP_INPUT_NONE,
					  .selector = "",
					  .dest = dest,
					  .output = OP_OUTPUT_NONE,
					  .type = MOUNT_SSH,
					  .cache_id = "",
					  .id = id,
					  .uid = mount->has_uid ? mount->uid : 0,
					  .gid = mount->has_gid ? mount->gid : 0,
					  .mode = mount->has_mode ? mount->mode : 0600,
					  .optional = !mount->required,
				  });
	return 0;
}

/* A cache mount with an owner or mode starts as a directory that has them. */
static struct draft *owned_directory(struct mounting *m, const struct df_mount *mount,
				     struct draft *below)
{
	struct compiler *c = m->c;
	struct op_file_action *action = ARENA_NEW(c->arena, struct op_file_action);
	struct op op = {.kind = OP_FILE,
			.platform = lower_platform(c, &m->s->platform),
			.file = {.actions = action, .n = 1}};
	struct vertex_meta meta = {.name = "[internal] setting cache mount permissions"};
	struct draft_inputs inputs = {0};

	*action = (struct op_file_action){
		.kind = FILE_MKDIR,
		.input = draft_input(&inputs, below),
		.secondary_input = OP_INPUT_NONE,
		.output = 0,
		.mkdir = {.path = "/cache",
			  .mode = mount->has_mode ? mount->mode : 0755,
			  .owner = {.set = true,
				    .user = "",
				    .group = "",
				    .uid = mount->has_uid ? mount->uid : 0,
				    .gid = mount->has_gid ? mount->gid : 0,
				    .group_set = true},
			  .timestamp = OP_TIME_NONE},
	};
	return draft_new(&c->drafts, &op, &inputs, &meta);
}

static enum op_sharing sharing_of(enum df_sharing sharing)
{
	if (sharing == DF_SHARING_PRIVATE)
		return SHARING_PRIVATE;
	return sharing == DF_SHARING_LOCKED ? SHARING_LOCKED : SHARING_SHARED;
}

static void set_cache(struct mounting *m, const struct df_mount *mount, struct op_mount *out)
{
	_cleanup_free_ char *clean = path_clean(mount->target);
	const char *id = *mount->id ? mount->id : arena_strdup(m->c->arena, clean);
	const char *space = m->c->cache_namespace;

	out->type = MOUNT_CACHE;
	out->cache_id = *space ? arena_printf(m->c->arena, "%s/%s", space, id) : id;
	out->sharing = sharing_of(mount->sharing);
}

/* The tree that a bind or cache mount shows; records what is used of it. */
static int mount_source(struct mounting *m, const struct df_mount *mount, struct draft **ret,
			struct error **err)
{
	struct path_use *use = NULL;
	int r;

	*ret = NULL;
	if (mount->type == DF_MOUNT_TMPFS || (mount->type == DF_MOUNT_CACHE && !m->from))
		return 0;
	if (m->from && !m->from->dispatched)
		return error_new(err, ERR_INVALID, 0,
				 "cannot mount from stage \"%s\" to \"%s\", stage needs to be "
				 "defined before current command",
				 mount->from, mount->target);
	if (m->from) {
		*ret = m->from->state;
		use = m->from->use;
	} else {
		r = context_source(m->c, NULL, ret, &use, err);
		if (r < 0)
			return r;
	}
	if (use)
		path_use_add(use, m->c->arena, mount->source);
	return 0;
}

static int mount_tree(struct mounting *m, const struct df_mount *mount, struct error **err)
{
	struct op_mount out = {
		.selector = "",
		.output = OP_OUTPUT_NONE,
		.readonly = mount->readonly,
		.type = mount->type == DF_MOUNT_TMPFS ? MOUNT_TMPFS : MOUNT_BIND,
		.cache_id = "",
		.id = "",
	};
	_cleanup_free_ char *source = path_rooted(mount->source);
	struct draft *tree;
	int r = mount_source(m, mount, &tree, err);

	if (r < 0)
		return r;
	out.dest = absolute(m, mount->target);
	if (strcmp(out.dest, "/") == 0) {
		r = error_new(err, ERR_INVALID, 0, "invalid mount target \"%s\"", out.dest);
		return error_hint(err, r, "say where the step sees it: target=/path");
	}
	lower_note_outside(m->c, mount->source, m->from != NULL, &m->out->if_missing);
	if (mount->type == DF_MOUNT_CACHE)
		set_cache(m, mount, &out);
	if (mount->type == DF_MOUNT_TMPFS)
		out.tmpfs_size = mount->size;
	if (*source) {
		out.selector = arena_printf(m->c->arena, "/%s", source);
	} else if (mount->has_uid || mount->has_gid || mount->has_mode) {
		tree = owned_directory(m, mount, tree);
		out.selector = "/cache";
	}
	out.input = draft_input(&m->out->inputs, tree);
	vec_push(&m->out->mounts, out);
	return 0;
}

static int compare_dest(const void *a, const void *b)
{
	return strcmp(((const struct op_mount *)a)->dest, ((const struct op_mount *)b)->dest);
}

/* Secrets and ssh come last, in the order given; the others are sorted by where they go, so that a
 * mount inside another one lands on top of it. */
static void order(struct exec_mounts *m)
{
	VEC(struct op_mount) later = {0};
	size_t n = 0;

	for (size_t i = 0; i < m->mounts.n; i++) {
		enum op_mount_type type = m->mounts.v[i].type;

		if (type == MOUNT_SECRET || type == MOUNT_SSH)
			vec_push(&later, m->mounts.v[i]);
		else
			m->mounts.v[n++] = m->mounts.v[i];
	}
	if (n > 1)
		qsort(m->mounts.v, n, sizeof(*m->mounts.v), compare_dest);
	for (size_t i = 0; i < later.n; i++)
		m->mounts.v[n + i] = later.v[i];
	vec_release(&later);
}

int lower_mounts(struct compiler *c, struct stage *s, const struct command *cmd,
		 struct exec_mounts *out, struct error **err)
{
	const struct df_strings *values = &cmd->instruction->run.mounts;
	struct df_shell shell = lower_shell(c, s);

	for (size_t i = 0; i < values->n; i++) {
		struct mounting m = {c, s, cmd->instruction, out, cmd->sources[i]};
		struct df_vars vars = DF_VARS_INIT;
		struct df_mount mount;
		int r = df_mount_parse(c->arena, values->v[i], &shell, &vars, &mount, err);

		if (r < 0)
			return r;
		lower_report_undefined(c, s, cmd->instruction, &vars);
		if (mount.type == DF_MOUNT_SECRET)
			r = mount_secret(&m, &mount, err);
		else if (mount.type == DF_MOUNT_SSH)
			r = mount_ssh(&m, &mount, err);
		else
			r = mount_tree(&m, &mount, err);
		if (r < 0)
			return r;
	}
	order(out);
	return 0;
}
