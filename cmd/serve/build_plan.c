/* SPDX-License-Identifier: Apache-2.0 */
/* What a client asks for as options of `kiln build`. No path of a client's is one of this machine: folders
 * come through its session, outputs leave by it. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cmd/serve/build.h"

void build_plan_release(struct build_plan *p)
{
	strv_release(&p->argv);
	strv_release(&p->named);
	free(p->dockerfile_key);
	free(p->context);
	free(p->filename);
}

/* A field of a CSV line, with a comma before it unless it is the first. */
static void add_field(struct buf *b, const char *key, const char *value)
{
	_cleanup_free_ char *field = xasprintf("%s=%s", key, value);

	if (b->n > 0)
		buf_addc(b, ',');
	if (!strpbrk(field, ",\"\n")) {
		buf_adds(b, field);
		return;
	}
	buf_addc(b, '"');
	for (const char *p = field; *p; p++) {
		if (*p == '"')
			buf_addc(b, '"');
		buf_addc(b, *p);
	}
	buf_addc(b, '"');
}

/* Clients say some things both to the frontend and to the solver. */
static void add_once(struct build_plan *p, const char *option, const char *value)
{
	_cleanup_free_ char *argument = xasprintf("%s=%s", option, value);

	if (!strv_contains(&p->argv, argument))
		strv_push(&p->argv, argument);
}

static int unsupported(struct error **err, const char *what)
{
	return error_new(err, ERR_UNSUPPORTED, 0, "kiln does not serve %s yet", what);
}

/* --- attributes of the frontend --- */

