/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/attest/materials.h"

#include <stdlib.h>
#include <string.h>

#include "base/giturl.h"
#include "engine/attest/statement.h"
#include "engine/http/http.h"

enum { SHA256_HEX = 64 };

/* A material on its way into the sorted list: kinds in BuildKit's order. */
enum material_kind { MATERIAL_IMAGE, MATERIAL_GIT, MATERIAL_HTTP };
struct material {
	enum material_kind kind;
	char *uri;
	json_t *digest;
};
struct grant {
	const char *id;
	bool ssh, optional;
};
struct gather {
	const struct source_env *sources;
	VEC(struct material) materials;
	VEC(struct grant) grants;
	struct attest_materials *out;
};

static void gather_release(struct gather *g)
{
	for (size_t i = 0; i < g->materials.n; i++) {
		free(g->materials.v[i].uri);
		json_decref(g->materials.v[i].digest);
	}
	vec_release(&g->materials);
	vec_release(&g->grants);
}

void attest_materials_release(struct attest_materials *m)
{
	json_decref(m->list);
	json_decref(m->secrets);
	json_decref(m->ssh);
	strv_release(&m->locals);
	*m = (struct attest_materials){0};
}

json_t *attest_commit_digest(const char *commit)
{
	return json_pack("{s:s}", strlen(commit) == SHA256_HEX ? "sha256" : "sha1", commit);
}

static json_t *file_digest(const struct digest *digest)
{
	char hex[DIGEST_HEX + 1];

	return json_pack("{s:s}", "sha256", digest_hex(digest, hex));
}

/* Takes both. */
static void add_material(struct gather *g, enum material_kind kind, char *uri, json_t *digest)
{
	for (size_t i = 0; i < g->materials.n; i++)
		if (strcmp(g->materials.v[i].uri, uri) == 0 &&
		    json_equal(g->materials.v[i].digest, digest)) {
			free(uri);
			json_decref(digest);
			return;
		}
	vec_push(&g->materials, ((struct material){.kind = kind, .uri = uri, .digest = digest}));
}

static const char *attr_of(const struct op_source *source, const char *key)
{
	for (size_t i = 0; i < source->attrs.n; i++)
		if (strcmp(source->attrs.v[i].key, key) == 0)
			return source->attrs.v[i].value;
	return NULL;
}

/* Images are pinned in their identifiers. */
static int add_image(struct gather *g, const struct vertex *v, const char *type, const char *pinned,
		     struct error **err)
{
	const char *at = strrchr(pinned, '@');
	struct platform platform = {0};
	struct digest digest;
	char *uri = NULL;
	int r;

	if (!at || digest_parse(at + 1, &digest) < 0)
		return error_new(err, ERR_INTERNAL, 0, "the image '%s' is not pinned", pinned);
	snprintf(platform.os, sizeof(platform.os), "%s", v->op.platform.os);
	snprintf(platform.arch, sizeof(platform.arch), "%s", v->op.platform.arch);
	snprintf(platform.variant, sizeof(platform.variant), "%s",
		 v->op.platform.variant ? v->op.platform.variant : "");
	r = attest_purl(type, pinned, &platform, &uri, err);
	if (r == 0)
		add_material(g, MATERIAL_IMAGE, uri, file_digest(&digest));
	return r;
}

static int add_git(struct gather *g, const struct op_source *source, struct error **err)
{
	_cleanup_free_ char *commit = NULL, *url = NULL;
	const char *remote = attr_of(source, "git.fullurl"), *ref = strchr(source->identifier, '#');
	int r = git_sources_commit(g->sources->git, source, NULL, &commit, err);

	if (r < 0)
		return r;
	url = giturl_display(remote ? remote : source->identifier);
	add_material(g, MATERIAL_GIT, xasprintf("%s%s", url, ref ? ref : ""),
		     attest_commit_digest(commit));
	return 0;
}

static int add_http(struct gather *g, const struct op_source *source, struct error **err)
{
	struct http_file file;
	struct digest digest;
	int r = http_file_of_op(source, &file, err);

	if (r == 0)
		r = http_files_digest(g->sources->http, &file, NULL, &digest, err);
	if (r == 0)
		add_material(g, MATERIAL_HTTP, http_url_display(file.url), file_digest(&digest));
	return r;
}

