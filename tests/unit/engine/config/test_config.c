/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/config/config.h"
#include "hostile_urls.h"

static int merge(struct config *c, const char *json, struct error **err)
{
	return config_merge(c, "/etc/kiln/config.json", json, strlen(json), err);
}

static void a_registry_has_mirrors_trust_and_a_ca_beside_the_file(void **state)
{
	_cleanup_(config_release) struct config c = {0};
	const struct registry_config *rc;

	(void)state;
	assert_int_equal(merge(&c,
			       "{\"registries\": {\"docker.io\": {\"mirrors\": "
			       "[\"http://127.0.0.1:5000/\", \"https://m.example\"],"
			       "\"insecure\": false, \"ca\": \"certs/file.pem\"}}}",
			       NULL),
			 0);
	rc = config_registry(&c, "docker.io");
	assert_non_null(rc);
	assert_int_equal(rc->mirrors.n, 2);
	assert_string_equal(rc->mirrors.v[0], "http://127.0.0.1:5000");
	assert_string_equal(rc->ca, "/etc/kiln/certs/file.pem");
	assert_false(rc->insecure);
	assert_null(config_registry(&c, "quay.io"));
}

static void a_later_file_replaces_a_registry_as_a_whole(void **state)
{
	_cleanup_(config_release) struct config c = {0};

	(void)state;
	assert_int_equal(
		merge(&c, "{\"registries\": {\"a\": {\"insecure\": true}, \"b\": {}}}", NULL), 0);
	assert_int_equal(merge(&c, "{\"registries\": {\"a\": {\"ca\": \"/x.pem\"}}}", NULL), 0);
	assert_int_equal(c.registries.n, 2);
	assert_false(config_registry(&c, "a")->insecure);
	assert_string_equal(config_registry(&c, "a")->ca, "/x.pem");
}

static void the_cache_is_limited_as_written_and_later_files_add(void **state)
{
	static const char one[] = "{\"gc\": {\"max-used-space\": \"2GB\"}}";
	static const char two[] = "{\"gc\": {\"enabled\": false, \"min-free-space\": \"0\","
				  " \"keep-duration\": \"1h\"}}";
	struct config c = {0};
	struct error *err = NULL;

	(void)state;
	assert_int_equal(config_merge(&c, "/a", one, strlen(one), &err), 0);
	assert_false(c.gc.disabled);
	assert_false(c.gc.has_min_free);
	assert_int_equal(config_merge(&c, "/b", two, strlen(two), &err), 0);
	assert_true(c.gc.disabled);
	assert_int_equal(c.gc.max_used, UINT64_C(2) << 30);
	assert_true(c.gc.has_min_free);
	assert_int_equal(c.gc.min_free, 0);
	assert_true(c.gc.has_keep);
	assert_int_equal(c.gc.keep_ns, INT64_C(3600000000000));
	config_release(&c);
}

static void expect_error(const char *json, const char *text)
{
	_cleanup_(config_release) struct config c = {0};
	_cleanup_(error_freep) struct error *err = NULL;

	assert_int_equal(merge(&c, json, &err), -ERR_INVALID);
	if (!strstr(error_text(err), text))
		fail_msg("'%s' does not say '%s'", error_text(err), text);
	assert_non_null(strstr(error_text(err), "/etc/kiln/config.json"));
}

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	expect_error("{\"gc\": {\"max-used-space\": \"much\"}}", "is not a size");
	expect_error("{\"gc\": {\"keep-duration\": \"2 days\"}}", "is not a duration");
	expect_error("{\"gc\": {\"keep\": \"48h\"}}", "unknown key \"keep\" of \"gc\"");
	expect_error("{\"registry\": {}}", "unknown key \"registry\"");
	expect_error("{\"registries\": {\"a\": {\"insecur\": true}}}", "unknown key \"insecur\"");
	expect_error("{\"registries\": {\"a\": {\"insecure\": 1}}}", "\"insecure\"");
	expect_error("{\"registries\": {\"a\": {\"mirrors\": [\"m.example\"]}}}", "m.example");
	expect_error("{\"registries\": {\"a\": {\"mirrors\": [\"http://m.example\"]}}}",
		     "plain HTTP");
	expect_error("{\"registries\": {\"a\": []}}", "must be an object");
	expect_error("[]", "not a JSON object");
	expect_error("{\"registries\": {}", "line 1");
}

static void hostile_mirrors_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile_users); i++) {
		_cleanup_(config_release) struct config c = {0};
		_cleanup_free_ char *url = hostile_url(hostile_users[i], "127.0.0.1:7");
		json_t *doc = json_pack("{s:{s:{s:b,s:[s]}}}", "registries", "a", "insecure", 1,
					"mirrors", url);
		_cleanup_free_ char *json = json_dumps(doc, 0);

		json_decref(doc);
		if (merge(&c, json, NULL) == 0)
			fail_msg("%s", url);
	}
}

static void kiln_config_names_the_only_file(void **state)
{
	_cleanup_(config_release) struct config c = {0};
	_cleanup_(error_freep) struct error *err = NULL;
	char path[] = "/tmp/kiln-config-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_true(dprintf(fd, "{\"registries\": {\"a\": {\"ca\": \"x.pem\"}}}") > 0);
	close(fd);
	setenv("KILN_CONFIG", path, 1);
	assert_int_equal(config_load(&c, NULL), 0);
	assert_string_equal(config_registry(&c, "a")->ca, "/tmp/x.pem");
	unlink(path);
	config_release(&c);
	assert_int_equal(config_load(&c, &err), -ERR_NOTFOUND);
	assert_non_null(strstr(error_text(err), path));
	unsetenv("KILN_CONFIG");
}

static void loopback_is_told_by_its_address(void **state)
{
	(void)state;
	assert_true(config_host_is_loopback("127.0.0.1:5000"));
	assert_true(config_host_is_loopback("127.1.2.3"));
	assert_true(config_host_is_loopback("localhost:80"));
	assert_true(config_host_is_loopback("[::1]:80"));
	assert_false(config_host_is_loopback("127.example.com"));
	assert_false(config_host_is_loopback("127.0.0.1:80@192.0.2.1"));
	assert_false(config_host_is_loopback("localhost:80@192.0.2.1"));
	assert_false(config_host_is_loopback("[::1]@192.0.2.1"));
	assert_false(config_host_is_loopback("[::1"));
	assert_false(config_host_is_loopback("127.0.0.1.example"));
	assert_false(config_host_is_loopback("128.0.0.1"));
	assert_false(config_host_is_loopback("localhost.example.com"));
	assert_false(config_host_is_loopback("docker.io"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_registry_has_mirrors_trust_and_a_ca_beside_the_file),
		cmocka_unit_test(a_later_file_replaces_a_registry_as_a_whole),
		cmocka_unit_test(the_cache_is_limited_as_written_and_later_files_add),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(hostile_mirrors_are_refused),
		cmocka_unit_test(kiln_config_names_the_only_file),
		cmocka_unit_test(loopback_is_told_by_its_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
