/* SPDX-License-Identifier: Apache-2.0 */
/* Images as OCI layouts and docker archives, in a tar or a directory. */
#include <stdlib.h>
#include <string.h>

#include "base/imageref.h"
#include "base/times.h"
#include "engine/export/export_make.h"
#include "engine/oci/oci.h"
#include "engine/oci/oci_archive.h"
#include "engine/oci/oci_manifest.h"
#include "engine/stream/out_file.h"

struct layout {
	struct made_image *made; /* one per image */
	size_t n_made;
	struct buf index; /* the image index, if there are several */
	struct oci_archive archive;
};

static void layout_release(struct layout *l)
{
	for (size_t i = 0; i < l->n_made; i++)
		made_image_release(&l->made[i]);
	free(l->made);
	buf_release(&l->index);
	oci_archive_release(&l->archive);
}

static void report(struct export_job *j, const char *what, const struct digest *digest)
{
	char text[DIGEST_TEXT];
	_cleanup_free_ char *line = xasprintf("exporting %s %s", what, digest_format(digest, text));

	job_status(j->job, line, 0, 0, true);
}

static void add_attestations(struct export_job *j, struct layout *l, const struct made_image *m)
{
	const struct attest_manifest *a = &m->attest;

	if (a->statements.n == 0)
		return;
	for (size_t i = 0; i < a->statements.n; i++)
		oci_archive_add_blob(&l->archive, &a->statements.v[i].digest,
				     a->statements.v[i].bytes.p, a->statements.v[i].bytes.n);
	oci_archive_add_blob(&l->archive, &a->config_digest, a->config.p, a->config.n);
	oci_archive_add_blob(&l->archive, &a->digest, a->manifest.p, a->manifest.n);
	report(j, "attestation manifest", &a->digest);
}

static int make_images(struct export_job *j, struct layout *l, struct error **err)
{
	struct layer_blob_options lo = export_layer_options(j->o);

	job_status(j->job, "exporting layers", 0, 0, false);
	l->made = xcalloc(j->n, sizeof(*l->made));
	for (; l->n_made < j->n; l->n_made++) {
		int r = export_make(j->s, &j->images[l->n_made], j->o, &lo, j->cancel,
				    &l->made[l->n_made], err);

		if (r < 0)
			return r;
	}
	job_status(j->job, "exporting layers", 0, 0, true);
	for (size_t i = 0; i < l->n_made; i++)
		add_attestations(j, l, &l->made[i]);
	for (size_t i = 0; i < l->n_made; i++) {
		const struct made_image *m = &l->made[i];

		report(j, "manifest", &m->manifest_digest);
		report(j, "config", &m->config_digest);
		oci_archive_add_blob(&l->archive, &m->config_digest, m->config.p, m->config.n);
		oci_archive_add_blob(&l->archive, &m->manifest_digest, m->manifest.p,
				     m->manifest.n);
		for (size_t k = 0; k < m->in->n_layers; k++)
			oci_archive_add_layer(&l->archive, &m->bodies[k], m->in->layers, k,
					      m->n_keep, &lo);
	}
	return 0;
}

static void find_top(struct export_job *j, struct layout *l, struct export_top *top)
{
	export_find_top(j, l->made, l->n_made, &l->index, top);
	if (!export_is_indexed(j->o, l->n_made))
		return;
	oci_archive_add_blob(&l->archive, &top->digest, l->index.p, l->index.n);
	report(j, "manifest list", &top->digest);
}

/* RFC 3339 in whole seconds. */
static char *created_text(struct export_job *j, const struct made_image *m)
{
	int64_t ns = j->o->has_epoch ? j->o->epoch * NS_PER_S : m->created;

	return times_rfc3339(ns - ns % NS_PER_S);
}

/* index.json: the top document once for each name. */
static void add_index_json(struct export_job *j, struct layout *l, struct export_top *top)
{
	_cleanup_json_ json_t *entries = json_array();
	_cleanup_free_ char *created = created_text(j, &l->made[0]);
	_cleanup_buf_ struct buf b = BUF_INIT;

	strv_pushf(&top->annotations, "org.opencontainers.image.created=%s", created);
	for (size_t i = 0; i < j->names.n; i++) {
		_cleanup_strv_ struct strv annotations = {0};
		const char *tag = strrchr(j->names.v[i], ':');

		strv_copy(&annotations, &top->annotations);
		strv_pushf(&annotations, "io.containerd.image.name=%s", j->names.v[i]);
		strv_pushf(&annotations, "org.opencontainers.image.ref.name=%s",
			   tag ? tag + 1 : "latest");
		json_array_append_new(entries,
				      oci_descriptor(top->media_type, &top->digest, top->size,
						     &annotations, top->platform));
	}
	if (j->names.n == 0)
		json_array_append_new(entries,
				      oci_descriptor(top->media_type, &top->digest, top->size,
						     &top->annotations, top->platform));
	oci_index_write(false, entries, NULL, false, &b);
	oci_archive_add(&l->archive, "index.json", b.p, b.n);
}

static void add_docker_manifest(struct export_job *j, struct layout *l)
{
	const struct made_image *m = &l->made[0];
	_cleanup_json_ json_t *list = json_array();
	_cleanup_buf_ struct buf b = BUF_INIT;

	json_array_append_new(list,
			      oci_archive_docker_entry(&m->config_digest, m->bodies,
						       m->in->n_layers, j->names.v, j->names.n));
	js_dump_go(list, 0, false, &b);
	oci_archive_add(&l->archive, "manifest.json", b.p, b.n);
}

static int write_out(struct export_job *j, struct layout *l, struct error **err)
{
	struct out_file f;
	int r;

	if (!j->o->tar)
		return oci_archive_write_dir(&l->archive, j->s, j->cancel, j->o->dest, err);
	job_status(j->job, "sending tarball", 0, 0, false);
	r = out_file_open(&f, j->o->dest, j->o->dest_fd, j->cancel, err);
	if (r == 0)
		r = oci_archive_write_tar(&l->archive, j->s, j->cancel, out_file_write, &f, err);
	if (r == 0)
		r = out_file_commit(&f, err);
	out_file_release(&f);
	if (r == 0)
		job_status(j->job, "sending tarball", 0, 0, true);
	return r;
}

int export_to_layout(struct export_job *j, struct error **err)
{
	_cleanup_(layout_release) struct layout l = {.index = BUF_INIT};
	struct export_top top;
	int r;

	if (j->o->type == EXPORT_DOCKER && j->n > 1)
		return error_hint(err,
				  error_new(err, ERR_UNSUPPORTED, 0,
					    "docker output cannot hold several platforms"),
				  "use --output type=oci");
	oci_archive_init(&l.archive);
	r = make_images(j, &l, err);
	if (r < 0)
		return r;
	find_top(j, &l, &top);
	add_index_json(j, &l, &top);
	strv_release(&top.annotations);
	if (j->o->type == EXPORT_DOCKER)
		add_docker_manifest(j, &l);
	return write_out(j, &l, err);
}
