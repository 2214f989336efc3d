/* SPDX-License-Identifier: Apache-2.0 */
#include "base/image_config.h"

#include <stdlib.h>
#include <string.h>

#define DOCUMENT "image config"

void image_config_init(struct image_config *c, const struct platform *platform)
{
	memset(c, 0, sizeof(*c));
	if (platform)
		c->platform = *platform;
}

static void healthcheck_free(struct healthcheck *h)
{
	if (!h)
		return;
	strv_release(&h->test);
	free(h);
}

void image_config_release(struct image_config *c)
{
	free(c->author);
	free(c->created);
	free(c->user);
	free(c->working_dir);
	free(c->stop_signal);
	strv_release(&c->env);
	strv_release(&c->cmd);
	strv_release(&c->entrypoint);
	strv_release(&c->on_build);
	strv_release(&c->shell);
	strv_release(&c->exposed_ports);
	strv_release(&c->volumes);
	strv_release(&c->labels);
	healthcheck_free(c->healthcheck);
	vec_release(&c->diff_ids);
	for (size_t i = 0; i < c->history.n; i++) {
		free(c->history.v[i].created);
		free(c->history.v[i].created_by);
		free(c->history.v[i].author);
		free(c->history.v[i].comment);
	}
	vec_release(&c->history);
	json_decref(c->unknown);
	json_decref(c->unknown_config);
	memset(c, 0, sizeof(*c));
}

static struct healthcheck *healthcheck_dup(const struct healthcheck *from)
{
	struct healthcheck *h;

	if (!from)
		return NULL;
	h = NEW(struct healthcheck);
	*h = *from;
	h->test = (struct strv){0};
	strv_copy(&h->test, &from->test);
	return h;
}

void image_config_copy(struct image_config *to, const struct image_config *from)
{
	image_config_init(to, &from->platform);
	to->author = xstrdup(from->author);
	to->created = xstrdup(from->created);
	to->user = xstrdup(from->user);
	to->working_dir = xstrdup(from->working_dir);
	to->stop_signal = xstrdup(from->stop_signal);
	strv_copy(&to->env, &from->env);
	strv_copy(&to->cmd, &from->cmd);
	strv_copy(&to->entrypoint, &from->entrypoint);
	strv_copy(&to->on_build, &from->on_build);
	strv_copy(&to->shell, &from->shell);
	to->cmd_set = from->cmd_set;
	to->entrypoint_set = from->entrypoint_set;
	strv_copy(&to->exposed_ports, &from->exposed_ports);
	strv_copy(&to->volumes, &from->volumes);
	strv_copy(&to->labels, &from->labels);
	to->args_escaped = from->args_escaped;
	to->healthcheck = healthcheck_dup(from->healthcheck);
	for (size_t i = 0; i < from->diff_ids.n; i++)
		vec_push(&to->diff_ids, from->diff_ids.v[i]);
	for (size_t i = 0; i < from->history.n; i++) {
		const struct image_history *h = &from->history.v[i];

		vec_push(&to->history, (struct image_history){
					       .created = xstrdup(h->created),
					       .created_by = xstrdup(h->created_by),
					       .author = xstrdup(h->author),
					       .comment = xstrdup(h->comment),
					       .empty_layer = h->empty_layer,
				       });
	}
	to->unknown = json_deep_copy(from->unknown);
	to->unknown_config = json_deep_copy(from->unknown_config);
}

void image_config_add_history(struct image_config *c, const char *created, const char *created_by,
			      const char *comment, bool empty_layer)
{
	vec_push(&c->history, (struct image_history){
				      .created = xstrdup(created),
				      .created_by = xstrdup(created_by),
				      .comment = xstrdup(comment),
				      .empty_layer = empty_layer,
			      });
}

/* Parsing. */

static int take_string(const json_t *object, const char *key, char **ret, struct error **err)
{
	const char *s = NULL;
	int r = js_string(object, key, &s, err);

	if (r == 0 && s && *s)
		*ret = xstrdup(s);
	return r;
}

static int take_platform_field(const json_t *doc, const char *key, char *to, size_t size,
			       struct error **err)
{
	const char *s = NULL;
	int r = js_string(doc, key, &s, err);

	if (r < 0 || !s)
		return r;
	if (strlen(s) >= size)
		return error_new(err, ERR_INVALID, 0, "\"%s\" is too long: \"%.64s\"", key, s);
	memcpy(to, s, strlen(s) + 1);
	return 0;
}

