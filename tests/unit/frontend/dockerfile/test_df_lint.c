/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "frontend/dockerfile/df_lint.h"
#include "frontend/dockerfile/df_parse.h"
#include "frontend/dockerfile/df_shell.h"

/* Runs the rules that need only the tree and gives "Rule:line " for every warning, in order. */
static char *lint(const char *text, struct df_lint *l)
{
	_cleanup_(df_file_freep) struct df_file *f = NULL;
	_cleanup_(error_freep) struct error *err = NULL;
	struct buf b = BUF_INIT;

	if (df_parse("Dockerfile", text, strlen(text), &f, &err) < 0)
		fail_msg("%s: %s", text, error_text(err));
	if (f->check.value)
		assert_int_equal(df_lint_config_parse(f->check.value, &l->config, NULL), 0);
	df_lint_file(l, f);
	for (size_t i = 0; i < f->n_stages; i++) {
		struct df_lint_stage stage = {0};

		for (size_t c = 0; c < f->stages[i].n; c++)
			df_lint_command(l, &stage, f->stages[i].commands[c]);
	}
	for (size_t i = 0; i < l->n; i++)
		buf_addf(&b, "%s:%u ", df_rules[l->warnings[i].rule].name,
			 l->warnings[i].span.line);
	return buf_take(&b);
}

static void check(const char *text, const char *want)
{
	struct df_lint l = DF_LINT_INIT;
	_cleanup_free_ char *got = lint(text, &l);

	assert_string_equal(got, want);
	df_lint_release(&l);
}

/* The text of the only warning. */
static void check_text(const char *text, const char *want)
{
	struct df_lint l = DF_LINT_INIT;
	_cleanup_free_ char *got = lint(text, &l);

	(void)got;
	assert_int_equal(l.n, 1);
	assert_string_equal(l.warnings[0].text, want);
	df_lint_release(&l);
}

static void clean_files_have_no_warnings(void **state)
{
	(void)state;
	check("# about\nARG V=1\nFROM a:$V AS build\nENV A=1 B=2\nRUN x\nCMD [\"x\"]\n"
	      "FROM build\nCMD [\"y\"]\n",
	      "");
}

static void stage_names_and_casing_are_checked(void **state)
{
	(void)state;
	check("FROM a AS Build\n", "StageNameCasing:1 ");
	check("FROM a as b\nRUN x\n", "FromAsCasing:1 ");
	check("from a AS b\nrun x\n", "FromAsCasing:1 ");
	check("From a as b\nRUN x\n", "ConsistentInstructionCasing:1 ");
	check("FROM a AS b\nFROM a AS B\n", "StageNameCasing:2 DuplicateStageName:2 ");
	check("FROM a AS scratch\nFROM a AS context\n", "ReservedStageName:1 ReservedStageName:2 ");
	check("FROM a\nrun x\n", "ConsistentInstructionCasing:2 ");
	check("arg A\nARG B\nfrom a\nrun x\nRUN y\n", "ConsistentInstructionCasing:5 ");
}

static void instructions_are_checked(void **state)
{
	(void)state;
	check("FROM a\nCMD x\nENTRYPOINT y\n", "JSONArgsRecommended:2 JSONArgsRecommended:3 ");
	check("FROM a\nSHELL [\"sh\"]\nCMD x\n", "");
	check("FROM a\nMAINTAINER x\n", "MaintainerDeprecated:2 ");
	check("FROM a\nCMD []\nCMD []\nHEALTHCHECK NONE\nHEALTHCHECK CMD x\nFROM a\nCMD []\n",
	      "MultipleInstructionsDisallowed:2 MultipleInstructionsDisallowed:4 ");
	check("FROM a\nENV a b\nLABEL c d\n", "LegacyKeyValueFormat:2 LegacyKeyValueFormat:3 ");
	check("FROM a\nRUN x \\\n\n y\n", "NoEmptyContinuation:4 ");
	check("FROM a\nARG API_TOKEN\nENV X=1 PASSWORD=x\nLABEL key=v\n",
	      "SecretsUsedInArgOrEnv:2 SecretsUsedInArgOrEnv:3 ");
}

