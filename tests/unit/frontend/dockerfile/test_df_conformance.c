/* SPDX-License-Identifier: Apache-2.0 */
/* Parses every Dockerfile of the conformance corpus: what builds must parse, what fails in the
 * parser must fail with a message that the corpus accepts, and lint cases that need no compiler
 * must warn alike. */
#include <dirent.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "frontend/dockerfile/df_lint.h"
#include "frontend/dockerfile/df_parse.h"

static const char *corpus(void)
{
	const char *dir = getenv("KILN_CONFORMANCE");

	return dir ? dir : TEST_DATA "/../conformance/cases";
}

static bool read_all(const char *path, struct buf *b)
{
	FILE *f = fopen(path, "re");
	char chunk[4096];
	size_t n;

	if (!f)
		return false;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(b, chunk, n);
	fclose(f);
	return true;
}

struct conformance_case {
	const char *name;
	json_t *expect, *about;
	struct buf dockerfile;
	struct df_file *file;
	struct error *err;
};

/* BuildKit's messages may hold NUL bytes, which base/json refuses. NULL for what is not JSON: file
 * names that are not UTF-8 were recorded with lone surrogates. */
static json_t *parse_json(const struct buf *b)
{
	return json_loadb(b->p, b->n, JSON_ALLOW_NUL, NULL);
}

static bool load(struct conformance_case *c, const char *name)
{
	_cleanup_free_ char *dockerfile = xasprintf("%s/%s/context/Dockerfile", corpus(), name);
	_cleanup_free_ char *expect = xasprintf("%s/%s/expect.json", corpus(), name);
	_cleanup_free_ char *about = xasprintf("%s/%s/case.json", corpus(), name);
	_cleanup_buf_ struct buf b = BUF_INIT;

	*c = (struct conformance_case){.name = name, .dockerfile = BUF_INIT};
	if (!read_all(dockerfile, &c->dockerfile) || !read_all(expect, &b))
		return false;
	c->expect = parse_json(&b);
	buf_clear(&b);
	assert_true(read_all(about, &b));
	c->about = parse_json(&b);
	return c->expect && c->about;
}

static void release(struct conformance_case *c)
{
	json_decref(c->expect);
	json_decref(c->about);
	buf_release(&c->dockerfile);
	df_file_free(c->file);
	error_free(c->err);
}

/* Does the message, with its place as a failed build shows it, match all that the corpus
 * asks for? */
static void check_message(const struct conformance_case *c)
{
	json_t *patterns = json_object_get(c->expect, "match"), *pattern;
	const char *hint = error_hint_text(c->err);
	_cleanup_free_ char *text =
		xasprintf("Dockerfile:%u\nerror: %s\nhint: %s", error_span(c->err).line,
			  error_text(c->err), hint ? hint : "");
	size_t i;

	json_array_foreach(patterns, i, pattern)
	{
		const char *p = json_string_value(pattern);
		int flags = REG_EXTENDED | REG_NOSUB;
		regex_t re;

		if (strncmp(p, "(?i)", 4) == 0) {
			p += 4;
			flags |= REG_ICASE;
		}
		assert_int_equal(regcomp(&re, p, flags), 0);
		if (regexec(&re, text, 0, NULL, 0) != 0)
			fail_msg("%s: '%s' does not match /%s/", c->name, text, p);
		regfree(&re);
	}
}

/* Rules that need more than the tree. */
static bool needs_compiler(const char *rule)
{
	static const char *const rules[] = {"UndefinedVar",	   "UndefinedArgInFrom",
					    "WorkdirRelativePath", "InvalidDefaultArgInFrom",
					    "CopyIgnoredFile",	   "ExposeProtoCasing",
					    "ExposeInvalidFormat"};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (strcmp(rules[i], rule) == 0)
			return true;
	return false;
}

static void check_warnings(const struct conformance_case *c)
{
	json_t *want = json_object_get(c->expect, "warnings"), *row;
	struct df_lint l = DF_LINT_INIT;
	size_t i, n = 0;

	if (c->file->check.value)
		assert_int_equal(df_lint_config_parse(c->file->check.value, &l.config, NULL), 0);
	df_lint_file(&l, c->file);
	for (i = 0; i < c->file->n_stages; i++) {
		struct df_lint_stage stage = {0};

		for (size_t k = 0; k < c->file->stages[i].n; k++)
			df_lint_command(&l, &stage, c->file->stages[i].commands[k]);
	}
	json_array_foreach(want, i, row)
	{
		const char *rule = json_string_value(json_array_get(row, 0));
		json_int_t line = json_integer_value(json_array_get(row, 1));
		bool found = needs_compiler(rule);

		n += !found;
		for (size_t w = 0; !found && w < l.n; w++)
			found = strcmp(df_rules[l.warnings[w].rule].name, rule) == 0 &&
				l.warnings[w].span.line == line;
		if (!found)
			fail_msg("%s: no %s in line %d", c->name, rule, (int)line);
	}
	if (n != l.n)
		fail_msg("%s: %zu warnings, not %zu", c->name, l.n, n);
	df_lint_release(&l);
}

static bool has_arguments(const struct conformance_case *c, const char *word)
{
	json_t *args = json_object_get(c->about, "args"), *arg;
	size_t i;

	json_array_foreach(args, i, arg) if (strstr(json_string_value(arg), word)) return true;
	return false;
}

static void check(struct conformance_case *c)
{
	const char *result = json_string_value(json_object_get(c->expect, "result"));
	int r = df_parse("Dockerfile", c->dockerfile.p, c->dockerfile.n, &c->file, &c->err);

	if (!result || strcmp(result, "error") != 0) {
		if (r < 0)
			fail_msg("%s: %s", c->name, error_text(c->err));
	} else if (r < 0) {
		check_message(c);
	} else {
		const char *message =
			json_string_value(json_object_get(c->expect, "reference_message"));

		if (message && strstr(message, "dockerfile parse error"))
			fail_msg("%s: no error", c->name);
	}
	if (r == 0 && result && strcmp(result, "lint") == 0 && !has_arguments(c, "--build-arg"))
		check_warnings(c);
}

static void the_parser_agrees_with_the_corpus(void **state)
{
	DIR *dir = opendir(corpus());
	struct conformance_case c;
	struct dirent *de;
	size_t n = 0;

	(void)state;
	if (!dir) {
		print_message("no conformance corpus in '%s'\n", corpus());
		skip();
	}
	while ((de = readdir(dir))) {
		if (de->d_name[0] == '.')
			continue;
		if (load(&c, de->d_name)) {
			check(&c);
			n++;
		}
		release(&c);
	}
	closedir(dir);
	assert_true(n > 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_parser_agrees_with_the_corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
