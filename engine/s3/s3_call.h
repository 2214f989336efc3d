/* SPDX-License-Identifier: Apache-2.0 */
/* One signed request to an S3 bucket, and what its answer means. Private to s3*.c. */
#ifndef KILN_ENGINE_S3_S3_CALL_H
#define KILN_ENGINE_S3_S3_CALL_H

#include "engine/s3/s3.h"

struct s3 {
	struct s3_options o;
	struct http *http;
	struct cancel *const *cancel;
	char *origin;	/* "https://bucket.s3.region.amazonaws.com", no slash after */
	char *host;	/* as the Host header has it */
	char *base;	/* what stands before a key: "/" or "/bucket/" */
	const char *ca; /* borrowed of the configuration; NULL: none */
	bool insecure;
};

struct s3_call {
	const char *method;
	const char *key;	      /* NULL: the bucket itself */
	const char *query;	      /* encoded, sorted by name; NULL: none */
	const struct strv *headers;   /* to sign and to send; NULL: none */
	const struct digest *payload; /* of the body; NULL: computed of `http.body` */
	bool found_only;	      /* a 404 is ERR_NOTFOUND without an error text */
	/* body, sink and so on; the rest is filled in. `delivered` is needed with a sink. */
	struct http_request http;
};

/* Success is a 2xx whose body is not an error document. */
int s3_call(struct s3 *s, const struct s3_call *c, struct http_response *ret,
	    struct error **err) _must_check_;

#endif
