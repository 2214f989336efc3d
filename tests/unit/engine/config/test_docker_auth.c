/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/config/docker_auth.h"

static char dir[] = "/tmp/kiln-docker-auth-XXXXXX";

static void write_file(const char *name, const char *text, mode_t mode)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
	chmod(path, mode);
}

static int lookup(const char *json, const char *host, bool *found, struct credentials *c,
		  struct error **err)
{
	write_file("config.json", json, 0600);
	*c = (struct credentials){0};
	return docker_auth_lookup(host, NULL, found, c, err);
}

static void a_password_is_decoded_from_auths(void **state)
{
	_cleanup_(credentials_release) struct credentials c = {0};
	bool found;

	(void)state;
	/* user:pa:ss */
	assert_int_equal(lookup("{\"auths\":{\"r.example:5000\":{\"auth\":\"dXNlcjpwYTpzcw==\"}}}",
				"r.example:5000", &found, &c, NULL),
			 0);
	assert_true(found);
	assert_string_equal(c.username, "user");
	assert_string_equal(c.secret, "pa:ss");
	credentials_release(&c);
	assert_int_equal(docker_auth_lookup("other", NULL, &found, &c, NULL), 0);
	assert_false(found);
}

static void the_hub_has_its_old_name_and_urls_count_as_hosts(void **state)
{
	_cleanup_(credentials_release) struct credentials c = {0};
	bool found;

	(void)state;
	assert_int_equal(lookup("{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"YTpi\"},"
				"\"https://r.example/v1/\":{\"identitytoken\":\"tok\"}}}",
				"docker.io", &found, &c, NULL),
			 0);
	assert_true(found);
	assert_string_equal(c.username, "a");
	credentials_release(&c);
	assert_int_equal(docker_auth_lookup("r.example", NULL, &found, &c, NULL), 0);
	assert_true(found);
	assert_true(c.identity_token);
	assert_string_equal(c.secret, "tok");
}

static void helpers_are_asked_and_may_know_nothing(void **state)
{
	static const char config[] =
		"{\"credsStore\":\"kilntest\",\"credHelpers\":{\"bad.example\":"
		"\"kilnbad\"},\"auths\":{\"none.example\":{}}}";
	_cleanup_(credentials_release) struct credentials c = {0};
	_cleanup_(error_freep) struct error *err = NULL;
	bool found;

	(void)state;
	write_file("docker-credential-kilntest",
		   "#!/bin/sh\nread -r host\ncase \"$1 $host\" in\n"
		   "'get r.example') echo '{\"ServerURL\":\"r.example\",\"Username\":\"u\","
		   "\"Secret\":\"s\"}';;\n"
		   "'get https://index.docker.io/v1/') echo '{\"Username\":\"<token>\","
		   "\"Secret\":\"t\"}';;\n"
		   "*) echo 'credentials not found in native keychain'; exit 1;;\nesac\n",
		   0755);
	write_file("docker-credential-kilnbad", "#!/bin/sh\necho keyring locked\nexit 3\n", 0755);
	assert_int_equal(lookup(config, "r.example", &found, &c, NULL), 0);
	assert_true(found);
	assert_string_equal(c.username, "u");
	assert_string_equal(c.secret, "s");
	credentials_release(&c);
	assert_int_equal(lookup(config, "docker.io", &found, &c, NULL), 0);
	assert_true(c.identity_token);
	credentials_release(&c);
	assert_int_equal(lookup(config, "none.example", &found, &c, NULL), 0);
	assert_false(found);
	assert_int_equal(lookup(config, "bad.example", &found, &c, &err), -ERR_DENIED);
	assert_non_null(strstr(error_text(err), "docker-credential-kilnbad"));
	assert_non_null(strstr(error_text(err), "keyring locked"));
}

static void what_cannot_be_read_is_an_error_that_names_the_file(void **state)
{
	static const char *const bad[] = {
		"{",
		"[]",
		"{\"auths\":{\"h\":{\"auth\":\"!!!\"}}}",
		"{\"auths\":{\"h\":{\"auth\":\"YWJj\"}}}",
		"{\"auths\":{\"h\":{\"auth\":5}}}",
		"{\"credsStore\":\"../../bin/sh\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_(credentials_release) struct credentials c = {0};
		_cleanup_(error_freep) struct error *err = NULL;
		bool found;

		assert_int_equal(lookup(bad[i], "h", &found, &c, &err), -ERR_INVALID);
		assert_false(found);
		assert_non_null(strstr(error_text(err), "config.json"));
	}
}

