/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/progress/rawjson_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/times.h"

/* A time in ns; 0 where there is none. */
static int get_time(const json_t *o, const char *key, int64_t *ret, struct error **err)
{
	const char *text = NULL;
	int r = js_string(o, key, &text, err);

	*ret = 0;
	if (r == 0 && text && times_parse_rfc3339(text, ret) < 0)
		r = error_new(err, ERR_INVALID, 0, "\"%s\" is not a time", text);
	return r;
}

static int get_digest(const json_t *o, const char *key, struct digest *ret, struct error **err)
{
	const char *text = NULL;
	int r = js_string(o, key, &text, err);

	if (r == 0 && (!text || digest_parse(text, ret) < 0))
		r = error_new(err, ERR_INVALID, 0, "an event has no step");
	return r;
}

static int get_size(const json_t *o, const char *key, uint64_t *ret, struct error **err)
{
	int64_t n = 0;
	int r = js_int(o, key, &n, err);

	*ret = n > 0 ? (uint64_t)n : 0;
	return r;
}

static int get_inputs(const json_t *o, struct digest **ret, size_t *ret_n, struct error **err)
{
	_cleanup_strv_ struct strv texts = {0};
	int r = js_strings(o, "inputs", &texts, err);

	*ret = xcalloc(texts.n + 1, sizeof(**ret));
	*ret_n = texts.n;
	for (size_t i = 0; r == 0 && i < texts.n; i++)
		if (digest_parse(texts.v[i], &(*ret)[i]) < 0)
			r = error_new(err, ERR_INVALID, 0, "\"%s\" is not a digest", texts.v[i]);
	return r;
}

/* One that ends a step comes after one that began it: its beginning is told again for readers that
 * have not seen that, and for those found in the cache, which only end. */
static int read_vertex(const json_t *o, const struct progress *to, struct error **err)
{
	struct event e = {.kind = EVENT_VERTEX};
	_cleanup_free_ struct digest *inputs = NULL;
	int64_t started = 0, completed = 0;
	bool cached = false;
	int r = get_digest(o, "digest", &e.vertex, err);

	if (r == 0)
		r = js_string(o, "name", &e.v.name, err);
	if (r == 0)
		r = js_string(o, "error", &e.v.error, err);
	if (r == 0)
		r = js_bool(o, "cached", &cached, err);
	if (r == 0)
		r = get_time(o, "started", &started, err);
	if (r == 0)
		r = get_time(o, "completed", &completed, err);
	if (r == 0)
		r = get_inputs(o, &inputs, &e.v.n_inputs, err);
	if (r < 0)
		return r;
	e.v.inputs = inputs;
	e.v.time = completed ? completed : started;
	e.v.state = !started					 ? VERTEX_PLANNED
		    : !completed				 ? VERTEX_STARTED
		    : cached					 ? VERTEX_CACHED
		    : !e.v.error				 ? VERTEX_DONE
		    : strcmp(e.v.error, "context canceled") == 0 ? VERTEX_CANCELED
								 : VERTEX_FAILED;
	to->emit(to->data, &e);
	return 0;
}

static int read_status(const json_t *o, const struct progress *to, struct error **err)
{
	struct event e = {.kind = EVENT_STATUS};
	int r = get_digest(o, "vertex", &e.vertex, err);

	if (r == 0)
		r = js_string(o, "id", &e.status.id, err);
	if (r == 0 && !e.status.id)
		r = error_new(err, ERR_INVALID, 0, "a status has no id");
	if (r == 0)
		r = get_size(o, "current", &e.status.current, err);
	if (r == 0)
		r = get_size(o, "total", &e.status.total, err);
	if (r == 0)
		r = get_time(o, "timestamp", &e.status.time, err);
	if (r == 0)
		r = get_time(o, "started", &e.status.started, err);
	if (r == 0)
		r = get_time(o, "completed", &e.status.completed, err);
	if (r == 0)
		to->emit(to->data, &e);
	return r;
}

static int read_log(const json_t *o, const struct progress *to, struct error **err)
{
	struct event e = {.kind = EVENT_LOG};
	_cleanup_buf_ struct buf data = BUF_INIT;
	const char *base64 = "";
	int64_t stream = 1;
	int r = get_digest(o, "vertex", &e.vertex, err);

	if (r == 0)
		r = js_int(o, "stream", &stream, err);
	if (r == 0)
		r = js_string(o, "data", &base64, err);
	if (r == 0)
		r = get_time(o, "timestamp", &e.log.time, err);
	if (r == 0 && base64_decode(base64, &data) < 0)
		r = error_new(err, ERR_INVALID, 0, "a log is not base64");
	if (r < 0)
		return r;
	e.log.stream = (int)stream;
	e.log.data = data.n > 0 ? data.p : "";
	e.log.n = data.n;
	to->emit(to->data, &e);
	return 0;
}

static int read_warning(const json_t *o, const struct progress *to, struct error **err)
{
	struct event e = {.kind = EVENT_WARNING};
	int r = get_digest(o, "vertex", &e.vertex, err);

	e.warning.short_text = "";
	if (r == 0)
		r = js_string(o, "short", &e.warning.short_text, err);
	if (r == 0)
		to->emit(to->data, &e);
	return r;
}

int rawjson_read(const char *line, size_t n, const struct progress *to, struct error **err)
{
	static const struct {
		const char *list;
		int (*read)(const json_t *o, const struct progress *to, struct error **err);
	} kinds[] = {{"vertexes", read_vertex},
		     {"statuses", read_status},
		     {"logs", read_log},
		     {"warnings", read_warning}};
	_cleanup_json_ json_t *doc = NULL;
	int r = js_parse("event", line, n, &doc, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(kinds); i++) {
		json_t *list = NULL, *o;
		size_t at;

		r = js_array(doc, kinds[i].list, &list, err);
		json_array_foreach(list, at, o) if (r == 0) r = kinds[i].read(o, to, err);
	}
	return r;
}
