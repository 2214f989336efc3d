/* SPDX-License-Identifier: Apache-2.0 */
/* The image config document (OCI image-spec config.md, with docker's additions), typed.
 *
 * Parsed once at the edge, kept typed inside, written with the keys and the order BuildKit uses
 * (FEATURES e). Members that kiln does not know are kept and written back.
 */
#ifndef KILN_BASE_IMAGE_CONFIG_H
#define KILN_BASE_IMAGE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"
#include "base/platform.h"
#include "base/strv.h"
#include "base/vec.h"

struct healthcheck {
	struct strv test;
	int64_t interval, timeout, start_period, start_interval; /* ns */
	int64_t retries;
};

struct image_history {
	char *created;			     /* RFC 3339, NULL if unknown */
	char *created_by, *author, *comment; /* NULL if absent */
	bool empty_layer;
};

struct image_config {
	struct platform platform;
	char *author;
	char *created; /* RFC 3339, NULL if unknown */
	/* config */
	char *user, *working_dir, *stop_signal; /* NULL if unset */
	struct strv env, cmd, entrypoint, on_build, shell;
	bool cmd_set, entrypoint_set;	    /* [] differs from null */
	struct strv exposed_ports, volumes; /* sorted sets */
	struct strv labels;		    /* "k=v", sorted by key when written */
	bool args_escaped;
	struct healthcheck *healthcheck; /* NULL if unset */
	/* rootfs */
	VEC(struct digest) diff_ids;
	VEC(struct image_history) history;
	json_t *unknown, *unknown_config; /* other members of the document and of "config" */
};

void image_config_init(struct image_config *c, const struct platform *platform);
void image_config_release(struct image_config *c);
void image_config_copy(struct image_config *to, const struct image_config *from);
int image_config_parse(const void *json, size_t n, struct image_config *ret,
		       struct error **err) _must_check_;
void image_config_write(const struct image_config *c, struct buf *b);
/* As it stands in the document, without what is not set. A new reference. */
json_t *healthcheck_json(const struct healthcheck *h);
/* Strings are copied; NULL for absent. */
void image_config_add_history(struct image_config *c, const char *created, const char *created_by,
			      const char *comment, bool empty_layer);

#endif
