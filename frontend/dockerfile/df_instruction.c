/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/dockerfile/df_instruction.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/suggest.h"
#include "frontend/dockerfile/df_parse.h"
#include "frontend/dockerfile/df_split.h"

/* How an instruction's arguments are split. */
enum form {
	FORM_JSON_OR_TEXT,
	FORM_JSON_OR_LIST,
	FORM_TEXT,
	FORM_LIST,
	FORM_WORDS,
	FORM_PAIRS,
	FORM_TYPE_AND_COMMAND,
	FORM_INSTRUCTION,
};

static const struct {
	const char *name;
	enum form form;
} kinds[] = {
	[DF_ADD] = {"ADD", FORM_JSON_OR_LIST},
	[DF_ARG] = {"ARG", FORM_WORDS},
	[DF_CMD] = {"CMD", FORM_JSON_OR_TEXT},
	[DF_COPY] = {"COPY", FORM_JSON_OR_LIST},
	[DF_ENTRYPOINT] = {"ENTRYPOINT", FORM_JSON_OR_TEXT},
	[DF_ENV] = {"ENV", FORM_PAIRS},
	[DF_EXPOSE] = {"EXPOSE", FORM_LIST},
	[DF_FROM] = {"FROM", FORM_LIST},
	[DF_HEALTHCHECK] = {"HEALTHCHECK", FORM_TYPE_AND_COMMAND},
	[DF_LABEL] = {"LABEL", FORM_PAIRS},
	[DF_MAINTAINER] = {"MAINTAINER", FORM_TEXT},
	[DF_ONBUILD] = {"ONBUILD", FORM_INSTRUCTION},
	[DF_RUN] = {"RUN", FORM_JSON_OR_TEXT},
	[DF_SHELL] = {"SHELL", FORM_JSON_OR_TEXT},
	[DF_STOPSIGNAL] = {"STOPSIGNAL", FORM_TEXT},
	[DF_USER] = {"USER", FORM_TEXT},
	[DF_VOLUME] = {"VOLUME", FORM_JSON_OR_LIST},
	[DF_WORKDIR] = {"WORKDIR", FORM_TEXT},
};

const char *df_kind_name(enum df_kind kind)
{
	return kinds[kind].name;
}

/* 0 if there is no such instruction. */
static enum df_kind find_kind(const char *keyword)
{
	for (enum df_kind k = DF_ADD; k < ARRAY_SIZE(kinds); k++)
		if (df_equal_fold(kinds[k].name, keyword))
			return k;
	return 0;
}

static int unknown_instruction(struct arena *a, const char *keyword, struct error **err)
{
	enum { SHOWN_MAX = 60 };
	const char *names[ARRAY_SIZE(kinds)], *match, *shown = keyword;
	size_t n = 0;

	for (enum df_kind k = DF_ADD; k < ARRAY_SIZE(kinds); k++)
		names[n++] = kinds[k].name;
	match = suggest(keyword, names, n, false);
	if (strlen(keyword) > SHOWN_MAX)
		shown = arena_printf(a, "%.*s...", SHOWN_MAX, keyword);
	if (!match) {
		int r = error_new(err, ERR_INVALID, 0, "unknown instruction: %s", shown);

		return strchr("&|;", *keyword)
			       ? error_hint(
					 err, r,
					 "it seems to go on from the line before, which then ends "
					 "with \\")
			       : r;
	}
	if (!df_has_upper(keyword))
		match = df_lower(a, match);
	return error_new(err, ERR_INVALID, 0, "unknown instruction: %s (did you mean %s?)", shown,
			 match);
}

static int split_json_or(struct df_request *req, struct df_slice text, bool list, bool *ret_json,
			 struct error **err)
{
	int r;

	r = df_split_json(req->arena, text, &req->args, err);
	if (r < 0)
		return r;
	*ret_json = r > 0;
	if (r > 0)
		return 0;
	if (list)
		df_split_blanks(req->arena, text, &req->args);
	else if (text.n > 0)
		df_strings_push(req->arena, &req->args, arena_strndup(req->arena, text.p, text.n));
	return 0;
}

