/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/attest/provenance.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/giturl.h"
#include "base/times.h"
#include "engine/attest/attest_llb.h"
#include "engine/attest/materials.h"
#include "engine/attest/redact.h"
#include "engine/http/http.h"
#include "engine/oci/oci_manifest.h"

#define BUILD_TYPE_V1 \
	"https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"
#define BUILD_TYPE_V02 "https://mobyproject.org/buildkit@v1"
#define V02_METADATA "https://mobyproject.org/buildkit@v1#metadata"
#define V02_HERMETIC "https://mobyproject.org/buildkit@v1#hermetic"
#define FRONTEND "dockerfile.v0"

const char *provenance_type(const struct attest_options *o)
{
	return o->v02 ? PROVENANCE_V02 : PROVENANCE_V1;
}

/* --- what must not leave --- */

/* Every string of a document, in place. */
static json_t *redact(json_t *value)
{
	const char *key;
	size_t i;
	json_t *member;
	void *next;

	if (json_is_string(value)) {
		_cleanup_free_ char *text =
			attest_redact(json_string_value(value), json_string_length(value));

		return strcmp(text, json_string_value(value)) == 0 ? json_incref(value)
								   : json_string(text);
	}
	json_object_foreach_safe(value, next, key, member)
		json_object_set_new(value, key, redact(member));
	json_array_foreach(value, i, member) json_array_set_new(value, i, redact(member));
	return json_incref(value);
}

/* Proxies are this machine's, and may have passwords. */
static bool is_private_arg(const char *arg)
{
	static const char *const names[] = {"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY",	"NO_PROXY",
					    "ALL_PROXY",  "http_proxy",	 "https_proxy", "ftp_proxy",
					    "no_proxy",	  "all_proxy"};
	static const char prefix[] = "build-arg:";
	size_t n;

	if (strncmp(arg, prefix, sizeof(prefix) - 1) != 0)
		return false;
	arg += sizeof(prefix) - 1;
	n = strcspn(arg, "=");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == n && memcmp(names[i], arg, n) == 0)
			return true;
	return strncmp(arg, "BUILDKIT_ATTEST_", strlen("BUILDKIT_ATTEST_")) == 0;
}

/* --- what was asked for --- */

static json_t *config_source(const struct provenance *p, struct error **err)
{
	_cleanup_free_ char *commit = NULL, *url = NULL;
	json_t *o = json_object();

	if (p->context) {
		url = p->git ? giturl_display(p->context) : http_url_display(p->context);
		json_object_set_new(o, "uri", json_string(url));
	}
	if (p->git) {
		if (git_sources_commit(p->sources->git, p->git, NULL, &commit, err) < 0) {
			json_decref(o);
			return NULL;
		}
		json_object_set_new(o, "digest", attest_commit_digest(commit));
	}
	json_object_set_new(o, "path", json_string(p->file));
	return o;
}

/* Arguments and labels are no part of mode=min. *ret_left_out: some were given. */
static json_t *args_json(const struct provenance *p, bool *ret_left_out)
{
	_cleanup_strv_ struct strv sorted = {0};
	json_t *o = json_object();

	strv_copy(&sorted, &p->args);
	strv_sort(&sorted);
	for (size_t i = 0; i < sorted.n; i++) {
		const char *arg = sorted.v[i], *equals = strchr(arg, '=');
		_cleanup_free_ char *key = NULL;

		if (!equals || is_private_arg(arg))
			continue;
		if (!p->options->max &&
		    (strncmp(arg, "build-arg:", 10) == 0 || strncmp(arg, "label:", 6) == 0)) {
			*ret_left_out = true;
			continue;
		}
		key = xstrndup(arg, (size_t)(equals - arg));
		json_object_set_new(o, key, json_string(equals + 1));
	}
	return o;
}

static void put_some(json_t *o, const char *key, json_t *value)
{
	if (json_array_size(value) > 0 || json_object_size(value) > 0)
		json_object_set(o, key, value);
}

