/* SPDX-License-Identifier: Apache-2.0 */
/* Builds by their ref, and what clients see of them while they go on. */
#include "cmd/serve/build.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/times.h"

enum {
	COMES_WITHIN_S = 6,    /* as in BuildKit */
	EVENTS_MAX = 64 << 20, /* bytes that are kept of a build's progress */
};

static void free_build(struct build *b)
{
	for (size_t i = 0; i < b->asked.n; i++) {
		strv_release(&b->asked.v[i].attrs);
		for (size_t k = 0; k < b->asked.v[i].cache_imports.n; k++)
			strv_release(&b->asked.v[i].cache_imports.v[k]);
		vec_release(&b->asked.v[i].cache_imports);
	}
	vec_release(&b->asked);
	for (size_t i = 0; i < b->events.n; i++)
		buf_release(&b->events.v[i]);
	vec_release(&b->events);
	free(b->failure);
	free(b->ref);
	free(b);
}

struct build *build_find(struct server *s, const char *ref, bool known)
{
	struct timespec until;
	struct build *b;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += COMES_WITHIN_S;
	pthread_mutex_lock(&s->lock);
	for (;;) {
		for (b = s->builds; b && strcmp(b->ref, ref) != 0; b = b->next)
			;
		if (known && b)
			b = NULL; /* two builds of one ref */
		else if (known && !b) {
			b = NEW(struct build);
			b->ref = xstrdup(ref);
			b->known = true;
			b->next = s->builds;
			s->builds = b;
			pthread_cond_broadcast(&s->changed);
		}
		if (b || known || pthread_cond_timedwait(&s->changed, &s->lock, &until) != 0)
			break;
	}
	if (b)
		b->users++;
	pthread_mutex_unlock(&s->lock);
	return b;
}

void build_put(struct server *s, struct build *b)
{
	struct build **at;

	if (!b)
		return;
	pthread_mutex_lock(&s->lock);
	if (--b->users == 0) {
		for (at = &s->builds; *at != b; at = &(*at)->next)
			;
		*at = b->next;
		free_build(b);
	}
	pthread_mutex_unlock(&s->lock);
}

void build_event(struct server *s, struct build *b, const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	struct buf packed = BUF_INIT;

	(void)protobuf_c_message_pack(m, (uint8_t *)buf_reserve(&packed, n));
	buf_commit(&packed, n);
	pthread_mutex_lock(&s->lock);
	if (b->event_bytes + n <= EVENTS_MAX) {
		b->event_bytes += n;
		vec_push(&b->events, packed);
		packed = (struct buf)BUF_INIT;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	buf_release(&packed);
}

/* --- from JSON --- */

static char *string_of(const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));

	return serve_text(text ? text : "");
}

static Bk__Time *time_of(struct arena *a, const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));
	Bk__Time *t;
	int64_t ns;

	if (!text || times_parse_rfc3339(text, &ns) < 0)
		return NULL;
	t = ARENA_NEW(a, Bk__Time);
	bk__time__init(t);
	t->seconds = ns / NS_PER_S;
	t->nanos = (int32_t)(ns % NS_PER_S);
	return t;
}

static void fill_vertex(struct arena *a, const json_t *doc, Bk__StatusResponse *m)
{
	Bk__Vertex *v = ARENA_NEW(a, Bk__Vertex), **list = arena_alloc(a, sizeof(void *));
	const json_t *inputs = json_object_get(doc, "inputs");

	bk__vertex__init(v);
	v->digest = string_of(doc, "digest");
	v->name = string_of(doc, "name");
	v->error = string_of(doc, "error");
	v->cached = json_is_true(json_object_get(doc, "cached"));
	v->started = time_of(a, doc, "started");
	v->completed = time_of(a, doc, "completed");
	/* A client shows no step that has ended without having begun. */
	if (v->completed && !v->started)
		v->started = v->completed;
	v->n_inputs = json_array_size(inputs);
	v->inputs = arena_alloc(a, (v->n_inputs + 1) * sizeof(*v->inputs));
	for (size_t i = 0; i < v->n_inputs; i++)
		v->inputs[i] = serve_text(json_string_value(json_array_get(inputs, i)));
	list[0] = v;
	m->vertexes = list;
	m->n_vertexes = 1;
}

