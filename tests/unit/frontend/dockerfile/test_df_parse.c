/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "frontend/dockerfile/df_lex.h"
#include "frontend/dockerfile/df_parse.h"

static struct df_file *parse(const char *text)
{
	_cleanup_(error_freep) struct error *err = NULL;
	struct df_file *f = NULL;

	if (df_parse("Dockerfile", text, strlen(text), &f, &err) < 0)
		fail_msg("%s: %s", text, error_text(err));
	return f;
}

/* The text must be refused with exactly this message, at this line. */
static void refuse_n(const char *text, size_t n, unsigned line, const char *want)
{
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_(df_file_freep) struct df_file *f = NULL;

	assert_int_equal(df_parse("Dockerfile", text, n, &f, &err), -ERR_INVALID);
	assert_string_equal(error_text(err), want);
	assert_int_equal(error_span(err).line, line);
	if (line > 0)
		assert_string_equal(error_file(err), "Dockerfile");
}

static void refuse(const char *text, unsigned line, const char *want)
{
	refuse_n(text, strlen(text), line, want);
}

/* As refuse, for the second line of a file that cannot be read. */
static void refuse_reading(const char *text, const char *want)
{
	_cleanup_free_ char *file = xasprintf("FROM a\n%s\n", text);

	refuse(file, 2, want);
}

/* As refuse, for the second line of a file; `want` is behind the common start. */
static void refuse_instruction(const char *text, const char *want)
{
	_cleanup_free_ char *file = xasprintf("FROM a\n%s\n", text);
	_cleanup_free_ char *full = xasprintf("dockerfile parse error on line 2: %s", want);

	refuse(file, 2, full);
}

