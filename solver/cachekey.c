/* SPDX-License-Identifier: Apache-2.0 */
#include "solver/cachekey.h"

#include <assert.h>
#include <string.h>

#include "solver/op_key.h"

struct digest cachekey_source(const struct op *op, const struct digest *pin)
{
	_cleanup_hasher_ struct hasher h = {0};
	const char *id = op->source.identifier;
	const char *colon = strchr(id, ':');
	struct digest ret;

	/* The scheme keeps the digests of different kinds of sources apart; the rest of the name
	 * says where something came from, not what it is. */
	hasher_init(&h);
	hasher_add_string(&h, "kiln source key 1");
	hasher_add_u64(&h, colon ? (uint64_t)(colon - id) : 0);
	hasher_add(&h, id, colon ? (size_t)(colon - id) : 0);
	hasher_add(&h, pin->b, DIGEST_SIZE);
	hasher_final(&h, &ret);
	return ret;
}

static struct digest key(const char *domain, const struct op *op, const struct digest *salt,
			 const struct key_part *parts, size_t n)
{
	_cleanup_hasher_ struct hasher h = {0};
	struct digest op_part = op_key(op, n);
	struct digest ret;

	hasher_init(&h);
	hasher_add_string(&h, domain);
	hasher_add(&h, op_part.b, DIGEST_SIZE);
	hasher_add_u64(&h, n);
	for (size_t i = 0; i < n; i++) {
		hasher_add_u64(&h, parts[i].kind);
		if (parts[i].kind == KEY_PART_SCRATCH)
			continue;
		hasher_add(&h, parts[i].digest.b, DIGEST_SIZE);
		if (parts[i].kind != KEY_PART_DEFINITION)
			continue;
		hasher_add_u64(&h, parts[i].output);
		hasher_add(&h, parts[i].selection.b, DIGEST_SIZE);
	}
	if (salt)
		hasher_add(&h, salt->b, DIGEST_SIZE);
	hasher_final(&h, &ret);
	return ret;
}

struct digest cachekey_definition(const struct op *op, const struct digest *salt,
				  const struct key_part *parts, size_t n)
{
	return key("kiln definition key 1", op, salt, parts, n);
}

struct digest cachekey_content(const struct op *op, const struct digest *salt,
			       const struct key_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert(parts[i].kind != KEY_PART_DEFINITION);
	return key("kiln content key 1", op, salt, parts, n);
}
