/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/oci/oci.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define D3 "sha256:3333333333333333333333333333333333333333333333333333333333333333"

static int parse(const char *json, struct oci_document *d, struct error **err)
{
	return oci_document_parse(NULL, json, strlen(json), d, err);
}

static void an_index_gives_the_best_match_for_a_platform(void **state)
{
	_cleanup_(oci_document_release) struct oci_document d = OCI_DOCUMENT_INIT;
	struct platform want = {.os = "linux", .arch = "arm", .variant = "v7"};
	char text[DIGEST_TEXT];
	size_t at;

	(void)state;
	assert_int_equal(
		parse("{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX_TYPE "\",\"manifests\":["
		      "{\"mediaType\":\"" OCI_MANIFEST_TYPE "\",\"digest\":\"" D1 "\",\"size\":5,"
		      "\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v6\"}}"
		      ","
		      "{\"mediaType\":\"" OCI_MANIFEST_TYPE "\",\"digest\":\"" D2 "\",\"size\":5,"
		      "\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}}"
		      ","
		      "{\"mediaType\":\"" OCI_MANIFEST_TYPE "\",\"digest\":\"" D3 "\",\"size\":5,"
		      "\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"},"
		      "\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}}]}",
		      &d, NULL),
		0);
	assert_int_equal(d.kind, OCI_INDEX);
	assert_int_equal(oci_index_select(&d, &want, &at, NULL), 0);
	assert_string_equal(digest_format(&d.manifests.v[at].digest, text), D2);
	assert_true(d.manifests.v[2].attestation);
}

static void a_missing_platform_lists_those_present(void **state)
{
	_cleanup_(oci_document_release) struct oci_document d = OCI_DOCUMENT_INIT;
	_cleanup_(error_freep) struct error *err = NULL;
	struct platform want = {.os = "linux", .arch = "riscv64"};
	size_t at;

	(void)state;
	assert_int_equal(parse("{\"schemaVersion\":2,\"manifests\":["
			       "{\"mediaType\":\"" DOCKER_MANIFEST_TYPE "\",\"digest\":\"" D1
			       "\",\"size\":5,"
			       "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}},"
			       "{\"mediaType\":\"" DOCKER_MANIFEST_TYPE "\",\"digest\":\"" D2
			       "\",\"size\":5,"
			       "\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\","
			       "\"variant\":\"v8\"}}]}",
			       &d, NULL),
			 0);
	assert_int_equal(oci_index_select(&d, &want, &at, &err), -ERR_NOTFOUND);
	assert_non_null(strstr(error_text(err), "linux/amd64, linux/arm64"));
	assert_non_null(strstr(error_text(err), "linux/riscv64"));
}

static void a_manifest_has_a_config_and_layers(void **state)
{
	_cleanup_(oci_document_release) struct oci_document d = OCI_DOCUMENT_INIT;

	(void)state;
	assert_int_equal(
		parse("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" DOCKER_CONFIG_TYPE
		      "\",\"digest\":\"" D1
		      "\",\"size\":10},\"layers\":[{\"mediaType\":\"" DOCKER_LAYER_TYPE
		      ".gzip\",\"digest\":\"" D2 "\",\"size\":1099511627776}]}",
		      &d, NULL),
		0);
	assert_int_equal(d.kind, OCI_MANIFEST);
	assert_int_equal(d.layers.n, 1);
	assert_int_equal(d.layers.v[0].size, OCI_BLOB_MAX);
}

static void expect(const char *json, int code, const char *text)
{
	struct oci_document d = OCI_DOCUMENT_INIT;
	_cleanup_(error_freep) struct error *err = NULL;

	assert_int_equal(parse(json, &d, &err), -code);
	if (!strstr(error_text(err), text))
		fail_msg("'%s' does not say '%s'", error_text(err), text);
}

#define CONFIG \
	"\"config\":{\"mediaType\":\"" OCI_CONFIG_TYPE "\",\"digest\":\"" D1 "\",\"size\":10}"

static void unsound_documents_are_refused(void **state)
{
	(void)state;
	expect("[]", ERR_INVALID, "not a JSON object");
	expect("{\"schemaVersion\":1,\"fsLayers\":[]}", ERR_UNSUPPORTED, "schema 1");
	expect("{\"mediaType\":\"application/x-thing\"}", ERR_UNSUPPORTED, "application/x-thing");
	expect("{\"manifests\":[],\"layers\":[]}", ERR_INVALID, "both");
	expect("{\"layers\":[]}", ERR_INVALID, "\"config\" is missing");
	expect("{\"manifests\":[{}]}", ERR_INVALID, "manifests[0]");
	expect("{\"manifests\":[{\"mediaType\":\"x\",\"digest\":\"sha256:../../x\",\"size\":1}]}",
	       ERR_INVALID, "is not a sha256 digest");
	expect("{\"manifests\":[{\"mediaType\":\"x\",\"digest\":\"" D1 "\",\"size\":-1}]}",
	       ERR_INVALID, "needs");
	expect("{\"manifests\":[{\"mediaType\":\"x\",\"digest\":\"" D1 "\",\"size\":4194305}]}",
	       ERR_INVALID, "limit");
	expect("{" CONFIG ",\"layers\":[{\"mediaType\":\"" DOCKER_LAYER_TYPE
	       ".gzip\",\"digest\":\"" D2 "\",\"size\":1099511627777}]}",
	       ERR_INVALID, "limit");
	expect("{" CONFIG ",\"layers\":[{\"mediaType\":\"application/vnd.cncf.helm.chart\","
	       "\"digest\":\"" D2 "\",\"size\":1}]}",
	       ERR_UNSUPPORTED, "is not a file system layer");
}

static void an_index_of_one_nameless_image_means_that_image(void **state)
{
	_cleanup_(oci_document_release) struct oci_document d = OCI_DOCUMENT_INIT;
	struct platform want = {.os = "linux", .arch = "amd64"};
	size_t at = 9;

	(void)state;
	assert_int_equal(parse("{\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST_TYPE
			       "\",\"digest\":\"" D1 "\",\"size\":5}]}",
			       &d, NULL),
			 0);
	assert_int_equal(oci_index_select(&d, &want, &at, NULL), 0);
	assert_int_equal(at, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_gives_the_best_match_for_a_platform),
		cmocka_unit_test(a_missing_platform_lists_those_present),
		cmocka_unit_test(a_manifest_has_a_config_and_layers),
		cmocka_unit_test(unsound_documents_are_refused),
		cmocka_unit_test(an_index_of_one_nameless_image_means_that_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
