/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/oci/oci.h"
#include "engine/remote_cache/remote_manifest.h"

#define D "\"sha256:0000000000000000000000000000000000000000000000000000000000000001\""

static struct layer_blob blob(const char *type, const char *text)
{
	return (struct layer_blob){.media_type = xstrdup(type),
				   .digest = digest_of(text, strlen(text)),
				   .size = strlen(text)};
}

static void add_result(struct remote_manifest *m, const char *text)
{
	struct remote_result_blob b = {.has_diff_id = true,
				       .diff_id = digest_of(text, 1),
				       .blob = blob(OCI_LAYER_TYPE "+gzip", text)};

	vec_push(&m->results, b);
}

static void add_mount(struct remote_manifest *m, const char *id)
{
	struct remote_mount mount = {.id = xstrdup(id)};

	vec_push(&mount.parts, blob(OCI_LAYER_TYPE, id));
	vec_push(&mount.parts, blob(OCI_LAYER_TYPE, "second"));
	vec_push(&m->mounts, mount);
}

static void what_is_written_is_read_in_order(void **state)
{
	struct remote_manifest m = REMOTE_MANIFEST_INIT, other = REMOTE_MANIFEST_INIT;
	struct remote_manifest back = REMOTE_MANIFEST_INIT;
	_cleanup_buf_ struct buf a = BUF_INIT, b = BUF_INIT;

	(void)state;
	m.config = blob(REMOTE_CONFIG_TYPE, "{}");
	m.graph = blob(REMOTE_GRAPH_TYPE, "graph");
	other.config = blob(REMOTE_CONFIG_TYPE, "{}");
	other.graph = blob(REMOTE_GRAPH_TYPE, "graph");
	add_result(&m, "x1");
	add_result(&m, "y2");
	add_mount(&m, "pip");
	add_mount(&m, "a=b");
	add_mount(&other, "a=b");
	add_mount(&other, "pip");
	add_result(&other, "y2");
	add_result(&other, "x1");
	assert_int_equal(remote_manifest_write(&m, &a, NULL), 0);
	assert_int_equal(remote_manifest_write(&other, &b, NULL), 0);
	assert_string_equal(a.p, b.p);
	assert_int_equal(remote_manifest_parse(a.p, a.n, &back, NULL), 0);
	assert_int_equal(back.kind, REMOTE_IS_CACHE);
	assert_int_equal(back.results.n, 2);
	assert_true(digest_equal(&back.results.v[1].diff_id, &m.results.v[1].diff_id));
	assert_true(digest_equal(&back.results.v[1].blob.digest, &m.results.v[1].blob.digest));
	assert_int_equal(back.mounts.n, 2);
	assert_string_equal(back.mounts.v[0].id, "a=b");
	assert_true(digest_equal(&back.graph.digest, &m.graph.digest));
	remote_manifest_release(&m);
	remote_manifest_release(&other);
	remote_manifest_release(&back);
}

static enum remote_kind kind_of(const char *json)
{
	struct remote_manifest m = REMOTE_MANIFEST_INIT;
	_cleanup_(error_freep) struct error *err = NULL;
	enum remote_kind kind;

	if (remote_manifest_parse(json, strlen(json), &m, &err) < 0)
		fail_msg("%s: %s", json, error_text(err));
	kind = m.kind;
	remote_manifest_release(&m);
	return kind;
}

static void other_manifests_are_recognised(void **state)
{
	(void)state;
	assert_int_equal(kind_of("{\"schemaVersion\":2,\"config\":{\"mediaType\":"
				 "\"application/vnd.buildkit.cacheconfig.v0\",\"digest\":" D
				 ",\"size\":1},\"layers\":[]}"),
			 REMOTE_IS_BUILDKIT);
	assert_int_equal(
		kind_of("{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX_TYPE "\",\"manifests\":["
			"{\"mediaType\":\"" OCI_LAYER_TYPE "+gzip\",\"digest\":" D ",\"size\":1},"
			"{\"mediaType\":\"application/vnd.buildkit.cacheconfig.v0\",\"digest\":" D
			",\"size\":1}]}"),
		REMOTE_IS_BUILDKIT);
	assert_int_equal(kind_of("{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX_TYPE
				 "\",\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST_TYPE
				 "\",\"digest\":" D ",\"size\":1}]}"),
			 REMOTE_IS_INDEX);
	assert_int_equal(kind_of("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" OCI_CONFIG_TYPE
				 "\",\"digest\":" D ",\"size\":1},\"layers\":[]}"),
			 REMOTE_IS_IMAGE);
}

static void unsound_manifests_are_refused(void **state)
{
#define HEAD                                                                                  \
	"{\"config\":{\"mediaType\":\"" REMOTE_CONFIG_TYPE "\",\"digest\":" D ",\"size\":1}," \
	"\"layers\":["
#define GRAPH "{\"mediaType\":\"" REMOTE_GRAPH_TYPE "\",\"digest\":" D ",\"size\":1}"
	static const char *const cases[] = {
		"",
		"[]",
		HEAD "]}",
		HEAD "{\"mediaType\":\"text/plain\",\"digest\":" D ",\"size\":1}]}",
		HEAD "{\"mediaType\":\"" REMOTE_GRAPH_TYPE
		     "\",\"digest\":\"sha256:0\",\"size\":1}]}",
		HEAD "{\"mediaType\":\"" REMOTE_GRAPH_TYPE "\",\"digest\":" D ",\"size\":-1}]}",
		HEAD "{\"mediaType\":\"" REMOTE_GRAPH_TYPE "\",\"digest\":" D
		     ",\"size\":99999999999}]}",
		HEAD GRAPH ",7]}",
		HEAD GRAPH ",{\"mediaType\":\"" OCI_LAYER_TYPE "\",\"digest\":" D ",\"size\":1}]}",
		HEAD GRAPH ",{\"mediaType\":\"text/plain\",\"digest\":" D ",\"size\":1,"
			   "\"annotations\":{\"containerd.io/uncompressed\":" D "}}]}",
		HEAD GRAPH ",{\"mediaType\":\"" OCI_LAYER_TYPE "\",\"digest\":" D ",\"size\":1,"
			   "\"annotations\":{\"io.kiln.cache.mount\":\"\"}}]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(error_freep) struct error *err = NULL;
		struct remote_manifest m = REMOTE_MANIFEST_INIT;

		if (remote_manifest_parse(cases[i], strlen(cases[i]), &m, &err) >= 0)
			fail_msg("%s", cases[i]);
		assert_int_equal(m.results.n, 0);
	}
}

static void the_config_is_for_people(void **state)
{
	struct remote_summary s = {.layers = 2, .records = 3, .newest = 1000000000};
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	remote_summary_write(&s, &b);
	assert_string_equal(b.p, "{\"graph\":1,\"layers\":2,\"newest\":\"1970-01-01T00:00:01Z\","
				 "\"records\":3}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_in_order),
		cmocka_unit_test(other_manifests_are_recognised),
		cmocka_unit_test(unsound_manifests_are_refused),
		cmocka_unit_test(the_config_is_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
