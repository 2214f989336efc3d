/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/attest/attest_llb.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/path.h"
#include "engine/attest/redact.h"
#include "engine/http/http.h"

/* --- which steps --- */

static void visit(const struct vertex *v, struct attest_steps *s, bool *seen)
{
	if (!v || seen[v->id])
		return;
	seen[v->id] = true;
	for (size_t i = 0; i < v->n_inputs; i++)
		visit(v->inputs[i].vertex, s, seen);
	s->v[s->n++] = v;
	s->step_of[v->id] = s->n;
}

void attest_steps_find(const struct graph *g, struct edge target, struct attest_steps *ret)
{
	_cleanup_free_ bool *seen = xcalloc(g->n + 1, sizeof(*seen));

	*ret = (struct attest_steps){.v = xcalloc(g->n + 1, sizeof(*ret->v)),
				     .step_of = xcalloc(g->n + 1, sizeof(*ret->step_of))};
	visit(target.vertex, ret, seen);
}

void attest_steps_release(struct attest_steps *s)
{
	free(s->v);
	free(s->step_of);
	*s = (struct attest_steps){0};
}

char *attest_steps_name(const struct attest_steps *s, struct edge e)
{
	return xasprintf("step%zu:%u", s->step_of[e.vertex->id] - 1, e.output);
}

/* --- ops; as in protobuf, what is not set is left out --- */

static void put_text(json_t *o, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(o, key, json_string(value));
}

static void put_number(json_t *o, const char *key, int64_t value)
{
	if (value != 0)
		json_object_set_new(o, key, json_integer(value));
}

static void put_flag(json_t *o, const char *key, bool value)
{
	if (value)
		json_object_set_new(o, key, json_true());
}

static void put_list(json_t *o, const char *key, const struct op_strings *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(array, json_string(list->v[i]));
	if (list->n > 0)
		json_object_set(o, key, array);
	json_decref(array);
}

char *attest_source_identifier(const struct op_source *source)
{
	static const char layout[] = "oci-layout://";
	const char *id = source->identifier;

	if (strncmp(id, layout, sizeof(layout) - 1) == 0)
		return xasprintf("%s%s", layout, path_base(id));
	if (strncmp(id, "http://", 7) == 0 || strncmp(id, "https://", 8) == 0)
		return http_url_display(id);
	return xstrdup(id);
}

static json_t *source_json(const struct op_source *source)
{
	_cleanup_free_ char *id = attest_source_identifier(source);
	json_t *o = json_object(), *attrs = json_object();

	json_object_set_new(o, "identifier", json_string(id));
	for (size_t i = 0; i < source->attrs.n; i++)
		json_object_set_new(attrs, source->attrs.v[i].key,
				    json_string(source->attrs.v[i].value));
	if (source->attrs.n > 0)
		json_object_set(o, "attrs", attrs);
	json_decref(attrs);
	return o;
}

static json_t *grant_json(const struct op_mount *m)
{
	json_t *o = json_object();

	if (m->type != MOUNT_SSH || !m->id || strcmp(m->id, "default") != 0)
		put_text(o, "ID", m->id);
	put_number(o, "uid", m->uid);
	put_number(o, "gid", m->gid);
	put_number(o, "mode", m->mode);
	put_flag(o, "optional", m->optional);
	return o;
}

static json_t *mount_json(const struct op_mount *m)
{
	json_t *o = json_object();

	put_number(o, "input", m->input);
	put_text(o, "selector", m->selector);
	put_text(o, "dest", m->dest);
	put_number(o, "output", m->output);
	put_flag(o, "readonly", m->readonly);
	put_number(o, "mountType", m->type);
	if (m->type == MOUNT_TMPFS && m->tmpfs_size > 0)
		json_object_set_new(o, "TmpfsOpt",
				    json_pack("{s:I}", "size", (json_int_t)m->tmpfs_size));
	if (m->type == MOUNT_CACHE) {
		json_t *cache = json_object();

		put_text(cache, "ID", m->cache_id);
		put_number(cache, "sharing", m->sharing);
		json_object_set_new(o, "cacheOpt", cache);
	}
	if (m->type == MOUNT_SECRET)
		json_object_set_new(o, "secretOpt", grant_json(m));
	if (m->type == MOUNT_SSH)
		json_object_set_new(o, "SSHOpt", grant_json(m));
	return o;
}