static const char *after(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

static int add_source(struct gather *g, const struct vertex *v, struct error **err)
{
	const struct op_source *source = &v->op.source;
	_cleanup_free_ char *shown = attest_source_identifier(source);
	const char *rest = after(shown, "docker-image://");

	if (rest)
		return add_image(g, v, "docker", rest, err);
	rest = after(shown, "oci-layout://");
	if (rest)
		return add_image(g, v, "oci", rest, err);
	rest = after(shown, "local://");
	if (rest) {
		if (!strv_contains(&g->out->locals, rest))
			strv_push(&g->out->locals, rest);
		return 0;
	}
	return after(shown, "git://") ? add_git(g, source, err) : add_http(g, source, err);
}

static void add_grant(struct gather *g, bool ssh, const char *id, bool optional)
{
	for (size_t i = 0; i < g->grants.n; i++)
		if (g->grants.v[i].ssh == ssh && strcmp(g->grants.v[i].id, id) == 0) {
			g->grants.v[i].optional &= optional;
			return;
		}
	vec_push(&g->grants, ((struct grant){.id = id, .ssh = ssh, .optional = optional}));
}

static void add_exec(struct gather *g, const struct op_exec *exec)
{
	g->out->network |= exec->network != NETWORK_NONE;
	for (size_t i = 0; i < exec->n_mounts; i++) {
		const struct op_mount *m = &exec->mounts[i];

		if (m->type == MOUNT_SECRET)
			add_grant(g, false, m->id ? m->id : "", m->optional);
		else if (m->type == MOUNT_SSH)
			add_grant(g, true, m->id && *m->id ? m->id : "default", m->optional);
	}
	for (size_t i = 0; i < exec->n_secret_envs; i++)
		add_grant(g, false, exec->secret_envs[i].id, exec->secret_envs[i].optional);
}

static int compare_materials(const void *x, const void *y)
{
	const struct material *a = x, *b = y;

	return a->kind != b->kind ? (int)a->kind - (int)b->kind : strcmp(a->uri, b->uri);
}

static int compare_grants(const void *x, const void *y)
{
	const struct grant *a = x, *b = y;

	return strcmp(a->id, b->id);
}

static void fill(struct gather *g)
{
	struct attest_materials *m = g->out;

	if (g->materials.n > 0)
		qsort(g->materials.v, g->materials.n, sizeof(g->materials.v[0]), compare_materials);
	if (g->grants.n > 0)
		qsort(g->grants.v, g->grants.n, sizeof(g->grants.v[0]), compare_grants);
	for (size_t i = 0; i < g->materials.n; i++)
		json_array_append_new(m->list, json_pack("{s:s, s:O}", "uri", g->materials.v[i].uri,
							 "digest", g->materials.v[i].digest));
	for (size_t i = 0; i < g->grants.n; i++) {
		json_t *o = json_pack("{s:s}", "id", g->grants.v[i].id);

		if (g->grants.v[i].optional)
			json_object_set_new(o, "optional", json_true());
		json_array_append_new(g->grants.v[i].ssh ? m->ssh : m->secrets, o);
	}
	strv_sort(&m->locals);
}

int attest_materials_find(const struct attest_steps *steps, const struct source_env *sources,
			  const struct op_source *git, struct attest_materials *ret,
			  struct error **err)
{
	_cleanup_(gather_release) struct gather g = {.sources = sources, .out = ret};
	int r = 0;

	*ret = (struct attest_materials){
		.list = json_array(), .secrets = json_array(), .ssh = json_array()};
	if (git)
		r = add_git(&g, git, err);
	for (size_t i = 0; r == 0 && i < steps->n; i++) {
		const struct vertex *v = steps->v[i];

		if (v->op.kind == OP_SOURCE)
			r = add_source(&g, v, err);
		else if (v->op.kind == OP_EXEC)
			add_exec(&g, &v->op.exec);
	}
	if (r == 0)
		fill(&g);
	return r;
}
