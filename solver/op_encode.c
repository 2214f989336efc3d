/* SPDX-License-Identifier: Apache-2.0 */
#include "solver/op_encode.h"

#include <stdlib.h>
#include <string.h>

#include "base/mp.h"

enum { MOST_TAKE = 700 }; /* bytes of encoding */

/* Every function writes its map's keys in ascending byte order. */

static void put_int(struct buf *b, const char *key, int64_t v)
{
	mp_put_key(b, key);
	mp_put_int(b, v);
}

static void put_uint(struct buf *b, const char *key, uint64_t v)
{
	mp_put_key(b, key);
	mp_put_uint(b, v);
}

static void put_bool(struct buf *b, const char *key, bool v)
{
	mp_put_key(b, key);
	mp_put_bool(b, v);
}

static void put_str(struct buf *b, const char *key, const char *v)
{
	mp_put_key(b, key);
	mp_put_str(b, v);
}

static void put_strings(struct buf *b, const char *key, const struct op_strings *s)
{
	mp_put_key(b, key);
	mp_put_array(b, s->n);
	for (size_t i = 0; i < s->n; i++)
		mp_put_str(b, s->v[i]);
}

/* Pairs are a list of two-element lists, so that a repeated key stays representable. */
static void put_pairs(struct buf *b, const char *key, const struct op_pairs *pairs)
{
	mp_put_key(b, key);
	mp_put_array(b, pairs->n);
	for (size_t i = 0; i < pairs->n; i++) {
		mp_put_array(b, 2);
		mp_put_str(b, pairs->v[i].key);
		mp_put_str(b, pairs->v[i].value);
	}
}

static void put_owner(struct buf *b, const struct op_owner *o)
{
	mp_put_key(b, "owner");
	if (!o->set) {
		mp_put_nil(b);
		return;
	}
	mp_put_map(b, 5);
	put_uint(b, "gid", o->gid);
	put_str(b, "group", o->group);
	put_bool(b, "group_set", o->group_set);
	put_uint(b, "uid", o->uid);
	put_str(b, "user", o->user);
}

/* Where only a subtree is read, the selector moves to the selection of the input. Where a subtree
 * is written the output is the changed whole, so the place counts and the whole is the selection.
 */
bool op_mount_selects(const struct op_mount *m)
{
	return m->selector && m->selector[0] != '\0' &&
	       (m->readonly || m->output == OP_OUTPUT_NONE);
}

static void put_mount(struct buf *b, const struct op_mount *m, enum op_form form)
{
	mp_put_map(b, form == OP_FORM_KEY ? 12 : 14);
	if (form == OP_FORM_FULL)
		put_str(b, "cache_id", m->cache_id);
	put_str(b, "dest", m->dest);
	put_uint(b, "gid", m->gid);
	put_str(b, "id", m->id);
	put_int(b, "input", m->input);
	put_uint(b, "mode", m->mode);
	put_bool(b, "optional", m->optional);
	put_int(b, "output", m->output);
	put_bool(b, "readonly", m->readonly);
	put_str(b, "selector", form == OP_FORM_KEY && op_mount_selects(m) ? "" : m->selector);
	if (form == OP_FORM_FULL)
		put_uint(b, "sharing", m->sharing);
	put_uint(b, "tmpfs_size", m->tmpfs_size);
	put_uint(b, "type", m->type);
	put_uint(b, "uid", m->uid);
}

static void put_mounts(struct buf *b, const struct op_exec *e, enum op_form form)
{
	mp_put_key(b, "mounts");
	mp_put_array(b, e->n_mounts);
	for (size_t i = 0; i < e->n_mounts; i++)
		put_mount(b, &e->mounts[i], form);
}

static void put_devices(struct buf *b, const struct op_exec *e)
{
	mp_put_key(b, "devices");
	mp_put_array(b, e->n_devices);
	for (size_t i = 0; i < e->n_devices; i++) {
		mp_put_map(b, 2);
		put_str(b, "name", e->devices[i].name);
		put_bool(b, "optional", e->devices[i].optional);
	}
}

static void put_secret_envs(struct buf *b, const struct op_exec *e)
{
	mp_put_key(b, "secret_envs");
	mp_put_array(b, e->n_secret_envs);
	for (size_t i = 0; i < e->n_secret_envs; i++) {
		mp_put_map(b, 3);
		put_str(b, "id", e->secret_envs[i].id);
		put_str(b, "name", e->secret_envs[i].name);
		put_bool(b, "optional", e->secret_envs[i].optional);
	}
}

