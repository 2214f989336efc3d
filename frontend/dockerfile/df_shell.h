/* SPDX-License-Identifier: Apache-2.0 */
/* Word expansion: variables, quotes and escapes as Dockerfile instructions use them.
 *
 *	$name ${name}		the value, or nothing
 *	${name:-word} ${name-word}	word if unset or empty / unset
 *	${name:+word} ${name+word}	word if set and not empty / set
 *	${name:?word} ${name?word}	an error with that text if unset or empty / unset
 *	${name#pattern} ## % %%	without the shortest (longest) matching prefix (suffix)
 *	${name/pattern/word} //	the first match (all) replaced; patterns: df_shell_pattern.h
 *
 * Words are expanded in turn. '...' is literal; in "..." variables are replaced and the escape
 *character works before ", $ and itself. Results live in the arena that the caller gives. Errors
 *are ERR_INVALID: `failed to process "...": reason`.
 */
#ifndef KILN_FRONTEND_DOCKERFILE_DF_SHELL_H
#define KILN_FRONTEND_DOCKERFILE_DF_SHELL_H

#include "base/error.h"
#include "frontend/dockerfile/df_ast.h"

/* Limits. Variables beyond the last are expanded but not reported. */
enum {
	DF_SHELL_VARS_MAX = 256,
	DF_SHELL_DEPTH_MAX = 64, /* ${a:-${b:-...}} */
	DF_SHELL_RESULT_MAX = 4 * 1024 * 1024,
};

/* What expanding may still take altogether. */
struct df_budget {
	size_t bytes; /* of results */
	size_t steps; /* of patterns (df_shell_pattern.h) */
};

/* How to expand, and with what. Zero but for `escape` and `get` is right for instruction
 * arguments. */
struct df_shell {
	char escape;	   /* df_file.escape */
	bool raw_quotes;   /* keep the quotes in the result */
	bool raw_escapes;  /* keep the escape characters */
	bool plain_quotes; /* quotes are ordinary characters: heredoc bodies */
	bool skip_unset;   /* leave references to unset variables as they are written */
	/* The value of a variable, NULL if it is not set. NULL: nothing is set. */
	const char *(*get)(void *data, const char *name);
	void *data;
	struct df_budget *budget; /* NULL: no such limit */
};

/* Variables met, each once, in order of first use. In the arena. */
struct df_var {
	const char *name;
	size_t offset; /* of its first use in the word */
};
struct df_vars {
	struct df_var *used, *undefined;
	size_t n_used, n_undefined;
	size_t cap_used, cap_undefined;
};
#define DF_VARS_INIT \
	{            \
		0    \
	}

/* One word out of one word: blanks stay. `vars` may be NULL; it is appended to. */
int df_expand(const struct df_shell *s, struct arena *a, const char *word, struct df_vars *vars,
	      const char **ret, struct error **err) _must_check_;
/* Many words out of one: blanks that are not quoted split, also those that come from a variable. */
int df_expand_words(const struct df_shell *s, struct arena *a, const char *word,
		    struct df_vars *vars, struct df_strings *ret, struct error **err) _must_check_;
/* The body of a heredoc whose marker is not quoted: quotes stay, the escape character is a
 * backslash whatever the file's is. */
int df_expand_heredoc(const struct df_shell *s, struct arena *a, const char *body,
		      struct df_vars *vars, const char **ret, struct error **err) _must_check_;

#endif
