/* SPDX-License-Identifier: Apache-2.0 */
/* COPY and ADD to file ops. */
#include <string.h>

#include "base/giturl.h"
#include "base/number.h"
#include "base/path.h"
#include "frontend/dockerfile/df_text.h"
#include "frontend/lower.h"

/* One COPY or ADD while it is lowered. */
struct copying {
	struct compiler *c;
	struct stage *s;
	const struct command *cmd;
	const struct df_instruction *in;
	const struct df_copy *copy;
	bool add;
	struct draft *from;   /* the context or stage that paths are taken from */
	struct path_use *use; /* what is used of it, if that matters */
	const char **sources; /* expanded, n as in `copy` */
	const char *dest, *chown, *chmod, *checksum;
	struct op_file_copy base; /* what all actions have in common */
	const char *name;	  /* of the step */
	const char *if_missing;	  /* see struct vertex_meta */
	struct draft_inputs inputs;
	VEC(struct op_file_action) actions;
};

static int expand_words(struct copying *p, struct error **err)
{
	const struct df_copy *copy = p->copy;
	int r = lower_expand(p->c, p->s, p->in, copy->chown, &p->chown, err);

	if (r == 0)
		r = lower_expand(p->c, p->s, p->in, copy->chmod, &p->chmod, err);
	if (r == 0)
		r = lower_expand(p->c, p->s, p->in, copy->checksum, &p->checksum, err);
	p->sources = arena_alloc(p->c->arena, (copy->sources.n + 1) * sizeof(*p->sources));
	for (size_t i = 0; i < copy->sources.n && r == 0; i++)
		r = lower_expand(p->c, p->s, p->in, copy->sources.v[i], &p->sources[i], err);
	if (r == 0)
		r = lower_expand(p->c, p->s, p->in, copy->dest, &p->dest, err);
	return r;
}

/* Absolute, clean, with a trailing slash where the text asks for a directory. */
static const char *destination(struct copying *p)
{
	const char *text = p->dest, *dir = *p->s->dir ? p->s->dir : "/";
	_cleanup_free_ char *full = path_resolve(dir, *text ? text : ".");
	size_t n = strlen(text);
	bool slash = n == 0 || strcmp(text, ".") == 0 || text[n - 1] == '/' ||
		     (n >= 2 && strcmp(text + n - 2, "/.") == 0);

	return arena_printf(p->c->arena, "%s%s", full, slash && strcmp(full, "/") != 0 ? "/" : "");
}

/* [ugoa]*([-+=]([rwxXst]*|[ugo]))+ with commas between */
static bool symbolic_mode_ok(const char *s)
{
	for (;;) {
		s += strspn(s, "ugoa");
		if (!*s || !strchr("+-=", *s))
			return false;
		while (*s && strchr("+-=", *s)) {
			s++;
			s += strspn(s, "rwxXstugo");
		}
		if (*s == '\0')
			return true;
		if (*s++ != ',')
			return false;
	}
}

static int set_mode(struct copying *p, struct error **err)
{
	const char *text = p->chmod;
	uint64_t mode;

	p->base.mode = -1;
	p->base.mode_text = "";
	if (!text || !*text)
		return 0;
	if (text[strspn(text, "0123456789")] == '\0') {
		if (number_parse(text, 8, 07777, &mode) < 0)
			return error_new(err, ERR_INVALID, 0,
					 "invalid chmod parameter: '%s'. it should be octal string "
					 "and between 0 and 07777",
					 text);
		p->base.mode = (int64_t)mode;
		return 0;
	}
	if (!symbolic_mode_ok(text))
		return error_new(err, ERR_INVALID, 0,
				 "invalid chmod parameter: '%s'. it should be octal string and "
				 "between 0 and 07777, or symbolic as in u=rw,go=r",
				 text);
	p->base.mode_text = text;
	return 0;
}

static int check_checksum(const struct copying *p, struct error **err)
{
	enum copy_source_kind kind = COPY_LOCAL;
	struct giturl git = {0};
	int r;

	if (!p->checksum || !*p->checksum)
		return 0;
	if (!p->add)
		return error_new(err, ERR_INVALID, 0, "checksum can't be specified for COPY");
	if (p->copy->sources.n != 1)
		return error_new(err, ERR_INVALID, 0,
				 "checksum can't be specified for multiple sources");
	r = lower_source_kind(p->sources[0], &kind, &git, err);
	giturl_release(&git);
	if (r == 0 && kind == COPY_LOCAL)
		r = error_new(err, ERR_INVALID, 0, "checksum requires HTTP(S) or Git sources");
	return r;
}

