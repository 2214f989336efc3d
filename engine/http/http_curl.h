/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP exchange over libcurl: no redirects, no retries. Private to http*.c. */
#ifndef KILN_ENGINE_HTTP_HTTP_CURL_H
#define KILN_ENGINE_HTTP_HTTP_CURL_H

#include "engine/http/http.h"

/* How one exchange failed, beside its error. */
enum http_failure {
	HTTP_FAILURE_NONE,
	HTTP_FAILURE_FINAL,
	HTTP_FAILURE_BROKEN, /* the connection broke: worth another try */
};

/* Sends `req` to `url` and collects the answer in `ret` (empty on entry). */
int http_exchange(struct http *h, const struct http_request *req, const char *url,
		  bool with_authorization, struct http_response *ret,
		  enum http_failure *ret_failure, struct error **err) _must_check_;

#endif
