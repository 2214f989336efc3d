/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/remote_cache/remote_download.h"

#include "base/times.h"

#define STATUS_INTERVAL_NS (INT64_C(100) * 1000000)

int remote_download_begin(struct remote_download *d, struct store *s, const struct layer_blob *blob,
			  struct job *job, struct error **err)
{
	*d = (struct remote_download){.blob = blob, .job = job};
	digest_format(&blob->digest, d->id);
	return blob_writer_open(s, &d->writer, err);
}

int remote_download_write(void *download, const void *p, size_t n, struct error **err)
{
	struct remote_download *d = download;
	int64_t now = times_monotonic_ns();

	if (n > d->blob->size - blob_writer_size(d->writer))
		return error_new(err, ERR_CORRUPT, 0, "blob %s has more than its %llu bytes", d->id,
				 (unsigned long long)d->blob->size);
	blob_writer_write(d->writer, p, n);
	if (d->job && now - d->shown >= STATUS_INTERVAL_NS) {
		d->shown = now;
		job_status(d->job, d->id, blob_writer_size(d->writer), d->blob->size, false);
	}
	return 0;
}

int remote_download_end(struct remote_download *d, struct error **err)
{
	int r = blob_writer_commit(d->writer, &d->blob->digest, NULL, err);

	if (r == 0 && d->job)
		job_status(d->job, d->id, d->blob->size, d->blob->size, true);
	return r;
}

void remote_download_release(struct remote_download *d)
{
	blob_writer_free(d->writer);
	d->writer = NULL;
}
