/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "engine/image/load.h"
#include "engine/oci/oci.h"
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

/* An archive being written. */
struct made {
	struct buf tar;
	struct tar_writer w;
};

static void start(struct made *m)
{
	m->tar = (struct buf)BUF_INIT;
	tar_writer_init(&m->w, to_buf, &m->tar);
}

static void add(struct made *m, enum tar_type type, const char *name, const char *link,
		const void *p, size_t n)
{
	struct tar_header h = {.type = type, .name = name, .link = link, .mode = 0644, .size = n};

	assert_int_equal(tar_write_header(&m->w, &h, NULL), 0);
	if (n > 0)
		assert_int_equal(tar_write_data(&m->w, p, n, NULL), 0);
}

static void add_text(struct made *m, const char *name, const char *text)
{
	add(m, TAR_FILE, name, NULL, text, strlen(text));
}

/* The tar of a layer of one file. */
static void make_layer_tar(const char *text, struct buf *ret)
{
	struct made m;

	start(&m);
	add_text(&m, "file", text);
	assert_int_equal(tar_write_end(&m.w, NULL), 0);
	*ret = m.tar;
}

static char *config_for(const struct digest *diff_id)
{
	char text[DIGEST_TEXT];

	return xasprintf("{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},"
			 "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
			 digest_format(diff_id, text));
}

static int load(struct fixture *f, struct made *m, struct load_result *ret, struct error **err)
{
	struct platform platform = {.os = "linux", .arch = "amd64"};
	int fd = memfd_create("archive", MFD_CLOEXEC), r;

	assert_int_equal(tar_write_end(&m->w, NULL), 0);
	assert_int_equal(fs_write_full(fd, m->tar.p, m->tar.n), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	r = load_images(f->s, fd, "x.tar", &platform, NULL, ret, err);
	close(fd);
	buf_release(&m->tar);
	return r;
}

static void assert_refused(struct fixture *f, struct made *m, const char *reason)
{
	_cleanup_(error_freep) struct error *err = NULL;
	struct load_result result;

	assert_true(load(f, m, &result, &err) < 0);
	if (!strstr(error_text(err), reason))
		fail_msg("%s", error_text(err));
}

/* An archive as docker wrote them before OCI: a config, layer.tar in a folder, a link to it. */
static void docker_archives_of_the_older_form_are_loaded(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_buf_ struct buf layer = BUF_INIT;
	_cleanup_free_ char *config = NULL;
	struct load_result result = {0};
	struct image image;
	struct digest diff_id, id;
	struct made m;
	bool found;

	make_layer_tar("x", &layer);
	diff_id = digest_of(layer.p, layer.n);
	config = config_for(&diff_id);
	id = digest_of(config, strlen(config));
	start(&m);
	add_text(&m, "manifest.json",
		 "[{\"Config\":\"c.json\",\"RepoTags\":[\"app:v1\",\"other:v2\"],"
		 "\"Layers\":[\"b/layer.tar\"]}]");
	add_text(&m, "c.json", config);
	add(&m, TAR_FILE, "a/layer.tar", NULL, layer.p, layer.n);
	add(&m, TAR_SYMLINK, "b/layer.tar", "../a/layer.tar", NULL, 0);
	if (load(f, &m, &result, &err) < 0)
		fail_msg("%s", error_text(err));
	assert_int_equal(result.images.n, 2);
	assert_string_equal(result.images.v[0].name, "app:v1");
	assert_true(digest_equal(&result.images.v[0].id, &id));
	load_result_release(&result);
	assert_int_equal(
		image_by_name(f->s, "docker.io/library/other:v2", &found, &image, NULL, NULL), 0);
	assert_true(found);
	assert_int_equal(image.n_layers, 1);
	assert_true(blob_exists(f->s, &image.manifest, NULL));
	image_release(&image);
}

/* An OCI layout of one image; *m is ready for more files. */
static void start_layout(struct made *m, const struct buf *layer, const struct digest *diff_id,
			 uint64_t layer_size)
{
	_cleanup_free_ char *config = config_for(diff_id), *manifest = NULL, *index = NULL;
	struct digest layer_digest = digest_of(layer->p, layer->n), config_digest, manifest_digest;
	char text[DIGEST_TEXT], text2[DIGEST_TEXT], hex[DIGEST_HEX + 1];
	const char *parts[3];
	size_t sizes[3];
	struct digest digests[3];

	config_digest = digest_of(config, strlen(config));
	manifest = xasprintf(
		"{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST_TYPE "\",\"config\":{"
		"\"mediaType\":\"" OCI_CONFIG_TYPE "\",\"digest\":\"%s\",\"size\":%zu},"
		"\"layers\":[{\"mediaType\":\"" OCI_LAYER_TYPE "\",\"digest\":\"%s\","
		"\"size\":%llu}]}",
		digest_format(&config_digest, text), strlen(config),
		digest_format(&layer_digest, text2), (unsigned long long)layer_size);
	manifest_digest = digest_of(manifest, strlen(manifest));
	index = xasprintf("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST_TYPE
			  "\",\"digest\":\"%s\",\"size\":%zu,\"annotations\":{"
			  "\"io.containerd.image.name\":\"docker.io/library/app:latest\"}}]}",
			  digest_format(&manifest_digest, text), strlen(manifest));
	parts[0] = config, parts[1] = manifest, parts[2] = layer->p;
	sizes[0] = strlen(config), sizes[1] = strlen(manifest), sizes[2] = layer->n;
	digests[0] = config_digest, digests[1] = manifest_digest, digests[2] = layer_digest;
	start(m);
	add_text(m, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	add_text(m, "index.json", index);
	for (size_t i = 0; i < 3; i++) {
		_cleanup_free_ char *name =
			xasprintf("blobs/sha256/%s", digest_hex(&digests[i], hex));

		add(m, TAR_FILE, name, NULL, parts[i], sizes[i]);
	}
}

static void oci_layouts_are_loaded_under_the_name_they_carry(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_buf_ struct buf layer = BUF_INIT;
	struct load_result result = {0};
	struct digest diff_id;
	struct made m;

	make_layer_tar("x", &layer);
	diff_id = digest_of(layer.p, layer.n);
	start_layout(&m, &layer, &diff_id, layer.n);
	if (load(f, &m, &result, &err) < 0)
		fail_msg("%s", error_text(err));
	assert_int_equal(result.images.n, 1);
	assert_string_equal(result.images.v[0].name, "app:latest");
	load_result_release(&result);
}

static void a_layer_that_is_not_its_diff_id_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf layer = BUF_INIT;
	struct digest wrong = digest_of("wrong", 5);
	struct made m;

	make_layer_tar("x", &layer);
	start_layout(&m, &layer, &wrong, layer.n);
	assert_refused(f, &m, "not to its diff id");
}

static void a_layer_of_another_size_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf layer = BUF_INIT;
	struct digest diff_id;
	struct made m;

	make_layer_tar("x", &layer);
	diff_id = digest_of(layer.p, layer.n);
	start_layout(&m, &layer, &diff_id, layer.n + 1);
	assert_refused(f, &m, "not as large as its descriptor says");
}

