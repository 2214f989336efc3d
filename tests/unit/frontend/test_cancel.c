/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/frontend.h"

/* The build is interrupted while its base image is looked up. */
struct interrupted {
	struct cancel cancel;
	unsigned asked;
};

static int resolve(void *data, const struct image_request *requests, size_t n,
		   struct image_answer *answers, struct error **err)
{
	static const char config[] = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":"
				     "{\"type\":\"layers\",\"diff_ids\":[]}}";
	struct interrupted *in = data;

	(void)requests;
	(void)err;
	in->asked++;
	for (size_t i = 0; i < n; i++) {
		answers[i].digest = digest_of("image", 5);
		answers[i].config = xstrdup(config);
		answers[i].config_size = strlen(config);
	}
	cancel_set(&in->cancel);
	return 0;
}

static void an_interrupted_compilation_looks_at_no_further_instruction(void **state)
{
	static const char text[] = "FROM busybox\nRUN one\nRUN two\nCOPY <<EOF /three\nEOF\n";
	struct interrupted in = {.asked = 0};
	struct frontend_opts opts = {.data = text,
				     .size = strlen(text),
				     .resolver = {resolve, &in},
				     .cancel = &in.cancel};
	_cleanup_(error_freep) struct error *err = NULL;
	struct frontend_result result = {0};
	struct graph graph;

	(void)state;
	cancel_init(&in.cancel);
	(void)!platform_parse("linux/amd64", &opts.target_platform, NULL);
	opts.build_platform = opts.target_platform;
	graph_init(&graph);
	assert_int_equal(frontend_compile(&opts, &graph, &result, &err), -ERR_CANCELED);
	assert_int_equal(in.asked, 1);
	for (size_t i = 0; i < graph.n; i++)
		assert_int_equal(graph.vertices[i]->op.kind, OP_SOURCE);
	frontend_result_release(&result);
	graph_release(&graph);
	cancel_release(&in.cancel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_interrupted_compilation_looks_at_no_further_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
