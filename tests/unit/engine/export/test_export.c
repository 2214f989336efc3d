/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>

#include "engine/export/export.h"
#include "engine/image/load.h"
#include "engine/image/save.h"
#include "engine/oci/oci.h"
#include "store/blob.h"
#include "store/image.h"
#include "tests/unit/engine/layer_fixture.h"

#define LAYER_TIME INT64_C(1700000000123456789)

/* A built image: a base layer with its history, and two layers of this build. */
struct built {
	struct image_config config;
	int64_t layers[2];
	int64_t times[2];
	struct export_image image;
};

static void build(struct fixture *f, struct built *b)
{
	struct platform platform = {.os = "linux", .arch = "amd64"};

	image_config_init(&b->config, &platform);
	strv_push(&b->config.env, "PATH=/bin");
	image_config_add_history(&b->config, NULL, "COPY a / # buildkit", "buildkit.dockerfile.v0",
				 false);
	image_config_add_history(&b->config, NULL, "ENV A=b", "buildkit.dockerfile.v0", true);
	image_config_add_history(&b->config, NULL, "RUN x # buildkit", "buildkit.dockerfile.v0",
				 false);
	b->layers[0] = LAYER(f, {.type = 'd', .path = "etc", .mtime = 1600000000},
			     {.type = 'f', .path = "etc/a", .text = "alpha", .mtime = 1600000000},
			     {.type = 'l', .path = "etc/link", .text = "a"},
			     {.type = 'h', .path = "hard", .text = "etc/a"});
	b->layers[1] = LAYER(f, {.type = 'd', .path = "etc", .mtime = 1650000000},
			     {.type = 'w', .path = "etc/link"},
			     {.type = 'f', .path = "etc/b", .text = "beta", .mode = 04755});
	b->times[0] = b->times[1] = LAYER_TIME;
	b->image = (struct export_image){.config = &b->config,
					 .layers = b->layers,
					 .n_layers = 2,
					 .layer_times = b->times,
					 .platform = platform};
}

static void run(struct fixture *f, const struct built *b, const char *output, const char *name,
		struct export_result *ret)
{
	struct export_options o;
	_cleanup_(error_freep) struct error *err = NULL;

	export_options_init(&o);
	if (export_options_parse(&o, output, &err) < 0)
		fail_msg("%s", error_text(err));
	if (name)
		strv_push(&o.names, name);
	if (export_run(f->s, &b->image, 1, &o, NULL, NULL, ret, &err) < 0)
		fail_msg("%s", error_text(err));
	export_options_release(&o);
}

/* Exports to a file of the fixture's and reads it back. */
static void run_to_file(struct fixture *f, const struct built *b, const char *attributes,
			const char *name, struct buf *ret)
{
	_cleanup_free_ char *path = xasprintf("%s/out", f->root);
	_cleanup_free_ char *output = xasprintf("%s,dest=%s", attributes, path);
	struct export_result result;

	run(f, b, output, name, &result);
	assert_int_equal(fs_read_file(AT_FDCWD, path, ret), 0);
	assert_int_equal(unlink(path), 0);
	export_result_release(&result);
}

/* Finds a file in a tar; NULL if it is not there. */
static const char *find_in_tar(const struct buf *tar, const char *name, size_t *ret_size)
{
	for (size_t at = 0; at + 512 <= tar->n && tar->p[at] != '\0';) {
		size_t size = strtoull(tar->p + at + 124, NULL, 8);

		if (strncmp(tar->p + at, name, 100) == 0) {
			*ret_size = size;
			return tar->p + at + 512;
		}
		at += 512 + (size + 511) / 512 * 512;
	}
	return NULL;
}

static json_t *json_in_tar(const struct buf *tar, const char *name)
{
	json_t *doc;
	size_t n;
	const char *p = find_in_tar(tar, name, &n);

	assert_non_null(p);
	assert_int_equal(js_parse(name, p, n, &doc, NULL), 0);
	return doc;
}

static void an_oci_archive_is_the_same_every_time(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf one = BUF_INIT, two = BUF_INIT;
	struct built b;

	build(f, &b);
	run_to_file(f, &b, "type=oci", "app", &one);
	run_to_file(f, &b, "type=oci", "app", &two);
	assert_int_equal(one.n, two.n);
	assert_memory_equal(one.p, two.p, one.n);
	image_config_release(&b.config);
}

