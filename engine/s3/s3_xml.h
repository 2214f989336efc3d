/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the small XML documents that S3 answers with, by expat. Attributes are passed over, and so
 * are namespaces; a document type, and with it an entity of its own, is refused. */
#ifndef KILN_ENGINE_S3_S3_XML_H
#define KILN_ENGINE_S3_S3_XML_H

#include <stddef.h>

#include "base/alloc.h"

enum {
	S3_XML_DEPTH_MAX = 16,
	S3_XML_TEXT_MAX = 64 << 10, /* of one element */
};

/* An element has ended: "ListBucketResult/Contents/Key" and its own text, decoded and without outer
 * white space. Both are borrowed for the call. A failure (not 0) ends the walk. */
typedef int (*s3_xml_fn)(void *data, const char *path, const char *text);

/* Calls `fn` for every element, in the order they end. 0, what `fn` failed with, or -EINVAL if this
 * is not a well-formed document of the kind above. */
int s3_xml_walk(const void *p, size_t n, s3_xml_fn fn, void *data) _must_check_;

/* Text of the first element of that path, heap; NULL if there is none or the document is broken. */
char *s3_xml_find(const void *p, size_t n, const char *path);

#endif
