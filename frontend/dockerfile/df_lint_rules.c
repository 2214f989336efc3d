/* SPDX-License-Identifier: Apache-2.0 */
/* BuildKit's lint rules, one function a rule or a few that look at the same thing. */
#include <string.h>
#include <strings.h>

#include "base/map.h"
#include "base/platform.h"
#include "frontend/dockerfile/df_lint.h"
#include "frontend/dockerfile/df_parse.h"
#include "frontend/dockerfile/df_shell.h"
#include "frontend/dockerfile/df_text.h"

#define PAGE(name) "https://docs.docker.com/go/dockerfile/rule/" name "/"

/* Names and pages are Docker's, so that its documentation applies; the descriptions are ours. */
const struct df_rule_info df_rules[DF_N_RULES] = {
	[DF_RULE_STAGE_NAME_CASING] = {"StageNameCasing", "Stage names should be lowercase",
				       PAGE("stage-name-casing"), false},
	[DF_RULE_FROM_AS_CASING] = {"FromAsCasing",
				    "The 'as' keyword should have the case of the 'from' keyword",
				    PAGE("from-as-casing"), false},
	[DF_RULE_NO_EMPTY_CONTINUATION] =
		{"NoEmptyContinuation", "Blank lines inside an instruction will be errors one day",
		 PAGE("no-empty-continuation"), false},
	[DF_RULE_CONSISTENT_INSTRUCTION_CASING] =
		{"ConsistentInstructionCasing",
		 "Instructions of a Dockerfile should all be in upper or all in lower case",
		 PAGE("consistent-instruction-casing"), false},
	[DF_RULE_DUPLICATE_STAGE_NAME] = {"DuplicateStageName", "Stage names should be unique",
					  PAGE("duplicate-stage-name"), false},
	[DF_RULE_RESERVED_STAGE_NAME] = {"ReservedStageName",
					 "Reserved words should not name stages",
					 PAGE("reserved-stage-name"), false},
	[DF_RULE_JSON_ARGS_RECOMMENDED] = {"JSONArgsRecommended",
					   "ENTRYPOINT and CMD should be in JSON form: a shell may "
					   "keep the OS's signals from them",
					   PAGE("json-args-recommended"), false},
	[DF_RULE_MAINTAINER_DEPRECATED] = {"MaintainerDeprecated",
					   "MAINTAINER is deprecated; a label names the author",
					   PAGE("maintainer-deprecated"), false},
	[DF_RULE_UNDEFINED_ARG_IN_FROM] = {"UndefinedArgInFrom",
					   "FROM should only use ARGs that are declared",
					   PAGE("undefined-arg-in-from"), false},
	[DF_RULE_UNDEFINED_VAR] = {"UndefinedVar",
				   "Variables should be defined before they are used",
				   PAGE("undefined-var"), false},
	[DF_RULE_WORKDIR_RELATIVE_PATH] =
		{"WorkdirRelativePath",
		 "A relative WORKDIR before any absolute one depends on the base image",
		 PAGE("workdir-relative-path"), false},
	[DF_RULE_MULTIPLE_INSTRUCTIONS_DISALLOWED] =
		{"MultipleInstructionsDisallowed",
		 "A stage should have one instruction of this type: only the last takes effect",
		 PAGE("multiple-instructions-disallowed"), false},
	[DF_RULE_LEGACY_KEY_VALUE_FORMAT] =
		{"LegacyKeyValueFormat",
		 "Keys and values should be separated by an equals sign, not by white space",
		 PAGE("legacy-key-value-format"), false},
	[DF_RULE_INVALID_BASE_IMAGE_PLATFORM] =
		{"InvalidBaseImagePlatform",
		 "The base image is for another platform than the target", "", false},
	[DF_RULE_REDUNDANT_TARGET_PLATFORM] =
		{"RedundantTargetPlatform",
		 "FROM takes $TARGETPLATFORM by default; setting the platform to it is redundant",
		 PAGE("redundant-target-platform"), false},
	[DF_RULE_SECRETS_USED_IN_ARG_OR_ENV] =
		{"SecretsUsedInArgOrEnv",
		 "ARG and ENV keep their values in the image; secrets do not belong there",
		 PAGE("secrets-used-in-arg-or-env"), false},
	[DF_RULE_INVALID_DEFAULT_ARG_IN_FROM] =
		{"InvalidDefaultArgInFrom",
		 "The default of a global ARG leaves the base image an empty or invalid name",
		 PAGE("invalid-default-arg-in-from"), false},
	[DF_RULE_FROM_PLATFORM_FLAG_CONST_DISALLOWED] =
		{"FromPlatformFlagConstDisallowed", "FROM --platform should not be a constant",
		 PAGE("from-platform-flag-const-disallowed"), false},
	[DF_RULE_COPY_IGNORED_FILE] = {"CopyIgnoredFile",
				       "The ignore file excludes what is to be copied",
				       PAGE("copy-ignored-file"), false},
	[DF_RULE_INVALID_DEFINITION_DESCRIPTION] =
		{"InvalidDefinitionDescription",
		 "The comment right above a stage or argument should be `# <name> <description>`; "
		 "if it is not meant to describe, part them by an empty comment",
		 PAGE("invalid-definition-description"), true},
	[DF_RULE_EXPOSE_PROTO_CASING] = {"ExposeProtoCasing",
					 "The protocol in EXPOSE should be lowercase",
					 PAGE("expose-proto-casing"), false},
	[DF_RULE_EXPOSE_INVALID_FORMAT] =
		{"ExposeInvalidFormat",
		 "An IP address or a host port in EXPOSE will be an error one day",
		 PAGE("expose-invalid-format"), false},
};