static void a_blob_that_is_not_its_name_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *name = NULL;
	struct digest other = digest_of("other", 5);
	char hex[DIGEST_HEX + 1];
	struct made m;

	name = xasprintf("blobs/sha256/%s", digest_hex(&other, hex));
	start(&m);
	add_text(&m, name, "not other");
	assert_refused(f, &m, "expected sha256:");
}

static void names_that_lead_out_are_refused(void **state)
{
	static const char *const names[] = {"../evil", "/etc/passwd", "a/../../b", ".."};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct made m;

		start(&m);
		add_text(&m, names[i], "x");
		assert_refused(f, &m, "unsafe name");
	}
}

static void links_that_lead_out_are_refused(void **state)
{
	struct fixture *f = *state;
	struct made m;

	start(&m);
	add(&m, TAR_SYMLINK, "manifest.json", "/etc/passwd", NULL, 0);
	assert_refused(f, &m, "leads out of the archive");
	start(&m);
	add(&m, TAR_SYMLINK, "a/manifest.json", "../../x", NULL, 0);
	assert_refused(f, &m, "unsafe name");
	start(&m);
	add(&m, TAR_HARDLINK, "manifest.json", "../x", NULL, 0);
	assert_refused(f, &m, "unsafe name");
}

static void links_in_a_circle_are_no_file(void **state)
{
	struct fixture *f = *state;
	struct made m;

	start(&m);
	add(&m, TAR_SYMLINK, "manifest.json", "index.json", NULL, 0);
	add(&m, TAR_SYMLINK, "index.json", "manifest.json", NULL, 0);
	assert_refused(f, &m, "neither index.json nor manifest.json");
}

static void devices_are_refused(void **state)
{
	struct fixture *f = *state;
	struct made m;

	start(&m);
	add(&m, TAR_CHAR, "manifest.json", NULL, NULL, 0);
	assert_refused(f, &m, "neither a file nor a directory");
}

static void documents_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		const char *manifest, *reason;
	} cases[] = {
		{"{}", "not an array"},
		{"[1]", "entry 0"},
		{"[", "manifest.json"},
		{"[]", "names no image"},
		{"[{}]", "lacks the config"},
		{"[{\"Config\":\"c.json\",\"Layers\":[\"no\"]}]", "lacks layer 'no'"},
		{"[{\"Config\":\"c.json\",\"Layers\":[\"c.json\"]}]", "0 diff ids for 1 layers"},
		{"[{\"Config\":\"c.json\",\"RepoTags\":[\"BAD NAME\"],\"Layers\":[]}]", "BAD NAME"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct made m;

		start(&m);
		add_text(&m, "manifest.json", cases[i].manifest);
		add_text(&m, "c.json",
			 "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{"
			 "\"type\":\"layers\",\"diff_ids\":[]}}");
		assert_refused(f, &m, cases[i].reason);
	}
}

static void a_stream_that_is_no_archive_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	struct platform platform = {.os = "linux", .arch = "amd64"};
	struct load_result result;
	int fd = memfd_create("junk", MFD_CLOEXEC);

	assert_int_equal(fs_write_full(fd, "this is no tar", 14), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(load_images(f->s, fd, "junk", &platform, NULL, &result, &err),
			 -ERR_INVALID);
	assert_non_null(strstr(error_text(err), "load 'junk'"));
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(docker_archives_of_the_older_form_are_loaded),
		TEST(oci_layouts_are_loaded_under_the_name_they_carry),
		TEST(a_layer_that_is_not_its_diff_id_is_refused),
		TEST(a_layer_of_another_size_is_refused),
		TEST(a_blob_that_is_not_its_name_is_refused),
		TEST(names_that_lead_out_are_refused),
		TEST(links_that_lead_out_are_refused),
		TEST(links_in_a_circle_are_no_file),
		TEST(devices_are_refused),
		TEST(documents_that_make_no_sense_are_refused),
		TEST(a_stream_that_is_no_archive_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