static void what_is_stored_is_found_and_erased_and_the_rest_stays(void **state)
{
	static char user[] = "ann", secret[] = "pa:ss";
	const struct credentials c = {.username = user, .secret = secret};
	_cleanup_(credentials_release) struct credentials got = {0};
	_cleanup_free_ char *where = NULL, *path = xasprintf("%s/config.json", dir);
	bool found, plain = false;
	struct stat st;

	(void)state;
	assert_int_equal(lookup("{\"auths\":{\"other\":{\"auth\":\"YTpi\"}},\"detachKeys\":\"x\"}",
				"r:1", &found, &got, NULL),
			 0);
	assert_false(found);
	assert_int_equal(docker_auth_store("r:1", &c, NULL, &where, &plain, NULL), 0);
	assert_true(plain);
	assert_string_equal(where, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(docker_auth_lookup("r:1", NULL, &found, &got, NULL), 0);
	assert_true(found);
	assert_string_equal(got.secret, "pa:ss");
	credentials_release(&got);
	assert_int_equal(docker_auth_erase("r:1", NULL, &found, NULL), 0);
	assert_true(found);
	assert_int_equal(docker_auth_erase("r:1", NULL, &found, NULL), 0);
	assert_false(found);
	assert_int_equal(docker_auth_lookup("other", NULL, &found, &got, NULL), 0);
	assert_true(found);
}

static void a_config_that_cannot_be_read_is_not_written_over(void **state)
{
	static char user[] = "ann", secret[] = "s";
	const struct credentials c = {.username = user, .secret = secret};
	_cleanup_(error_freep) struct error *err = NULL;
	char *where = NULL;
	bool plain;

	(void)state;
	write_file("config.json", "{\"auths\": [", 0600);
	assert_int_equal(docker_auth_store("r", &c, NULL, &where, &plain, &err), -ERR_INVALID);
	assert_non_null(strstr(error_text(err), "config.json"));
	assert_null(where);
}

static int setup(void **state)
{
	_cleanup_free_ char *path = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s:%s", dir, getenv("PATH"));
	setenv("PATH", path, 1);
	setenv("DOCKER_CONFIG", dir, 1);
	return 0;
}

static void a_document_in_the_environment_counts_first(void **state)
{
	_cleanup_(credentials_release) struct credentials c = {0};
	_cleanup_(error_freep) struct error *err = NULL;
	bool found;

	(void)state;
	setenv("DOCKER_AUTH_CONFIG", "{\"auths\":{\"r\":{\"auth\":\"dTpw\"}}}", 1);
	assert_int_equal(lookup("{\"auths\":{\"r\":{\"auth\":\"eDp5\"},\"s\":{\"auth\":\"eDp5\"}}}",
				"r", &found, &c, NULL),
			 0);
	assert_true(found);
	assert_string_equal(c.secret, "p");
	credentials_release(&c);
	assert_int_equal(docker_auth_lookup("s", NULL, &found, &c, NULL), 0);
	assert_true(found);
	assert_string_equal(c.secret, "y");
	setenv("DOCKER_AUTH_CONFIG", "{", 1);
	assert_true(docker_auth_lookup("s", NULL, &found, &c, &err) < 0);
	assert_non_null(strstr(error_text(err), "DOCKER_AUTH_CONFIG"));
	unsetenv("DOCKER_AUTH_CONFIG");
}

static void proxies_come_in_both_spellings(void **state)
{
	_cleanup_strv_ struct strv got = {0};

	(void)state;
	write_file("config.json",
		   "{\"proxies\":{\"default\":{\"httpProxy\":\"http://p:1\",\"noProxy\":\"a,b\","
		   "\"ftpProxy\":\"\"},\"tcp://h\":{\"httpProxy\":\"x\"}}}",
		   0600);
	assert_int_equal(docker_config_proxies(&got, NULL), 0);
	assert_int_equal(got.n, 4);
	assert_string_equal(got.v[0], "HTTP_PROXY=http://p:1");
	assert_string_equal(got.v[1], "http_proxy=http://p:1");
	assert_string_equal(got.v[3], "no_proxy=a,b");
}

static int teardown(void **state)
{
	static const char *const names[] = {"config.json", "docker-credential-kilntest",
					    "docker-credential-kilnbad"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, names[i]);

		unlink(path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_password_is_decoded_from_auths),
		cmocka_unit_test(the_hub_has_its_old_name_and_urls_count_as_hosts),
		cmocka_unit_test(helpers_are_asked_and_may_know_nothing),
		cmocka_unit_test(what_is_stored_is_found_and_erased_and_the_rest_stays),
		cmocka_unit_test(a_config_that_cannot_be_read_is_not_written_over),
		cmocka_unit_test(a_document_in_the_environment_counts_first),
		cmocka_unit_test(proxies_come_in_both_spellings),
		cmocka_unit_test(what_cannot_be_read_is_an_error_that_names_the_file),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* as kiln does */
	return cmocka_run_group_tests(tests, setup, teardown);
}
