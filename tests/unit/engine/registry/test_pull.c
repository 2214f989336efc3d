/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fs.h"
#include "engine/oci/oci.h"
#include "engine/registry/pull.h"
#include "fake_server.h"
#include "store/blob.h"
#include "store/image.h"
#include "store/layer.h"
#include "tar_build.h"
#include "tests/unit/store/durable_check.h"

enum { LAYERS = 3 };

/* A registry with one image of three layers under an index, and its ways to misbehave. */
struct shop {
	struct buf layers[LAYERS], config, manifest, index;
	struct digest layer_digests[LAYERS], diff_ids[LAYERS];
	struct digest config_digest, manifest_digest, index_digest;
	int cut;      /* so many blob answers break off half way */
	bool corrupt; /* the second layer has a flipped bit */
	atomic_int layer_gets;
	atomic_int manifest_gets, manifest_heads;
};

struct fixture {
	char root[32];
	struct store *store;
	struct fake_server server;
	bool serving;
	struct shop shop;
	struct registry *reg;
	char *ref;
	struct platform platform;
	struct image_source image;
	struct error *err;
	/* What the progress stream said. */
	pthread_mutex_t lock;
	struct buf lines;
	struct progress progress;
	struct job *job;
};

static void add_gzip(struct buf *b, const struct buf *plain)
{
	z_stream z = {0};
	size_t room = plain->n + 1024;

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)plain->p;
	z.avail_in = (uInt)plain->n;
	z.next_out = (Bytef *)buf_reserve(b, room);
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	buf_commit(b, room - z.avail_out);
	deflateEnd(&z);
}

static void make_layer(struct shop *s, int n)
{
	_cleanup_buf_ struct buf tar = BUF_INIT, noise = BUF_INIT;
	_cleanup_free_ char *name = xasprintf("dir/file%d", n);
	uint32_t x = (uint32_t)n + 7;

	for (int i = 0; i < 300000; i++) {
		x = x * 1103515245 + 12345;
		buf_addc(&noise, (char)(x >> 16));
	}
	TAR_ADD(&tar, .name = "dir", .type = '5', .mode = 0755);
	TAR_ADD(&tar, .name = name, .type = '0', .data = noise.p, .size = noise.n);
	tar_end(&tar);
	s->diff_ids[n] = digest_of(tar.p, tar.n);
	add_gzip(&s->layers[n], &tar);
	s->layer_digests[n] = digest_of(s->layers[n].p, s->layers[n].n);
}

static void make_image(struct shop *s, const char *label)
{
	char d[DIGEST_TEXT];

	buf_clear(&s->config);
	buf_clear(&s->manifest);
	buf_clear(&s->index);
	buf_addf(
		&s->config,
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2024-01-01T00:00:00Z\","
		"\"author\":\"%s\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
		label);
	for (int i = 0; i < LAYERS; i++)
		buf_addf(&s->config, "%s\"%s\"", i ? "," : "", digest_format(&s->diff_ids[i], d));
	buf_adds(&s->config, "]}}");
	s->config_digest = digest_of(s->config.p, s->config.n);
	buf_addf(&s->manifest,
		 "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" OCI_CONFIG_TYPE
		 "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[",
		 digest_format(&s->config_digest, d), s->config.n);
	for (int i = 0; i < LAYERS; i++)
		buf_addf(&s->manifest,
			 "%s{\"mediaType\":\"" OCI_LAYER_TYPE
			 "+gzip\",\"digest\":\"%s\",\"size\":%zu}",
			 i ? "," : "", digest_format(&s->layer_digests[i], d), s->layers[i].n);
	buf_adds(&s->manifest, "]}");
	s->manifest_digest = digest_of(s->manifest.p, s->manifest.n);
	buf_addf(&s->index,
		 "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST_TYPE
		 "\",\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":\"linux\","
		 "\"architecture\":\"amd64\"}}]}",
		 digest_format(&s->manifest_digest, d), s->manifest.n);
	s->index_digest = digest_of(s->index.p, s->index.n);
}

