/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln rmi`: removes names of images, and images with their last name. */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/commands.h"
#include "engine/oci/image_index.h"

static void print_untagged(const char *name)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_free_ char *familiar = NULL;

	if (imageref_parse(name, &ref, NULL) < 0)
		return;
	familiar = imageref_familiar_name(&ref);
	printf("Untagged: %s:%s\n", familiar, ref.tag ? ref.tag : "");
}

static int remove_whole(struct store *s, const struct image *image, struct error **err)
{
	_cleanup_free_ struct digest *deleted = NULL;
	char text[DIGEST_TEXT];
	size_t n = 0;
	int r = image_remove(s, &image->manifest, &deleted, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < image->n_tags; i++)
		print_untagged(image->tags[i]);
	for (size_t i = 0; i < n; i++)
		printf("Deleted: %s\n", digest_format(&deleted[i], text));
	return 0;
}

static size_t count_images(const struct oci_document *index)
{
	size_t n = 0;

	for (size_t i = 0; i < index->manifests.n; i++)
		n += oci_entry_is_image(&index->manifests.v[i]);
	return n;
}

/* An image for several platforms is one: its index names them all, and is what is pushed and saved.
 * What says something about an image, an attestation, goes with it. */
static int check_platform(struct store *s, const char *what, const struct platform *platform,
			  struct error **err)
{
	_cleanup_(image_index_release) struct image_index index = IMAGE_INDEX_INIT;
	_cleanup_(image_release) struct image image = {0};
	bool found = false;
	int r = image_find(s, what, &image, NULL, err);

	if (r == 0)
		r = image_index_load(s, &image.manifest, &found, &index, err);
	if (r == 0)
		r = image_for_platform(s, &image, platform, err);
	if (r < 0 || !found || count_images(&index.doc) == 1)
		return r;
	r = error_new(err, ERR_UNSUPPORTED, 0,
		      "cannot remove one platform of image %s: its index needs all of them", what);
	return error_hint(err, r, "remove the whole image, or build it for the others alone");
}

/* By name: the tag goes, and the image with its last tag. By id: the image goes with its only tag;
 * several tags need --force, as with docker. */
static int rmi(struct store *s, const char *what, bool force, struct error **err)
{
	_cleanup_(image_release) struct image image = {0};
	_cleanup_free_ char *name = NULL;
	int r = image_find(s, what, &image, &name, err);

	if (r < 0)
		return r;
	if (name && image.n_tags > 1) {
		r = image_untag(s, name, err);
		if (r == 0)
			print_untagged(name);
		return r;
	}
	if (!name && image.n_tags > 1 && !force) {
		r = error_new(err, ERR_BUSY, 0,
			      "cannot remove image %s by its id: %zu names refer to it", what,
			      image.n_tags);
		return error_hint(err, r, "remove it by name, or use --force");
	}
	return remove_whole(s, &image, err);
}

int cmd_rmi(const struct command *self, int argc, char **argv)
{
	struct platform platform = {0};
	bool force = false, no_prune = false;
	const struct opt table[] = {
		{"force", 'f', OPT_BOOL, &force, NULL,
		 "Remove an image that several names refer to"},
		{"no-prune", 0, OPT_BOOL, &no_prune, NULL, NULL},
		{"platform", 0, OPT_PLATFORM, &platform, "PLATFORM",
		 "Only if the image is for this platform"},
		{0},
	};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n == 0)
		return session_misuse(self, "needs at least one image");
	r = session_open_store(&s, &err);
	if (r < 0)
		return session_fail(r, &err);
	for (size_t i = 0; i < args.n; i++) {
		r = opt_platform(&platform) ? check_platform(s, args.v[i], &platform, &err) : 0;
		if (r == 0)
			r = rmi(s, args.v[i], force, &err);
		/* docker says that it is not there, and that this is no failure. */
		if (r == -ERR_NOTFOUND && force) {
			show(stderr, "%s\n", error_text(err));
			error_free(TAKE_PTR(err));
			continue;
		}
		if (r < 0)
			status = session_fail(r, &err);
	}
	return status;
}
