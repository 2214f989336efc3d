/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cli/complete_values.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cli/session.h"

enum kind {
	WORDS,
	FIELDS, /* a CSV record: `words` are its first field, `more` the others */
	FILES,
	DIRS,
	FILES_OR_FIELDS,
	STAGES,
	IMAGES,
};

#define PLATFORMS                                                                                  \
	"linux/386 linux/amd64 linux/arm/v6 linux/arm/v7 linux/arm64 linux/loong64 linux/ppc64le " \
	"linux/riscv64 linux/s390x"

/* The first row that fits counts. */
static const struct rule {
	const char *command, *option; /* NULL: any command */
	enum kind kind;
	const char *words, *more;
} rules[] = {
	{NULL, "allow", WORDS, "network.host security.insecure", NULL},
	{NULL, "build-context", FILES, NULL, NULL},
	{NULL, "cache-from", FIELDS, "type=local type=registry type=s3",
	 "bucket= name= ref= region= src="},
	{NULL, "cache-to", FIELDS, "type=inline type=local type=registry type=s3",
	 "bucket= compression=gzip compression=zstd dest= ignore-error=true mode=max mode=min "
	 "name= ref= region="},
	{NULL, "call", FIELDS, "build check outline targets", "format=json format=text"},
	{NULL, "context-modes", WORDS, "keep normalize", NULL},
	{NULL, "file", FILES, NULL, NULL},
	{"debug", "format", WORDS, "dot json", NULL},
	{"cache", "format", WORDS, "json table", NULL},
	{"mounts", "format", WORDS, "json table", NULL},
	{NULL, "format", WORDS, "json", NULL},
	{NULL, "iidfile", FILES, NULL, NULL},
	{NULL, "input", FILES, NULL, NULL},
	{NULL, "metadata-file", FILES, NULL, NULL},
	{NULL, "network", WORDS, "default host none", NULL},
	{NULL, "no-cache-filter", STAGES, NULL, NULL},
	{"save", "output", FILES, NULL, NULL},
	{NULL, "output", FILES_OR_FIELDS,
	 "type=cacheonly type=docker type=image type=local type=oci type=registry type=tar",
	 "compression=gzip compression=uncompressed compression=zstd compression-level= dest= "
	 "name= push=true rewrite-timestamp=true tar=false"},
	{NULL, "platform", FIELDS, PLATFORMS, PLATFORMS},
	{"import", "progress", WORDS, "auto plain quiet tty", NULL},
	{"pull", "progress", WORDS, "auto plain quiet tty", NULL},
	{"push", "progress", WORDS, "auto plain quiet tty", NULL},
	{NULL, "progress", WORDS, "auto plain quiet rawjson tty", NULL},
	{NULL, "secret", FIELDS, "id=", "cachekey=hash env= src="},
	{NULL, "squash", STAGES, "scratch", NULL},
	{NULL, "ssh", WORDS, "default", NULL},
	{NULL, "target", STAGES, NULL, NULL},
	{NULL, "volume", FILES, NULL, NULL},
};

/* Stages of the Dockerfile, as far as a name is written out. Only what the line says is read: what
 * is being edited need not parse. */
static void offer_stages(const struct completion *c, const struct complete_state *state,
			 const char *kept)
{
	size_t verbs = complete_verbs(state->command) ? 1 : 0;
	const char *context = state->args.n > verbs ? state->args.v[state->args.n - 1] : ".";
	_cleanup_free_ char *path =
		state->file ? xstrdup(state->file) : xasprintf("%s/Dockerfile", context);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	char line[1024];
	struct stat st;

	if (!f) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fgets(line, sizeof(line), f)) {
		char *save = NULL, *word = strtok_r(line, " \t\r\n", &save);

		if (!word || strcasecmp(word, "FROM") != 0)
			continue;
		while ((word = strtok_r(NULL, " \t\r\n", &save)) && strcasecmp(word, "AS") != 0)
			;
		word = word ? strtok_r(NULL, " \t\r\n", &save) : NULL;
		if (word)
			complete_offer(c, kept, word, NULL);
	}
	(void)fclose(f);
}

