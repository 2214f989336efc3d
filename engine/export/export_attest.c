/* SPDX-License-Identifier: Apache-2.0 */
/* What outputs have of the images' attestations. */
#include <stdlib.h>
#include <string.h>

#include "engine/export/export_make.h"
#include "store/blob.h"
#include "store/rootfs.h"

/* The image by each of its names; one without any has "_" for a name. */
static int find_subjects(const struct export_options *o, const struct made_image *m,
			 json_t *subjects, struct error **err)
{
	_cleanup_strv_ struct strv names = {0};
	int r = export_full_names(o, &names, err);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		_cleanup_free_ char *purl = NULL;

		r = attest_purl("docker", names.v[i], &m->in->platform, &purl, err);
		if (r == 0)
			json_array_append_new(subjects, attest_subject(purl, &m->manifest_digest));
	}
	if (names.n == 0)
		json_array_append_new(subjects, attest_subject("_", &m->manifest_digest));
	return r;
}

int export_attest(const struct export_options *o, struct made_image *m, struct error **err)
{
	_cleanup_json_ json_t *subjects = json_array();
	const struct export_image *in = m->in;
	int r = 0;

	if (!o->attested || in->n_attestations == 0)
		return 0;
	r = find_subjects(o, m, subjects, err);
	for (size_t i = 0; r == 0 && i < in->n_attestations; i++) {
		const struct export_attestation *a = &in->attestations[i];
		_cleanup_json_ json_t *predicate = NULL;
		_cleanup_buf_ struct buf b = BUF_INIT;

		r = a->make(a->data, m->bodies, in->n_layers, &predicate, err);
		if (r < 0)
			return r;
		attest_statement_write(a->predicate_type, subjects, predicate, false, &b);
		attest_manifest_add(&m->attest, a->predicate_type, &b);
	}
	if (r == 0)
		attest_manifest_close(&m->attest, !o->old_artifacts, m->manifest_type,
				      &m->manifest_digest, m->manifest.n);
	return r;
}

int export_attest_store(struct store *s, const struct made_image *m, struct error **err)
{
	const struct attest_manifest *a = &m->attest;
	struct digest digest;
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->statements.n; i++)
		r = blob_put(s, a->statements.v[i].bytes.p, a->statements.v[i].bytes.n, &digest,
			     err);
	if (r < 0 || a->statements.n == 0)
		return r;
	r = blob_put(s, a->config.p, a->config.n, &digest, err);
	return r < 0 ? r : blob_put(s, a->manifest.p, a->manifest.n, &digest, err);
}

/* --- as files --- */

char *export_platform_name(const struct platform *p, char text[64])
{
	platform_format(p, text);
	for (char *at = text; *at; at++)
		if (*at == '/')
			*at = '_';
	return text;
}

static int add_file(void *data, const struct rootfs_node *node, struct error **err)
{
	(void)err;
	if (node->entry.type == ENTRY_FILE)
		json_array_append_new(data, attest_subject(node->entry.path, &node->entry.content));
	return 0;
}

/* Beside the files of other platforms it has the platform's name in its own. */
static char *file_name(const struct export_job *j, const struct export_image *in,
		       const char *filename)
{
	const char *prefix = j->o->attestation_prefix ? j->o->attestation_prefix : "";
	const char *dot = strrchr(filename, '.');
	char platform[64];

	if (!export_is_several(j->o, j->n) || export_is_split(j))
		return xasprintf("%s%s", prefix, filename);
	if (!dot)
		dot = filename + strlen(filename);
	return xasprintf("%s%.*s.%s%s", prefix, (int)(dot - filename), filename,
			 export_platform_name(&in->platform, platform), dot);
}

int export_attest_files(const struct export_job *j, const struct export_image *in,
			const struct rootfs *rootfs,
			int (*put)(void *data, const char *name, const struct buf *b,
				   struct error **err),
			void *data, struct error **err)
{
	_cleanup_json_ json_t *subjects = json_array();
	int r = 0;

	if (!j->o->attested || in->n_attestations == 0)
		return 0;
	r = rootfs_walk(rootfs, "", add_file, subjects, err);
	for (size_t i = 0; r == 0 && i < in->n_attestations; i++) {
		const struct export_attestation *a = &in->attestations[i];
		_cleanup_free_ char *name = file_name(j, in, a->filename);
		_cleanup_json_ json_t *predicate = NULL;
		_cleanup_buf_ struct buf b = BUF_INIT;

		r = a->make(a->data, NULL, 0, &predicate, err);
		if (r < 0)
			return r;
		attest_statement_write(a->predicate_type, subjects, predicate, true, &b);
		r = put(data, name, &b, err);
	}
	return r;
}