static void send_layer(struct shop *s, int n, const struct fake_request *req, int fd)
{
	_cleanup_free_ char *range = fake_header(req, "range"), *headers = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t at = range ? strtoull(range + 6, NULL, 10) : 0;

	atomic_fetch_add(&s->layer_gets, 1);
	buf_add(&b, s->layers[n].p, s->layers[n].n);
	if (s->corrupt && n == 1)
		b.p[b.n / 2] ^= 1;
	headers = range ? xasprintf("Content-Range: bytes %zu-%zu/%zu\r\n", at, b.n - 1, b.n)
			: xstrdup("");
	if (s->cut > 0) {
		_cleanup_free_ char *head =
			xasprintf("HTTP/1.1 %d OK\r\nContent-Length: %zu\r\n%s\r\n",
				  range ? 206 : 200, b.n - at, headers);

		s->cut--;
		fake_send(fd, head, strlen(head));
		fake_send(fd, b.p + at, (b.n - at) / 2);
		return;
	}
	fake_answer(fd, range ? 206 : 200, headers, b.p + at, b.n - at);
}

static void send_document(const struct fake_request *req, int fd, const char *type,
			  const struct buf *b)
{
	struct digest digest = digest_of(b->p, b->n);
	char d[DIGEST_TEXT];
	_cleanup_free_ char *headers =
		xasprintf("Content-Type: %s\r\nDocker-Content-Digest: %s\r\n", type,
			  digest_format(&digest, d));

	fake_answer(fd, 200, headers, strcmp(req->method, "HEAD") == 0 ? NULL : b->p, b->n);
}

static bool names(const struct fake_request *req, const struct digest *digest)
{
	char d[DIGEST_TEXT];

	return strstr(req->target, digest_format(digest, d)) != NULL;
}

static void serve(struct fake_server *server, const struct fake_request *req, int fd)
{
	struct shop *s = server->data;

	if (strstr(req->target, "/manifests/"))
		atomic_fetch_add(strcmp(req->method, "HEAD") == 0 ? &s->manifest_heads
								  : &s->manifest_gets,
				 1);
	for (int i = 0; i < LAYERS; i++) {
		if (names(req, &s->layer_digests[i])) {
			send_layer(s, i, req, fd);
			return;
		}
	}
	if (names(req, &s->config_digest))
		fake_answer(fd, 200, "", s->config.p, s->config.n);
	else if (names(req, &s->manifest_digest))
		send_document(req, fd, OCI_MANIFEST_TYPE, &s->manifest);
	else if (strstr(req->target, "/manifests/1") || names(req, &s->index_digest))
		send_document(req, fd, OCI_INDEX_TYPE, &s->index);
	else
		fake_answer(fd, 404, "", NULL, 0);
}

static void on_event(void *data, const struct event *e)
{
	struct fixture *f = data;

	pthread_mutex_lock(&f->lock);
	if (e->kind == EVENT_STATUS && e->status.completed)
		buf_addf(&f->lines, "%s %llu\n", e->status.id,
			 (unsigned long long)e->status.current);
	if (e->kind == EVENT_WARNING)
		buf_addf(&f->lines, "warning %s\n", e->warning.short_text);
	pthread_mutex_unlock(&f->lock);
}

static int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	snprintf(f->root, sizeof(f->root), "/tmp/kiln-pull-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	if (store_open(f->root, &f->store, &f->err) < 0)
		fail_msg("%s", error_text(f->err));
	durable_check_start(f->root);
	f->shop.config = f->shop.manifest = f->shop.index = (struct buf)BUF_INIT;
	for (int i = 0; i < LAYERS; i++) {
		f->shop.layers[i] = (struct buf)BUF_INIT;
		make_layer(&f->shop, i);
	}
	make_image(&f->shop, "first");
	fake_start(&f->server, serve, &f->shop);
	f->serving = true;
	f->reg = registry_new(NULL);
	f->ref = xasprintf("%s/app:1", f->server.host);
	assert_int_equal(platform_parse("linux/amd64", &f->platform, NULL), 0);
	pthread_mutex_init(&f->lock, NULL);
	f->lines = (struct buf)BUF_INIT;
	f->image = (struct image_source){.config = BUF_INIT};
	f->progress = (struct progress){.emit = on_event, .data = f};
	f->job = job_open(&f->progress, NULL, "test");
	*state = f;
	return 0;
}

static void stop_serving(struct fixture *f)
{
	if (f->serving)
		fake_stop(&f->server);
	f->serving = false;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int r = durable_check_end();

	stop_serving(f);
	job_close(f->job, 0, NULL);
	registry_free(f->reg);
	store_close(f->store);
	image_source_release(&f->image);
	for (int i = 0; i < LAYERS; i++)
		buf_release(&f->shop.layers[i]);
	buf_release(&f->shop.config);
	buf_release(&f->shop.manifest);
	buf_release(&f->shop.index);
	buf_release(&f->lines);
	free(f->ref);
	error_free(f->err);
	(void)!fs_remove_tree(AT_FDCWD, f->root);
	free(f);
	return r;
}

