#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/gitauth.h"

static const struct gitauth_names names = {"GIT_AUTH_HEADER", "GIT_AUTH_TOKEN"};

static void assert_header(const struct exec_session *s, const char *url, const char *main_url,
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
static void give(struct exec_session *s, const char *id, const char *variable, const char *value)
{
	setenv(variable, value, 1);
	exec_session_add_secret(s, id, NULL, variable);
}

static void a_general_token_is_for_the_main_host_alone(void **state)
{
	struct exec_session s = {.allow_insecure = false};

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
	exec_session_release(&s);
}

static void secrets_of_a_host_come_first_and_headers_before_tokens(void **state)
{
	struct exec_session s = {.allow_insecure = false};

	(void)state;
	give(&s, "GIT_AUTH_HEADER", "TEST_GENERAL", "Bearer general");
	give(&s, "GIT_AUTH_TOKEN.h.x", "TEST_TOKEN", "t");
	assert_header(&s, "https://h.x/a.git", "https://h.x/a.git",
		      "basic eC1hY2Nlc3MtdG9rZW46dA==");
	give(&s, "GIT_AUTH_HEADER.h.x", "TEST_HEADER", "Bearer mine");
	assert_header(&s, "https://h.x/a.git", "https://h.x/a.git", "Bearer mine");
	assert_header(&s, "https://h.x/a.git", "https://other/b.git", "Bearer mine");
	assert_header(&s, "https://other/b.git", "https://other/b.git", "Bearer general");
	exec_session_release(&s);
}

static void a_secret_of_two_lines_is_no_header(void **state)
{
	struct exec_session s = {.allow_insecure = false};
	char *got = NULL;

	(void)state;
	give(&s, "GIT_AUTH_HEADER", "TEST_HEADER", "Bearer a\r\nX-Other: b");
	assert_int_equal(
		gitauth_header(&s, &names, "https://h/a.git", "https://h/a.git", &got, NULL),
		-ERR_INVALID);
	assert_null(got);
	exec_session_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_general_token_is_for_the_main_host_alone),
		cmocka_unit_test(secrets_of_a_host_come_first_and_headers_before_tokens),
		cmocka_unit_test(a_secret_of_two_lines_is_no_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
