/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a Dockerfile: it parses or it does not; then its rules, mounts, triggers and the
 * answers of
 * --check and --call=targets are made. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "frontend/dockerfile/df_check.h"
#include "frontend/dockerfile/df_lint.h"
#include "frontend/dockerfile/df_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *get(void *data, const char *name)
{
	(void)data;
	return name[0] == 'A' ? "value of A" : NULL;
}

static void use_instruction(struct arena *a, const struct df_file *f, struct df_instruction *ins)
{
	const struct df_shell shell = {.escape = f->escape, .get = get};
	struct df_instruction *trigger;
	struct df_mount mount;

	if (ins->kind == DF_ONBUILD)
		(void)!df_parse_trigger(a, f->name, ins->onbuild.expression, ins->span, &trigger,
					NULL);
	if (ins->kind != DF_RUN)
		return;
	for (size_t i = 0; i < ins->run.mounts.n; i++)
		(void)!df_mount_parse(a, ins->run.mounts.v[i], &shell, NULL, &mount, NULL);
}

static void use(const struct df_file *f)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct df_lint_stage stage = {0};
	struct df_lint l = DF_LINT_INIT;
	struct arena a = ARENA_INIT;

	if (f->check.value)
		(void)!df_lint_config_parse(f->check.value, &l.config, NULL);
	df_lint_file(&l, f);
	for (size_t i = 0; i < f->n; i++) {
		df_lint_command(&l, &stage, f->instructions[i]);
		use_instruction(&a, f, f->instructions[i]);
	}
	df_check_text(f, &l, NULL, &out);
	df_check_json(f, &l, NULL, &out);
	df_targets_text(f, &out);
	df_targets_json(f, &out);
	df_lint_release(&l);
	arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(df_file_freep) struct df_file *f = NULL;
	struct arena a = ARENA_INIT;
	struct source_span span;
	const char *syntax;

	df_detect_syntax(&a, data, size, &syntax, &span);
	if (df_parse("Dockerfile", data, size, &f, NULL) == 0)
		use(f);
	arena_release(&a);
	return 0;
}