static void fill_status(struct arena *a, const json_t *doc, Bk__StatusResponse *m)
{
	Bk__VertexStatus *v = ARENA_NEW(a, Bk__VertexStatus),
			 **list = arena_alloc(a, sizeof(void *));

	bk__vertex_status__init(v);
	v->id = string_of(doc, "id");
	v->vertex = string_of(doc, "vertex");
	v->current = json_integer_value(json_object_get(doc, "current"));
	v->total = json_integer_value(json_object_get(doc, "total"));
	v->timestamp = time_of(a, doc, "timestamp");
	v->started = time_of(a, doc, "started");
	v->completed = time_of(a, doc, "completed");
	list[0] = v;
	m->statuses = list;
	m->n_statuses = 1;
}

static void fill_log(struct arena *a, const json_t *doc, struct buf *data, Bk__StatusResponse *m)
{
	Bk__VertexLog *v = ARENA_NEW(a, Bk__VertexLog), **list = arena_alloc(a, sizeof(void *));

	bk__vertex_log__init(v);
	v->vertex = string_of(doc, "vertex");
	v->stream = json_integer_value(json_object_get(doc, "stream"));
	v->timestamp = time_of(a, doc, "timestamp");
	if (base64_decode(string_of(doc, "data"), data) == 0)
		v->msg = (ProtobufCBinaryData){data->n, (uint8_t *)data->p};
	list[0] = v;
	m->logs = list;
	m->n_logs = 1;
}

static ProtobufCBinaryData bytes_of(char *text)
{
	return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

static Bk__Position *position_of(struct arena *a, const json_t *range, const char *key)
{
	Bk__Position *p = ARENA_NEW(a, Bk__Position);

	bk__position__init(p);
	p->line = (int32_t)json_integer_value(json_object_get(json_object_get(range, key), "line"));
	return p;
}

static void fill_warning(struct arena *a, const json_t *doc, Bk__StatusResponse *m)
{
	Bk__VertexWarning *v = ARENA_NEW(a, Bk__VertexWarning);
	Bk__VertexWarning **list = arena_alloc(a, sizeof(void *));
	const json_t *detail = json_object_get(doc, "detail");
	const json_t *ranges = json_object_get(doc, "range");

	bk__vertex_warning__init(v);
	v->vertex = string_of(doc, "vertex");
	v->level = json_integer_value(json_object_get(doc, "level"));
	v->short_ = bytes_of(string_of(doc, "short"));
	v->url = string_of(doc, "url");
	v->n_detail = json_array_size(detail);
	v->detail = arena_alloc(a, (v->n_detail + 1) * sizeof(*v->detail));
	for (size_t i = 0; i < v->n_detail; i++)
		v->detail[i] = bytes_of(serve_text(json_string_value(json_array_get(detail, i))));
	v->n_ranges = json_array_size(ranges);
	v->ranges = arena_alloc(a, (v->n_ranges + 1) * sizeof(*v->ranges));
	for (size_t i = 0; i < v->n_ranges; i++) {
		v->ranges[i] = ARENA_NEW(a, Bk__Range);
		bk__range__init(v->ranges[i]);
		v->ranges[i]->start = position_of(a, json_array_get(ranges, i), "start");
		v->ranges[i]->end = position_of(a, json_array_get(ranges, i), "end");
	}
	list[0] = v;
	m->warnings = list;
	m->n_warnings = 1;
}

/* What our own program printed: one thing a line. What is no such line is none of the stream. */
void build_event_json(struct server *s, struct build *b, const char *line, size_t n)
{
	_cleanup_json_ json_t *doc = NULL;
	_cleanup_buf_ struct buf data = BUF_INIT;
	struct arena arena = ARENA_INIT;
	Bk__StatusResponse m;
	const json_t *v;

	if (js_parse("progress", line, n, &doc, NULL) < 0)
		return;
	bk__status_response__init(&m);
	if ((v = json_array_get(json_object_get(doc, "vertexes"), 0)))
		fill_vertex(&arena, v, &m);
	else if ((v = json_array_get(json_object_get(doc, "statuses"), 0)))
		fill_status(&arena, v, &m);
	else if ((v = json_array_get(json_object_get(doc, "logs"), 0)))
		fill_log(&arena, v, &data, &m);
	else if ((v = json_array_get(json_object_get(doc, "warnings"), 0)))
		fill_warning(&arena, v, &m);
	if (v)
		build_event(s, b, &m.base);
	arena_release(&arena);
}
