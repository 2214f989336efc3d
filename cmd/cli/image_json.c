/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cli/image_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/imageref.h"
#include "base/times.h"
#include "engine/oci/oci.h"
#include "store/blob.h"

int image_config_load(struct store *s, const struct image *image, struct image_config *ret,
		      struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = blob_read(s, &image->config, OCI_DOCUMENT_MAX, &text, err);

	return r < 0 ? r : image_config_parse(text.p, text.n, ret, err);
}

char *image_familiar_name(const char *full)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_free_ char *name = NULL;

	if (imageref_parse(full, &ref, NULL) < 0)
		return xstrdup(full);
	name = imageref_familiar_name(&ref);
	return xasprintf("%s:%s", name, ref.tag ? ref.tag : "<none>");
}

static json_t *names(const struct image *image)
{
	json_t *list = json_array();

	for (size_t i = 0; i < image->n_tags; i++) {
		_cleanup_free_ char *name = image_familiar_name(image->tags[i]);

		json_array_append_new(list, json_string(name));
	}
	return list;
}

/* The names by which the image can be pulled by digest. */
static json_t *digests(const struct image *image)
{
	json_t *list = json_array();
	char digest[DIGEST_TEXT];

	digest_format(&image->manifest, digest);
	for (size_t i = 0; i < image->n_tags; i++) {
		_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
		_cleanup_free_ char *name = NULL;

		if (image->origins[i] != IMAGE_PULLED ||
		    imageref_parse(image->tags[i], &ref, NULL) < 0)
			continue;
		name = imageref_familiar_name(&ref);
		json_array_append_new(list, json_sprintf("%s@%s", name, digest));
	}
	return list;
}

static json_t *string_list(const struct strv *list, bool set)
{
	json_t *a;

	if (list->n == 0 && !set)
		return json_null();
	a = json_array();
	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(a, json_string(list->v[i]));
	return a;
}

static json_t *string_set(const struct strv *list)
{
	json_t *o = json_object();

	for (size_t i = 0; i < list->n; i++)
		json_object_set_new(o, list->v[i], json_object());
	return o;
}

static json_t *string_map(const struct strv *list)
{
	json_t *o = json_object();

	for (size_t i = 0; i < list->n; i++) {
		_cleanup_free_ char *key = xstrndup(list->v[i], strcspn(list->v[i], "="));

		json_object_set_new(o, key, json_string(env_get(list, key)));
	}
	return o;
}

static json_t *text(const char *s)
{
	return json_string(s ? s : "");
}

/* Keys that docker always shows are there even if the image's config has none. */
static json_t *config_section(const struct image_config *c)
{
	json_t *o = json_object();

	json_object_set_new(o, "User", text(c->user));
	if (c->exposed_ports.n > 0)
		json_object_set_new(o, "ExposedPorts", string_set(&c->exposed_ports));
	json_object_set_new(o, "Env", string_list(&c->env, true));
	json_object_set_new(o, "Cmd", string_list(&c->cmd, c->cmd_set));
	if (c->healthcheck)
		json_object_set_new(o, "Healthcheck", healthcheck_json(c->healthcheck));
	if (c->args_escaped)
		json_object_set_new(o, "ArgsEscaped", json_true());
	json_object_set_new(o, "Volumes", c->volumes.n > 0 ? string_set(&c->volumes) : json_null());
	json_object_set_new(o, "WorkingDir", text(c->working_dir));
	json_object_set_new(o, "Entrypoint", string_list(&c->entrypoint, c->entrypoint_set));
	json_object_set_new(o, "OnBuild", string_list(&c->on_build, false));
	json_object_set_new(o, "Labels", c->labels.n > 0 ? string_map(&c->labels) : json_null());
	if (c->stop_signal)
		json_object_set_new(o, "StopSignal", json_string(c->stop_signal));
	if (c->shell.n > 0)
		json_object_set_new(o, "Shell", string_list(&c->shell, true));
	return o;
}

static json_t *root_fs(const struct image_config *c)
{
	json_t *o = json_object(), *layers = json_array();
	char digest[DIGEST_TEXT];

	for (size_t i = 0; i < c->diff_ids.n; i++)
		json_array_append_new(layers,
				      json_string(digest_format(&c->diff_ids.v[i], digest)));
	json_object_set_new(o, "Type", json_string("layers"));
	json_object_set_new(o, "Layers", layers);
	return o;
}

int image_json(struct store *s, const struct image *image, json_t **ret, struct error **err)
{
	struct image_config c;
	char id[DIGEST_TEXT];
	json_t *o;
	int r = image_config_load(s, image, &c, err);

	if (r < 0)
		return r;
	o = json_object();
	json_object_set_new(o, "Id", json_string(digest_format(&image->config, id)));
	json_object_set_new(o, "RepoTags", names(image));
	json_object_set_new(o, "RepoDigests", digests(image));
	json_object_set_new(o, "Parent", json_string(""));
	json_object_set_new(o, "Comment",
			    text(c.history.n ? c.history.v[c.history.n - 1].comment : NULL));
	json_object_set_new(o, "Created", text(c.created));
	json_object_set_new(o, "DockerVersion", json_string(""));
	json_object_set_new(o, "Author", text(c.author));
	json_object_set_new(o, "Config", config_section(&c));
	json_object_set_new(o, "Architecture", json_string(image->arch));
	if (image->variant && *image->variant)
		json_object_set_new(o, "Variant", json_string(image->variant));
	json_object_set_new(o, "Os", json_string(image->os));
	json_object_set_new(o, "Size", json_integer((json_int_t)image->size));
	json_object_set_new(o, "VirtualSize", json_integer((json_int_t)image->size));
	json_object_set_new(o, "RootFS", root_fs(&c));
	image_config_release(&c);
	*ret = o;
	return 0;
}

json_t *image_json_zeros(const json_t *image)
{
	const json_t *health = json_object_get(json_object_get(image, "Config"), "Healthcheck");
	json_t *health_zeros = json_null();

	if (health)
		health_zeros =
			json_pack("{s:[], s:i, s:i, s:i, s:i, s:i}", "Test", "Interval", 0,
				  "Timeout", 0, "StartPeriod", 0, "StartInterval", 0, "Retries", 0);
	return json_pack(
		"{s:s, s:[], s:[], s:{s:[], s:{}, s:[], s:o, s:{}, s:[], s:[], s:{}, s:s, s:[]}}",
		"Variant", "", "RepoTags", "RepoDigests", "Config", "Env", "ExposedPorts", "Cmd",
		"Healthcheck", health_zeros, "Volumes", "Entrypoint", "OnBuild", "Labels",
		"StopSignal", "", "Shell");
}
