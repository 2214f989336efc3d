/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/dockerfile/df_parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/vec.h"
#include "frontend/dockerfile/df_heredoc.h"
#include "frontend/dockerfile/df_instruction.h"
#include "frontend/dockerfile/df_lex.h"

enum { DF_INSTRUCTIONS_MAX = 100 * 1000 };

/* A file under construction. */
struct parser {
	struct df_file *file;
	struct df_lex lex;
	VEC(struct df_instruction *) instructions;
	VEC(struct source_span) empty_continuations;
};

/* Understands one joined instruction and takes its heredocs from the lexer. *ret_misread: it failed
 * before the instruction was looked at (see df_request). */
static int parse_joined(struct df_lex *lex, const struct df_joined *joined,
			struct df_instruction *ins, bool *ret_misread, struct error **err)
{
	struct df_request req;
	int r;

	*ret_misread = true;

	ins->span = joined->span;
	ins->comments = joined->comments;
	r = df_request_init(&req, lex->arena, lex->escape, joined->text, ins, err);
	if (r == 0 && strstr(joined->text, "<<") && df_request_takes_heredocs(&req, ins)) {
		r = df_heredoc_read_all(lex, joined->text, &ins->heredocs, &ins->n_heredocs, err);
		if (r < 0)
			return r;
		ins->span.end_line = (unsigned)lex->next;
	}
	if (r == 0)
		r = df_instruction_parse(&req, ins, err);
	*ret_misread = req.misread;
	return r;
}

static int read_instructions(struct parser *p, struct error **err)
{
	struct df_file *f = p->file;
	struct df_instruction *ins;
	struct df_joined joined;
	bool misread;
	int r;

	while ((r = df_lex_next(&p->lex, &joined, err)) > 0) {
		if (p->instructions.n == DF_INSTRUCTIONS_MAX) {
			r = error_new(err, ERR_INVALID, 0,
				      "dockerfile has more than %d instructions",
				      DF_INSTRUCTIONS_MAX);
			return error_at(err, r, f->name, joined.span);
		}
		ins = arena_alloc(&f->arena, sizeof(*ins));
		r = parse_joined(&p->lex, &joined, ins, &misread, err);
		if (r < 0 && !misread)
			error_wrap(err, r, "dockerfile parse error on line %u", joined.span.line);
		if (r < 0)
			return error_at(err, r, f->name, ins->span);
		vec_push(&p->instructions, ins);
		if (joined.empty_continuation)
			vec_push(&p->empty_continuations,
				 (struct source_span){joined.span.end_line, joined.span.end_line,
						      0});
	}
	return r < 0 ? error_at(err, r, f->name, joined.span) : 0;
}

static void *move_to_arena(struct arena *a, const void *v, size_t size)
{
	void *p = arena_alloc(a, size);

	if (size > 0)
		memcpy(p, v, size);
	return p;
}

/* Cuts the list of instructions into global ARGs and stages. */
static int make_stages(struct df_file *f, struct error **err)
{
	struct df_stage *stages;
	struct df_instruction *ins;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < f->n; i++)
		n += f->instructions[i]->kind == DF_FROM;
	stages = arena_alloc(&f->arena, n * sizeof(*stages));
	f->stages = stages;
	f->meta_args = f->instructions;
	for (size_t i = 0; i < f->n; i++) {
		ins = f->instructions[i];
		if (ins->kind == DF_FROM) {
			stages[f->n_stages++] =
				(struct df_stage){.from = ins, .commands = f->instructions + i + 1};
		} else if (f->n_stages > 0) {
			stages[f->n_stages - 1].n++;
		} else if (ins->kind == DF_ARG) {
			f->n_meta_args++;
		} else {
			r = error_new(err, ERR_INVALID, 0, "no build stage in current context");
			error_hint(err, r, "start the file with a FROM instruction");
			return error_at(err, r, f->name, ins->span);
		}
	}
	if (f->n_stages > 0)
		return 0;
	r = error_new(err, ERR_INVALID, 0, "dockerfile contains no stages to build");
	return error_hint(err, r, "add a FROM instruction");
}

/* Hands what was parsed to the file. */
static void collect(struct parser *p)
{
	struct df_file *f = p->file;

	f->escape = p->lex.escape;
	f->syntax = p->lex.syntax;
	f->check = p->lex.check;
	f->n = p->instructions.n;
	f->instructions =
		move_to_arena(&f->arena, p->instructions.v, f->n * sizeof(*p->instructions.v));
	f->n_empty_continuations = p->empty_continuations.n;
	f->empty_continuations =
		move_to_arena(&f->arena, p->empty_continuations.v,
			      f->n_empty_continuations * sizeof(*p->empty_continuations.v));
}

static int parse_file(struct df_file *f, struct error **err)
{
	struct parser p = {.file = f};
	unsigned line;
	int r;

	r = df_lex_init(&p.lex, &f->arena, f->data, f->size, &line, err);
	f->lines = p.lex.lines;
	f->n_lines = p.lex.n_lines;
	if (r < 0 && line > 0)
		return error_at(err, r, f->name, (struct source_span){line, line, 0});
	if (r == 0)
		r = read_instructions(&p, err);
	collect(&p);
	if (r == 0 && f->n == 0)
		r = error_new(err, ERR_INVALID, 0, "file with no instructions");
	if (r == 0)
		r = make_stages(f, err);
	df_lex_release(&p.lex);
	vec_release(&p.instructions);
	vec_release(&p.empty_continuations);
	return r;
}

