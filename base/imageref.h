/* SPDX-License-Identifier: Apache-2.0 */
/* Image references: [host[:port]/]path[:tag][@digest], by the grammar of distribution/reference,
 * with docker's familiar forms: "app" is docker.io/library/app:latest. */
#ifndef KILN_BASE_IMAGEREF_H
#define KILN_BASE_IMAGEREF_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/error.h"

struct imageref {
	char *host; /* "docker.io", "127.0.0.1:5000"; never NULL */
	char *path; /* "library/python" */
	char *tag;  /* NULL if only a digest was given */
	bool has_digest;
	struct digest digest;
};
#define IMAGEREF_INIT \
	{             \
		0     \
	}

/* Normalises: host docker.io and "library/" are filled in, tag "latest" unless there is a tag or a
 * digest. A bad reference is ERR_INVALID with text that says which rule it breaks. */
int imageref_parse(const char *text, struct imageref *ret, struct error **err) _must_check_;
void imageref_release(struct imageref *r);
/* Does the text leave it to imageref_parse which image of the repository is meant: no tag, no
 * digest? */
bool imageref_is_name_only(const char *text);
/* "docker.io/library/python:3.8@sha256:..." Heap. */
char *imageref_format(const struct imageref *r);
/* host/path. Heap. */
char *imageref_name(const struct imageref *r);
/* As people write it: without docker.io/library/; no tag. Heap. */
char *imageref_familiar_name(const struct imageref *r);

#endif
