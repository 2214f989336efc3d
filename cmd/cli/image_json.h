/* SPDX-License-Identifier: Apache-2.0 */
/* An image as `docker image inspect` shows it, and what else commands ask of its documents. */
#ifndef KILN_CMD_CLI_IMAGE_JSON_H
#define KILN_CMD_CLI_IMAGE_JSON_H

#include "base/image_config.h"
#include "store/image.h"

/* The image's config, parsed; released by the caller after success. */
int image_config_load(struct store *s, const struct image *image, struct image_config *ret,
		      struct error **err) _must_check_;

/* {"Id", "RepoTags", "RepoDigests", "Created", "Config", "Architecture", "Os", "Size",
 * "RootFS"...} */
int image_json(struct store *s, const struct image *image, json_t **ret,
	       struct error **err) _must_check_;

/* What templates see of the fields that this image does not set (template_set_zeros). A new
 * reference. */
json_t *image_json_zeros(const json_t *image);

/* "app:v1" of a full name. Heap. */
char *image_familiar_name(const char *full);

#endif