static void put_ulimits(struct buf *b, const struct op_exec *e)
{
	mp_put_key(b, "ulimits");
	mp_put_array(b, e->n_ulimits);
	for (size_t i = 0; i < e->n_ulimits; i++) {
		mp_put_map(b, 3);
		put_int(b, "hard", e->ulimits[i].hard);
		put_str(b, "name", e->ulimits[i].name);
		put_int(b, "soft", e->ulimits[i].soft);
	}
}

static void put_extra_hosts(struct buf *b, const struct op_exec *e, enum op_form form)
{
	if (form == OP_FORM_FULL) {
		put_pairs(b, "extra_hosts", &e->extra_hosts);
		return;
	}
	mp_put_key(b, "extra_hosts");
	mp_put_array(b, e->extra_hosts.n);
	for (size_t i = 0; i < e->extra_hosts.n; i++)
		mp_put_str(b, e->extra_hosts.v[i].key);
}

static void put_exec(struct buf *b, const struct op_exec *e, enum op_form form)
{
	mp_put_map(b, form == OP_FORM_KEY ? 14 : 15);
	put_strings(b, "args", &e->args);
	put_str(b, "cgroup_parent", e->cgroup_parent);
	put_str(b, "cwd", e->cwd);
	put_devices(b, e);
	put_strings(b, "env", &e->env);
	put_extra_hosts(b, e, form);
	put_str(b, "hostname", e->hostname);
	put_mounts(b, e, form);
	put_uint(b, "network", e->network);
	if (form == OP_FORM_FULL) {
		mp_put_key(b, "proxy");
		mp_put_map(b, 5);
		put_str(b, "all", e->proxy.all);
		put_str(b, "ftp", e->proxy.ftp);
		put_str(b, "http", e->proxy.http);
		put_str(b, "https", e->proxy.https);
		put_str(b, "no", e->proxy.no);
	}
	put_secret_envs(b, e);
	put_uint(b, "security", e->security);
	put_uint(b, "shm_size", e->shm_size);
	put_ulimits(b, e);
	put_str(b, "user", e->user);
}

/* What a copy from an input is called in its destination: the last part of the source, and a
 * trailing slash, which changes the meaning of a copied directory. Where the last part names
 * nothing ("." and "..") the whole source is kept. */
static void put_reduced_src(struct buf *b, const char *src)
{
	size_t end, start;

	mp_put_key(b, "src");
	src = src ? src : "";
	end = strlen(src);
	while (end > 0 && src[end - 1] == '/')
		end--;
	start = end;
	while (start > 0 && src[start - 1] != '/')
		start--;
	if ((end - start == 1 && src[start] == '.') ||
	    (end - start == 2 && memcmp(src + start, "..", 2) == 0))
		start = 0;
	mp_put_strn(b, src + start, end - start + (src[end] == '/'));
}

static void put_copy(struct buf *b, const struct op_file_copy *c, bool reduce)
{
	mp_put_key(b, "copy");
	mp_put_map(b, 16);
	put_bool(b, "allow_empty_wildcard", c->allow_empty_wildcard);
	put_bool(b, "allow_wildcard", c->allow_wildcard);
	put_bool(b, "always_replace_existing_dest_paths", c->always_replace_existing_dest_paths);
	put_bool(b, "attempt_unpack", c->attempt_unpack);
	put_bool(b, "create_dest_path", c->create_dest_path);
	put_str(b, "dest", c->dest);
	put_bool(b, "dir_copy_contents", c->dir_copy_contents);
	put_strings(b, "exclude", &c->exclude);
	put_bool(b, "follow_symlink", c->follow_symlink);
	put_strings(b, "include", &c->include);
	put_int(b, "mode", c->mode);
	put_str(b, "mode_text", c->mode_text);
	put_owner(b, &c->owner);
	put_strings(b, "required_paths", &c->required_paths);
	if (reduce)
		put_reduced_src(b, c->src);
	else
		put_str(b, "src", c->src);
	put_int(b, "timestamp", c->timestamp);
}