static int resolve(struct fixture *f, enum pull_policy policy)
{
	image_source_release(&f->image);
	error_free(TAKE_PTR(f->err));
	return image_resolve(f->store, f->reg, f->ref, &f->platform, policy, f->job, &f->image,
			     &f->err);
}

static int pull(struct fixture *f)
{
	int r = resolve(f, PULL_DEFAULT);

	return r < 0 ? r : image_complete(f->store, f->reg, f->job, &f->image, &f->err);
}

static void expect_ok(struct fixture *f, int r)
{
	if (r < 0)
		fail_msg("%s", error_text(f->err));
}

static void expect_text(const struct fixture *f, const char *text)
{
	if (!strstr(error_text(f->err), text))
		fail_msg("'%s' does not say '%s'", error_text(f->err), text);
}

static unsigned count_tmp(const struct fixture *f)
{
	_cleanup_free_ char *path = xasprintf("%s/tmp", f->root);
	DIR *d = opendir(path);
	struct dirent *de;
	unsigned n = 0;

	assert_non_null(d);
	while ((de = readdir(d)))
		n += de->d_name[0] != '.';
	closedir(d);
	return n;
}

static void an_image_is_resolved_without_its_layers_and_then_completed(void **state)
{
	struct fixture *f = *state;
	struct layer_info info;
	struct image image;
	enum image_origin origin;
	char d[DIGEST_TEXT];
	bool found;

	expect_ok(f, resolve(f, PULL_DEFAULT));
	assert_int_equal(f->image.n_layers, LAYERS);
	assert_int_equal(f->shop.layer_gets, 0);
	assert_non_null(strstr(f->image.pinned, digest_format(&f->shop.index_digest, d)));
	assert_true(digest_equal(&f->image.manifest, &f->shop.manifest_digest));
	assert_string_equal(f->image.config.p, f->shop.config.p);
	expect_ok(f, image_complete(f->store, f->reg, f->job, &f->image, &f->err));
	for (int i = 0; i < LAYERS; i++) {
		assert_int_equal(layer_get(f->store, f->image.layers[i], &info, NULL), 0);
		assert_true(info.has_dir);
		assert_true(blob_exists(f->store, &f->shop.layer_digests[i], NULL));
		digest_format(&f->shop.layer_digests[i], d);
		assert_non_null(strstr(f->lines.p, d));
		layer_info_release(&info);
	}
	assert_non_null(strstr(f->lines.p, "extracting sha256:"));
	assert_int_equal(image_by_name(f->store, f->image.name, &found, &image, &origin, NULL), 0);
	assert_true(found);
	assert_int_equal(origin, IMAGE_PULLED);
	assert_true(digest_equal(&image.config, &f->shop.config_digest));
	assert_true(image.size >= 900000);
	image_release(&image);
	assert_int_equal(f->shop.layer_gets, LAYERS);
	assert_int_equal(count_tmp(f), 0);
}

static void a_second_build_asks_by_one_head(void **state)
{
	struct fixture *f = *state;

	expect_ok(f, pull(f));
	assert_int_equal(f->shop.manifest_heads, 0);
	atomic_store(&f->shop.manifest_gets, 0);
	expect_ok(f, pull(f));
	assert_int_equal(f->shop.manifest_heads, 1);
	assert_int_equal(f->shop.manifest_gets, 0);
	assert_int_equal(f->shop.layer_gets, LAYERS);
	assert_true(digest_equal(&f->image.digest, &f->shop.index_digest));
}

static void a_tag_that_moved_is_followed(void **state)
{
	struct fixture *f = *state;

	expect_ok(f, pull(f));
	make_image(&f->shop, "second");
	expect_ok(f, pull(f));
	assert_true(digest_equal(&f->image.manifest, &f->shop.manifest_digest));
	/* And once more, now that it is known. */
	expect_ok(f, pull(f));
	assert_true(digest_equal(&f->image.manifest, &f->shop.manifest_digest));
	assert_int_equal(f->shop.layer_gets, LAYERS);
}

