/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/import.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#include "engine/layer/unpack.h"
#include "engine/stream/archive_input.h"

#define READ_SIZE ((size_t)256 * 1024)

/* The plain bytes of the tar. libarchive knows more compressions than layers may have. */
struct source {
	struct archive *raw;
	struct archive_input in;
	struct cancel *cancel;
};

static void source_release(struct source *s)
{
	archive_read_free(s->raw);
	archive_input_release(&s->in);
}

static int damaged(struct source *s, struct error **err)
{
	const char *why = archive_error_string(s->raw);

	if (cancel_is_set(s->cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	return error_new(err, ERR_INVALID, 0, "%s", why ? why : "damaged stream");
}

static int source_open(struct source *s, int fd, struct error **err)
{
	struct archive_entry *entry;
	int r;

	s->raw = archive_read_new();
	archive_read_support_filter_gzip(s->raw);
	archive_read_support_filter_bzip2(s->raw);
	archive_read_support_filter_xz(s->raw);
	archive_read_support_filter_zstd(s->raw);
	archive_read_support_format_raw(s->raw);
	archive_read_support_format_empty(s->raw);
	if (!archive_input_open(&s->in, s->raw, fd, s->cancel))
		return damaged(s, err);
	r = archive_read_next_header(s->raw, &entry);
	if (r == ARCHIVE_EOF)
		return error_new(err, ERR_INVALID, 0, "the archive is empty");
	return r == ARCHIVE_OK ? 0 : damaged(s, err);
}

static int source_read(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	struct source *s = data;
	la_ssize_t got;

	if (cancel_is_set(s->cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	got = archive_read_data(s->raw, p, n);
	if (got < 0)
		return damaged(s, err);
	*ret = (size_t)got;
	return 0;
}

static int make_layer(struct store *s, int fd, struct cancel *cancel, int64_t *ret,
		      struct error **err)
{
	_cleanup_(layer_writer_freep) struct layer_writer *w = NULL;
	_cleanup_(source_release) struct source source = {.cancel = cancel};
	struct unpack_result unpacked;
	int r = source_open(&source, fd, err);

	if (r == 0)
		r = layer_writer_open(s, &w, err);
	if (r == 0)
		r = unpack_layer(w, source_read, &source, false, &unpacked, err);
	if (r == 0 && unpacked.entries == 0)
		r = error_new(err, ERR_INVALID, 0, "the archive has no files");
	return r < 0 ? r : layer_writer_commit(w, ret, err);
}

/* The layer's row of the history stands before what --change adds. */
static void make_config(const struct import_options *o, const char *what, struct image_config *ret)
{
	_cleanup_free_ char *comment =
		o->message ? xstrdup(o->message) : xasprintf("Imported from %s", what);

	image_config_copy(ret, o->config);
	image_config_add_history(ret, NULL, NULL, comment, false);
	for (size_t i = ret->history.n - 1; i > 0; i--) {
		struct image_history row = ret->history.v[i];

		ret->history.v[i] = ret->history.v[i - 1];
		ret->history.v[i - 1] = row;
	}
}

int import_rootfs(struct store *s, int fd, const char *what, const struct import_options *o,
		  const struct progress *progress, struct cancel *cancel, struct export_result *ret,
		  struct error **err)
{
	struct export_options eo;
	struct image_config config;
	int64_t layer;
	int r = make_layer(s, fd, cancel, &layer, err);

	if (r < 0)
		return error_wrap(err, r, "import '%s'", what);
	image_config_init(&config, NULL);
	make_config(o, what, &config);
	export_options_init(&eo);
	if (o->name)
		strv_push(&eo.names, o->name);
	eo.has_epoch = o->has_epoch;
	eo.epoch = o->epoch;
	r = export_run(s,
		       &(struct export_image){.config = &config,
					      .layers = &layer,
					      .n_layers = 1,
					      .platform = config.platform},
		       1, &eo, progress, cancel, ret, err);
	export_options_release(&eo);
	image_config_release(&config);
	return r;
}