static void texts_name_what_is_wrong(void **state)
{
	(void)state;
	check_text("FROM a AS Build\n", "Stage name 'Build' should be lowercase");
	check_text("FROM a as b\n", "'as' and 'FROM' keywords' casing do not match");
	check_text("FROM a\nenv b=c\nrun x\n",
		   "Command 'FROM' should match the case of the command majority (lowercase)");
	check_text("FROM a\nCMD []\nCMD []\n",
		   "Multiple CMD instructions should not be used in the same stage because only "
		   "the last one will be used");
}

static void secret_names_are_words_of_the_key(void **state)
{
	static const char *const secret[] = {"TOKEN",	    "github_token", "DB_PASSWORD_X",
					     "Credentials", "AUTH",	    "A_KEY"};
	static const char *const harmless[] = {"TOKENS", "KEYBOARD", "PASSWORD_FILE", "PUBLIC_KEY",
					       "",	 "_",	     "KEY_VERSION",   "AUTHOR"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(secret); i++)
		assert_true(df_lint_is_secret_name(secret[i]));
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		assert_false(df_lint_is_secret_name(harmless[i]));
}

static void descriptions_are_checked_only_on_request(void **state)
{
	(void)state;
	check("# hello\nFROM a AS b\n", "");
	check("# check=experimental=all\n# hello\nFROM a AS b\n# no\nARG C\n# D d\nARG C D\n# x\n\n"
	      "ARG E\n",
	      "InvalidDefinitionDescription:3 InvalidDefinitionDescription:5 "
	      "InvalidDefinitionDescription:10 ");
	check("# check=experimental=InvalidDefinitionDescription;skip=all\n#\n# x\nFROM a AS B\n",
	      "InvalidDefinitionDescription:4 ");
}

static void rules_can_be_skipped_for_a_file_or_an_instruction(void **state)
{
	(void)state;
	check("# check=skip=all\nFROM a AS B\nMAINTAINER x\n", "");
	check("# check=skip=StageNameCasing, MaintainerDeprecated,Nonsense\nFROM a AS B\n"
	      "MAINTAINER x\nCMD y\n",
	      "JSONArgsRecommended:4 ");
	check("FROM a\n# check=skip=MaintainerDeprecated\nMAINTAINER x\nMAINTAINER y\n",
	      "MaintainerDeprecated:4 ");
	/* Rules of the whole file take their configuration from the file alone. */
	check("FROM a\n# check=skip=ConsistentInstructionCasing\nrun x\nRUN y\n",
	      "ConsistentInstructionCasing:3 ");
	/* The third option takes what follows; a later list replaces an earlier one. */
	check("# check=skip=StageNameCasing;skip=MaintainerDeprecated;experimental=a;error=x\n"
	      "FROM a AS B\nMAINTAINER x\n",
	      "StageNameCasing:2 ");
}

static void check_options_are_parsed_strictly(void **state)
{
	static const char *const bad[][2] = {
		{"skip", "invalid check option \"skip\""},
		{"skpi=all", "invalid check option \"skpi\""},
		{"error=maybe", "failed to parse check option \"error=maybe\": not a boolean"},
		{"skip=all;", "invalid check option \"\""},
	};
	struct df_lint_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(error_freep) struct error *err = NULL;

		assert_int_equal(df_lint_config_parse(bad[i][0], &c, &err), -ERR_INVALID);
		assert_string_equal(error_text(err), bad[i][1]);
	}
	assert_int_equal(df_lint_config_parse(" error = true ; skip=UndefinedVar; experimental=all",
					      &c, NULL),
			 0);
	assert_true(c.error && c.experimental_all && !c.skip_all);
	assert_int_equal(c.skip, 1u << DF_RULE_UNDEFINED_VAR);
	assert_int_equal(df_lint_config_parse("", &c, NULL), 0);
}

