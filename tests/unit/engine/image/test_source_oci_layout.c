/* SPDX-License-Identifier: Apache-2.0 */
#include "file_fixture.h"

#include "engine/image/source_oci_layout.h"
#include "engine/oci/oci.h"
#include "store/blob.h"
#include "store/layer.h"
#include "tar_build.h"

/* A layout directory being made inside the fixture's folder `context`. */
static void put_bytes(struct fixture *f, const char *path, const void *p, size_t n)
{
	_cleanup_free_ char *dir = path_dir(path);

	assert_int_equal(fs_mkdir_p(f->dirfd, dir, 0755), 0);
	assert_int_equal(fs_write_file_atomic(f->dirfd, path, p, n, 0644), 0);
}

static char *blob_path(const char *layout, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];

	return xasprintf("%s/blobs/sha256/%s", layout, digest_hex(d, hex));
}

static struct digest put_blob(struct fixture *f, const char *layout, const void *p, size_t n)
{
	struct digest d = digest_of(p, n);
	_cleanup_free_ char *path = blob_path(layout, &d);

	put_bytes(f, path, p, n);
	return d;
}

struct made_image {
	struct digest layer, config, manifest;
	size_t manifest_size;
};

/* An image of one file "f" with this text, for that architecture. */
static struct made_image put_image(struct fixture *f, const char *layout, const char *text,
				   const char *arch)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_free_ char *config = NULL, *manifest = NULL;
	char a[DIGEST_TEXT], b[DIGEST_TEXT];
	struct made_image made;

	TAR_ADD(&tar, .name = "f", .type = '0', .data = text);
	tar_end(&tar);
	made.layer = put_blob(f, layout, tar.p, tar.n);
	config = xasprintf("{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{},"
			   "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
			   arch, digest_format(&made.layer, a));
	made.config = put_blob(f, layout, config, strlen(config));
	manifest = xasprintf("{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST_TYPE
			     "\",\"config\":{\"mediaType\":\"" OCI_CONFIG_TYPE
			     "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
			     "\"" OCI_LAYER_TYPE "\",\"digest\":\"%s\",\"size\":%zu}]}",
			     digest_format(&made.config, b), strlen(config), a, tar.n);
	made.manifest_size = strlen(manifest);
	made.manifest = put_blob(f, layout, manifest, made.manifest_size);
	return made;
}

/* One descriptor of an index; NULL for what it lacks. */
static void describe(struct buf *b, const struct digest *digest, size_t size, const char *type,
		     const char *arch, const char *name)
{
	char text[DIGEST_TEXT];

	buf_addf(b, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu", b->n > 0 ? "," : "",
		 type, digest_format(digest, text), size);
	if (arch)
		buf_addf(b, ",\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}", arch);
	if (name)
		buf_addf(b, ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}",
			 name);
	buf_addc(b, '}');
}

static char *index_of(const struct buf *descriptors)
{
	return xasprintf("{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX_TYPE
			 "\",\"manifests\":[%s]}",
			 descriptors->p);
}

static void put_index(struct fixture *f, const char *layout, const struct buf *descriptors)
{
	_cleanup_free_ char *index = index_of(descriptors),
			    *path = xasprintf("%s/index.json", layout);
	_cleanup_free_ char *marker = xasprintf("%s/oci-layout", layout);
	static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

	put_bytes(f, path, index, strlen(index));
	put_bytes(f, marker, version, strlen(version));
}

/* A layout "l" of one untagged image. */
static struct made_image put_layout(struct fixture *f, const char *layout, const char *text)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct made_image made = put_image(f, layout, text, "amd64");

	describe(&b, &made.manifest, made.manifest_size, OCI_MANIFEST_TYPE, NULL, NULL);
	put_index(f, layout, &b);
	return made;
}

static int resolve(struct fixture *f, const char *ref, const char *arch, struct image_source *ret,
		   struct error **err)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", f->context, ref);
	struct platform p = {.os = "linux"};

	snprintf(p.arch, sizeof(p.arch), "%s", arch);
	return oci_layout_resolve(f->store, full, &p, NULL, ret, err);
}

