/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, comparisons and logic. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bake/bake_functions.h"

typedef const struct bake_value *value;

static value arithmetic(struct bake_call *c, enum bake_op op)
{
	value v = bake_arithmetic(c->arena, op, c->v[0], c->v[1]);

	if (v)
		return v;
	return bake_call_fail(c, strcmp(c->v[1]->s, "0") == 0 ? "division by zero"
							      : "the number gets too long");
}

static value add(struct bake_call *c)
{
	return arithmetic(c, OP_ADD);
}

static value subtract(struct bake_call *c)
{
	return arithmetic(c, OP_SUB);
}

static value multiply(struct bake_call *c)
{
	return arithmetic(c, OP_MUL);
}

static value divide(struct bake_call *c)
{
	return arithmetic(c, OP_DIV);
}

static value modulo(struct bake_call *c)
{
	return arithmetic(c, OP_MOD);
}

static value negate(struct bake_call *c)
{
	return bake_arithmetic(c->arena, OP_SUB, bake_int(c->arena, 0), c->v[0]);
}

static value absolute(struct bake_call *c)
{
	return *c->v[0]->s == '-' ? negate(c) : c->v[0];
}

static value ceiling(struct bake_call *c)
{
	return bake_round(c->arena, c->v[0], 1);
}

static value floor_of(struct bake_call *c)
{
	return bake_round(c->arena, c->v[0], -1);
}

static value truncate_of(struct bake_call *c)
{
	return bake_round(c->arena, c->v[0], 0);
}

static value signum(struct bake_call *c)
{
	return bake_int(c->arena, bake_number_compare(c->v[0]->s, "0"));
}

static value extreme(struct bake_call *c, int direction)
{
	value best = c->v[0];

	for (size_t i = 1; i < c->n; i++)
		if (bake_number_compare(c->v[i]->s, best->s) * direction > 0)
			best = c->v[i];
	return best;
}

static value max_of(struct bake_call *c)
{
	return extreme(c, 1);
}

static value min_of(struct bake_call *c)
{
	return extreme(c, -1);
}

/* The two that leave exact numbers: as doubles, which have 17 digits. */
static value from_double(struct bake_call *c, double d)
{
	char text[400];

	if (!isfinite(d))
		return bake_call_fail(c, "the result is not a number");
	for (int precision = 1; precision <= 17; precision++) {
		snprintf(text, sizeof(text), "%.*g", precision, d);
		if (strtod(text, NULL) == d)
			break;
	}
	return bake_number(c->arena, text);
}

static value log_of(struct bake_call *c)
{
	return from_double(c, log(strtod(c->v[0]->s, NULL)) / log(strtod(c->v[1]->s, NULL)));
}

static value power(struct bake_call *c)
{
	value result = bake_int(c->arena, 1);
	int64_t n;

	if (!bake_to_int(c->v[1], &n) || n < 0 || n > 10000)
		return from_double(c, pow(strtod(c->v[0]->s, NULL), strtod(c->v[1]->s, NULL)));
	for (; n > 0 && result; n--)
		result = bake_arithmetic(c->arena, OP_MUL, result, c->v[0]);
	return result ? result : bake_call_fail(c, "the number gets too long");
}

/* In bases 2 to 62, as Go's big.Int reads them. */
static value parse_int(struct bake_call *c)
{
	const char *text = c->v[0]->s, *p = text;
	value result = bake_int(c->arena, 0), base = c->v[1];
	int64_t n;

	if (!bake_call_int(c, 1, 2, 62, &n))
		return NULL;
	p += *p == '-' || *p == '+';
	if (!*p)
		return bake_call_fail(c, "\"%s\" is not a number of base %lld", text, (long long)n);
	for (; *p && result; p++) {
		int digit = *p >= '0' && *p <= '9'   ? *p - '0'
			    : *p >= 'a' && *p <= 'z' ? *p - 'a' + 10
			    : *p >= 'A' && *p <= 'Z' ? *p - 'A' + (n > 36 ? 36 : 10)
						     : 99;

		if (digit >= n)
			return bake_call_fail(c, "\"%s\" is not a number of base %lld", text,
					      (long long)n);
		result = bake_arithmetic(c->arena, OP_MUL, result, base);
		if (result)
			result = bake_arithmetic(c->arena, OP_ADD, result,
						 bake_int(c->arena, digit));
	}
	if (!result)
		return bake_call_fail(c, "the number is too long");
	return *text == '-' ? bake_arithmetic(c->arena, OP_SUB, bake_int(c->arena, 0), result)
			    : result;
}

static value greater(struct bake_call *c)
{
	return bake_bool(bake_number_compare(c->v[0]->s, c->v[1]->s) > 0);
}

static value greater_or_equal(struct bake_call *c)
{
	return bake_bool(bake_number_compare(c->v[0]->s, c->v[1]->s) >= 0);
}

static value less(struct bake_call *c)
{
	return bake_bool(bake_number_compare(c->v[0]->s, c->v[1]->s) < 0);
}

static value less_or_equal(struct bake_call *c)
{
	return bake_bool(bake_number_compare(c->v[0]->s, c->v[1]->s) <= 0);
}

static value equal(struct bake_call *c)
{
	return bake_bool(bake_equal(c->v[0], c->v[1]));
}

static value not_equal(struct bake_call *c)
{
	return bake_bool(!bake_equal(c->v[0], c->v[1]));
}

static value and_of(struct bake_call *c)
{
	return bake_bool(c->v[0]->b && c->v[1]->b);
}

static value or_of(struct bake_call *c)
{
	return bake_bool(c->v[0]->b || c->v[1]->b);
}

static value not_of(struct bake_call *c)
{
	return bake_bool(!c->v[0]->b);
}

const struct bake_builtin bake_functions_numbers[] = {
	{"absolute", "n", absolute},
	{"add", "nn", add},
	{"and", "bb", and_of},
	{"ceil", "n", ceiling},
	{"divide", "nn", divide},
	{"equal", "??", equal},
	{"floor", "n", floor_of},
	{"greaterthan", "nn", greater},
	{"greaterthanorequalto", "nn", greater_or_equal},
	{"int", "n", truncate_of},
	{"lessthan", "nn", less},
	{"lessthanorequalto", "nn", less_or_equal},
	{"log", "nn", log_of},
	{"max", "nn*", max_of},
	{"min", "nn*", min_of},
	{"modulo", "nn", modulo},
	{"multiply", "nn", multiply},
	{"negate", "n", negate},
	{"not", "b", not_of},
	{"notequal", "??", not_equal},
	{"or", "bb", or_of},
	{"parseint", "sn", parse_int},
	{"pow", "nn", power},
	{"signum", "n", signum},
	{"subtract", "nn", subtract},
	{0},
};
