/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a word: the first byte chooses the options, the rest is expanded to a word, to words
 * and as a heredoc's body. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "frontend/dockerfile/df_shell.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *get(void *data, const char *name)
{
	static const char *const values[] = {"", "a b", "/x/y.z/", "**", "\xc3\xa9?"};

	(void)data;
	return name[0] >= 'A' && name[0] <= 'E' ? values[name[0] - 'A'] : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct df_vars vars = DF_VARS_INIT;
	struct arena a = ARENA_INIT;
	struct df_strings words;
	struct df_shell s;
	const char *word, *out;

	if (size == 0)
		return 0;
	s = (struct df_shell){
		.escape = data[0] & 1 ? '`' : '\\',
		.raw_quotes = data[0] & 2,
		.raw_escapes = data[0] & 4,
		.plain_quotes = data[0] & 8,
		.skip_unset = data[0] & 16,
		.get = get,
	};
	word = arena_strndup(&a, (const char *)data + 1, size - 1);
	(void)!df_expand(&s, &a, word, &vars, &out, NULL);
	(void)!df_expand_words(&s, &a, word, &vars, &words, NULL);
	(void)!df_expand_heredoc(&s, &a, word, &vars, &out, NULL);
	arena_release(&a);
	return 0;
}
