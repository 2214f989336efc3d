/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cli/template_functions.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void template_print(const json_t *value, struct buf *out)
{
	_cleanup_strv_ struct strv keys = {0};
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(value)) {
		buf_add(out, json_string_value(value), json_string_length(value));
	} else if (json_is_array(value)) {
		buf_addc(out, '[');
		json_array_foreach(value, i, member)
		{
			buf_adds(out, i > 0 ? " " : "");
			template_print(member, out);
		}
		buf_addc(out, ']');
	} else if (json_is_object(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, key, member) strv_push(&keys, key);
		strv_sort(&keys);
		buf_adds(out, "map[");
		for (i = 0; i < keys.n; i++) {
			buf_addf(out, "%s%s:", i > 0 ? " " : "", keys.v[i]);
			template_print(json_object_get(value, keys.v[i]), out);
		}
		buf_addc(out, ']');
	} else if (!value || json_is_null(value)) {
		buf_adds(out, "<no value>");
	} else {
		js_dump(value, false, out);
	}
}

bool template_is_true(const json_t *value)
{
	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		return json_string_length(value) > 0;
	case JSON_ARRAY:
		return json_array_size(value) > 0;
	case JSON_OBJECT:
		return json_object_size(value) > 0;
	case JSON_INTEGER:
		return json_integer_value(value) != 0;
	case JSON_REAL:
		return json_real_value(value) < 0 || json_real_value(value) > 0;
	case JSON_TRUE:
		return true;
	default:
		return false;
	}
}

static json_t *take_text(struct buf *b)
{
	json_t *text = json_stringn(b->p, b->n);

	buf_release(b);
	return text ? text : json_string("");
}

static json_t *call_json(json_t *const *args, size_t n)
{
	struct buf b = BUF_INIT;

	(void)n;
	js_dump_go(args[0], 0, false, &b);
	return take_text(&b);
}

static json_t *call_index(json_t *const *args, size_t n)
{
	json_t *at = args[0];

	for (size_t i = 1; i < n && at; i++) {
		if (json_is_array(at) && json_is_integer(args[i]))
			at = json_integer_value(args[i]) < 0
				     ? NULL
				     : json_array_get(at, (size_t)json_integer_value(args[i]));
		else if (json_is_object(at) && json_is_string(args[i]))
			at = json_object_get(at, json_string_value(args[i]));
		else
			at = NULL;
	}
	/* Go's zero value of a map of strings. */
	return at ? json_incref(at) : json_string("");
}

static json_t *call_len(json_t *const *args, size_t n)
{
	size_t size = json_is_array(args[0])	? json_array_size(args[0])
		      : json_is_object(args[0]) ? json_object_size(args[0])
						: json_string_length(args[0]);

	(void)n;
	return json_integer((json_int_t)size);
}

static json_t *call_join(json_t *const *args, size_t n)
{
	const char *between = json_string_value(args[1]);
	struct buf b = BUF_INIT;
	json_t *member;
	size_t i;

	(void)n;
	json_array_foreach(args[0], i, member)
	{
		buf_adds(&b, i > 0 && between ? between : "");
		template_print(member, &b);
	}
	return take_text(&b);
}

static json_t *call_split(json_t *const *args, size_t n)
{
	const char *text = json_string_value(args[0]), *at = json_string_value(args[1]), *next;
	json_t *list = json_array();

	(void)n;
	while (text && at && *at && (next = strstr(text, at))) {
		json_array_append_new(list, json_stringn(text, (size_t)(next - text)));
		text = next + strlen(at);
	}
	json_array_append_new(list, json_string(text ? text : ""));
	return list;
}

static json_t *map_letters(const json_t *value, int (*first)(int), int (*rest)(int))
{
	struct buf b = BUF_INIT;

	template_print(value, &b);
	for (size_t i = 0; i < b.n; i++) {
		int c = (unsigned char)b.p[i];

		if (c < 128)
			b.p[i] = (char)(i == 0 ? first(c) : rest(c));
	}
	return take_text(&b);
}

static int same(int c)
{
	return c;
}

static json_t *call_upper(json_t *const *args, size_t n)
{
	(void)n;
	return map_letters(args[0], toupper, toupper);
}

static json_t *call_lower(json_t *const *args, size_t n)
{
	(void)n;
	return map_letters(args[0], tolower, tolower);
}

static json_t *call_title(json_t *const *args, size_t n)
{
	(void)n;
	return map_letters(args[0], toupper, same);
}

static json_t *call_print(json_t *const *args, size_t n)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		template_print(args[i], &b);
	return take_text(&b);
}

static json_t *call_println(json_t *const *args, size_t n)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		buf_adds(&b, i > 0 ? " " : "");
		template_print(args[i], &b);
	}
	buf_addc(&b, '\n');
	return take_text(&b);
}

static json_t *call_eq(json_t *const *args, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (json_equal(args[0], args[i]))
			return json_true();
	return json_false();
}

static json_t *call_ne(json_t *const *args, size_t n)
{
	(void)n;
	return json_boolean(!json_equal(args[0], args[1]));
}

static json_t *call_not(json_t *const *args, size_t n)
{
	(void)n;
	return json_boolean(!template_is_true(args[0]));
}

static json_t *call_and(json_t *const *args, size_t n)
{
	size_t i = 0;

	while (i + 1 < n && template_is_true(args[i]))
		i++;
	return json_incref(args[i]);
}

static json_t *call_or(json_t *const *args, size_t n)
{
	size_t i = 0;

	while (i + 1 < n && !template_is_true(args[i]))
		i++;
	return json_incref(args[i]);
}

