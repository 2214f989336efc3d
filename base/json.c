/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <string.h>

int js_parse(const char *what, const void *p, size_t n, json_t **ret, struct error **err)
{
	json_error_t at;
	json_t *value = json_loadb(p, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);

	if (!value)
		return error_new(err, ERR_INVALID, 0, "parse %s: line %d, column %d: %s", what,
				 at.line, at.column, at.text);
	*ret = value;
	return 0;
}

static int append(const char *p, size_t n, void *data)
{
	buf_add(data, p, n);
	return 0;
}

void js_dump(const json_t *value, bool sorted, struct buf *b)
{
	size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | (sorted ? JSON_SORT_KEYS : 0);

	(void)json_dump_callback(value, append, b, flags);
}

static void dump_go_string(const char *s, size_t n, struct buf *b)
{
	buf_addc(b, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\') {
			buf_addc(b, '\\');
			buf_addc(b, (char)c);
		} else if (c == '\n') {
			buf_adds(b, "\\n");
		} else if (c == '\r') {
			buf_adds(b, "\\r");
		} else if (c == '\t') {
			buf_adds(b, "\\t");
		} else if (c == '\b') {
			buf_adds(b, "\\b");
		} else if (c == '\f') {
			buf_adds(b, "\\f");
		} else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
			buf_addf(b, "\\u%04x", c);
		} else if (c == 0xe2 && i + 2 < n && (unsigned char)s[i + 1] == 0x80 &&
			   ((unsigned char)s[i + 2] | 1) == 0xa9) {
			buf_addf(b, "\\u202%c", (unsigned char)s[i + 2] == 0xa8 ? '8' : '9');
			i += 2;
		} else {
			buf_addc(b, (char)c);
		}
	}
	buf_addc(b, '"');
}

static void newline(unsigned indent, unsigned depth, struct buf *b)
{
	if (indent == 0)
		return;
	buf_addc(b, '\n');
	for (unsigned i = 0; i < indent * depth; i++)
		buf_addc(b, ' ');
}

static void dump_go(const json_t *value, unsigned indent, unsigned depth, bool sorted,
		    struct buf *b);

static void dump_go_member(const char *key, const json_t *value, unsigned indent, unsigned depth,
			   bool sorted, struct buf *b)
{
	newline(indent, depth, b);
	dump_go_string(key, strlen(key), b);
	buf_adds(b, indent ? ": " : ":");
	dump_go(value, indent, depth, sorted, b);
}

static void dump_go_object(const json_t *value, unsigned indent, unsigned depth, bool sorted,
			   struct buf *b)
{
	_cleanup_strv_ struct strv keys = {0};
	const char *key;
	json_t *member;

	json_object_foreach((json_t *)(uintptr_t)value, key, member) strv_push(&keys, key);
	if (sorted)
		strv_sort(&keys);
	buf_addc(b, '{');
	for (size_t i = 0; i < keys.n; i++) {
		if (i > 0)
			buf_addc(b, ',');
		dump_go_member(keys.v[i], json_object_get(value, keys.v[i]), indent, depth + 1,
			       sorted, b);
	}
	if (keys.n > 0)
		newline(indent, depth, b);
	buf_addc(b, '}');
}

static void dump_go(const json_t *value, unsigned indent, unsigned depth, bool sorted,
		    struct buf *b)
{
	if (json_is_object(value)) {
		dump_go_object(value, indent, depth, sorted, b);
	} else if (json_is_array(value)) {
		buf_addc(b, '[');
		for (size_t i = 0; i < json_array_size(value); i++) {
			if (i > 0)
				buf_addc(b, ',');
			newline(indent, depth + 1, b);
			dump_go(json_array_get(value, i), indent, depth + 1, sorted, b);
		}
		if (json_array_size(value) > 0)
			newline(indent, depth, b);
		buf_addc(b, ']');
	} else if (json_is_string(value)) {
		dump_go_string(json_string_value(value), json_string_length(value), b);
	} else {
		js_dump(value, false, b);
	}
}

void js_dump_go(const json_t *value, unsigned indent, bool sorted, struct buf *b)
{
	dump_go(value, indent, 0, sorted, b);
}

static const json_t *member(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

static int wrong_type(const char *key, const char *want, struct error **err)
{
	return error_new(err, ERR_INVALID, 0, "\"%s\" must be %s", key, want);
}

int js_string(const json_t *object, const char *key, const char **ret, struct error **err)
{
	const json_t *value = member(object, key);

	if (!value)
		return 0;
	if (!json_is_string(value))
		return wrong_type(key, "a string", err);
	*ret = json_string_value(value);
	return 0;
}

int js_int(const json_t *object, const char *key, int64_t *ret, struct error **err)
{
	const json_t *value = member(object, key);

	if (!value)
		return 0;
	if (!json_is_integer(value))
		return wrong_type(key, "an integer", err);
	*ret = json_integer_value(value);
	return 0;
}

int js_bool(const json_t *object, const char *key, bool *ret, struct error **err)
{
	const json_t *value = member(object, key);

	if (!value)
		return 0;
	if (!json_is_boolean(value))
		return wrong_type(key, "true or false", err);
	*ret = json_is_true(value);
	return 0;
}

int js_object(const json_t *object, const char *key, json_t **ret, struct error **err)
{
	const json_t *value = member(object, key);

	if (!value)
		return 0;
	if (!json_is_object(value))
		return wrong_type(key, "an object", err);
	*ret = json_object_get(object, key);
	return 0;
}

int js_array(const json_t *object, const char *key, json_t **ret, struct error **err)
{
	const json_t *value = member(object, key);

	if (!value)
		return 0;
	if (!json_is_array(value))
		return wrong_type(key, "an array", err);
	*ret = json_object_get(object, key);
	return 0;
}

int js_strings(const json_t *object, const char *key, struct strv *ret, struct error **err)
{
	json_t *array = NULL;
	int r = js_array(object, key, &array, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *value = json_array_get(array, i);

		if (!json_is_string(value))
			return wrong_type(key, "an array of strings", err);
		strv_push(ret, json_string_value(value));
	}
	return 0;
}

int js_string_map(const json_t *object, const char *key, struct strv *ret, struct error **err)
{
	json_t *map = NULL, *value;
	const char *name;
	int r = js_object(object, key, &map, err);

	if (r < 0)
		return r;
	json_object_foreach(map, name, value)
	{
		if (!json_is_string(value))
			return wrong_type(key, "an object of strings", err);
		strv_pushf(ret, "%s=%s", name, json_string_value(value));
	}
	return 0;
}
