/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/platform.h"

static void assert_parses(const char *text, const char *want)
{
	struct platform p;
	char out[64];

	assert_int_equal(platform_parse(text, &p, NULL), 0);
	assert_string_equal(platform_format(&p, out), want);
}

static void aliases_and_default_variants_are_normalised(void **state)
{
	(void)state;
	assert_parses("linux/x86_64", "linux/amd64");
	assert_parses("linux/AARCH64", "linux/arm64");
	assert_parses("linux/arm64/v8", "linux/arm64");
	assert_parses("linux/arm", "linux/arm/v7");
	assert_parses("linux/arm/7", "linux/arm/v7");
	assert_parses("linux/armhf", "linux/arm/v7");
	assert_parses("linux/armel", "linux/arm/v6");
	assert_parses("linux/amd64/v2", "linux/amd64/v2");
	assert_parses("macOS/arm64", "darwin/arm64");
	assert_parses("arm64", "linux/arm64");
}

static void an_operating_system_alone_takes_the_hosts_architecture(void **state)
{
	struct platform host = platform_host(), p;

	(void)state;
	assert_int_equal(platform_parse("linux", &p, NULL), 0);
	assert_string_equal(p.arch, host.arch);
	assert_int_equal(platform_parse("local", &p, NULL), 0);
	assert_true(platform_equal(&p, &host));
}

static void the_version_of_an_operating_system_is_kept_apart(void **state)
{
	struct platform p;

	(void)state;
	assert_int_equal(platform_parse("windows(10.0.17763)/amd64", &p, NULL), 0);
	assert_string_equal(p.os, "windows");
	assert_string_equal(p.os_version, "10.0.17763");
}

static void bad_platforms_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"linux/",
		"linux//v7",
		"nonsense",
		"a/b/c/d",
		"linux/am d",
		"linux(/amd64",
		"linux()x/amd64",
		"(1)/amd64",
		"linux/$ARCH",
		"linux/averyveryverylongarchitecture",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(error_freep) struct error *err = NULL;
		struct platform p;

		assert_int_equal(platform_parse(bad[i], &p, &err), -ERR_INVALID);
		assert_non_null(err);
	}
}

static int score(const char *want, const char *have)
{
	struct platform w, h;

	assert_int_equal(platform_parse(want, &w, NULL), 0);
	assert_int_equal(platform_parse(have, &h, NULL), 0);
	return platform_match(&w, &h);
}

static void an_exact_variant_is_preferred_to_a_lower_one(void **state)
{
	(void)state;
	assert_true(score("linux/arm/v7", "linux/arm/v7") > score("linux/arm/v7", "linux/arm/v6"));
	assert_true(score("linux/arm/v7", "linux/arm/v6") > score("linux/arm/v7", "linux/arm/v5"));
	assert_int_equal(score("linux/arm/v6", "linux/arm/v7"), 0);
	assert_true(score("linux/amd64/v3", "linux/amd64") > 0);
	assert_int_equal(score("linux/amd64", "linux/amd64/v3"), 0);
}

static void another_architecture_serves_only_where_the_machine_runs_it(void **state)
{
	(void)state;
	assert_true(score("linux/arm64", "linux/arm/v7") > 0);
	assert_true(score("linux/arm64", "linux/arm64") > score("linux/arm64", "linux/arm/v7"));
	assert_true(score("linux/amd64", "linux/386") > 0);
	assert_int_equal(score("linux/amd64", "linux/arm64"), 0);
	assert_int_equal(score("linux/amd64", "windows/amd64"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aliases_and_default_variants_are_normalised),
		cmocka_unit_test(an_operating_system_alone_takes_the_hosts_architecture),
		cmocka_unit_test(the_version_of_an_operating_system_is_kept_apart),
		cmocka_unit_test(bad_platforms_are_refused),
		cmocka_unit_test(an_exact_variant_is_preferred_to_a_lower_one),
		cmocka_unit_test(another_architecture_serves_only_where_the_machine_runs_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
