/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/attest/attest_options.h"
#include "engine/attest/redact.h"
#include "engine/attest/statement.h"

static void add(struct attest_options *o, const char *text)
{
	_cleanup_(error_freep) struct error *err = NULL;

	if (attest_options_add(o, text, &err) < 0)
		fail_msg("%s: %s", text, error_text(err));
}

static void add_short(struct attest_options *o, const char *text)
{
	_cleanup_(error_freep) struct error *err = NULL;

	if (attest_options_add_short(o, ATTEST_PROVENANCE, text, &err) < 0)
		fail_msg("%s: %s", text, error_text(err));
}

static void asked_for_without_a_mode_it_is_max_and_v1(void **state)
{
	struct attest_options o = ATTEST_OPTIONS_INIT;

	(void)state;
	add(&o, "type=provenance");
	assert_true(o.provenance && o.provenance_given && o.max);
	assert_false(o.v02 || o.inline_only);
	add_short(&o, "mode=min,version=v0.2,inline-only=true,builder-id=me,filename=a/b.json");
	assert_true(o.provenance && o.v02 && o.inline_only);
	assert_false(o.max);
	assert_string_equal(o.builder_id, "me");
	assert_string_equal(o.filename, "b.json");
	attest_options_release(&o);
}

static void what_is_said_last_of_a_type_stands(void **state)
{
	struct attest_options o = ATTEST_OPTIONS_INIT;

	(void)state;
	add(&o, "type=provenance,mode=min,builder-id=me");
	add_short(&o, "");
	assert_true(o.provenance);
	add_short(&o, "0");
	assert_false(o.provenance);
	assert_true(o.provenance_given);
	add(&o, "type=sbom,disabled=1");
	add(&o, "Type=provenance,DISABLED=false");
	assert_true(o.provenance && o.max);
	assert_null(o.builder_id);
	attest_options_release(&o);
}

static void what_is_none_is_refused(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{"", "invalid value"},
		{"mode=max", "attestation type not specified"},
		{"type=", "attestation type not specified"},
		{"type=other", "unknown attestation type \"other\""},
		{"type=provenance,mode", "invalid value mode"},
		{"type=provenance,mode=most", "invalid mode \"most\""},
		{"type=provenance,version=v2", "invalid provenance SLSA version: v2"},
		{"type=provenance,disabled=maybe", "disabled"},
		{"type=provenance,inline-only=maybe", "inline-only"},
		{"type=provenance,filename=..", "not a file name"},
		{"type=provenance,colour=red", "unknown provenance attribute 'colour'"},
		{"type=provenance,capture-usage=1", "capture-usage"},
		{"type=sbom", "not supported"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct attest_options o = ATTEST_OPTIONS_INIT;
		_cleanup_(error_freep) struct error *err = NULL;

		assert_true(attest_options_add(&o, bad[i].text, &err) < 0);
		if (!strstr(error_text(err), bad[i].error))
			fail_msg("%s: %s", bad[i].text, error_text(err));
		attest_options_release(&o);
	}
}

static void a_url_loses_its_user_and_nothing_else(void **state)
{
	static const struct {
		const char *text, *shown;
	} texts[] = {
		{"", ""},
		{"a@b", "a@b"},
		{"://", "://"},
		{"http://h/p@q", "http://h/p@q"},
		{"http://h?u@q", "http://h?u@q"},
		{"http://u:p@h/p", "http://xxxxx:xxxxx@h/p"},
		{"http://u:p@q@h/p", "http://xxxxx:xxxxx@h/p"},
		{"a http://h b@c", "a http://h b@c"},
		{"ADD ssh://t@a/ \"git://x:y@b\" http://c", "ADD ssh://xxxxx:xxxxx@a/ "
							    "\"git://xxxxx:xxxxx@b\" http://c"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		_cleanup_free_ char *shown = attest_redact(texts[i].text, strlen(texts[i].text));

		assert_string_equal(shown, texts[i].shown);
	}
}

static void names_become_package_urls(void **state)
{
	static const struct {
		const char *text, *purl;
	} names[] = {
		{"docker.io/library/busybox:1", "pkg:docker/busybox@1?platform=linux%2Farm%2Fv7"},
		{"127.0.0.1:5000/a/b:c",
		 "pkg:docker/127.0.0.1:5000/a/b@c?platform=linux%2Farm%2Fv7"},
		{"busybox@sha256:"
		 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		 "pkg:docker/busybox?digest=sha256:"
		 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		 "&platform=linux%2Farm%2Fv7"},
	};
	const struct platform arm = {.os = "linux", .arch = "arm", .variant = "v7"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		_cleanup_free_ char *purl = NULL;

		assert_int_equal(attest_purl("docker", names[i].text, &arm, &purl, NULL), 0);
		assert_string_equal(purl, names[i].purl);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked_for_without_a_mode_it_is_max_and_v1),
		cmocka_unit_test(what_is_said_last_of_a_type_stands),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test(a_url_loses_its_user_and_nothing_else),
		cmocka_unit_test(names_become_package_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
