/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/attest/statement.h"

#include <stdlib.h>
#include <string.h>

#include "base/imageref.h"
#include "engine/oci/oci.h"
#include "engine/oci/oci_manifest.h"

#define OCI_EMPTY_TYPE "application/vnd.oci.empty.v1+json"

static const struct platform unknown_platform = {.os = "unknown", .arch = "unknown"};

/* --- names --- */

/* The purl specification leaves these as they are in a qualifier. */
static void add_quoted(struct buf *b, const char *text)
{
	for (const char *p = text; *p; p++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:",
			   *p))
			buf_addc(b, *p);
		else
			buf_addf(b, "%%%02X", (unsigned)(unsigned char)*p);
}

int attest_purl(const char *type, const char *full_name, const struct platform *platform,
		char **ret, struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *familiar = NULL;
	char text[DIGEST_TEXT], where[64];
	const char *mark = "?";
	int r = imageref_parse(full_name, &ref, err);

	if (r < 0)
		return r;
	familiar = imageref_familiar_name(&ref);
	buf_addf(&b, "pkg:%s/%s", type, familiar);
	if (ref.tag)
		buf_addf(&b, "@%s", ref.tag);
	else if (ref.has_digest) {
		buf_addf(&b, "%sdigest=%s", mark, digest_format(&ref.digest, text));
		mark = "&";
	}
	if (platform) {
		buf_addf(&b, "%splatform=", mark);
		add_quoted(&b, platform_format(platform, where));
	}
	*ret = buf_take(&b);
	return 0;
}

/* --- statements --- */

json_t *attest_subject(const char *subject, const struct digest *digest)
{
	char hex[DIGEST_HEX + 1];

	return json_pack("{s:s, s:{s:s}}", "name", subject, "digest", "sha256",
			 digest_hex(digest, hex));
}

void attest_statement_write(const char *predicate_type, json_t *subjects, json_t *predicate,
			    bool indented, struct buf *b)
{
	_cleanup_json_ json_t *o =
		json_pack("{s:s, s:s, s:O, s:O}", "_type", ATTEST_STATEMENT_TYPE, "predicateType",
			  predicate_type, "subject", subjects, "predicate", predicate);

	js_dump_go(o, indented ? 2 : 0, false, b);
}

/* --- the manifest --- */

void attest_manifest_release(struct attest_manifest *m)
{
	for (size_t i = 0; i < m->statements.n; i++)
		buf_release(&m->statements.v[i].bytes);
	vec_release(&m->statements);
	buf_release(&m->config);
	buf_release(&m->manifest);
}

void attest_manifest_add(struct attest_manifest *m, const char *predicate_type, struct buf *bytes)
{
	struct attest_statement s = {.predicate_type = predicate_type,
				     .bytes = *bytes,
				     .digest = digest_of(bytes->p, bytes->n)};

	*bytes = (struct buf)BUF_INIT;
	vec_push(&m->statements, s);
}

/* Before there were artifacts every manifest had an image's config. */
static void write_old_config(struct attest_manifest *m)
{
	_cleanup_json_ json_t *o = NULL;
	json_t *ids = json_array();
	char text[DIGEST_TEXT];

	for (size_t i = 0; i < m->statements.n; i++)
		json_array_append_new(ids,
				      json_string(digest_format(&m->statements.v[i].digest, text)));
	o = json_pack("{s:s, s:s, s:{}, s:{s:s, s:o}}", "architecture", unknown_platform.arch, "os",
		      unknown_platform.os, "config", "rootfs", "type", "layers", "diff_ids", ids);
	js_dump_go(o, 0, false, &m->config);
}

static json_t *layers_json(const struct attest_manifest *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->statements.n; i++) {
		const struct attest_statement *s = &m->statements.v[i];
		_cleanup_strv_ struct strv annotations = {0};

		strv_pushf(&annotations, ATTEST_PREDICATE_ANNOTATION "=%s", s->predicate_type);
		json_array_append_new(list, oci_descriptor(OCI_STATEMENT_TYPE, &s->digest,
							   s->bytes.n, &annotations, NULL));
	}
	return list;
}

void attest_manifest_close(struct attest_manifest *m, bool artifact, const char *subject_type,
			   const struct digest *subject, uint64_t subject_size)
{
	_cleanup_json_ json_t *o =
		json_pack("{s:i, s:s}", "schemaVersion", 2, "mediaType", OCI_MANIFEST_TYPE);
	json_t *config;

	if (artifact)
		buf_adds(&m->config, "{}");
	else
		write_old_config(m);
	m->config_digest = digest_of(m->config.p, m->config.n);
	config = oci_descriptor(artifact ? OCI_EMPTY_TYPE : OCI_CONFIG_TYPE, &m->config_digest,
				m->config.n, NULL, NULL);
	if (artifact) {
		json_object_set_new(o, "artifactType", json_string(ATTEST_ARTIFACT_TYPE));
		json_object_set_new(config, "data", json_string("e30="));
	}
	json_object_set_new(o, "config", config);
	json_object_set_new(o, "layers", layers_json(m));
	if (artifact)
		json_object_set_new(
			o, "subject",
			oci_descriptor(subject_type, subject, subject_size, NULL, NULL));
	js_dump_go(o, 2, false, &m->manifest);
	m->digest = digest_of(m->manifest.p, m->manifest.n);
}

json_t *attest_manifest_entry(const struct attest_manifest *m, const struct digest *subject)
{
	_cleanup_strv_ struct strv annotations = {0};
	char text[DIGEST_TEXT];

	strv_pushf(&annotations, "vnd.docker.reference.digest=%s", digest_format(subject, text));
	strv_push(&annotations, "vnd.docker.reference.type=attestation-manifest");
	return oci_descriptor(OCI_MANIFEST_TYPE, &m->digest, m->manifest.n, &annotations,
			      &unknown_platform);
}