static json_t *request_json(const struct provenance *p, const struct attest_materials *m,
			    bool *ret_left_out)
{
	json_t *o = json_pack("{s:s}", "frontend", FRONTEND);
	_cleanup_json_ json_t *args = args_json(p, ret_left_out), *locals = json_array();

	put_some(o, "args", args);
	if (p->options->max) {
		put_some(o, "secrets", m->secrets);
		put_some(o, "ssh", m->ssh);
	}
	for (size_t i = 0; i < m->locals.n; i++)
		json_array_append_new(locals, json_pack("{s:s}", "name", m->locals.v[i]));
	put_some(o, "locals", locals);
	return o;
}

/* --- how it ran --- */

/* As BuildKit's: 25 characters of base 36. */
static json_t *new_id(void)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	unsigned char bytes[25];
	char text[sizeof(bytes) + 1] = "";

	(void)!getrandom(bytes, sizeof(bytes), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		text[i] = digits[bytes[i] % 36];
	return json_string(text);
}

static void put_time(json_t *o, const char *key, int64_t ns)
{
	_cleanup_free_ char *text = times_rfc3339(ns);

	json_object_set_new(o, key, json_string(text));
}

static json_t *source_json(const struct provenance *p, const struct attest_steps *steps)
{
	_cleanup_free_ char *shown = attest_redact(p->text, p->text_size);
	_cleanup_free_ char *data = base64_encode(shown, strlen(shown));

	return json_pack("{s:o, s:[{s:s, s:s, s:s}]}", "locations", attest_steps_locations(steps),
			 "infos", "filename", p->file, "language", "Dockerfile", "data", data);
}

static json_t *layers_json(const struct provenance *p, const struct attest_steps *steps,
			   const struct layer_body *bodies, size_t n)
{
	_cleanup_free_ char *step = attest_steps_name(steps, p->target);
	json_t *chain = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(chain, oci_descriptor(bodies[i].blob.media_type,
							    &bodies[i].blob.digest,
							    bodies[i].blob.size, NULL, NULL));
	return json_pack("{s:[o]}", step, chain);
}

static json_t *metadata_json(const struct provenance *p, const struct attest_steps *steps,
			     const struct attest_materials *m, bool left_out)
{
	json_t *o = json_object();
	bool complete = m->locals.n == 0;

	if (!p->timeless) {
		int64_t epoch = p->epoch * NS_PER_S;

		if (!p->has_epoch)
			json_object_set_new(o, "invocationId", new_id());
		put_time(o, "startedOn", p->has_epoch ? epoch : p->started);
		put_time(o, "finishedOn", p->has_epoch ? epoch : times_now_ns());
	}
	json_object_set_new(o, "buildkit_metadata", json_object());
	if (complete && !m->network)
		json_object_set_new(o, "buildkit_hermetic", json_true());
	json_object_set_new(
		o, "buildkit_completeness",
		json_pack("{s:b, s:b}", "request", !left_out, "resolvedDependencies", complete));
	if (p->options->reproducible)
		json_object_set_new(o, "buildkit_reproducible", json_true());
	if (p->options->max)
		json_object_set_new(json_object_get(o, "buildkit_metadata"), "source",
				    source_json(p, steps));
	return o;
}

static int check_complete(const struct provenance *p, const struct attest_materials *m,
			  struct error **err)
{
	_cleanup_free_ char *names = strv_join(&m->locals, ", ");

	if (!p->options->complete || m->locals.n == 0)
		return 0;
	return error_hint(err,
			  error_new(err, ERR_INVALID, 0,
				    "provenance materials are incomplete: what the local contexts "
				    "hold (%s) has no name",
				    names),
			  "build from a git URL, or leave out complete-materials");
}

/* --- the whole --- */

static json_t *predicate(const struct provenance *p, const struct attest_steps *steps,
			 const struct attest_materials *m, json_t *config)
{
	char builder[64], target[64];
	const struct platform host = platform_host();
	bool left_out = false;
	json_t *request = request_json(p, m, &left_out), *internal = json_object(), *definition;

	if (p->options->max)
		json_object_set_new(internal, "buildConfig", attest_steps_json(steps, p->target));
	json_object_set_new(internal, "builderPlatform",
			    json_string(platform_format(&host, builder)));
	json_object_set_new(internal, "targetPlatform",
			    json_string(platform_format(&p->platform, target)));
	definition = json_pack("{s:s, s:{s:O, s:o}, s:o}", "buildType", BUILD_TYPE_V1,
			       "externalParameters", "configSource", config, "request", request,
			       "internalParameters", internal);
	put_some(definition, "resolvedDependencies", m->list);
	return json_pack("{s:o, s:{s:{s:s}, s:o}}", "buildDefinition", definition, "runDetails",
			 "builder", "id", p->options->builder_id ? p->options->builder_id : "",
			 "metadata", metadata_json(p, steps, m, left_out));
}

