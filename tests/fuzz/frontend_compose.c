/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a compose file: variables are put in, it is merged with itself, normalised, made into targets
 * and written. */
#include <stddef.h>
#include <stdint.h>

#include "frontend/compose/compose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct compose_project *p, const struct bake_value *model)
{
	const struct compose_build_options o = {.push = true};
	struct bake_config for_compose = {0}, for_bake = {0};
	_cleanup_buf_ struct buf out = BUF_INIT;

	p->model = compose_normalize(p, model, NULL);
	if (!p->model)
		return;
	(void)!compose_targets(p, &o, &for_compose, NULL);
	(void)!compose_targets(p, NULL, &for_bake, NULL);
	compose_to_yaml(compose_escape(p->arena, compose_only_used(p->arena, p->model)), &out);
	bake_config_release(&for_compose);
	bake_config_release(&for_bake);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT;
	struct compose_tree tree = {.arena = &a};
	struct compose_project p = {.arena = &a, .name = "p", .dir = "/d"};
	const struct bake_value *model, *again;
	_cleanup_strv_ struct strv env = {0};
	char *text = arena_strndup(&a, (const char *)data, size);

	strv_push(&p.environment, "A=1");
	(void)!compose_env_parse(".env", text, &p.environment, &env, NULL);
	if (compose_yaml_parse(&tree, "compose.yaml", (const char *)data, size, &model, NULL) ==
		    0 &&
	    compose_yaml_parse(&tree, "compose.yaml", (const char *)data, size, &again, NULL) ==
		    0) {
		model = compose_interpolate(&a, model, "", &p.environment, NULL);
		model = model ? compose_merge(&tree, compose_absolute(&a, model, "/d"), again, "",
					      NULL)
			      : NULL;
		if (model)
			use(&p, compose_without_reset(&a, model));
	}
	vec_release(&tree.replacing);
	compose_release(&p);
	arena_release(&a);
	return 0;
}
