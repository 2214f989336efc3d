/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/path.h"
#include "base/suggest.h"
#include "base/times.h"

enum { CONFIG_MAX = 1 << 20 };

static const char *const top_keys[] = {"registries", "limits", "gc"};
static const char *const gc_keys[] = {"enabled", "max-used-space", "min-free-space",
				      "keep-duration"};
static const char *const limit_keys[] = {"archive-size", "archive-entries"};
static const char *const registry_keys[] = {"mirrors", "insecure", "ca"};

static void registry_config_release(struct registry_config *rc)
{
	free(rc->host);
	strv_release(&rc->mirrors);
	free(rc->ca);
	*rc = (struct registry_config){0};
}

void config_release(struct config *c)
{
	for (size_t i = 0; i < c->registries.n; i++)
		registry_config_release(&c->registries.v[i]);
	vec_release(&c->registries);
}

const struct registry_config *config_registry(const struct config *c, const char *host)
{
	for (size_t i = 0; c && i < c->registries.n; i++)
		if (strcasecmp(c->registries.v[i].host, host) == 0)
			return &c->registries.v[i];
	return NULL;
}

/* All of the text is looked at: what merely begins like an address here ("127.example.com",
 * "127.0.0.1:80@host") is anybody's. */
bool config_host_is_loopback(const char *host)
{
	static const char digits[] = "0123456789";
	size_t n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	_cleanup_free_ char *name = xstrndup(host, n);
	const char *port = host + strlen(name);
	struct in_addr address;

	if (*port && (*port != ':' || port[1 + strspn(port + 1, digits)]))
		return false;
	if (strcmp(name, "[::1]") == 0 || strcasecmp(name, "localhost") == 0)
		return true;
	return inet_pton(AF_INET, name, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

bool config_url_is_odd(const char *url)
{
	for (const char *p = url; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 127 || strchr("@?#\\%", *p))
			return true;
	return false;
}

static int check_keys(json_t *object, const char *where, const char *const *known, size_t n_known,
		      struct error **err)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		bool found = false;
		const char *near;
		int r;

		for (size_t i = 0; i < n_known && !found; i++)
			found = strcmp(known[i], key) == 0;
		if (found)
			continue;
		r = error_new(err, ERR_INVALID, 0, "unknown key \"%s\"%s", key, where);
		near = suggest(key, known, n_known, false);
		if (near)
			r = error_hint(err, r, "did you mean \"%s\"?", near);
		return r;
	}
	return 0;
}

static int check_mirror(struct registry_config *rc, const char *url, struct error **err)
{
	bool plain = strncmp(url, "http://", 7) == 0;
	_cleanup_free_ char *copy = xstrdup(url);
	size_t n = strlen(copy);
	_cleanup_free_ char *host = NULL;
	int r;

	if (!plain && strncmp(url, "https://", 8) != 0)
		return error_new(err, ERR_INVALID, 0,
				 "mirror \"%s\" must start with http:// or https://", url);
	while (n > 0 && copy[n - 1] == '/')
		copy[--n] = '\0';
	n = plain ? 7 : 8;
	host = xstrndup(copy + n, strcspn(copy + n, "/"));
	if (!*host || config_url_is_odd(copy) || strstr(copy + n, "//"))
		return error_new(
			err, ERR_INVALID, 0,
			"mirror \"%s\" is not a valid URL (expected scheme://host[:port][/path])",
			url);
	if (plain && !rc->insecure && !config_host_is_loopback(host)) {
		r = error_new(err, ERR_INVALID, 0,
			      "mirror \"%s\" is plain HTTP and not on the loopback interface", url);
		return error_hint(err, r, "use https://, or set \"insecure\": true for \"%s\"",
				  rc->host);
	}
	strv_push(&rc->mirrors, copy);
	return 0;
}

static int parse_registry(const char *file, const char *host, json_t *object,
			  struct registry_config *rc, struct error **err)
{
	_cleanup_strv_ struct strv mirrors = {0};
	_cleanup_free_ char *where = xasprintf(" of registry \"%s\"", host);
	const char *ca = NULL;
	int r;

	rc->host = xstrdup(host);
	if (!json_is_object(object))
		return error_new(err, ERR_INVALID, 0, "registry \"%s\" must be an object", host);
	r = check_keys(object, where, registry_keys, ARRAY_SIZE(registry_keys), err);
	if (r == 0)
		r = js_bool(object, "insecure", &rc->insecure, err);
	if (r == 0)
		r = js_string(object, "ca", &ca, err);
	if (r == 0)
		r = js_strings(object, "mirrors", &mirrors, err);
	for (size_t i = 0; r == 0 && i < mirrors.n; i++)
		r = check_mirror(rc, mirrors.v[i], err);
	if (r < 0)
		return error_wrap(err, r, "registry \"%s\"", host);
	if (ca) {
		_cleanup_free_ char *dir = path_dir(file);

		rc->ca = path_resolve(dir, ca);
	}
	return 0;
}

static void put_registry(struct config *c, struct registry_config rc)
{
	for (size_t i = 0; i < c->registries.n; i++) {
		if (strcasecmp(c->registries.v[i].host, rc.host) == 0) {
			registry_config_release(&c->registries.v[i]);
			c->registries.v[i] = rc;
			return;
		}
	}
	vec_push(&c->registries, rc);
}