/* Which image a reference stands for. */
static void expect_manifest(struct fixture *f, const char *ref, const char *arch,
			    const struct digest *manifest)
{
	struct image_source i = {.config = BUF_INIT};
	struct error *err = NULL;

	if (resolve(f, ref, arch, &i, &err) < 0)
		fail_msg("%s: %s", ref, error_text(err));
	assert_true(digest_equal(&i.manifest, manifest));
	assert_null(i.name);
	image_source_release(&i);
}

static void expect_failure(struct fixture *f, const char *ref, int code, const char *why)
{
	struct image_source i = {.config = BUF_INIT};
	_cleanup_(error_freep) struct error *err = NULL;

	assert_int_equal(resolve(f, ref, "amd64", &i, &err), -code);
	if (!strstr(error_text(err), why))
		fail_msg("%s: '%s' lacks '%s'", ref, error_text(err), why);
}

static void the_only_image_needs_no_tag(void **state)
{
	struct fixture *f = *state;
	struct made_image made = put_layout(f, "only", "x");

	expect_manifest(f, "only", "amd64", &made.manifest);
	expect_manifest(f, "only/", "amd64", &made.manifest);
}

static void a_tag_names_one_of_several_by_tag_or_by_full_name(void **state)
{
	struct fixture *f = *state;
	struct made_image one = put_image(f, "tags", "1", "amd64"),
			  two = put_image(f, "tags", "2", "amd64");
	_cleanup_buf_ struct buf b = BUF_INIT;

	describe(&b, &one.manifest, one.manifest_size, OCI_MANIFEST_TYPE, NULL, "v1");
	describe(&b, &two.manifest, two.manifest_size, OCI_MANIFEST_TYPE, NULL,
		 "docker.io/library/app:latest");
	put_index(f, "tags", &b);
	expect_manifest(f, "tags:v1", "amd64", &one.manifest);
	expect_manifest(f, "tags:latest", "amd64", &two.manifest);
	expect_manifest(f, "tags", "amd64", &two.manifest);
	expect_failure(f, "tags:v2", ERR_NOTFOUND, "no image tagged \"v2\"");
}

static void a_digest_names_one_without_the_index(void **state)
{
	struct fixture *f = *state;
	struct made_image made = put_layout(f, "digest", "x");
	char text[DIGEST_TEXT];
	_cleanup_free_ char *ref =
		xasprintf("digest:ignored@%s", digest_format(&made.manifest, text));

	expect_manifest(f, ref, "amd64", &made.manifest);
	expect_failure(f, "digest@sha256:12", ERR_INVALID, "is not a sha256 digest");
	ref[strlen(ref) - 1] ^= 1;
	expect_failure(f, ref, ERR_NOTFOUND, "the layout lacks 'blobs/sha256/");
}

static void the_platform_chooses_also_through_an_index_within(void **state)
{
	struct fixture *f = *state;
	struct made_image amd = put_image(f, "plat", "1", "amd64"),
			  arm = put_image(f, "plat", "2", "arm64");
	_cleanup_buf_ struct buf b = BUF_INIT, outer = BUF_INIT;
	_cleanup_free_ char *index = NULL;
	struct image_source i = {.config = BUF_INIT};
	struct digest inner;

	describe(&b, &amd.manifest, amd.manifest_size, OCI_MANIFEST_TYPE, "amd64", NULL);
	describe(&b, &arm.manifest, arm.manifest_size, OCI_MANIFEST_TYPE, "arm64", NULL);
	put_index(f, "plat", &b);
	expect_manifest(f, "plat", "amd64", &amd.manifest);
	expect_manifest(f, "plat", "arm64", &arm.manifest);
	assert_int_equal(resolve(f, "plat", "s390x", &i, NULL), -ERR_NOTFOUND);

	index = index_of(&b);
	inner = put_blob(f, "plat", index, strlen(index));
	describe(&outer, &inner, strlen(index), OCI_INDEX_TYPE, NULL, "both");
	put_index(f, "plat", &outer);
	expect_manifest(f, "plat:both", "arm64", &arm.manifest);
}

