/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cache/explain.h"

#include <string.h>

#include "base/strv.h"

enum { FILES_NAMED = 5, VALUE_MAX = 60 };

static void reason(struct buf *b)
{
	if (b->n > 0)
		buf_adds(b, "; ");
}

static void add_owner(struct buf *b, const json_t *owner)
{
	const char *user = json_string_value(json_object_get(owner, "user"));
	const char *group = json_string_value(json_object_get(owner, "group"));

	if (user && *user)
		buf_adds(b, user);
	else
		buf_addf(b, "%lld", (long long)json_integer_value(json_object_get(owner, "uid")));
	if (group && *group)
		buf_addf(b, ":%s", group);
	else if (!user || !*user || json_is_true(json_object_get(owner, "group_set")))
		buf_addf(b, ":%lld", (long long)json_integer_value(json_object_get(owner, "gid")));
}

/* Numbers that stand for something. */
static bool add_number(struct buf *b, const char *key, json_int_t n)
{
	static const char *const networks[] = {"default", "host", "none"};
	static const char *const securities[] = {"sandbox", "insecure"};

	if (strcmp(key, "network") == 0 && n >= 0 && n < (json_int_t)ARRAY_SIZE(networks))
		buf_adds(b, networks[n]);
	else if (strcmp(key, "security") == 0 && n >= 0 && n < (json_int_t)ARRAY_SIZE(securities))
		buf_adds(b, securities[n]);
	else if (strcmp(key, "mode") == 0 && n < 0)
		buf_adds(b, "that of the files");
	else if (strcmp(key, "mode") == 0)
		buf_addf(b, "%04llo", (unsigned long long)n);
	else
		return false;
	return true;
}

/* A value as it is named: a string in quotes, cut short; the last of a list. */
static void add_value(struct buf *b, const char *key, const json_t *v)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (json_is_array(v) && json_array_size(v) > 0)
		v = json_array_get(v, json_array_size(v) - 1);
	if (strcmp(key, "owner") == 0 && !json_is_object(v)) {
		buf_adds(b, "that of the files");
		return;
	}
	if (!v || json_is_null(v) || (json_is_array(v) && json_array_size(v) == 0)) {
		buf_adds(b, "nothing");
		return;
	}
	if (strcmp(key, "owner") == 0) {
		add_owner(b, v);
		return;
	}
	if (json_is_integer(v) && add_number(b, key, json_integer_value(v)))
		return;
	js_dump(v, true, &text);
	if (text.n <= VALUE_MAX)
		buf_add(b, text.p, text.n);
	else
		buf_addf(b, "%.*s...", VALUE_MAX, text.p);
}

/* --- The op --- */

/* The value of NAME in ["NAME=value", ...]; NULL if it is not set. */
static const char *env_value(const json_t *env, const char *entry)
{
	size_t n = strcspn(entry, "=") + 1, i;
	const json_t *item;

	json_array_foreach(env, i, item)
	{
		const char *text = json_string_value(item);

		if (text && strncmp(text, entry, n) == 0)
			return text + n;
	}
	return NULL;
}

static void env_differs(struct buf *b, const json_t *now, const json_t *then)
{
	const json_t *item;
	size_t i, before = b->n;

	json_array_foreach(now, i, item)
	{
		const char *text = json_string_value(item);
		const char *old = text && strchr(text, '=') ? env_value(then, text) : "";
		const char *new = text ? strchr(text, '=') : NULL;

		if (!new || (old && strcmp(old, new + 1) == 0))
			continue;
		reason(b);
		buf_addf(b, "variable %.*s is ", (int)(new - text), text);
		buf_addf(b, "\"%.*s\"", VALUE_MAX, new + 1);
		if (old)
			buf_addf(b, ", it was \"%.*s\"", VALUE_MAX, old);
		else
			buf_adds(b, ", it was not set");
	}
	json_array_foreach(then, i, item)
	{
		const char *text = json_string_value(item);

		if (!text || !strchr(text, '=') || env_value(now, text))
			continue;
		reason(b);
		buf_addf(b, "variable %.*s is no longer set", (int)strcspn(text, "="), text);
	}
	if (b->n == before) {
		reason(b);
		buf_adds(b, "the variables are in another order");
	}
}

static const char *field_words(const char *key)
{
	static const struct {
		const char *key, *words;
	} names[] = {
		{"args", "the command"},
		{"arch", "the architecture"},
		{"cwd", "the working directory"},
		{"data", "the text of the file"},
		{"dest", "the destination"},
		{"exclude", "what is excluded"},
		{"extra_hosts", "the extra host"},
		{"hostname", "the host name"},
		{"include", "what is included"},
		{"mode", "the mode"},
		{"mode_text", "the mode"},
		{"network", "the network mode"},
		{"owner", "the owner"},
		{"path", "the path"},
		{"security", "the security mode"},
		{"shm_size", "the size of /dev/shm in bytes"},
		{"src", "the source's name"},
		{"user", "the user"},
		{"variant", "the architecture's variant"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i].key, key) == 0)
			return names[i].words;
	return NULL;
}

