/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of BuildKit's Control service that are about the server and its store. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/map.h"
#include "base/platform.h"
#include "base/times.h"
#include "base/vec.h"
#include "cmd/serve/api.pb-c.h"
#include "cmd/serve/server.h"

enum { LIST_MAX = 256 << 20 /* bytes that `kiln du` may print */ };

static void fill_version(const struct server *s, Bk__Version *v)
{
	bk__version__init(v);
	v->package = serve_text("github.com/moby/buildkit");
	v->version = serve_text(SERVE_BUILDKIT);
	v->revision = serve_text(s->version);
}

void serve_info(struct server *s, struct rpc_call *c, const struct buf *request)
{
	Bk__InfoResponse m;
	Bk__Version version;

	(void)request;
	bk__info_response__init(&m);
	fill_version(s, &version);
	m.version = &version;
	serve_reply(s, c, &m.base);
}

void serve_list_workers(struct server *s, struct rpc_call *c, const struct buf *request)
{
	Bk__ListWorkersResponse m;
	Bk__Platform platform, *platforms = &platform;
	Bk__Label executor, kiln, *labels[] = {&executor, &kiln};
	Bk__Worker worker, *workers = &worker;
	Bk__Version version;
	struct platform host = platform_host();

	(void)request;
	bk__list_workers_response__init(&m);
	bk__platform__init(&platform);
	bk__label__init(&executor);
	bk__label__init(&kiln);
	bk__worker__init(&worker);
	executor.key = serve_text("org.mobyproject.buildkit.worker.executor");
	executor.value = serve_text("kiln");
	kiln.key = serve_text("kiln.version");
	kiln.value = serve_text(s->version);
	platform.architecture = host.arch;
	platform.os = host.os;
	platform.variant = host.variant;
	fill_version(s, &version);
	worker.id = serve_text("kiln");
	worker.labels = labels;
	worker.n_labels = ARRAY_SIZE(labels);
	worker.platforms = &platforms;
	worker.n_platforms = 1;
	worker.version = &version;
	m.record = &workers;
	m.n_record = 1;
	serve_reply(s, c, &m.base);
}

/* --- what the store holds --- */

/* Parts of a record that the message points to. */
struct usage {
	Bk__UsageRecord record;
	Bk__Time created, used;
	char *parent;
};

static void fill_time(const json_t *doc, const char *key, Bk__Time *t, Bk__Time **ret)
{
	const char *when = json_string_value(json_object_get(doc, key));
	int64_t ns = 0;

	if (!when || times_parse_rfc3339(when, &ns) < 0)
		return;
	t->seconds = ns / NS_PER_S;
	t->nanos = (int32_t)(ns % NS_PER_S);
	*ret = t;
}

static char *string_of(const json_t *doc, const char *key)
{
	const char *s = json_string_value(json_object_get(doc, key));

	return serve_text(s ? s : "");
}

static bool bool_of(const json_t *doc, const char *key)
{
	return json_is_true(json_object_get(doc, key));
}

static void fill_usage(const json_t *doc, struct usage *u)
{
	Bk__UsageRecord *m = &u->record;

	*u = (struct usage){0};
	bk__usage_record__init(m);
	bk__time__init(&u->created);
	bk__time__init(&u->used);
	m->id = string_of(doc, "ID");
	m->record_type = string_of(doc, "Type");
	m->description = string_of(doc, "Description");
	m->size = json_integer_value(json_object_get(doc, "Size"));
	m->usage_count = json_integer_value(json_object_get(doc, "UsageCount"));
	m->mutable_ = bool_of(doc, "Mutable");
	m->in_use = !bool_of(doc, "Reclaimable");
	m->shared = bool_of(doc, "Shared");
	fill_time(doc, "CreatedAt", &u->created, &m->created_at);
	fill_time(doc, "LastUsedAt", &u->used, &m->last_used_at);
	u->parent =
		serve_text(json_string_value(json_array_get(json_object_get(doc, "Parents"), 0)));
	if (u->parent) {
		m->parents = &u->parent;
		m->n_parents = 1;
	}
}

/* BuildKit's filters are containerd's: "type==regular,shared". */
static int add_filters(char *const *filters, size_t n, struct strv *args, struct error **err)
{
	if (n > 1)
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "several filters of which one is enough are not supported");
	for (const char *p = n ? filters[0] : ""; *p; p += strcspn(p, ","), p += *p == ',') {
		size_t size = strcspn(p, ","), name = strcspn(p, "=");
		bool twice = name + 1 < size && p[name + 1] == '=';

		if (size > 0)
			strv_pushf(args, "--filter=%.*s%.*s", (int)(name < size ? name : size), p,
				   name < size ? (int)(size - name - twice) : 0,
				   name < size ? p + name + twice : p);
	}
	return 0;
}

