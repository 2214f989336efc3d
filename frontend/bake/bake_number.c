/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal numbers of any size: an integer and how many of its digits stand behind the point. */
#include <openssl/bn.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "frontend/bake/bake_value.h"

struct decimal {
	BIGNUM *n;
	long scale; /* digits behind the point; never negative */
};

static void decimal_release(struct decimal *d)
{
	BN_free(d->n);
}
#define _cleanup_decimal_ _cleanup_(decimal_release)

static void scale_by(BIGNUM *n, long digits)
{
	/* BN_mul_word takes what fits a word; nine digits do everywhere. */
	for (; digits >= 9; digits -= 9)
		BN_mul_word(n, 1000000000);
	for (; digits > 0; digits--)
		BN_mul_word(n, 10);
}

/* Reads [-+]digits[.digits][e[-+]digits]. */
static bool decimal_parse(const char *text, struct decimal *ret)
{
	_cleanup_buf_ struct buf digits = BUF_INIT;
	const char *p = text;
	bool negative = *p == '-', any = false;
	long scale = 0;

	if (*p == '-' || *p == '+')
		p++;
	if (strlen(p) > BAKE_NUMBER_MAX)
		return false;
	for (; *p >= '0' && *p <= '9'; p++, any = true)
		buf_addc(&digits, *p);
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, any = true, scale++)
			buf_addc(&digits, *p);
	if (!any)
		return false;
	if (*p == 'e' || *p == 'E') {
		int64_t exponent;

		if (number_parse_signed(p + 1, -BAKE_NUMBER_MAX, BAKE_NUMBER_MAX, &exponent) < 0)
			return false;
		scale -= (long)exponent;
		p += strlen(p);
	}
	if (*p || BN_dec2bn(&ret->n, digits.p) == 0)
		return false;
	if (scale < 0) {
		scale_by(ret->n, -scale);
		scale = 0;
	}
	BN_set_negative(ret->n, negative);
	ret->scale = scale;
	return true;
}

/* NULL where it is longer than a number may be. */
static char *decimal_text(struct arena *a, const struct decimal *d)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char *digits = BN_bn2dec(d->n), *p = digits;
	char *ret = NULL;
	size_t n, scale = (size_t)d->scale;

	if (*p == '-')
		p++;
	n = strlen(p);
	if (n <= BAKE_NUMBER_MAX && scale <= 2 * BAKE_NUMBER_MAX) {
		if (BN_is_negative(d->n) && !BN_is_zero(d->n))
			buf_addc(&b, '-');
		if (n <= scale)
			buf_addc(&b, '0');
		else
			buf_add(&b, p, n - scale);
		if (scale > 0) {
			buf_addc(&b, '.');
			for (size_t i = n; i < scale; i++)
				buf_addc(&b, '0');
			buf_add(&b, n > scale ? p + n - scale : p, n > scale ? scale : n);
			while (b.p[b.n - 1] == '0')
				buf_truncate(&b, b.n - 1);
			if (b.p[b.n - 1] == '.')
				buf_truncate(&b, b.n - 1);
		}
		ret = arena_strndup(a, strcmp(b.p, "-0") == 0 ? "0" : b.p, b.n);
	}
	OPENSSL_free(digits);
	return ret;
}

static const struct bake_value *from_decimal(struct arena *a, const struct decimal *d)
{
	char *text = decimal_text(a, d);
	struct bake_value *v;

	if (!text || strlen(text) > BAKE_NUMBER_MAX)
		return NULL;
	v = ARENA_NEW(a, struct bake_value);
	v->kind = BAKE_NUMBER;
	v->s = text;
	return v;
}

const struct bake_value *bake_number(struct arena *a, const char *text)
{
	_cleanup_decimal_ struct decimal d = {0};

	return decimal_parse(text, &d) ? from_decimal(a, &d) : NULL;
}

