/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Signature Version 4 for S3: who asks is proven by an HMAC over the request, and the secret
 * itself is never sent. Source: AWS, "Signature Calculations for the Authorization Header".
 *
 * libcurl 7.88 can sign too, but takes the query as it stands, knows no payload whose digest the
 * caller has, and puts no session token in; so the hundred lines are ours. */
#ifndef KILN_ENGINE_S3_S3_SIGN_H
#define KILN_ENGINE_S3_S3_SIGN_H

#include <stdint.h>

#include "base/digest.h"
#include "base/strv.h"

struct s3_credentials {
	char *access_key;
	char *secret_key;    /* wiped on release */
	char *session_token; /* NULL: none */
};
void s3_credentials_release(struct s3_credentials *c);

struct s3_signing {
	const char *method;
	const char *host;  /* as the Host header has it: without a default port */
	const char *path;  /* percent-encoded, from the leading slash on */
	const char *query; /* encoded, its parameters sorted by name; "": none */
	const char *region;
	struct digest payload; /* of the body */
	int64_t time;	       /* ns since the epoch */
};

/* Adds to `headers` ("Name: value", all of which get signed) those that a signed request carries,
 * and returns the value of its Authorization header. Heap. */
char *s3_sign(const struct s3_signing *s, const struct s3_credentials *c, struct strv *headers);

/* Percent-encodes a key, leaving its slashes. Heap. */
char *s3_escape_key(const char *key);

#endif
