/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/config/docker_auth.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/spawn.h"

enum { AUTH_FILE_MAX = 4 << 20, HELPER_OUTPUT_MAX = 1 << 20 };

/* The name under which docker keeps its own hub's credentials. */
static const char hub_key[] = "https://index.docker.io/v1/";

void credentials_release(struct credentials *c)
{
	if (c->secret)
		explicit_bzero(c->secret, strlen(c->secret));
	free(c->secret);
	free(c->username);
	*c = (struct credentials){0};
}

static bool is_hub(const char *host)
{
	return strcmp(host, "docker.io") == 0 || strcmp(host, "index.docker.io") == 0 ||
	       strcmp(host, "registry-1.docker.io") == 0;
}

/* Keys are host names, in old files also URLs: "https://host/v1/". */
static bool key_matches(const char *key, const char *host)
{
	size_t n;

	if (is_hub(host) && strcmp(key, hub_key) == 0)
		return true;
	if (strncmp(key, "https://", 8) == 0)
		key += 8;
	else if (strncmp(key, "http://", 7) == 0)
		key += 7;
	n = strcspn(key, "/");
	if (is_hub(host))
		return (n == 9 && strncasecmp(key, "docker.io", n) == 0) ||
		       (n == 15 && strncasecmp(key, "index.docker.io", n) == 0);
	return n == strlen(host) && strncasecmp(key, host, n) == 0;
}

static json_t *find_key(json_t *object, const char *host)
{
	json_t *value = json_object_get(object, is_hub(host) ? hub_key : host);
	const char *key;

	if (value)
		return value;
	json_object_foreach(object, key, value) if (key_matches(key, host)) return value;
	return NULL;
}

/* "auth" is base64 of user:password. */
static int decode_auth(const char *text, struct credentials *ret, struct error **err)
{
	_cleanup_buf_ struct buf plain = BUF_INIT_MAX(AUTH_FILE_MAX);
	char *colon;

	if (base64_decode(text, &plain) < 0)
		return error_new(err, ERR_INVALID, 0, "\"auth\" is not base64");
	/* docker pads with NUL bytes at times. */
	colon = strchr(plain.p, ':');
	if (!colon)
		return error_new(err, ERR_INVALID, 0, "\"auth\" holds no user:password");
	ret->username = xstrndup(plain.p, (size_t)(colon - plain.p));
	ret->secret = xstrdup(colon + 1);
	explicit_bzero(plain.p, plain.n);
	return 0;
}

static int from_entry(const json_t *entry, bool *ret_found, struct credentials *ret,
		      struct error **err)
{
	const char *auth = NULL, *token = NULL, *user = NULL, *password = NULL;
	int r;

	if (!json_is_object(entry))
		return error_new(err, ERR_INVALID, 0, "the entry is not an object");
	r = js_string(entry, "auth", &auth, err);
	if (r == 0)
		r = js_string(entry, "identitytoken", &token, err);
	if (r == 0)
		r = js_string(entry, "username", &user, err);
	if (r == 0)
		r = js_string(entry, "password", &password, err);
	if (r < 0)
		return r;
	if (token && *token) {
		ret->secret = xstrdup(token);
		ret->identity_token = true;
	} else if (auth && *auth) {
		r = decode_auth(auth, ret, err);
		if (r < 0)
			return r;
	} else if (user && password) {
		ret->username = xstrdup(user);
		ret->secret = xstrdup(password);
	}
	*ret_found = ret->secret != NULL;
	return 0;
}

static int parse_helper_output(const char *name, const struct buf *out, bool *ret_found,
			       struct credentials *ret, struct error **err)
{
	const char *user = NULL, *secret = NULL;
	json_t *doc = NULL;
	int r = js_parse("its output", out->p, out->n, &doc, err);

	if (r == 0 && !json_is_object(doc))
		r = error_new(err, ERR_INVALID, 0, "its output is not a JSON object");
	if (r == 0)
		r = js_string(doc, "Username", &user, err);
	if (r == 0)
		r = js_string(doc, "Secret", &secret, err);
	if (r == 0 && secret && *secret) {
		ret->identity_token = user && strcmp(user, "<token>") == 0;
		ret->username = ret->identity_token ? NULL : xstrdup(user ? user : "");
		ret->secret = xstrdup(secret);
		*ret_found = true;
	}
	json_decref(doc);
	return r < 0 ? error_wrap(err, r, "credential helper 'docker-credential-%s'", name) : 0;
}

