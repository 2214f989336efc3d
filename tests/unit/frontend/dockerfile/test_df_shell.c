/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "frontend/dockerfile/df_shell.h"

static const char *get(void *data, const char *name)
{
	static const char *const vars[][2] = {
		{"A", "one"},	     {"EMPTY", ""},	   {"TWO", "x y"},
		{"PATH_", "/a/b/c"}, {"STAR", "a*b"},	   {"VER", "v1.2.3"},
		{"WIDE", "é/ü/x"},   {"SLASH", "a/b/a/b"}, {"A1_", "name"},
	};

	(void)data;
	for (size_t i = 0; i < ARRAY_SIZE(vars); i++)
		if (strcmp(vars[i][0], name) == 0)
			return vars[i][1];
	return NULL;
}

static const struct df_shell shell = {.escape = '\\', .get = get};

struct row {
	const char *word, *want; /* want NULL: an error whose text contains `error` */
	const char *error;
};

static void check_rows(const struct df_shell *s, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(error_freep) struct error *err = NULL;
		struct arena a = ARENA_INIT;
		const char *out = NULL;
		int r = df_expand(s, &a, rows[i].word, NULL, &out, &err);

		if (rows[i].want) {
			if (r < 0)
				fail_msg("%s: %s", rows[i].word, error_text(err));
			assert_string_equal(out, rows[i].want);
		} else {
			if (r >= 0)
				fail_msg("%s: no error but '%s'", rows[i].word, out);
			assert_int_equal(r, -ERR_INVALID);
			if (!strstr(error_text(err), rows[i].error))
				fail_msg("%s: %s", rows[i].word, error_text(err));
		}
		arena_release(&a);
	}
}

static void variables_are_replaced_by_their_values(void **state)
{
	static const struct row rows[] = {
		{"$A", "one", NULL},
		{"${A}", "one", NULL},
		{"a$A.b", "aone.b", NULL},
		{"$A$A", "oneone", NULL},
		{"$A1_x", "", NULL},
		{"${A1_}x", "namex", NULL},
		{"$NOT.", ".", NULL},
		{"$1x", "x", NULL},
		{"$12x", "x", NULL},
		{"$@x$*y$#z$?$!$-$$", "xyz", NULL},
		{"$.", "$.", NULL},
		{"a$", "a$", NULL},
		{"$ A", "$ A", NULL},
		{"$Aé", "", NULL},
		{"$A\xe2\x80\x94x", "one\xe2\x80\x94x", NULL},
		{"\xff$A\xfe",
		 "\xef\xbf\xbd"
		 "one"
		 "\xef\xbf\xbd",
		 NULL},
	};

	(void)state;
	check_rows(&shell, rows, ARRAY_SIZE(rows));
}

static void modifiers_choose_defaults_and_alternatives(void **state)
{
	static const struct row rows[] = {
		{"${A:-d}", "one", NULL},
		{"${NOT:-d}", "d", NULL},
		{"${EMPTY:-d}", "d", NULL},
		{"${EMPTY-d}", "", NULL},
		{"${NOT-d}", "d", NULL},
		{"${A:+y}", "y", NULL},
		{"${EMPTY:+y}", "", NULL},
		{"${EMPTY+y}", "y", NULL},
		{"${NOT+y}", "", NULL},
		{"${NOT:-${A}}", "one", NULL},
		{"${NOT:-a${NOT2:-b}c}", "abc", NULL},
		{"${NOT:-\\}}", "}", NULL},
		{"${NOT:-'}'}", "}", NULL},
		{"${A?no}", "one", NULL},
		{"${NOT?}", NULL, "NOT: is not allowed to be unset"},
		{"${EMPTY:?}", NULL, "EMPTY: is not allowed to be empty"},
		{"${NOT:?give me $A}", NULL, "NOT: give me one"},
		{"${A=x}", NULL, "unsupported modifier (=)"},
		{"${A:x}", NULL, "unsupported modifier (:x)"},
		{"${A:#x}", NULL, "unsupported modifier (:#)"},
		{"${A!B}", NULL, "unsupported modifier (!)"},
		{"${}", NULL, "bad substitution"},
		{"${{A}", NULL, "bad substitution"},
		{"${:-x}", NULL, "bad substitution"},
		{"${A", NULL, "missing '}'"},
		{"${", NULL, "missing '}'"},
		{"${A:", NULL, "missing '}'"},
		{"${A:-x", NULL, "missing '}'"},
		{"${A/x", NULL, "missing '/'"},
	};

	(void)state;
	check_rows(&shell, rows, ARRAY_SIZE(rows));
}