/* HEALTHCHECK: args are the type and then the command as for CMD. */
static int split_healthcheck(struct df_request *req, bool *ret_json, struct error **err)
{
	struct df_slice type, command;
	struct df_strings all = {0};
	int r;

	if (req->rest.n == 0)
		return 0;
	df_split_keyword(req->rest, &type, &command);
	r = split_json_or(req, command, false, ret_json, err);
	if (r < 0)
		return r;
	df_strings_push(req->arena, &all, arena_strndup(req->arena, type.p, type.n));
	for (size_t i = 0; i < req->args.n; i++)
		df_strings_push(req->arena, &all, req->args.v[i]);
	req->args = all;
	return 0;
}

static int split_args(struct df_request *req, enum form form, bool *ret_json, struct error **err)
{
	switch (form) {
	case FORM_JSON_OR_TEXT:
		return split_json_or(req, req->rest, false, ret_json, err);
	case FORM_JSON_OR_LIST:
		return split_json_or(req, req->rest, true, ret_json, err);
	case FORM_LIST:
		df_split_blanks(req->arena, req->rest, &req->args);
		return 0;
	case FORM_WORDS:
	case FORM_PAIRS:
		df_split_words(req->arena, req->rest, req->escape, &req->args);
		return 0;
	case FORM_TYPE_AND_COMMAND:
		return split_healthcheck(req, ret_json, err);
	case FORM_TEXT:
	case FORM_INSTRUCTION:
		break;
	}
	if (req->rest.n > 0)
		df_strings_push(req->arena, &req->args,
				arena_strndup(req->arena, req->rest.p, req->rest.n));
	return 0;
}

/* As df_request_init, but a keyword that does not exist gives kind 0. */
static int split_request(struct df_request *req, struct arena *a, char escape, const char *line,
			 struct df_instruction *ins, struct error **err)
{
	struct df_slice keyword, text;
	int r;

	*req = (struct df_request){.arena = a, .escape = escape, .line = {line, strlen(line)}};
	text = df_trim(req->line);
	df_split_keyword(text, &keyword, &req->rest);
	ins->keyword = arena_strndup(a, keyword.p, keyword.n);
	ins->text = arena_strndup(a, text.p, text.n);
	ins->kind = find_kind(ins->keyword);
	if (!ins->kind)
		return 0;
	req->name = kinds[ins->kind].name;
	df_split_flags(a, &req->rest, escape, &ins->flags);
	r = split_args(req, kinds[ins->kind].form, &ins->json, err);
	req->misread = r < 0;
	return r;
}

int df_request_init(struct df_request *req, struct arena *a, char escape, const char *line,
		    struct df_instruction *ret, struct error **err)
{
	int r;

	r = split_request(req, a, escape, line, ret, err);
	if (r < 0)
		return r;
	if (!ret->kind)
		return unknown_instruction(a, ret->keyword, err);
	return 0;
}

bool df_request_takes_heredocs(const struct df_request *req, const struct df_instruction *ins)
{
	struct df_instruction inner = {0};
	struct df_request inner_req;

	if (ins->kind == DF_ONBUILD && req->args.n > 0) {
		if (split_request(&inner_req, req->arena, req->escape, req->args.v[0], &inner,
				  NULL) < 0)
			return false;
		ins = &inner;
	}
	return (ins->kind == DF_RUN || ins->kind == DF_COPY || ins->kind == DF_ADD) && !ins->json;
}

static int exactly_one(const struct df_request *req, struct error **err)
{
	return error_new(err, ERR_INVALID, 0, "%s requires exactly one argument", req->name);
}

static int at_least_one(const struct df_request *req, struct error **err)
{
	return error_new(err, ERR_INVALID, 0, "%s requires at least one argument", req->name);
}

static int no_flags(struct df_request *req, const struct df_instruction *ins, struct error **err)
{
	return df_flags_parse(req, ins, NULL, 0, err);
}

static const char *find_doc(const struct df_instruction *ins, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; n > 0 && i < ins->comments.n; i++)
		if (strncmp(ins->comments.v[i], name, n) == 0 && ins->comments.v[i][n] == ' ')
			return ins->comments.v[i] + n + 1;
	return NULL;
}

/* [a-z][a-z0-9-_.]* */
static bool is_stage_name(const char *s)
{
	if (*s < 'a' || *s > 'z')
		return false;
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] == '\0';
}

