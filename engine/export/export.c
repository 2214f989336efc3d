/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/export/export.h"

#include <stdlib.h>

#include "engine/export/export_make.h"

void export_result_release(struct export_result *r)
{
	free(r->media_type);
	strv_release(&r->names);
	json_decref(r->descriptor);
	*r = (struct export_result){0};
}

static const char *step_name(const struct export_options *o)
{
	switch (o->type) {
	case EXPORT_OCI:
		return "exporting to oci image format";
	case EXPORT_DOCKER:
		return "exporting to docker image format";
	case EXPORT_LOCAL:
		return "exporting to client directory";
	case EXPORT_TAR:
		return "exporting to client tarball";
	default:
		return "exporting to image";
	}
}

static int dispatch(struct export_job *j, struct error **err)
{
	int r;

	switch (j->o->type) {
	case EXPORT_IMAGE:
		r = j->o->no_store ? 0 : export_to_store(j, err);
		return r == 0 && j->o->push ? export_to_registry(j, err) : r;
	case EXPORT_REGISTRY:
		return export_to_registry(j, err);
	case EXPORT_OCI:
	case EXPORT_DOCKER:
		return export_to_layout(j, err);
	case EXPORT_LOCAL:
		return export_to_dir(j, err);
	case EXPORT_TAR:
		return export_to_tar(j, err);
	default:
		return error_new(err, ERR_INTERNAL, 0, "no exporter for this output");
	}
}

static bool annotates_index(const struct export_options *o)
{
	for (size_t i = 0; i < o->annotations.n; i++)
		if (o->annotations.v[i].on == ANNOTATE_INDEX)
			return true;
	return false;
}

static int check(size_t n, const struct export_options *o, struct error **err)
{
	bool pushes = o->push || o->type == EXPORT_REGISTRY;

	if (!export_is_indexed(o, n) && annotates_index(o))
		return error_hint(err,
				  error_new(err, ERR_INVALID, 0,
					    "index annotations not supported for single platform "
					    "export"),
				  "an image for one platform has no index: annotate its manifest");
	if (pushes && o->type != EXPORT_IMAGE && o->type != EXPORT_REGISTRY)
		return error_new(err, ERR_INVALID, 0,
				 "only outputs of type image or registry can be pushed");
	if (pushes && o->names.n == 0)
		return error_hint(
			err, error_new(err, ERR_INVALID, 0, "an image needs a name to be pushed"),
			"add --tag HOST/NAME:TAG");
	if ((pushes && !o->registry) || n == 0)
		return error_new(err, ERR_INTERNAL, 0, "nothing to export");
	return 0;
}

int export_run(struct store *s, const struct export_image *images, size_t n,
	       const struct export_options *o, const struct progress *progress,
	       struct cancel *cancel, struct export_result *ret, struct error **err)
{
	struct export_result result = {0};
	struct error *why = NULL;
	struct export_job j = {
		.s = s, .images = images, .n = n, .o = o, .cancel = cancel, .result = &result};
	int r;

	if (o->type == EXPORT_NONE) {
		*ret = result;
		return 0;
	}
	r = check(n, o, err);
	if (r == 0)
		r = export_full_names(o, &j.names, err);
	if (r < 0) {
		strv_release(&j.names);
		return r;
	}
	j.job = job_open(progress, cancel, step_name(o));
	for (size_t i = 0; i < o->notes.n; i++)
		job_status(j.job, o->notes.v[i], 0, 0, true);
	r = job_close(j.job, dispatch(&j, &why), &why);
	if (r < 0) {
		strv_release(&j.names);
		export_result_release(&result);
		if (err)
			*err = why;
		else
			error_free(why);
		return r;
	}
	result.names = j.names;
	*ret = result;
	return 0;
}
