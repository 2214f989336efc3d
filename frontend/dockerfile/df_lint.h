/* SPDX-License-Identifier: Apache-2.0 */
/* Lint: rules, their configuration (`# check=`), and the warnings found.
 *
 * df_lint_file runs the rules that hold for the whole file; the compiler calls df_lint_command for
 * every instruction of a stage it lowers (with expanded values where a rule wants them) and
 * df_lint_warn for the semantic rules.
 */
#ifndef KILN_FRONTEND_DOCKERFILE_DF_LINT_H
#define KILN_FRONTEND_DOCKERFILE_DF_LINT_H

#include "base/arena.h"
#include "base/error.h"
#include "frontend/dockerfile/df_ast.h"

enum df_rule {
	DF_RULE_STAGE_NAME_CASING,
	DF_RULE_FROM_AS_CASING,
	DF_RULE_NO_EMPTY_CONTINUATION,
	DF_RULE_CONSISTENT_INSTRUCTION_CASING,
	DF_RULE_DUPLICATE_STAGE_NAME,
	DF_RULE_RESERVED_STAGE_NAME,
	DF_RULE_JSON_ARGS_RECOMMENDED,
	DF_RULE_MAINTAINER_DEPRECATED,
	DF_RULE_UNDEFINED_ARG_IN_FROM,
	DF_RULE_UNDEFINED_VAR,
	DF_RULE_WORKDIR_RELATIVE_PATH,
	DF_RULE_MULTIPLE_INSTRUCTIONS_DISALLOWED,
	DF_RULE_LEGACY_KEY_VALUE_FORMAT,
	DF_RULE_INVALID_BASE_IMAGE_PLATFORM,
	DF_RULE_REDUNDANT_TARGET_PLATFORM,
	DF_RULE_SECRETS_USED_IN_ARG_OR_ENV,
	DF_RULE_INVALID_DEFAULT_ARG_IN_FROM,
	DF_RULE_FROM_PLATFORM_FLAG_CONST_DISALLOWED,
	DF_RULE_COPY_IGNORED_FILE,
	DF_RULE_INVALID_DEFINITION_DESCRIPTION,
	DF_RULE_EXPOSE_PROTO_CASING,
	DF_RULE_EXPOSE_INVALID_FORMAT,
	DF_N_RULES,
};

struct df_rule_info {
	const char *name, *description;
	const char *url; /* "" if it has no page */
	bool experimental;
};
extern const struct df_rule_info df_rules[DF_N_RULES];

/* What to report. Sets are bit masks, 1 << rule; names that match no rule are ignored. */
struct df_lint_config {
	bool skip_all, experimental_all, error;
	uint32_t skip, experimental;
};

enum { DF_WARNINGS_MAX = 10000 }; /* more are dropped */

struct df_warning {
	enum df_rule rule;
	const char *text; /* "Stage name 'Build' should be lowercase" */
	struct source_span span;
};

struct df_lint {
	struct arena arena;
	struct df_lint_config config;
	struct df_warning *warnings; /* in the order found */
	size_t n, cap;
};
#define DF_LINT_INIT \
	{            \
		0    \
	}
void df_lint_release(struct df_lint *l);

/* Parses "skip=A,B|all;error=true;experimental=A|all" (the directive, or BUILDKIT_DOCKERFILE_CHECK,
 * which replaces it). */
int df_lint_config_parse(const char *text, struct df_lint_config *ret,
			 struct error **err) _must_check_;

/* Records a warning unless the configuration, or a `# check=` comment above `at`, skips the rule.
 * `l` may be NULL. The line shown is at's; _span says another. */
void df_lint_warn(struct df_lint *l, const struct df_instruction *at, enum df_rule rule,
		  const char *fmt, ...) _printf_(4, 5);
void df_lint_warn_span(struct df_lint *l, const struct df_instruction *at, struct source_span span,
		       enum df_rule rule, const char *fmt, ...) _printf_(5, 6);

/* Rules of single instructions that need no variables: what df_lint_file also does. For files that
 * did not parse to their end. */
void df_lint_instructions(struct df_lint *l, const struct df_file *f);

/* Rules of the file as a whole: StageNameCasing, FromAsCasing, NoEmptyContinuation,
 * ConsistentInstructionCasing, DuplicateStageName, ReservedStageName, MaintainerDeprecated,
 * InvalidDefinitionDescription. */
void df_lint_file(struct df_lint *l, const struct df_file *f);

/* What df_lint_command remembers within one stage; starts as {0}. */
struct df_lint_stage {
	const struct df_instruction *cmd, *entrypoint, *healthcheck;
	bool shell_set; /* set it if the base image's config has a Shell */
};
/* Rules of one instruction in a stage, in order: JSONArgsRecommended,
 * MultipleInstructionsDisallowed, LegacyKeyValueFormat, SecretsUsedInArgOrEnv. */
void df_lint_command(struct df_lint *l, struct df_lint_stage *stage,
		     const struct df_instruction *instruction);

/* Rules of one expanded port of EXPOSE: ExposeProtoCasing, ExposeInvalidFormat. */
void df_lint_port(struct df_lint *l, const struct df_instruction *expose, const char *port);
/* Rules of FROM --platform: `value` as expanded, with the variables it used. `target` is the value
 * of TARGETPLATFORM. FromPlatformFlagConstDisallowed, RedundantTargetPlatform. */
struct df_vars;
void df_lint_platform(struct df_lint *l, const struct df_instruction *from, const char *value,
		      const struct df_vars *vars, const char *target);
/* Is `key` a name that SecretsUsedInArgOrEnv means? */
bool df_lint_is_secret_name(const char *key);

/* With `error=true` and any warning: ERR_INVALID "lint violation found for rules: A, B". Else 0. */
int df_lint_error(const struct df_lint *l, struct error **err) _must_check_;

#endif
