/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets that count in cache keys (--secret cachekey=hash): their values enter as an HMAC under a
 * key that never leaves the store, so nothing can be learnt of them from a key. */
#ifndef KILN_ENGINE_SECRETS_SECRET_SALT_H
#define KILN_ENGINE_SECRETS_SECRET_SALT_H

#include "base/digest.h"
#include "engine/secrets/grants.h"
#include "solver/op.h"

/* *ret_salted = false if the op uses no such secret. */
int secret_salt(struct store *s, const struct grants *grants, const struct op_exec *op,
		bool *ret_salted, struct digest *ret, struct error **err) _must_check_;

#endif