/* `kiln du` as a JSON array of its records. */
static int list_usage(struct server *s, struct rpc_call *c, const struct strv *filters,
		      json_t **ret, struct error **err)
{
	_cleanup_buf_ struct buf out = BUF_INIT_MAX(LIST_MAX);
	_cleanup_strv_ struct strv args = {0};
	_cleanup_json_ json_t *list = json_array();
	int r;

	strv_push(&args, "du");
	strv_push(&args, "--format=json");
	for (size_t i = 0; i < filters->n; i++)
		strv_push(&args, filters->v[i]);
	r = serve_command(s, c, (const char *const *)args.v, &out, err);
	for (const char *p = out.p; r == 0 && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		json_t *doc = NULL;

		r = js_parse("what `kiln du` prints", p, strcspn(p, "\n"), &doc, err);
		if (r == 0)
			json_array_append_new(list, doc);
	}
	if (r == 0)
		*ret = TAKE_PTR(list);
	return r;
}

static void fail(struct server *s, struct rpc_call *c, int r, struct error *err)
{
	serve_fail(s, c, r == -ERR_UNSUPPORTED ? RPC_UNIMPLEMENTED : RPC_UNKNOWN, "%s",
		   error_text(err));
	error_free(err);
}

void serve_disk_usage(struct server *s, struct rpc_call *c, const struct buf *request)
{
	Bk__DiskUsageRequest *q = serve_unpack(s, c, &bk__disk_usage_request__descriptor, request);
	Bk__DiskUsageResponse m;
	_cleanup_free_ struct usage *usages = NULL;
	_cleanup_free_ Bk__UsageRecord **records = NULL;
	_cleanup_strv_ struct strv filters = {0};
	_cleanup_json_ json_t *list = NULL;
	struct error *err = NULL;
	int r;

	if (!q)
		return;
	r = add_filters(q->filter, q->n_filter, &filters, &err);
	if (r == 0 && q->age_limit > 0)
		strv_pushf(&filters, "--filter=until=%" PRId64 "s", q->age_limit / NS_PER_S);
	if (r == 0)
		r = list_usage(s, c, &filters, &list, &err);
	protobuf_c_message_free_unpacked(&q->base, NULL);
	if (r < 0) {
		fail(s, c, r, err);
		return;
	}
	usages = xcalloc(json_array_size(list) + 1, sizeof(*usages));
	records = xcalloc(json_array_size(list) + 1, sizeof(struct Bk__UsageRecord *));
	bk__disk_usage_response__init(&m);
	m.record = records;
	for (size_t i = 0; i < json_array_size(list); i++) {
		fill_usage(json_array_get(list, i), &usages[i]);
		records[m.n_record++] = &usages[i].record;
	}
	serve_reply(s, c, &m.base);
}

static int prune(struct server *s, struct rpc_call *c, const Bk__PruneRequest *q,
		 struct error **err)
{
	_cleanup_strv_ struct strv args = {0};
	_cleanup_buf_ struct buf out = BUF_INIT_MAX(LIST_MAX);
	int r;

	strv_push(&args, "prune");
	strv_push(&args, "--force");
	/* BuildKit's prune takes cache mounts, too; its `all` is about what it keeps of itself. */
	strv_push(&args, "--all");
	r = add_filters(q->filter, q->n_filter, &args, err);
	if (q->keep_duration > 0)
		strv_pushf(&args, "--filter=until=%" PRId64 "s", q->keep_duration / NS_PER_S);
	if (q->reserved_space > 0)
		strv_pushf(&args, "--keep-storage=%" PRId64, q->reserved_space);
	if (q->max_used_space > 0)
		strv_pushf(&args, "--max-used-space=%" PRId64, q->max_used_space);
	if (q->min_free_space > 0)
		strv_pushf(&args, "--min-free-space=%" PRId64, q->min_free_space);
	return r == 0 ? serve_command(s, c, (const char *const *)args.v, &out, err) : r;
}

/* Streams what is of `before` no more. */
static void send_gone(struct server *s, struct rpc_call *c, const json_t *before,
		      const json_t *after)
{
	struct map left = MAP_INIT;

	for (size_t i = 0; i < json_array_size(after); i++)
		*map_puts(&left, string_of(json_array_get(after, i), "ID")) = &left;
	for (size_t i = 0; i < json_array_size(before); i++) {
		struct usage u;

		fill_usage(json_array_get(before, i), &u);
		if (!map_gets(&left, u.record.id))
			serve_send(s, c, &u.record.base);
	}
	map_release(&left, NULL);
}

void serve_prune(struct server *s, struct rpc_call *c, const struct buf *request)
{
	Bk__PruneRequest *q = serve_unpack(s, c, &bk__prune_request__descriptor, request);
	_cleanup_json_ json_t *before = NULL, *after = NULL;
	const struct strv all = {0};
	struct error *err = NULL;
	int r;

	if (!q)
		return;
	r = list_usage(s, c, &all, &before, &err);
	if (r == 0)
		r = prune(s, c, q, &err);
	if (r == 0)
		r = list_usage(s, c, &all, &after, &err);
	protobuf_c_message_free_unpacked(&q->base, NULL);
	if (r < 0) {
		fail(s, c, r, err);
		return;
	}
	send_gone(s, c, before, after);
	serve_done(s, c);
}
