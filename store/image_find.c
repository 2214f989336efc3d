/* SPDX-License-Identifier: Apache-2.0 */
/* One look-up of images for all commands: by name, digest or the beginning of an id. */
#include <stdlib.h>
#include <string.h>

#include "base/imageref.h"
#include "base/suggest.h"
#include "store/image.h"

static bool looks_like_id(const char *what)
{
	const char *hex = strncmp(what, "sha256:", 7) == 0 ? what + 7 : what;
	size_t n = strlen(hex);

	return n >= 4 && n <= DIGEST_HEX && strspn(hex, "0123456789abcdef") == n;
}

/* A digest names an image in the repositories that it has a name in: other@sha256:... is not one of its names. */
static bool is_in_repository(const struct image *image, const struct imageref *ref)
{
	for (size_t i = 0; i < image->n_tags; i++) {
		_cleanup_(imageref_release) struct imageref tag = IMAGEREF_INIT;

		if (imageref_parse(image->tags[i], &tag, NULL) == 0 &&
		    strcmp(tag.host, ref->host) == 0 && strcmp(tag.path, ref->path) == 0)
			return true;
	}
	return false;
}

static int find_by_digest(struct store *s, const struct imageref *ref, bool *ret_found,
			  struct image *ret, struct error **err)
{
	int r = image_by_manifest(s, &ref->digest, ret_found, ret, err);

	if (r == 0 && *ret_found && !is_in_repository(ret, ref)) {
		image_release(ret);
		*ret_found = false;
	}
	return r;
}

static int find_named(struct store *s, const struct imageref *ref, bool *ret_found,
		      struct image *ret, char **ret_name, struct error **err)
{
	_cleanup_free_ char *name = NULL;
	int r;

	if (ref->has_digest)
		return find_by_digest(s, ref, ret_found, ret, err);
	name = imageref_format(ref);
	r = image_by_name(s, name, ret_found, ret, NULL, err);
	if (r == 0 && *ret_found && ret_name)
		*ret_name = TAKE_PTR(name);
	return r;
}

/* Names as people write them: "app", or "app:v1" where `with_tags`. */
static void add_names(const struct image *image, bool with_tags, struct strv *names)
{
	for (size_t i = 0; i < image->n_tags; i++) {
		_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
		_cleanup_free_ char *repository = NULL;

		if (imageref_parse(image->tags[i], &ref, NULL) < 0)
			continue;
		repository = imageref_familiar_name(&ref);
		strv_pushf(names, "%s%s%s", repository, with_tags && ref.tag ? ":" : "",
			   with_tags && ref.tag ? ref.tag : "");
	}
}

static int not_found(struct store *s, const char *what, struct error **err)
{
	_cleanup_strv_ struct strv names = {0};
	struct image *images = NULL;
	const char *colon = strrchr(what, ':'), *near;
	size_t n = 0;
	int r = error_new(err, ERR_NOTFOUND, 0, "no such image: %s", what);

	if (image_list(s, &images, &n, NULL) < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		add_names(&images[i], colon && !strchr(colon, '/'), &names);
		image_release(&images[i]);
	}
	free(images);
	near = suggest(what, (const char *const *)names.v, names.n, true);
	return near ? error_hint(err, r, "did you mean %s?", near) : r;
}

int image_find(struct store *s, const char *what, struct image *ret, char **ret_name,
	       struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_(error_freep) struct error *bad_name = NULL;
	bool found = false;
	int r = 0;

	if (ret_name)
		*ret_name = NULL;
	if (imageref_parse(what, &ref, &bad_name) == 0)
		r = find_named(s, &ref, &found, ret, ret_name, err);
	if (r < 0 || found)
		return r;
	if (looks_like_id(what)) {
		r = image_by_id(s, what, &found, ret, err);
		if (r < 0 || found)
			return r;
	} else if (bad_name) {
		if (err) {
			error_free(*err);
			*err = TAKE_PTR(bad_name);
		}
		return error_wrap(err, -ERR_INVALID, "invalid image name \"%s\"", what);
	}
	return not_found(s, what, err);
}