/* *ret_found = false: it knows nothing of the server. `out` gets what it prints. */
static int run_helper(const char *name, const char *verb, const struct buf *in, const char *server,
		      struct cancel *cancel, bool *ret_found, struct buf *out, struct error **err)
{
	_cleanup_buf_ struct buf errout = BUF_INIT_MAX(HELPER_OUTPUT_MAX);
	_cleanup_(error_freep) struct error *failure = NULL;
	_cleanup_free_ char *program = xasprintf("docker-credential-%s", name);
	const char *argv[] = {program, verb, NULL};
	int r;

	*ret_found = false;
	if (strchr(name, '/'))
		return error_new(err, ERR_INVALID, 0, "credential helper name '%s' holds a slash",
				 name);
	r = spawn_run(argv, in, out, &errout, cancel, &failure);
	/* The protocol reports "nothing stored" as a failure with this text on stdout. */
	if (r == -ERR_PROCESS && strstr(out->p, "credentials not found"))
		return 0;
	if (r == -ERR_CANCELED)
		return error_new(err, ERR_CANCELED, 0, "canceled");
	if (r < 0)
		return error_new(err, ERR_DENIED, 0, "credential helper '%s' failed for %s: %s",
				 program, server,
				 out->n > 0 && out->n < 512 ? out->p : error_text(failure));
	*ret_found = true;
	return 0;
}

static int ask_helper(const char *name, const char *server, struct cancel *cancel, bool *ret_found,
		      struct credentials *ret, struct error **err)
{
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT_MAX(HELPER_OUTPUT_MAX);
	bool found;
	int r;

	buf_adds(&in, server);
	r = run_helper(name, "get", &in, server, cancel, &found, &out, err);
	if (r < 0 || !found)
		return r;
	r = parse_helper_output(name, &out, ret_found, ret, err);
	explicit_bzero(out.p, out.n);
	return r;
}

/* The sections of the config file that matter here; NULL where it lacks one. */
struct sections {
	json_t *auths, *helpers;
	const char *store;
};

static int find_sections(const json_t *doc, const char *host, struct sections *ret,
			 struct error **err)
{
	json_t *entry;
	int r = 0;

	*ret = (struct sections){0};
	if (!json_is_object(doc))
		return error_new(err, ERR_INVALID, 0, "not a JSON object");
	r = js_object(doc, "auths", &ret->auths, err);
	if (r == 0)
		r = js_object(doc, "credHelpers", &ret->helpers, err);
	if (r == 0)
		r = js_string(doc, "credsStore", &ret->store, err);
	entry = r == 0 ? find_key(ret->helpers, host) : NULL;
	if (json_is_string(entry))
		ret->store = json_string_value(entry);
	if (ret->store && !*ret->store)
		ret->store = NULL;
	return r;
}

static const char *server_key(const char *host)
{
	return is_hub(host) ? hub_key : host;
}

static int lookup(json_t *doc, const char *host, struct cancel *cancel, bool *ret_found,
		  struct credentials *ret, struct error **err)
{
	struct sections in;
	json_t *entry;
	int r = find_sections(doc, host, &in, err);

	if (r < 0)
		return r;
	if (in.store) {
		r = ask_helper(in.store, server_key(host), cancel, ret_found, ret, err);
		if (r < 0 || *ret_found)
			return r;
	}
	entry = find_key(in.auths, host);
	if (!entry)
		return 0;
	r = from_entry(entry, ret_found, ret, err);
	return r < 0 ? error_wrap(err, r, "credentials for %s", host) : 0;
}

static char *config_path(void)
{
	const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

	if (dir && *dir)
		return xasprintf("%s/config.json", dir);
	return home && *home ? xasprintf("%s/.docker/config.json", home) : NULL;
}

/* *ret_doc = NULL: there is no such file. */
static int read_config(const char *file, json_t **ret_doc, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT_MAX(AUTH_FILE_MAX);
	int r = fs_read_file(AT_FDCWD, file, &b);

	*ret_doc = NULL;
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return error_new(err, ERR_IO, -r, "read credentials file '%s'", file);
	r = js_parse("credentials", b.p, b.n, ret_doc, err);
	explicit_bzero(b.p, b.n);
	return r < 0 ? error_wrap(err, r, "credentials file '%s'", file) : 0;
}