static int parse_platform(const json_t *doc, struct platform *p, struct error **err)
{
	int r = take_platform_field(doc, "os", p->os, sizeof(p->os), err);

	if (r == 0)
		r = take_platform_field(doc, "architecture", p->arch, sizeof(p->arch), err);
	if (r == 0)
		r = take_platform_field(doc, "variant", p->variant, sizeof(p->variant), err);
	if (r == 0)
		r = take_platform_field(doc, "os.version", p->os_version, sizeof(p->os_version),
					err);
	return r;
}

/* A set is written as an object whose values are empty objects. */
static int take_set(const json_t *config, const char *key, struct strv *ret, struct error **err)
{
	json_t *set = NULL, *value;
	const char *name;
	int r = js_object(config, key, &set, err);

	if (r < 0)
		return r;
	json_object_foreach(set, name, value) strv_push(ret, name);
	strv_sort(ret);
	return 0;
}

static int parse_healthcheck(const json_t *config, struct image_config *c, struct error **err)
{
	json_t *o = NULL;
	struct healthcheck *h;
	int r = js_object(config, "Healthcheck", &o, err);

	if (r < 0 || !o)
		return r;
	h = c->healthcheck = NEW(struct healthcheck);
	r = js_strings(o, "Test", &h->test, err);
	if (r == 0)
		r = js_int(o, "Interval", &h->interval, err);
	if (r == 0)
		r = js_int(o, "Timeout", &h->timeout, err);
	if (r == 0)
		r = js_int(o, "StartPeriod", &h->start_period, err);
	if (r == 0)
		r = js_int(o, "StartInterval", &h->start_interval, err);
	if (r == 0)
		r = js_int(o, "Retries", &h->retries, err);
	return r;
}

static int parse_config_lists(const json_t *config, struct image_config *c, struct error **err)
{
	int r = js_strings(config, "Env", &c->env, err);

	if (r == 0)
		r = js_strings(config, "Cmd", &c->cmd, err);
	if (r == 0)
		r = js_strings(config, "Entrypoint", &c->entrypoint, err);
	if (r == 0)
		r = js_strings(config, "OnBuild", &c->on_build, err);
	if (r == 0)
		r = js_strings(config, "Shell", &c->shell, err);
	if (r == 0)
		r = take_set(config, "ExposedPorts", &c->exposed_ports, err);
	if (r == 0)
		r = take_set(config, "Volumes", &c->volumes, err);
	if (r == 0)
		r = js_string_map(config, "Labels", &c->labels, err);
	c->cmd_set = json_is_array(json_object_get(config, "Cmd"));
	c->entrypoint_set = json_is_array(json_object_get(config, "Entrypoint"));
	strv_sort(&c->labels);
	return r;
}

/* A copy of `object` without the members that are kept typed; NULL if nothing remains. */
static json_t *others(const json_t *object, const char *const *known, size_t n)
{
	json_t *copy = json_deep_copy(object);

	for (size_t i = 0; i < n; i++)
		(void)json_object_del(copy, known[i]);
	if (json_object_size(copy) > 0)
		return copy;
	json_decref(copy);
	return NULL;
}

static int parse_config(const json_t *doc, struct image_config *c, struct error **err)
{
	static const char *const known[] = {
		"User",	       "ExposedPorts", "Env",	 "Entrypoint", "Cmd",
		"Volumes",     "WorkingDir",   "Labels", "StopSignal", "ArgsEscaped",
		"Healthcheck", "OnBuild",      "Shell",
	};
	json_t *config = NULL;
	int r = js_object(doc, "config", &config, err);

	if (r < 0 || !config)
		return r;
	r = take_string(config, "User", &c->user, err);
	if (r == 0)
		r = take_string(config, "WorkingDir", &c->working_dir, err);
	if (r == 0)
		r = take_string(config, "StopSignal", &c->stop_signal, err);
	if (r == 0)
		r = js_bool(config, "ArgsEscaped", &c->args_escaped, err);
	if (r == 0)
		r = parse_config_lists(config, c, err);
	if (r == 0)
		r = parse_healthcheck(config, c, err);
	if (r == 0)
		c->unknown_config = others(config, known, ARRAY_SIZE(known));
	return r;
}

static int parse_rootfs(const json_t *doc, struct image_config *c, struct error **err)
{
	_cleanup_strv_ struct strv ids = {0};
	json_t *rootfs = NULL;
	int r = js_object(doc, "rootfs", &rootfs, err);

	if (r == 0 && rootfs)
		r = js_strings(rootfs, "diff_ids", &ids, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ids.n; i++) {
		struct digest d;

		if (digest_parse(ids.v[i], &d) < 0)
			return error_new(
				err, ERR_INVALID, 0,
				"\"rootfs.diff_ids\" holds \"%.80s\", which is not a sha256 digest",
				ids.v[i]);
		vec_push(&c->diff_ids, d);
	}
	return 0;
}

