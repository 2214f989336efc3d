/* SPDX-License-Identifier: Apache-2.0 */
/* The field names and shapes of BuildKit's client.SolveStatus as `--progress=rawjson` prints it. */
#include "base/base64.h"
#include "base/json.h"
#include "base/times.h"
#include "cmd/progress/progress_render.h"

static json_t *time_value(int64_t ns)
{
	_cleanup_free_ char *text = times_rfc3339(ns);

	return json_string(text);
}

static json_t *digest_value(const struct digest *d)
{
	char text[DIGEST_TEXT];

	return json_string(digest_format(d, text));
}

/* Invalid UTF-8 cannot be a JSON string; sanitised text can. */
static json_t *text_value(const char *s)
{
	json_t *value = json_string(s);

	return value ? value : json_string("(text is not UTF-8)");
}

/* Its progress group, in which a client shows several steps as one. */
static json_t *group_value(const struct event_vertex *v)
{
	json_t *group = json_object();

	json_object_set_new(group, "id", text_value(v->group));
	json_object_set_new(group, "name", text_value(v->group_name ? v->group_name : ""));
	if (v->group_weak)
		json_object_set_new(group, "weak", json_true());
	return group;
}

/* One event tells all of the interval that it ends: a reader takes a step without a beginning for
 * one that never ran. */
static json_t *vertex_value(const struct event *e, const struct step *s)
{
	int64_t started = s->last_started ? s->last_started : e->v.time;
	json_t *v = json_object();

	json_object_set_new(v, "digest", digest_value(&e->vertex));
	if (e->v.n_inputs > 0) {
		json_t *inputs = json_array();

		for (size_t i = 0; i < e->v.n_inputs; i++)
			json_array_append_new(inputs, digest_value(&e->v.inputs[i]));
		json_object_set_new(v, "inputs", inputs);
	}
	json_object_set_new(v, "name", text_value(e->v.name ? e->v.name : s->name));
	if (e->v.group)
		json_object_set_new(v, "progressGroup", group_value(&e->v));
	if (e->v.state == VERTEX_PLANNED)
		return v;
	json_object_set_new(v, "started", time_value(started));
	if (e->v.state == VERTEX_STARTED)
		return v;
	json_object_set_new(v, "completed", time_value(e->v.time));
	if (e->v.state == VERTEX_CACHED)
		json_object_set_new(v, "cached", json_true());
	if (e->v.state == VERTEX_FAILED)
		json_object_set_new(v, "error", text_value(e->v.error ? e->v.error : "failed"));
	if (e->v.state == VERTEX_CANCELED)
		json_object_set_new(v, "error", text_value("context canceled"));
	return v;
}

static json_t *status_value(const struct event *e)
{
	json_t *v = json_object();

	json_object_set_new(v, "id", text_value(e->status.id));
	json_object_set_new(v, "vertex", digest_value(&e->vertex));
	if (e->status.total)
		json_object_set_new(v, "total", json_integer((json_int_t)e->status.total));
	json_object_set_new(v, "current", json_integer((json_int_t)e->status.current));
	json_object_set_new(v, "timestamp", time_value(e->status.time));
	json_object_set_new(v, "started", time_value(e->status.started));
	if (e->status.completed)
		json_object_set_new(v, "completed", time_value(e->status.completed));
	return v;
}

static json_t *log_value(const struct event *e)
{
	_cleanup_free_ char *base64 = base64_encode(e->log.data, e->log.n);
	json_t *v = json_object();

	json_object_set_new(v, "vertex", digest_value(&e->vertex));
	json_object_set_new(v, "stream", json_integer(e->log.stream));
	json_object_set_new(v, "data", json_string(base64));
	json_object_set_new(v, "timestamp", time_value(e->log.time));
	return v;
}

static json_t *warning_value(const struct event *e)
{
	json_t *v = json_object();

	json_object_set_new(v, "vertex", digest_value(&e->vertex));
	json_object_set_new(v, "level", json_integer(e->warning.level));
	json_object_set_new(v, "short", text_value(e->warning.short_text));
	if (e->warning.n_detail > 0) {
		json_t *detail = json_array();

		for (size_t i = 0; i < e->warning.n_detail; i++)
			json_array_append_new(detail, text_value(e->warning.detail[i]));
		json_object_set_new(v, "detail", detail);
	}
	if (e->warning.url)
		json_object_set_new(v, "url", text_value(e->warning.url));
	if (e->warning.file)
		json_object_set_new(v, "range",
				    json_pack("[{s:{s:i},s:{s:i}}]", "start", "line",
					      (int)e->warning.span.line, "end", "line",
					      (int)e->warning.span.end_line));
	return v;
}

void rawjson_render(const struct event *event, const struct step *step, struct buf *b)
{
	_cleanup_json_ json_t *line = json_object();
	json_t *value = NULL;
	const char *list = NULL;

	switch (event->kind) {
	case EVENT_VERTEX:
		list = "vertexes";
		value = vertex_value(event, step);
		break;
	case EVENT_STATUS:
		list = "statuses";
		value = status_value(event);
		break;
	case EVENT_LOG:
		list = "logs";
		value = log_value(event);
		break;
	case EVENT_WARNING:
		list = "warnings";
		value = warning_value(event);
		break;
	}
	json_object_set_new(line, list, json_pack("[o]", value));
	js_dump(line, false, b);
	buf_addc(b, '\n');
}
