/* SPDX-License-Identifier: Apache-2.0 */
/* Values of bake files, and the types that variables and convert() name.
 *
 * Everything lies in one arena and never changes once it is made. A number is its canonical decimal
 * text, so that none is ever rounded to a double: 9007199254740993 stays what it is, and 0.1 + 0.2 is
 * 0.3. Sums, differences and products are exact; a quotient has BAKE_DIGITS significant digits.
 *
 * Names of maps and objects are sorted bytewise, elements of sets are sorted and differ.
 */
#ifndef KILN_FRONTEND_BAKE_BAKE_VALUE_H
#define KILN_FRONTEND_BAKE_BAKE_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum {
	BAKE_DIGITS = 154,	     /* of a quotient: what the 512 bits of others hold */
	BAKE_NUMBER_MAX = 4096,	     /* bytes of a number's text */
	BAKE_VALUE_DEPTH = 200,	     /* lists in lists */
	BAKE_MEMORY_MAX = 256 << 20, /* of all that one evaluation makes */
};

enum bake_kind {
	BAKE_NULL,
	BAKE_BOOL,
	BAKE_NUMBER,
	BAKE_STRING,
	BAKE_LIST,   /* elements of one type */
	BAKE_SET,    /* the same, sorted, each once */
	BAKE_TUPLE,  /* [a, b] as it is written: each its own type */
	BAKE_MAP,    /* names, and elements of one type */
	BAKE_OBJECT, /* {a = b} as it is written */
};

struct bake_value {
	enum bake_kind kind;
	bool b;
	const char *s;	    /* BAKE_STRING, BAKE_NUMBER */
	size_t n;	    /* elements */
	const char **names; /* of maps and objects */
	const struct bake_value **v;
};

/* Values under construction: elements in order, or names that are sorted in. */
struct bake_builder {
	struct arena *arena;
	size_t n, cap;
	const char **names;
	const struct bake_value **v;
};

const struct bake_value *bake_null(void);
const struct bake_value *bake_bool(bool b);
const struct bake_value *bake_string(struct arena *a, const char *s); /* copies */
const struct bake_value *bake_stringn(struct arena *a, const char *s, size_t n);
const struct bake_value *bake_int(struct arena *a, int64_t n);
/* Decimal text, perhaps with an exponent. NULL where it is not a number, or too long. */
const struct bake_value *bake_number(struct arena *a, const char *text);

void bake_push(struct bake_builder *b, const struct bake_value *v);
/* A later value of a name replaces the earlier one. */
void bake_put(struct bake_builder *b, const char *name, const struct bake_value *v);
const struct bake_value *bake_sequence(struct bake_builder *b, enum bake_kind kind);
const struct bake_value *bake_mapping(struct bake_builder *b, enum bake_kind kind);

bool bake_is_sequence(const struct bake_value *v); /* list, set or tuple */
bool bake_is_mapping(const struct bake_value *v);  /* map or object */
/* NULL if there is none. */
const struct bake_value *bake_member(const struct bake_value *v, const char *name);
bool bake_equal(const struct bake_value *a, const struct bake_value *b);
/* Orders what a set may hold. */
int bake_compare(const struct bake_value *a, const struct bake_value *b);
/* The integer that a number is; false if it is not one or does not fit. */
bool bake_to_int(const struct bake_value *v, int64_t *ret);
/* The text of a string, number or bool; NULL of anything else. Borrowed. */
const char *bake_text(const struct bake_value *v);
/* What a value is called in messages: "string", "list of numbers", ... */
const char *bake_kind_name(const struct bake_value *v);
/* Go's encoding/json form. */
void bake_to_json(const struct bake_value *v, struct buf *b);

/* --- numbers --- */

enum bake_op { OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD };
/* NULL: division by zero, or a result that is longer than BAKE_NUMBER_MAX. */
const struct bake_value *bake_arithmetic(struct arena *a, enum bake_op op,
					 const struct bake_value *x, const struct bake_value *y);
int bake_number_compare(const char *x, const char *y);
/* Up or down to a whole number, or towards zero (direction 1, -1, 0). */
const struct bake_value *bake_round(struct arena *a, const struct bake_value *x, int direction);

/* --- types --- */

struct bake_type {
	enum {
		TYPE_ANY,
		TYPE_STRING,
		TYPE_NUMBER,
		TYPE_BOOL,
		TYPE_LIST,
		TYPE_SET,
		TYPE_MAP,
		TYPE_TUPLE,
		TYPE_OBJECT
	} kind;
	size_t n; /* 1 of lists, sets and maps */
	const struct bake_type **v;
	const char **names; /* of objects */
	bool *optional;
};

/* "list of string"; in the arena. */
const char *bake_type_name(struct arena *a, const struct bake_type *t);
/* The value as one of this type. NULL where it cannot be, with what is wrong in *why (in the arena):
 * "a string is required, not a list". null is of every type. */
const struct bake_value *bake_convert(struct arena *a, const struct bake_value *v,
				      const struct bake_type *t, const char **why);
extern const struct bake_type bake_type_string, bake_type_number, bake_type_bool, bake_type_any;
/* What the two results of a condition have in common; false if nothing. */
bool bake_unify(struct arena *a, const struct bake_value **x, const struct bake_value **y);

#endif