/* From one document, that `where` names. */
static int lookup_in(json_t *doc, const char *where, const char *host, struct cancel *cancel,
		     bool *ret_found, struct credentials *ret, struct error **err)
{
	struct credentials found = {0};
	int r = lookup(doc, host, cancel, ret_found, &found, err);

	if (r < 0) {
		*ret_found = false;
		credentials_release(&found);
		return error_wrap(err, r, "%s", where);
	}
	*ret = found;
	return 0;
}

static docker_auth_fn *find_elsewhere;
static void *elsewhere;

void docker_auth_by(docker_auth_fn *find, void *data)
{
	find_elsewhere = find;
	elsewhere = data;
}

int docker_auth_lookup(const char *host, struct cancel *cancel, bool *ret_found,
		       struct credentials *ret, struct error **err)
{
	static const char variable[] = "DOCKER_AUTH_CONFIG";
	const char *text = getenv(variable);
	_cleanup_free_ char *file = config_path(), *where = NULL;
	_cleanup_json_ json_t *given = NULL, *doc = NULL;
	int r = 0;

	*ret_found = false;
	if (find_elsewhere)
		return find_elsewhere(elsewhere, host, ret_found, ret, err);
	if (text && *text) {
		r = js_parse(variable, text, strlen(text), &given, err);
		if (r == 0)
			r = lookup_in(given, variable, host, cancel, ret_found, ret, err);
	}
	if (r < 0 || *ret_found || !file)
		return r;
	r = read_config(file, &doc, err);
	if (r < 0 || !doc)
		return r;
	where = xasprintf("credentials file '%s'", file);
	return lookup_in(doc, where, host, cancel, ret_found, ret, err);
}

static int add_proxy(const json_t *proxies, const char *key, const char *name, struct strv *ret,
		     struct error **err)
{
	const char *value = NULL;
	_cleanup_free_ char *lower = xstrdup(name);
	int r = js_string(proxies, key, &value, err);

	if (r < 0 || !value || !*value)
		return r;
	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	strv_pushf(ret, "%s=%s", name, value);
	strv_pushf(ret, "%s=%s", lower, value);
	return 0;
}

int docker_config_proxies(struct strv *ret, struct error **err)
{
	static const struct {
		const char *key, *name;
	} names[] = {{"httpProxy", "HTTP_PROXY"},
		     {"httpsProxy", "HTTPS_PROXY"},
		     {"ftpProxy", "FTP_PROXY"},
		     {"noProxy", "NO_PROXY"},
		     {"allProxy", "ALL_PROXY"}};
	_cleanup_free_ char *file = config_path();
	_cleanup_json_ json_t *doc = NULL;
	json_t *proxies = NULL, *defaults = NULL;
	int r = 0;

	/* One that is not ours to read gives nothing. */
	if (file && access(file, R_OK) == 0)
		r = read_config(file, &doc, err);
	if (r < 0 || !json_is_object(doc))
		return r;
	r = js_object(doc, "proxies", &proxies, err);
	if (r == 0 && proxies)
		r = js_object(proxies, "default", &defaults, err);
	for (size_t i = 0; r == 0 && defaults && i < ARRAY_SIZE(names); i++)
		r = add_proxy(defaults, names[i].key, names[i].name, ret, err);
	return r < 0 ? error_wrap(err, r, "proxies in '%s'", file) : 0;
}

/* --- login and logout --- */

static int open_config(char **ret_file, json_t **ret_doc, struct error **err)
{
	_cleanup_free_ char *file = config_path();
	char *real;
	int r;

	if (!file)
		return error_new(err, ERR_NOTFOUND, 0,
				 "neither DOCKER_CONFIG nor HOME says where credentials are kept");
	/* People link this file from elsewhere; the link stays. */
	real = realpath(file, NULL);
	if (real) {
		free(file);
		file = real;
	}
	r = read_config(file, ret_doc, err);
	if (r < 0)
		return r;
	*ret_file = TAKE_PTR(file);
	return 0;
}