static void changed(struct buf *b, const char *key, const json_t *now, const json_t *then)
{
	reason(b);
	if (field_words(key))
		buf_addf(b, "%s is ", field_words(key));
	else
		buf_addf(b, "field '%s' is ", key);
	add_value(b, key, now);
	buf_adds(b, ", it was ");
	add_value(b, key, then);
}

static void op_differs(struct buf *b, const char *key, const json_t *now, const json_t *then);

/* Lists whose items have names, and what an item is called. */
static const struct named_list {
	const char *key, *name, *words;
} named_lists[] = {
	{"devices", "name", "device"},
	{"mounts", "dest", "mount at"},
	{"secret_envs", "name", "secret in variable"},
	{"ulimits", "name", "ulimit"},
};

static const json_t *item_named(const json_t *list, const char *key, const json_t *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (json_equal(json_object_get(item, key), name))
			return item;
	}
	return NULL;
}

static void named_differ(struct buf *b, const struct named_list *l, const json_t *now,
			 const json_t *then)
{
	const json_t *item;
	size_t i;

	json_array_foreach(now, i, item)
	{
		const json_t *name = json_object_get(item, l->name);
		const json_t *old = item_named(then, l->name, name);

		if (old) {
			op_differs(b, l->key, item, old);
			continue;
		}
		reason(b);
		buf_addf(b, "the %s %s is new", l->words, json_string_value(name));
	}
	json_array_foreach(then, i, item)
	{
		const json_t *name = json_object_get(item, l->name);

		if (item_named(now, l->name, name))
			continue;
		reason(b);
		buf_addf(b, "the %s %s is gone", l->words, json_string_value(name));
	}
}

static void list_differs(struct buf *b, const char *key, const json_t *now, const json_t *then)
{
	bool texts =
		json_is_string(json_array_get(now, 0)) || json_is_string(json_array_get(then, 0));

	if (strcmp(key, "env") == 0) {
		env_differs(b, now, then);
		return;
	}
	if (texts) {
		changed(b, key, now, then);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(named_lists); i++) {
		if (strcmp(key, named_lists[i].key) == 0) {
			named_differ(b, &named_lists[i], now, then);
			return;
		}
	}
	if (json_array_size(now) != json_array_size(then)) {
		reason(b);
		buf_addf(b, "it has %zu %s, it had %zu", json_array_size(now), key,
			 json_array_size(then));
		return;
	}
	for (size_t i = 0; i < json_array_size(now); i++)
		op_differs(b, key, json_array_get(now, i), json_array_get(then, i));
}

/* Walks both at once; names the fields that differ by the innermost key. */
static void op_differs(struct buf *b, const char *key, const json_t *now, const json_t *then)
{
	const char *inner;
	const json_t *value;

	if (json_equal(now, then))
		return;
	if (json_is_array(now) && json_is_array(then)) {
		list_differs(b, key, now, then);
		return;
	}
	if (!json_is_object(now) || !json_is_object(then)) {
		changed(b, key, now, then);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)now, inner,
			    value) if (json_object_get(then, inner))
		op_differs(b, inner, value, json_object_get(then, inner));
	json_object_foreach((json_t *)(uintptr_t)now, inner, value)
	{
		if (json_object_get(then, inner))
			continue;
		reason(b);
		buf_addf(b, "it has '%s'", inner);
	}
	json_object_foreach((json_t *)(uintptr_t)then, inner, value)
	{
		if (json_object_get(now, inner))
			continue;
		reason(b);
		buf_addf(b, "it no longer has '%s'", inner);
	}
}

/* --- The inputs --- */

struct file_list {
	struct buf *b;
	size_t named, more;
};

static void name_file(struct file_list *l, const char *path, const char *what)
{
	if (l->named == FILES_NAMED) {
		l->more++;
		return;
	}
	reason(l->b);
	buf_addf(l->b, "%s %s", *path ? path : "/", what);
	l->named++;
}

/* What counts of a file depends on whether the copy gives it a mode or an owner: `alike` if both do
 * the same, so that other digests are other files. */
static bool files_differ(struct buf *b, const json_t *now, const json_t *then, bool alike)
{
	struct file_list list = {.b = b};
	const json_t *value;
	const char *path;

	json_object_foreach((json_t *)(uintptr_t)now, path, value)
	{
		const json_t *old = json_object_get(then, path);

		if (!old)
			name_file(&list, path, "is new");
		else if (alike && !json_equal(value, old))
			name_file(&list, path, "changed");
	}
	json_object_foreach((json_t *)(uintptr_t)then, path, value) if (!json_object_get(now, path))
		name_file(&list, path, "is gone");
	if (list.more > 0) {
		reason(b);
		buf_addf(b, "%zu more files differ", list.more);
	}
	return list.named > 0;
}

