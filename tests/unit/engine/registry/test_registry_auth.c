/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/registry/registry_auth.h"
#include "fake_server.h"

static void a_bearer_challenge_gives_its_parameters(void **state)
{
	_cleanup_(auth_challenges_release) struct auth_challenges c = {0};

	(void)state;
	assert_int_equal(auth_challenges_parse("Bearer realm=\"https://auth.docker.io/token\","
					       "service=\"registry.docker.io\",scope=\"repository:"
					       "library/x:pull,push\"",
					       &c),
			 0);
	assert_int_equal(c.list.n, 1);
	assert_int_equal(c.list.v[0].scheme, AUTH_BEARER);
	assert_string_equal(c.list.v[0].realm, "https://auth.docker.io/token");
	assert_string_equal(c.list.v[0].service, "registry.docker.io");
	assert_string_equal(c.list.v[0].scope, "repository:library/x:pull,push");
}

static void several_challenges_in_one_header_are_told_apart(void **state)
{
	_cleanup_(auth_challenges_release) struct auth_challenges c = {0};

	(void)state;
	assert_int_equal(
		auth_challenges_parse("Negotiate YWJj==, basic realm=\"a \\\"b\\\", c\" , BEARER "
				      "Realm = https, error=invalid",
				      &c),
		0);
	assert_int_equal(c.list.n, 2);
	assert_int_equal(c.list.v[0].scheme, AUTH_BASIC);
	assert_string_equal(c.list.v[0].realm, "a \"b\", c");
	assert_int_equal(c.list.v[1].scheme, AUTH_BEARER);
	assert_string_equal(c.list.v[1].realm, "https");
}

static void a_scheme_without_parameters_is_one(void **state)
{
	_cleanup_(auth_challenges_release) struct auth_challenges c = {0};

	(void)state;
	assert_int_equal(auth_challenges_parse("Basic", &c), 0);
	assert_int_equal(c.list.n, 1);
	assert_null(c.list.v[0].realm);
}

static void an_open_quote_is_an_error_and_keeps_what_came_before(void **state)
{
	_cleanup_(auth_challenges_release) struct auth_challenges c = {0};

	(void)state;
	assert_int_equal(auth_challenges_parse("Bearer service=s, realm=\"https://x", &c), -EINVAL);
	assert_int_equal(c.list.n, 1);
	assert_string_equal(c.list.v[0].service, "s");
	assert_null(c.list.v[0].realm);
}

static void give_token(struct fake_server *s, const struct fake_request *req, int fd)
{
	static const char token[] = "{\"token\":\"opensesame\",\"expires_in\":300}";

	(void)s;
	(void)req;
	fake_answer(fd, 200, "", token, strlen(token));
}

/* A token may be good for one request, which is that of who fetched it. */
static void a_token_is_shared_once_it_was_used(void **state)
{
	_cleanup_(http_response_release) struct http_response challenge = HTTP_RESPONSE_INIT;
	_cleanup_free_ char *url = NULL, *mine = NULL, *theirs = NULL, *later = NULL;
	struct http *http = http_new();
	struct registry_auth *auth = registry_auth_new(http);
	struct fake_server fake = {0};
	struct auth_server server;

	(void)state;
	assert_int_equal(setenv("DOCKER_CONFIG", "/nonexistent", 1), 0);
	fake_start(&fake, give_token, NULL);
	url = xasprintf("http://%s", fake.host);
	server = (struct auth_server){.url = url, .host = fake.host};
	strv_pushf(&challenge.headers, "www-authenticate: Bearer realm=\"%s/token\"", url);
	assert_int_equal(
		registry_auth_answer(auth, &server, "scope", &challenge, NULL, &mine, NULL), 0);
	assert_string_equal(mine, "Bearer opensesame");
	theirs = registry_auth_known(auth, &server, "scope");
	assert_null(theirs);
	registry_auth_used(auth, &server, "scope", mine);
	later = registry_auth_known(auth, &server, "scope");
	assert_non_null(later);
	assert_string_equal(later, mine);
	registry_auth_free(auth);
	http_free(http);
	fake_stop(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bearer_challenge_gives_its_parameters),
		cmocka_unit_test(several_challenges_in_one_header_are_told_apart),
		cmocka_unit_test(a_scheme_without_parameters_is_one),
		cmocka_unit_test(an_open_quote_is_an_error_and_keeps_what_came_before),
		cmocka_unit_test(a_token_is_shared_once_it_was_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
