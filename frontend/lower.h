/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler's state, shared by the files that lower: stages.c (who is who), resolve.c (base
 * images), lower.c (walks the stages), lower_copy.c, lower_run.c, lower_mount.c, lower_remote.c and
 * lower_config.c (one instruction each). Everything lives for one frontend_compile.
 */
#ifndef KILN_FRONTEND_LOWER_H
#define KILN_FRONTEND_LOWER_H

#include "base/map.h"
#include "base/pattern.h"
#include "base/vec.h"
#include "frontend/draft.h"
#include "frontend/frontend.h"
#include "frontend/scope.h"

struct stage;

/* One instruction of a stage, or a trigger that its base left. */
struct command {
	const struct df_instruction *instruction;
	/* COPY --from: one element; RUN: one per --mount, NULL where it names no source. */
	struct stage **sources;
	size_t n_sources;
	bool on_build;
};

struct stage_dep {
	struct stage *stage;
	struct source_span span;
};

/* Where in a list a name is, plus 1. Made anew when the list has another length than it. */
struct name_index {
	struct map at;
	size_t n;
};

/* What one compilation may make out of a small file. */
enum {
	LOWER_VALUES_MAX = 64 * 1024 * 1024,	    /* bytes of expanded words */
	LOWER_STEPS_MAX = 256 * 1024 * 1024,	    /* of the patterns in them: a second or so */
	LOWER_HISTORY_MAX = 64 * 1024 * 1024,	    /* bytes of history rows */
	LOWER_ENVIRONMENT_MAX = 1024 * 1024 * 1024, /* bytes that all RUN steps see */
	LOWER_PORTS_MAX = 1 << 18, /* exposed, every time one is named; all there are fit */
};

/* A history row of this build, newest first, so that stages share what they have in common. */
struct history_row {
	const struct history_row *below;
	const char *created_by;
	bool empty_layer;
};

/* The value of an ARG as RUN's history tells it. */
struct stage_arg {
	const char *key, *value; /* NULL: declared without a value */
};

struct outline_use {
	const char *id;
	bool required;
	struct source_span span;
};

struct stage {
	const struct df_stage
		*ast;	       /* NULL: an image or context that is only copied or mounted from */
	const char *base_name; /* expanded */
	const char *name;      /* lower case, NULL if unnamed; in the graph's arena */
	const char *shown;     /* in step names: name, "stage-1", or "" */
	struct source_span span;
	struct stage *base;
	const struct named_context *context; /* stands for the stage, or for its base image */
	bool replaced;			     /* by `context`: its own commands do not count */
	VEC(struct command) commands;
	VEC(struct stage_dep) deps;
	bool reachable, resolved, dispatched, triggers_done;
	bool ports_sorted; /* config.exposed_ports, which images may have in any order */
	unsigned children; /* stages FROM this one that still need its state */
	unsigned mark;	   /* of graph walks */

	bool platform_set;
	struct platform platform;
	struct draft *state;
	struct image_config config; /* history and diff_ids are kept apart */
	bool config_loaded;
	struct image_config *base_config; /* of the image at the bottom; NULL: scratch. Shared */
	const struct history_row *history;
	struct scope env;
	/* The variables of config.env are the last ones of `env`, in the same order. */
	bool env_in_order;
	VEC(struct stage_arg) args; /* each name once, in order of its first declaration */
	struct name_index env_index, label_index, volume_index, arg_index;
	const char *dir, *user;
	bool workdir_set, cmd_set;
	struct df_lint_stage lint;

	bool ignore_cache;
	unsigned step, n_steps;
	VEC(const char *) from_vars; /* variables that FROM used, for its platform, too */
	VEC(struct df_outline_arg) outline_args;
	VEC(struct outline_use) secrets, ssh;
	struct path_use *use; /* of a local context that this stage stands for; else NULL */
};

/* A context whose source draft exists. */
struct context_source {
	const struct named_context *named; /* NULL: the main context */
	struct path_use use;
	struct draft *draft;
};

/* A global ARG, for lint and outline. */
struct global_arg {
	const char *key, *value;
	const struct df_pair *pair;
	struct source_span span;
	struct df_vars uses; /* of its default */
};

struct compiler {
	const struct frontend_opts *opts;
	struct frontend_result *result;
	struct arena *arena; /* the graph's: texts may end up in ops */
	const struct df_file *file;
	const char *file_name;		      /* in the arena */
	const struct platform *last_platform; /* of lower_platform, in the arena */
	struct df_lint *lint;
	struct drafts drafts;

	struct strv build_args;
	struct scope globals;
	VEC(struct global_arg) global_args;
	bool has_epoch;
	int64_t epoch;
	struct op_proxy proxy;
	const char *cache_namespace, *hostname;
	struct op_pairs extra_hosts;
	const struct op_ulimit *ulimits;
	struct pattern_list *ignore; /* NULL without patterns */
	struct df_budget words_left;
	size_t history_left, environment_left, ports_left;

	VEC(struct stage *) stages; /* of the file first, then the images copied from */
	size_t n_file_stages;
	struct map by_name;
	struct stage *target, *squash_on; /* squash_on: NULL without that option */
	VEC(struct context_source *) contexts;
	VEC(struct image_config *) base_configs;
};

/* stages.c */
int stages_build(struct compiler *c, struct error **err) _must_check_;
int stages_find_target(struct compiler *c, struct error **err) _must_check_;
int stages_link(struct compiler *c, struct error **err) _must_check_;
/* Reads one trigger text of `s`'s base into *ret and links its sources. */
int stages_add_trigger(struct compiler *c, struct stage *s, const char *expression,
		       struct command *ret, struct error **err) _must_check_;
