/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cli/image_filter.h"

#include <string.h>

#include "base/number.h"
#include "base/times.h"
#include "cmd/cli/image_json.h"
#include "cmd/cli/session.h"

void image_filter_release(struct image_filter *f)
{
	strv_release(&f->references);
	strv_release(&f->labels);
	strv_release(&f->not_labels);
}

static int parse_bool(const char *value, bool *ret, struct error **err)
{
	if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
		*ret = true;
	else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
		*ret = false;
	else
		return error_new(err, ERR_INVALID, 0, "invalid filter 'dangling=%s'", value);
	return 0;
}

/* A duration counts back from now; else a date, or seconds since the epoch. */
static int parse_until(const char *value, int64_t *ret, struct error **err)
{
	_cleanup_free_ char *midnight = xasprintf("%sT00:00:00Z", value);
	uint64_t seconds;
	int64_t ns;

	if (times_parse_duration(value, &ns) == 0) {
		*ret = times_now_ns() - ns;
		return 0;
	}
	if (times_parse_rfc3339(value, ret) == 0 || times_parse_rfc3339(midnight, ret) == 0)
		return 0;
	if (number_parse(value, 10, INT64_MAX / NS_PER_S, &seconds) < 0)
		return error_hint(
			err, error_new(err, ERR_INVALID, 0, "invalid filter 'until=%s'", value),
			"use a duration (24h) or a date (2006-01-02T15:04:05Z)");
	*ret = (int64_t)seconds * NS_PER_S;
	return 0;
}

static int image_time(struct store *s, const char *name, int64_t *ret, struct error **err)
{
	_cleanup_(image_release) struct image image = {0};
	int r = image_find(s, name, &image, NULL, err);

	if (r == 0)
		*ret = image.created;
	return r;
}

static int parse_one(struct store *s, const char *filter, struct image_filter *f,
		     struct error **err)
{
	size_t n = strcspn(filter, "=");
	const char *value = filter[n] ? filter + n + 1 : "";
	_cleanup_free_ char *key = xstrndup(filter, n);

	if (strcmp(key, "reference") == 0) {
		strv_push(&f->references, value);
		return 0;
	}
	if (strcmp(key, "label") == 0) {
		strv_push(&f->labels, value);
		return 0;
	}
	if (strcmp(key, "label!") == 0) {
		strv_push(&f->not_labels, value);
		return 0;
	}
	if (strcmp(key, "before") == 0)
		return image_time(s, value, &f->before, err);
	if (strcmp(key, "since") == 0)
		return image_time(s, value, &f->since, err);
	if (strcmp(key, "until") == 0)
		return parse_until(value, &f->before, err);
	if (strcmp(key, "dangling") == 0) {
		f->has_dangling = true;
		return parse_bool(value, &f->dangling, err);
	}
	return error_hint(err, error_new(err, ERR_INVALID, 0, "invalid filter '%s'", filter),
			  "use reference=, dangling=, label=, before=, since= or until=");
}

int image_filter_parse(struct store *s, const struct strv *filters, struct image_filter *ret,
		       struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < filters->n && r == 0; i++)
		r = parse_one(s, filters->v[i], ret, err);
	return r;
}

static bool has_label(const struct strv *labels, const char *want)
{
	_cleanup_free_ char *key = xstrndup(want, strcspn(want, "="));
	const char *value = env_get(labels, key);

	return value && (!strchr(want, '=') || strcmp(value, want + strlen(key) + 1) == 0);
}

static bool labels_match(const struct image_filter *f, const struct strv *labels)
{
	for (size_t i = 0; i < f->labels.n; i++)
		if (!has_label(labels, f->labels.v[i]))
			return false;
	for (size_t i = 0; i < f->not_labels.n; i++)
		if (has_label(labels, f->not_labels.v[i]))
			return false;
	return true;
}

int image_filter_match(struct store *s, const struct image_filter *f, const struct image *image,
		       struct error **err)
{
	struct image_config c;
	int r;

	if ((f->before && image->created >= f->before) || (f->since && image->created <= f->since))
		return 0;
	if (f->labels.n == 0 && f->not_labels.n == 0)
		return 1;
	r = image_config_load(s, image, &c, err);
	if (r < 0)
		return r;
	r = labels_match(f, &c.labels);
	image_config_release(&c);
	return r;
}