int df_parse(const char *name, const void *data, size_t size, struct df_file **ret,
	     struct error **err)
{
	struct df_file *f;

	*ret = NULL;
	if (size > DF_FILE_MAX)
		return error_new(err, ERR_INVALID, 0, "'%s' is larger than %d bytes", name,
				 DF_FILE_MAX);
	f = NEW(struct df_file);
	f->name = arena_strdup(&f->arena, name);
	f->data = arena_strndup(&f->arena, data, size);
	f->size = size;
	*ret = f;
	if (size == 0)
		return error_new(err, ERR_INVALID, 0, "the Dockerfile cannot be empty");
	return parse_file(f, err);
}

void df_file_free(struct df_file *f)
{
	if (!f)
		return;
	arena_release(&f->arena);
	free(f);
}

static int parse_trigger(struct df_lex *lex, struct df_instruction *ins, struct error **err)
{
	struct df_joined joined, more;
	bool misread;
	int r;

	r = df_lex_next(lex, &joined, err);
	if (r < 0)
		return r;
	if (r == 0)
		return error_new(err, ERR_INVALID, 0, "file with no instructions");
	r = parse_joined(lex, &joined, ins, &misread, err);
	if (r < 0)
		return r;
	if (ins->kind == DF_FROM || ins->kind == DF_ONBUILD)
		return error_new(err, ERR_INVALID, 0, "%s isn't allowed as an ONBUILD trigger",
				 df_kind_name(ins->kind));
	r = df_lex_next(lex, &more, err);
	if (r > 0)
		return error_new(err, ERR_INVALID, 0,
				 "onbuild trigger should be a single expression");
	return r;
}

int df_parse_trigger(struct arena *a, const char *name, const char *expression,
		     struct source_span at, struct df_instruction **ret, struct error **err)
{
	struct df_instruction *ins = arena_alloc(a, sizeof(*ins));
	const char *data = arena_strdup(a, expression);
	struct df_lex lex;
	unsigned line;
	int r;

	r = df_lex_init(&lex, a, data, strlen(data), &line, err);
	if (r == 0)
		r = parse_trigger(&lex, ins, err);
	df_lex_release(&lex);
	if (r < 0) {
		error_wrap(err, r, "onbuild trigger '%.200s'", expression);
		return error_at(err, r, name, at);
	}
	ins->span = at;
	*ret = ins;
	return 0;
}

/* Looks for a directive among the leading comments that start with `sign`. */
static bool find_directive(struct arena *a, struct df_slice text, const char *sign,
			   const char *wanted, unsigned line, const char **ret,
			   struct source_span *ret_span)
{
	size_t n_sign = strlen(sign), n;
	const char *name, *value, *end;

	for (; text.n > 0; text.p += n, text.n -= n, line++) {
		end = memchr(text.p, '\n', text.n);
		n = end ? (size_t)(end - text.p) + 1 : text.n;
		if (n < n_sign || memcmp(text.p, sign, n_sign) != 0)
			return false;
		if (!df_lex_directive(a, (struct df_slice){text.p + n_sign, n - n_sign}, &name,
				      &value))
			return false;
		if (strcmp(name, wanted) == 0) {
			*ret = value;
			*ret_span = (struct source_span){line, line, 1};
			return true;
		}
	}
	return false;
}

/* The text without a byte order mark and a "#!" line; returns the number of its first line. */
static unsigned skip_start(struct df_slice *ret)
{
	struct df_slice text = *ret;
	const char *end;
	unsigned line = 1;

	if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		text = (struct df_slice){text.p + 3, text.n - 3};
	if (text.n >= 2 && memcmp(text.p, "#!", 2) == 0) {
		end = memchr(text.p, '\n', text.n);
		text.n = end ? text.n - (size_t)(end + 1 - text.p) : 0;
		text.p = end ? end + 1 : text.p;
		line++;
	}
	*ret = text;
	return line;
}

void df_detect_syntax(struct arena *a, const void *data, size_t size, const char **ret,
		      struct source_span *ret_span)
{
	_cleanup_json_ json_t *object = NULL;
	struct df_slice text = {data, size};
	const char *value = NULL;
	unsigned line = skip_start(&text);

	*ret = NULL;
	*ret_span = (struct source_span){0};
	if (find_directive(a, text, "#", "syntax", line, &value, ret_span) ||
	    find_directive(a, text, "//", "syntax", line, &value, ret_span)) {
		*ret = arena_strndup(a, value, strcspn(value, " "));
		return;
	}
	text = df_trim_left(text);
	if (text.n == 0 || text.p[0] != '{' ||
	    js_parse("Dockerfile", text.p, text.n, &object, NULL) < 0 ||
	    js_string(object, "syntax", &value, NULL) < 0 || !value)
		return;
	*ret = arena_strdup(a, value);
	*ret_span = (struct source_span){line, line, 1};
}

const char *df_detect_check(struct arena *a, const void *data, size_t size)
{
	struct df_slice text = {data, size};
	unsigned line = skip_start(&text);
	struct source_span span;
	const char *value;

	return find_directive(a, text, "#", "check", line, &value, &span) ? value : NULL;
}
