/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_values.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/number.h"
#include "engine/config/docker_auth.h"
#include "engine/exec/op_exec.h"
#include "engine/sandbox/network.h"

int build_values_contexts(struct build_options *o, struct error **err)
{
	for (size_t i = 0; i < o->build_contexts.n; i++) {
		const char *text = o->build_contexts.v[i], *equals = strchr(text, '=');

		if (!equals || equals == text || !equals[1])
			return error_new(err, ERR_INVALID, 0,
					 "--build-context: \"%s\" is not NAME=VALUE", text);
		vec_push(&o->contexts,
			 (struct named_context){.name = xstrndup(text, (size_t)(equals - text)),
						.value = xstrdup(equals + 1)});
	}
	return 0;
}

static int compare_hosts(const void *a, const void *b)
{
	return strcmp(((const struct op_pair *)a)->key, ((const struct op_pair *)b)->key);
}

static bool is_address(const char *text)
{
	struct in6_addr space;

	return inet_pton(AF_INET, text, &space) == 1 || inet_pton(AF_INET6, text, &space) == 1 ||
	       strcmp(text, NETWORK_HOST_GATEWAY) == 0;
}

int build_value_host(const char *text, char **ret_name, char **ret_address, struct error **err)
{
	size_t n = strcspn(text, "=:"), length;
	const char *ip = text + n + (text[n] != '\0');
	_cleanup_free_ char *address = NULL;

	if (n == 0 || !*ip)
		return error_new(err, ERR_INVALID, 0, "--add-host: \"%s\" is not HOST:IP", text);
	length = strlen(ip);
	address =
		ip[0] == '[' && ip[length - 1] == ']' ? xstrndup(ip + 1, length - 2) : xstrdup(ip);
	if (strcspn(text, " \t\r\n#") < n || !is_address(address))
		return error_new(err, ERR_INVALID, 0,
				 "--add-host: \"%s\" is not HOST:IP or HOST:" NETWORK_HOST_GATEWAY,
				 text);
	*ret_name = xstrndup(text, n);
	*ret_address = TAKE_PTR(address);
	return 0;
}

int build_values_hosts(struct build_options *o, struct error **err)
{
	for (size_t i = 0; i < o->add_hosts.n; i++) {
		char *name, *address;
		int r = build_value_host(o->add_hosts.v[i], &name, &address, err);

		if (r < 0)
			return r;
		vec_push(&o->hosts, (struct op_pair){.key = name, .value = address});
	}
	if (o->hosts.n > 1)
		qsort(o->hosts.v, o->hosts.n, sizeof(*o->hosts.v), compare_hosts);
	return 0;
}

static int parse_limit(const char **p, int64_t *ret)
{
	return number_take_signed(p, -1, INT64_MAX, ret);
}

int build_values_ulimits(struct build_options *o, struct error **err)
{
	for (size_t i = 0; i < o->ulimit_texts.n; i++) {
		const char *text = o->ulimit_texts.v[i], *p = strchr(text, '=');
		struct op_ulimit limit = {0};
		int r;

		r = p && p != text ? 0 : -EINVAL;
		if (r == 0) {
			p++;
			r = parse_limit(&p, &limit.soft);
			limit.hard = limit.soft;
		}
		if (r == 0 && *p == ':') {
			p++;
			r = parse_limit(&p, &limit.hard);
		}
		if (r < 0 || *p)
			return error_new(err, ERR_INVALID, 0,
					 "--ulimit: \"%s\" is not NAME=SOFT[:HARD]", text);
		limit.name = xstrndup(text, strcspn(text, "="));
		vec_push(&o->ulimits, limit);
		r = exec_ulimit_check(limit.name, err);
		if (r < 0)
			return error_wrap(err, r, "--ulimit");
	}
	return 0;
}

static int set_secret_field(struct build_secret *s, bool *from_env, const char *text,
			    struct error **err)
{
	const struct {
		const char *name;
		char **value;
	} fields[] = {
		{"id", &s->id},
		{"src", &s->file},
		{"source", &s->file},
		{"env", &s->env},
	};
	const char *equals = strchr(text, '='), *value = equals ? equals + 1 : "";
	_cleanup_free_ char *key = equals ? xstrndup(text, (size_t)(equals - text)) : NULL;