static void an_unreachable_registry_leaves_the_local_image_with_a_warning(void **state)
{
	struct fixture *f = *state;
	char d[DIGEST_TEXT];

	expect_ok(f, pull(f));
	stop_serving(f);
	expect_ok(f, resolve(f, PULL_DEFAULT));
	assert_true(digest_equal(&f->image.digest, &f->shop.index_digest));
	assert_non_null(strstr(f->lines.p, "warning "));
	assert_non_null(strstr(f->lines.p, digest_format(&f->shop.index_digest, d)));
	assert_int_equal(resolve(f, PULL_ALWAYS), -ERR_UNAVAILABLE);
	expect_text(f, "Connection refused");
	expect_ok(f, resolve(f, PULL_LOCAL));
}

static void an_image_the_user_made_wins(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *name = NULL;
	struct digest manifest;

	expect_ok(f, pull(f));
	name = xstrdup(f->image.name);
	manifest = f->image.manifest;
	assert_int_equal(image_tag(f->store, &manifest, name, IMAGE_MADE, NULL), 0);
	make_image(&f->shop, "newer");
	expect_ok(f, resolve(f, PULL_DEFAULT));
	assert_true(f->image.made);
	assert_true(digest_equal(&f->image.manifest, &manifest));
	assert_int_equal(f->shop.manifest_heads, 0);
	expect_ok(f, resolve(f, PULL_ALWAYS));
	assert_false(f->image.made);
	assert_true(digest_equal(&f->image.manifest, &f->shop.manifest_digest));
}

static void a_digest_is_found_again_without_the_registry(void **state)
{
	struct fixture *f = *state;
	char d[DIGEST_TEXT];

	free(f->ref);
	f->ref = xasprintf("%s/app:ignored@%s", f->server.host,
			   digest_format(&f->shop.index_digest, d));
	expect_ok(f, pull(f));
	assert_null(f->image.name);
	assert_int_equal(f->shop.manifest_heads, 0);
	stop_serving(f);
	expect_ok(f, pull(f));
	assert_true(digest_equal(&f->image.digest, &f->shop.index_digest));
	assert_true(digest_equal(&f->image.manifest, &f->shop.manifest_digest));
}

static void layers_come_from_where_they_were_named_last(void **state)
{
	struct fixture *f = *state;

	expect_ok(f, resolve(f, PULL_DEFAULT));
	stop_serving(f);
	fake_start(&f->server, serve, &f->shop);
	f->serving = true;
	free(f->ref);
	f->ref = xasprintf("%s/app:1", f->server.host);
	expect_ok(f, pull(f));
}

static void broken_connections_are_resumed(void **state)
{
	struct fixture *f = *state;

	f->shop.cut = 4;
	expect_ok(f, pull(f));
	assert_int_equal(f->shop.layer_gets, LAYERS + 4);
}

static void a_layer_with_a_wrong_digest_is_refused_and_nothing_is_kept(void **state)
{
	struct fixture *f = *state;
	char expect[DIGEST_TEXT];
	struct layer_info info;

	f->shop.corrupt = true;
	assert_int_equal(pull(f), -ERR_CORRUPT);
	expect_text(f, f->server.host);
	expect_text(f, digest_format(&f->shop.layer_digests[1], expect));
	expect_text(f, "expected sha256:");
	assert_false(blob_exists(f->store, &f->shop.layer_digests[1], NULL));
	assert_int_equal(layer_get(f->store, f->image.layers[1], &info, NULL), 0);
	assert_false(info.has_dir);
	layer_info_release(&info);
	assert_int_equal(count_tmp(f), 0);
	/* It can be had once the registry is well. */
	f->shop.corrupt = false;
	expect_ok(f, pull(f));
}

static void a_layer_that_is_not_what_the_config_says_is_refused(void **state)
{
	struct fixture *f = *state;

	f->shop.diff_ids[2] = digest_of("x", 1);
	make_image(&f->shop, "liar");
	assert_int_equal(pull(f), -ERR_CORRUPT);
	expect_text(f, "diff ID");
	assert_int_equal(count_tmp(f), 0);
}