static json_t *meta_json(const struct op_exec *exec)
{
	json_t *o = json_object(), *hosts = json_array(), *limits = json_array();

	put_list(o, "args", &exec->args);
	put_list(o, "env", &exec->env);
	put_text(o, "cwd", exec->cwd);
	put_text(o, "user", exec->user);
	put_text(o, "hostname", exec->hostname);
	put_text(o, "cgroupParent", exec->cgroup_parent);
	for (size_t i = 0; i < exec->extra_hosts.n; i++)
		json_array_append_new(hosts,
				      json_pack("{s:s, s:s}", "Host", exec->extra_hosts.v[i].key,
						"IP", exec->extra_hosts.v[i].value));
	for (size_t i = 0; i < exec->n_ulimits; i++)
		json_array_append_new(limits,
				      json_pack("{s:s, s:I, s:I}", "Name", exec->ulimits[i].name,
						"Soft", (json_int_t)exec->ulimits[i].soft, "Hard",
						(json_int_t)exec->ulimits[i].hard));
	if (exec->extra_hosts.n > 0)
		json_object_set(o, "extraHosts", hosts);
	if (exec->n_ulimits > 0)
		json_object_set(o, "ulimit", limits);
	json_decref(hosts);
	json_decref(limits);
	return o;
}

static json_t *exec_json(const struct op_exec *exec)
{
	json_t *o = json_object(), *mounts = json_array(), *secrets = json_array();

	json_object_set_new(o, "meta", meta_json(exec));
	for (size_t i = 0; i < exec->n_mounts; i++)
		json_array_append_new(mounts, mount_json(&exec->mounts[i]));
	json_object_set_new(o, "mounts", mounts);
	put_number(o, "network", exec->network);
	put_number(o, "security", exec->security);
	for (size_t i = 0; i < exec->n_secret_envs; i++) {
		json_t *secret = json_object();

		put_text(secret, "ID", exec->secret_envs[i].id);
		put_text(secret, "name", exec->secret_envs[i].name);
		put_flag(secret, "optional", exec->secret_envs[i].optional);
		json_array_append_new(secrets, secret);
	}
	if (exec->n_secret_envs > 0)
		json_object_set(o, "secretenv", secrets);
	json_decref(secrets);
	return o;
}

static json_t *user_json(const char *name, uint32_t id)
{
	return name && *name ? json_pack("{s:{s:{s:s}}}", "User", "byName", "name", name)
			     : json_pack("{s:{s:I}}", "User", "byId", (json_int_t)id);
}

static void put_owner(json_t *o, const struct op_owner *owner)
{
	if (!owner->set)
		return;
	json_object_set_new(o, "owner",
			    json_pack("{s:o, s:o}", "user", user_json(owner->user, owner->uid),
				      "group", user_json(owner->group, owner->gid)));
}

static json_t *copy_json(const struct op_file_copy *c)
{
	json_t *o = json_object();

	put_text(o, "src", c->src);
	put_text(o, "dest", c->dest);
	put_owner(o, &c->owner);
	put_number(o, "mode", c->mode);
	put_text(o, "modeStr", c->mode_text);
	put_flag(o, "followSymlink", c->follow_symlink);
	put_flag(o, "dirCopyContents", c->dir_copy_contents);
	put_flag(o, "attemptUnpackDockerCompatibility", c->attempt_unpack);
	put_flag(o, "createDestPath", c->create_dest_path);
	put_flag(o, "allowWildcard", c->allow_wildcard);
	put_flag(o, "allowEmptyWildcard", c->allow_empty_wildcard);
	put_flag(o, "alwaysReplaceExistingDestPaths", c->always_replace_existing_dest_paths);
	put_number(o, "timestamp", c->timestamp);
	put_list(o, "includePatterns", &c->include);
	put_list(o, "excludePatterns", &c->exclude);
	put_list(o, "requiredPaths", &c->required_paths);
	return o;
}

static json_t *mkfile_json(const struct op_file_mkfile *f)
{
	_cleanup_free_ char *shown = attest_redact(f->data, f->size);
	_cleanup_free_ char *data = base64_encode(shown, strlen(shown));
	json_t *o = json_object();

	put_text(o, "path", f->path);
	put_number(o, "mode", f->mode);
	put_text(o, "data", data);
	put_owner(o, &f->owner);
	put_number(o, "timestamp", f->timestamp);
	return o;
}

static json_t *mkdir_json(const struct op_file_mkdir *d)
{
	json_t *o = json_object();

	put_text(o, "path", d->path);
	put_number(o, "mode", d->mode);
	put_flag(o, "makeParents", d->make_parents);
	put_owner(o, &d->owner);
	put_number(o, "timestamp", d->timestamp);
	return o;
}