static bool is_mixed(const char *s)
{
	return df_has_upper(s) && df_has_lower(s);
}

/* StageNameCasing, FromAsCasing. */
static void lint_from(struct df_lint *l, const struct df_instruction *ins)
{
	const struct df_from *f = &ins->from;

	if (!f->as)
		return;
	if (df_has_upper(f->name_written))
		df_lint_warn(l, ins, DF_RULE_STAGE_NAME_CASING,
			     "Stage name '%s' should be lowercase", f->name_written);
	if (is_mixed(ins->keyword))
		return;
	if (df_has_lower(ins->keyword) ? df_has_upper(f->as) : df_has_lower(f->as))
		df_lint_warn(l, ins, DF_RULE_FROM_AS_CASING,
			     "'%s' and '%s' keywords' casing do not match", f->as, ins->keyword);
}

/* InvalidDefinitionDescription: the last comment above should start with a name that is defined
 * here. */
static void lint_description(struct df_lint *l, const struct df_instruction *ins,
			     const char *const *names, size_t n)
{
	const char *comment;
	size_t len;

	if (ins->comments.n == 0 || n == 0)
		return;
	comment = ins->comments.v[ins->comments.n - 1];
	len = strcspn(comment, " ");
	for (size_t i = 0; i < n; i++)
		if (strlen(names[i]) == len && memcmp(names[i], comment, len) == 0)
			return;
	df_lint_warn(l, ins, DF_RULE_INVALID_DEFINITION_DESCRIPTION,
		     "Comment for %s should follow the format: `# %s <description>`",
		     df_kind_name(ins->kind), n > 1 ? "<arg_key>" : names[0]);
}

static void lint_arg_description(struct df_lint *l, const struct df_instruction *ins)
{
	const char **names;

	if (ins->comments.n == 0)
		return;
	names = arena_alloc(&l->arena, ins->pairs.n * sizeof(*names));
	for (size_t i = 0; i < ins->pairs.n; i++)
		names[i] = ins->pairs.v[i].key;
	lint_description(l, ins, names, ins->pairs.n);
}

/* DuplicateStageName, ReservedStageName. These look at the file as a whole: as in BuildKit a check
 * comment above the instruction does not reach them. */