static void patterns_strip_and_replace(void **state)
{
	static const struct row rows[] = {
		{"${PATH_#*/}", "a/b/c", NULL},
		{"${PATH_##*/}", "c", NULL},
		{"${PATH_%/*}", "/a/b", NULL},
		{"${PATH_%%/*}", "", NULL},
		{"${PATH_#/x}", "/a/b/c", NULL},
		{"${VER#v}", "1.2.3", NULL},
		{"${VER#?}", "1.2.3", NULL},
		{"${VER%.*}", "v1.2", NULL},
		{"${VER%%.*}", "v1", NULL},
		{"${VER#*.*.}", "3", NULL},
		{"${STAR#a\\*}", "b", NULL},
		{"${STAR%\\*?}", "a", NULL},
		{"${WIDE#?/}", "ü/x", NULL},
		{"${WIDE%/?}", "é/ü", NULL},
		{"${NOT#x}", "", NULL},
		{"${VER#$A}", "v1.2.3", NULL},
		{"${A#o\\n}", NULL, "invalid escape '\\n'"},
		{"${SLASH/a/X}", "X/b/a/b", NULL},
		{"${SLASH//a/X}", "X/b/X/b", NULL},
		{"${SLASH//\\//-}", "a-b-a-b", NULL},
		{"${SLASH/b*/X}", "a/X", NULL},
		{"${SLASH/z/X}", "a/b/a/b", NULL},
		{"${SLASH//b/$A}", "a/one/a/one", NULL},
		{"${VER//./}", "v123", NULL},
		{"${VER/[0-9]/}", "v1.2.3", NULL},
		{"${PATH_//\\//\\/}", "\\/a\\/b\\/c", NULL},
		{"${VER/$EMPTY/w}", "wv1.2.3", NULL},
		{"${VER///}", "v1.2.3", NULL},
		{"${VER//v}", NULL, "missing '/'"},
		{"${VER#()[]{\\}^$.|}", "v1.2.3", NULL},
	};

	(void)state;
	check_rows(&shell, rows, ARRAY_SIZE(rows));
}

static void quotes_and_escapes_are_removed(void **state)
{
	static const struct row rows[] = {
		{"'$A'", "$A", NULL},
		{"\"$A\"", "one", NULL},
		{"\"a'b\"", "a'b", NULL},
		{"'a\"b'", "a\"b", NULL},
		{"a\\ b", "a b", NULL},
		{"\\$A", "$A", NULL},
		{"\\n", "n", NULL},
		{"\"\\n\"", "\\n", NULL},
		{"\"\\\"\\$A\\\\\"", "\"$A\\", NULL},
		{"a\\", "a", NULL},
		{"\"a", NULL, "looking for matching double-quote"},
		{"'a", NULL, "looking for matching single-quote"},
		{"\"a\\\"", NULL, "looking for matching double-quote"},
	};

	(void)state;
	check_rows(&shell, rows, ARRAY_SIZE(rows));
}

static void escape_character_may_be_a_backtick(void **state)
{
	static const struct row rows[] = {
		{"C:\\x`$A", "C:\\x$A", NULL},
		{"\"`\"\\\"", "\"\\", NULL},
	};
	struct df_shell s = shell;

	(void)state;
	s.escape = '`';
	check_rows(&s, rows, ARRAY_SIZE(rows));
}

static void raw_and_skip_options_keep_text_as_written(void **state)
{
	static const struct row rows[] = {
		{"\"$A\" '$A' \\x", "\"one\" '$A' \\x", NULL},
		{"$NOT ${NOT} ${NOT:-$A} ${NOT/a/b}", "$NOT ${NOT} ${NOT:-one} ${NOT/a/b}", NULL},
	};
	struct df_shell s = shell;

	(void)state;
	s.raw_quotes = s.raw_escapes = s.skip_unset = true;
	check_rows(&s, rows, ARRAY_SIZE(rows));
}

static void heredoc_bodies_keep_quotes(void **state)
{
	struct arena a = ARENA_INIT;
	const char *out;

	(void)state;
	assert_int_equal(
		df_expand_heredoc(&shell, &a, "'$A' \"${NOT:-d}\" \\$A <<x\n", NULL, &out, NULL),
		0);
	assert_string_equal(out, "'one' \"d\" $A <<x\n");
	arena_release(&a);
}

