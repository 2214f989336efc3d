/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "cache_dir_fixture.h"
#include "engine/oci/oci.h"
#include "layer_fixture.h"
#include "store/blob.h"

static struct remote_backend *open_cache(struct fixture *f, enum remote_use use, const char *more)
{
	return open_cache_dir(f->root, f->s, use, more);
}

static struct digest put(struct fixture *f, struct remote_backend *b, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/upload", f->root);
	struct remote_upload u = {.digest = digest_of(text, strlen(text)), .size = strlen(text)};

	assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, text, u.size, 0600), 0);
	u.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(b->ops->put_blob(b, &u, NULL), 0);
	(void)close(u.fd);
	return u.digest;
}

static bool has(struct remote_backend *b, const struct digest *d)
{
	bool ret = false;

	assert_int_equal(b->ops->has_blob(b, d, &ret, NULL), 0);
	return ret;
}

/* A manifest of one blob. */
static void name_blob(struct remote_backend *b, const struct digest *d, size_t size)
{
	char text[DIGEST_TEXT];
	_cleanup_free_ char *manifest =
		xasprintf("{\"config\":{\"digest\":\"%s\",\"size\":%zu},\"layers\":[]}",
			  digest_format(d, text), size);

	assert_int_equal(
		b->ops->write_manifest(b, OCI_MANIFEST_TYPE, manifest, strlen(manifest), NULL), 0);
}

static void what_was_written_is_read(void **state)
{
	struct remote_backend *to = open_cache(*state, REMOTE_EXPORT, "");
	struct remote_backend *from = open_cache(*state, REMOTE_IMPORT, "");
	struct remote_backend *other = open_cache(*state, REMOTE_IMPORT, ",tag=other");
	_cleanup_buf_ struct buf manifest = BUF_INIT, blob = BUF_INIT;
	struct digest absent = digest_of("x", 1), d;

	assert_int_equal(from->ops->read_manifest(from, NULL, 1000, &manifest, NULL),
			 -ERR_NOTFOUND);
	d = put(*state, to, "bytes");
	assert_true(has(to, &d));
	assert_false(has(to, &absent));
	name_blob(to, &d, 5);
	assert_int_equal(from->ops->read_manifest(from, NULL, 1000, &manifest, NULL), 0);
	assert_non_null(strstr(manifest.p, "config"));
	assert_int_equal(from->ops->read_manifest(from, NULL, 10, &manifest, NULL), -ERR_INVALID);
	assert_int_equal(other->ops->read_manifest(other, NULL, 1000, &manifest, NULL),
			 -ERR_NOTFOUND);
	assert_int_equal(from->ops->read_blob(from, &d, 5, &blob, NULL), 0);
	assert_string_equal(blob.p, "bytes");
	assert_int_equal(from->ops->read_blob(from, &absent, 5, &blob, NULL), -ERR_NOTFOUND);
	remote_backend_close(to);
	remote_backend_close(from);
	remote_backend_close(other);
}

static void blobs_enter_the_store_verified(void **state)
{
	struct fixture *f = *state;
	struct remote_backend *to = open_cache(f, REMOTE_EXPORT, "");
	struct digest d = put(f, to, "good bytes");
	struct layer_blob blob = {.digest = d, .size = 10};
	char hex[DIGEST_HEX + 1];
	_cleanup_free_ char *path =
		xasprintf("%s/cache/blobs/sha256/%s", f->root, digest_hex(&d, hex));

	assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, "evil bytes", 10, 0644), 0);
	assert_int_equal(to->ops->fetch_blob(to, &blob, NULL, NULL), -ERR_CORRUPT);
	assert_false(blob_exists(f->s, &d, NULL));
	assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, "good bytes", 10, 0644), 0);
	assert_int_equal(to->ops->fetch_blob(to, &blob, NULL, NULL), 0);
	assert_true(blob_exists(f->s, &d, NULL));
	assert_int_equal(fs_remove_tree(AT_FDCWD, path), 0);
	blob.digest = digest_of("gone", 4);
	assert_int_equal(to->ops->fetch_blob(to, &blob, NULL, NULL), -ERR_NOTFOUND);
	remote_backend_close(to);
}

static void tags_share_blobs_until_one_resets(void **state)
{
	struct remote_backend *a = open_cache(*state, REMOTE_EXPORT, ",tag=a");
	struct remote_backend *b = open_cache(*state, REMOTE_EXPORT, ",tag=b");
	struct remote_backend *reset = open_cache(*state, REMOTE_EXPORT, ",tag=b,reset=true");
	struct digest one = put(*state, a, "one"), two = put(*state, a, "two");
	_cleanup_buf_ struct buf manifest = BUF_INIT;

	name_blob(a, &one, 3);
	name_blob(b, &two, 3);
	assert_int_equal(a->ops->read_manifest(a, NULL, 1000, &manifest, NULL), 0);
	/* Somebody is exporting: nothing is swept. */
	name_blob(reset, &two, 3);
	assert_true(has(b, &one));
	assert_int_equal(a->ops->read_manifest(a, NULL, 1000, &manifest, NULL), -ERR_NOTFOUND);
	remote_backend_close(a);
	remote_backend_close(b);
	name_blob(reset, &two, 3);
	assert_false(has(reset, &one));
	assert_true(has(reset, &two));
	assert_int_equal(reset->ops->remove_manifest(reset, NULL), 0);
	assert_false(has(reset, &two));
	remote_backend_close(reset);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_written_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(blobs_enter_the_store_verified, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tags_share_blobs_until_one_resets, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