static void lint_stage_names(struct df_lint *l, const struct df_file *f)
{
	struct map names = MAP_INIT;
	const struct df_instruction *from;
	void **slot;

	for (size_t i = 0; i < f->n_stages; i++) {
		from = f->stages[i].from;
		if (!from->from.name)
			continue;
		if (strcmp(from->from.name, "scratch") == 0 ||
		    strcmp(from->from.name, "context") == 0)
			df_lint_warn_span(
				l, NULL, from->span, DF_RULE_RESERVED_STAGE_NAME,
				"Stage name should not use the same name as reserved stage \"%s\"",
				from->from.name);
		slot = map_puts(&names, from->from.name);
		if (*slot)
			df_lint_warn_span(
				l, NULL, from->span, DF_RULE_DUPLICATE_STAGE_NAME,
				"Duplicate stage name \"%s\", stage names should be unique",
				from->from.name);
		*slot = l;
	}
	map_release(&names, NULL);
}

/* ConsistentInstructionCasing: what the majority does is right; global ARGs do not count. */
static void lint_casing(struct df_lint *l, const struct df_file *f)
{
	size_t lower = 0, upper = 0;
	const char *word;
	bool want_lower;

	for (size_t i = f->n_meta_args; i < f->n; i++) {
		word = f->instructions[i]->keyword;
		if (is_mixed(word))
			continue;
		lower += df_has_lower(word);
		upper += df_has_upper(word);
	}
	want_lower = lower > upper;
	for (size_t i = f->n_meta_args; i < f->n; i++) {
		word = f->instructions[i]->keyword;
		if (want_lower ? df_has_upper(word) : df_has_lower(word))
			df_lint_warn_span(
				l, NULL, f->instructions[i]->span,
				DF_RULE_CONSISTENT_INSTRUCTION_CASING,
				"Command '%s' should match the case of the command majority "
				"(%s)",
				word, want_lower ? "lowercase" : "uppercase");
	}
}

void df_lint_instructions(struct df_lint *l, const struct df_file *f)
{
	const struct df_instruction *ins;

	if (!l)
		return;
	for (size_t i = 0; i < f->n_empty_continuations; i++)
		df_lint_warn_span(l, NULL, f->empty_continuations[i], DF_RULE_NO_EMPTY_CONTINUATION,
				  "Empty continuation line");
	for (size_t i = 0; i < f->n; i++) {
		ins = f->instructions[i];
		if (ins->kind == DF_MAINTAINER)
			df_lint_warn(
				l, ins, DF_RULE_MAINTAINER_DEPRECATED,
				"Maintainer instruction is deprecated in favor of using label");
		if (ins->kind == DF_ARG)
			lint_arg_description(l, ins);
		if (ins->kind == DF_FROM) {
			lint_from(l, ins);
			if (ins->from.name)
				lint_description(l, ins, &ins->from.name, 1);
		}
	}
}

void df_lint_file(struct df_lint *l, const struct df_file *f)
{
	if (!l)
		return;
	df_lint_instructions(l, f);
	lint_stage_names(l, f);
	lint_casing(l, f);
}

/* MultipleInstructionsDisallowed: the earlier one is without effect, so it is shown. */
static void lint_once(struct df_lint *l, const struct df_instruction **earlier,
		      const struct df_instruction *ins)
{
	if (*earlier)
		df_lint_warn_span(l, ins, (*earlier)->span,
				  DF_RULE_MULTIPLE_INSTRUCTIONS_DISALLOWED,
				  "Multiple %s instructions should not be used in the same stage "
				  "because only the last one will be used",
				  ins->keyword);
	*earlier = ins;
}

static void lint_command_form(struct df_lint *l, const struct df_lint_stage *stage,
			      const struct df_instruction *ins)
{
	if (ins->command.shell_form && !stage->shell_set)
		df_lint_warn(l, ins, DF_RULE_JSON_ARGS_RECOMMENDED,
			     "JSON arguments recommended for %s to prevent unintended behavior "
			     "related to OS signals",
			     ins->keyword);
}

