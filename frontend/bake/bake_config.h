/* SPDX-License-Identifier: Apache-2.0 */
/* The definition: all files of a bake, merged and evaluated, but for what --set and inheritance do. */
#ifndef KILN_FRONTEND_BAKE_BAKE_CONFIG_H
#define KILN_FRONTEND_BAKE_BAKE_CONFIG_H

#include "base/vec.h"
#include "frontend/bake/bake_target.h"

struct bake_variable_info {
	const char *name, *type, *value, *description; /* type: ""; value: NULL: null */
};

struct bake_config {
	struct arena arena;
	const struct bake_file *files;
	VEC(struct bake_target) targets;
	VEC(struct bake_group) groups;
	VEC(struct bake_variable_info) variables; /* sorted by name */
};

struct bake_input {
	struct strv vars;     /* --var NAME=VALUE */
	struct strv builtins; /* BAKE_CMD_CONTEXT=..., which no file changes */
	bool environment;     /* variables may come from there, too */
	int64_t now;
};

/* Copies the text. Files are merged in the order in which they are added. */
void bake_config_add_file(struct bake_config *c, const char *name, const char *text, size_t n);
/* Evaluates all files. On failure the files stay, for error excerpts. */
int bake_config_read(struct bake_config *c, const struct bake_input *in,
		     struct error **err) _must_check_;
const struct bake_target *bake_config_target(const struct bake_config *c, const char *name);
const struct bake_group *bake_config_group(const struct bake_config *c, const char *name);
void bake_config_release(struct bake_config *c);
/* The lines that an error with a place is about, as df_excerpt shows those of Dockerfiles. */
void bake_config_excerpt(const struct bake_config *c, const struct error *e, struct buf *b);

#endif