static void put_mkfile(struct buf *b, const struct op_file_mkfile *f)
{
	mp_put_key(b, "mkfile");
	mp_put_map(b, 5);
	mp_put_key(b, "data");
	mp_put_bin(b, f->data, f->size);
	put_uint(b, "mode", f->mode);
	put_owner(b, &f->owner);
	put_str(b, "path", f->path);
	put_int(b, "timestamp", f->timestamp);
}

static void put_mkdir(struct buf *b, const struct op_file_mkdir *d)
{
	mp_put_key(b, "mkdir");
	mp_put_map(b, 5);
	put_bool(b, "make_parents", d->make_parents);
	put_uint(b, "mode", d->mode);
	put_owner(b, &d->owner);
	put_str(b, "path", d->path);
	put_int(b, "timestamp", d->timestamp);
}

static void put_rm(struct buf *b, const struct op_file_rm *rm)
{
	mp_put_key(b, "rm");
	mp_put_map(b, 3);
	put_bool(b, "allow_not_found", rm->allow_not_found);
	put_bool(b, "allow_wildcard", rm->allow_wildcard);
	put_str(b, "path", rm->path);
}

static void put_symlink(struct buf *b, const struct op_file_symlink *s)
{
	mp_put_key(b, "symlink");
	mp_put_map(b, 4);
	put_str(b, "newpath", s->newpath);
	put_str(b, "oldpath", s->oldpath);
	put_owner(b, &s->owner);
	put_int(b, "timestamp", s->timestamp);
}

/* A list of two: where the action stands, and a map of one whose key names the kind. */
static void put_action(struct buf *b, const struct op_file_action *a, size_t n_inputs,
		       enum op_form form)
{
	bool from_input = a->secondary_input >= 0 && (size_t)a->secondary_input < n_inputs;

	mp_put_array(b, 2);
	mp_put_map(b, 3);
	put_int(b, "input", a->input);
	put_int(b, "output", a->output);
	put_int(b, "secondary_input", a->secondary_input);
	mp_put_map(b, 1);
	switch (a->kind) {
	case FILE_COPY:
		put_copy(b, &a->copy, form == OP_FORM_KEY && from_input);
		return;
	case FILE_MKFILE:
		put_mkfile(b, &a->mkfile);
		return;
	case FILE_MKDIR:
		put_mkdir(b, &a->mkdir);
		return;
	case FILE_RM:
		put_rm(b, &a->rm);
		return;
	case FILE_SYMLINK:
		put_symlink(b, &a->symlink);
		return;
	}
	abort();
}

static void put_op(struct buf *b, const struct op *op, size_t n_inputs, enum op_form form)
{
	switch (op->kind) {
	case OP_SOURCE:
		mp_put_map(b, 2);
		put_pairs(b, "attrs", &op->source.attrs);
		put_str(b, "identifier", op->source.identifier);
		return;
	case OP_EXEC:
		put_exec(b, &op->exec, form);
		return;
	case OP_FILE:
		mp_put_map(b, 1);
		mp_put_key(b, "actions");
		mp_put_array(b, op->file.n);
		for (size_t i = 0; i < op->file.n; i++)
			put_action(b, &op->file.actions[i], n_inputs, form);
		return;
	case OP_MERGE:
	case OP_BUILD:
		mp_put_map(b, 0);
		return;
	case OP_DIFF:
		mp_put_map(b, 2);
		put_int(b, "lower", op->diff.lower);
		put_int(b, "upper", op->diff.upper);
		return;
	}
	abort();
}

void op_encode(const struct op *op, size_t n_inputs, enum op_form form, struct buf *b)
{
	/* The same files copied for another platform are the same files. */
	bool platform = form == OP_FORM_FULL || op->kind == OP_EXEC || op->kind == OP_BUILD;

	(void)buf_reserve(b, MOST_TAKE);
	mp_put_map(b, platform ? 4 : 3);
	put_uint(b, "kind", op->kind);
	mp_put_key(b, "op");
	put_op(b, op, n_inputs, form);
	if (platform) {
		mp_put_key(b, "platform");
		mp_put_map(b, 4);
		put_str(b, "arch", op->platform.arch);
		put_str(b, "os", op->platform.os);
		put_str(b, "os_version", op->platform.os_version);
		put_str(b, "variant", op->platform.variant);
	}
	put_uint(b, "version", OP_VERSION);
}
