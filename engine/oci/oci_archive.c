/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/oci/oci_archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/imageref.h"
#include "engine/oci/layout_dir.h"

#define BLOBS "blobs/sha256/"
#define INDEX_FILE "index.json"

void oci_archive_init(struct oci_archive *a)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

	*a = (struct oci_archive){0};
	oci_archive_add(a, "oci-layout", layout, sizeof(layout) - 1);
}

void oci_archive_release(struct oci_archive *a)
{
	for (size_t i = 0; i < a->items.n; i++) {
		free(a->items.v[i].name);
		buf_release(&a->items.v[i].data);
	}
	vec_release(&a->items);
}

char *oci_archive_blob_name(const struct digest *digest)
{
	char hex[DIGEST_HEX + 1];

	return xasprintf(BLOBS "%s", digest_hex(digest, hex));
}

void oci_archive_add(struct oci_archive *a, const char *name, const void *p, size_t n)
{
	struct oci_archive_item item = {.name = xstrdup(name), .data = BUF_INIT};

	buf_add(&item.data, p, n);
	vec_push(&a->items, item);
}

void oci_archive_add_blob(struct oci_archive *a, const struct digest *digest, const void *p,
			  size_t n)
{
	_cleanup_free_ char *name = oci_archive_blob_name(digest);

	oci_archive_add(a, name, p, n);
}

void oci_archive_add_layer(struct oci_archive *a, const struct layer_body *body,
			   const int64_t *layers, size_t i, size_t n_keep,
			   const struct layer_blob_options *o)
{
	struct oci_archive_item item = {.name = oci_archive_blob_name(&body->blob.digest),
					.data = BUF_INIT,
					.body = body,
					.layers = layers,
					.i = i,
					.n_keep = n_keep,
					.options = *o};

	vec_push(&a->items, item);
}

static int compare_items(const void *a, const void *b)
{
	return strcmp(((const struct oci_archive_item *)a)->name,
		      ((const struct oci_archive_item *)b)->name);
}

/* Sorts by name and drops what is there twice (blobs have the same bytes then). */
static void settle(struct oci_archive *a)
{
	size_t kept = 0;

	qsort(a->items.v, a->items.n, sizeof(a->items.v[0]), compare_items);
	for (size_t i = 0; i < a->items.n; i++) {
		if (kept > 0 && strcmp(a->items.v[kept - 1].name, a->items.v[i].name) == 0) {
			free(a->items.v[i].name);
			buf_release(&a->items.v[i].data);
			continue;
		}
		a->items.v[kept++] = a->items.v[i];
	}
	a->items.n = kept;
}

static int send_item(struct store *s, const struct oci_archive_item *item, struct cancel *cancel,
		     tar_sink_fn sink, void *data, struct error **err)
{
	const struct layer_chain chain = {s, item->layers, item->layers ? item->i + 1 : 0,
					  item->n_keep};

	if (!item->body)
		return sink(data, item->data.p, item->data.n, err);
	return layer_blob_send(&chain, &item->options, item->body, cancel, sink, data, err);
}

/* --- tar --- */

static int tar_data(void *data, const void *p, size_t n, struct error **err)
{
	return tar_write_data(data, p, n, err);
}

static int write_tar_dir(struct tar_writer *w, const char *name, struct error **err)
{
	struct tar_header h = {.type = TAR_DIR, .name = name, .mode = 0755};

	return tar_write_header(w, &h, err);
}

int oci_archive_write_tar(struct oci_archive *a, struct store *s, struct cancel *cancel,
			  tar_sink_fn sink, void *data, struct error **err)
{
	struct tar_writer w;
	int r;

	settle(a);
	tar_writer_init(&w, sink, data);
	/* "blobs/" sorts before every other name of a layout. */
	r = write_tar_dir(&w, "blobs/", err);
	if (r == 0)
		r = write_tar_dir(&w, BLOBS, err);
	for (size_t i = 0; r == 0 && i < a->items.n; i++) {
		const struct oci_archive_item *item = &a->items.v[i];
		bool document = strchr(item->name, '.') != NULL;
		struct tar_header h = {
			.type = TAR_FILE,
			.name = item->name,
			.mode = document ? 0644 : 0444,
			.size = item->body ? item->body->blob.size : item->data.n,
		};

		if (cancel_is_set(cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		r = tar_write_header(&w, &h, err);
		if (r == 0)
			r = send_item(s, item, cancel, tar_data, &w, err);
	}
	return r < 0 ? r : tar_write_end(&w, err);
}

/* --- directory --- */

static int fd_data(void *data, const void *p, size_t n, struct error **err)
{
	int r = fs_write_full(*(int *)data, p, n);

	return r < 0 ? error_new(err, ERR_IO, -r, "write") : 0;
}

static int write_dir_item(struct store *s, const struct oci_archive_item *item,
			  struct cancel *cancel, int dirfd, struct error **err)
{
	_cleanup_free_ char *temporary = xasprintf("%s.tmp-%d", item->name, (int)getpid());
	_cleanup_close_ int fd = -1;
	int r;

	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "create '%s'", temporary);
	r = send_item(s, item, cancel, fd_data, &fd, err);
	if (r == 0 && renameat(dirfd, temporary, dirfd, item->name) < 0)
		r = error_new(err, ERR_IO, errno, "rename '%s'", temporary);
	if (r < 0)
		unlinkat(dirfd, temporary, 0);
	return error_wrap(err, r, "write '%s'", item->name);
}

int oci_archive_write_dir(struct oci_archive *a, struct store *s, struct cancel *cancel,
			  const char *dest, struct error **err)
{
	_cleanup_close_ int dirfd = -1;
	const struct oci_archive_item *index = NULL;
	int r = fs_mkdir_p(AT_FDCWD, dest, 0755);

	if (r < 0)
		return error_new(err, ERR_IO, -r, "create directory '%s'", dest);
	dirfd = fs_open_dir(AT_FDCWD, dest);
	if (dirfd < 0)
		return error_new(err, ERR_IO, -dirfd, "open directory '%s'", dest);
	r = layout_dir_make_blobs(dirfd, err);
	if (r < 0)
		return error_wrap(err, r, "OCI layout '%s'", dest);
	settle(a);
	for (size_t i = 0; i < a->items.n; i++) {
		if (strcmp(a->items.v[i].name, INDEX_FILE) == 0) {
			index = &a->items.v[i];
			continue;
		}
		r = write_dir_item(s, &a->items.v[i], cancel, dirfd, err);
		if (r < 0)
			return r;
	}
	return index ? write_dir_item(s, index, cancel, dirfd, err) : 0;
}

json_t *oci_archive_docker_entry(const struct digest *config, const struct layer_body *layers,
				 size_t n, char *const *names, size_t n_names)
{
	_cleanup_free_ char *config_name = oci_archive_blob_name(config);
	json_t *o = json_object(), *tags = n_names > 0 ? json_array() : json_null();
	json_t *files = json_array();

	for (size_t i = 0; i < n_names; i++) {
		_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
		_cleanup_free_ char *name = NULL;

		if (imageref_parse(names[i], &ref, NULL) < 0)
			continue;
		name = imageref_familiar_name(&ref);
		json_array_append_new(tags,
				      json_sprintf("%s:%s", name, ref.tag ? ref.tag : "latest"));
	}
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *name = oci_archive_blob_name(&layers[i].blob.digest);

		json_array_append_new(files, json_string(name));
	}
	json_object_set_new(o, "Config", json_string(config_name));
	json_object_set_new(o, "RepoTags", tags);
	json_object_set_new(o, "Layers", files);
	return o;
}