static int find_source(struct copying *p, struct error **err)
{
	struct stage *from = p->cmd->n_sources > 0 ? p->cmd->sources[0] : NULL;

	if (!from)
		return 0;
	if (!from->dispatched)
		return error_new(err, ERR_INVALID, 0,
				 "cannot copy from stage \"%s\", it needs to be defined before "
				 "current stage \"%s\"",
				 p->copy->from, p->s->shown);
	p->from = from->state;
	p->use = from->use;
	return 0;
}

static void add_action(struct copying *p, struct draft *source, struct op_file_copy copy)
{
	vec_push(&p->actions, (struct op_file_action){
				      .kind = FILE_COPY,
				      /* numbered when all inputs are known */
				      .secondary_input = draft_input(&p->inputs, source),
				      .output = OP_OUTPUT_NONE,
				      .copy = copy,
			      });
}

/* Does the ignore file exclude all entries of the root? */
static bool root_ignored(const struct strv *patterns)
{
	return strv_contains(patterns, "*") || strv_contains(patterns, "**") ||
	       strv_contains(patterns, "**/*");
}

static void check_ignored(struct copying *p, const char *source)
{
	const struct compiler *c = p->c;
	_cleanup_free_ char *clean = path_clean(source);

	if (!c->ignore || pattern_list_has_exceptions(c->ignore) || p->cmd->n_sources > 0)
		return;
	if ((strcmp(clean, ".") == 0 || strcmp(clean, "/") == 0) && !root_ignored(&c->opts->ignore))
		return;
	if (pattern_list_matches(c->ignore, clean))
		df_lint_warn(c->lint, p->in, DF_RULE_COPY_IGNORED_FILE,
			     "Attempting to %s file %s that is excluded by .dockerignore",
			     p->add ? "Add" : "Copy", df_quote(p->c->arena, clean));
}

static bool has_wildcards(const char *s)
{
	for (; *s; s++) {
		if (strchr("*?[", *s))
			return true;
		if (*s == '\\' && *++s == '\0')
			return false;
	}
	return false;
}

static const char *rooted(struct arena *a, const char *path)
{
	_cleanup_free_ char *clean = path_rooted(path);

	return arena_printf(a, "/%s", clean);
}

/* --parents: the path from the pivot "/./" on (or all of it) is kept below the destination. */
static const char *split_pivot(struct copying *p, const char *source, struct op_file_copy *copy)
{
	struct arena *a = p->c->arena;
	const char *pivot = strstr(source, "/./");
	const char *parent = pivot ? arena_strndup(a, source, (size_t)(pivot - source)) : "/";
	const char *pattern = rooted(a, pivot ? pivot + 3 : source);
	const char **include = ARENA_NEW(a, const char *);

	*include = pattern + 1;
	copy->include = (struct op_strings){include, 1};
	if (!has_wildcards(parent) && !has_wildcards(pattern)) {
		const char **required = ARENA_NEW(a, const char *);

		*required = rooted(a, arena_printf(a, "%s/%s", parent, pattern));
		copy->required_paths = (struct op_strings){required, 1};
	}
	return parent;
}

static int copy_local(struct copying *p, const char *source, struct error **err)
{
	struct op_file_copy copy = p->base;
	const char *path = source;
	int r;

	check_ignored(p, source);
	lower_note_outside(p->c, source, p->cmd->n_sources > 0, &p->if_missing);
	if (p->cmd->n_sources == 0) {
		r = context_source(p->c, NULL, &p->from, &p->use, err);
		if (r < 0)
			return r;
	}
	if (p->use)
		path_use_add(p->use, p->c->arena, source);
	if (p->copy->parents)
		path = split_pivot(p, source, &copy);
	copy.src = rooted(p->c->arena, path);
	copy.follow_symlink = true;
	copy.dir_copy_contents = true;
	copy.allow_wildcard = true;
	copy.allow_empty_wildcard = true;
	copy.attempt_unpack = p->add && p->copy->unpack != DF_FALSE;
	add_action(p, p->from, copy);
	return 0;
}

static int copy_git(struct copying *p, struct giturl *git, struct error **err)
{
	struct op_file_copy copy = p->base;
	struct vertex_meta meta = lower_meta(p->c, p->s, p->name, p->in->span);
	const char *checksum = p->checksum;
	int keep = p->copy->keep_git_dir;

	if (!p->add)
		return error_new(err, ERR_INVALID, 0, "source can't be a git ref for COPY");
	if (keep != DF_UNSET && git->keep_git_dir >= 0 && keep != git->keep_git_dir)
		return error_new(err, ERR_INVALID, 0, "inconsistent keep-git-dir configuration");
	if (git->keep_git_dir >= 0)
		keep = git->keep_git_dir;
	if (git->checksum && checksum && *checksum && strcmp(checksum, git->checksum) != 0)
		return error_new(err, ERR_INVALID, 0, "checksum mismatch \"%s\" != \"%s\"",
				 checksum, git->checksum);
	if (git->checksum)
		checksum = git->checksum;
	copy.src = "/";
	add_action(p, lower_git(p->c, git, keep == DF_TRUE, checksum, &meta), copy);
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Reads %XX in place; false where that is malformed or stands for NUL. */
static bool unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		int high, low;

		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		high = hex_digit(s[1]);
		low = high < 0 ? -1 : hex_digit(s[2]);
		if (low < 0 || high + low == 0)
			return false;
		*to++ = (char)(high * 16 + low);
		s += 2;
	}
	*to = '\0';
	return true;
}

