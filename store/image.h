/* SPDX-License-Identifier: Apache-2.0 */
/* Images and tags of the local store.
 *
 * An image is a manifest (or an index) with its config, both blobs, and its layers. Its id, as
 * shown to people, is the digest of the config. Tags are full names:
 * "docker.io/library/app:latest".
 */
#ifndef KILN_STORE_IMAGE_H
#define KILN_STORE_IMAGE_H

#include "base/digest.h"
#include "base/platform.h"
#include "store/store.h"

enum image_origin {
	IMAGE_MADE = 1, /* built, tagged, loaded or imported by the user: wins in FROM */
	IMAGE_PULLED,	/* pulled by kiln itself: revalidated in FROM */
};

struct image {
	struct digest manifest, config;
	int64_t created; /* the config's time, ns since the epoch; 0 unknown */
	uint64_t size;	 /* bytes of all layers, as unpacked files */
	int64_t *layers; /* lowest first; owned */
	size_t n_layers;
	char *os, *arch, *variant;  /* owned */
	char **tags;		    /* full names, sorted; owned */
	enum image_origin *origins; /* one per tag; owned */
	size_t n_tags;
};
void image_release(struct image *i);
/* What it is for, normalised. */
struct platform image_platform(const struct image *i);

/* Records an image whose blobs and layers are there, and, with `name` (full, may be NULL), tags it.
 * The tag is moved if it names another image; *ret_moved (may be NULL) tells whether. All in one
 * transaction. */
int image_put(struct store *s, const struct image *i, const char *name, enum image_origin origin,
	      bool *ret_moved, struct error **err) _must_check_;
/* Keeps a further blob as long as the image: the manifests and configs that an index names. */
int image_keep_blob(struct store *s, const struct digest *manifest, const struct digest *blob,
		    struct error **err) _must_check_;
int image_tag(struct store *s, const struct digest *manifest, const char *name,
	      enum image_origin origin, struct error **err) _must_check_;
/* By full name. *ret_found = false if there is none. *ret_origin may be NULL. As with the next two,
 * an image that was found stays complete until the handle closes, whatever others remove. */
int image_by_name(struct store *s, const char *name, bool *ret_found, struct image *ret,
		  enum image_origin *ret_origin, struct error **err) _must_check_;
int image_by_manifest(struct store *s, const struct digest *manifest, bool *ret_found,
		      struct image *ret, struct error **err) _must_check_;
/* By id: a config digest or at least 4 hex digits of its start. ERR_INVALID if several match. */
int image_by_id(struct store *s, const char *id, bool *ret_found, struct image *ret,
		struct error **err) _must_check_;
/* As people name images on the command line: NAME[:TAG], NAME@DIGEST (the manifest's) or an id.
 * *ret_name (heap; may be NULL) is the full name if it was found by its tag, else NULL.
 * ERR_NOTFOUND names what was asked for. */
int image_find(struct store *s, const char *what, struct image *ret, char **ret_name,
	       struct error **err) _must_check_;
/* All images, newest first. The caller releases each and frees the array. */
int image_list(struct store *s, struct image **ret, size_t *ret_n, struct error **err) _must_check_;
/* Removes a tag; the image stays. ERR_NOTFOUND if it does not exist. */
int image_untag(struct store *s, const char *name, struct error **err) _must_check_;
/* Removes an image and its tags (also if this handle has looked it up: not for a running build),
 * and frees blobs and layers that nothing else uses. The digests of what was freed (image id first,
 * then layers' diff ids) are appended to *ret_deleted if given. */
int image_remove(struct store *s, const struct digest *manifest, struct digest **ret_deleted,
		 size_t *ret_n, struct error **err) _must_check_;

#endif