static int parse_from(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	struct df_from *f = &ins->from;
	const struct df_flag_spec flags[] = {{"platform", DF_FLAG_STRING, &f->platform}};

	if (req->args.n == 3 && df_equal_fold(req->args.v[1], "as")) {
		f->as = req->args.v[1];
		f->name_written = req->args.v[2];
		f->name = df_lower(req->arena, f->name_written);
		if (!is_stage_name(f->name))
			return error_new(err, ERR_INVALID, 0,
					 "invalid name for build stage: %s, name can't start with "
					 "a number or contain symbols",
					 df_quote(req->arena, f->name_written));
		f->doc = find_doc(ins, f->name);
	} else if (req->args.n != 1) {
		return error_new(err, ERR_INVALID, 0,
				 "FROM requires either one or three arguments");
	}
	f->base = req->args.v[0];
	return df_flags_parse(req, ins, flags, ARRAY_SIZE(flags), err);
}

static int parse_word(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	if (req->args.n != 1)
		return exactly_one(req, err);
	ins->word = req->args.v[0];
	/* BuildKit does not look at the flags of STOPSIGNAL (nor at those of ARG). */
	return ins->kind == DF_STOPSIGNAL ? 0 : no_flags(req, ins, err);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int parse_expose(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	if (req->args.n == 0)
		return at_least_one(req, err);
	qsort(req->args.v, req->args.n, sizeof(*req->args.v), compare_strings);
	ins->words = req->args;
	return no_flags(req, ins, err);
}

static int parse_volume(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	struct df_slice s;
	int r;

	if (req->args.n == 0)
		return at_least_one(req, err);
	r = no_flags(req, ins, err);
	for (size_t i = 0; r == 0 && i < req->args.n; i++) {
		s = df_trim((struct df_slice){req->args.v[i], strlen(req->args.v[i])});
		if (s.n == 0)
			return error_new(err, ERR_INVALID, 0,
					 "VOLUME specified can not be an empty string");
		df_strings_push(req->arena, &ins->words, arena_strndup(req->arena, s.p, s.n));
	}
	return r;
}

static struct df_pair split_pair(struct arena *a, const char *word)
{
	const char *equal = strchr(word, '=');

	if (!equal)
		return (struct df_pair){.key = word};
	return (struct df_pair){.key = arena_strndup(a, word, (size_t)(equal - word)),
				.value = equal + 1};
}

static int parse_arg(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	struct df_pair *pair;

	if (req->args.n == 0)
		return at_least_one(req, err);
	ins->pairs.v = arena_alloc(req->arena, req->args.n * sizeof(*ins->pairs.v));
	for (size_t i = 0; i < req->args.n; i++) {
		pair = &ins->pairs.v[ins->pairs.n++];
		*pair = split_pair(req->arena, req->args.v[i]);
		if (!*pair->key)
			return error_new(err, ERR_INVALID, 0, "ARG names can not be blank");
		pair->doc = find_doc(ins, pair->key);
	}
	return 0;
}

/* "KEY the rest of the line". */
static int read_legacy_pair(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	struct df_slice key, value;

	df_split_keyword(req->rest, &key, &value);
	req->misread = value.n == 0;
	if (req->misread)
		return error_new(err, ERR_INVALID, 0, "%s must have two arguments", req->name);
	ins->pairs.v = arena_alloc(req->arena, sizeof(*ins->pairs.v));
	ins->pairs.n = 1;
	ins->pairs.v[0] = (struct df_pair){.key = arena_strndup(req->arena, key.p, key.n),
					   .value = arena_strndup(req->arena, value.p, value.n),
					   .legacy = true};
	return 0;
}

/* The words of ENV and LABEL. What is wrong with them is found while the file is read, also behind
 * ONBUILD. */
static int read_pairs(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	struct df_pair *pair;

	if (req->args.n == 0)
		return 0;
	if (!strchr(req->args.v[0], '='))
		return read_legacy_pair(req, ins, err);
	ins->pairs.v = arena_alloc(req->arena, req->args.n * sizeof(*ins->pairs.v));
	for (size_t i = 0; i < req->args.n; i++) {
		pair = &ins->pairs.v[ins->pairs.n++];
		*pair = split_pair(req->arena, req->args.v[i]);
		req->misread = !pair->value;
		if (req->misread) {
			int r = error_new(err, ERR_INVALID, 0,
					  "Syntax error - can't find = in %s. Must be of the "
					  "form: name=value",
					  df_quote(req->arena, req->args.v[i]));

			return error_hint(err, r,
					  "a value with blanks is written in quotes: "
					  "NAME=\"two words\"");
		}
	}
	return 0;
}

static int parse_pairs(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	int r = read_pairs(req, ins, err);

	if (r == 0)
		r = no_flags(req, ins, err);
	if (r < 0)
		return r;
	if (req->args.n == 0)
		return at_least_one(req, err);
	for (size_t i = 0; i < ins->pairs.n; i++)
		if (!*ins->pairs.v[i].key)
			return error_new(err, ERR_INVALID, 0, "%s names can not be blank",
					 req->name);
	return 0;
}

struct df_command df_command_parse(struct df_request *req, const struct df_instruction *ins)
{
	return (struct df_command){.args = req->args, .shell_form = !ins->json};
}

static int parse_command(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	ins->command = df_command_parse(req, ins);
	return no_flags(req, ins, err);
}

static int parse_shell(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	if (req->args.n == 0)
		return at_least_one(req, err);
	if (!ins->json)
		return error_new(err, ERR_INVALID, 0,
				 "SHELL requires the arguments to be in JSON form");
	return parse_command(req, ins, err);
}

/* What config.OnBuild keeps: the text behind ONBUILD, and the heredocs' bodies. */
static const char *trigger_text(struct df_request *req, const struct df_instruction *ins)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct df_slice s = df_trim_left(req->line);
	size_t skip = strlen(ins->keyword);

	s = df_trim_left((struct df_slice){s.p + skip, s.n - skip});
	buf_add(&b, s.p, s.n);
	for (size_t i = 0; i < ins->n_heredocs; i++)
		buf_addf(&b, "\n%s%s", ins->heredocs[i].content, ins->heredocs[i].name);
	return arena_strndup(req->arena, b.p, b.n);
}

