/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/remote_cache/remote_spec.h"

static void parse(remote_specs *specs, enum remote_use use, const char *text)
{
	_cleanup_(error_freep) struct error *err = NULL;

	if (remote_spec_parse(text, use, specs, &err) < 0)
		fail_msg("%s: %s", text, error_text(err));
}

static void a_bare_reference_is_a_registrys(void **state)
{
	remote_specs s = {0};

	(void)state;
	parse(&s, REMOTE_IMPORT, "team/app:cache");
	parse(&s, REMOTE_IMPORT, "a/b,c/d");
	assert_int_equal(s.n, 3);
	assert_string_equal(s.v[0].type, "registry");
	assert_string_equal(attrs_get(&s.v[0].attrs, "ref"), "team/app:cache");
	assert_string_equal(attrs_get(&s.v[2].attrs, "ref"), "c/d");
	assert_false(s.v[0].max);
	remote_specs_release(&s);
}

static void values_reach_their_places(void **state)
{
	remote_specs s = {0};

	(void)state;
	parse(&s, REMOTE_EXPORT,
	      "type=registry,ref=a/b,mode=max,compression=zstd,compression-level=5,"
	      "force-compression=true,ignore-error=true,image-manifest=true,oci-mediatypes=true,"
	      "registry.insecure=true,mounts=pip,apt,ref=c/d");
	assert_true(s.v[0].max && s.v[0].ignore_error && s.v[0].force_compression);
	assert_int_equal(s.v[0].compression.type, COMPRESS_ZSTD);
	assert_int_equal(s.v[0].compression.level, 5);
	assert_string_equal(attrs_get(&s.v[0].attrs, "ref"), "c/d");
	assert_string_equal(attrs_get(&s.v[0].attrs, "registry.insecure"), "true");
	assert_null(attrs_get(&s.v[0].attrs, "mode"));
	assert_int_equal(s.v[0].mounts.n, 2);
	assert_string_equal(s.v[0].mounts.v[1], "apt");
	parse(&s, REMOTE_EXPORT, "type=local,dest=out,\"mounts=a,b\",reset=true");
	assert_int_equal(s.v[1].mounts.n, 2);
	parse(&s, REMOTE_EXPORT, "type=inline");
	assert_true(remote_spec_is_inline(&s.v[2]));
	remote_specs_release(&s);
}

static void bad_values_say_what_is_wrong(void **state)
{
	static const struct {
		enum remote_use use;
		const char *text, *reason;
	} cases[] = {
		{REMOTE_IMPORT, "type=floppy", "unknown type 'floppy'"},
		{REMOTE_IMPORT, "type=registry", "ref is required for type=registry"},
		{REMOTE_IMPORT, "type=registry,ref=", "ref is required"},
		{REMOTE_IMPORT, "type=local,dest=x", "unknown attribute 'dest'"},
		{REMOTE_IMPORT, "type=local,src=x,mode=max", "unknown attribute 'mode'"},
		{REMOTE_IMPORT, "type=inline", "imported as type=registry"},
		{REMOTE_IMPORT, "ref=a", "type is required"},
		{REMOTE_IMPORT, "type=registry,a", "expected key=value"},
		{REMOTE_IMPORT, "", "ref is required"},
		{REMOTE_EXPORT, "type=inline,ref=a", "unknown attribute 'ref'"},
		{REMOTE_EXPORT, "type=local,dest=x,mode=most", "invalid mode 'most'"},
		{REMOTE_EXPORT, "type=local,dest=x,compression=lzma", "unknown compression"},
		{REMOTE_EXPORT, "type=local,dest=x,compression-level=11", "no compression level"},
		{REMOTE_EXPORT, "type=local,dest=x,ignore-error=maybe", "non-bool value"},
		{REMOTE_EXPORT, "type=local,\"dest=x", "missing \" in quoted-field"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(error_freep) struct error *err = NULL;
		remote_specs s = {0};

		assert_int_equal(remote_spec_parse(cases[i].text, cases[i].use, &s, &err),
				 -ERR_INVALID);
		if (!strstr(error_text(err), cases[i].reason))
			fail_msg("%s: %s", cases[i].text, error_text(err));
		assert_int_equal(s.n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bare_reference_is_a_registrys),
		cmocka_unit_test(values_reach_their_places),
		cmocka_unit_test(bad_values_say_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