static int parse_history(const json_t *doc, struct image_config *c, struct error **err)
{
	json_t *rows = NULL;
	int r = js_array(doc, "history", &rows, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		struct image_history *h;

		if (!json_is_object(row))
			return error_new(err, ERR_INVALID, 0, "\"history\" must hold objects");
		vec_push(&c->history, (struct image_history){0});
		h = &vec_last(&c->history);
		r = take_string(row, "created", &h->created, err);
		if (r == 0)
			r = take_string(row, "created_by", &h->created_by, err);
		if (r == 0)
			r = take_string(row, "author", &h->author, err);
		if (r == 0)
			r = take_string(row, "comment", &h->comment, err);
		if (r == 0)
			r = js_bool(row, "empty_layer", &h->empty_layer, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_document(const json_t *doc, struct image_config *c, struct error **err)
{
	static const char *const known[] = {"architecture", "author",  "config",
					    "created",	    "history", "os",
					    "os.version",   "rootfs",  "variant"};
	int r;

	if (!json_is_object(doc))
		return error_new(err, ERR_INVALID, 0, "it must be an object");
	r = parse_platform(doc, &c->platform, err);
	if (r == 0)
		r = take_string(doc, "author", &c->author, err);
	if (r == 0)
		r = take_string(doc, "created", &c->created, err);
	if (r == 0)
		r = parse_config(doc, c, err);
	if (r == 0)
		r = parse_rootfs(doc, c, err);
	if (r == 0)
		r = parse_history(doc, c, err);
	if (r == 0)
		c->unknown = others(doc, known, ARRAY_SIZE(known));
	return r;
}

int image_config_parse(const void *json, size_t n, struct image_config *ret, struct error **err)
{
	_cleanup_json_ json_t *doc = NULL;
	struct image_config c;
	int r = js_parse(DOCUMENT, json, n, &doc, err);

	if (r < 0)
		return r;
	image_config_init(&c, NULL);
	r = parse_document(doc, &c, err);
	if (r < 0) {
		image_config_release(&c);
		return error_wrap(err, r, "parse " DOCUMENT);
	}
	*ret = c;
	return 0;
}

/* Writing. Empty members are left out, as the omitempty tags of the peers' types do. */

/* Text of Dockerfiles may hold any bytes; as Go's encoder does, what is not UTF-8 becomes
 * U+FFFD. */
static json_t *text_value(const char *s, size_t n)
{
	json_t *value = json_stringn(s, n);
	struct buf b = BUF_INIT;

	if (value)
		return value;
	while (n > 0) {
		size_t len = 1;

		while (len <= n && len <= 4) {
			json_t *one = json_stringn(s, len);

			if (one) {
				json_decref(one);
				break;
			}
			len++;
		}
		if (len > n || len > 4) {
			buf_adds(&b, "\xef\xbf\xbd");
			len = 1;
		} else {
			buf_add(&b, s, len);
		}
		s += len;
		n -= len;
	}
	value = json_stringn(b.p, b.n);
	buf_release(&b);
	return value;
}

static void put_string(json_t *o, const char *key, const char *s)
{
	if (s && *s)
		(void)json_object_set_new(o, key, text_value(s, strlen(s)));
}

static json_t *strings_value(const struct strv *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->n; i++)
		(void)json_array_append_new(array, text_value(s->v[i], strlen(s->v[i])));
	return array;
}

static void put_strings(json_t *o, const char *key, const struct strv *s)
{
	if (s->n > 0)
		(void)json_object_set_new(o, key, strings_value(s));
}

static void put_set(json_t *o, const char *key, const struct strv *names)
{
	_cleanup_strv_ struct strv sorted = {0};
	json_t *set;

	if (names->n == 0)
		return;
	strv_copy(&sorted, names);
	strv_sort(&sorted);
	set = json_object();
	for (size_t i = 0; i < sorted.n; i++)
		(void)json_object_set_new(set, sorted.v[i], json_object());
	(void)json_object_set_new(o, key, set);
}

static void put_labels(json_t *o, const struct strv *labels)
{
	json_t *map, *sorted_map = json_object();
	_cleanup_strv_ struct strv keys = {0};

	if (labels->n == 0) {
		json_decref(sorted_map);
		return;
	}
	map = json_object();
	for (size_t i = 0; i < labels->n; i++) {
		const char *eq = strchr(labels->v[i], '=');
		size_t n = eq ? (size_t)(eq - labels->v[i]) : strlen(labels->v[i]);
		_cleanup_free_ char *key = xstrndup(labels->v[i], n);
		const char *value = eq ? eq + 1 : "";

		if (!json_object_get(map, key))
			strv_push(&keys, key);
		(void)json_object_set_new(map, key, text_value(value, strlen(value)));
	}
	strv_sort(&keys);
	for (size_t i = 0; i < keys.n; i++)
		(void)json_object_set(sorted_map, keys.v[i], json_object_get(map, keys.v[i]));
	(void)json_object_set_new(o, "Labels", sorted_map);
	json_decref(map);
}

static void put_int(json_t *o, const char *key, int64_t value)
{
	if (value != 0)
		(void)json_object_set_new(o, key, json_integer(value));
}

json_t *healthcheck_json(const struct healthcheck *h)
{
	json_t *value = json_object();

	put_strings(value, "Test", &h->test);
	put_int(value, "Interval", h->interval);
	put_int(value, "Timeout", h->timeout);
	put_int(value, "StartPeriod", h->start_period);
	put_int(value, "StartInterval", h->start_interval);
	put_int(value, "Retries", h->retries);
	return value;
}

static void put_others(json_t *o, json_t *unknown)
{
	const char *key;
	json_t *value;

	json_object_foreach(unknown, key, value)(void) json_object_set(o, key, value);
}

static json_t *config_value(const struct image_config *c)
{
	json_t *o = json_object();

	put_string(o, "User", c->user);
	put_set(o, "ExposedPorts", &c->exposed_ports);
	put_strings(o, "Env", &c->env);
	put_strings(o, "Entrypoint", &c->entrypoint);
	put_strings(o, "Cmd", &c->cmd);
	put_set(o, "Volumes", &c->volumes);
	put_string(o, "WorkingDir", c->working_dir);
	put_labels(o, &c->labels);
	put_string(o, "StopSignal", c->stop_signal);
	if (c->args_escaped)
		(void)json_object_set_new(o, "ArgsEscaped", json_true());
	if (c->healthcheck)
		(void)json_object_set_new(o, "Healthcheck", healthcheck_json(c->healthcheck));
	put_strings(o, "OnBuild", &c->on_build);
	put_strings(o, "Shell", &c->shell);
	put_others(o, c->unknown_config);
	return o;
}

static json_t *history_value(const struct image_config *c)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < c->history.n; i++) {
		const struct image_history *h = &c->history.v[i];
		json_t *row = json_object();

		put_string(row, "created", h->created);
		put_string(row, "created_by", h->created_by);
		put_string(row, "author", h->author);
		put_string(row, "comment", h->comment);
		if (h->empty_layer)
			(void)json_object_set_new(row, "empty_layer", json_true());
		(void)json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *rootfs_value(const struct image_config *c)
{
	json_t *rootfs = json_object(), *ids = json_array();
	char text[DIGEST_TEXT];

	for (size_t i = 0; i < c->diff_ids.n; i++)
		(void)json_array_append_new(ids,
					    json_string(digest_format(&c->diff_ids.v[i], text)));
	(void)json_object_set_new(rootfs, "type", json_string("layers"));
	(void)json_object_set_new(rootfs, "diff_ids", ids);
	return rootfs;
}

void image_config_write(const struct image_config *c, struct buf *b)
{
	_cleanup_json_ json_t *doc = json_object(), *sorted = json_object();
	_cleanup_strv_ struct strv keys = {0};
	const char *key;
	json_t *value;

	(void)json_object_set_new(doc, "architecture", json_string(c->platform.arch));
	put_string(doc, "author", c->author);
	(void)json_object_set_new(doc, "config", config_value(c));
	put_string(doc, "created", c->created);
	(void)json_object_set_new(doc, "history", history_value(c));
	(void)json_object_set_new(doc, "os", json_string(c->platform.os));
	put_string(doc, "os.version", c->platform.os_version);
	(void)json_object_set_new(doc, "rootfs", rootfs_value(c));
	put_string(doc, "variant", c->platform.variant);
	put_others(doc, c->unknown);

	/* The members of the document are sorted; those below keep the order of the types. */
	json_object_foreach(doc, key, value) strv_push(&keys, key);
	strv_sort(&keys);
	for (size_t i = 0; i < keys.n; i++)
		(void)json_object_set(sorted, keys.v[i], json_object_get(doc, keys.v[i]));
	js_dump_go(sorted, 0, false, b);
}
