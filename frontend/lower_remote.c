/* SPDX-License-Identifier: Apache-2.0 */
/* ADD from elsewhere: URLs and git repositories. */
#include <stdlib.h>
#include <string.h>

#include "base/giturl.h"
#include "frontend/lower.h"

int lower_source_kind(const char *source, enum copy_source_kind *ret, struct giturl *git,
		      struct error **err)
{
	int r = 0;

	if (strncmp(source, "./", 2) != 0 && strncmp(source, "../", 3) != 0)
		r = giturl_parse(source, git, err);
	if (r < 0)
		return r;
	if (r > 0)
		*ret = COPY_GIT;
	else if (strncmp(source, "http://", 7) == 0 || strncmp(source, "https://", 8) == 0)
		*ret = COPY_HTTP;
	else
		*ret = COPY_LOCAL;
	return 0;
}

struct draft *lower_http(struct compiler *c, const char *url, const char *filename,
			 const char *checksum, const struct vertex_meta *meta)
{
	struct op_pair *attrs = arena_alloc(c->arena, 2 * sizeof(*attrs));
	struct op op = {.kind = OP_SOURCE, .source.identifier = arena_strdup(c->arena, url)};
	size_t n = 0;

	if (checksum && *checksum)
		attrs[n++] = (struct op_pair){"http.checksum", arena_strdup(c->arena, checksum)};
	attrs[n++] = (struct op_pair){"http.filename", arena_strdup(c->arena, filename)};
	op.source.attrs = (struct op_pairs){attrs, n};
	return draft_new(&c->drafts, &op, NULL, meta);
}

struct op lower_git_op(struct arena *a, const struct giturl *git, bool keep_git_dir,
		       const char *checksum)
{
	_cleanup_free_ char *id = giturl_identifier(git);
	struct op_pair *attrs = arena_alloc(a, 9 * sizeof(*attrs));
	struct op op = {
		.kind = OP_SOURCE,
		.source.identifier = arena_printf(a, "git://%s", id),
	};
	size_t n = 0;

	/* Sorted by key. */
	attrs[n++] = (struct op_pair){"git.authheadersecret", "GIT_AUTH_HEADER"};
	attrs[n++] = (struct op_pair){"git.authtokensecret", "GIT_AUTH_TOKEN"};
	if (checksum && *checksum)
		attrs[n++] = (struct op_pair){"git.checksum", arena_strdup(a, checksum)};
	if (git->fetch_by_commit)
		attrs[n++] = (struct op_pair){"git.fetchbycommit", "true"};
	attrs[n++] = (struct op_pair){"git.fullurl", arena_strdup(a, git->remote)};
	if (keep_git_dir)
		attrs[n++] = (struct op_pair){"git.keepgitdir", "true"};
	if (git->ssh)
		attrs[n++] = (struct op_pair){"git.mountsshsock", "default"};
	if (git->mtime_commit)
		attrs[n++] = (struct op_pair){"git.mtime", "commit"};
	if (git->submodules == 0)
		attrs[n++] = (struct op_pair){"git.skipsubmodules", "true"};
	op.source.attrs = (struct op_pairs){attrs, n};
	return op;
}

struct draft *lower_git(struct compiler *c, const struct giturl *git, bool keep_git_dir,
			const char *checksum, const struct vertex_meta *meta)
{
	struct op op = lower_git_op(c->arena, git, keep_git_dir, checksum);

	return draft_new(&c->drafts, &op, NULL, meta);
}