static int write_config(const char *file, const json_t *doc, struct error **err)
{
	_cleanup_free_ char *dir = xstrndup(file, (size_t)(strrchr(file, '/') - file));
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = *dir ? fs_mkdir_p(AT_FDCWD, dir, 0700) : 0;

	js_dump_go(doc, 8, false, &b);
	buf_addc(&b, '\n');
	if (r == 0)
		r = fs_write_file_atomic(AT_FDCWD, file, b.p, b.n, 0600);
	explicit_bzero(b.p, b.n);
	return r < 0 ? error_new(err, ERR_IO, -r, "write '%s'", file) : 0;
}

static char *encode_auth(const struct credentials *c)
{
	_cleanup_free_ char *plain = xasprintf("%s:%s", c->username, c->secret);
	size_t n = strlen(plain);
	char *coded = base64_encode(plain, n);

	explicit_bzero(plain, n);
	return coded;
}

static int store_with_helper(const char *name, const char *server, const struct credentials *c,
			     struct cancel *cancel, struct error **err)
{
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT_MAX(HELPER_OUTPUT_MAX);
	_cleanup_json_ json_t *o = json_object();
	bool found;
	int r;

	json_object_set_new(o, "ServerURL", json_string(server));
	json_object_set_new(o, "Username", json_string(c->username));
	json_object_set_new(o, "Secret", json_string(c->secret));
	js_dump(o, false, &in);
	r = run_helper(name, "store", &in, server, cancel, &found, &out, err);
	explicit_bzero(in.p, in.n);
	return r;
}

/* The object `key` of the document, made if it is not there. */
static json_t *section(json_t *doc, const char *key)
{
	json_t *o = json_object_get(doc, key);

	if (!o) {
		o = json_object();
		json_object_set_new(doc, key, o);
	}
	return o;
}

int docker_auth_store(const char *host, const struct credentials *c, struct cancel *cancel,
		      char **ret_where, bool *ret_plain, struct error **err)
{
	_cleanup_free_ char *file = NULL;
	_cleanup_json_ json_t *doc = NULL;
	const char *server = server_key(host);
	json_t *entry = NULL;
	struct sections in;
	int r = open_config(&file, &doc, err);

	if (r < 0)
		return r;
	doc = doc ? doc : json_object();
	r = find_sections(doc, host, &in, err);
	if (r < 0)
		return error_wrap(err, r, "credentials file '%s'", file);
	/* With a helper the file only says that there is something. */
	entry = json_object();
	if (in.store) {
		r = store_with_helper(in.store, server, c, cancel, err);
	} else {
		_cleanup_free_ char *auth = encode_auth(c);

		json_object_set_new(entry, "auth", json_string(auth));
		explicit_bzero(auth, strlen(auth));
	}
	json_object_set_new(section(doc, "auths"), server, entry);
	if (r == 0)
		r = write_config(file, doc, err);
	if (r < 0)
		return r;
	*ret_plain = !in.store;
	*ret_where = in.store ? xasprintf("docker-credential-%s", in.store) : TAKE_PTR(file);
	return 0;
}

static int erase_with_helper(const char *name, const char *server, struct cancel *cancel,
			     bool *ret_found, struct error **err)
{
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT_MAX(HELPER_OUTPUT_MAX);

	buf_adds(&in, server);
	return run_helper(name, "erase", &in, server, cancel, ret_found, &out, err);
}

int docker_auth_erase(const char *host, struct cancel *cancel, bool *ret_found, struct error **err)
{
	_cleanup_free_ char *file = NULL;
	_cleanup_json_ json_t *doc = NULL;
	struct sections in;
	const char *key;
	json_t *entry;
	void *next;
	int r = open_config(&file, &doc, err);

	*ret_found = false;
	if (r < 0 || !doc)
		return r;
	r = find_sections(doc, host, &in, err);
	if (r < 0)
		return error_wrap(err, r, "credentials file '%s'", file);
	if (in.store) {
		r = erase_with_helper(in.store, server_key(host), cancel, ret_found, err);
		if (r < 0)
			return r;
	}
	if (!find_key(in.auths, host))
		return 0;
	*ret_found = true;
	json_object_foreach_safe(in.auths, next, key, entry) if (key_matches(key, host))
		json_object_del(in.auths, key);
	return write_config(file, doc, err);
}