/* The name without "[stage 2/5] ". */
static const char *short_name(const json_t *input)
{
	const char *name = json_string_value(json_object_get(input, "name"));
	const char *end = name && *name == '[' ? strstr(name, "] ") : NULL;

	if (!name || !*name)
		return "an empty root file system";
	return end && strncmp(name, "[internal", 9) != 0 ? end + 2 : name;
}

static void input_differs(struct buf *b, const json_t *now, const json_t *then, bool alike)
{
	const json_t *a = json_object_get(now, "content"), *c = json_object_get(then, "content");

	if (json_equal(a, c) && !json_is_null(a))
		return;
	if (json_is_null(a) || json_is_null(c)) {
		if (strcmp(short_name(now), short_name(then)) == 0)
			return;
		reason(b);
		buf_addf(b, "it is made of '%s', it was of '%s'", short_name(now),
			 short_name(then));
		return;
	}
	if (files_differ(b, json_object_get(now, "files"), json_object_get(then, "files"), alike))
		return;
	if (!alike && json_object_size(json_object_get(now, "files")) > 0)
		return;
	reason(b);
	if (json_is_true(json_object_get(now, "cut")))
		buf_addf(b, "of '%s' a file differs that is beyond the first %zu", short_name(now),
			 json_object_size(json_object_get(now, "files")));
	else if (strcmp(short_name(now), short_name(then)) != 0)
		buf_addf(b, "it follows '%s' and not '%s', which left other files", short_name(now),
			 short_name(then));
	else
		buf_addf(b, "'%s' left other files", short_name(now));
}

/* Do both give what they copy the same modes and owners, if any? */
static bool overrides_alike(const json_t *a, const json_t *b)
{
	static const char *const keys[] = {"mode", "mode_text", "owner"};
	const json_t *value;
	const char *key;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		value = json_object_get(a, keys[i]);
		if (value && !json_equal(value, json_object_get(b, keys[i])))
			return false;
	}
	json_object_foreach((json_t *)(uintptr_t)a, key, value)
	{
		if (!overrides_alike(value, json_object_get(b, key)))
			return false;
	}
	json_array_foreach(a, i, value)
	{
		if (!overrides_alike(value, json_array_get(b, i)))
			return false;
	}
	return true;
}

void explain_difference(const json_t *now, const json_t *then, struct buf *b)
{
	const json_t *inputs = json_object_get(now, "inputs");
	const json_t *before = json_object_get(then, "inputs");
	bool alike = overrides_alike(json_object_get(now, "op"), json_object_get(then, "op"));

	op_differs(b, "op", json_object_get(now, "op"), json_object_get(then, "op"));
	if (!json_equal(json_object_get(now, "salt"), json_object_get(then, "salt"))) {
		reason(b);
		buf_adds(b, "a secret given with cachekey=hash has another value");
	}
	for (size_t i = 0; i < json_array_size(inputs) && i < json_array_size(before); i++)
		input_differs(b, json_array_get(inputs, i), json_array_get(before, i), alike);
	if (json_array_size(inputs) != json_array_size(before)) {
		reason(b);
		buf_addf(b, "it has %zu inputs, it had %zu", json_array_size(inputs),
			 json_array_size(before));
	}
}

bool explain_is_same_command(const json_t *a, const json_t *b)
{
	const json_t *x = json_object_get(json_object_get(a, "op"), "op");
	const json_t *y = json_object_get(json_object_get(b, "op"), "op");
	const json_t *args = json_object_get(x, "args");

	return args ? json_equal(args, json_object_get(y, "args")) : json_equal(x, y);
}

static unsigned equal_fields(const json_t *a, const json_t *b)
{
	unsigned n = 0;
	const char *key;
	const json_t *value;
	size_t i;

	if (json_equal(a, b))
		n += 3;
	if (json_is_object(a))
		json_object_foreach((json_t *)(uintptr_t)a, key, value) n +=
			equal_fields(value, json_object_get(b, key));
	if (json_is_array(a))
		json_array_foreach(a, i, value) n += equal_fields(value, json_array_get(b, i));
	return n;
}

unsigned explain_likeness(const json_t *a, const json_t *b)
{
	unsigned n = equal_fields(json_object_get(a, "op"), json_object_get(b, "op"));
	const json_t *inputs = json_object_get(a, "inputs"), *input;
	const json_t *others = json_object_get(b, "inputs");
	size_t i;

	json_array_foreach(inputs, i, input) n +=
		equal_fields(json_object_get(input, "content"),
			     json_object_get(json_array_get(others, i), "content"));
	return n;
}