static int parse_onbuild(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	struct df_instruction inner = {0};
	struct df_request inner_req;
	int r;

	if (req->args.n == 0)
		return at_least_one(req, err);
	r = no_flags(req, ins, err);
	if (r < 0)
		return r;
	r = split_request(&inner_req, req->arena, req->escape, req->args.v[0], &inner, err);
	if (r == 0 && (inner.kind == DF_ENV || inner.kind == DF_LABEL))
		r = read_pairs(&inner_req, &inner, err);
	req->misread = inner_req.misread;
	if (r < 0)
		return r;
	if (inner.kind == DF_ONBUILD)
		return error_new(err, ERR_INVALID, 0,
				 "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	if (inner.kind == DF_FROM || inner.kind == DF_MAINTAINER)
		return error_new(err, ERR_INVALID, 0, "%s isn't allowed as an ONBUILD trigger",
				 kinds[inner.kind].name);
	ins->onbuild.expression = trigger_text(req, ins);
	return 0;
}

int df_instruction_parse(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	switch (ins->kind) {
	case DF_ADD:
	case DF_COPY:
		return df_copy_parse(req, ins, err);
	case DF_ARG:
		return parse_arg(req, ins, err);
	case DF_CMD:
	case DF_ENTRYPOINT:
		return parse_command(req, ins, err);
	case DF_ENV:
	case DF_LABEL:
		return parse_pairs(req, ins, err);
	case DF_EXPOSE:
		return parse_expose(req, ins, err);
	case DF_FROM:
		return parse_from(req, ins, err);
	case DF_HEALTHCHECK:
		return df_healthcheck_parse(req, ins, err);
	case DF_ONBUILD:
		return parse_onbuild(req, ins, err);
	case DF_RUN:
		return df_run_parse(req, ins, err);
	case DF_SHELL:
		return parse_shell(req, ins, err);
	case DF_VOLUME:
		return parse_volume(req, ins, err);
	case DF_MAINTAINER:
	case DF_STOPSIGNAL:
	case DF_USER:
	case DF_WORKDIR:
		break;
	}
	return parse_word(req, ins, err);
}
