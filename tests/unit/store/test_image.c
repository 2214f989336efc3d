/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/fixture.h"

#include "store/blob.h"
#include "store/image.h"

static struct image make(struct fixture *f, const char *name, int64_t *layer, int64_t created)
{
	_cleanup_free_ char *manifest = xasprintf("manifest of %s", name);
	static char os[] = "linux", arch[] = "arm64";
	struct image i = {.created = created, .size = 5, .os = os, .arch = arch};
	struct error *err = NULL;

	*layer = fixture_layer(f->s, "f", name);
	assert_ok(blob_put(f->s, manifest, strlen(manifest), &i.manifest, &err), err);
	assert_ok(blob_put(f->s, name, strlen(name), &i.config, &err), err);
	i.layers = layer;
	i.n_layers = 1;
	return i;
}

static void an_image_is_found_by_name_manifest_and_id(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	enum image_origin origin = 0;
	struct image got = {0}, i;
	char hex[DIGEST_HEX + 1], text[DIGEST_TEXT];
	bool found, moved = true;
	int64_t layer;

	i = make(f, "one", &layer, 5);
	assert_ok(image_put(f->s, &i, "docker.io/library/a:1", IMAGE_MADE, &moved, &err), err);
	assert_false(moved);
	assert_ok(image_tag(f->s, &i.manifest, "docker.io/library/b:2", IMAGE_PULLED, &err), err);
	fixture_reopen(f);
	assert_ok(image_by_name(f->s, "docker.io/library/b:2", &found, &got, &origin, &err), err);
	assert_true(found);
	assert_int_equal(origin, IMAGE_PULLED);
	assert_int_equal(got.n_tags, 2);
	assert_string_equal(got.tags[0], "docker.io/library/a:1");
	assert_int_equal(got.origins[0], IMAGE_MADE);
	assert_int_equal(got.layers[0], layer);
	assert_string_equal(got.arch, "arm64");
	image_release(&got);
	assert_ok(image_by_manifest(f->s, &i.manifest, &found, &got, &err), err);
	assert_true(found);
	image_release(&got);
	digest_hex(&i.config, hex);
	hex[12] = '\0';
	assert_ok(image_by_id(f->s, hex, &found, &got, &err), err);
	assert_true(found);
	image_release(&got);
	assert_ok(image_by_id(f->s, digest_format(&i.config, text), &found, &got, &err), err);
	assert_true(found);
	image_release(&got);
	hex[3] = '\0';
	assert_ok(image_by_id(f->s, hex, &found, &got, &err), err);
	assert_false(found);
	assert_ok(image_by_name(f->s, "none", &found, &got, NULL, &err), err);
	assert_false(found);
}

static void a_tag_moves_and_the_old_image_stays(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	struct image one, two, *list = NULL;
	int64_t layers[2];
	bool moved;
	size_t n;

	one = make(f, "one", &layers[0], 1);
	two = make(f, "two", &layers[1], 2);
	assert_ok(image_put(f->s, &one, "x", IMAGE_MADE, NULL, &err), err);
	assert_ok(image_put(f->s, &two, "x", IMAGE_MADE, &moved, &err), err);
	assert_true(moved);
	assert_ok(image_put(f->s, &two, "x", IMAGE_MADE, &moved, &err), err);
	assert_false(moved);
	assert_ok(image_list(f->s, &list, &n, &err), err);
	assert_int_equal(n, 2);
	assert_true(digest_equal(&list[0].manifest, &two.manifest));
	assert_int_equal(list[0].n_tags, 1);
	assert_int_equal(list[1].n_tags, 0);
	image_release(&list[0]);
	image_release(&list[1]);
	free(list);
	assert_ok(image_untag(f->s, "x", &err), err);
	assert_int_equal(image_untag(f->s, "x", NULL), -ERR_NOTFOUND);
}

static void a_digest_names_an_image_in_its_repositories(void **state)
{
	struct fixture *f = *state;
	_cleanup_(error_freep) struct error *err = NULL;
	char text[DIGEST_TEXT];
	int64_t layer;
	struct image i = make(f, "one", &layer, 1), got;

	assert_ok(image_put(f->s, &i, "docker.io/library/a:1", IMAGE_MADE, NULL, &err), err);
	digest_format(&i.manifest, text);
	for (int k = 0; k < 4; k++) {
		static const char *const repositories[] = {"a", "docker.io/library/a:other", "b",
							   "h.x/a"};
		_cleanup_free_ char *name = xasprintf("%s@%s", repositories[k], text);
		int r = image_find(f->s, name, &got, NULL, NULL);

		assert_int_equal(r, k < 2 ? 0 : -ERR_NOTFOUND);
		if (r == 0)
			image_release(&got);
	}
}

static void an_image_of_unknown_layers_is_refused_as_a_whole(void **state)
{
	struct fixture *f = *state;
	int64_t layer, wrong = 77;
	struct image i = make(f, "one", &layer, 1), got;
	bool found = true;

	i.layers = &wrong;
	assert_int_equal(image_put(f->s, &i, "x", IMAGE_MADE, NULL, NULL), -ERR_NOTFOUND);
	assert_int_equal(image_by_manifest(f->s, &i.manifest, &found, &got, NULL), 0);
	assert_false(found);
	assert_int_equal(image_tag(f->s, &i.manifest, "x", IMAGE_MADE, NULL), -ERR_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(an_image_is_found_by_name_manifest_and_id),
		TEST(a_digest_names_an_image_in_its_repositories),
		TEST(a_tag_moves_and_the_old_image_stays),
		TEST(an_image_of_unknown_layers_is_refused_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