	if (!key)
		return error_new(err, ERR_INVALID, 0, "\"%s\" is not KEY=VALUE", text);
	if (strcasecmp(key, "type") == 0) {
		*from_env = strcmp(value, "env") == 0;
		if (*from_env || strcmp(value, "file") == 0)
			return 0;
		return error_new(err, ERR_INVALID, 0, "unsupported secret type \"%s\"", value);
	}
	if (strcasecmp(key, "cachekey") == 0) {
		s->in_key = strcmp(value, "hash") == 0;
		if (s->in_key || strcmp(value, "none") == 0)
			return 0;
		return error_new(err, ERR_INVALID, 0, "cachekey \"%s\" is not hash or none", value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strcasecmp(key, fields[i].name) == 0) {
			free(*fields[i].value);
			*fields[i].value = xstrdup(value);
			return 0;
		}
	return error_new(err, ERR_INVALID, 0,
			 "unexpected key \"%s\": use id, src, env, type or cachekey", key);
}

/* Without src or env, a secret is the environment variable of its name, else the file of
 * its name. */
static void complete_secret(struct build_secret *s, bool from_env)
{
	if (from_env && s->file && !s->env)
		s->env = TAKE_PTR(s->file);
	if (s->file || s->env)
		return;
	if (getenv(s->id) || from_env)
		s->env = xstrdup(s->id);
	else
		s->file = xstrdup(s->id);
}

static int parse_secret(const char *text, struct build_secret *s, struct error **err)
{
	_cleanup_strv_ struct strv fields = {0};
	bool from_env = false;
	int r = csv_split(text, &fields, err);

	for (size_t i = 0; i < fields.n && r == 0; i++)
		r = set_secret_field(s, &from_env, fields.v[i], err);
	if (r < 0)
		return r;
	if (!s->id || !*s->id)
		return error_new(err, ERR_INVALID, 0, "needs an id");
	complete_secret(s, from_env);
	return 0;
}

int build_values_secrets(struct build_options *o, struct error **err)
{
	for (size_t i = 0; i < o->secret_texts.n; i++) {
		struct build_secret *s;
		int r;

		vec_push(&o->secrets, (struct build_secret){0});
		s = &vec_last(&o->secrets);
		r = parse_secret(o->secret_texts.v[i], s, err);
		if (r < 0)
			return error_wrap(err, r, "--secret \"%s\"", o->secret_texts.v[i]);
		if (s->file && access(s->file, R_OK) < 0)
			return error_new(err, ERR_IO, errno, "--secret id=%s: read '%s'", s->id,
					 s->file);
	}
	return 0;
}

static int complete_ssh(struct build_ssh *ssh, struct error **err)
{
	const char *agent = getenv("SSH_AUTH_SOCK");
	struct stat st;

	if (ssh->paths.n == 0 && (!agent || !*agent))
		return error_new(err, ERR_INVALID, 0,
				 "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set");
	if (ssh->paths.n == 0)
		strv_push(&ssh->paths, agent);
	for (size_t i = 0; i < ssh->paths.n; i++) {
		if (stat(ssh->paths.v[i], &st) < 0)
			return error_new(err, ERR_IO, errno, "look at '%s'", ssh->paths.v[i]);
		ssh->is_socket |= S_ISSOCK(st.st_mode);
	}
	if (ssh->is_socket && ssh->paths.n > 1)
		return error_new(err, ERR_INVALID, 0,
				 "an agent's socket cannot be combined with other sources");
	return 0;
}

int build_values_ssh(struct build_options *o, struct error **err)
{
	for (size_t i = 0; i < o->ssh_texts.n; i++) {
		const char *text = o->ssh_texts.v[i], *equals = strchr(text, '=');
		struct build_ssh *ssh;
		int r;

		vec_push(&o->ssh, (struct build_ssh){0});
		ssh = &vec_last(&o->ssh);
		ssh->id = xstrndup(text, equals ? (size_t)(equals - text) : strlen(text));
		csv_names(equals ? equals + 1 : "", &ssh->paths);
		r = ssh->id[0] ? complete_ssh(ssh, err)
			       : error_new(err, ERR_INVALID, 0, "needs an id");
		if (r < 0)
			return error_wrap(err, r, "--ssh \"%s\"", text);
	}
	return 0;
}

static bool has_name(const struct strv *args, const char *arg)
{
	size_t n = strcspn(arg, "=");

	for (size_t i = 0; i < args->n; i++)
		if (strcspn(args->v[i], "=") == n && strncasecmp(args->v[i], arg, n) == 0)
			return true;
	return false;
}

/* Those that the user names count, in whatever spelling. */
static int add_proxies(struct build_options *o, struct strv *args, struct error **err)
{
	_cleanup_strv_ struct strv proxies = {0};
	int r = docker_config_proxies(&proxies, err);

	for (size_t i = 0; r == 0 && i < proxies.n; i++)
		if (!has_name(&o->build_args, proxies.v[i]))
			strv_push(args, proxies.v[i]);
	return r;
}

int build_values_args(struct build_options *o, struct error **err)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	struct strv args = {0};
	int r = add_proxies(o, &args, err);

	for (size_t i = 0; i < o->build_args.n; i++) {
		const char *text = o->build_args.v[i];
		const char *value = strchr(text, '=') ? NULL : getenv(text);

		if (strchr(text, '='))
			strv_push(&args, text);
		else if (value)
			strv_pushf(&args, "%s=%s", text, value);
	}
	if (epoch && *epoch && !has_name(&o->build_args, "SOURCE_DATE_EPOCH"))
		strv_pushf(&args, "SOURCE_DATE_EPOCH=%s", epoch);
	strv_release(&o->build_args);
	o->build_args = args;
	return r;
}

/* The lists hold strings made here behind const pointers, since the frontend borrows them so. */
static void drop(const char *s)
{
	free((void *)(uintptr_t)s);
}

void build_values_release(struct build_options *o)
{
	for (size_t i = 0; i < o->contexts.n; i++) {
		drop(o->contexts.v[i].name);
		drop(o->contexts.v[i].value);
	}
	for (size_t i = 0; i < o->hosts.n; i++) {
		drop(o->hosts.v[i].key);
		drop(o->hosts.v[i].value);
	}
	for (size_t i = 0; i < o->ulimits.n; i++)
		drop(o->ulimits.v[i].name);
	for (size_t i = 0; i < o->secrets.n; i++) {
		free(o->secrets.v[i].id);
		free(o->secrets.v[i].file);
		free(o->secrets.v[i].env);
	}
	vec_release(&o->contexts);
	vec_release(&o->hosts);
	vec_release(&o->ulimits);
	for (size_t i = 0; i < o->ssh.n; i++) {
		free(o->ssh.v[i].id);
		strv_release(&o->ssh.v[i].paths);
	}
	vec_release(&o->ssh);
	vec_release(&o->secrets);
}