int stages_check_cycles(struct compiler *c, struct error **err) _must_check_;
void stages_mark_reachable(struct compiler *c);
void stages_release(struct compiler *c);
struct df_strings stages_names(struct compiler *c);

/* epoch.c: what SOURCE_DATE_EPOCH is: seconds, "context" for the time that the main context has, or
 * the name of a context or a stage that comes from elsewhere. */
int epoch_resolve(struct compiler *c, struct error **err) _must_check_;

/* resolve.c: base images and triggers of all reachable stages. */
int resolve_stages(struct compiler *c, struct error **err) _must_check_;

/* context.c */
/* The named context for a stage name or image reference on `platform`, or NULL. */
const struct named_context *context_find(const struct compiler *c, const char *name,
					 const struct platform *platform);
/* The source draft of a context other than an image; NULL named: the main context. *use (may be
 * NULL) is set if what is used of it is to be recorded. */
int context_source(struct compiler *c, const struct named_context *named, struct draft **ret,
		   struct path_use **use, struct error **err) _must_check_;
struct draft *context_image(struct compiler *c, const char *identifier, const char *name,
			    const struct platform *platform, const struct vertex_meta *meta);

/* lower.c */
int lower_stages(struct compiler *c, struct error **err) _must_check_;
void lower_add_history(struct compiler *c, struct stage *s, bool empty_layer, const char *fmt, ...)
	_printf_(4, 5);
/* Expands one word of an instruction and reports variables that are not defined. */
int lower_expand(struct compiler *c, struct stage *s, const struct df_instruction *at,
		 const char *word, const char **ret, struct error **err) _must_check_;
void lower_report_undefined(struct compiler *c, struct stage *s, const struct df_instruction *at,
			    const struct df_vars *vars);
struct df_shell lower_shell(struct compiler *c, struct stage *s);
/* Counts the stage's environment, `times` times, towards what one compilation may use. */
int lower_count_environment(struct compiler *c, const struct stage *s, unsigned times,
			    struct error **err) _must_check_;
struct op_platform lower_platform(struct compiler *c, const struct platform *p);
struct vertex_meta lower_meta(const struct compiler *c, const struct stage *s, const char *name,
			      struct source_span span);
/* What to say (vertex_meta.if_missing) of a source that begins with `..`: it is a path below the root
 * of the context, or of the stage or image that `from` names, and seldom there. Other sources leave
 * *ret alone. */
void lower_note_outside(struct compiler *c, const char *source, bool from, const char **ret);
int64_t lower_timestamp(const struct compiler *c);

/* One instruction each. */
int lower_copy(struct compiler *c, struct stage *s, const struct command *cmd,
	       struct error **err) _must_check_;
int lower_run(struct compiler *c, struct stage *s, const struct command *cmd,
	      struct error **err) _must_check_;
int lower_workdir(struct compiler *c, struct stage *s, const struct command *cmd,
		  struct error **err) _must_check_;
int lower_config(struct compiler *c, struct stage *s, const struct df_instruction *in,
		 struct error **err) _must_check_;
int lower_expose(struct compiler *c, struct stage *s, const struct df_instruction *in,
		 struct error **err) _must_check_;
int lower_arg(struct compiler *c, struct stage *s, const struct df_instruction *in,
	      struct error **err) _must_check_;
/* A tree with one small file: a heredoc. */
struct draft *lower_inline_file(struct compiler *c, struct stage *s, const char *name,
				const char *data, uint32_t mode);
/* The directory that images and WORKDIR name, as later instructions see it. */
void lower_set_dir(struct compiler *c, struct stage *s, const char *dir);
struct op_owner lower_owner(struct compiler *c, const char *text);
/* Shell form: the stage's SHELL or the default before the text. */
struct df_strings lower_with_shell(struct compiler *c, const struct stage *s,
				   struct df_strings args);

/* lower_remote.c: is a source of ADD a git or an http URL? */
struct giturl;
enum copy_source_kind { COPY_LOCAL, COPY_GIT, COPY_HTTP };
int lower_source_kind(const char *source, enum copy_source_kind *ret, struct giturl *git,
		      struct error **err) _must_check_;
struct draft *lower_http(struct compiler *c, const char *url, const char *filename,
			 const char *checksum, const struct vertex_meta *meta);
struct op lower_git_op(struct arena *a, const struct giturl *git, bool keep_git_dir,
		       const char *checksum);
struct draft *lower_git(struct compiler *c, const struct giturl *git, bool keep_git_dir,
			const char *checksum, const struct vertex_meta *meta);

/* lower_mount.c */
struct exec_mounts {
	VEC(struct op_mount) mounts;
	VEC(struct op_secret_env) secret_envs;
	struct draft_inputs inputs;
	unsigned n_ssh;
	const char *ssh_socket; /* of the first ssh mount */
	const char *if_missing; /* see struct vertex_meta */
};
int lower_mounts(struct compiler *c, struct stage *s, const struct command *cmd,
		 struct exec_mounts *out, struct error **err) _must_check_;
void exec_mounts_release(struct exec_mounts *m);

/* step_name.c */
/* "[build 2/5] RUN make"; counts the step unless `again`. `text` has its variables replaced. */
const char *step_name(struct compiler *c, struct stage *s, const struct command *cmd,
		      const char *text, bool again);
/* The instruction's text with the stage's variables in it. */
const char *step_text(struct compiler *c, struct stage *s, const struct df_instruction *in,
		      const char *text);
/* "[internal] TEXT", with the target of a bake. */
const char *step_internal(struct compiler *c, const char *text);
const char *step_from(struct compiler *c, struct stage *s, const char *ref);

/* outline.c */
void outline_fill(struct compiler *c);

#endif
