/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/dockerfile/df_lint.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "frontend/dockerfile/df_lex.h"
#include "frontend/dockerfile/df_mount.h"
#include "frontend/dockerfile/df_shell.h"
#include "frontend/dockerfile/df_text.h"

void df_lint_release(struct df_lint *l)
{
	arena_release(&l->arena);
	*l = (struct df_lint)DF_LINT_INIT;
}

/* Sets the rules of "A,B"; "all" sets *all instead. */
static void parse_rules(struct df_slice text, bool *all, uint32_t *set)
{
	const char *comma;
	struct df_slice word;

	text = df_trim(text);
	if (text.n == 3 && memcmp(text.p, "all", 3) == 0) {
		*all = true;
		return;
	}
	*set = 0;
	while (text.n > 0) {
		comma = memchr(text.p, ',', text.n);
		word = text;
		if (comma)
			word.n = (size_t)(comma - text.p);
		text.p += word.n + (comma != NULL);
		text.n -= word.n + (comma != NULL);
		word = df_trim(word);
		for (unsigned i = 0; i < DF_N_RULES; i++)
			if (strlen(df_rules[i].name) == word.n &&
			    memcmp(df_rules[i].name, word.p, word.n) == 0)
				*set |= 1u << i;
	}
}

static bool key_is(struct df_slice key, const char *name)
{
	return key.n == strlen(name) && memcmp(key.p, name, key.n) == 0;
}

static int parse_option(struct df_slice option, struct df_lint_config *ret, struct error **err)
{
	const char *equal = option.n > 0 ? memchr(option.p, '=', option.n) : NULL;
	struct df_slice key, value;
	char word[8] = "";

	if (!equal)
		return error_new(err, ERR_INVALID, 0, "invalid check option \"%.*s\"",
				 (int)option.n, option.p);
	key = df_trim((struct df_slice){option.p, (size_t)(equal - option.p)});
	value = df_trim((struct df_slice){equal + 1, option.n - (size_t)(equal + 1 - option.p)});
	if (key_is(key, "skip")) {
		parse_rules(value, &ret->skip_all, &ret->skip);
	} else if (key_is(key, "experimental")) {
		parse_rules(value, &ret->experimental_all, &ret->experimental);
	} else if (key_is(key, "error")) {
		if (value.n < sizeof(word))
			memcpy(word, value.p, value.n);
		if (df_mount_parse_bool(word, &ret->error) < 0)
			return error_new(err, ERR_INVALID, 0,
					 "failed to parse check option \"%.*s\": not a boolean",
					 (int)option.n, option.p);
	} else {
		return error_new(err, ERR_INVALID, 0, "invalid check option \"%.*s\"", (int)key.n,
				 key.p);
	}
	return 0;
}

int df_lint_config_parse(const char *text, struct df_lint_config *ret, struct error **err)
{
	enum { OPTIONS_MAX = 3 }; /* the last one takes what is left */
	struct df_slice rest = df_trim((struct df_slice){text, strlen(text)}), option;
	const char *end;
	int r;

	*ret = (struct df_lint_config){0};
	if (rest.n == 0)
		return 0;
	for (unsigned i = 1;; i++) {
		end = i < OPTIONS_MAX && rest.n > 0 ? memchr(rest.p, ';', rest.n) : NULL;
		option = rest;
		if (end)
			option.n = (size_t)(end - rest.p);
		r = parse_option(option, ret, err);
		if (r < 0 || !end)
			return r;
		rest = (struct df_slice){end + 1, rest.n - option.n - 1};
	}
}

/* The configuration as the `# check=` comment above an instruction extends it. A bad one is a
 * comment like any other. */
static struct df_lint_config config_at(struct df_lint *l, const struct df_instruction *at)
{
	struct df_lint_config c = l->config, more;
	const char *name, *value;

	for (size_t i = 0; at && i < at->comments.n; i++) {
		struct df_slice s = {at->comments.v[i], strlen(at->comments.v[i])};

		if (strncasecmp(s.p, "check", 5) != 0 ||
		    !df_lex_directive(&l->arena, s, &name, &value) || strcmp(name, "check") != 0)
			continue;
		value = arena_strndup(&l->arena, value, strcspn(value, " "));
		if (df_lint_config_parse(value, &more, NULL) < 0)
			break;
		c.skip_all |= more.skip_all;
		c.skip |= more.skip;
		c.experimental_all |= more.experimental_all;
		c.experimental |= more.experimental;
		break;
	}
	return c;
}

static bool is_wanted(const struct df_lint_config *c, enum df_rule rule)
{
	if (df_rules[rule].experimental)
		return c->experimental_all || (c->experimental & 1u << rule);
	return !c->skip_all && !(c->skip & 1u << rule);
}

static void warn(struct df_lint *l, const struct df_instruction *at, struct source_span span,
		 enum df_rule rule, const char *fmt, va_list ap) _printf_(5, 0);

static void warn(struct df_lint *l, const struct df_instruction *at, struct source_span span,
		 enum df_rule rule, const char *fmt, va_list ap)
{
	struct df_lint_config c = config_at(l, at);
	struct df_warning *w;
	char *text;

	if (!is_wanted(&c, rule) || l->n == DF_WARNINGS_MAX)
		return;
	if (l->n == l->cap) {
		l->cap = l->cap > 0 ? l->cap * 2 : 16;
		w = arena_alloc(&l->arena, l->cap * sizeof(*w));
		if (l->n > 0)
			memcpy(w, l->warnings, l->n * sizeof(*w));
		l->warnings = w;
	}
	text = xvasprintf(fmt, ap);
	l->warnings[l->n++] = (struct df_warning){rule, arena_strdup(&l->arena, text), span};
	free(text);
}

void df_lint_warn(struct df_lint *l, const struct df_instruction *at, enum df_rule rule,
		  const char *fmt, ...)
{
	va_list ap;

	if (!l)
		return;
	va_start(ap, fmt);
	warn(l, at, at->span, rule, fmt, ap);
	va_end(ap);
}

void df_lint_warn_span(struct df_lint *l, const struct df_instruction *at, struct source_span span,
		       enum df_rule rule, const char *fmt, ...)
{
	va_list ap;

	if (!l)
		return;
	va_start(ap, fmt);
	warn(l, at, span, rule, fmt, ap);
	va_end(ap);
}

int df_lint_error(const struct df_lint *l, struct error **err)
{
	_cleanup_buf_ struct buf names = BUF_INIT;
	uint32_t seen = 0;

	if (!l || !l->config.error || l->n == 0)
		return 0;
	for (size_t i = 0; i < l->n; i++) {
		enum df_rule rule = l->warnings[i].rule;

		if (seen & 1u << rule)
			continue;
		buf_addf(&names, "%s%s", seen ? ", " : "", df_rules[rule].name);
		seen |= 1u << rule;
	}
	return error_new(err, ERR_INVALID, 0, "lint violation found for rules: %s", names.p);
}
