/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/source/source_time.h"

#include <string.h>

#include "engine/layer/unpack_archive.h"
#include "store/rootfs.h"

/* Of the only file that an http source's layer has. */
static int file_time(const struct source_env *e, int64_t layer, const char *name, struct job *job,
		     bool *ret_has, int64_t *ret, struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	_cleanup_close_ int fd = -1;
	struct cancel *cancel = job ? job_cancel(job) : NULL;
	struct rootfs_node node;
	int r = rootfs_open(e->store, &layer, 1, &rootfs, err);

	if (r < 0)
		return r;
	if (!rootfs_get(rootfs, name, &node))
		return error_new(err, ERR_CORRUPT, 0, "'%s' is not in its layer", name);
	fd = rootfs_open_file(rootfs, &node, err);
	if (fd < 0)
		return fd;
	/* A file without Last-Modified has the epoch's time. */
	*ret = node.entry.mtime;
	*ret_has = node.entry.mtime > 0;
	if (!unpack_archive_recognise(fd, cancel))
		return 0;
	*ret_has = true;
	r = unpack_archive_newest(fd, cancel, ret, err);
	return error_wrap(err, r, "read '%s'", name);
}

static int http_time(const struct source_env *e, const struct op_source *source, struct job *job,
		     bool *ret_has, int64_t *ret, struct error **err)
{
	struct http_file file;
	struct digest key;
	int64_t layer;
	int r = http_file_of_op(source, &file, err);

	if (r == 0)
		r = http_files_pin(e->http, &file, job, &key, err);
	if (r == 0)
		r = http_files_layer(e->http, &file, job, &layer, err);
	return r < 0 ? r : file_time(e, layer, file.filename, job, ret_has, ret, err);
}

int source_time(const struct source_env *e, const struct op_source *source, struct job *job,
		bool *ret_has, int64_t *ret, struct error **err)
{
	*ret_has = false;
	if (strncmp(source->identifier, "git://", strlen("git://")) != 0)
		return http_time(e, source, job, ret_has, ret, err);
	*ret_has = true;
	return git_sources_time(e->git, source, job, ret, err);
}