static void lint_pairs(struct df_lint *l, const struct df_instruction *ins)
{
	const struct df_pair *p;

	for (size_t i = 0; i < ins->pairs.n; i++) {
		p = &ins->pairs.v[i];
		if (p->legacy)
			df_lint_warn(l, ins, DF_RULE_LEGACY_KEY_VALUE_FORMAT,
				     "\"%s key=value\" should be used instead of legacy \"%s key "
				     "value\" format",
				     ins->keyword, ins->keyword);
		if (ins->kind != DF_LABEL && df_lint_is_secret_name(p->key))
			df_lint_warn(l, ins, DF_RULE_SECRETS_USED_IN_ARG_OR_ENV,
				     "Do not use ARG or ENV instructions for sensitive data (%s "
				     "\"%s\")",
				     df_kind_name(ins->kind), p->key);
	}
}

void df_lint_command(struct df_lint *l, struct df_lint_stage *stage,
		     const struct df_instruction *ins)
{
	switch (ins->kind) {
	case DF_CMD:
		lint_once(l, &stage->cmd, ins);
		lint_command_form(l, stage, ins);
		break;
	case DF_ENTRYPOINT:
		lint_once(l, &stage->entrypoint, ins);
		lint_command_form(l, stage, ins);
		break;
	case DF_HEALTHCHECK:
		lint_once(l, &stage->healthcheck, ins);
		break;
	case DF_SHELL:
		stage->shell_set = true;
		break;
	case DF_ARG:
	case DF_ENV:
	case DF_LABEL:
		lint_pairs(l, ins);
		break;
	default:
		break;
	}
}

/* Is one of the words in `key`, delimited by "_" or its ends? */
static bool has_word(const char *key, const char *const *words, size_t n)
{
	size_t len, next;

	for (const char *p = key;; p += next + 1) {
		next = strcspn(p, "_");
		for (size_t i = 0; i < n; i++) {
			len = strlen(words[i]);
			if (len == next && strncasecmp(p, words[i], len) == 0)
				return true;
		}
		if (!p[next])
			return false;
	}
}

bool df_lint_is_secret_name(const char *key)
{
	static const char *const secret[] = {"apikey", "auth",	   "credential", "credentials",
					     "key",    "password", "pword",	 "passwd",
					     "secret", "token"};
	static const char *const harmless[] = {"public", "file", "version"};

	return has_word(key, secret, ARRAY_SIZE(secret)) &&
	       !has_word(key, harmless, ARRAY_SIZE(harmless));
}

void df_lint_port(struct df_lint *l, const struct df_instruction *expose, const char *port)
{
	const char *slash = strchr(port, '/'), *colon = strrchr(port, ':');

	if (slash && df_has_upper(slash))
		df_lint_warn(l, expose, DF_RULE_EXPOSE_PROTO_CASING,
			     "Defined protocol '%s' in EXPOSE instruction should be lowercase",
			     port);
	if (colon && strspn(port, ":") < (size_t)(colon - port))
		df_lint_warn(l, expose, DF_RULE_EXPOSE_INVALID_FORMAT,
			     "EXPOSE instruction should not define an IP address or host-port "
			     "mapping, found '%s'",
			     port);
}

void df_lint_platform(struct df_lint *l, const struct df_instruction *from, const char *value,
		      const struct df_vars *vars, const char *target)
{
	const char *name = from->from.name ? from->from.name : "";
	struct platform p;

	if (vars->n_used == 1 && vars->n_undefined == 0 &&
	    strcmp(vars->used[0].name, "TARGETPLATFORM") == 0 && target &&
	    strcmp(value, target) == 0)
		df_lint_warn(l, from, DF_RULE_REDUNDANT_TARGET_PLATFORM,
			     "Setting platform to predefined %s in FROM is redundant as this is "
			     "the default behavior",
			     from->from.platform);
	if (vars->n_used > 0 || vars->n_undefined > 0 || platform_parse(value, &p, NULL) < 0)
		return;
	/* A stage that is named for its platform means it. */
	if (strstr(name, p.os) || strstr(name, p.arch))
		return;
	df_lint_warn(l, from, DF_RULE_FROM_PLATFORM_FLAG_CONST_DISALLOWED,
		     "FROM --platform flag should not use constant value \"%s\"", value);
}
