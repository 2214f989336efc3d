/* SPDX-License-Identifier: Apache-2.0 */
/* Strict JSON over jansson, with errors that name the path in the document. Objects are jansson's
 * json_t; this only adds parse limits and typed, checked access. Keep the raw bytes of a document
 * whose digest matters: re-serialising changes it. */
#ifndef KILN_BASE_JSON_H
#define KILN_BASE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/strv.h"

/* Parses one document: duplicate keys and trailing text are errors (ERR_INVALID naming `what`, line
 * and column). The caller owns *ret (json_decref). */
int js_parse(const char *what, const void *p, size_t n, json_t **ret,
	     struct error **err) _must_check_;
/* Compact, keys in insertion order (sorted = true: sorted bytewise). Appends to b. */
void js_dump(const json_t *value, bool sorted, struct buf *b);
/* Go's encoding/json string form, quotes included: <, >, & and U+2028/9 are \u-escaped, so that
 * documents we write look as BuildKit's do. */
void js_dump_go(const json_t *value, unsigned indent, bool sorted, struct buf *b);

/* Members. A missing or null member leaves *ret as it was (returns 0); a wrong type is ERR_INVALID
 * naming the key. Strings are borrowed from the object. */
int js_string(const json_t *object, const char *key, const char **ret,
	      struct error **err) _must_check_;
int js_int(const json_t *object, const char *key, int64_t *ret, struct error **err) _must_check_;
int js_bool(const json_t *object, const char *key, bool *ret, struct error **err) _must_check_;
int js_object(const json_t *object, const char *key, json_t **ret, struct error **err) _must_check_;
int js_array(const json_t *object, const char *key, json_t **ret, struct error **err) _must_check_;
/* Appends an array of strings to `ret`. */
int js_strings(const json_t *object, const char *key, struct strv *ret,
	       struct error **err) _must_check_;
/* {"k": "v"} as "k=v" pairs in document order. */
int js_string_map(const json_t *object, const char *key, struct strv *ret,
		  struct error **err) _must_check_;

#define _cleanup_json_ _cleanup_(json_decrefp)

#endif
