/* SPDX-License-Identifier: Apache-2.0 */
/* docker compose's canonical form: long instead of short, absolute paths, names of their own. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/path.h"
#include "base/times.h"
#include "frontend/compose/compose.h"
#include "frontend/frontend.h"

typedef const struct bake_value *value;

struct normalizer {
	const struct compose_project *p;
	struct arena *a;
	struct error **err;
	const char *service; /* for messages */
	bool uses_default;   /* the network */
};

static value refuse(struct normalizer *n, const char *key, const char *what)
{
	(void)error_new(n->err, ERR_INVALID, 0, "services.%s.%s: %s", n->service, key, what);
	return NULL;
}

static value text_of(struct arena *a, value v)
{
	return bake_text(v) ? bake_string(a, bake_text(v)) : v;
}

/* --- small forms --- */

static value to_list(struct normalizer *n, value v)
{
	struct bake_builder b = {.arena = n->a};

	if (bake_is_sequence(v)) {
		for (size_t i = 0; i < v->n; i++)
			bake_push(&b, text_of(n->a, v->v[i]));
	} else if (bake_text(v)) {
		bake_push(&b, text_of(n->a, v));
	} else {
		return v;
	}
	return bake_sequence(&b, BAKE_LIST);
}

/* [A=1, B] and {A: 1, B: } as {A: "1", B: null}; what has no value takes it from the environment. */
static value to_pairs(struct normalizer *n, value v, bool resolve, bool keep_unset)
{
	struct bake_builder b = {.arena = n->a};

	if (!bake_is_sequence(v) && !bake_is_mapping(v))
		return v;
	for (size_t i = 0; i < v->n; i++) {
		const char *text = bake_text(v->v[i]), *equals,
			   *name = bake_is_mapping(v) ? v->names[i] : NULL;

		if (bake_is_sequence(v)) {
			equals = text ? strchr(text, '=') : NULL;
			name = text ? arena_strndup(n->a, text, strcspn(text, "=")) : "";
			text = equals ? equals + 1 : NULL;
		}
		if (!text && resolve)
			text = env_get(&n->p->environment, name);
		if (text || keep_unset)
			bake_put(&b, name, text ? bake_string(n->a, text) : bake_null());
	}
	return bake_mapping(&b, BAKE_MAP);
}

const struct bake_value *compose_words(struct arena *a, const char *text)
{
	struct bake_builder b = {.arena = a};

	for (const char *p = text; *p;) {
		_cleanup_buf_ struct buf word = BUF_INIT;
		char quote = 0;

		p += strspn(p, " \t\r\n");
		if (!*p)
			break;
		for (; *p && (quote || !strchr(" \t\r\n", *p)); p++) {
			if (!quote && (*p == '\'' || *p == '"')) {
				quote = *p;
			} else if (*p == quote) {
				quote = 0;
			} else {
				p += *p == '\\' && quote != '\'' && p[1];
				buf_addc(&word, *p);
			}
		}
		bake_push(&b, bake_stringn(a, word.p, word.n));
	}
	return bake_sequence(&b, BAKE_LIST);
}

static value to_words(struct normalizer *n, value v)
{
	return v->kind == BAKE_STRING ? compose_words(n->a, v->s) : to_list(n, v);
}

static value to_size(struct normalizer *n, const char *key, value v)
{
	uint64_t size;

	if (!bake_text(v) || times_parse_size(bake_text(v), &size) < 0)
		return refuse(n, key, "it is a size");
	return bake_string(n->a, arena_printf(n->a, "%llu", (unsigned long long)size));
}

static value to_truth(value v)
{
	if (v->kind == BAKE_STRING && (strcmp(v->s, "true") == 0 || strcmp(v->s, "false") == 0))
		return bake_bool(*v->s == 't');
	return v;
}

/* [a] as [{source: a}]. */
static value to_sources(struct normalizer *n, value v)
{
	struct bake_builder b = {.arena = n->a};

	for (size_t i = 0; bake_is_sequence(v) && i < v->n; i++)
		bake_push(&b, v->v[i]->kind == BAKE_STRING
				      ? compose_with(n->a, NULL, "source", v->v[i])
				      : v->v[i]);
	return bake_sequence(&b, BAKE_LIST);
}

