/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/dockerfile/df_lex.h"

#include <string.h>

#include "frontend/dockerfile/df_parse.h"

static int too_long(struct error **err)
{
	return error_new(err, ERR_INVALID, 0, "dockerfile line greater than max allowed size of %d",
			 DF_LINE_MAX);
}

static int null_byte(struct error **err)
{
	return error_new(err, ERR_INVALID, 0, "invalid null byte (is this a text file?)");
}

static size_t count_lines(const char *data, size_t size)
{
	const char *p = data, *end = data + size;
	size_t n = 0;

	while (p < end) {
		p = memchr(p, '\n', (size_t)(end - p));
		n++;
		if (!p)
			break;
		p++;
	}
	return n;
}

int df_lex_init(struct df_lex *x, struct arena *a, const char *data, size_t size,
		unsigned *ret_line, struct error **err)
{
	struct df_line *lines;
	const char *end;

	*x = (struct df_lex){
		.arena = a, .escape = '\\', .joined = BUF_INIT_MAX(DF_INSTRUCTION_MAX)};
	*ret_line = 0;
	if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
		data += 3;
		size -= 3;
	}
	x->data = data;
	x->size = size;
	x->n_lines = count_lines(data, size);
	if (x->n_lines > DF_LINES_MAX) {
		x->n_lines = 0;
		return error_new(err, ERR_INVALID, 0, "dockerfile has more than %d lines",
				 DF_LINES_MAX);
	}
	lines = arena_alloc(a, x->n_lines * sizeof(*lines));
	x->lines = lines;
	for (size_t i = 0, at = 0; i < x->n_lines; i++) {
		end = memchr(data + at, '\n', size - at);
		lines[i].p = data + at;
		lines[i].n = end ? (size_t)(end - data) - at : size - at;
		at += lines[i].n + 1;
		*ret_line = (unsigned)i + 1;
		if (lines[i].n > DF_LINE_MAX) {
			x->n_lines = i + 1;
			return too_long(err);
		}
		while (lines[i].n > 0 && lines[i].p[lines[i].n - 1] == '\r')
			lines[i].n--;
	}
	*ret_line = 0;
	return 0;
}

void df_lex_release(struct df_lex *x)
{
	buf_release(&x->joined);
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool df_lex_directive(struct arena *a, struct df_slice comment, const char **ret_name,
		      const char **ret_value)
{
	static const char *const names[] = {"syntax", "escape", "check"};
	struct df_slice s = df_trim(comment), value;
	size_t n = 0;
	const char *name;

	if (s.n == 0 || !is_letter(s.p[0]))
		return false;
	while (n < s.n && (is_letter(s.p[n]) || (s.p[n] >= '0' && s.p[n] <= '9')))
		n++;
	value = df_trim_left((struct df_slice){s.p + n, s.n - n});
	if (value.n == 0 || value.p[0] != '=')
		return false;
	value = df_trim((struct df_slice){value.p + 1, value.n - 1});
	if (value.n == 0)
		return false;
	name = df_lower(a, arena_strndup(a, s.p, n));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) != 0)
			continue;
		*ret_name = names[i];
		*ret_value = arena_strndup(a, value.p, value.n);
		return true;
	}
	return false;
}

static int set_escape(struct df_lex *x, const char *value, struct error **err)
{
	if (strcmp(value, "\\") != 0 && strcmp(value, "`") != 0)
		return error_new(err, ERR_INVALID, 0,
				 "invalid escape token '%s' does not match ` or \\", value);
	x->escape = value[0];
	return 0;
}

/* Directives are the comments at the very top; the first other line ends them. Returns 1 if
 * the line is one. */
static int take_directive(struct df_lex *x, struct df_slice line, unsigned number,
			  struct error **err)
{
	const char *name, *value;
	struct df_directive *d;
	int r;

	if (x->directives_done)
		return 0;
	if (line.n == 0 || line.p[0] != '#' ||
	    !df_lex_directive(x->arena, (struct df_slice){line.p + 1, line.n - 1}, &name, &value)) {
		x->directives_done = true;
		return 0;
	}
	d = name[0] == 's' ? &x->syntax : name[0] == 'c' ? &x->check : &x->escape_directive;
	if (d->value)
		return error_new(err, ERR_INVALID, 0, "only one %s parser directive can be used",
				 name);
	*d = (struct df_directive){value, {number, number, 1}};
	if (d != &x->escape_directive)
		return 1;
	r = set_escape(x, value, err);
	return r < 0 ? r : 1;
}

