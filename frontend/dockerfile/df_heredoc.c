/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/dockerfile/df_heredoc.h"

#include <string.h>

#include "frontend/dockerfile/df_shell.h"
#include "frontend/dockerfile/df_text.h"

static size_t count_quotes(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += *s == '\'' || *s == '"';
	return n;
}

/* Splits "3<<-WORD" and gives WORD; NULL if it is not a marker. */
static const char *split_marker(const char *word, struct df_heredoc *ret)
{
	unsigned fd = 0;

	for (; *word >= '0' && *word <= '9'; word++)
		if (fd < 100000)
			fd = fd * 10 + (unsigned)(*word - '0');
	if (word[0] != '<' || word[1] != '<')
		return NULL;
	word += 2;
	*ret = (struct df_heredoc){.fd = fd, .chomp = *word == '-'};
	if (ret->chomp)
		word++;
	while (*word == ' ' || (*word >= '\t' && *word <= '\r'))
		word++;
	return *word && !strchr(word, '<') ? word : NULL;
}

int df_heredoc_parse(struct arena *a, const char *word, struct df_heredoc *ret, struct error **err)
{
	struct df_shell shell = {.escape = '\\', .skip_unset = true};
	struct df_strings plain, raw;
	int r;

	word = split_marker(word, ret);
	if (!word)
		return 0;
	r = df_expand_words(&shell, a, word, NULL, &plain, err);
	if (r < 0)
		return r;
	if (plain.n != 1)
		return 0;
	/* A quote that goes away means that a part of the word was quoted. */
	shell.raw_quotes = true;
	r = df_expand_words(&shell, a, word, NULL, &raw, err);
	if (r < 0)
		return r;
	if (raw.n != 1)
		return 0;
	ret->name = plain.v[0];
	ret->expand = count_quotes(plain.v[0]) == count_quotes(raw.v[0]);
	ret->content = ret->chomped = "";
	return 1;
}

const char *df_heredoc_chomp(struct arena *a, const char *body)
{
	char *out = arena_alloc(a, strlen(body) + 1), *to = out;
	bool at_start = true;

	for (; *body; body++) {
		if (at_start && *body == '\t')
			continue;
		at_start = *body == '\n';
		*to++ = *body;
	}
	*to = '\0';
	return out;
}

/* Takes the bodies of the markers among `words`. */
static int read_bodies(struct df_lex *x, const struct df_strings *words, struct df_heredoc *list,
		       size_t *ret_n, struct error **err)
{
	struct df_heredoc *h;
	int r;

	for (size_t i = 0; i < words->n; i++) {
		if (!strstr(words->v[i], "<<"))
			continue;
		h = &list[*ret_n];
		r = df_heredoc_parse(x->arena, words->v[i], h, err);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		if (*ret_n == DF_HEREDOCS_MAX)
			return error_new(err, ERR_INVALID, 0,
					 "instruction has more than %d heredocs", DF_HEREDOCS_MAX);
		r = df_lex_heredoc(x, h->name, h->chomp, &h->content, err);
		if (r < 0)
			return r;
		h->chomped = h->chomp ? df_heredoc_chomp(x->arena, h->content) : h->content;
		(*ret_n)++;
	}
	return 0;
}

int df_heredoc_read_all(struct df_lex *x, const char *text, const struct df_heredoc **ret,
			size_t *ret_n, struct error **err)
{
	struct df_shell shell = {
		.escape = '\\', .raw_quotes = true, .raw_escapes = true, .skip_unset = true};
	struct df_strings words = {0};
	struct arena scratch = ARENA_INIT;
	struct df_heredoc *list;
	size_t n = 0;
	int r = 0;

	*ret = NULL;
	*ret_n = 0;
	/* What the shell of the image understands need not be what this lexer does. */
	if (df_expand_words(&shell, &scratch, text, NULL, &words, NULL) == 0) {
		for (size_t i = 0; i < words.n; i++)
			n += strstr(words.v[i], "<<") != NULL;
		if (n > DF_HEREDOCS_MAX + 1)
			n = DF_HEREDOCS_MAX + 1;
		list = arena_alloc(x->arena, n * sizeof(*list));
		*ret = list;
		r = read_bodies(x, &words, list, ret_n, err);
	}
	arena_release(&scratch);
	return r;
}