static void a_colon_may_be_part_of_the_path(void **state)
{
	struct fixture *f = *state;
	struct made_image made = put_layout(f, "a:b/c:d", "x");

	expect_manifest(f, "a:b/c:d", "amd64", &made.manifest);
	expect_failure(f, "a:b/c:e", ERR_NOTFOUND, "open");
}

/* The text of the file "f" of an image, its layers being fetched for it. */
static void expect_text(struct fixture *f, const char *ref, const char *text)
{
	_cleanup_free_ char *line = xasprintf("f 0644 0:0 f '%s'\n", text);
	struct image_source i = {.config = BUF_INIT};
	struct error *err = NULL;
	struct result *r;

	if (resolve(f, ref, "amd64", &i, &err) < 0 ||
	    layers_require(f->store, NULL, NULL, i.layers, i.n_layers, &err) < 0)
		fail_msg("%s", error_text(err));
	r = result_new_rootfs(i.layers, i.n_layers);
	assert_result(f, r, line);
	result_unref(r);
	image_source_release(&i);
}

static void layers_are_copied_when_something_reads_them(void **state)
{
	struct fixture *f = *state;
	struct made_image made = put_layout(f, "lazy", "lazy");
	struct image_source i = {.config = BUF_INIT};

	assert_int_equal(resolve(f, "lazy", "amd64", &i, NULL), 0);
	assert_int_equal(i.n_layers, 1);
	assert_false(blob_exists(f->store, &made.layer, NULL));
	assert_int_equal(blobs_require(f->store, NULL, NULL, i.layers, 1, NULL), 0);
	assert_true(blob_exists(f->store, &made.layer, NULL));
	image_source_release(&i);
	expect_text(f, "lazy", "lazy");
}

static void a_layer_known_from_an_unreachable_registry_is_taken_from_here(void **state)
{
	struct fixture *f = *state;
	struct made_image made = put_layout(f, "known", "known");
	struct layer_blob blob = {.media_type = xstrdup(OCI_LAYER_TYPE), .digest = made.layer};
	int64_t id;

	blob.size = 2048;
	assert_int_equal(layer_add_remote(f->store, &made.layer, &blob, "127.0.0.1:1/x", &id, NULL),
			 0);
	free(blob.media_type);
	expect_text(f, "known", "known");
}

static int require(struct fixture *f, const char *ref, struct error **err)
{
	struct image_source i = {.config = BUF_INIT};
	int r;

	assert_int_equal(resolve(f, ref, "amd64", &i, NULL), 0);
	r = layers_require(f->store, NULL, NULL, i.layers, i.n_layers, err);
	image_source_release(&i);
	return r;
}