/* -1, 0 or 1; false where Go does not compare them. */
static bool compare(const json_t *a, const json_t *b, int *ret)
{
	if (json_is_string(a) && json_is_string(b)) {
		int c = strcmp(json_string_value(a), json_string_value(b));

		*ret = (c > 0) - (c < 0);
		return true;
	}
	if (json_is_integer(a) && json_is_integer(b))
		*ret = (json_integer_value(a) > json_integer_value(b)) -
		       (json_integer_value(a) < json_integer_value(b));
	else if (json_is_number(a) && json_is_number(b))
		*ret = (json_number_value(a) > json_number_value(b)) -
		       (json_number_value(a) < json_number_value(b));
	else
		return false;
	return true;
}

static json_t *call_lt(json_t *const *args, size_t n)
{
	int order;

	(void)n;
	return compare(args[0], args[1], &order) ? json_boolean(order < 0) : NULL;
}

static json_t *call_le(json_t *const *args, size_t n)
{
	int order;

	(void)n;
	return compare(args[0], args[1], &order) ? json_boolean(order <= 0) : NULL;
}

static json_t *call_gt(json_t *const *args, size_t n)
{
	int order;

	(void)n;
	return compare(args[0], args[1], &order) ? json_boolean(order > 0) : NULL;
}

static json_t *call_ge(json_t *const *args, size_t n)
{
	int order;

	(void)n;
	return compare(args[0], args[1], &order) ? json_boolean(order >= 0) : NULL;
}

/* slice X FROM TO: bytes of a text, or members of a list. */
static json_t *call_slice(json_t *const *args, size_t n)
{
	bool text = json_is_string(args[0]);
	size_t size = text ? json_string_length(args[0]) : json_array_size(args[0]);
	size_t bounds[2] = {0, size};
	json_t *list;

	if (!text && !json_is_array(args[0]))
		return NULL;
	for (size_t i = 1; i < n; i++) {
		json_int_t at = json_integer_value(args[i]);

		if (!json_is_integer(args[i]) || at < 0 || (size_t)at > size)
			return NULL;
		bounds[i - 1] = (size_t)at;
	}
	if (bounds[0] > bounds[1])
		return NULL;
	if (text)
		return json_stringn(json_string_value(args[0]) + bounds[0], bounds[1] - bounds[0]);
	list = json_array();
	for (size_t i = bounds[0]; i < bounds[1]; i++)
		json_array_append(list, json_array_get(args[0], i));
	return list;
}

/* docker's own: the first letters of a text; and a text between blanks. */
static json_t *call_truncate(json_t *const *args, size_t n)
{
	const char *text = json_string_value(args[0]);
	json_int_t most = json_integer_value(args[1]);
	size_t size = 0;

	(void)n;
	if (!text || !json_is_integer(args[1]) || most < 0)
		return NULL;
	for (; text[size] && most > 0; most--)
		for (size++; (text[size] & 0xc0) == 0x80;)
			size++;
	return json_stringn(text, size);
}

static json_t *call_pad(json_t *const *args, size_t n)
{
	enum { PAD_MAX = 1000 };
	json_int_t before = json_integer_value(args[1]), after = json_integer_value(args[2]);
	struct buf b = BUF_INIT;

	(void)n;
	if (!json_is_string(args[0]) || before < 0 || after < 0 || before > PAD_MAX ||
	    after > PAD_MAX)
		return NULL;
	if (json_string_length(args[0]) > 0)
		buf_addf(&b, "%*s%s%*s", (int)before, "", json_string_value(args[0]), (int)after,
			 "");
	return take_text(&b);
}

static json_t *call_printf(json_t *const *args, size_t n)
{
	struct buf b = BUF_INIT;

	if (json_is_string(args[0]) &&
	    template_printf(json_string_value(args[0]), args + 1, n - 1, &b))
		return take_text(&b);
	buf_release(&b);
	return NULL;
}

/* NULL: the arguments are not of the kind that it takes. */
static const struct {
	const char *name;
	size_t min, max;
	json_t *(*call)(json_t *const *args, size_t n);
} functions[] = {
	{"and", 1, 16, call_and},	{"eq", 2, 16, call_eq},
	{"ge", 2, 2, call_ge},		{"gt", 2, 2, call_gt},
	{"index", 1, 16, call_index},	{"join", 2, 2, call_join},
	{"json", 1, 1, call_json},	{"le", 2, 2, call_le},
	{"len", 1, 1, call_len},	{"lower", 1, 1, call_lower},
	{"lt", 2, 2, call_lt},		{"ne", 2, 2, call_ne},
	{"not", 1, 1, call_not},	{"or", 1, 16, call_or},
	{"pad", 3, 3, call_pad},	{"print", 0, 16, call_print},
	{"printf", 1, 16, call_printf}, {"println", 0, 16, call_println},
	{"slice", 1, 3, call_slice},	{"split", 2, 2, call_split},
	{"title", 1, 1, call_title},	{"truncate", 2, 2, call_truncate},
	{"upper", 1, 1, call_upper},
};

bool template_function_exists(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (strcmp(functions[i].name, name) == 0)
			return true;
	return false;
}

int template_function_call(const char *name, json_t *const *args, size_t n, json_t **ret,
			   struct error **err)
{
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		if (strcmp(functions[i].name, name) != 0)
			continue;
		if (n < functions[i].min || n > functions[i].max)
			return error_new(err, ERR_INVALID, 0,
					 "template: wrong number of arguments for %s", name);
		*ret = functions[i].call(args, n);
		return *ret ? 0
			    : error_new(err, ERR_INVALID, 0,
					"template: %s does not take these arguments", name);
	}
	return error_new(err, ERR_INVALID, 0, "template: there is no function \"%s\"", name);
}
