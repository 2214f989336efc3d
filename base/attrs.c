/* SPDX-License-Identifier: Apache-2.0 */
#include "base/attrs.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

int attrs_bool(const char *key, const char *value, bool *ret, struct error **err)
{
	static const char *const yes[] = {"", "1", "t", "T", "true", "TRUE", "True"};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (strcmp(value, yes[i]) == 0) {
			*ret = true;
			return 0;
		}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (strcmp(value, no[i]) == 0) {
			*ret = false;
			return 0;
		}
	return error_new(err, ERR_INVALID, 0, "non-bool value '%s' specified for %s", value, key);
}

int attrs_number(const char *key, const char *value, int64_t max, int64_t *ret, struct error **err)
{
	int64_t n = 0;
	const char *p = value;

	for (; *p >= '0' && *p <= '9' && n <= max; p++)
		n = n * 10 + (*p - '0');
	if (p == value || *p || n > max)
		return error_new(err, ERR_INVALID, 0, "invalid value '%s' for %s", value, key);
	*ret = n;
	return 0;
}

void attrs_add(attr_list *attrs, const char *key, const char *value)
{
	vec_push(attrs, (struct attr){.key = xstrdup(key), .value = xstrdup(value)});
}

const char *attrs_get(const attr_list *attrs, const char *key)
{
	for (size_t i = attrs->n; i-- > 0;)
		if (strcmp(attrs->v[i].key, key) == 0)
			return attrs->v[i].value;
	return NULL;
}

void attrs_release(attr_list *attrs)
{
	for (size_t i = 0; i < attrs->n; i++) {
		free(attrs->v[i].key);
		free(attrs->v[i].value);
	}
	vec_release(attrs);
}