static void a_config_and_manifest_that_disagree_are_refused(void **state)
{
	struct fixture *f = *state;
	char *at;

	at = strstr(f->shop.config.p, "\"diff_ids\":[") + strlen("\"diff_ids\":[");
	/* Leaves one diff id out. */
	memmove(at, at + DIGEST_TEXT + 2, strlen(at + DIGEST_TEXT + 2) + 1);
	f->shop.config.n -= DIGEST_TEXT + 2;
	f->shop.config_digest = digest_of(f->shop.config.p, f->shop.config.n);
	{
		char d[DIGEST_TEXT];

		buf_clear(&f->shop.index);
		buf_addf(&f->shop.index,
			 "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" OCI_CONFIG_TYPE
			 "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[",
			 digest_format(&f->shop.config_digest, d), f->shop.config.n);
		buf_add(&f->shop.index, strstr(f->shop.manifest.p, "\"layers\":[") + 10,
			strlen(strstr(f->shop.manifest.p, "\"layers\":[") + 10));
		f->shop.index_digest = digest_of(f->shop.index.p, f->shop.index.n);
	}
	assert_int_equal(resolve(f, PULL_DEFAULT), -ERR_INVALID);
	expect_text(f, "lists 3 layers and its config 2");
}

static void a_platform_that_is_not_there_lists_those_that_are(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(platform_parse("linux/s390x", &f->platform, NULL), 0);
	assert_int_equal(resolve(f, PULL_DEFAULT), -ERR_NOTFOUND);
	expect_text(f, "linux/amd64");
	expect_text(f, "linux/s390x");
}

static void a_tag_that_is_not_there_is_named(void **state)
{
	struct fixture *f = *state;

	free(f->ref);
	f->ref = xasprintf("%s/app:nosuch", f->server.host);
	assert_int_equal(resolve(f, PULL_DEFAULT), -ERR_NOTFOUND);
	expect_text(f, "/app:nosuch: not found");
}

static void a_blob_that_is_here_is_unpacked_without_the_registry(void **state)
{
	struct fixture *f = *state;

	expect_ok(f, resolve(f, PULL_DEFAULT));
	expect_ok(f, blobs_require(f->store, f->reg, f->job, f->image.layers, LAYERS, &f->err));
	assert_int_equal(f->shop.layer_gets, LAYERS);
	stop_serving(f);
	expect_ok(f, layers_require(f->store, f->reg, f->job, f->image.layers, LAYERS, &f->err));
}

static void *require_layers(void *data)
{
	struct fixture *f = data;

	return (void *)(intptr_t)layers_require(f->store, f->reg, f->job, f->image.layers, LAYERS,
						NULL);
}

static void layers_that_two_ask_for_are_fetched_once(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[3];

	expect_ok(f, resolve(f, PULL_DEFAULT));
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, require_layers, f), 0);
	for (int i = 0; i < 3; i++) {
		void *r;

		pthread_join(threads[i], &r);
		assert_null(r);
	}
	assert_int_equal(f->shop.layer_gets, LAYERS);
}

static void a_cancelled_pull_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct cancel cancel;
	struct job *job;

	expect_ok(f, resolve(f, PULL_DEFAULT));
	cancel_init(&cancel);
	cancel_set(&cancel);
	job = job_open(&f->progress, &cancel, "cancelled");
	assert_int_equal(layers_require(f->store, f->reg, job, f->image.layers, LAYERS, &f->err),
			 -ERR_CANCELED);
	job_close(job, -ERR_CANCELED, &f->err);
	cancel_release(&cancel);
	assert_int_equal(count_tmp(f), 0);
}

#define pull_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		pull_test(an_image_is_resolved_without_its_layers_and_then_completed),
		pull_test(a_second_build_asks_by_one_head),
		pull_test(a_tag_that_moved_is_followed),
		pull_test(an_unreachable_registry_leaves_the_local_image_with_a_warning),
		pull_test(an_image_the_user_made_wins),
		pull_test(a_digest_is_found_again_without_the_registry),
		pull_test(layers_come_from_where_they_were_named_last),
		pull_test(broken_connections_are_resumed),
		pull_test(a_layer_with_a_wrong_digest_is_refused_and_nothing_is_kept),
		pull_test(a_layer_that_is_not_what_the_config_says_is_refused),
		pull_test(a_config_and_manifest_that_disagree_are_refused),
		pull_test(a_platform_that_is_not_there_lists_those_that_are),
		pull_test(a_tag_that_is_not_there_is_named),
		pull_test(a_blob_that_is_here_is_unpacked_without_the_registry),
		pull_test(layers_that_two_ask_for_are_fetched_once),
		pull_test(a_cancelled_pull_leaves_nothing),
	};

	setenv("DOCKER_CONFIG", "/nonexistent", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
