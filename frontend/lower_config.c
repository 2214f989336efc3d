/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that change the config of an image: ENV, USER, WORKDIR and their kin. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "base/path.h"
#include "base/times.h"
#include "frontend/dockerfile/df_text.h"
#include "frontend/lower.h"

/* "[a b]": a list as Go's %v prints it. */
static void add_list(struct buf *b, const char *const *v, size_t n)
{
	buf_addc(b, '[');
	for (size_t i = 0; i < n; i++)
		buf_addf(b, "%s%s", i > 0 ? " " : "", v[i]);
	buf_addc(b, ']');
}

static void set_strv(struct strv *to, const char *const *v, size_t n)
{
	strv_release(to);
	for (size_t i = 0; i < n; i++)
		strv_push(to, v[i]);
}

struct df_strings lower_with_shell(struct compiler *c, const struct stage *s,
				   struct df_strings args)
{
	static const char *const unix_shell[] = {"/bin/sh", "-c"};
	static const char *const windows_shell[] = {"cmd", "/S", "/C"};
	bool windows = strcmp(s->platform.os, "windows") == 0;
	struct df_strings all = {0};
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < s->config.shell.n; i++)
		df_strings_push(c->arena, &all, arena_strdup(c->arena, s->config.shell.v[i]));
	if (s->config.shell.n == 0) {
		const char *const *shell = windows ? windows_shell : unix_shell;
		size_t n = windows ? ARRAY_SIZE(windows_shell) : ARRAY_SIZE(unix_shell);

		for (size_t i = 0; i < n; i++)
			df_strings_push(c->arena, &all, shell[i]);
	}
	for (size_t i = 0; i < args.n; i++)
		buf_addf(&text, "%s%s", i > 0 ? " " : "", args.v[i]);
	df_strings_push(c->arena, &all, arena_strdup(c->arena, text.p));
	buf_release(&text);
	return all;
}

static void index_pairs(const struct strv *list, struct name_index *x)
{
	if (x->n == list->n)
		return;
	map_release(&x->at, NULL);
	x->at = (struct map)MAP_INIT;
	for (size_t i = 0; i < list->n; i++) {
		void **slot = map_put(&x->at, list->v[i], strcspn(list->v[i], "="));

		if (!*slot)
			*slot = (void *)(uintptr_t)(i + 1);
	}
	x->n = list->n;
}

/* As env_set, for lists that hostile files make long. */
static void set_pair(struct strv *list, struct name_index *x, const char *key, const char *value)
{
	char *pair = xasprintf("%s=%s", key, value);
	void **slot;

	index_pairs(list, x);
	slot = map_puts(&x->at, key);
	if (*slot) {
		free(list->v[(uintptr_t)*slot - 1]);
		list->v[(uintptr_t)*slot - 1] = pair;
		return;
	}
	strv_push_take(list, pair);
	x->n = list->n;
	*slot = (void *)(uintptr_t)list->n;
}

/* Declares an ARG, or gives one that is declared another value. */
static void set_arg(struct stage *s, const char *key, const char *value)
{
	struct name_index *x = &s->arg_index;
	void **slot;

	for (; x->n < s->args.n; x->n++)
		*map_puts(&x->at, s->args.v[x->n].key) = (void *)(uintptr_t)(x->n + 1);
	slot = map_puts(&x->at, key);
	if (*slot) {
		s->args.v[(uintptr_t)*slot - 1].value = value;
		return;
	}
	vec_push(&s->args, (struct stage_arg){key, value});
	x->n = s->args.n;
	*slot = (void *)(uintptr_t)s->args.n;
}