static void an_oci_archive_has_an_index_entry_for_each_name(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_json_ json_t *doc = NULL;
	const json_t *entry, *annotations;
	struct built b;
	size_t n;

	build(f, &b);
	run_to_file(f, &b, "type=oci,\"name=app:v1,example.com/x/y\"", NULL, &tar);
	doc = json_in_tar(&tar, "index.json");
	assert_int_equal(json_array_size(json_object_get(doc, "manifests")), 2);
	entry = json_array_get(json_object_get(doc, "manifests"), 0);
	annotations = json_object_get(entry, "annotations");
	assert_string_equal(
		json_string_value(json_object_get(annotations, "io.containerd.image.name")),
		"docker.io/library/app:v1");
	assert_string_equal(json_string_value(json_object_get(annotations,
							      "org.opencontainers.image.ref.name")),
			    "v1");
	assert_string_equal(json_string_value(json_object_get(json_object_get(entry, "platform"),
							      "architecture")),
			    "amd64");
	assert_null(find_in_tar(&tar, "manifest.json", &n));
	assert_non_null(find_in_tar(&tar, "oci-layout", &n));
	image_config_release(&b.config);
}

/* The blob that a descriptor names. */
static json_t *blob_in_tar(const struct buf *tar, const json_t *descriptor)
{
	_cleanup_free_ char *name = xasprintf(
		"blobs/sha256/%s", json_string_value(json_object_get(descriptor, "digest")) + 7);

	return json_in_tar(tar, name);
}

static void new_history_rows_get_the_time_of_their_layer(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_json_ json_t *index = NULL, *manifest = NULL, *config = NULL;
	const json_t *history;
	struct built b;

	build(f, &b);
	run_to_file(f, &b, "type=oci", NULL, &tar);
	index = json_in_tar(&tar, "index.json");
	manifest = blob_in_tar(&tar, json_array_get(json_object_get(index, "manifests"), 0));
	config = blob_in_tar(&tar, json_object_get(manifest, "config"));
	history = json_object_get(config, "history");
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(
			json_string_value(json_object_get(json_array_get(history, i), "created")),
			"2023-11-14T22:13:20.123456789Z");
	assert_string_equal(json_string_value(json_object_get(config, "created")),
			    "2023-11-14T22:13:20.123456789Z");
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(config, "rootfs"), "diff_ids")), 2);
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(json_object_get(manifest, "layers"), 0), "mediaType")),
		OCI_LAYER_TYPE "+gzip");
	image_config_release(&b.config);
}

static void an_epoch_clamps_config_and_on_demand_layers(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf plain = BUF_INIT, clamped = BUF_INIT;
	_cleanup_json_ json_t *index = NULL, *manifest = NULL, *config = NULL;
	struct built b;

	build(f, &b);
	run_to_file(f, &b, "type=oci,source-date-epoch=1000", NULL, &plain);
	run_to_file(f, &b, "type=oci,source-date-epoch=1000,rewrite-timestamp=true", NULL,
		    &clamped);
	index = json_in_tar(&clamped, "index.json");
	manifest = blob_in_tar(&clamped, json_array_get(json_object_get(index, "manifests"), 0));
	config = blob_in_tar(&clamped, json_object_get(manifest, "config"));
	assert_string_equal(json_string_value(json_object_get(config, "created")),
			    "1970-01-01T00:16:40Z");
	assert_true(plain.n != clamped.n || memcmp(plain.p, clamped.p, plain.n) != 0);
	image_config_release(&b.config);
}

static void docker_media_types_are_used_throughout_when_asked_for(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_json_ json_t *index = NULL, *manifest = NULL;
	const json_t *entry;
	struct built b;

	build(f, &b);
	run_to_file(f, &b, "type=docker,oci-mediatypes=false", "app", &tar);
	index = json_in_tar(&tar, "index.json");
	entry = json_array_get(json_object_get(index, "manifests"), 0);
	assert_string_equal(json_string_value(json_object_get(entry, "mediaType")),
			    DOCKER_MANIFEST_TYPE);
	manifest = blob_in_tar(&tar, entry);
	assert_string_equal(json_string_value(json_object_get(json_object_get(manifest, "config"),
							      "mediaType")),
			    DOCKER_CONFIG_TYPE);
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(json_object_get(manifest, "layers"), 1), "mediaType")),
		DOCKER_LAYER_TYPE ".gzip");
	image_config_release(&b.config);
}

