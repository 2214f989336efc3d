/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cli/complete.h"

#include <stdio.h>
#include <string.h>

#include "cmd/cli/complete_values.h"

void complete_offer(const struct completion *c, const char *kept, const char *text,
		    const char *about)
{
	if (strncmp(text, c->word, strlen(c->word)) == 0)
		printf("%s%s%s%s\n", kept, text, about ? "\t" : "", about ? about : "");
}

void complete_offer_words(const struct completion *c, const char *kept, const char *words)
{
	for (const char *p = words; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");
		_cleanup_free_ char *word = xstrndup(p, n);

		complete_offer(c, kept, word, NULL);
		p += n;
	}
}

const char *complete_verbs(const char *command)
{
	static const struct {
		const char *command, *verbs;
	} rows[] = {
		{"cache", "ls inspect rm"},
		{"completion", "bash zsh fish"},
		{"debug", "graph key shell"},
		{"imagetools", "inspect create"},
		{"imagetools create", ""},
		{"imagetools inspect", ""},
		{"mounts", "ls inspect prune reset"},
		{"store", "verify remove"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(rows[i].command, command) == 0)
			return rows[i].verbs;
	return NULL;
}

void complete_finish(const struct completion *c)
{
	printf(":%s%s%s\n", c->files ? " files" : "", c->dirs ? " dirs" : "",
	       c->nospace ? " nospace" : "");
}

static const struct opt *find_letter(const struct opt *table, char letter)
{
	for (const struct opt *o = table; o->name; o++)
		if (o->letter && o->letter == letter)
			return o;
	return NULL;
}

static const struct opt *find_option(const struct opt *table, const char *word, size_t n)
{
	/* Of "-abc" the last, unless one before takes the rest as its value. */
	for (size_t i = 1; word[1] != '-' && i < n; i++) {
		const struct opt *o = find_letter(table, word[i]);

		if (!o || i + 1 == n)
			return o;
		if (opt_takes_value(o))
			return NULL;
	}
	for (const struct opt *o = table; o->name; o++)
		if (n > 2 && strlen(o->name) == n - 2 && memcmp(o->name, word + 2, n - 2) == 0)
			return o;
	return NULL;
}

static void offer_options(const struct completion *c, const struct opt *table)
{
	for (const struct opt *o = table; o->name; o++) {
		_cleanup_free_ char *text = xasprintf("--%s", o->name);

		if (o->help)
			complete_offer(c, "", text, o->help);
	}
	complete_offer(c, "", "--help", "Print the options");
}

/* "-" and "--" stand for streams and the end of options. */
static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] && strcmp(word, "--") != 0;
}

/* What was said before the word that is completed. */
static void read_words(const struct completion *c, const struct opt *table,
		       struct complete_state *state, const struct opt **ret_pending)
{
	*ret_pending = NULL;
	for (size_t i = 0; i + 1 < c->n; i++) {
		const char *word = c->words[i], *equals = strchr(word, '=');
		const struct opt *o;

		if (!is_option(word)) {
			vec_push(&state->args, word);
			continue;
		}
		o = find_option(table, word, equals ? (size_t)(equals - word) : strlen(word));
		if (!o || (!equals && !opt_takes_value(o)))
			continue;
		if (!equals && i + 2 == c->n) {
			*ret_pending = o;
			return;
		}
		if (strcmp(o->name, "file") == 0)
			state->file = equals ? equals + 1 : c->words[i + 1];
		if (!equals)
			i++;
	}
}

void complete_command(const struct command *command, const struct opt *table, void *completion)
{
	struct completion *c = completion;
	struct complete_state state = {.command = command->name};
	const char *word = c->words[c->n - 1], *equals = strchr(word, '=');
	const struct opt *pending;

	c->word = word;
	read_words(c, table, &state, &pending);
	if (pending) {
		complete_value(c, &state, pending, "");
	} else if (word[0] == '-' && word[1] == '-' && equals) {
		const struct opt *o = find_option(table, word, (size_t)(equals - word));
		_cleanup_free_ char *kept = xstrndup(word, (size_t)(equals + 1 - word));

		c->word = equals + 1;
		if (o)
			complete_value(c, &state, o, kept);
	} else if (word[0] == '-') {
		offer_options(c, table);
	} else {
		complete_argument(c, &state);
	}
	vec_release(&state.args);
}