static void a_layer_that_is_damaged_longer_or_gone_is_told(void **state)
{
	static const struct {
		const char *layout, *add;
		bool truncate, remove;
		int code;
		const char *why;
	} cases[] = {
		{"longer", "more", false, false, ERR_CORRUPT, "it has more than 2048 bytes"},
		{"shorter", NULL, true, false, ERR_CORRUPT, "expected sha256:"},
		{"gone", NULL, false, true, ERR_NOTFOUND, "the layout lacks 'blobs/sha256/"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct made_image made = put_layout(f, cases[i].layout, cases[i].layout);
		_cleanup_free_ char *path = blob_path(cases[i].layout, &made.layer);
		_cleanup_(error_freep) struct error *err = NULL;
		_cleanup_close_ int fd = openat(f->dirfd, path, O_WRONLY | O_APPEND | O_CLOEXEC);

		assert_true(fd >= 0);
		if (cases[i].add)
			assert_int_equal(fs_write_full(fd, cases[i].add, strlen(cases[i].add)), 0);
		if (cases[i].truncate)
			assert_int_equal(ftruncate(fd, 100), 0);
		if (cases[i].remove)
			assert_int_equal(unlinkat(f->dirfd, path, 0), 0);
		assert_int_equal(require(f, cases[i].layout, &err), -cases[i].code);
		if (!strstr(error_text(err), cases[i].why))
			fail_msg("'%s' lacks '%s'", error_text(err), cases[i].why);
		assert_non_null(strstr(error_text(err), cases[i].layout));
		assert_false(blob_exists(f->store, &made.layer, NULL));
	}
}

static void documents_that_are_not_what_their_name_says_are_refused(void **state)
{
	struct fixture *f = *state;
	struct made_image made = put_layout(f, "bad1", "bad1");
	_cleanup_free_ char *manifest = blob_path("bad1", &made.manifest), *config = NULL;

	put_bytes(f, manifest, "{}", 2);
	expect_failure(f, "bad1", ERR_CORRUPT, "is damaged: its bytes are sha256:");
	made = put_layout(f, "bad2", "bad2");
	config = blob_path("bad2", &made.config);
	assert_int_equal(unlinkat(f->dirfd, config, 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", f->dirfd, config), 0);
	expect_failure(f, "bad2", ERR_INVALID, "is a symlink");
}

static void a_manifest_of_five_gigabytes_is_not_read(void **state)
{
	struct fixture *f = *state;
	struct made_image made = put_layout(f, "big", "big");
	_cleanup_free_ char *path = blob_path("big", &made.manifest);
	_cleanup_close_ int fd = openat(f->dirfd, path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)5 << 30), 0);
	expect_failure(f, "big", ERR_INVALID, "has more than 4194304 bytes");
}

static void indexes_do_not_nest_for_ever(void **state)
{
	struct fixture *f = *state;
	struct made_image made = put_image(f, "deep", "x", "amd64");
	const char *type = OCI_MANIFEST_TYPE;
	struct digest at = made.manifest;
	size_t size = made.manifest_size;

	for (int i = 0; i < OCI_NESTING_MAX + 2; i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		_cleanup_free_ char *index = NULL;

		describe(&b, &at, size, type, NULL, NULL);
		put_index(f, "deep", &b);
		index = index_of(&b);
		size = strlen(index);
		at = put_blob(f, "deep", index, size);
		type = OCI_INDEX_TYPE;
	}
	expect_failure(f, "deep", ERR_INVALID, "indexes within each other");
}

static void what_is_no_layout_says_why(void **state)
{
	struct fixture *f = *state;

	put_file(f, "plain/file", "x", 0644);
	put_file(f, "future/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}", 0644);
	put_file(f, "odd/oci-layout", "[]", 0644);
	expect_failure(f, "plain", ERR_NOTFOUND, "the layout lacks 'oci-layout'");
	expect_failure(f, "future", ERR_UNSUPPORTED, "version \"2.0.0\"");
	expect_failure(f, "odd", ERR_UNSUPPORTED, "version \"\"");
	expect_failure(f, "nowhere", ERR_NOTFOUND, "nowhere");
	expect_failure(f, "plain/file", ERR_INVALID, "tar");
	expect_failure(f, "plain:", ERR_INVALID, "PATH[:TAG][@DIGEST]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_only_image_needs_no_tag),
		cmocka_unit_test(a_tag_names_one_of_several_by_tag_or_by_full_name),
		cmocka_unit_test(a_digest_names_one_without_the_index),
		cmocka_unit_test(the_platform_chooses_also_through_an_index_within),
		cmocka_unit_test(a_colon_may_be_part_of_the_path),
		cmocka_unit_test(layers_are_copied_when_something_reads_them),
		cmocka_unit_test(a_layer_known_from_an_unreachable_registry_is_taken_from_here),
		cmocka_unit_test(a_layer_that_is_damaged_longer_or_gone_is_told),
		cmocka_unit_test(documents_that_are_not_what_their_name_says_are_refused),
		cmocka_unit_test(a_manifest_of_five_gigabytes_is_not_read),
		cmocka_unit_test(indexes_do_not_nest_for_ever),
		cmocka_unit_test(what_is_no_layout_says_why),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