/* What is read whether or not a step uses it. */
static void add_locals(const struct provenance *p, struct strv *locals)
{
	if (p->local_context && !strv_contains(locals, p->local_context))
		strv_push(locals, p->local_context);
	if (p->local_file && !strv_contains(locals, "dockerfile"))
		strv_push(locals, "dockerfile");
	strv_sort(locals);
}

static json_t *metadata_of(const json_t *v1)
{
	return json_object_get(json_object_get(v1, "runDetails"), "metadata");
}

int provenance_make(const struct provenance *p, const struct layer_body *bodies, size_t n,
		    json_t **ret, struct error **err)
{
	_cleanup_(attest_steps_release) struct attest_steps steps = {0};
	_cleanup_(attest_materials_release) struct attest_materials m = {0};
	_cleanup_json_ json_t *config = NULL, *v1 = NULL;
	int r;

	attest_steps_find(p->graph, p->target, &steps);
	r = attest_materials_find(&steps, p->sources, p->git, &m, err);
	if (r == 0)
		add_locals(p, &m.locals);
	if (r == 0)
		r = check_complete(p, &m, err);
	config = r == 0 ? config_source(p, err) : NULL;
	if (!config)
		return r < 0 ? r : -ERR_UNAVAILABLE;
	v1 = predicate(p, &steps, &m, config);
	if (p->options->max && bodies && p->target.vertex)
		json_object_set_new(json_object_get(metadata_of(v1), "buildkit_metadata"), "layers",
				    layers_json(p, &steps, bodies, n));
	json_decref(redact(v1));
	*ret = p->options->v02 ? provenance_as_v02(v1) : json_incref(v1);
	return 0;
}

/* --- v0.2 --- */

static void move(json_t *to, const char *as, const json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);

	if (value)
		json_object_set(to, as, value);
}

static json_t *v02_metadata(const json_t *m)
{
	json_t *complete = json_object_get(m, "buildkit_completeness"), *o = json_object();

	move(o, "buildInvocationID", m, "invocationId");
	move(o, "buildStartedOn", m, "startedOn");
	move(o, "buildFinishedOn", m, "finishedOn");
	json_object_set_new(o, "completeness",
			    json_pack("{s:O, s:b, s:O}", "parameters",
				      json_object_get(complete, "request"), "environment", 1,
				      "materials",
				      json_object_get(complete, "resolvedDependencies")));
	json_object_set_new(
		o, "reproducible",
		json_boolean(json_is_true(json_object_get(m, "buildkit_reproducible"))));
	move(o, V02_METADATA, m, "buildkit_metadata");
	move(o, V02_HERMETIC, m, "buildkit_hermetic");
	return o;
}

json_t *provenance_as_v02(const json_t *v1)
{
	const json_t *definition = json_object_get(v1, "buildDefinition");
	const json_t *external = json_object_get(definition, "externalParameters");
	const json_t *internal = json_object_get(definition, "internalParameters");
	const json_t *config = json_object_get(external, "configSource");
	json_t *source = json_object(), *environment = json_object(), *o;

	move(source, "uri", config, "uri");
	move(source, "digest", config, "digest");
	move(source, "entryPoint", config, "path");
	move(environment, "platform", internal, "builderPlatform");
	o = json_pack("{s:O, s:s, s:{s:o, s:O, s:o}}", "builder",
		      json_object_get(json_object_get(v1, "runDetails"), "builder"), "buildType",
		      BUILD_TYPE_V02, "invocation", "configSource", source, "parameters",
		      json_object_get(external, "request"), "environment", environment);
	move(o, "materials", definition, "resolvedDependencies");
	move(o, "buildConfig", internal, "buildConfig");
	json_object_set_new(o, "metadata", v02_metadata(metadata_of(v1)));
	return o;
}
