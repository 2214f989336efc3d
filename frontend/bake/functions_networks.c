/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of networks, IPv4 and IPv6. */
#include <arpa/inet.h>
#include <string.h>

#include "base/number.h"
#include "frontend/bake/bake_functions.h"

typedef const struct bake_value *value;

/* An address as a number of 32 or 128 bits, the highest byte first. */
struct network {
	int family;
	unsigned bits, prefix;
	unsigned char address[16];
};

static bool parse_network(struct bake_call *c, struct network *n)
{
	const char *text = c->v[0]->s, *slash = strchr(text, '/');
	_cleanup_free_ char *address = xstrndup(text, strcspn(text, "/"));
	uint64_t prefix = 0;

	*n = (struct network){.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	n->bits = n->family == AF_INET ? 32 : 128;
	if (!slash || inet_pton(n->family, address, n->address) != 1 ||
	    number_parse(slash + 1, 10, n->bits, &prefix) < 0)
		return bake_call_fail(c, "\"%s\" is not a network as 10.0.0.0/8", text) != NULL;
	n->prefix = (unsigned)prefix;
	for (unsigned i = n->prefix; i < n->bits; i++)
		n->address[i / 8] &= (unsigned char)~(0x80U >> i % 8);
	return true;
}

static bool get_bit(const struct network *n, unsigned i)
{
	return n->address[i / 8] & 0x80U >> i % 8;
}

/* Adds to the bits [from, to). False where it does not fit. */
static bool add_bits(struct network *n, unsigned from, unsigned to, uint64_t number)
{
	unsigned carry = 0;

	for (unsigned i = to; i > from; i--) {
		unsigned sum = (unsigned)(number & 1) + get_bit(n, i - 1) + carry;
		unsigned char bit = (unsigned char)(0x80U >> (i - 1) % 8);

		n->address[(i - 1) / 8] &= (unsigned char)~bit;
		if (sum & 1)
			n->address[(i - 1) / 8] |= bit;
		carry = sum >> 1;
		number >>= 1;
	}
	return number == 0 && carry == 0;
}

static const char *address_text(struct bake_call *c, const struct network *n)
{
	char text[INET6_ADDRSTRLEN];

	return arena_strdup(c->arena, inet_ntop(n->family, n->address, text, sizeof(text)));
}

static value network_text(struct bake_call *c, const struct network *n)
{
	return bake_string(c->arena,
			   arena_printf(c->arena, "%s/%u", address_text(c, n), n->prefix));
}

static value host(struct bake_call *c)
{
	struct network n;
	int64_t number;

	if (!parse_network(c, &n) || !bake_call_int(c, 1, INT64_MIN + 1, INT64_MAX, &number))
		return NULL;
	/* Counted from the end: all ones and back. */
	if (number < 0) {
		uint64_t from_end = (uint64_t)-number - 1;
		unsigned width = n.bits - n.prefix;

		if (width < 64 && from_end >> width)
			return bake_call_fail(c, "the network has no host %lld", (long long)number);
		for (unsigned i = n.prefix; i < n.bits; i++)
			if (n.bits - 1 - i >= 64 || !(from_end >> (n.bits - 1 - i) & 1))
				n.address[i / 8] |= (unsigned char)(0x80U >> i % 8);
	} else if (!add_bits(&n, n.prefix, n.bits, (uint64_t)number)) {
		return bake_call_fail(c, "the network has no host %lld", (long long)number);
	}
	return bake_string(c->arena, address_text(c, &n));
}

static value netmask(struct bake_call *c)
{
	struct network n;

	if (!parse_network(c, &n))
		return NULL;
	if (n.family != AF_INET)
		return bake_call_fail(c, "only networks of IPv4 have a mask");
	for (unsigned i = 0; i < n.bits; i++)
		if (i < n.prefix)
			n.address[i / 8] |= (unsigned char)(0x80U >> i % 8);
		else
			n.address[i / 8] &= (unsigned char)~(0x80U >> i % 8);
	return bake_string(c->arena, address_text(c, &n));
}

static value subnet(struct bake_call *c)
{
	struct network n;
	int64_t bits, number;

	if (!parse_network(c, &n) || !bake_call_int(c, 1, 0, n.bits - n.prefix, &bits) ||
	    !bake_call_int(c, 2, 0, INT64_MAX, &number))
		return NULL;
	if (!add_bits(&n, n.prefix, n.prefix + (unsigned)bits, (uint64_t)number))
		return bake_call_fail(c, "%lld bits do not hold %lld", (long long)bits,
				      (long long)number);
	n.prefix += (unsigned)bits;
	return network_text(c, &n);
}

/* Each network begins where the one before ends, at a multiple of its own size. */
static value subnets(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};
	struct network base, n;
	bool full = false;

	if (!parse_network(c, &base))
		return NULL;
	n = base;
	for (size_t i = 1; i < c->n; i++) {
		bool ragged = false;
		int64_t bits;

		if (!bake_call_int(c, i, 1, base.bits - base.prefix, &bits))
			return NULL;
		n.prefix = base.prefix + (unsigned)bits;
		for (unsigned k = n.prefix; k < n.bits && !full; k++) {
			ragged |= get_bit(&n, k);
			n.address[k / 8] &= (unsigned char)~(0x80U >> k % 8);
		}
		if (full || (ragged && !add_bits(&n, base.prefix, n.prefix, 1)))
			return bake_call_fail(c, "the network is full at argument %zu", i + 1);
		bake_push(&b, network_text(c, &n));
		full = !add_bits(&n, base.prefix, n.prefix, 1);
	}
	return bake_sequence(&b, BAKE_LIST);
}

const struct bake_builtin bake_functions_networks[] = {
	{"cidrhost", "sn", host},
	{"cidrnetmask", "s", netmask},
	{"cidrsubnet", "snn", subnet},
	{"cidrsubnets", "sn*", subnets},
	{0},
};
