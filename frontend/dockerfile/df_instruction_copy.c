/* SPDX-License-Identifier: Apache-2.0 */
/* COPY and ADD, their flags and sources. */
#include <string.h>

#include "frontend/dockerfile/df_heredoc.h"
#include "frontend/dockerfile/df_instruction.h"

/* The last heredoc of that name, as the shell would have it. */
static const struct df_heredoc *find_heredoc(const struct df_instruction *ins, const char *name)
{
	for (size_t i = ins->n_heredocs; i > 0; i--)
		if (strcmp(ins->heredocs[i - 1].name, name) == 0)
			return &ins->heredocs[i - 1];
	return NULL;
}

/* A source word that is a heredoc marker becomes a file. */
static bool add_file(struct df_request *req, struct df_instruction *ins, const char *word)
{
	struct df_copy *c = &ins->copy;
	const struct df_heredoc *body;
	struct df_heredoc marker, *file;

	if (df_heredoc_parse(req->arena, word, &marker, NULL) <= 0)
		return false;
	body = find_heredoc(ins, marker.name);
	file = arena_alloc(req->arena, sizeof(*file));
	*file = marker;
	if (body)
		file->content = body->content;
	file->chomped = file->chomp ? df_heredoc_chomp(req->arena, file->content) : file->content;
	c->files[c->n_files++] = file;
	return true;
}

static int parse_paths(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	struct df_copy *c = &ins->copy;
	struct df_heredoc marker;
	size_t last = req->args.n - 1;

	c->dest = req->args.v[last];
	if (df_heredoc_parse(req->arena, c->dest, &marker, NULL) > 0)
		return error_new(err, ERR_INVALID, 0, "%s cannot accept a heredoc as a destination",
				 req->name);
	c->files = arena_alloc(req->arena, last * sizeof(*c->files));
	for (size_t i = 0; i < last; i++)
		if (!add_file(req, ins, req->args.v[i]))
			df_strings_push(req->arena, &c->sources, req->args.v[i]);
	return 0;
}

int df_copy_parse(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	struct df_copy *c = &ins->copy;
	enum df_tristate link = DF_UNSET, parents = DF_UNSET;
	const struct df_flag_spec copy_flags[] = {
		{"chown", DF_FLAG_STRING, &c->chown}, {"from", DF_FLAG_STRING, &c->from},
		{"chmod", DF_FLAG_STRING, &c->chmod}, {"link", DF_FLAG_BOOL, &link},
		{"parents", DF_FLAG_BOOL, &parents},  {"exclude", DF_FLAG_STRINGS, &c->exclude},
	};
	const struct df_flag_spec add_flags[] = {
		{"chown", DF_FLAG_STRING, &c->chown},
		{"chmod", DF_FLAG_STRING, &c->chmod},
		{"link", DF_FLAG_BOOL, &link},
		{"keep-git-dir", DF_FLAG_BOOL, &c->keep_git_dir},
		{"checksum", DF_FLAG_STRING, &c->checksum},
		{"unpack", DF_FLAG_BOOL, &c->unpack},
		{"exclude", DF_FLAG_STRINGS, &c->exclude},
	};
	int r;

	if (req->args.n < 2)
		return error_new(err, ERR_INVALID, 0,
				 "%s requires at least two arguments, but only one was provided. "
				 "Destination could not be determined",
				 req->name);
	c->keep_git_dir = c->unpack = DF_UNSET;
	if (ins->kind == DF_COPY)
		r = df_flags_parse(req, ins, copy_flags, ARRAY_SIZE(copy_flags), err);
	else
		r = df_flags_parse(req, ins, add_flags, ARRAY_SIZE(add_flags), err);
	if (r < 0)
		return r;
	c->link = link == DF_TRUE;
	c->parents = parents == DF_TRUE;
	return parse_paths(req, ins, err);
}
