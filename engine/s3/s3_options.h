/* SPDX-License-Identifier: Apache-2.0 */
/* How to reach an S3 bucket: attributes of --cache-from and --cache-to, what they leave out from
 * the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION,
 * AWS_DEFAULT_REGION, AWS_BUCKET, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL), and what that leaves out
 * from the profile AWS_PROFILE (default) of ~/.aws/credentials and ~/.aws/config. */
#ifndef KILN_ENGINE_S3_S3_OPTIONS_H
#define KILN_ENGINE_S3_S3_OPTIONS_H

#include <stdbool.h>

#include "base/attrs.h"
#include "base/error.h"
#include "engine/s3/s3_sign.h"

struct s3_options {
	char *bucket, *region;
	char *endpoint;	 /* "https://host:port" of the service, perhaps with a path, no slash after
			  */
	bool path_style; /* the bucket stands in the path, not in front of the host */
	unsigned parallelism; /* parts of one upload at once */
	unsigned tries;	      /* of one request; 0: the default of engine/http/http.h */
	struct s3_credentials credentials; /* no access key: requests are not signed */
};

/* ERR_INVALID for what is missing or malformed. Without credentials requests are `anonymous`, where
 * that is enough (an import); else it is ERR_DENIED. */
int s3_options_read(const attr_list *attrs, bool anonymous, struct s3_options *ret,
		    struct error **err) _must_check_;
void s3_options_release(struct s3_options *o);

#endif
