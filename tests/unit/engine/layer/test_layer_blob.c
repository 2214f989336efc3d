/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/layer/layer_blob.h"
#include "engine/oci/oci.h"
#include "store/blob.h"
#include "tests/unit/engine/layer_fixture.h"

static int to_buf(void *data, const void *p, size_t n, struct error **err)
{
	(void)err;
	buf_add(data, p, n);
	return 0;
}

static struct layer_blob_options options(enum compression type)
{
	return (struct layer_blob_options){
		.compression = {.type = type, .level = COMPRESS_LEVEL_DEFAULT}};
}

static void make(struct fixture *f, int64_t layer, const struct layer_blob_options *o,
		 struct layer_body *ret)
{
	_cleanup_(error_freep) struct error *err = NULL;

	if (layer_blob_make(&(struct layer_chain){f->s, &layer, 1, 0}, o, NULL, ret, &err) < 0)
		fail_msg("%s", error_text(err));
}

static void gzip(const struct buf *plain, struct buf *ret)
{
	struct compress_options o = {.type = COMPRESS_GZIP, .level = 1};
	struct compress *c;

	assert_int_equal(compress_open(&o, to_buf, ret, &c, NULL), 0);
	compress_write(c, plain->p, plain->n);
	assert_int_equal(compress_finish(c, NULL), 0);
	compress_free(c);
}

/* A layer as a registry describes it; its bytes come into the store only with `here`. */
static int64_t receive(struct fixture *f, const struct buf *bytes, const struct buf *plain,
		       bool here)
{
	struct digest diff_id = digest_of(plain->p, plain->n);
	char type[] = DOCKER_LAYER_TYPE ".gzip";
	struct layer_blob blob = {
		.media_type = type, .digest = digest_of(bytes->p, bytes->n), .size = bytes->n};
	int64_t id;

	if (here)
		assert_int_equal(blob_put(f->s, bytes->p, bytes->n, &blob.digest, NULL), 0);
	assert_int_equal(layer_add_remote(f->s, &diff_id, &blob, "docker.io/library/x", &id, NULL),
			 0);
	return id;
}

static void a_layer_made_here_is_described_without_a_copy_of_its_bytes(void **state)
{
	struct fixture *f = *state;
	struct layer_blob_options o = options(COMPRESS_NONE);
	int64_t layer = LAYER(f, {.type = 'f', .path = "a", .text = "alpha"});
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	struct layer_body body;
	struct digest digest;

	make(f, layer, &o, &body);
	assert_true(digest_equal(&body.blob.digest, &body.diff_id));
	assert_false(body.stored);
	assert_false(blob_exists(f->s, &body.diff_id, NULL));
	assert_int_equal(layer_blob_send(&(struct layer_chain){f->s, &layer, 1, 0}, &o, &body, NULL,
					 to_buf, &bytes, NULL),
			 0);
	assert_int_equal(bytes.n, body.blob.size);
	digest = digest_of(bytes.p, bytes.n);
	assert_true(digest_equal(&digest, &body.diff_id));
	layer_body_release(&body);
}

static void compressed_forms_are_stored_and_remembered(void **state)
{
	static const enum compression types[] = {COMPRESS_GZIP, COMPRESS_ZSTD};
	struct fixture *f = *state;
	int64_t layer = LAYER(f, {.type = 'f', .path = "a", .text = "alpha"});
	_cleanup_free_ char *file = xasprintf("%s/layers/%lld/fs/a", f->root, (long long)layer);
	struct layer_body first[2], again;

	for (size_t i = 0; i < 2; i++) {
		struct layer_blob_options o = options(types[i]);

		make(f, layer, &o, &first[i]);
		assert_true(first[i].stored);
		assert_int_equal(layer_type_compression(first[i].blob.media_type), types[i]);
	}
	assert_true(digest_equal(&first[0].diff_id, &first[1].diff_id));
	/* Were the tar written again, the missing file would be found out. */
	assert_int_equal(unlink(file), 0);
	for (size_t i = 0; i < 2; i++) {
		struct layer_blob_options o = options(types[i]);

		make(f, layer, &o, &again);
		assert_true(digest_equal(&again.blob.digest, &first[i].blob.digest));
		layer_body_release(&again);
		layer_body_release(&first[i]);
	}
}

static void a_layer_that_changed_under_us_is_not_sent_as_the_old_one(void **state)
{
	struct fixture *f = *state;
	struct layer_blob_options o = options(COMPRESS_NONE);
	int64_t layer = LAYER(f, {.type = 'f', .path = "a", .text = "alpha"});
	_cleanup_free_ char *file = xasprintf("%s/layers/%lld/fs/a", f->root, (long long)layer);
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	struct layer_body body;

	make(f, layer, &o, &body);
	assert_int_equal(fs_write_file_atomic(AT_FDCWD, file, "aleph", 5, 0644), 0);
	assert_int_equal(layer_blob_send(&(struct layer_chain){f->s, &layer, 1, 0}, &o, &body, NULL,
					 to_buf, &bytes, &err),
			 -ERR_CORRUPT);
	assert_non_null(strstr(error_text(err), "expected sha256:"));
	layer_body_release(&body);
}

