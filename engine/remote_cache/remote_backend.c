/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/remote_cache/remote_backend.h"

#include <stdlib.h>
#include <string.h>

static const struct remote_ops *const backends[] = {
	&remote_local_ops,
	&remote_registry_ops,
	&remote_s3_ops,
};

const struct remote_ops *remote_backend_find(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (strcmp(backends[i]->type, type) == 0)
			return backends[i];
	return NULL;
}

char *remote_backend_types(void)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "inline");
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		buf_addf(&b, ", %s", backends[i]->type);
	return buf_take(&b);
}

int remote_backend_open(const struct remote_env *env, const struct remote_spec *spec,
			struct remote_backend **ret, struct error **err)
{
	const struct remote_ops *ops = remote_backend_find(spec->type);
	int r;

	if (!ops)
		return error_new(err, ERR_INTERNAL, 0, "no cache backend '%s'", spec->type);
	r = ops->open(env, spec, ret, err);
	if (r < 0)
		return error_wrap(err, r, "cache type=%s", spec->type);
	(*ret)->ops = ops;
	(*ret)->env = *env;
	return 0;
}

void remote_backend_close(struct remote_backend *b)
{
	if (b)
		b->ops->close(b);
}

void remote_backend_release(struct remote_backend *b)
{
	free(b->name);
	free(b->source);
	*b = (struct remote_backend){0};
}