static value to_hosts(struct normalizer *n, value v)
{
	struct bake_builder b = {.arena = n->a}, sorted = {.arena = n->a};

	if (bake_is_mapping(v)) {
		for (size_t i = 0; i < v->n; i++) {
			value list = to_list(n, v->v[i]);

			for (size_t k = 0; k < list->n; k++)
				bake_push(&b,
					  bake_string(n->a, arena_printf(n->a, "%s=%s", v->names[i],
									 list->v[k]->s)));
		}
		return bake_sequence(&b, BAKE_LIST);
	}
	for (size_t i = 0; bake_is_sequence(v) && i < v->n; i++) {
		const char *text = bake_text(v->v[i]);
		size_t at = text ? strcspn(text, "=:") : 0;

		if (!text || !text[at])
			return refuse(n, "extra_hosts", "an entry is HOST=ADDRESS");
		text = arena_printf(n->a, "%.*s=%s", (int)at, text, text + at + 1);
		bake_put(&sorted, text, bake_string(n->a, text));
	}
	for (size_t i = 0; i < sorted.n; i++)
		bake_push(&b, sorted.v[i]);
	return bake_sequence(&b, BAKE_LIST);
}

/* As short as it can be, and relative where it was. */
static value clean(struct arena *a, value path)
{
	_cleanup_free_ char *text = bake_text(path) && compose_is_path(bake_text(path))
					    ? path_clean(bake_text(path))
					    : NULL;

	return text ? bake_string(a, text) : path;
}

/* --- build --- */

static value normal_contexts(struct normalizer *n, value v)
{
	value pairs = to_pairs(n, v, false, false);

	for (size_t i = 0; n->p->for_bake && bake_is_mapping(pairs) && i < pairs->n; i++)
		pairs = compose_with(n->a, pairs, pairs->names[i], clean(n->a, pairs->v[i]));

	return bake_is_mapping(pairs) ? pairs
				      : refuse(n, "build.additional_contexts", "it is a map");
}

static value normal_build_key(struct normalizer *n, const char *key, value v)
{
	static const char *const truths[] = {"no_cache", "pull", "privileged"};

	if (strcmp(key, "args") == 0)
		return to_pairs(n, v, true, false);
	if (strcmp(key, "labels") == 0)
		return to_pairs(n, v, false, false);
	if (strcmp(key, "additional_contexts") == 0)
		return normal_contexts(n, v);
	if (strcmp(key, "extra_hosts") == 0)
		return to_hosts(n, v);
	if (strcmp(key, "secrets") == 0)
		return to_sources(n, v);
	if (strcmp(key, "shm_size") == 0)
		return to_size(n, "build.shm_size", v);
	if (strcmp(key, "ssh") == 0 && bake_is_mapping(v)) {
		struct bake_builder b = {.arena = n->a};

		for (size_t i = 0; i < v->n; i++)
			bake_push(&b, bake_string(n->a,
						  bake_text(v->v[i])
							  ? arena_printf(n->a, "%s=%s", v->names[i],
									 bake_text(v->v[i]))
							  : v->names[i]));
		return bake_sequence(&b, BAKE_LIST);
	}
	for (size_t i = 0; i < ARRAY_SIZE(truths); i++)
		if (strcmp(key, truths[i]) == 0)
			return to_truth(v);
	return bake_text(v) && strcmp(key, "x-bake") != 0 ? text_of(n->a, v) : v;
}

static value normal_build(struct normalizer *n, value v)
{
	static const char *const keys[] = {"additional_contexts",
					   "args",
					   "cache_from",
					   "cache_to",
					   "context",
					   "dockerfile",
					   "dockerfile_inline",
					   "entitlements",
					   "extra_hosts",
					   "isolation",
					   "labels",
					   "network",
					   "no_cache",
					   "no_cache_filter",
					   "platforms",
					   "privileged",
					   "provenance",
					   "pull",
					   "sbom",
					   "secrets",
					   "shm_size",
					   "ssh",
					   "tags",
					   "target",
					   "ulimits"};
	struct bake_builder b = {.arena = n->a};

	if (v->kind == BAKE_STRING)
		v = compose_with(n->a, NULL, "context", v);
	if (!bake_is_mapping(v))
		return refuse(n, "build", "it is a folder or a map");
	for (size_t i = 0; i < v->n; i++) {
		const char *key = v->names[i];
		bool known = strncmp(key, "x-", 2) == 0;
		value one;

		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			known = known || strcmp(keys[k], key) == 0;
		if (!known)
			return refuse(n, arena_printf(n->a, "build.%s", key),
				      "there is no such key");
		/* Of extensions x-bake alone means something, and to a bake. */
		if (v->v[i]->kind == BAKE_NULL || (strncmp(key, "x-", 2) == 0 && !n->p->for_bake))
			continue;
		one = normal_build_key(n, key, v->v[i]);
		if (!one)
			return NULL;
		bake_put(&b, key, one);
	}
	v = bake_mapping(&b, BAKE_MAP);
	if (!compose_get(v, "context"))
		v = compose_with(n->a, v, "context",
				 bake_string(n->a, n->p->for_bake ? "." : n->p->dir));
	if (!compose_get(v, "dockerfile") && !compose_get(v, "dockerfile_inline"))
		v = compose_with(n->a, v, "dockerfile", bake_string(n->a, "Dockerfile"));
	return v;
}