static void a_received_layer_keeps_its_blob_under_the_wanted_type(void **state)
{
	struct fixture *f = *state;
	struct layer_blob_options o = options(COMPRESS_ZSTD);
	_cleanup_buf_ struct buf plain = BUF_INIT, packed = BUF_INIT;
	struct layer_body body;
	struct digest digest;
	int64_t layer;

	buf_adds(&plain, "not even a tar");
	gzip(&plain, &packed);
	digest = digest_of(packed.p, packed.n);
	layer = receive(f, &packed, &plain, true);
	make(f, layer, &o, &body);
	assert_true(digest_equal(&body.blob.digest, &digest));
	assert_string_equal(body.blob.media_type, OCI_LAYER_TYPE "+gzip");
	assert_true(body.stored);
	layer_body_release(&body);
}

static void force_converts_a_received_layer(void **state)
{
	struct fixture *f = *state;
	struct layer_blob_options o = options(COMPRESS_ZSTD);
	_cleanup_buf_ struct buf plain = BUF_INIT, packed = BUF_INIT;
	struct layer_body body;
	struct digest diff_id;
	int64_t layer;

	buf_adds(&plain, "not even a tar");
	gzip(&plain, &packed);
	diff_id = digest_of(plain.p, plain.n);
	layer = receive(f, &packed, &plain, true);
	o.force = true;
	o.docker_types = true;
	make(f, layer, &o, &body);
	assert_true(digest_equal(&body.diff_id, &diff_id));
	assert_string_equal(body.blob.media_type, DOCKER_LAYER_TYPE ".zstd");
	assert_true(blob_exists(f->s, &body.blob.digest, NULL));
	layer_body_release(&body);
}

struct source {
	struct fixture *f;
	const struct buf *bytes;
	size_t n_asked;
};

static int bring(void *data, const int64_t *layers, size_t n, struct error **err)
{
	struct source *s = data;
	struct digest digest;

	(void)layers;
	s->n_asked += n;
	return blob_put(s->f->s, s->bytes->p, s->bytes->n, &digest, err);
}

static void missing_bytes_are_fetched_once_and_only_if_they_are_wanted(void **state)
{
	struct fixture *f = *state;
	struct layer_blob_options o = options(COMPRESS_GZIP);
	_cleanup_buf_ struct buf plain = BUF_INIT, packed = BUF_INIT;
	struct source source = {.f = f, .bytes = &packed};
	_cleanup_(error_freep) struct error *err = NULL;
	struct layer_body body;
	int64_t layer;

	buf_adds(&plain, "not even a tar");
	gzip(&plain, &packed);
	layer = receive(f, &packed, &plain, false);
	assert_int_equal(
		layer_blob_make(&(struct layer_chain){f->s, &layer, 1, 0}, &o, NULL, &body, &err),
		-ERR_NOTFOUND);
	o.fetcher = (struct blob_fetcher){.require = bring, .data = &source};
	o.lazy = true;
	make(f, layer, &o, &body);
	assert_false(body.stored);
	assert_int_equal(source.n_asked, 0);
	layer_body_release(&body);
	o.lazy = false;
	for (int i = 0; i < 2; i++) {
		make(f, layer, &o, &body);
		assert_true(body.stored);
		layer_body_release(&body);
	}
	assert_int_equal(source.n_asked, 1);
}

static void media_types_convert_between_the_families(void **state)
{
	static const struct {
		const char *from, *oci, *docker;
	} cases[] = {
		{OCI_LAYER_TYPE, OCI_LAYER_TYPE, DOCKER_LAYER_TYPE},
		{OCI_LAYER_TYPE "+gzip", OCI_LAYER_TYPE "+gzip", DOCKER_LAYER_TYPE ".gzip"},
		{DOCKER_LAYER_TYPE ".zstd", OCI_LAYER_TYPE "+zstd", DOCKER_LAYER_TYPE ".zstd"},
		{"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
		 OCI_LAYER_TYPE "+gzip", DOCKER_LAYER_TYPE ".gzip"},
		{"application/x-other", "application/x-other", "application/x-other"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *oci = layer_type_convert(cases[i].from, false);
		_cleanup_free_ char *docker = layer_type_convert(cases[i].from, true);

		assert_string_equal(oci, cases[i].oci);
		assert_string_equal(docker, cases[i].docker);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_layer_made_here_is_described_without_a_copy_of_its_bytes),
		TEST(compressed_forms_are_stored_and_remembered),
		TEST(a_layer_that_changed_under_us_is_not_sent_as_the_old_one),
		TEST(a_received_layer_keeps_its_blob_under_the_wanted_type),
		TEST(force_converts_a_received_layer),
		TEST(missing_bytes_are_fetched_once_and_only_if_they_are_wanted),
		TEST(media_types_convert_between_the_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