static void a_docker_archive_names_config_layers_and_tags(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf tar = BUF_INIT;
	_cleanup_json_ json_t *doc = NULL;
	const json_t *entry;
	struct built b;
	size_t n;

	build(f, &b);
	run_to_file(f, &b, "type=docker,compression=uncompressed", "app", &tar);
	doc = json_in_tar(&tar, "manifest.json");
	entry = json_array_get(doc, 0);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(entry, "RepoTags"), 0)),
		"app:latest");
	assert_non_null(find_in_tar(&tar, json_string_value(json_object_get(entry, "Config")), &n));
	assert_non_null(find_in_tar(
		&tar, json_string_value(json_array_get(json_object_get(entry, "Layers"), 1)), &n));
	image_config_release(&b.config);
}

static void assert_file(const char *dir, const char *name, const char *text, mode_t mode)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(fs_read_file(AT_FDCWD, path, &b), 0);
	assert_string_equal(b.p, text);
}

static void local_writes_the_merged_files(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *dir = xasprintf("%s/files", f->root);
	_cleanup_free_ char *link = xasprintf("%s/etc/link", dir), *etc = xasprintf("%s/etc", dir);
	_cleanup_free_ char *hard = xasprintf("%s/hard", dir), *a = xasprintf("%s/etc/a", dir);
	struct export_result result;
	struct stat st, st2;
	struct built b;

	build(f, &b);
	run(f, &b, dir, NULL, &result);
	assert_false(result.has_image);
	export_result_release(&result);
	assert_file(dir, "etc/a", "alpha", 0644);
	assert_file(dir, "etc/b", "beta", 04755);
	assert_int_equal(access(link, F_OK), -1);
	assert_int_equal(stat(etc, &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1650000000);
	assert_int_equal(stat(hard, &st), 0);
	assert_int_equal(stat(a, &st2), 0);
	assert_int_equal(st.st_ino, st2.st_ino);
	image_config_release(&b.config);
}

static void local_replaces_what_is_in_the_way_and_keeps_the_rest(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *dir = xasprintf("%s/files", f->root);
	_cleanup_free_ char *mine = xasprintf("%s/mine", dir),
			    *in_way = xasprintf("%s/etc/b/c", dir);
	_cleanup_free_ char *delete = xasprintf("type=local,mode=delete,dest=%s", dir);
	struct export_result result;
	struct built b;

	build(f, &b);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, mine, 0755), 0);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, in_way, 0755), 0);
	run(f, &b, dir, NULL, &result);
	export_result_release(&result);
	assert_file(dir, "etc/b", "beta", 04755);
	assert_int_equal(access(mine, F_OK), 0);
	run(f, &b, delete, NULL, &result);
	export_result_release(&result);
	assert_file(dir, "etc/a", "alpha", 0644);
	assert_int_equal(access(mine, F_OK), -1);
	image_config_release(&b.config);
}

static void local_never_writes_through_a_symlink_in_the_destination(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *dir = xasprintf("%s/files", f->root);
	_cleanup_free_ char *outside = xasprintf("%s/outside", f->root);
	_cleanup_free_ char *etc = xasprintf("%s/etc", dir), *b_out = xasprintf("%s/b", outside);
	struct export_result result;
	struct built b;

	build(f, &b);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, dir, 0755), 0);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, outside, 0755), 0);
	assert_int_equal(symlink(outside, etc), 0);
	run(f, &b, dir, NULL, &result);
	export_result_release(&result);
	assert_file(dir, "etc/b", "beta", 04755);
	assert_int_equal(access(b_out, F_OK), -1);
	image_config_release(&b.config);
}

static void tar_holds_the_merged_files(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct built b;
	const char *p;
	size_t n;

	build(f, &b);
	run_to_file(f, &b, "type=tar", NULL, &tar);
	p = find_in_tar(&tar, "etc/a", &n);
	assert_non_null(p);
	assert_memory_equal(p, "alpha", 5);
	assert_non_null(find_in_tar(&tar, "etc/b", &n));
	assert_null(find_in_tar(&tar, "etc/link", &n));
	p = find_in_tar(&tar, "hard", &n);
	assert_string_equal(p - 512 + 157, "etc/a");
	image_config_release(&b.config);
}

