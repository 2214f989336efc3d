/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as an instruction with heredocs: the first line holds the markers, the others the
 * bodies. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "frontend/dockerfile/df_heredoc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct df_heredoc *list;
	struct arena a = ARENA_INIT;
	struct df_heredoc marker;
	struct df_joined joined;
	struct df_lex lex;
	unsigned line;
	size_t n;

	if (df_lex_init(&lex, &a, arena_strndup(&a, (const char *)data, size), size, &line, NULL) ==
		    0 &&
	    df_lex_next(&lex, &joined, NULL) > 0) {
		(void)!df_heredoc_parse(&a, joined.text, &marker, NULL);
		(void)!df_heredoc_read_all(&lex, joined.text, &list, &n, NULL);
	}
	df_lex_release(&lex);
	arena_release(&a);
	return 0;
}
