/* SPDX-License-Identifier: Apache-2.0 */
/* The --filter values that commands about images share: dangling, label, before, since, until. */
#ifndef KILN_CMD_CLI_IMAGE_FILTER_H
#define KILN_CMD_CLI_IMAGE_FILTER_H

#include "store/image.h"

struct image_filter {
	struct strv references; /* "reference=PATTERN": the caller's to match */
	struct strv labels;	/* "k" or "k=v" */
	struct strv not_labels;
	bool has_dangling, dangling;
	int64_t before, since; /* created before, after (ns); 0: any */
};

/* "before=IMAGE" and "since=IMAGE" look the image up; "until=24h", or a date, is the same as
 * before.
 */
int image_filter_parse(struct store *s, const struct strv *filters, struct image_filter *ret,
		       struct error **err) _must_check_;
void image_filter_release(struct image_filter *f);

/* 1 if the image passes, 0 if not. References are not looked at, nor is dangling. */
int image_filter_match(struct store *s, const struct image_filter *f, const struct image *image,
		       struct error **err) _must_check_;

#endif