/* --- ports and volumes --- */

static bool port_range(const char *text, size_t length, uint64_t *first, uint64_t *last)
{
	_cleanup_free_ char *copy = xstrndup(text, length);
	char *dash = strchr(copy, '-');

	if (dash)
		*dash = '\0';
	return number_parse(copy, 10, 65535, first) == 0 &&
	       number_parse(dash ? dash + 1 : copy, 10, 65535, last) == 0 && *last >= *first;
}

static void push_once(struct bake_builder *list, value v)
{
	for (size_t i = 0; i < list->n; i++)
		if (bake_equal(list->v[i], v))
			return;
	bake_push(list, v);
}

/* [[HOST:]PUBLISHED:]TARGET[/PROTOCOL] */
static bool add_ports(struct normalizer *n, const char *text, struct bake_builder *list)
{
	const char *slash = strchr(text, '/'), *end = slash ? slash : text + strlen(text),
		   *target = text, *published = NULL;
	const char *host = NULL;
	uint64_t first, last, from = 0, to = 0;

	for (const char *p = text; p < end; p++)
		if (*p == ':')
			target = p + 1;
	if (target > text) {
		published = text;
		for (const char *p = text; p < target - 1; p++)
			if (*p == ':')
				published = p + 1;
		if (published > text)
			host = arena_strndup(n->a, text, (size_t)(published - text) - 1);
	}
	if (!port_range(target, (size_t)(end - target), &first, &last) ||
	    (published && target - published > 1 &&
	     !port_range(published, (size_t)(target - published) - 1, &from, &to)))
		return refuse(n, "ports", "a port is [[ADDRESS:]PUBLISHED:]TARGET[/PROTOCOL]") !=
		       NULL;
	if (from > 0 && to - from != last - first && last != first)
		return refuse(n, "ports", "the ranges of ports differ in size") != NULL;
	for (uint64_t i = first; i <= last; i++) {
		struct bake_builder b = {.arena = n->a};

		bake_put(&b, "mode", bake_string(n->a, "ingress"));
		bake_put(&b, "target", bake_int(n->a, (int64_t)i));
		bake_put(&b, "protocol", bake_string(n->a, slash ? slash + 1 : "tcp"));
		if (host)
			bake_put(&b, "host_ip",
				 bake_string(n->a, host[0] == '[' ? arena_strndup(n->a, host + 1,
										  strlen(host) - 2)
								  : host));
		/* One port of the container may be any of several here. */
		if (from > 0)
			bake_put(&b, "published",
				 last == first && to > from
					 ? bake_stringn(n->a, published,
							(size_t)(target - published) - 1)
					 : text_of(n->a,
						   bake_int(n->a, (int64_t)(from + i - first))));
		push_once(list, bake_mapping(&b, BAKE_MAP));
	}
	return true;
}

static value normal_ports(struct normalizer *n, value v)
{
	struct bake_builder list = {.arena = n->a};

	for (size_t i = 0; bake_is_sequence(v) && i < v->n; i++) {
		value e = v->v[i];

		if (bake_text(e)) {
			if (!add_ports(n, bake_text(e), &list))
				return NULL;
			continue;
		}
		if (compose_get(e, "published"))
			e = compose_with(n->a, e, "published",
					 text_of(n->a, compose_get(e, "published")));
		if (!compose_get(e, "mode"))
			e = compose_with(n->a, e, "mode", bake_string(n->a, "ingress"));
		if (!compose_get(e, "protocol"))
			e = compose_with(n->a, e, "protocol", bake_string(n->a, "tcp"));
		bake_push(&list, e);
	}
	return bake_sequence(&list, BAKE_LIST);
}

