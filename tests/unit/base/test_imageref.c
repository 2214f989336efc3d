/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/imageref.h"

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void assert_normal(const char *text, const char *want, const char *familiar)
{
	struct imageref r = IMAGEREF_INIT;
	_cleanup_free_ char *out = NULL, *name = NULL;

	assert_int_equal(imageref_parse(text, &r, NULL), 0);
	out = imageref_format(&r);
	name = imageref_familiar_name(&r);
	imageref_release(&r);
	assert_string_equal(out, want);
	assert_string_equal(name, familiar);
}

static void short_names_are_completed(void **state)
{
	(void)state;
	assert_normal("app", "docker.io/library/app:latest", "app");
	assert_normal("app:1.0", "docker.io/library/app:1.0", "app");
	assert_normal("me/app", "docker.io/me/app:latest", "me/app");
	assert_normal("docker.io/app", "docker.io/library/app:latest", "app");
	assert_normal("index.docker.io/app", "docker.io/library/app:latest", "app");
	assert_normal("library/a/b", "docker.io/library/a/b:latest", "library/a/b");
}

static void a_host_is_told_from_a_path_by_its_dot_colon_or_name(void **state)
{
	(void)state;
	assert_normal("localhost/app", "localhost/app:latest", "localhost/app");
	assert_normal("127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b");
	assert_normal("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a");
	assert_normal("ghcr.io/a", "ghcr.io/a:latest", "ghcr.io/a");
	assert_normal("host:5000", "docker.io/library/host:5000", "host");
}

static void a_digest_replaces_the_default_tag(void **state)
{
	(void)state;
	assert_normal("app@sha256:" HEX, "docker.io/library/app@sha256:" HEX, "app");
	assert_normal("app:t@sha256:" HEX, "docker.io/library/app:t@sha256:" HEX, "app");
}

static void separators_within_a_path_are_allowed_as_the_grammar_says(void **state)
{
	(void)state;
	assert_normal("a.b_c__d---e", "docker.io/library/a.b_c__d---e:latest", "a.b_c__d---e");
}

static void bad_references_name_the_rule_they_break(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"", "empty"},
		{"App", "must be lowercase"},
		{"ghcr.io/App", "must be lowercase"},
		{"app:", "the tag \"\" is empty"},
		{"app:.x", "the tag \".x\" must begin with"},
		{"app:a b", "the tag \"a b\" may hold only"},
		{"app@sha256:12", "the digest \"sha256:12\" must be"},
		{"a//b", "the part \"\" of the repository name is empty"},
		{"a/", "is empty"},
		{":x", "is empty"},
		{"a..b", "only by one of these at a time"},
		{"a.-b", "only by one of these at a time"},
		{"a___b", "only by one of these at a time"},
		{"-a", "must begin with"},
		{"a/_b", "the part \"_b\" of the repository name must begin with"},
		{"a-", "must end with"},
		{"a b", "may hold only lower-case"},
		{"\xc3\xa9", "may hold only lower-case"},
		{"http://a/b", "a name is not a URL: leave out \"http://\""},
		{"-bad.host/a", "\"-bad.host\" is not a valid registry"},
		{"host.x:port/a", "\"host.x:port\" is not a valid registry"},
		{"[::1/a", "\"[::1\" is not a valid registry"},
		{HEX, "64-byte hexadecimal"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(error_freep) struct error *err = NULL;
		struct imageref r = IMAGEREF_INIT;

		assert_int_equal(imageref_parse(bad[i].text, &r, &err), -ERR_INVALID);
		assert_non_null(strstr(error_text(err), bad[i].says));
	}
}

static void a_name_longer_than_the_grammar_allows_is_refused(void **state)
{
	_cleanup_(error_freep) struct error *err = NULL;
	struct imageref r = IMAGEREF_INIT;
	char text[300];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(imageref_parse(text, &r, &err), -ERR_INVALID);
	assert_non_null(strstr(error_text(err), "more than 255"));
}

static void a_tag_has_at_most_128_characters(void **state)
{
	_cleanup_(error_freep) struct error *err = NULL;
	struct imageref r = IMAGEREF_INIT;
	char text[2 + 129 + 1] = "a:";

	(void)state;
	memset(text + 2, 'T', 129);
	assert_int_equal(imageref_parse(text, &r, &err), -ERR_INVALID);
	assert_non_null(strstr(error_text(err), "longer than 128"));
	text[2 + 128] = '\0';
	assert_int_equal(imageref_parse(text, &r, NULL), 0);
	assert_int_equal(strlen(r.tag), 128);
	imageref_release(&r);
}

static void a_name_alone_has_neither_tag_nor_digest(void **state)
{
	(void)state;
	assert_true(imageref_is_name_only("app"));
	assert_true(imageref_is_name_only("team/app"));
	assert_true(imageref_is_name_only("host.x:5000/team/app"));
	assert_false(imageref_is_name_only("app:1"));
	assert_false(imageref_is_name_only("team/app:1"));
	assert_false(imageref_is_name_only("host.x:5000/app:1"));
	assert_false(imageref_is_name_only("app@sha256:" HEX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_names_are_completed),
		cmocka_unit_test(a_host_is_told_from_a_path_by_its_dot_colon_or_name),
		cmocka_unit_test(a_digest_replaces_the_default_tag),
		cmocka_unit_test(separators_within_a_path_are_allowed_as_the_grammar_says),
		cmocka_unit_test(bad_references_name_the_rule_they_break),
		cmocka_unit_test(a_name_longer_than_the_grammar_allows_is_refused),
		cmocka_unit_test(a_tag_has_at_most_128_characters),
		cmocka_unit_test(a_name_alone_has_neither_tag_nor_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
