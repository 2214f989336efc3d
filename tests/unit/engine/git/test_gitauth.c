/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/git/gitauth.h"
#include "engine/git/gitnet.h"
#include "hostile_urls.h"

static const struct gitauth_names names = {"GIT_AUTH_HEADER", "GIT_AUTH_TOKEN"};

static void assert_header(const struct grants *s, const char *url, const char *main_url,
			  const char *want)
{
	char *got = NULL;

	assert_int_equal(gitauth_header(s, &names, url, main_url, &got, NULL), 0);
	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
	free(got);
}

/* Secrets whose values are environment variables of the same name. */
static void give(struct grants *s, const char *id, const char *variable, const char *value)
{
	setenv(variable, value, 1);
	grants_add_secret(s, id, NULL, variable);
}

static void a_general_token_is_for_the_main_host_alone(void **state)
{
	struct grants s = {.cancel = NULL};

	(void)state;
	give(&s, "GIT_AUTH_TOKEN", "TEST_TOKEN", "sesame\n");
	assert_header(&s, "https://h.x/a.git", "https://h.x/a.git",
		      "basic eC1hY2Nlc3MtdG9rZW46c2VzYW1l");
	assert_header(&s, "https://me@h.x/b.git", "https://h.x/a.git",
		      "basic eC1hY2Nlc3MtdG9rZW46c2VzYW1l");
	assert_header(&s, "https://evil.x/a.git", "https://h.x/a.git", NULL);
	assert_header(&s, "https://h.x:8/a.git", "https://h.x/a.git", NULL);
	assert_header(&s, "http://h.x/a.git", "https://h.x/a.git", NULL);
	assert_header(&s, "git://h.x/a.git", "git://h.x/a.git", NULL);
	grants_release(&s);
}

static void secrets_of_a_host_come_first_and_headers_before_tokens(void **state)
{
	struct grants s = {.cancel = NULL};

	(void)state;
	give(&s, "GIT_AUTH_HEADER", "TEST_GENERAL", "Bearer general");
	give(&s, "GIT_AUTH_TOKEN.h.x", "TEST_TOKEN", "t");
	assert_header(&s, "https://h.x/a.git", "https://h.x/a.git",
		      "basic eC1hY2Nlc3MtdG9rZW46dA==");
	give(&s, "GIT_AUTH_HEADER.h.x", "TEST_HEADER", "Bearer mine");
	assert_header(&s, "https://h.x/a.git", "https://h.x/a.git", "Bearer mine");
	assert_header(&s, "https://h.x/a.git", "https://other/b.git", "Bearer mine");
	assert_header(&s, "https://other/b.git", "https://other/b.git", "Bearer general");
	grants_release(&s);
}

static void a_url_that_looks_like_another_host_does_not_get_its_secret(void **state)
{
	static const char *const looks[] = {"127.0.0.1", "127.0.0.1:80", "localhost", "[::1]",
					    "[::1]:80",	 "2130706433",	 "u"};
	struct grants s = {.cancel = NULL};

	(void)state;
	setenv("TEST_TOKEN", "sesame", 1);
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		_cleanup_free_ char *id = xasprintf("GIT_AUTH_TOKEN.%s", looks[i]);

		grants_add_secret(&s, id, NULL, "TEST_TOKEN");
	}
	grants_add_secret(&s, "GIT_AUTH_TOKEN", NULL, "TEST_TOKEN");
	for (size_t i = 0; i < ARRAY_SIZE(hostile_users); i++) {
		_cleanup_free_ char *url = hostile_url(hostile_users[i], "h.example");

		assert_header(&s, url, "http://127.0.0.1/a.git", NULL);
	}
	grants_release(&s);
}

/* As a .gitmodules may have it: nobody gets a host that is two. */
static void hostile_urls_are_asked_as_what_they_are(void **state)
{
	static const char *const bad[] = {
		"ssh://a`id`@h.example/r",
		"ssh://$(id)@h.example/r",
		"ssh://u@h;id/r",
		"ssh://u@-oProxyCommand=id/r",
		"ssh://-oProxyCommand=id/r",
		"-oX@h.example:r",
		"u@h|id:r",
		"ssh://u\\@h.example/r",
		"ssh://u@h example/r",
		"git://\t/r",
		"ssh:///r",

		"file:///r",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (gitnet_check_url(bad[i], NULL) == 0)
			fail_msg("%s", bad[i]);
	assert_int_equal(gitnet_check_url("ssh://git@[::1]:22/r", NULL), 0);
	assert_int_equal(gitnet_check_url("git@h-1.example:r s/$x", NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(hostile_users); i++) {
		_cleanup_free_ char *url = hostile_url(hostile_users[i], "h.example");
		_cleanup_free_ char *host = gitnet_host(url);

		/* Without "//" it is an address of ssh: HOST:PATH. */
		if (strstr(url, "://") && *host && strcmp(host, "h.example") != 0 &&
		    gitnet_check_url(url, NULL) == 0)
			fail_msg("%s is asked at %s", url, host);
	}
}

static void a_secret_of_two_lines_is_no_header(void **state)
{
	struct grants s = {.cancel = NULL};
	char *got = NULL;

	(void)state;
	give(&s, "GIT_AUTH_HEADER", "TEST_HEADER", "Bearer a\r\nX-Other: b");
	assert_int_equal(
		gitauth_header(&s, &names, "https://h/a.git", "https://h/a.git", &got, NULL),
		-ERR_INVALID);
	assert_null(got);
	grants_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_general_token_is_for_the_main_host_alone),
		cmocka_unit_test(secrets_of_a_host_come_first_and_headers_before_tokens),
		cmocka_unit_test(a_url_that_looks_like_another_host_does_not_get_its_secret),
		cmocka_unit_test(hostile_urls_are_asked_as_what_they_are),
		cmocka_unit_test(a_secret_of_two_lines_is_no_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
