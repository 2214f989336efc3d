/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/oci/oci_manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/times.h"
#include "engine/oci/oci.h"

#define EXTRA_LAYER_COMMENT "buildkit.exporter.image.v0"

/* --- config --- */

static size_t count_layer_rows(const struct image_config *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->history.n; i++)
		n += !c->history.v[i].empty_layer;
	return n;
}

/* Rows and layers must match one to one: what has no counterpart is declared empty, or gets
 * a row. */
static void match_rows(struct image_config *c, size_t n_layers)
{
	size_t seen = 0;

	for (size_t i = 0; i < c->history.n; i++) {
		if (seen >= n_layers)
			c->history.v[i].empty_layer = true;
		seen += !c->history.v[i].empty_layer;
	}
	for (; seen < n_layers; seen++)
		image_config_add_history(c, NULL, NULL, EXTRA_LAYER_COMMENT, false);
}

static char *row_time(int64_t ns, const struct oci_times *times)
{
	if (times->has_epoch && (ns == 0 || ns > times->epoch))
		ns = times->epoch;
	return ns != 0 ? times_rfc3339(ns) : NULL;
}

/* A row that made a new layer has that layer's time. */
static void date_layer_rows(struct image_config *c, size_t n_base, const struct oci_times *times)
{
	size_t layer = 0;

	for (size_t i = 0; i < c->history.n; i++) {
		struct image_history *h = &c->history.v[i];

		if (h->empty_layer)
			continue;
		if (!h->created && layer >= n_base)
			h->created = row_time(times->layers[layer], times);
		layer++;
	}
}

/* The first new layer's time, or the last time there is. */
static const char *first_new_time(const struct image_config *c)
{
	const char *time = NULL;
	bool gap = false;

	for (size_t i = 0; i < c->history.n; i++) {
		if (!c->history.v[i].created) {
			gap = true;
			continue;
		}
		time = c->history.v[i].created;
		if (gap)
			break;
	}
	return time;
}

/* Rows that still have no time take the one before them; those before any take the first
 * new one. */
static void date_other_rows(struct image_config *c, const struct oci_times *times)
{
	const char *time = first_new_time(c);
	_cleanup_free_ char *fallback = NULL;
	bool gap = false;

	if (!time && times->has_epoch)
		time = fallback = times_rfc3339(times->epoch);
	for (size_t i = 0; i < c->history.n; i++) {
		struct image_history *h = &c->history.v[i];
		int64_t ns;

		if (h->created) {
			if (gap)
				time = h->created;
			continue;
		}
		gap = true;
		if (!time)
			continue;
		h->created = times->has_epoch && times_parse_rfc3339(time, &ns) == 0
				     ? row_time(ns, times)
				     : xstrdup(time);
	}
}

/* The time of the last row; without rows that of the image it is made of, no later than the epoch.
 * An image that adds no row to its base keeps its time. */
static void set_created(struct image_config *c, const char *before, const struct oci_times *times)
{
	const char *last = NULL;
	int64_t ns;

	for (size_t i = 0; i < c->history.n; i++)
		if (c->history.v[i].created)
			last = c->history.v[i].created;
	free(c->created);
	if (!last && before && times_parse_rfc3339(before, &ns) == 0)
		c->created = row_time(ns, times);
	else
		c->created = last ? xstrdup(last) : NULL;
}

void oci_config_complete(const struct image_config *from, const struct layer_body *layers, size_t n,
			 const struct oci_times *times, struct image_config *ret)
{
	size_t n_base = from->diff_ids.n;

	image_config_copy(ret, from);
	ret->diff_ids.n = 0;
	for (size_t i = 0; i < n; i++)
		vec_push(&ret->diff_ids, layers[i].diff_id);
	if (count_layer_rows(ret) != n)
		match_rows(ret, n);
	date_layer_rows(ret, n_base, times);
	date_other_rows(ret, times);
	set_created(ret, from->created, times);
}

/* --- descriptors and documents
 * -------------------------------------------------------------------- */

static json_t *annotations_object(const struct strv *annotations)
{
	_cleanup_strv_ struct strv sorted = {0};
	json_t *o = json_object();

	strv_copy(&sorted, annotations);
	strv_sort(&sorted);
	for (size_t i = 0; i < sorted.n; i++) {
		const char *equals = strchr(sorted.v[i], '=');
		_cleanup_free_ char *key = NULL;

		if (!equals)
			continue;
		key = xstrndup(sorted.v[i], (size_t)(equals - sorted.v[i]));
		json_object_set_new(o, key, json_string(equals + 1));
	}
	return o;
}

static void put_annotations(json_t *o, const struct strv *annotations)
{
	if (annotations && annotations->n > 0)
		json_object_set_new(o, "annotations", annotations_object(annotations));
}

static json_t *platform_object(const struct platform *p)
{
	json_t *o = json_object();

	json_object_set_new(o, "architecture", json_string(p->arch));
	json_object_set_new(o, "os", json_string(p->os));
	if (p->os_version[0])
		json_object_set_new(o, "os.version", json_string(p->os_version));
	if (p->variant[0])
		json_object_set_new(o, "variant", json_string(p->variant));
	return o;
}

json_t *oci_descriptor(const char *media_type, const struct digest *digest, uint64_t size,
		       const struct strv *annotations, const struct platform *platform)
{
	char text[DIGEST_TEXT];
	json_t *o = json_object();

	json_object_set_new(o, "mediaType", json_string(media_type));
	json_object_set_new(o, "digest", json_string(digest_format(digest, text)));
	json_object_set_new(o, "size", json_integer((json_int_t)size));
	put_annotations(o, annotations);
	if (platform)
		json_object_set_new(o, "platform", platform_object(platform));
	return o;
}

void oci_manifest_write(bool docker_types, const struct digest *config, uint64_t config_size,
			const struct layer_body *layers, size_t n, const struct strv *annotations,
			struct buf *b)
{
	_cleanup_json_ json_t *o = json_object();
	json_t *list = json_array();

	json_object_set_new(o, "schemaVersion", json_integer(2));
	json_object_set_new(o, "mediaType",
			    json_string(docker_types ? DOCKER_MANIFEST_TYPE : OCI_MANIFEST_TYPE));
	json_object_set_new(o, "config",
			    oci_descriptor(docker_types ? DOCKER_CONFIG_TYPE : OCI_CONFIG_TYPE,
					   config, config_size, NULL, NULL));
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, oci_descriptor(layers[i].blob.media_type,
							   &layers[i].blob.digest,
							   layers[i].blob.size, NULL, NULL));
	json_object_set_new(o, "layers", list);
	put_annotations(o, annotations);
	js_dump_go(o, 2, false, b);
}

void oci_index_write(bool docker_types, json_t *manifests, const struct strv *annotations,
		     bool indented, struct buf *b)
{
	_cleanup_json_ json_t *o = json_object();

	json_object_set_new(o, "schemaVersion", json_integer(2));
	json_object_set_new(o, "mediaType",
			    json_string(docker_types ? DOCKER_INDEX_TYPE : OCI_INDEX_TYPE));
	json_object_set(o, "manifests", manifests);
	put_annotations(o, annotations);
	js_dump_go(o, indented ? 2 : 0, false, b);
}