static int lower_env(struct compiler *c, struct stage *s, const struct df_instruction *in,
		     struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct op_pair *pairs = arena_alloc(c->arena, (in->pairs.n + 1) * sizeof(*pairs));

	/* All values are taken before the first is set: "ENV a=1 b=$a" sees the old a. */
	for (size_t i = 0; i < in->pairs.n; i++) {
		int r = lower_expand(c, s, in, in->pairs.v[i].key, &pairs[i].key, err);

		if (r == 0)
			r = lower_expand(c, s, in, in->pairs.v[i].value, &pairs[i].value, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < in->pairs.n; i++) {
		buf_addf(&text, " %s=%s", pairs[i].key, pairs[i].value);
		if (scope_get(&s->env, pairs[i].key))
			s->env_in_order = false;
		scope_set(&s->env, pairs[i].key, pairs[i].value);
		set_pair(&s->config.env, &s->env_index, pairs[i].key, pairs[i].value);
	}
	lower_add_history(c, s, true, "ENV%s", text.p);
	return 0;
}

static int lower_label(struct compiler *c, struct stage *s, const struct df_instruction *in,
		       struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (size_t i = 0; i < in->pairs.n; i++) {
		const char *key, *value;
		int r = lower_expand(c, s, in, in->pairs.v[i].key, &key, err);

		if (r == 0)
			r = lower_expand(c, s, in, in->pairs.v[i].value, &value, err);
		if (r < 0)
			return r;
		buf_addf(&text, " %s=%s", key, value);
		set_pair(&s->config.labels, &s->label_index, key, value);
	}
	lower_add_history(c, s, true, "LABEL%s", text.p);
	return 0;
}

/* `CMD ["a" "b"]` */
static void add_quoted_history(struct compiler *c, struct stage *s, const char *word,
			       struct df_strings args)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char **quoted = arena_alloc(c->arena, (args.n + 1) * sizeof(*quoted));

	for (size_t i = 0; i < args.n; i++)
		quoted[i] = df_quote(c->arena, args.v[i]);
	add_list(&text, quoted, args.n);
	lower_add_history(c, s, true, "%s %s", word, text.p);
}

static int lower_cmd(struct compiler *c, struct stage *s, const struct df_instruction *in)
{
	struct df_strings args = in->command.args;

	if (in->command.shell_form)
		args = lower_with_shell(c, s, args);
	set_strv(&s->config.cmd, args.v, args.n);
	s->config.cmd_set = true;
	s->config.args_escaped = true;
	s->cmd_set = true;
	add_quoted_history(c, s, "CMD", args);
	return 0;
}

static int lower_entrypoint(struct compiler *c, struct stage *s, const struct df_instruction *in)
{
	struct df_strings args = in->command.args;

	if (in->command.shell_form)
		args = lower_with_shell(c, s, args);
	set_strv(&s->config.entrypoint, args.v, args.n);
	s->config.entrypoint_set = true;
	/* The inherited command belonged to another entry point. */
	if (!s->cmd_set) {
		strv_release(&s->config.cmd);
		s->config.cmd_set = false;
	}
	add_quoted_history(c, s, "ENTRYPOINT", args);
	return 0;
}

static void free_healthcheck(struct healthcheck *h)
{
	if (h)
		strv_release(&h->test);
	free(h);
}

static int lower_healthcheck(struct compiler *c, struct stage *s, const struct df_instruction *in)
{
	const struct df_healthcheck *from = &in->healthcheck;
	_cleanup_buf_ struct buf test = BUF_INIT;
	_cleanup_free_ char *interval = times_duration(from->interval);
	_cleanup_free_ char *timeout = times_duration(from->timeout);
	_cleanup_free_ char *start_period = times_duration(from->start_period);
	_cleanup_free_ char *start_interval = times_duration(from->start_interval);
	struct healthcheck *h = NEW(struct healthcheck);

	if (from->none)
		strv_push(&h->test, "NONE");
	else
		strv_push(&h->test, from->command.shell_form ? "CMD-SHELL" : "CMD");
	for (size_t i = 0; !from->none && i < from->command.args.n; i++)
		strv_push(&h->test, from->command.args.v[i]);
	h->interval = from->interval;
	h->timeout = from->timeout;
	h->start_period = from->start_period;
	h->start_interval = from->start_interval;
	h->retries = from->retries;
	free_healthcheck(s->config.healthcheck);
	s->config.healthcheck = h;
	add_list(&test, (const char *const *)h->test.v, h->test.n);
	lower_add_history(c, s, true,
			  "HEALTHCHECK {Test:%s Interval:%s Timeout:%s StartPeriod:%s "
			  "StartInterval:%s Retries:%d}",
			  test.p, interval, timeout, start_period, start_interval, from->retries);
	return 0;
}

static int lower_user(struct compiler *c, struct stage *s, const struct df_instruction *in,
		      struct error **err)
{
	int r = lower_expand(c, s, in, in->word, &s->user, err);

	if (r < 0)
		return r;
	free(s->config.user);
	s->config.user = xstrdup(s->user);
	lower_add_history(c, s, true, "USER %s", s->user);
	return 0;
}

static void add_volume(struct stage *s, const char *name)
{
	struct name_index *x = &s->volume_index;
	void **slot;

	for (; x->n < s->config.volumes.n; x->n++)
		*map_puts(&x->at, s->config.volumes.v[x->n]) = x;
	slot = map_puts(&x->at, name);
	if (*slot)
		return;
	*slot = x;
	strv_push(&s->config.volumes, name);
	x->n = s->config.volumes.n;
}