static void warnings_become_an_error_on_request(void **state)
{
	_cleanup_(error_freep) struct error *err = NULL;
	struct df_lint l = DF_LINT_INIT;
	_cleanup_free_ char *got =
		lint("# check=error=true\nFROM a AS B\nCMD x\nENTRYPOINT y\n", &l);

	(void)state;
	assert_string_equal(got, "StageNameCasing:2 JSONArgsRecommended:3 JSONArgsRecommended:4 ");
	assert_int_equal(df_lint_error(&l, &err), -ERR_INVALID);
	assert_string_equal(error_text(err), "lint violation found for rules: StageNameCasing, "
					     "JSONArgsRecommended");
	df_lint_release(&l);
	assert_int_equal(df_lint_error(&l, NULL), 0);
}

static void ports_are_checked(void **state)
{
	static const struct {
		const char *port;
		size_t warnings;
	} rows[] = {{"80", 0},	     {"80/tcp", 0},	   {"80/TCP", 1},
		    {"8080:80", 1},  {"1.2.3.4:80:80", 1}, {":80", 0},
		    {"80:80/UDP", 2}};
	struct df_instruction expose = {.kind = DF_EXPOSE, .span = {3, 3, 1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_lint l = DF_LINT_INIT;

		df_lint_port(&l, &expose, rows[i].port);
		assert_int_equal(l.n, rows[i].warnings);
		df_lint_release(&l);
	}
}

static void constant_and_redundant_platforms_are_reported(void **state)
{
	struct df_instruction from = {.kind = DF_FROM, .from = {.platform = "$TARGETPLATFORM"}};
	struct df_var target = {"TARGETPLATFORM", 0}, other = {"X", 0};
	struct df_vars used_target = {.used = &target, .n_used = 1};
	struct df_vars used_other = {.used = &other, .n_used = 1}, none = DF_VARS_INIT;
	struct df_lint l = DF_LINT_INIT;

	(void)state;
	df_lint_platform(&l, &from, "linux/amd64", &used_target, "linux/amd64");
	df_lint_platform(&l, &from, "linux/amd64/x", &used_target, "linux/amd64");
	df_lint_platform(&l, &from, "linux/amd64", &used_other, "linux/amd64");
	assert_int_equal(l.n, 1);
	df_lint_platform(&l, &from, "linux/arm64", &none, "linux/amd64");
	assert_int_equal(l.n, 2);
	from.from.name = "base-arm64";
	df_lint_platform(&l, &from, "linux/arm64", &none, "linux/amd64");
	assert_int_equal(l.n, 2);
	assert_int_equal(l.warnings[0].rule, DF_RULE_REDUNDANT_TARGET_PLATFORM);
	assert_int_equal(l.warnings[1].rule, DF_RULE_FROM_PLATFORM_FLAG_CONST_DISALLOWED);
	df_lint_release(&l);
}

static void warnings_have_a_limit(void **state)
{
	struct df_instruction expose = {.kind = DF_EXPOSE};
	struct df_lint l = DF_LINT_INIT;

	(void)state;
	for (size_t i = 0; i <= DF_WARNINGS_MAX; i++)
		df_lint_port(&l, &expose, "80/TCP");
	assert_int_equal(l.n, DF_WARNINGS_MAX);
	df_lint_release(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_files_have_no_warnings),
		cmocka_unit_test(stage_names_and_casing_are_checked),
		cmocka_unit_test(instructions_are_checked),
		cmocka_unit_test(texts_name_what_is_wrong),
		cmocka_unit_test(secret_names_are_words_of_the_key),
		cmocka_unit_test(descriptions_are_checked_only_on_request),
		cmocka_unit_test(rules_can_be_skipped_for_a_file_or_an_instruction),
		cmocka_unit_test(check_options_are_parsed_strictly),
		cmocka_unit_test(warnings_become_an_error_on_request),
		cmocka_unit_test(ports_are_checked),
		cmocka_unit_test(constant_and_redundant_platforms_are_reported),
		cmocka_unit_test(warnings_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