static int parse_limits(struct config *c, json_t *object, struct error **err)
{
	const char *size = NULL;
	int64_t entries = 0;
	int r = check_keys(object, " of \"limits\"", limit_keys, ARRAY_SIZE(limit_keys), err);

	if (r == 0)
		r = js_string(object, "archive-size", &size, err);
	if (r == 0)
		r = js_int(object, "archive-entries", &entries, err);
	if (r < 0)
		return r;
	if (size && (times_parse_size(size, &c->archive_size) < 0 || c->archive_size == 0))
		return error_new(err, ERR_INVALID, 0,
				 "\"archive-size\": \"%s\" is not a size such as \"64GiB\"", size);
	if (entries < 0)
		return error_new(err, ERR_INVALID, 0, "\"archive-entries\" is negative");
	if (entries > 0)
		c->archive_entries = (uint64_t)entries;
	return 0;
}

static int parse_gc(struct gc_config *gc, json_t *object, struct error **err)
{
	const char *max_used = NULL, *min_free = NULL, *keep = NULL;
	bool enabled = !gc->disabled;
	int r = check_keys(object, " of \"gc\"", gc_keys, ARRAY_SIZE(gc_keys), err);

	if (r == 0)
		r = js_bool(object, "enabled", &enabled, err);
	if (r == 0)
		r = js_string(object, "max-used-space", &max_used, err);
	if (r == 0)
		r = js_string(object, "min-free-space", &min_free, err);
	if (r == 0)
		r = js_string(object, "keep-duration", &keep, err);
	if (r < 0)
		return r;
	gc->disabled = !enabled;
	if (max_used && (times_parse_size(max_used, &gc->max_used) < 0 || gc->max_used == 0))
		return error_new(err, ERR_INVALID, 0,
				 "\"max-used-space\": \"%s\" is not a size such as \"100GB\"",
				 max_used);
	if (min_free && times_parse_size(min_free, &gc->min_free) < 0)
		return error_new(err, ERR_INVALID, 0,
				 "\"min-free-space\": \"%s\" is not a size such as \"10GB\"",
				 min_free);
	if (keep && (times_parse_duration(keep, &gc->keep_ns) < 0 || gc->keep_ns < 0))
		return error_new(err, ERR_INVALID, 0,
				 "\"keep-duration\": \"%s\" is not a duration such as \"48h\"",
				 keep);
	gc->has_min_free = gc->has_min_free || min_free;
	gc->has_keep = gc->has_keep || keep;
	return 0;
}

static int merge(struct config *c, const char *file, json_t *doc, struct error **err)
{
	json_t *registries = NULL, *limits = NULL, *gc = NULL, *value;
	const char *host;
	int r;

	if (!json_is_object(doc))
		return error_new(err, ERR_INVALID, 0, "not a JSON object");
	r = check_keys(doc, "", top_keys, ARRAY_SIZE(top_keys), err);
	if (r == 0)
		r = js_object(doc, "registries", &registries, err);
	if (r == 0)
		r = js_object(doc, "limits", &limits, err);
	if (r == 0 && limits)
		r = parse_limits(c, limits, err);
	if (r == 0)
		r = js_object(doc, "gc", &gc, err);
	if (r == 0 && gc)
		r = parse_gc(&c->gc, gc, err);
	if (r < 0 || !registries)
		return r;
	json_object_foreach(registries, host, value)
	{
		struct registry_config rc = {0};

		r = parse_registry(file, host, value, &rc, err);
		if (r < 0) {
			registry_config_release(&rc);
			return r;
		}
		put_registry(c, rc);
	}
	return 0;
}

int config_merge(struct config *c, const char *file, const void *json, size_t n, struct error **err)
{
	json_t *doc = NULL;
	int r = js_parse("configuration", json, n, &doc, err);

	if (r == 0)
		r = merge(c, file, doc, err);
	json_decref(doc);
	if (r < 0)
		return error_wrap(err, r, "configuration file '%s'", file);
	return 0;
}

static int load_file(struct config *c, const char *file, bool required, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT_MAX(CONFIG_MAX);
	int r = fs_read_file(AT_FDCWD, file, &b);

	/* ENOTDIR: HOME is not a directory, say. */
	if ((r == -ENOENT || r == -ENOTDIR) && !required)
		return 0;
	if (r < 0)
		return error_new(err, ERR_IO, -r, "read configuration file '%s'", file);
	return config_merge(c, file, b.p, b.n, err);
}

int config_load(struct config *ret, struct error **err)
{
	const char *file = getenv("KILN_CONFIG"), *home = getenv("HOME"),
		   *xdg = getenv("XDG_CONFIG_HOME");
	_cleanup_free_ char *own = NULL;
	struct config c = {0};
	int r;

	if (file && *file) {
		r = load_file(&c, file, true, err);
	} else {
		if (xdg && *xdg == '/')
			own = xasprintf("%s/kiln/config.json", xdg);
		else if (home && *home)
			own = xasprintf("%s/.config/kiln/config.json", home);
		r = load_file(&c, "/etc/kiln/config.json", false, err);
		if (r == 0 && own)
			r = load_file(&c, own, false, err);
	}
	if (r < 0) {
		config_release(&c);
		return r;
	}
	*ret = c;
	return 0;
}
