/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a bake file, HCL or JSON: it is read or it is not; then plans are made of it, with
 * overrides, and printed. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "frontend/bake/bake_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct bake_config *c, const struct strv *names, const struct strv *sets)
{
	struct bake_plan plan = {0};
	_cleanup_buf_ struct buf out = BUF_INIT;

	if (bake_plan_make(c, names, sets, &plan, NULL) == 0) {
		_cleanup_json_ json_t *doc = bake_plan_json(&plan);

		js_dump_go(doc, 2, false, &out);
	}
	bake_plan_release(&plan);
}

static void read_as(const char *name, const uint8_t *data, size_t size)
{
	struct bake_config c = {0};
	struct bake_input in = {0};
	_cleanup_strv_ struct strv sets = {0}, all = {0}, none = {0};
	struct error *err = NULL;
	_cleanup_buf_ struct buf excerpt = BUF_INIT;

	strv_push(&in.vars, "A=1,2");
	strv_push(&in.vars, "B=x:y");
	strv_push(&in.vars, "C_JSON={\"a\": [1]}");
	strv_push(&in.builtins, "BAKE_CMD_CONTEXT=cwd://");
	strv_push(&sets, "*.tags+=x");
	strv_push(&sets, "*.output=type=local,dest=x");
	strv_push(&sets, "*.push=true");
	strv_push(&all, "*");
	bake_config_add_file(&c, name, (const char *)data, size);
	if (bake_config_read(&c, &in, &err) == 0) {
		use(&c, &none, &none);
		use(&c, &all, &sets);
	} else {
		bake_config_excerpt(&c, err, &excerpt);
	}
	error_free(err);
	strv_release(&in.vars);
	strv_release(&in.builtins);
	bake_config_release(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_as("docker-bake.hcl", data, size);
	read_as("docker-bake.json", data, size);
	return 0;
}