/* Cuts the escape character that continues a line, and the blanks behind it. An escaped escape
 * character does not continue. */
static bool cut_continuation(const struct df_lex *x, struct df_slice *line)
{
	size_t n = line->n;

	while (n > 0 && (line->p[n - 1] == ' ' || line->p[n - 1] == '\t'))
		n--;
	if (n == 0 || line->p[n - 1] != x->escape)
		return false;
	if (n > 1 && line->p[n - 2] == x->escape)
		return false;
	line->n = n - 1;
	return true;
}

static bool is_comment(struct df_slice line)
{
	line = df_trim_left(line);
	return line.n > 0 && line.p[0] == '#';
}

/* Remembers a comment line above an instruction. An empty comment separates what was before. As in
 * BuildKit a blank line does not, and an indented comment keeps its "#". */
static void keep_comment(struct df_lex *x, struct df_slice raw, struct df_strings *comments)
{
	struct df_slice text = df_trim((struct df_slice){raw.p + 1, raw.n - 1});

	if (text.n == 0)
		*comments = (struct df_strings){0};
	else if (comments->n < DF_COMMENTS_MAX)
		df_strings_push(x->arena, comments, arena_strndup(x->arena, text.p, text.n));
}

static struct df_slice next_line(struct df_lex *x)
{
	const struct df_line *l = &x->lines[x->next++];

	return (struct df_slice){l->p, l->n};
}

static void set_start(struct df_joined *j, struct df_slice raw, struct df_slice line,
		      unsigned number)
{
	j->span = (struct source_span){number, number, (unsigned)(line.p - raw.p) + 1};
}

/* Joins the lines that continue `first`. */
static int join(struct df_lex *x, struct df_slice first, struct df_joined *ret, struct error **err)
{
	struct df_slice line = first;
	bool more = cut_continuation(x, &line);

	buf_clear(&x->joined);
	buf_add(&x->joined, line.p, line.n);
	while (more && x->next < x->n_lines) {
		line = next_line(x);
		if (is_comment(line))
			continue;
		if (df_trim_left(line).n == 0) {
			ret->empty_continuation = true;
			continue;
		}
		more = cut_continuation(x, &line);
		buf_add(&x->joined, line.p, line.n);
	}
	ret->span.end_line = (unsigned)x->next;
	if (x->joined.full)
		return error_new(err, ERR_INVALID, 0, "instruction is longer than %d bytes",
				 DF_INSTRUCTION_MAX);
	if (memchr(x->joined.p, '\0', x->joined.n))
		return null_byte(err);
	ret->text = arena_strndup(x->arena, x->joined.p, x->joined.n);
	return 1;
}

int df_lex_next(struct df_lex *x, struct df_joined *ret, struct error **err)
{
	struct df_slice raw, line;
	unsigned number;
	int r;

	*ret = (struct df_joined){0};
	while (x->next < x->n_lines) {
		raw = next_line(x);
		line = df_trim_left(raw);
		number = (unsigned)x->next;
		set_start(ret, raw, line, number);
		r = take_directive(x, line, number, err);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		if (line.n > 0 && line.p[0] == '#')
			keep_comment(x, raw, &ret->comments);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		return join(x, line, ret, err);
	}
	return 0;
}

int df_lex_heredoc(struct df_lex *x, const char *terminator, bool chomp, const char **ret_body,
		   struct error **err)
{
	size_t n = strlen(terminator);
	const char *start, *end;
	struct df_slice line;

	start = x->next < x->n_lines ? x->lines[x->next].p : NULL;
	while (x->next < x->n_lines) {
		end = x->lines[x->next].p;
		line = next_line(x);
		while (chomp && line.n > 0 && line.p[0] == '\t') {
			line.p++;
			line.n--;
		}
		if (line.n != n || memcmp(line.p, terminator, n) != 0)
			continue;
		if (memchr(start, '\0', (size_t)(end - start)))
			return null_byte(err);
		*ret_body = arena_strndup(x->arena, start, (size_t)(end - start));
		return 0;
	}
	return error_hint(err, error_new(err, ERR_INVALID, 0, "unterminated heredoc"),
			  "it ends with a line that is \"%s\" alone, without blanks around it",
			  terminator);
}