/* [SOURCE:]TARGET[:ro] */
static value short_volume(struct normalizer *n, const char *text)
{
	struct bake_builder b = {.arena = n->a}, empty = {.arena = n->a};
	const char *colon = strchr(text, ':'), *target = colon ? colon + 1 : text,
		   *options = colon ? strchr(target, ':') : NULL;
	const char *source = colon ? arena_strndup(n->a, text, (size_t)(colon - text)) : NULL;
	bool bind = source && strchr("./~", *source);

	bake_put(&b, "type", bake_string(n->a, bind ? "bind" : "volume"));
	if (source)
		bake_put(&b, "source",
			 bind ? compose_absolute_path(n->a, n->p->dir, source)
			      : bake_string(n->a, source));
	bake_put(&b, "target",
		 bake_stringn(n->a, target, options ? (size_t)(options - target) : strlen(target)));
	if (options && strstr(options, "ro"))
		bake_put(&b, "read_only", bake_bool(true));
	bake_put(&b, bind ? "bind" : "volume", bake_mapping(&empty, BAKE_MAP));
	return bake_mapping(&b, BAKE_MAP);
}

static value normal_volumes(struct normalizer *n, value v)
{
	struct bake_builder list = {.arena = n->a};

	for (size_t i = 0; bake_is_sequence(v) && i < v->n; i++) {
		value e = v->v[i], type = compose_get(e, "type"), source = compose_get(e, "source");

		if (e->kind == BAKE_STRING)
			e = short_volume(n, e->s);
		else if (type && source && strcmp(bake_text(type), "bind") == 0)
			e = compose_with(n->a, e, "source",
					 compose_absolute_path(n->a, n->p->dir, bake_text(source)));
		bake_push(&list, e);
	}
	return bake_sequence(&list, BAKE_LIST);
}

/* --- services --- */

/* A secret of a container has a place there. */
static value service_secrets(struct normalizer *n, value v)
{
	struct bake_builder b = {.arena = n->a};

	v = to_sources(n, v);
	for (size_t i = 0; i < v->n; i++) {
		value source = compose_get(v->v[i], "source"),
		      target = compose_get(v->v[i], "target");
		const char *name = target ? bake_text(target) : source ? bake_text(source) : "";

		bake_push(&b,
			  name && *name != '/'
				  ? compose_with(
					    n->a, v->v[i], "target",
					    bake_string(n->a, arena_printf(n->a, "/run/secrets/%s",
									   name)))
				  : v->v[i]);
	}
	return bake_sequence(&b, BAKE_LIST);
}

static value normal_deploy(struct normalizer *n, value v)
{
	static const char *const parts[] = {"placement", "resources"};
	struct bake_builder none = {.arena = n->a};

	for (size_t i = 0; bake_is_mapping(v) && i < ARRAY_SIZE(parts); i++)
		if (!bake_member(v, parts[i]))
			v = compose_with(n->a, v, parts[i], bake_mapping(&none, BAKE_MAP));
	return v;
}

static value normal_networks(struct normalizer *n, value v)
{
	struct bake_builder b = {.arena = n->a};

	if (bake_is_mapping(v))
		return v;
	for (size_t i = 0; bake_is_sequence(v) && i < v->n; i++)
		bake_put(&b, bake_text(v->v[i]), bake_null());
	return bake_mapping(&b, BAKE_MAP);
}

static value normal_dependencies(struct normalizer *n, value v)
{
	struct bake_builder b = {.arena = n->a};

	for (size_t i = 0; (bake_is_sequence(v) || bake_is_mapping(v)) && i < v->n; i++) {
		const char *name = bake_is_mapping(v) ? v->names[i] : bake_text(v->v[i]);
		value e = bake_is_mapping(v) && bake_is_mapping(v->v[i]) ? v->v[i] : NULL;

		if (!e || !compose_get(e, "condition"))
			e = compose_with(n->a, e, "condition",
					 bake_string(n->a, "service_started"));
		if (!compose_get(e, "required"))
			e = compose_with(n->a, e, "required", bake_bool(true));
		bake_put(&b, name ? name : "", e);
	}
	return bake_mapping(&b, BAKE_MAP);
}

static value normal_health(struct normalizer *n, value v)
{
	value test = compose_get(v, "test");
	struct bake_builder b = {.arena = n->a};

	if (!test || test->kind != BAKE_STRING)
		return v;
	bake_push(&b, bake_string(n->a, "CMD-SHELL"));
	bake_push(&b, test);
	return compose_with(n->a, v, "test", bake_sequence(&b, BAKE_LIST));
}