static json_t *action_json(const struct op_file_action *a)
{
	json_t *what;

	switch (a->kind) {
	case FILE_COPY:
		what = json_pack("{s:o}", "copy", copy_json(&a->copy));
		break;
	case FILE_MKFILE:
		what = json_pack("{s:o}", "mkfile", mkfile_json(&a->mkfile));
		break;
	case FILE_MKDIR:
		what = json_pack("{s:o}", "mkdir", mkdir_json(&a->mkdir));
		break;
	case FILE_RM:
		what = json_pack("{s:{s:s, s:b, s:b}}", "rm", "path", a->rm.path, "allowNotFound",
				 a->rm.allow_not_found, "allowWildcard", a->rm.allow_wildcard);
		break;
	default:
		what = json_pack("{s:{s:s, s:s}}", "symlink", "oldpath", a->symlink.oldpath,
				 "newpath", a->symlink.newpath);
		break;
	}
	return json_pack("{s:i, s:i, s:i, s:o}", "input", a->input, "secondaryInput",
			 a->secondary_input, "output", a->output, "Action", what);
}

static json_t *file_json(const struct op_file *file)
{
	json_t *actions = json_array();

	for (size_t i = 0; i < file->n; i++)
		json_array_append_new(actions, action_json(&file->actions[i]));
	return json_pack("{s:o}", "actions", actions);
}

static json_t *merge_json(size_t n)
{
	json_t *inputs = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(inputs, json_pack("{s:i}", "input", (int)i));
	return json_pack("{s:o}", "inputs", inputs);
}

static json_t *op_json(const struct vertex *v)
{
	const struct op *op = &v->op;
	json_t *what = json_object(), *o;

	if (op->kind == OP_SOURCE)
		json_object_set_new(what, "source", source_json(&op->source));
	else if (op->kind == OP_EXEC)
		json_object_set_new(what, "exec", exec_json(&op->exec));
	else if (op->kind == OP_FILE)
		json_object_set_new(what, "file", file_json(&op->file));
	else if (op->kind == OP_MERGE)
		json_object_set_new(what, "merge", merge_json(v->n_inputs));
	else if (op->kind == OP_DIFF)
		json_object_set_new(what, "diff",
				    json_pack("{s:{s:i}, s:{s:i}}", "lower", "input",
					      op->diff.lower, "upper", "input", op->diff.upper));
	o = json_pack("{s:o}", "Op", what);
	if (op->platform.os && *op->platform.os) {
		json_t *platform = json_object();

		put_text(platform, "Architecture", op->platform.arch);
		put_text(platform, "OS", op->platform.os);
		put_text(platform, "Variant", op->platform.variant);
		json_object_set_new(o, "platform", platform);
	}
	json_object_set_new(o, "constraints", json_object());
	return o;
}

/* --- all of them --- */

static json_t *step_json(const struct attest_steps *s, size_t i)
{
	const struct vertex *v = s->v[i];
	_cleanup_free_ char *id = xasprintf("step%zu", i);
	json_t *o = json_pack("{s:s, s:o}", "id", id, "op", op_json(v)), *inputs = json_array();

	for (size_t k = 0; k < v->n_inputs; k++) {
		_cleanup_free_ char *in =
			v->inputs[k].vertex ? attest_steps_name(s, v->inputs[k]) : xstrdup("");

		json_array_append_new(inputs, json_string(in));
	}
	if (v->n_inputs > 0)
		json_object_set(o, "inputs", inputs);
	json_decref(inputs);
	return o;
}

json_t *attest_steps_json(const struct attest_steps *s, struct edge target)
{
	json_t *list = json_array(), *digests = json_object();

	for (size_t i = 0; i < s->n; i++) {
		_cleanup_free_ char *id = xasprintf("step%zu", i);
		char text[DIGEST_TEXT];

		json_array_append_new(list, step_json(s, i));
		json_object_set_new(digests, digest_format(&s->v[i]->digest, text),
				    json_string(id));
	}
	/* The last one stands for what is asked for. */
	if (target.vertex) {
		_cleanup_free_ char *id = xasprintf("step%zu", s->n);
		_cleanup_free_ char *in = attest_steps_name(s, target);

		json_array_append_new(list, json_pack("{s:s, s:{s:{}}, s:[s]}", "id", id, "op",
						      "Op", "inputs", in));
	}
	return json_pack("{s:o, s:o}", "llbDefinition", list, "digestMapping", digests);
}

json_t *attest_steps_locations(const struct attest_steps *s)
{
	json_t *all = json_object();

	for (size_t i = 0; i < s->n; i++) {
		const struct vertex_meta *m = &s->v[i]->meta;
		_cleanup_free_ char *id = xasprintf("step%zu", i);
		unsigned end = m->span.end_line > m->span.line ? m->span.end_line : m->span.line;

		if (!m->file || m->span.line == 0) {
			json_object_set_new(all, id, json_object());
			continue;
		}
		json_object_set_new(all, id,
				    json_pack("{s:[{s:[{s:{s:i}, s:{s:i}}]}]}", "locations",
					      "ranges", "start", "line", (int)m->span.line, "end",
					      "line", (int)end));
	}
	return all;
}
