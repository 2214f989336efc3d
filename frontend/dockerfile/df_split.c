/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/dockerfile/df_split.h"

#include <string.h>

#include "base/buf.h"
#include "base/csv.h"
#include "base/json.h"

void df_split_keyword(struct df_slice text, struct df_slice *ret_keyword, struct df_slice *ret_rest)
{
	size_t n = 0;

	text = df_trim(text);
	while (n < text.n && !df_is_separator(text.p[n]))
		n++;
	*ret_keyword = (struct df_slice){text.p, n};
	*ret_rest = df_trim((struct df_slice){text.p + n, text.n - n});
}

/* Reads one flag word up to a blank, without its quotes and escapes. */
static size_t scan_flag(struct df_slice s, char escape, struct buf *word)
{
	char quote = '\0';
	size_t i = 0;

	for (; i < s.n; i++) {
		if (s.p[i] == escape) {
			if (++i == s.n)
				break;
			buf_addc(word, s.p[i]);
		} else if (quote) {
			if (s.p[i] == quote)
				quote = '\0';
			else
				buf_addc(word, s.p[i]);
		} else if (s.p[i] == '\'' || s.p[i] == '"') {
			quote = s.p[i];
		} else if (df_blank(s.p + i, s.n - i)) {
			break;
		} else {
			buf_addc(word, s.p[i]);
		}
	}
	return i;
}

void df_split_flags(struct arena *a, struct df_slice *rest, char escape, struct df_strings *ret)
{
	_cleanup_buf_ struct buf word = BUF_INIT;
	struct df_slice s = df_trim_left(*rest);
	size_t n;

	*ret = (struct df_strings){0};
	while (s.n >= 2 && s.p[0] == '-' && s.p[1] == '-') {
		buf_clear(&word);
		n = scan_flag(s, escape, &word);
		s = df_trim_left((struct df_slice){s.p + n, s.n - n});
		if (strcmp(word.p, "--") == 0)
			break;
		df_strings_push(a, ret, arena_strndup(a, word.p, word.n));
	}
	*rest = s;
}

/* Length of the word at the start of `s`. An escape at the very end is not part of it. */
static size_t scan_word(struct df_slice s, char escape, bool *ret_cut_escape)
{
	char quote = '\0';
	size_t i = 0, n;

	*ret_cut_escape = false;
	while (i < s.n) {
		if (s.p[i] == escape && quote != '\'') {
			if (i + 1 == s.n) {
				*ret_cut_escape = true;
				return s.n;
			}
			i++;
			i += df_rune(s.p + i, s.n - i);
			continue;
		}
		n = df_blank(s.p + i, s.n - i);
		if (n > 0 && !quote)
			break;
		if (quote && s.p[i] == quote)
			quote = '\0';
		else if (!quote && (s.p[i] == '\'' || s.p[i] == '"'))
			quote = s.p[i];
		i += df_rune(s.p + i, s.n - i);
	}
	return i;
}

void df_split_words(struct arena *a, struct df_slice text, char escape, struct df_strings *ret)
{
	bool cut;
	size_t n;

	*ret = (struct df_strings){0};
	for (text = df_trim_left(text); text.n > 0; text = df_trim_left(text)) {
		n = scan_word(text, escape, &cut);
		if (n > (size_t)cut)
			df_strings_push(a, ret, arena_strndup(a, text.p, n - cut));
		text.p += n;
		text.n -= n;
	}
}

void df_split_blanks(struct arena *a, struct df_slice text, struct df_strings *ret)
{
	size_t n;

	*ret = (struct df_strings){0};
	while (text.n > 0) {
		n = 0;
		while (n < text.n && !df_is_separator(text.p[n]))
			n++;
		if (n > 0)
			df_strings_push(a, ret, arena_strndup(a, text.p, n));
		while (n < text.n && df_is_separator(text.p[n]))
			n++;
		text.p += n;
		text.n -= n;
	}
}

int df_split_json(struct arena *a, struct df_slice text, struct df_strings *ret, struct error **err)
{
	_cleanup_json_ json_t *array = NULL;
	const char *s;

	*ret = (struct df_strings){0};
	text = df_trim_left(text);
	if (text.n == 0 || text.p[0] != '[')
		return 0;
	if (js_parse("arguments", text.p, text.n, &array, NULL) < 0 || !json_is_array(array))
		return 0;
	for (size_t i = 0; i < json_array_size(array); i++) {
		s = json_string_value(json_array_get(array, i));
		if (!s)
			return error_new(err, ERR_INVALID, 0,
					 "when using JSON array syntax, arrays must be comprised "
					 "of strings only");
		df_strings_push(a, ret, arena_strdup(a, s));
	}
	return 1;
}

int df_split_csv(struct arena *a, const char *text, struct df_strings *ret, struct error **err)
{
	_cleanup_strv_ struct strv fields = {0};
	int r = csv_split(text, &fields, err);

	if (r < 0)
		return r;
	*ret = (struct df_strings){0};
	for (size_t i = 0; i < fields.n; i++)
		df_strings_push(a, ret, arena_strdup(a, fields.v[i]));
	return 0;
}