static value normal_key(struct normalizer *n, const char *key, value v)
{
	static const struct {
		const char *key;
		value (*fn)(struct normalizer *n, value v);
	} forms[] = {
		{"build", normal_build},
		{"command", to_words},
		{"entrypoint", to_words},
		{"ports", normal_ports},
		{"volumes", normal_volumes},
		{"networks", normal_networks},
		{"secrets", service_secrets},
		{"deploy", normal_deploy},
		{"depends_on", normal_dependencies},
		{"healthcheck", normal_health},
		{"configs", to_sources},
		{"dns", to_list},
		{"dns_search", to_list},
		{"tmpfs", to_list},
		{"expose", to_list},
		{"extra_hosts", to_hosts},
		{"cap_add", to_list},
		{"cap_drop", to_list},
	};

	if (strcmp(key, "environment") == 0)
		return to_pairs(n, v, true, true);
	if (strcmp(key, "labels") == 0 || strcmp(key, "annotations") == 0 ||
	    strcmp(key, "sysctls") == 0)
		return to_pairs(n, v, false, false);
	if (strcmp(key, "mem_limit") == 0 || strcmp(key, "shm_size") == 0 ||
	    strcmp(key, "mem_reservation") == 0)
		return to_size(n, key, v);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (strcmp(key, forms[i].key) == 0)
			return forms[i].fn(n, v);
	return v;
}

static value normal_service(struct normalizer *n, value v)
{
	struct bake_builder b = {.arena = n->a};
	value mode;

	if (!bake_is_mapping(v))
		return v->kind == BAKE_NULL
			       ? compose_with(n->a, NULL, "networks", normal_networks(n, v))
			       : refuse(n, "", "a service is a map");
	for (size_t i = 0; i < v->n; i++) {
		value one =
			v->v[i]->kind == BAKE_NULL ? v->v[i] : normal_key(n, v->names[i], v->v[i]);

		if (!one)
			return NULL;
		if (one->kind != BAKE_NULL)
			bake_put(&b, v->names[i], one);
	}
	v = bake_mapping(&b, BAKE_MAP);
	mode = compose_get(v, "network_mode");
	if (!compose_get(v, "networks") && !mode) {
		v = compose_with(n->a, v, "networks",
				 compose_with(n->a, NULL, "default", bake_null()));
		n->uses_default = true;
	}
	return v;
}

static value normal_services(struct normalizer *n, value services)
{
	struct bake_builder b = {.arena = n->a};

	for (size_t i = 0; services && i < services->n; i++) {
		value one;

		n->service = services->names[i];
		one = normal_service(n, services->v[i]);
		if (!one)
			return NULL;
		bake_put(&b, services->names[i], one);
	}
	return bake_mapping(&b, BAKE_MAP);
}

/* Networks, volumes, secrets and configs have names, PROJECT_KEY or their own. */
static value named(struct normalizer *n, const char *kind, value list)
{
	struct bake_builder b = {.arena = n->a};

	for (size_t i = 0; list && i < list->n; i++) {
		struct bake_builder empty = {.arena = n->a};
		value e = bake_is_mapping(list->v[i]) ? list->v[i] : bake_mapping(&empty, BAKE_MAP);
		value external = compose_get(e, "external"), file = compose_get(e, "file");
		bool outside = external && external->kind == BAKE_BOOL && external->b;

		if (!compose_get(e, "name"))
			e = compose_with(
				n->a, e, "name",
				bake_string(n->a, outside ? list->names[i]
							  : arena_printf(n->a, "%s_%s", n->p->name,
									 list->names[i])));
		if (file)
			e = compose_with(n->a, e, "file",
					 n->p->for_bake ? clean(n->a, file)
							: compose_absolute_path(n->a, n->p->dir,
										bake_text(file)));
		if (strcmp(kind, "networks") == 0 && !compose_get(e, "ipam"))
			e = compose_with(n->a, e, "ipam", bake_mapping(&empty, BAKE_MAP));
		bake_put(&b, list->names[i], e);
	}
	return bake_mapping(&b, BAKE_MAP);
}

const struct bake_value *compose_normalize(const struct compose_project *p,
					   const struct bake_value *model, struct error **err)
{
	static const char *const kinds[] = {"networks", "volumes", "secrets", "configs"};
	struct normalizer n = {.p = p, .a = p->arena, .err = err};
	value services = normal_services(&n, compose_get(model, "services")), networks;

	if (!services)
		return NULL;
	model = compose_without(p->arena, model, "version");
	model = compose_with(p->arena, model, "services", services);
	networks = compose_get(model, "networks");
	if (n.uses_default && (!networks || !bake_member(networks, "default")))
		networks = compose_with(p->arena, networks, "default", bake_null());
	if (networks)
		model = compose_with(p->arena, model, "networks", networks);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (compose_get(model, kinds[i]))
			model = compose_with(p->arena, model, kinds[i],
					     named(&n, kinds[i], compose_get(model, kinds[i])));
	return compose_with(p->arena, model, "name", bake_string(p->arena, p->name));
}