/* The last part of the URL's path. */
static const char *url_filename(struct arena *a, const char *url)
{
	const char *path = strpbrk(strstr(url, "://") + 3, "/?#");
	_cleanup_free_ char *clean = NULL, *plain = NULL;
	const char *base;

	if (!path || *path != '/')
		return "__unnamed__";
	plain = xstrndup(path, strcspn(path, "?#"));
	if (!unescape(plain))
		return "__unnamed__";
	clean = path_rooted(plain);
	base = path_base(clean);
	return *base ? arena_strdup(a, base) : "__unnamed__";
}

static int bad_checksum(const char *text, struct error **err)
{
	size_t n = strcspn(text, ":");

	if (text[n] && (n != strlen("sha256") || strncmp(text, "sha256", n) != 0))
		return error_new(
			err, ERR_INVALID, 0,
			"unsupported digest algorithm in checksum \"%s\": only sha256 is known",
			text);
	return error_new(err, ERR_INVALID, 0,
			 "invalid checksum digest format: \"%s\" is not a sha256 digest", text);
}

static int copy_http(struct copying *p, const char *url, struct error **err)
{
	struct op_file_copy copy = p->base;
	struct vertex_meta meta = lower_meta(p->c, p->s, p->name, p->in->span);
	const char *filename = url_filename(p->c->arena, url);
	struct digest digest;

	if (!p->add)
		return error_new(err, ERR_INVALID, 0, "source can't be a URL for COPY");
	if (p->checksum && *p->checksum && digest_parse(p->checksum, &digest) < 0)
		return bad_checksum(p->checksum, err);
	copy.src = arena_printf(p->c->arena, "/%s", filename);
	copy.attempt_unpack = p->copy->unpack == DF_TRUE;
	add_action(p, lower_http(p->c, url, filename, p->checksum, &meta), copy);
	return 0;
}

static int copy_source(struct copying *p, const char *source, struct error **err)
{
	enum copy_source_kind kind;
	struct giturl git = {0};
	int r = lower_source_kind(source, &kind, &git, err);

	if (r < 0)
		return r;
	if (kind == COPY_GIT)
		r = copy_git(p, &git, err);
	else if (kind == COPY_HTTP)
		r = copy_http(p, source, err);
	else
		r = copy_local(p, source, err);
	giturl_release(&git);
	return r;
}

struct draft *lower_inline_file(struct compiler *c, struct stage *s, const char *name,
				const char *data, uint32_t mode)
{
	struct op_file_action *action = ARENA_NEW(c->arena, struct op_file_action);
	struct op op = {.kind = OP_FILE,
			.platform = lower_platform(c, &s->platform),
			.file = {.actions = action, .n = 1}};
	struct vertex_meta meta = {.name = "[internal] preparing inline document"};

	*action = (struct op_file_action){
		.kind = FILE_MKFILE,
		.input = OP_INPUT_NONE,
		.secondary_input = OP_INPUT_NONE,
		.output = 0,
		.mkfile = {.path = rooted(c->arena, name),
			   .data = arena_strdup(c->arena, data),
			   .size = strlen(data),
			   .mode = mode,
			   .owner = {.user = "", .group = ""},
			   .timestamp = OP_TIME_NONE},
	};
	return draft_new(&c->drafts, &op, NULL, &meta);
}

static int copy_heredoc(struct copying *p, const struct df_heredoc *doc, struct error **err)
{
	struct op_file_copy copy = p->base;
	struct df_shell shell = lower_shell(p->c, p->s);
	struct df_vars vars = DF_VARS_INIT;
	const char *data = doc->chomped;

	if (doc->expand) {
		int r = df_expand_heredoc(&shell, p->c->arena, data, &vars, &data, err);

		if (r < 0)
			return r;
		lower_report_undefined(p->c, p->s, p->in, &vars);
	}
	copy.src = rooted(p->c->arena, doc->name);
	add_action(p, lower_inline_file(p->c, p->s, doc->name, data, 0644), copy);
	return 0;
}