/* The shell gets no error: what cannot be read has no candidates. No store is made. */
static void offer_images(const struct completion *c, const char *kept)
{
	_cleanup_free_ char *root = session_store_root();
	struct image *images = NULL;
	struct store *s = NULL;
	struct error *err = NULL;
	size_t n = 0;
	int r = access(root, F_OK) < 0 ? -1 : session_open_store(&s, &err);

	if (r == 0)
		r = image_list(s, &images, &n, &err);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < images[i].n_tags; k++) {
			_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
			_cleanup_free_ char *name = NULL, *tagged = NULL;

			if (imageref_parse(images[i].tags[k], &ref, NULL) < 0)
				continue;
			name = imageref_familiar_name(&ref);
			tagged = xasprintf("%s:%s", name, ref.tag ? ref.tag : "latest");
			complete_offer(c, kept, tagged, NULL);
		}
		image_release(&images[i]);
	}
	free(images);
	if (s)
		store_close(s);
	error_free(err);
}

/* A CSV record: what stands before the last comma is kept. */
static void offer_fields(struct completion *c, const struct rule *rule, const char *kept)
{
	const char *comma = strrchr(c->word, ',');
	_cleanup_free_ char *before =
		comma ? xasprintf("%s%.*s", kept, (int)(comma + 1 - c->word), c->word)
		      : xstrdup(kept);

	if (comma)
		c->word = comma + 1;
	complete_offer_words(c, before, comma ? rule->more : rule->words);
	c->nospace = true;
}

static const struct rule *find_rule(const char *command, const char *option)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (strcmp(rules[i].option, option) == 0 &&
		    (!rules[i].command || strcmp(rules[i].command, command) == 0))
			return &rules[i];
	return NULL;
}

void complete_value(struct completion *c, const struct complete_state *state, const struct opt *o,
		    const char *kept)
{
	const struct rule *rule = find_rule(state->command, o->name);

	if (!rule)
		return;
	if (rule->kind == WORDS || rule->kind == STAGES)
		complete_offer_words(c, kept, rule->words ? rule->words : "");
	if (rule->kind == STAGES)
		offer_stages(c, state, kept);
	c->files = rule->kind == FILES || rule->kind == FILES_OR_FIELDS;
	if (rule->kind == FIELDS || rule->kind == FILES_OR_FIELDS)
		offer_fields(c, rule, kept);
}

void complete_argument(struct completion *c, const struct complete_state *state)
{
	/* "COMMAND" or "COMMAND VERB": what its arguments are. */
	static const struct {
		const char *command;
		enum kind kind;
		size_t most;
	} rows[] = {
		{"build", DIRS, 1},
		{"verify-build", DIRS, 1},
		{"debug graph", DIRS, 1},
		{"debug shell", IMAGES, 1},
		{"history", IMAGES, 1},
		{"images", IMAGES, 1},
		{"inspect", IMAGES, SIZE_MAX},
		{"push", IMAGES, 1},
		{"rmi", IMAGES, SIZE_MAX},
		{"run", IMAGES, 1},
		{"save", IMAGES, SIZE_MAX},
		{"tag", IMAGES, 2},
		{"pull", IMAGES, 1},
		{"import", FILES, 1},
	};
	const char *verbs = complete_verbs(state->command);
	size_t given = state->args.n;
	_cleanup_free_ char *what = verbs && *verbs && given > 0
					    ? xasprintf("%s %s", state->command, state->args.v[0])
					    : xstrdup(state->command);

	if (verbs && *verbs && given == 0) {
		complete_offer_words(c, "", verbs);
		return;
	}
	given -= verbs && *verbs;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].command, what) != 0 || given >= rows[i].most)
			continue;
		c->dirs = rows[i].kind == DIRS;
		c->files = rows[i].kind == FILES;
		if (rows[i].kind == IMAGES)
			offer_images(c, "");
	}
	/* What a container runs, or a volume of it. */
	c->files |= strcmp(state->command, "run") == 0 && given > 0;
}
