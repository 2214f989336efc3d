/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/image_config.h"

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const char full[] =
	"{\"architecture\":\"arm\",\"author\":\"me\",\"config\":{\"User\":\"1:2\","
	"\"ExposedPorts\":{\"53/udp\":{},\"80/tcp\":{}},\"Env\":[\"PATH=/"
	"bin\",\"A=\\u003cb\\u003e\"],"
	"\"Entrypoint\":[\"/e\"],\"Cmd\":[\"sh\"],\"Volumes\":{\"/v\":{}},\"WorkingDir\":\"/w\","
	"\"Labels\":{\"a\":\"1\",\"b\":\"x=y\"},\"StopSignal\":\"SIGINT\",\"ArgsEscaped\":true,"
	"\"Healthcheck\":{\"Test\":[\"CMD\",\"true\"],\"Interval\":5000000000,\"Retries\":3},"
	"\"OnBuild\":[\"RUN x\"],\"Shell\":[\"/bin/bash\",\"-c\"],\"Strange\":1},"
	"\"created\":\"2026-01-02T03:04:05Z\",\"extra\":{\"k\":[1]},"
	"\"history\":[{\"created\":\"2026-01-02T03:04:05Z\",\"created_by\":\"x\",\"comment\":\"c\","
	"\"empty_layer\":true}],\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":["
	"\"sha256:" HEX "\"]},\"variant\":\"v7\"}";

static void a_document_comes_back_byte_for_byte(void **state)
{
	struct image_config c, copy;
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(image_config_parse(full, sizeof(full) - 1, &c, NULL), 0);
	assert_int_equal(c.healthcheck->retries, 3);
	assert_string_equal(env_get(&c.labels, "b"), "x=y");
	assert_string_equal(c.platform.variant, "v7");
	assert_true(c.cmd_set);
	image_config_copy(&copy, &c);
	image_config_release(&c);
	image_config_write(&copy, &b);
	image_config_release(&copy);
	assert_string_equal(b.p, full);
}

static void an_empty_config_is_written_without_empty_members(void **state)
{
	struct platform p = {.os = "linux", .arch = "amd64"};
	struct image_config c;
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	image_config_init(&c, &p);
	image_config_add_history(&c, NULL, "RUN x", NULL, false);
	image_config_write(&c, &b);
	image_config_release(&c);
	assert_string_equal(b.p, "{\"architecture\":\"amd64\",\"config\":{},\"history\":[{"
				 "\"created_by\":\"RUN x\"}],\"os\":\"linux\",\"rootfs\":{"
				 "\"type\":\"layers\",\"diff_ids\":[]}}");
}

static void text_that_is_not_utf8_is_replaced(void **state)
{
	struct image_config c;
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	image_config_init(&c, NULL);
	strv_push(&c.env, "A=\xff\xc3\xa9\xc3");
	image_config_write(&c, &b);
	image_config_release(&c);
	assert_non_null(strstr(b.p, "\"A=\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\""));
}

static void null_members_count_as_absent(void **state)
{
	static const char text[] = "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{"
				   "\"Cmd\":null,\"Entrypoint\":[],\"Labels\":null},"
				   "\"history\":null}";
	struct image_config c;

	(void)state;
	assert_int_equal(image_config_parse(text, sizeof(text) - 1, &c, NULL), 0);
	assert_false(c.cmd_set);
	assert_true(c.entrypoint_set);
	assert_int_equal(c.history.n, 0);
	image_config_release(&c);
}

static void bad_documents_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{\"os\":1}",
		"{\"os\":\"averyveryverylongos\"}",
		"{\"config\":[]}",
		"{\"config\":{\"Env\":[1]}}",
		"{\"config\":{\"Labels\":{\"a\":1}}}",
		"{\"config\":{\"Healthcheck\":{\"Retries\":\"x\"}}}",
		"{\"rootfs\":{\"diff_ids\":[\"sha256:12\"]}}",
		"{\"history\":[1]}",
		"{\"history\":[{\"created\":1}]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(error_freep) struct error *err = NULL;
		struct image_config c;

		assert_int_equal(image_config_parse(bad[i], strlen(bad[i]), &c, &err),
				 -ERR_INVALID);
		assert_non_null(strstr(error_text(err), "image config"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_comes_back_byte_for_byte),
		cmocka_unit_test(an_empty_config_is_written_without_empty_members),
		cmocka_unit_test(text_that_is_not_utf8_is_replaced),
		cmocka_unit_test(null_members_count_as_absent),
		cmocka_unit_test(bad_documents_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
