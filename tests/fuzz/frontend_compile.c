/* SPDX-License-Identifier: Apache-2.0 */
/* A Dockerfile through the whole compiler, with a base image that has triggers. Bad input ends in
 * an error with text; a graph's vertices come after their inputs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int resolve(void *data, const struct image_request *requests, size_t n,
		   struct image_answer *answers, struct error **err)
{
	static const char config[] = "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{"
				     "\"Env\":[\"PATH=/bin\"],\"WorkingDir\":\"/w\","
				     "\"OnBuild\":[\"ENV T=1\"]},\"rootfs\":{\"diff_ids\":[]},"
				     "\"history\":[{\"created_by\":\"x\"}]}";

	(void)data;
	(void)err;
	for (size_t i = 0; i < n; i++) {
		if (strstr(requests[i].ref, "missing")) {
			(void)error_new(&answers[i].error, ERR_NOTFOUND, 0, "not found");
			continue;
		}
		answers[i].digest = digest_of("x", 1);
		answers[i].config = xstrdup(config);
		answers[i].config_size = strlen(config);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct named_context contexts[] = {
		{.name = "ctx", .value = "dir"}, {.name = "img", .value = "docker-image://a"}};
	struct frontend_opts opts = {
		.data = data,
		.size = size,
		.contexts = contexts,
		.n_contexts = 2,
		.multi_platform = true,
		.all_stages = true,
		.resolver = {resolve, NULL},
	};
	struct frontend_result result;
	struct error *err = NULL;
	struct graph graph;

	(void)!platform_parse("linux/arm64", &opts.target_platform, NULL);
	(void)!platform_parse("linux/amd64", &opts.build_platform, NULL);
	strv_push(&opts.build_args, "A=1");
	strv_push(&opts.ignore, "*.o");
	graph_init(&graph);
	if (frontend_compile(&opts, &graph, &result, &err) < 0 && (!err || !*error_text(err)))
		abort();
	error_free(err);
	frontend_result_release(&result);
	graph_release(&graph);
	strv_release(&opts.build_args);
	strv_release(&opts.ignore);
	return 0;
}
