/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "engine/image/import.h"
#include "engine/stream/tar_write.h"
#include "store/blob.h"
#include "store/image.h"
#include "tests/unit/engine/layer_fixture.h"

static int to_buf(void *data, const void *p, size_t n, struct error **err)
{
	(void)err;
	buf_add(data, p, n);
	return 0;
}

static void make_rootfs(struct buf *tar)
{
	struct tar_header dir = {.type = TAR_DIR, .name = "bin/", .mode = 0755, .mtime = 1000};
	struct tar_header file = {
		.type = TAR_FILE, .name = "bin/sh", .mode = 0755, .mtime = 1000, .size = 5};
	struct tar_writer w;

	tar_writer_init(&w, to_buf, tar);
	assert_int_equal(tar_write_header(&w, &dir, NULL), 0);
	assert_int_equal(tar_write_header(&w, &file, NULL), 0);
	assert_int_equal(tar_write_data(&w, "shell", 5, NULL), 0);
	assert_int_equal(tar_write_end(&w, NULL), 0);
}

static int import(struct fixture *f, const struct buf *bytes, struct export_result *ret,
		  struct error **err)
{
	struct platform platform = {.os = "linux", .arch = "amd64"};
	int fd = memfd_create("rootfs", MFD_CLOEXEC), r;
	struct image_config config;
	struct import_options o = {.config = &config, .name = "base:1"};

	assert_int_equal(fs_write_full(fd, bytes->p, bytes->n), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	image_config_init(&config, &platform);
	strv_push(&config.env, "A=b");
	image_config_add_history(&config, NULL, "ENV A=b", NULL, true);
	r = import_rootfs(f->s, fd, "rootfs.tar", &o, NULL, NULL, ret, err);
	image_config_release(&config);
	close(fd);
	return r;
}

static void a_root_file_system_becomes_an_image_of_one_layer(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_buf_ struct buf tar = BUF_INIT, json = BUF_INIT;
	struct export_result result;
	struct image_config config;
	struct image image;
	struct digest diff_id;
	bool found;

	make_rootfs(&tar);
	if (import(f, &tar, &result, &err) < 0)
		fail_msg("%s", error_text(err));
	assert_int_equal(
		image_by_name(f->s, "docker.io/library/base:1", &found, &image, NULL, NULL), 0);
	assert_true(found);
	assert_int_equal(image.n_layers, 1);
	assert_int_equal(image.size, 5);
	assert_int_equal(blob_read(f->s, &result.config, 65536, &json, NULL), 0);
	assert_int_equal(image_config_parse(json.p, json.n, &config, NULL), 0);
	assert_string_equal(config.env.v[0], "A=b");
	assert_int_equal(config.history.n, 2);
	assert_string_equal(config.history.v[0].comment, "Imported from rootfs.tar");
	assert_false(config.history.v[0].empty_layer);
	assert_non_null(config.history.v[0].created);
	assert_string_equal(config.history.v[1].created_by, "ENV A=b");
	/* The tar was written as the exporters write it. */
	diff_id = digest_of(tar.p, tar.n);
	assert_true(digest_equal(&config.diff_ids.v[0], &diff_id));
	image_config_release(&config);
	image_release(&image);
	export_result_release(&result);
}

static void what_is_no_root_file_system_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} cases[] = {{"", 0}, {"junk", 4}, {"\x1f\x8b\x08\x00garbage", 11}};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(error_freep) struct error *err = NULL;
		_cleanup_buf_ struct buf bytes = BUF_INIT;
		struct export_result result;

		buf_add(&bytes, cases[i].bytes, cases[i].n);
		assert_true(import(f, &bytes, &result, &err) < 0);
		assert_non_null(strstr(error_text(err), "import 'rootfs.tar'"));
	}
}

static void a_tar_without_files_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct export_result result;
	struct tar_writer w;

	tar_writer_init(&w, to_buf, &tar);
	assert_int_equal(tar_write_end(&w, NULL), 0);
	assert_int_equal(import(f, &tar, &result, &err), -ERR_INVALID);
	assert_non_null(strstr(error_text(err), "has no files"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_root_file_system_becomes_an_image_of_one_layer),
		TEST(what_is_no_root_file_system_is_refused),
		TEST(a_tar_without_files_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