static int lower_volume(struct compiler *c, struct stage *s, const struct df_instruction *in,
			struct error **err)
{
	struct df_strings names = {0};
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (size_t i = 0; i < in->words.n; i++) {
		const char *name;
		int r = lower_expand(c, s, in, in->words.v[i], &name, err);

		if (r < 0)
			return r;
		if (!*name)
			return error_new(err, ERR_INVALID, 0,
					 "VOLUME specified can not be an empty string");
		df_strings_push(c->arena, &names, name);
		add_volume(s, name);
	}
	add_list(&text, names.v, names.n);
	lower_add_history(c, s, true, "VOLUME %s", text.p);
	return 0;
}

/* A signal by number or by name with or without "SIG", in any case; also RTMIN+n and RTMAX-n. */
static bool signal_ok(const char *text)
{
	static const char *const names[] = {
		"ABRT", "ALRM",	  "BUS",  "CHLD",   "CLD",   "CONT", "FPE",  "HUP",   "ILL",
		"INT",	"IO",	  "IOT",  "KILL",   "PIPE",  "POLL", "PROF", "PWR",   "QUIT",
		"SEGV", "STKFLT", "STOP", "SYS",    "TERM",  "TRAP", "TSTP", "TTIN",  "TTOU",
		"URG",	"USR1",	  "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
	};
	int64_t signed_number;
	uint64_t number;

	if (number_parse_signed(text, INT64_MIN, INT64_MAX, &signed_number) == 0)
		return signed_number != 0;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcasecmp(text, names[i]) == 0)
			return true;
	if (strncasecmp(text, "RTMIN+", 6) != 0 && strncasecmp(text, "RTMAX-", 6) != 0)
		return false;
	return number_parse(text + 6, 10, text[4] == 'I' || text[4] == 'i' ? 15 : 14, &number) ==
		       0 &&
	       number >= 1;
}

static int lower_stopsignal(struct compiler *c, struct stage *s, const struct df_instruction *in,
			    struct error **err)
{
	const char *name;
	int r = lower_expand(c, s, in, in->word, &name, err);

	if (r < 0)
		return r;
	if (!signal_ok(name))
		return error_new(err, ERR_INVALID, 0, "invalid signal: %s", name);
	free(s->config.stop_signal);
	s->config.stop_signal = xstrdup(name);
	lower_add_history(c, s, true, "STOPSIGNAL %s", name);
	return 0;
}

static int lower_shell_instruction(struct compiler *c, struct stage *s,
				   const struct df_instruction *in)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	set_strv(&s->config.shell, in->command.args.v, in->command.args.n);
	add_list(&text, in->command.args.v, in->command.args.n);
	lower_add_history(c, s, true, "SHELL %s", text.p);
	return 0;
}

static int lower_maintainer(struct compiler *c, struct stage *s, const struct df_instruction *in)
{
	free(s->config.author);
	s->config.author = xstrdup(in->word);
	lower_add_history(c, s, true, "MAINTAINER %s", in->word);
	return 0;
}

int lower_config(struct compiler *c, struct stage *s, const struct df_instruction *in,
		 struct error **err)
{
	if (in->kind == DF_ENV)
		return lower_env(c, s, in, err);
	if (in->kind == DF_LABEL)
		return lower_label(c, s, in, err);
	if (in->kind == DF_CMD)
		return lower_cmd(c, s, in);
	if (in->kind == DF_ENTRYPOINT)
		return lower_entrypoint(c, s, in);
	if (in->kind == DF_HEALTHCHECK)
		return lower_healthcheck(c, s, in);
	if (in->kind == DF_USER)
		return lower_user(c, s, in, err);
	if (in->kind == DF_VOLUME)
		return lower_volume(c, s, in, err);
	if (in->kind == DF_STOPSIGNAL)
		return lower_stopsignal(c, s, in, err);
	if (in->kind == DF_SHELL)
		return lower_shell_instruction(c, s, in);
	return lower_maintainer(c, s, in);
}

/* The value of one ARG: what --build-arg says, else its default, else the global one's. */
static int arg_value(struct compiler *c, struct stage *s, const struct df_instruction *in,
		     const struct df_pair *arg, const char **ret, bool *inherited,
		     struct error **err)
{
	const char *given = scope_option(&c->build_args, arg->key);

	*inherited = false;
	if (given) {
		*ret = arena_strdup(c->arena, given);
		return 0;
	}
	if (arg->value)
		return lower_expand(c, s, in, arg->value, ret, err);
	*ret = arena_strdup(c->arena, scope_get(&c->globals, arg->key));
	*inherited = *ret != NULL;
	return 0;
}

