/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/export/export.h"

static void parse(struct export_options *o, const char *text)
{
	_cleanup_(error_freep) struct error *err = NULL;

	export_options_init(o);
	if (export_options_parse(o, text, &err) < 0)
		fail_msg("%s: %s", text, error_text(err));
}

static void a_path_is_local_and_a_dash_is_a_tar_on_stdout(void **state)
{
	struct export_options o;

	(void)state;
	parse(&o, "out/dir");
	assert_int_equal(o.type, EXPORT_LOCAL);
	assert_string_equal(o.dest, "out/dir");
	export_options_release(&o);
	parse(&o, "-");
	assert_int_equal(o.type, EXPORT_TAR);
	assert_null(o.dest);
	assert_int_equal(o.dest_fd, 1);
	export_options_release(&o);
}

static void values_reach_their_options(void **state)
{
	struct export_options o;

	(void)state;
	parse(&o, "type=oci,dest=x,\"name=a,b\",compression=zstd,compression-level=19,"
		  "force-compression=1,oci-mediatypes=false,tar=false,rewrite-timestamp=true,"
		  "source-date-epoch=5");
	assert_int_equal(o.type, EXPORT_OCI);
	assert_int_equal(o.names.n, 2);
	assert_string_equal(o.names.v[1], "b");
	assert_int_equal(o.layers.compression.type, COMPRESS_ZSTD);
	assert_int_equal(o.layers.compression.level, 19);
	assert_true(o.layers.force);
	assert_false(o.oci_mediatypes);
	assert_false(o.tar);
	assert_true(o.rewrite_timestamp);
	assert_true(o.has_epoch);
	assert_int_equal(o.epoch, 5);
	export_options_release(&o);
}

static void what_does_nothing_is_taken_and_told_where_it_was_meant(void **state)
{
	struct export_options o;

	(void)state;
	parse(&o, "type=image,name-canonical=true,unpack=true,buildinfo=false,store=false");
	assert_int_equal(o.notes.n, 0);
	assert_true(o.no_store);
	export_options_release(&o);
	parse(&o, "type=image,dangling-name-prefix=x,prefer-nondist-layers=true");
	assert_int_equal(o.notes.n, 2);
	assert_non_null(strstr(o.notes.v[1], "prefer-nondist-layers has no effect"));
	export_options_release(&o);
	parse(&o, "type=image,prefer-nondist-layers=false");
	assert_int_equal(o.notes.n, 0);
	export_options_release(&o);
}

static void docker_without_dest_is_the_local_store(void **state)
{
	struct export_options o;

	(void)state;
	parse(&o, "type=docker");
	assert_int_equal(o.type, EXPORT_IMAGE);
	export_options_release(&o);
	parse(&o, "type=docker,dest=-");
	assert_int_equal(o.type, EXPORT_DOCKER);
	assert_int_equal(o.dest_fd, 1);
	export_options_release(&o);
}

static void annotations_know_their_place_and_platform(void **state)
{
	struct export_options o;

	(void)state;
	parse(&o, "type=oci,dest=x,annotation.org.a=1,annotation[linux/arm64].k=2,"
		  "annotation-index.i=3,annotation-manifest-descriptor.d=4");
	assert_int_equal(export_options_annotate(&o, "index,manifest[linux/amd64]:x=a:b=c", NULL),
			 0);
	assert_int_equal(export_options_annotate(&o, "org.foo:bar=v", NULL), 0);
	assert_int_equal(o.annotations.n, 7);
	assert_string_equal(o.annotations.v[0].text, "org.a=1");
	assert_null(o.annotations.v[0].platform);
	assert_string_equal(o.annotations.v[1].platform, "linux/arm64");
	assert_int_equal(o.annotations.v[2].on, ANNOTATE_INDEX);
	assert_int_equal(o.annotations.v[3].on, ANNOTATE_MANIFEST_DESCRIPTOR);
	assert_int_equal(o.annotations.v[4].on, ANNOTATE_INDEX);
	assert_string_equal(o.annotations.v[4].text, "x=a:b=c");
	assert_string_equal(o.annotations.v[5].platform, "linux/amd64");
	assert_string_equal(o.annotations.v[6].text, "org.foo:bar=v");
	export_options_release(&o);
}

static void bad_values_say_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{"type=floppy", "unknown output type 'floppy'"},
		{"dest=x,name=y", "type is required"},
		{"type=oci,dest=x,colour=red", "unknown output attribute 'colour'"},
		{"type=oci,dest=x,compression=lzma", "unknown compression 'lzma'"},
		{"type=oci,dest=x,compression-level=11", "gzip has no compression level 11"},
		{"type=oci,dest=x,compression-level=-1", "invalid value '-1'"},
		{"type=oci,dest=x,tar=maybe", "non-bool value 'maybe'"},
		{"type=oci,tar=false", "dest is required"},
		{"type=local", "dest is required"},
		{"type=oci,dest", "expected key=value"},
		{"type=oci,\"dest=x", "missing \" in quoted-field"},
		{"type=oci,dest=x,annotation-side.k=v", "unknown annotation type 'side'"},
		{"type=oci,dest=x,mode=move", "invalid mode 'move'"},
		{"", "empty"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(error_freep) struct error *err = NULL;
		struct export_options o;

		export_options_init(&o);
		assert_true(export_options_parse(&o, cases[i].text, &err) < 0);
		if (!strstr(error_text(err), cases[i].reason))
			fail_msg("%s: %s", cases[i].text, error_text(err));
		export_options_release(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_is_local_and_a_dash_is_a_tar_on_stdout),
		cmocka_unit_test(values_reach_their_options),
		cmocka_unit_test(what_does_nothing_is_taken_and_told_where_it_was_meant),
		cmocka_unit_test(docker_without_dest_is_the_local_store),
		cmocka_unit_test(annotations_know_their_place_and_platform),
		cmocka_unit_test(bad_values_say_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
