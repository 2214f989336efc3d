/* SPDX-License-Identifier: Apache-2.0 */
/* Text with ${values} and %{directives} in it: quoted strings, here-documents, JSON strings. */
#include <stdlib.h>
#include <string.h>

#include "frontend/bake/bake_parser.h"

enum template_form { FORM_QUOTED, FORM_HEREDOC, FORM_BARE };

struct template
{
	struct bake_parser *p;
	enum template_form form;
	bool trim_next; /* behind a "~}" */
	/* All parts as they stand in the text, whatever directive they belong to. */
	struct bake_exprs parts;
};

/* How a sequence of parts ended. */
enum template_end { END_TEXT, END_ELSE, END_ENDIF, END_ENDFOR };

static int parse_parts(struct template *t, struct bake_expr **ret, enum template_end *end);

/* --- literal text --- */

static void add_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_addc(b, (char)c);
	} else if (c < 0x800) {
		buf_addc(b, (char)(0xc0 | c >> 6));
		buf_addc(b, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_addc(b, (char)(0xe0 | c >> 12));
		buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_addc(b, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_addc(b, (char)(0xf0 | c >> 18));
		buf_addc(b, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_addc(b, (char)(0x80 | (c & 0x3f)));
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* \n \r \t \" \\ \uXXXX \UXXXXXXXX */
static int parse_escape(struct bake_parser *p, struct buf *b)
{
	static const char from[] = "nrt\"\\", to[] = "\n\r\t\"\\";
	const char *known;
	uint32_t c = 0;
	unsigned n;

	p->p++;
	if (p->p == p->end)
		return bake_parser_fail(p, "a string is not closed");
	known = strchr(from, *p->p);
	if (known && *known) {
		buf_addc(b, to[known - from]);
		p->p++;
		return 0;
	}
	if (*p->p != 'u' && *p->p != 'U')
		return bake_parser_fail(
			p,
			"\"\\%c\" is not an escape: they are \\n, \\r, \\t, \\\", \\\\, "
			"\\uNNNN and \\UNNNNNNNN",
			(unsigned char)*p->p >= 0x20 && (unsigned char)*p->p < 0x7f ? *p->p : '?');
	n = *p->p++ == 'u' ? 4 : 8;
	for (unsigned i = 0; i < n; i++) {
		int digit = p->p < p->end ? hex_digit(*p->p) : -1;

		if (digit < 0)
			return bake_parser_fail(p, "\"\\%c\" needs %u hexadecimal digits",
						n == 4 ? 'u' : 'U', n);
		c = c << 4 | (uint32_t)digit;
		p->p++;
	}
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return bake_parser_fail(p, "\"\\%c\" names no character", n == 4 ? 'u' : 'U');
	add_utf8(b, c);
	return 0;
}

static bool at_end(const struct template *t)
{
	return t->p->p == t->p->end || (t->form == FORM_QUOTED && *t->p->p == '"');
}

static bool at_sequence(const struct bake_parser *p)
{
	return bake_parser_starts(p, "${") || bake_parser_starts(p, "%{");
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

/* Literal text up to the next sequence, or the end. */
static int parse_literal(struct template *t, struct buf *b)
{
	struct bake_parser *p = t->p;
	int r = 0;

	while (r == 0 && !at_end(t) && !at_sequence(p)) {
		if (bake_parser_starts(p, "$${") || bake_parser_starts(p, "%%{")) {
			buf_add(b, p->p + 1, 2);
			p->p += 3;
		} else if (t->form == FORM_QUOTED && *p->p == '\\') {
			r = parse_escape(p, b);
		} else if (t->form == FORM_QUOTED && *p->p == '\n') {
			r = bake_parser_fail(
				p, "a string ends on its line; longer text is written <<EOT");
		} else {
			buf_addc(b, *p->p);
			bake_parser_step(p);
		}
	}
	return r;
}

/* Without the blanks at the end of its last line. */
static size_t without_end(const char *text, size_t n)
{
	if (n > 0 && text[n - 1] == '\n')
		n--;
	while (n > 0 && is_blank(text[n - 1]) && text[n - 1] != '\n')
		n--;
	return n;
}

static int add_literal(struct template *t, struct bake_exprs *list)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct bake_expr *e = bake_expr_new(t->p, EXPR_LITERAL);
	const char *text;
	size_t n;
	int r = parse_literal(t, &b);

	if (r < 0)
		return r;
	text = b.p;
	n = b.n;
	/* Blanks go up to the end of their line. */
	if (t->trim_next)
		for (bool more = true; more && n > 0 && is_blank(*text); text++, n--)
			more = *text != '\n';
	t->trim_next = false;
	if (bake_parser_starts(t->p, "${~") || bake_parser_starts(t->p, "%{~"))
		n = without_end(text, n);
	e->value = bake_stringn(t->p->arena, text, n);
	if (n > 0) {
		bake_exprs_push(t->p, list, e);
		bake_exprs_push(t->p, &t->parts, e);
	}
	return 0;
}

/* --- ${...} and %{...} --- */

/* Behind the value: "}" or "~}". */
static int close_sequence(struct template *t)
{
	bool trim;
	int r = bake_parser_take(t->p, "~}", &trim);

	if (r == 0 && !trim)
		r = bake_parser_expect(t->p, "}");
	t->trim_next = trim;
	return r;
}

static int parse_if(struct template *t, struct bake_exprs *list)
{
	struct bake_expr *e = bake_expr_new(t->p, EXPR_IF);
	enum template_end end = END_TEXT;
	int r = bake_parser_expr(t->p, &e->a);

	if (r == 0)
		r = close_sequence(t);
	if (r == 0)
		r = parse_parts(t, &e->b, &end);
	if (r == 0 && end == END_ELSE)
		r = parse_parts(t, &e->c, &end);
	if (r == 0 && end != END_ENDIF)
		r = bake_parser_fail(t->p, "%%{endif} is missing");
	bake_exprs_push(t->p, list, e);
	return r;
}

static int parse_template_for(struct template *t, struct bake_exprs *list)
{
	struct bake_parser *p = t->p;
	struct bake_expr *e = bake_expr_new(p, EXPR_FOR);
	enum template_end end = END_TEXT;
	bool comma = false;
	int r = bake_parser_skip(p);

	e->loop = ARENA_NEW(p->arena, struct bake_for);
	e->loop->template = true;
	if (r == 0 && !(e->loop->item = bake_parser_name(p)))
		r = bake_parser_fail(p, "%%{for} needs a name");
	if (r == 0)
		r = bake_parser_take(p, ",", &comma);
	if (r == 0 && comma) {
		e->loop->key = e->loop->item;
		r = bake_parser_skip(p);
		if (r == 0 && !(e->loop->item = bake_parser_name(p)))
			r = bake_parser_fail(p, "%%{for} needs a name behind the comma");
	}
	if (r == 0)
		r = bake_parser_expect(p, "in");
	if (r == 0)
		r = bake_parser_expr(p, &e->loop->in);
	if (r == 0)
		r = close_sequence(t);
	if (r == 0)
		r = parse_parts(t, &e->loop->value, &end);
	if (r == 0 && end != END_ENDFOR)
		r = bake_parser_fail(p, "%%{endfor} is missing");
	bake_exprs_push(p, list, e);
	return r;
}

static int parse_directive(struct template *t, struct bake_exprs *list, enum template_end *end)
{
	static const struct {
		const char *word;
		enum template_end end;
	} ends[] = {{"else", END_ELSE}, {"endif", END_ENDIF}, {"endfor", END_ENDFOR}};
	const char *word;
	int r = bake_parser_skip(t->p);

	if (r < 0)
		return r;
	word = bake_parser_name(t->p);
	if (word && strcmp(word, "if") == 0)
		return parse_if(t, list);
	if (word && strcmp(word, "for") == 0)
		return parse_template_for(t, list);
	for (size_t i = 0; word && i < ARRAY_SIZE(ends); i++) {
		if (strcmp(word, ends[i].word) == 0) {
			*end = ends[i].end;
			return close_sequence(t);
		}
	}
	return bake_parser_fail(t->p,
				"%%{ is followed by if, else, endif, for or endfor; %%%%{ stands "
				"for the text itself");
}

static int parse_sequence(struct template *t, struct bake_exprs *list, enum template_end *end)
{
	struct bake_parser *p = t->p;
	unsigned open = p->open;
	bool directive = *p->p == '%';
	struct bake_expr *e;
	int r;

	/* A mark: what follows is not the start of a line. */
	bake_exprs_push(p, &t->parts, bake_expr_new(p, EXPR_EACH));
	p->p += 2;
	if (p->p < p->end && *p->p == '~')
		p->p++;
	p->open = 1;
	if (directive) {
		r = parse_directive(t, list, end);
	} else {
		r = bake_parser_expr(p, &e);
		if (r == 0)
			r = close_sequence(t);
		if (r == 0)
			bake_exprs_push(p, list, e);
	}
	p->open = open;
	return r;
}

static int parse_parts(struct template *t, struct bake_expr **ret, enum template_end *end)
{
	struct bake_expr *e = bake_expr_new(t->p, EXPR_TEMPLATE);
	struct bake_exprs list = {0};
	int r = bake_parser_enter(t->p);

	*end = END_TEXT;
	while (r == 0 && *end == END_TEXT) {
		r = add_literal(t, &list);
		if (r < 0 || at_end(t))
			break;
		r = parse_sequence(t, &list, end);
	}
	t->p->depth--;
	e->args = list.v;
	e->n_args = list.n;
	*ret = e;
	return r;
}

static int parse_template(struct template *t, struct bake_expr **ret)
{
	enum template_end end;
	int r = parse_parts(t, ret, &end);

	if (r == 0 && end != END_TEXT)
		return bake_parser_fail(t->p, "%%{%s} has no beginning",
					end == END_ELSE	   ? "else"
					: end == END_ENDIF ? "endif"
							   : "endfor");
	if (r < 0)
		return r;
	return 0;
}

/* Plain text is a value at once. */
static void simplify(struct bake_parser *p, struct bake_expr *e)
{
	if (e->n_args == 0) {
		e->kind = EXPR_LITERAL;
		e->value = bake_string(p->arena, "");
	} else if (e->n_args == 1 && e->args[0]->kind == EXPR_LITERAL &&
		   e->args[0]->value->kind == BAKE_STRING) {
		e->kind = EXPR_LITERAL;
		e->value = e->args[0]->value;
	}
}

int bake_parser_quoted(struct bake_parser *p, struct bake_expr **ret)
{
	struct template t = {.p = p, .form = FORM_QUOTED};
	int r;

	p->p++;
	r = parse_template(&t, ret);
	if (r == 0 && p->p == p->end)
		r = bake_parser_fail(p, "a string is not closed");
	if (r < 0)
		return r;
	p->p++;
	simplify(p, *ret);
	return 0;
}

int bake_parser_bare(struct bake_parser *p, struct bake_expr **ret)
{
	struct template t = {.p = p, .form = FORM_BARE};
	int r = parse_template(&t, ret);

	if (r == 0)
		simplify(p, *ret);
	return r;
}

/* --- here-documents --- */

/* Takes as many blanks from the start of each line as all have. What stands behind a value is not
 * at the start of a line. */
static size_t least_indent(const struct bake_exprs *parts)
{
	size_t least = SIZE_MAX;
	bool at_start = true;

	for (size_t i = 0; i < parts->n; i++) {
		const struct bake_expr *part = parts->v[i];
		const char *p = part->kind == EXPR_LITERAL ? part->value->s : NULL;

		if (!p) {
			if (at_start)
				return 0;
			continue;
		}
		while (*p) {
			size_t n = strspn(p, " ");
			const char *line_end = strchr(p, '\n');

			if (at_start && p[n] != '\n' && n < least)
				least = n;
			at_start = line_end != NULL;
			p = line_end ? line_end + 1 : p + strlen(p);
		}
	}
	return least == SIZE_MAX ? 0 : least;
}

static void take_indent(struct bake_parser *p, const struct bake_exprs *parts)
{
	size_t least = least_indent(parts);
	bool at_start = true;

	for (size_t i = 0; i < parts->n; i++) {
		struct bake_expr *part = parts->v[i];
		const char *q = part->kind == EXPR_LITERAL ? part->value->s : NULL;
		_cleanup_buf_ struct buf b = BUF_INIT;

		if (!q) {
			at_start = false;
			continue;
		}
		while (*q) {
			size_t n = strspn(q, " ");
			const char *line_end = strchr(q, '\n');
			size_t length = line_end ? (size_t)(line_end - q) + 1 : strlen(q);
			size_t cut = !at_start ? 0 : n < least ? n : least;

			buf_add(&b, q + cut, length - cut);
			at_start = line_end != NULL;
			q += length;
		}
		part->value = bake_stringn(p->arena, b.p, b.n);
	}
}

/* The text of the document is from p->p to *ret_end; *ret_after is behind the line that ends it. */
static bool find_end(const struct bake_parser *p, const char *marker, const char **ret_end,
		     const char **ret_after)
{
	size_t n = strlen(marker);

	for (const char *line = p->p; line < p->end;) {
		const char *line_end = memchr(line, '\n', (size_t)(p->end - line));
		const char *q = line, *stop;

		if (!line_end)
			line_end = p->end;
		while (q < line_end && (*q == ' ' || *q == '\t'))
			q++;
		stop = line_end > q && line_end[-1] == '\r' ? line_end - 1 : line_end;
		if ((size_t)(stop - q) == n && memcmp(q, marker, n) == 0) {
			*ret_end = line;
			*ret_after = line_end;
			return true;
		}
		line = line_end < p->end ? line_end + 1 : p->end;
	}
	return false;
}

int bake_parser_heredoc(struct bake_parser *p, struct bake_expr **ret)
{
	struct template t = {.p = p, .form = FORM_HEREDOC};
	const char *marker, *text_end, *after, *end = p->end;
	bool flush;
	int r;

	p->p += 2;
	flush = p->p < p->end && *p->p == '-';
	p->p += flush;
	marker = bake_parser_name(p);
	while (p->p < p->end && (*p->p == '\r' || *p->p == ' ' || *p->p == '\t'))
		p->p++;
	if (!marker || p->p == p->end || *p->p != '\n')
		return bake_parser_fail(p, "<< is followed by a word and the end of the line");
	bake_parser_step(p);
	if (!find_end(p, marker, &text_end, &after))
		return bake_parser_fail(p, "the line \"%s\" that ends the text is missing", marker);
	p->end = text_end;
	r = parse_template(&t, ret);
	p->end = end;
	if (r < 0)
		return r;
	if (flush)
		take_indent(p, &t.parts);
	simplify(p, *ret);
	/* The marker's line ends the argument. */
	p->p = after;
	return 0;
}