const struct bake_value *bake_int(struct arena *a, int64_t n)
{
	struct bake_value *v = ARENA_NEW(a, struct bake_value);

	v->kind = BAKE_NUMBER;
	v->s = arena_printf(a, "%lld", (long long)n);
	return v;
}

/* Both get the larger scale. */
static void align(struct decimal *x, struct decimal *y)
{
	if (x->scale < y->scale) {
		scale_by(x->n, y->scale - x->scale);
		x->scale = y->scale;
	} else {
		scale_by(y->n, x->scale - y->scale);
		y->scale = x->scale;
	}
}

int bake_number_compare(const char *x, const char *y)
{
	_cleanup_decimal_ struct decimal a = {0}, b = {0};

	if (!decimal_parse(x, &a) || !decimal_parse(y, &b))
		return strcmp(x, y);
	align(&a, &b);
	return BN_cmp(a.n, b.n);
}

/* The digits of an integer, without its sign. */
static long count_digits(const BIGNUM *n)
{
	char *text = BN_bn2dec(n);
	long count = (long)strlen(text) - (*text == '-');

	OPENSSL_free(text);
	return count;
}

/* Exact where so many digits are enough, else rounded half up. */
static void divide(struct decimal *x, struct decimal *y, BN_CTX *ctx)
{
	BIGNUM *rest = BN_new();
	long shift;

	align(x, y);
	shift = BAKE_DIGITS + count_digits(y->n) - count_digits(x->n);
	if (shift < 0)
		shift = 0;
	scale_by(x->n, shift);
	BN_div(x->n, rest, x->n, y->n, ctx);
	if (!BN_is_zero(rest)) {
		BN_lshift1(rest, rest);
		if (BN_ucmp(rest, y->n) >= 0) {
			if (BN_is_negative(x->n))
				BN_sub_word(x->n, 1);
			else
				BN_add_word(x->n, 1);
		}
	}
	x->scale = shift;
	BN_free(rest);
}

const struct bake_value *bake_arithmetic(struct arena *a, enum bake_op op,
					 const struct bake_value *x, const struct bake_value *y)
{
	_cleanup_decimal_ struct decimal p = {0}, q = {0};
	const struct bake_value *ret;
	BN_CTX *ctx;

	if (!decimal_parse(x->s, &p) || !decimal_parse(y->s, &q))
		return NULL;
	if ((op == OP_DIV || op == OP_MOD) && BN_is_zero(q.n))
		return NULL;
	ctx = BN_CTX_new();
	switch (op) {
	case OP_ADD:
		align(&p, &q);
		BN_add(p.n, p.n, q.n);
		break;
	case OP_SUB:
		align(&p, &q);
		BN_sub(p.n, p.n, q.n);
		break;
	case OP_MUL:
		BN_mul(p.n, p.n, q.n, ctx);
		p.scale += q.scale;
		break;
	case OP_DIV:
		divide(&p, &q, ctx);
		break;
	case OP_MOD:
		/* The rest has the sign of what is divided. */
		align(&p, &q);
		BN_div(NULL, p.n, p.n, q.n, ctx);
		break;
	}
	ret = from_decimal(a, &p);
	BN_CTX_free(ctx);
	return ret;
}

const struct bake_value *bake_round(struct arena *a, const struct bake_value *x, int direction)
{
	const char *point = strchr(x->s, '.');
	const struct bake_value *whole;
	bool negative = *x->s == '-';

	if (!point)
		return x;
	whole = bake_number(a, arena_strndup(a, x->s, (size_t)(point - x->s)));
	if (!whole || (direction > 0) == negative || direction == 0)
		return whole;
	return bake_arithmetic(a, direction > 0 ? OP_ADD : OP_SUB, whole, bake_int(a, 1));
}

bool bake_to_int(const struct bake_value *v, int64_t *ret)
{
	return v->kind == BAKE_NUMBER && number_parse_signed(v->s, INT64_MIN, INT64_MAX, ret) == 0;
}