static void assert_words(const char *word, const char *const *want, size_t n)
{
	struct arena a = ARENA_INIT;
	struct df_strings got;

	assert_int_equal(df_expand_words(&shell, &a, word, NULL, &got, NULL), 0);
	assert_int_equal(got.n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(got.v[i], want[i]);
	arena_release(&a);
}

static void words_split_after_expansion_unless_quoted(void **state)
{
	(void)state;
	assert_words(" a  b ", (const char *const[]){"a", "b"}, 2);
	assert_words("$TWO", (const char *const[]){"x", "y"}, 2);
	assert_words("1$TWO-2", (const char *const[]){"1x", "y-2"}, 2);
	assert_words("\"$TWO\"", (const char *const[]){"x y"}, 1);
	assert_words("a\\ b 'c d'", (const char *const[]){"a b", "c d"}, 2);
	/* As in BuildKit a modifier loses what stands before it. */
	assert_words("p${NOT:-q}r", (const char *const[]){"qr"}, 1);
	assert_words("cat << EOF", (const char *const[]){"cat", "<< EOF"}, 2);
	assert_words("$NOT", NULL, 0);
}

static void used_and_undefined_variables_are_reported_once_with_their_place(void **state)
{
	struct df_vars vars = DF_VARS_INIT;
	struct arena a = ARENA_INIT;
	const char *out;

	(void)state;
	assert_int_equal(
		df_expand(&shell, &a, "x$A ${NOT:-$EMPTY} $A $GONE $GONE", &vars, &out, NULL), 0);
	assert_int_equal(vars.n_used, 2);
	assert_string_equal(vars.used[0].name, "A");
	assert_int_equal(vars.used[0].offset, 1);
	assert_string_equal(vars.used[1].name, "EMPTY");
	assert_int_equal(vars.n_undefined, 2);
	assert_string_equal(vars.undefined[0].name, "NOT");
	assert_int_equal(vars.undefined[0].offset, 4);
	assert_string_equal(vars.undefined[1].name, "GONE");
	arena_release(&a);
}

static void errors_name_the_word(void **state)
{
	_cleanup_(error_freep) struct error *err = NULL;
	struct arena a = ARENA_INIT;
	const char *out;

	(void)state;
	assert_int_equal(df_expand(&shell, &a, "\"${UNSET:?give me a value}\"", NULL, &out, &err),
			 -ERR_INVALID);
	assert_string_equal(error_text(err),
			    "failed to process \"\\\"${UNSET:?give me a value}\\\"\": UNSET: give "
			    "me a value");
	arena_release(&a);
}

/* `open` n times, then `close` n times. */
static char *nest(const char *open, const char *close, size_t n)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		buf_adds(&b, open);
	for (size_t i = 0; i < n; i++)
		buf_adds(&b, close);
	return buf_take(&b);
}

static void nesting_has_a_limit(void **state)
{
	_cleanup_free_ char *fits = nest("${a:-", "}", DF_SHELL_DEPTH_MAX);
	_cleanup_free_ char *deeper = nest("${a:-", "}", DF_SHELL_DEPTH_MAX + 1);
	_cleanup_free_ char *deepest = nest("${a:-\"", "\"}", 100000);
	struct row rows[] = {
		{fits, "", NULL},
		{deeper, NULL, "nested deeper than 64 levels"},
		{deepest, NULL, "nested deeper than 64 levels"},
	};

	(void)state;
	check_rows(&shell, rows, ARRAY_SIZE(rows));
}

static const char *get_large(void *data, const char *name)
{
	(void)name;
	return data;
}

static void results_and_matching_work_have_a_limit(void **state)
{
	_cleanup_free_ char *large = nest("a", "", 1024 * 1024);
	struct df_shell s = {.escape = '\\', .get = get_large, .data = large};
	struct row rows[] = {
		{"$A$A$A$A$A", NULL, "larger than"},
		{"${A//aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab/x}", NULL,
		 "steps"},
		{"${A//*b/x}", large, NULL},
		{"${A##*b}", large, NULL},
		{"${A%%*}", "", NULL},
	};

	(void)state;
	check_rows(&s, rows, ARRAY_SIZE(rows));
}

/* How many words are expanded before the budget is used up? */
static size_t count_expansions(const char *word, struct df_budget budget)
{
	const struct df_shell limited = {.escape = '\\', .get = get, .budget = &budget};
	_cleanup_(error_freep) struct error *err = NULL;
	struct arena a = ARENA_INIT;
	const char *out;
	size_t n = 0;

	while (n < 1000 && df_expand(&limited, &a, word, NULL, &out, &err) == 0)
		n++;
	arena_release(&a);
	if (n < 1000)
		assert_non_null(strstr(error_text(err), "all instructions"));
	return n;
}

static void all_words_together_have_a_limit(void **state)
{
	const struct df_budget bytes = {.bytes = 100, .steps = 1000000};
	const struct df_budget steps = {.bytes = 1000000, .steps = 100};

	(void)state;
	assert_int_equal(count_expansions("1234567890", bytes), 10);
	assert_int_equal(count_expansions("1234567890", steps), 1000);
	/* Looking at "/a/b/c" and the pattern counts, whatever comes of it. */
	assert_in_range(count_expansions("${PATH_//*/}", steps), 1, 100 / 7);
	assert_in_range(count_expansions("${PATH_//z?z?z/}", steps), 1, 100 / 11);
	assert_in_range(count_expansions("${PATH_#*nothing}", steps), 1, 100 / 14);
	assert_in_range(count_expansions("${PATH_%%*nothing}", steps), 1, 100 / 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables_are_replaced_by_their_values),
		cmocka_unit_test(modifiers_choose_defaults_and_alternatives),
		cmocka_unit_test(patterns_strip_and_replace),
		cmocka_unit_test(quotes_and_escapes_are_removed),
		cmocka_unit_test(escape_character_may_be_a_backtick),
		cmocka_unit_test(raw_and_skip_options_keep_text_as_written),
		cmocka_unit_test(heredoc_bodies_keep_quotes),
		cmocka_unit_test(words_split_after_expansion_unless_quoted),
		cmocka_unit_test(used_and_undefined_variables_are_reported_once_with_their_place),
		cmocka_unit_test(errors_name_the_word),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(results_and_matching_work_have_a_limit),
		cmocka_unit_test(all_words_together_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