int lower_arg(struct compiler *c, struct stage *s, const struct df_instruction *in,
	      struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (size_t i = 0; i < in->pairs.n; i++) {
		const struct df_pair *arg = &in->pairs.v[i];
		const char *value;
		bool inherited;
		int r = arg_value(c, s, in, arg, &value, &inherited, err);

		if (r < 0)
			return r;
		if (value && strcmp(arg->key, "BUILDKIT_SBOM_SCAN_CONTEXT") != 0 &&
		    strcmp(arg->key, "BUILDKIT_SBOM_SCAN_STAGE") != 0) {
			scope_set(&s->env, arg->key, value);
			s->env_in_order = false;
		}
		set_arg(s, arg->key, value);
		vec_push(&s->outline_args,
			 (struct df_outline_arg){.name = arg->key,
						 .value = inherited ? NULL : value,
						 .doc = inherited ? NULL : arg->doc,
						 .span = inherited ? (struct source_span){0}
								   : in->span});
		buf_addf(&text, " %s%s%s", arg->key, value ? "=" : "", value ? value : "");
	}
	lower_add_history(c, s, true, "ARG%s", text.p);
	return 0;
}

/* A decimal id, or "root", which needs no look-up. */
static bool parse_id(const char *text, uint32_t *ret)
{
	unsigned long long n = 0;

	if (strcmp(text, "root") == 0) {
		*ret = 0;
		return true;
	}
	for (const char *s = text; *s; s++) {
		if (!isdigit((unsigned char)*s))
			return false;
		n = n * 10 + (unsigned long long)(*s - '0');
		if (n > INT32_MAX)
			return false;
	}
	*ret = (uint32_t)n;
	return *text != '\0';
}

struct op_owner lower_owner(struct compiler *c, const char *text)
{
	const char *colon = strchr(text, ':');
	const char *user =
		arena_strndup(c->arena, text, colon ? (size_t)(colon - text) : strlen(text));
	struct op_owner owner = {.set = true, .user = "", .group = ""};

	if (!parse_id(user, &owner.uid))
		owner.user = user;
	if (colon) {
		owner.group_set = true;
		if (!parse_id(colon + 1, &owner.gid))
			owner.group = arena_strdup(c->arena, colon + 1);
	} else if (!*owner.user) {
		owner.gid = owner.uid;
	}
	return owner;
}

static struct draft *mkdir_draft(struct compiler *c, struct stage *s, const struct command *cmd,
				 const char *dir)
{
	const struct df_instruction *in = cmd->instruction;
	struct op_file_action *action = ARENA_NEW(c->arena, struct op_file_action);
	struct op op = {.kind = OP_FILE,
			.platform = lower_platform(c, &s->platform),
			.file = {.actions = action, .n = 1}};
	const char *name = step_name(c, s, cmd, step_text(c, s, in, in->text), false);
	struct vertex_meta meta = lower_meta(c, s, name, in->span);
	struct draft_inputs inputs = {0};

	*action = (struct op_file_action){
		.kind = FILE_MKDIR,
		.input = draft_input(&inputs, s->state),
		.secondary_input = OP_INPUT_NONE,
		.output = 0,
		.mkdir = {.path = dir,
			  .mode = 0755,
			  .make_parents = true,
			  .timestamp = lower_timestamp(c)},
	};
	if (s->user && *s->user)
		action->mkdir.owner = lower_owner(c, s->user);
	else
		action->mkdir.owner = (struct op_owner){.user = "", .group = ""};
	return draft_new(&c->drafts, &op, &inputs, &meta);
}

int lower_workdir(struct compiler *c, struct stage *s, const struct command *cmd,
		  struct error **err)
{
	const struct df_instruction *in = cmd->instruction;
	const char *dir;
	int r = lower_expand(c, s, in, in->word, &dir, err);

	if (r < 0)
		return r;
	/* Only the first WORKDIR matters: a later relative one has a known place to start from. */
	if (!s->workdir_set && !path_is_absolute(dir))
		df_lint_warn(c->lint, in, DF_RULE_WORKDIR_RELATIVE_PATH,
			     "Relative workdir %s can have unexpected results if the base image "
			     "changes",
			     df_quote(c->arena, dir));
	s->workdir_set = true;
	lower_set_dir(c, s, dir);
	if (strcmp(s->dir, "/") != 0)
		s->state = mkdir_draft(c, s, cmd, s->dir);
	lower_add_history(c, s, strcmp(s->dir, "/") == 0, "WORKDIR %s", s->config.working_dir);
	return 0;
}