/* Does it lie elsewhere than on this machine? */
static bool is_remote(const char *value)
{
	static const char *const begins[] = {"http://", "https://", "git://",
					     "ssh://",	"git@",	    "github.com/"};

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (strncmp(value, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

static int add_named_context(struct build_plan *p, const char *name, const char *value,
			     struct error **err)
{
	if (strncmp(value, "local:", 6) == 0)
		strv_pushf(&p->named, "%s=%s", name, value + 6);
	else if (is_remote(value) || strncmp(value, "docker-image://", 15) == 0)
		strv_pushf(&p->argv, "--build-context=%s=%s", name, value);
	else
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "kiln does not serve the context %s=%s: it takes local:, "
				 "docker-image: and URLs",
				 name, value);
	return 0;
}

/* "a=1,b=2" as an option each, with another character between the two. */
static void add_list(struct build_plan *p, const char *option, const char *value, char between)
{
	for (const char *at = value; *at; at += strcspn(at, ","), at += *at == ',') {
		size_t n = strcspn(at, ","), k = strcspn(at, "=");

		if (between && k < n)
			strv_pushf(&p->argv, "%s=%.*s%c%.*s", option, (int)k, at, between,
				   (int)(n - k - 1), at + k + 1);
		else if (n > 0)
			strv_pushf(&p->argv, "%s=%.*s", option, (int)n, at);
	}
}

/* buildx asks for a provenance that lies in the image's own config, if nobody says otherwise; that is
 * left out. */
static int check_attestation(const char *kind, const char *value, struct error **err)
{
	if (strstr(value, "disabled=true") ||
	    (strcmp(kind, "provenance") == 0 && strstr(value, "inline-only=true")))
		return 0;
	return error_hint(err, unsupported(err, "attestations"),
			  "build with --provenance=false and without --sbom");
}

static int add_cache_imports(struct build_plan *p, const char *text, struct error **err)
{
	_cleanup_json_ json_t *list = NULL;
	int r = js_parse("cache-imports", text, strlen(text), &list, err);

	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const json_t *import = json_array_get(list, i);
		const char *type = json_string_value(json_object_get(import, "Type")), *key;
		_cleanup_buf_ struct buf b = BUF_INIT;
		json_t *value;

		if (!type || strcmp(type, "local") == 0)
			return unsupported(err, "caches in the client's folders");
		add_field(&b, "type", type);
		json_object_foreach(json_object_get(import, "Attrs"), key, value)
			add_field(&b, key, json_is_string(value) ? json_string_value(value) : "");
		add_once(p, "--cache-from", b.p);
	}
	return r;
}

static int add_network(struct build_plan *p, const char *value, struct error **err)
{
	(void)err;
	strv_pushf(&p->argv, "--network=%s", strcmp(value, "sandbox") == 0 ? "default" : value);
	return 0;
}

static int add_attr(struct build_plan *p, const char *key, const char *value, struct error **err)
{
	static const struct {
		const char *key, *option;
	} same[] = {{"target", "--target"},
		    {"platform", "--platform"},
		    {"shm-size", "--shm-size"},
		    {"cgroup-parent", "--cgroup-parent"},
		    {"multi-platform", "--build-arg=BUILDKIT_MULTI_PLATFORM"}};

	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		if (strcmp(key, same[i].key) == 0 && *value) {
			strv_pushf(&p->argv, "%s=%s", same[i].option, value);
			return 0;
		}
	if (strncmp(key, "build-arg:", 10) == 0)
		strv_pushf(&p->argv, "--build-arg=%s=%s", key + 10, value);
	else if (strncmp(key, "label:", 6) == 0)
		strv_pushf(&p->argv, "--label=%s=%s", key + 6, value);
	else if (strncmp(key, "context:", 8) == 0)
		return add_named_context(p, key + 8, value, err);
	else if (strncmp(key, "attest:", 7) == 0)
		return check_attestation(key + 7, value, err);
	else if (strcmp(key, "no-cache") == 0)
		strv_pushf(&p->argv, *value ? "--no-cache-filter=%s" : "--no-cache%s", value);
	else if (strcmp(key, "image-resolve-mode") == 0 && strcmp(value, "pull") == 0)
		strv_push(&p->argv, "--pull");
	else if (strcmp(key, "add-hosts") == 0)
		add_list(p, "--add-host", value, ':');
	else if (strcmp(key, "ulimit") == 0)
		add_list(p, "--ulimit", value, '\0');
	else if (strcmp(key, "force-network-mode") == 0)
		return add_network(p, value, err);
	else if (strcmp(key, "cache-imports") == 0)
		return add_cache_imports(p, value, err);
	else if (strcmp(key, "requestid") == 0)
		return unsupported(err, "subrequests (--check, --call)");
	return 0;
}

static const char *attr_of(const struct asked *asked, const char *key, const char *standard)
{
	const char *value = env_get(&asked->attrs, key);

	return value && *value ? value : standard;
}

static int add_attrs(struct build_plan *p, const struct asked *asked, struct error **err)
{
	const char *context = env_get(&asked->attrs, "context");
	int r = 0;

	for (size_t i = 0; i < asked->attrs.n && r == 0; i++) {
		const char *attr = asked->attrs.v[i], *equals = strchr(attr, '=');
		_cleanup_free_ char *key = xstrndup(attr, (size_t)(equals - attr));

		r = add_attr(p, key, equals + 1, err);
	}
	for (size_t i = 0; i < asked->cache_imports.n && r == 0; i++) {
		const struct strv *import = &asked->cache_imports.v[i];
		_cleanup_buf_ struct buf b = BUF_INIT;

		if (strcmp(import->v[0], "type=local") == 0)
			return unsupported(err, "caches in the client's folders");
		for (size_t k = 0; k < import->n; k++) {
			const char *equals = strchr(import->v[k], '=');
			_cleanup_free_ char *key =
				xstrndup(import->v[k], (size_t)(equals - import->v[k]));

			add_field(&b, key, equals + 1);
		}
		add_once(p, "--cache-from", b.p);
	}
	if (r == 0 && context && *context && !is_remote(context))
		return error_new(err, ERR_INVALID, 0, "the context '%s' is no URL", context);
	return r;
}

/* --- outputs --- */

static int add_output(struct build_plan *p, size_t i, const Bk__Exporter *e, struct error **err)
{
	bool is_tree = strcmp(e->type, "local") == 0;
	bool is_stream = strcmp(e->type, "oci") == 0 || strcmp(e->type, "docker") == 0 ||
			 strcmp(e->type, "tar") == 0;
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *dest = xasprintf("%s/out", p->dir);

	if (!is_tree && !is_stream && strcmp(e->type, "image") != 0)
		return error_new(err, ERR_UNSUPPORTED, 0, "kiln does not serve outputs of type %s",
				 e->type);
	if ((is_tree || is_stream) && (p->sends_tree || p->has_fifo))
		return unsupported(err, "several outputs to the client");
	add_field(&b, "type", e->type);
	for (size_t k = 0; k < e->n_attrs; k++) {
		const char *key = e->attrs[k]->key, *value = e->attrs[k]->value;

		if (strcmp(key, "tar") == 0 && strcmp(value, "true") != 0 && is_stream)
			return unsupported(err, "layouts in folders of the client");
		/* Where it lies at the client is the client's business. */
		if (strcmp(key, "dest") != 0 && *key)
			add_field(&b, key, value);
	}
	if (is_tree || is_stream) {
		add_field(&b, "dest", dest);
		p->sends_tree = is_tree;
		p->has_fifo = is_stream;
		p->exporter = (unsigned)i;
	}
	strv_pushf(&p->argv, "--output=%s", b.p);
	return 0;
}

static int add_outputs(struct build_plan *p, const Bk__SolveRequest *q, struct error **err)
{
	Bk__Exporter old;
	int r = 0;

	for (size_t i = 0; i < q->n_exporters && r == 0; i++)
		r = add_output(p, i, q->exporters[i], err);
	if (q->n_exporters > 0)
		return r;
	if (!*q->exporter_old) {
		strv_push(&p->argv, "--output=type=cacheonly");
		return 0;
	}
	bk__exporter__init(&old);
	old.type = q->exporter_old;
	old.attrs = q->exporter_attrs_old;
	old.n_attrs = q->n_exporter_attrs_old;
	return add_output(p, 0, &old, err);
}

static int add_caches(struct build_plan *p, const Bk__SolveRequest *q, struct error **err)
{
	const size_t n_exports = q->cache ? q->cache->n_exports : 0;
	const size_t n_imports = q->cache ? q->cache->n_imports : 0;

	for (size_t i = 0; i < n_exports + n_imports; i++) {
		bool to = i < n_exports;
		const Bk__CacheEntry *e =
			to ? q->cache->exports[i] : q->cache->imports[i - n_exports];
		_cleanup_buf_ struct buf b = BUF_INIT;

		if (strcmp(e->type, "local") == 0)
			return unsupported(err, "caches in the client's folders");
		add_field(&b, "type", e->type);
		for (size_t k = 0; k < e->n_attrs; k++)
			add_field(&b, e->attrs[k]->key, e->attrs[k]->value);
		add_once(p, to ? "--cache-to" : "--cache-from", b.p);
	}
	return 0;
}

int build_plan_make(const Bk__SolveRequest *q, const struct asked *asked, struct build_plan *p,
		    struct error **err)
{
	const char *url = attr_of(asked, "context", NULL);
	int r;

	strv_push(&p->argv, "kiln");
	strv_push(&p->argv, "build");
	strv_push(&p->argv, "--progress=rawjson");
	strv_pushf(&p->argv, "--host-fd=%d", BUILD_HOST_FD);
	strv_pushf(&p->argv, "--metadata-file=%s/metadata", p->dir);
	p->filename = xstrdup(attr_of(asked, "filename", "Dockerfile"));
	if (!url) {
		p->dockerfile_key = xstrdup(attr_of(asked, "dockerfilekey", "dockerfile"));
		p->context = xstrdup(attr_of(asked, "contextkey", "context"));
	}
	r = add_attrs(p, asked, err);
	if (r == 0)
		r = add_caches(p, q, err);
	if (r == 0)
		r = add_outputs(p, q, err);
	for (size_t i = 0; i < q->n_entitlements; i++)
		strv_pushf(&p->argv, "--allow=%s", q->entitlements[i]);
	for (size_t i = 0; i < p->named.n; i++)
		strv_pushf(&p->argv, "--build-context=%.*s=%s/named%zu",
			   (int)strcspn(p->named.v[i], "="), p->named.v[i], p->dir, i);
	if (url)
		strv_pushf(&p->argv, "--file=%s", p->filename);
	else
		strv_pushf(&p->argv, "--file=%s/dockerfile/%s", p->dir, p->filename);
	strv_push(&p->argv, "--");
	if (url)
		strv_push(&p->argv, url);
	else
		strv_pushf(&p->argv, "%s/context", p->dir);
	return r;
}