static void assert_strings(const struct df_strings *got, const char *const *want, size_t n)
{
	assert_int_equal(got->n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(got->v[i], want[i]);
}
#define assert_list(got, ...)                                   \
	assert_strings(got, (const char *const[]){__VA_ARGS__}, \
		       sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void files_without_instructions_or_stages_are_refused(void **state)
{
	(void)state;
	refuse("", 0, "the Dockerfile cannot be empty");
	refuse("\n# only\n\n", 0, "file with no instructions");
	refuse("ARG A=1\n", 0, "dockerfile contains no stages to build");
	refuse("ARG A\nRUN x\n", 2, "no build stage in current context");
}

static void mistakes_of_reading_name_no_line(void **state)
{
	static const char *const rows[][2] = {
		{"ENV a", "ENV must have two arguments"},
		{"LABEL \"a", "LABEL must have two arguments"},
		{"ONBUILD ENV a", "ENV must have two arguments"},
		{"ENV a=b c",
		 "Syntax error - can't find = in \"c\". Must be of the form: name=value"},
		{"RUN [\"a\", 1]",
		 "when using JSON array syntax, arrays must be comprised of strings only"},
		{"RUN <<X\nabc", "unterminated heredoc"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		refuse_reading(rows[i][0], rows[i][1]);
	refuse_instruction("ENV =b", "ENV names can not be blank");
}

static void continuations_join_lines_and_drop_comments_and_blank_lines(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f =
		parse("FROM busybox\n  RUN a \\  \n# no\n\n  # no\n  b\\\nc \\\\\nCMD x\\");
	const struct df_instruction *run = f->instructions[1];

	(void)state;
	assert_int_equal(f->n, 3);
	assert_string_equal(run->text, "RUN a   bc \\\\");
	assert_int_equal(run->span.line, 2);
	assert_int_equal(run->span.end_line, 7);
	assert_int_equal(run->span.column, 3);
	assert_int_equal(f->n_empty_continuations, 1);
	assert_int_equal(f->empty_continuations[0].line, 7);
	assert_string_equal(f->instructions[2]->text, "CMD x");
}

static void byte_order_mark_and_carriage_returns_are_dropped(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f =
		parse("\xef\xbb\xbf# escape=`\r\nFROM a\r\nRUN b `\r\n c\r\n");

	(void)state;
	assert_int_equal(f->escape, '`');
	assert_string_equal(f->instructions[1]->text, "RUN b  c");
	assert_int_equal(f->n_lines, 4);
	assert_int_equal(f->lines[1].n, 6);
}

static void directives_are_read_at_the_top_only(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f =
		parse("#  Syntax = docker/dockerfile:1 x\n# check=skip=all\n# other\n"
		      "# escape=`\nFROM a\n");

	(void)state;
	assert_string_equal(f->syntax.value, "docker/dockerfile:1 x");
	assert_int_equal(f->syntax.span.line, 1);
	assert_string_equal(f->check.value, "skip=all");
	assert_int_equal(f->escape, '\\');
	refuse("# escape=`\n#escape=\\\nFROM a", 2, "only one escape parser directive can be used");
	refuse("# escape=x\nFROM a", 1, "invalid escape token 'x' does not match ` or \\");
}

static void syntax_is_found_in_several_forms(void **state)
{
	static const struct {
		const char *text, *want;
		unsigned line;
	} rows[] = {
		{"# syntax=a/b:1 args\nFROM x", "a/b:1", 1},
		{"#!/bin/x\n# escape=`\n#syntax = c\n", "c", 3},
		{"// syntax=d\r\n", "d", 1},
		{"{\"syntax\": \"e\"}", "e", 1},
		{"\n# syntax=f\n", NULL, 0},
		{"{\"syntax\": 1}", NULL, 0},
		{"", NULL, 0},
	};
	struct arena a = ARENA_INIT;
	struct source_span span;
	const char *got;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		df_detect_syntax(&a, rows[i].text, strlen(rows[i].text), &got, &span);
		if (rows[i].want)
			assert_string_equal(got, rows[i].want);
		else
			assert_null(got);
		assert_int_equal(span.line, rows[i].line);
	}
	arena_release(&a);
}

static void comments_right_above_describe_stages_and_arguments(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f = parse(
		"# far away\n#\n\n# A the letter\n\nARG A\n# x\n#\n# app is it\nFROM a AS App\n"
		"# check=skip=all\n# B bee\n  # C sea\nARG C B=1\n");

	(void)state;
	assert_int_equal(f->n_meta_args, 1);
	assert_list(&f->instructions[0]->comments, "A the letter");
	assert_string_equal(f->instructions[0]->pairs.v[0].doc, "the letter");
	assert_string_equal(f->stages[0].from->from.doc, "is it");
	assert_string_equal(f->stages[0].from->from.name, "app");
	assert_string_equal(f->stages[0].from->from.name_written, "App");
	assert_null(f->instructions[2]->pairs.v[0].doc);
	assert_null(f->instructions[2]->pairs.v[0].value);
	assert_string_equal(f->instructions[2]->pairs.v[1].doc, "bee");
}

static void what_stands_before_a_mistake_is_kept(void **state)
{
	static const char text[] = "FROM scratch AS Bad\nMAINTAINER me\nBADCMD\nRUN x\n";
	_cleanup_(df_file_freep) struct df_file *f = NULL;

	(void)state;
	assert_int_equal(df_parse("Dockerfile", text, strlen(text), &f, NULL), -ERR_INVALID);
	assert_int_equal(f->n, 2);
	assert_int_equal(f->instructions[1]->kind, DF_MAINTAINER);
	assert_int_equal(f->n_lines, 4);
	assert_int_equal(f->n_stages, 0);
}

/* BuildKit does not look at them, so files with mistakes in them build. */
static void some_instructions_ignore_their_flags(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f =
		parse("FROM a\nARG --x A\nSTOPSIGNAL --x 9\nHEALTHCHECK --x NONE\n");

	(void)state;
	assert_string_equal(f->instructions[1]->pairs.v[0].key, "A");
	assert_string_equal(f->instructions[2]->word, "9");
	assert_true(f->instructions[3]->healthcheck.none);
}

static void null_bytes_are_refused_outside_comments(void **state)
{
	static const char comment[] = "# a\0b\nFROM a\n", run[] = "FROM a\nRUN a\0b\n",
			  body[] = "FROM a\nCOPY <<E /\na\0b\nE\n";
	_cleanup_(df_file_freep) struct df_file *f = NULL;

	(void)state;
	assert_int_equal(df_parse("Dockerfile", comment, sizeof(comment) - 1, &f, NULL), 0);
	refuse_n(run, sizeof(run) - 1, 2, "invalid null byte (is this a text file?)");
	refuse_n(body, sizeof(body) - 1, 2, "invalid null byte (is this a text file?)");
}

static void check_is_found_behind_a_shebang_but_not_indented(void **state)
{
	static const char *const rows[][2] = {
		{"# check=skip=all\n", "skip=all"},
		{"#!/usr/bin/env docker\n# syntax=x\n#check = a;b \nFROM a\n", "a;b"},
		{" # check=skip=all\n", NULL},
		{"\n# check=skip=all\n", NULL},
		{"// check=skip=all\n", NULL},
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *got = df_detect_check(&a, rows[i][0], strlen(rows[i][0]));

		if (rows[i][1])
			assert_string_equal(got, rows[i][1]);
		else
			assert_null(got);
	}
	arena_release(&a);
}

static void stages_hold_their_commands(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f =
		parse("ARG V=1\nFROM --platform=$P a:$V AS x\nRUN 1\nRUN 2\nFROM x\n");

	(void)state;
	assert_int_equal(f->n_stages, 2);
	assert_int_equal(f->stages[0].n, 2);
	assert_string_equal(f->stages[0].commands[1]->text, "RUN 2");
	assert_string_equal(f->stages[0].from->from.platform, "$P");
	assert_string_equal(f->stages[0].from->from.base, "a:$V");
	assert_int_equal(f->stages[1].n, 0);
	assert_null(f->stages[1].from->from.name);
	assert_null(f->stages[1].from->from.platform);
}

static void from_is_checked(void **state)
{
	(void)state;
	refuse("FROM", 1,
	       "dockerfile parse error on line 1: FROM requires either one or three arguments");
	refuse("FROM a b", 1,
	       "dockerfile parse error on line 1: FROM requires either one or three arguments");
	refuse("FROM a AS 1x", 1,
	       "dockerfile parse error on line 1: invalid name for build stage: \"1x\", name "
	       "can't start with a number or contain symbols");
	refuse("FROM --plattform=x a", 1,
	       "dockerfile parse error on line 1: unknown flag: --plattform (did you mean "
	       "platform?)");
}

static void unknown_instructions_get_a_suggestion_in_their_case(void **state)
{
	(void)state;
	refuse_instruction("RUM x", "unknown instruction: RUM (did you mean RUN?)");
	refuse_instruction("coppy a b", "unknown instruction: coppy (did you mean copy?)");
	refuse_instruction("XYZZY", "unknown instruction: XYZZY");
	refuse_instruction("<<EOF", "unknown instruction: <<EOF");
}

static void flags_are_checked(void **state)
{
	(void)state;
	refuse_instruction("COPY --chwon=1 a b", "unknown flag: --chwon (did you mean chown?)");
	refuse_instruction("COPY --chown=1 --chown=2 a b", "duplicate flag specified: --chown");
	refuse_instruction("COPY --chown a b", "missing a value on flag: --chown");
	refuse_instruction("COPY --link= a b", "missing a value on flag: --link");
	refuse_instruction("COPY --link=yes a b",
			   "expecting boolean value for flag --link, not: yes");
	refuse_instruction("RUN --network=wifi x", "invalid network mode \"wifi\"");
	refuse_instruction("RUN --security=none x", "security \"none\" is not valid");
	refuse_instruction("WORKDIR --mode=1 /x", "unknown flag: --mode");
	refuse_instruction("RUN --mount=type=bind,from=$x y",
			   "'from' doesn't support variable expansion, define alias stage instead");
}

static void flag_words_lose_their_quotes(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f =
		parse("FROM a\nCOPY --chown=\"a b\"':c' --link=FALSE --exclude=x --exclude=y\\ z "
		      "-- --src /d\n");
	const struct df_copy *c = &f->instructions[1]->copy;

	(void)state;
	assert_string_equal(c->chown, "a b:c");
	assert_false(c->link);
	assert_list(&c->exclude, "x", "y z");
	assert_list(&c->sources, "--src");
	assert_string_equal(c->dest, "/d");
	assert_null(c->from);
	assert_int_equal(c->keep_git_dir, DF_UNSET);
}

static void json_form_is_told_from_shell_form(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f =
		parse("FROM a\nRUN [\"a\", \"b c\"]\nRUN [ -f x ] && y\nCMD []\nENTRYPOINT [\"x\"\n"
		      "COPY [\"a b\", \"/d e/\"]\nRUN\n");

	(void)state;
	assert_list(&f->instructions[1]->run.command.args, "a", "b c");
	assert_false(f->instructions[1]->run.command.shell_form);
	assert_list(&f->instructions[2]->run.command.args, "[ -f x ] && y");
	assert_true(f->instructions[2]->run.command.shell_form);
	assert_int_equal(f->instructions[3]->command.args.n, 0);
	assert_false(f->instructions[3]->command.shell_form);
	assert_list(&f->instructions[4]->command.args, "[\"x\"");
	assert_list(&f->instructions[5]->copy.sources, "a b");
	assert_string_equal(f->instructions[5]->copy.dest, "/d e/");
	assert_int_equal(f->instructions[6]->run.command.args.n, 0);
	refuse_reading("CMD [\"a\", 1]", "when using JSON array syntax, arrays must be "
					 "comprised of strings only");
	refuse_instruction("SHELL sh -c", "SHELL requires the arguments to be in JSON form");
	refuse_instruction("SHELL []", "SHELL requires at least one argument");
}

static void pairs_are_split_at_blanks_outside_quotes(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f =
		parse("FROM a\nENV A=1 B=\"x y\" C=z\\ w 'D E'=f G=\nLABEL k   v  w \nENV X $A\n");
	const struct df_instruction *env = f->instructions[1];

	(void)state;
	assert_int_equal(env->pairs.n, 5);
	assert_string_equal(env->pairs.v[1].value, "\"x y\"");
	assert_string_equal(env->pairs.v[2].value, "z\\ w");
	assert_string_equal(env->pairs.v[3].key, "'D E'");
	assert_string_equal(env->pairs.v[4].value, "");
	assert_true(f->instructions[2]->pairs.v[0].legacy);
	assert_string_equal(f->instructions[2]->pairs.v[0].value, "v  w");
	assert_string_equal(f->instructions[3]->pairs.v[0].value, "$A");
	refuse_reading("ENV a=b c", "Syntax error - can't find = in \"c\". Must be of the "
				    "form: name=value");
	refuse_reading("ENV a", "ENV must have two arguments");
	refuse_instruction("LABEL", "LABEL requires at least one argument");
	refuse_instruction("ENV =x", "ENV names can not be blank");
	refuse_instruction("ARG =x", "ARG names can not be blank");
}

static void argument_counts_are_checked(void **state)
{
	(void)state;
	refuse_instruction("COPY a", "COPY requires at least two arguments, but only one was "
				     "provided. Destination could not be determined");
	refuse_instruction("ADD []", "ADD requires at least two arguments, but only one was "
				     "provided. Destination could not be determined");
	refuse_instruction("WORKDIR", "WORKDIR requires exactly one argument");
	refuse_instruction("EXPOSE", "EXPOSE requires at least one argument");
	refuse_instruction("ARG", "ARG requires at least one argument");
	refuse_instruction("VOLUME [\" \"]", "VOLUME specified can not be an empty string");
}

static void healthchecks_are_checked(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f =
		parse("FROM a\nHEALTHCHECK --interval=5m --timeout=3s --retries=2 cmd curl x\n"
		      "HEALTHCHECK none\nHEALTHCHECK CMD [\"a\"]\n");
	const struct df_healthcheck *h = &f->instructions[1]->healthcheck;

	(void)state;
	assert_int_equal(h->interval, 300 * 1000000000ll);
	assert_int_equal(h->retries, 2);
	assert_list(&h->command.args, "curl x");
	assert_true(h->command.shell_form);
	assert_true(f->instructions[2]->healthcheck.none);
	assert_list(&f->instructions[3]->healthcheck.command.args, "a");
	refuse_instruction("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments");
	refuse_instruction("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD");
	refuse_instruction("HEALTHCHECK CURL x", "Unknown type \"CURL\" in HEALTHCHECK (try CMD)");
	refuse_instruction("HEALTHCHECK --interval=1us CMD x",
			   "Interval \"interval\" cannot be less than 1ms");
	refuse_instruction("HEALTHCHECK --timeout=soon CMD x", "time: invalid duration \"soon\"");
	refuse_instruction("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)");
	refuse_instruction("HEALTHCHECK --retries=x CMD x", "invalid value for --retries: \"x\"");
}

static void heredocs_are_read_in_order(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f =
		parse("FROM a\nCOPY <<one <<-'two' b /d/\n1 $A\none\n\t2\n\ttwo\nRUN cat <<X\nX\n");
	const struct df_instruction *copy = f->instructions[1];

	(void)state;
	assert_int_equal(copy->n_heredocs, 2);
	assert_int_equal(copy->span.end_line, 6);
	assert_int_equal(copy->copy.n_files, 2);
	assert_string_equal(copy->copy.files[0]->name, "one");
	assert_string_equal(copy->copy.files[0]->chomped, "1 $A\n");
	assert_true(copy->copy.files[0]->expand);
	assert_string_equal(copy->copy.files[1]->content, "\t2\n");
	assert_string_equal(copy->copy.files[1]->chomped, "2\n");
	assert_false(copy->copy.files[1]->expand);
	assert_list(&copy->copy.sources, "b");
	assert_string_equal(f->instructions[2]->heredocs[0].content, "");
	assert_string_equal(f->instructions[2]->text, "RUN cat <<X");
}

static void heredoc_like_text_is_left_alone(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f = parse(
		"FROM a\nRUN cat <<<x\nRUN echo \"<<EOF\"\nRUN [\"a\", \"<<EOF\"]\nCMD <<EOF\n"
		"RUN a < b\n");

	(void)state;
	assert_int_equal(f->n, 6);
	for (size_t i = 0; i < f->n; i++)
		assert_int_equal(f->instructions[i]->n_heredocs, 0);
}

static void heredocs_are_checked(void **state)
{
	(void)state;
	refuse_reading("RUN <<EOF\nx", "unterminated heredoc");
	refuse_reading("RUN <<EOF", "unterminated heredoc");
	refuse_reading("RUN <<EOF\n EOF\nEOF ", "unterminated heredoc");
	refuse_instruction("COPY a <<EOF\nx\nEOF", "COPY cannot accept a heredoc as a destination");
}

static void onbuild_keeps_text_that_can_be_parsed_again(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f =
		parse("FROM a\nonbuild   RUN --network=none <<A cat <<-B\n1\nA\n\t2\nB\n"
		      "ONBUILD COPY a \\\n b\n");
	const char *expression = f->instructions[1]->onbuild.expression;
	struct source_span at = {7, 7, 1};
	struct df_instruction *ins;
	struct arena a = ARENA_INIT;

	(void)state;
	assert_string_equal(expression, "RUN --network=none <<A cat <<-B\n1\nA\n\t2\nB");
	assert_string_equal(f->instructions[2]->onbuild.expression, "COPY a  b");
	assert_int_equal(df_parse_trigger(&a, "Dockerfile", expression, at, &ins, NULL), 0);
	assert_int_equal(ins->kind, DF_RUN);
	assert_int_equal(ins->n_heredocs, 2);
	assert_string_equal(ins->heredocs[1].chomped, "2\n");
	assert_int_equal(ins->span.line, 7);
	arena_release(&a);
}

static void onbuild_is_checked(void **state)
{
	static const char *const bad[][2] = {
		{"RUN --nope x", "onbuild trigger 'RUN --nope x': unknown flag: --nope"},
		{"FROM x", "onbuild trigger 'FROM x': FROM isn't allowed as an ONBUILD trigger"},
		{"RUN a\nRUN b",
		 "onbuild trigger 'RUN a\nRUN b': onbuild trigger should be a single "
		 "expression"},
		{"", "onbuild trigger '': file with no instructions"},
	};
	struct arena a = ARENA_INIT;
	struct df_instruction *ins;

	(void)state;
	refuse_instruction("ONBUILD", "ONBUILD requires at least one argument");
	refuse_instruction("ONBUILD ONBUILD RUN x",
			   "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	refuse_instruction("ONBUILD from x", "FROM isn't allowed as an ONBUILD trigger");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(error_freep) struct error *err = NULL;

		assert_int_equal(df_parse_trigger(&a, "Dockerfile", bad[i][0],
						  (struct source_span){3, 3, 0}, &ins, &err),
				 -ERR_INVALID);
		assert_string_equal(error_text(err), bad[i][1]);
		assert_int_equal(error_span(err).line, 3);
	}
	arena_release(&a);
}

static void bytes_that_are_not_text_are_refused(void **state)
{
	_cleanup_(df_file_freep) struct df_file *f = parse("FROM a\nLABEL x=\xff\xfe\n");

	(void)state;
	assert_string_equal(f->instructions[1]->pairs.v[0].value, "\xff\xfe");
	refuse_n("FROM a\nRUN \0x\n", 14, 2, "invalid null byte (is this a text file?)");
}

static char *repeat(const char *before, const char *text, size_t n, size_t *ret_n)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, before);
	for (size_t i = 0; i < n; i++)
		buf_adds(&b, text);
	*ret_n = b.n;
	return buf_take(&b);
}

/* Appends to text of repeat(), which it frees. */
static char *add_lines(char *text, const char *line, size_t n, size_t *ret_n)
{
	_cleanup_free_ char *before = xasprintf("%s\n", text);

	free(text);
	return repeat(before, line, n, ret_n);
}

static void limits_are_kept(void **state)
{
	size_t n;
	_cleanup_free_ char *line = repeat("FROM a\nRUN ", "x", DF_LINE_MAX - 4, &n);
	_cleanup_free_ char *longer = repeat("FROM a\nRUN ", "x", DF_LINE_MAX - 3, &n);
	_cleanup_free_ char *lines = NULL, *instructions = NULL, *file = NULL, *joined = NULL;
	_cleanup_free_ char *heredocs = NULL;

	(void)state;
	df_file_free(parse(line));
	refuse_n(longer, n, 2,
		 "dockerfile line greater than max allowed size "
		 "of 65535");
	lines = repeat("FROM a", "\n", DF_LINES_MAX + 1, &n);
	refuse_n(lines, n, 0, "dockerfile has more than 1000000 lines");
	instructions = repeat("", "FROM a\n", 100001, &n);
	refuse_n(instructions, n, 100001,
		 "dockerfile has more than 100000 "
		 "instructions");
	file = repeat("FROM a\n", "# 45678\n", DF_FILE_MAX / 8, &n);
	refuse_n(file, n, 0, "'Dockerfile' is larger than 16777216 bytes");
	joined = repeat("FROM a\nRUN ", "0123456789012345678901234567890\\\n",
			DF_INSTRUCTION_MAX / 31 + 1, &n);
	refuse_n(joined, n, 2, "instruction is longer than 4194304 bytes");
	heredocs = repeat("FROM a\nCOPY /d", " \\\n<<a", 1001, &n);
	heredocs = add_lines(heredocs, "a\n", 1001, &n);
	refuse_n(heredocs, n, 2, "instruction has more than 1000 heredocs");
}

static void ten_thousand_stages_parse(void **state)
{
	size_t n;
	_cleanup_free_ char *text = repeat("", "FROM a AS b\nCOPY --from=c x y\n", 10000, &n);
	_cleanup_(df_file_freep) struct df_file *f = parse(text);

	(void)state;
	assert_int_equal(f->n_stages, 10000);
	assert_int_equal(f->stages[9999].n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_without_instructions_or_stages_are_refused),
		cmocka_unit_test(mistakes_of_reading_name_no_line),
		cmocka_unit_test(continuations_join_lines_and_drop_comments_and_blank_lines),
		cmocka_unit_test(byte_order_mark_and_carriage_returns_are_dropped),
		cmocka_unit_test(directives_are_read_at_the_top_only),
		cmocka_unit_test(syntax_is_found_in_several_forms),
		cmocka_unit_test(comments_right_above_describe_stages_and_arguments),
		cmocka_unit_test(what_stands_before_a_mistake_is_kept),
		cmocka_unit_test(some_instructions_ignore_their_flags),
		cmocka_unit_test(null_bytes_are_refused_outside_comments),
		cmocka_unit_test(check_is_found_behind_a_shebang_but_not_indented),
		cmocka_unit_test(stages_hold_their_commands),
		cmocka_unit_test(from_is_checked),
		cmocka_unit_test(unknown_instructions_get_a_suggestion_in_their_case),
		cmocka_unit_test(flags_are_checked),
		cmocka_unit_test(flag_words_lose_their_quotes),
		cmocka_unit_test(json_form_is_told_from_shell_form),
		cmocka_unit_test(pairs_are_split_at_blanks_outside_quotes),
		cmocka_unit_test(argument_counts_are_checked),
		cmocka_unit_test(healthchecks_are_checked),
		cmocka_unit_test(heredocs_are_read_in_order),
		cmocka_unit_test(heredoc_like_text_is_left_alone),
		cmocka_unit_test(heredocs_are_checked),
		cmocka_unit_test(onbuild_keeps_text_that_can_be_parsed_again),
		cmocka_unit_test(onbuild_is_checked),
		cmocka_unit_test(bytes_that_are_not_text_are_refused),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(ten_thousand_stages_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