/* Chains the actions: each works on what the one before it left. */
static struct draft *make_draft(struct copying *p, struct draft *below,
				const struct vertex_meta *meta)
{
	struct op op = {.kind = OP_FILE, .platform = lower_platform(p->c, &p->s->platform)};
	size_t n = p->actions.n;
	struct op_file_action *actions = arena_alloc(p->c->arena, (n + 1) * sizeof(*actions));
	int first = draft_input(&p->inputs, below);
	int n_inputs = (int)p->inputs.list.n;

	for (size_t i = 0; i < n; i++) {
		actions[i] = p->actions.v[i];
		actions[i].input = i == 0 ? first : n_inputs + (int)i - 1;
		actions[i].output = i + 1 == n ? 0 : OP_OUTPUT_NONE;
	}
	op.file = (struct op_file){actions, n};
	return draft_new(&p->c->drafts, &op, &p->inputs, meta);
}

/* --link: the files in a layer of their own, merged on top of what is below. */
static struct draft *make_link(struct copying *p, const char *text, struct vertex_meta meta)
{
	const char *group = arena_printf(p->c->arena, "link-%zu", p->c->drafts.list.n);
	struct vertex_meta merge_meta = meta;
	struct op merge = {.kind = OP_MERGE, .platform = lower_platform(p->c, &p->s->platform)};
	struct draft_inputs inputs = {0};
	struct draft *files;

	meta.progress_group = merge_meta.progress_group = group;
	meta.progress_group_name = merge_meta.progress_group_name = p->name;
	meta.progress_group_weak = true;
	merge_meta.name =
		step_name(p->c, p->s, p->cmd, arena_printf(p->c->arena, "LINK %s", text), true);
	files = make_draft(p, NULL, &meta);
	if (!p->s->state)
		return files;
	(void)draft_input(&inputs, p->s->state);
	(void)draft_input(&inputs, files);
	return draft_new(&p->c->drafts, &merge, &inputs, &merge_meta);
}

static void add_copy_history(struct copying *p)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_adds(&b, p->add ? "ADD" : "COPY");
	if (p->copy->parents)
		buf_adds(&b, " --parents");
	if (p->chown && *p->chown)
		buf_addf(&b, " --chown=%s", p->chown);
	if (p->chmod && *p->chmod)
		buf_addf(&b, " --chmod=%s", p->chmod);
	for (size_t i = 0; i < p->copy->sources.n; i++)
		buf_addf(&b, " %s", p->sources[i]);
	for (size_t i = 0; i < p->copy->n_files; i++)
		buf_addf(&b, " <<%s", p->copy->files[i]->name);
	buf_addf(&b, " %s # buildkit", p->dest);
	lower_add_history(p->c, p->s, false, "%s", b.p);
}

static int lower_copying(struct copying *p, struct error **err)
{
	struct vertex_meta meta;
	const char *text;
	bool link;
	int r = expand_words(p, err);

	if (r == 0)
		r = find_source(p, err);
	if (r == 0)
		r = set_mode(p, err);
	if (r == 0)
		r = check_checksum(p, err);
	if (r < 0)
		return r;
	p->base.dest = destination(p);
	p->base.create_dest_path = true;
	p->base.timestamp = OP_TIME_NONE;
	p->base.exclude = (struct op_strings){p->copy->exclude.v, p->copy->exclude.n};
	p->base.owner = (struct op_owner){.user = "", .group = ""};
	if (p->chown && *p->chown)
		p->base.owner = lower_owner(p->c, p->chown);
	/* As BuildKit does: with --chmod there is no separate layer. */
	link = p->copy->link && (!p->chmod || !*p->chmod);
	if (!link)
		(void)draft_input(&p->inputs, p->s->state);
	text = step_text(p->c, p->s, p->in, p->in->text);
	p->name = step_name(p->c, p->s, p->cmd, text, false);
	for (size_t i = 0; i < p->copy->sources.n && r == 0; i++)
		r = copy_source(p, p->sources[i], err);
	for (size_t i = 0; i < p->copy->n_files && r == 0; i++)
		r = copy_heredoc(p, p->copy->files[i], err);
	if (r < 0)
		return r;
	meta = lower_meta(p->c, p->s, p->name, p->in->span);
	meta.ignore_cache = p->s->ignore_cache;
	meta.if_missing = p->if_missing;
	if (link)
		p->s->state = make_link(p, text, meta);
	else
		p->s->state = make_draft(p, p->s->state, &meta);
	add_copy_history(p);
	return 0;
}

int lower_copy(struct compiler *c, struct stage *s, const struct command *cmd, struct error **err)
{
	struct copying p = {
		.c = c,
		.s = s,
		.cmd = cmd,
		.in = cmd->instruction,
		.copy = &cmd->instruction->copy,
		.add = cmd->instruction->kind == DF_ADD,
	};
	int r = lower_copying(&p, err);

	vec_release(&p.inputs.list);
	vec_release(&p.actions);
	return r;
}