static void the_store_knows_the_image_by_its_names(void **state)
{
	struct fixture *f = *state;
	struct export_result one, two;
	struct image image;
	struct built b;
	bool found;

	build(f, &b);
	run(f, &b, "type=image,\"name=app,app:v2\"", NULL, &one);
	run(f, &b, "type=image", "app", &two);
	assert_true(digest_equal(&one.config, &two.config));
	assert_true(digest_equal(&one.manifest, &two.manifest));
	assert_int_equal(
		image_by_name(f->s, "docker.io/library/app:v2", &found, &image, NULL, NULL), 0);
	assert_true(found);
	assert_true(digest_equal(&image.config, &one.config));
	assert_int_equal(image.n_layers, 2);
	assert_true(blob_exists(f->s, &image.manifest, NULL));
	assert_string_equal(json_string_value(json_object_get(one.descriptor, "mediaType")),
			    OCI_MANIFEST_TYPE);
	image_release(&image);
	export_result_release(&one);
	export_result_release(&two);
	image_config_release(&b.config);
}

static void save_and_load(struct fixture *f, const char *output)
{
	_cleanup_free_ char *path = xasprintf("%s/saved.tar", f->root);
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_strv_ struct strv names = {0};
	struct platform platform = {.os = "linux", .arch = "amd64"};
	struct export_result result;
	struct load_result loaded;
	struct fixture *other;
	struct built b;
	int fd;

	build(f, &b);
	run(f, &b, output, "app", &result);
	strv_push(&names, "app");
	if (save_images(f->s, &names, NULL, path, -1, NULL, NULL, &err) < 0)
		fail_msg("%s", error_text(err));
	set_up((void **)&other);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (load_images(other->s, fd, "saved.tar", &platform, NULL, &loaded, &err) < 0)
		fail_msg("%s", error_text(err));
	assert_int_equal(loaded.images.n, 1);
	assert_string_equal(loaded.images.v[0].name, "app:latest");
	assert_true(digest_equal(&loaded.images.v[0].id, &result.config));
	load_result_release(&loaded);
	close(fd);
	tear_down((void **)&other);
	export_result_release(&result);
	image_config_release(&b.config);
}

static void a_saved_image_can_be_loaded_elsewhere(void **state)
{
	save_and_load(*state, "type=image");
}

static void a_saved_image_keeps_its_clamped_times(void **state)
{
	save_and_load(*state, "type=image,source-date-epoch=1000,rewrite-timestamp=true");
}

static void saving_an_unknown_image_names_it(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_strv_ struct strv names = {0};

	strv_push(&names, "nosuch");
	assert_int_equal(save_images(f->s, &names, NULL, NULL, 1, NULL, NULL, &err), -ERR_NOTFOUND);
	assert_non_null(strstr(error_text(err), "nosuch"));
}

static void an_archive_that_cannot_be_written_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	struct export_options o;
	struct export_result result;
	struct built b;

	build(f, &b);
	export_options_init(&o);
	assert_int_equal(export_options_parse(&o, "type=oci,dest=/nonexistent/out.tar", NULL), 0);
	assert_int_equal(export_run(f->s, &b.image, 1, &o, NULL, NULL, &result, &err),
			 -ERR_NOTFOUND);
	assert_non_null(strstr(error_text(err), "/nonexistent/out.tar"));
	export_options_release(&o);
	image_config_release(&b.config);
}

static void docker_output_refuses_two_platforms(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	struct export_image images[2];
	struct export_options o;
	struct export_result result;
	struct built b;

	build(f, &b);
	images[0] = images[1] = b.image;
	export_options_init(&o);
	assert_int_equal(export_options_parse(&o, "type=docker,dest=/nonexistent/x", NULL), 0);
	assert_int_equal(export_run(f->s, images, 2, &o, NULL, NULL, &result, &err),
			 -ERR_UNSUPPORTED);
	export_options_release(&o);
	image_config_release(&b.config);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_oci_archive_is_the_same_every_time),
		TEST(an_oci_archive_has_an_index_entry_for_each_name),
		TEST(new_history_rows_get_the_time_of_their_layer),
		TEST(an_epoch_clamps_config_and_on_demand_layers),
		TEST(docker_media_types_are_used_throughout_when_asked_for),
		TEST(a_docker_archive_names_config_layers_and_tags),
		TEST(local_writes_the_merged_files),
		TEST(local_replaces_what_is_in_the_way_and_keeps_the_rest),
		TEST(local_never_writes_through_a_symlink_in_the_destination),
		TEST(tar_holds_the_merged_files),
		TEST(the_store_knows_the_image_by_its_names),
		TEST(a_saved_image_can_be_loaded_elsewhere),
		TEST(a_saved_image_keeps_its_clamped_times),
		TEST(saving_an_unknown_image_names_it),
		TEST(an_archive_that_cannot_be_written_leaves_nothing),
		TEST(docker_output_refuses_two_platforms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
