/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/giturl.h"
#include "base/named_file.h"
#include "base/path.h"
#include "base/pattern.h"
#include "base/suggest.h"
#include "cmd/build/build_policy.h"
#include "cmd/cli/session.h"
#include "engine/source/context_archive.h"
#include "engine/source/source_time.h"
#include "store/rootfs.h"

enum {
	DOCKERFILE_MAX = 16 << 20, /* what the parser takes, too */
	IGNOREFILE_MAX = 16 << 20,
};

static bool is_stdin(const char *name)
{
	return name && strcmp(name, "-") == 0;
}

static bool is_http(const char *name)
{
	return name && (strncmp(name, "http://", 7) == 0 || strncmp(name, "https://", 8) == 0);
}

/* A named context that is a folder may have been misspelt, and not be missed. */
static int check_named(const struct named_context *n, struct error **err)
{
	if (n->built || strstr(n->value, "://") || strncmp(n->value, "target:", 7) == 0 ||
	    frontend_context_is_remote(n->value) || access(n->value, F_OK) == 0)
		return 0;
	return error_new(err, ERR_NOTFOUND, errno, "--build-context %s: '%s'", n->name, n->value);
}

int build_input_check(const struct build_options *o, struct error **err)
{
	const char *path = o->context;
	struct giturl git = {0};
	struct stat st;
	int r;

	for (size_t i = 0; i < o->contexts.n; i++) {
		r = check_named(&o->contexts.v[i], err);
		if (r < 0)
			return r;
	}
	if (is_stdin(path) && is_stdin(o->dockerfile))
		return error_new(err, ERR_INVALID, 0,
				 "invalid argument: can't use stdin for both build context and "
				 "dockerfile");
	r = giturl_parse_context(path, &git, err);
	giturl_release(&git);
	if (r != 0 || is_stdin(path) || is_http(path))
		return r < 0 ? r : 0;
	if (stat(path, &st) < 0)
		return errno == ENOENT
			       ? error_new(err, ERR_NOTFOUND, 0,
					   "unable to prepare context: path \"%s\" not found", path)
			       : error_new(err, ERR_IO, errno, "unable to prepare context: '%s'",
					   path);
	if (access(path, S_ISDIR(st.st_mode) ? R_OK | X_OK : R_OK) < 0)
		return error_new(err, ERR_IO, errno, "unable to prepare context: '%s'", path);
	if (S_ISDIR(st.st_mode))
		return 0;
	r = error_new(err, ERR_INVALID, 0,
		      "unable to prepare context: '%s' is a file, not a directory", path);
	return error_hint(err, r, "name the Dockerfile with -f and its folder as the context");
}

static int open_context_dir(struct build_input *in, const char *path, struct error **err)
{
	in->context_dir = realpath(path, NULL);
	if (!in->context_dir)
		return error_new(err, ERR_IO, errno, "unable to prepare context: '%s'", path);
	return 0;
}

/* --- Contexts that come as a stream --- */

/* What came was a Dockerfile without a context, or else an archive that holds one. */
static int take_archive(struct build_input *in, const struct build_options *o,
			const struct context_archive *archive, struct error **err)
{
	const char *from = is_stdin(o->context) ? "stdin" : "the URL";

	if (!archive->is_dockerfile) {
		in->context_layer = archive->layer;
		return 0;
	}
	if (o->dockerfile)
		return error_new(err, ERR_INVALID, 0,
				 "ambiguous Dockerfile source: both %s and flag correspond to "
				 "Dockerfiles",
				 from);
	if (!is_stdin(o->context))
		in->dockerfile_url = o->context;
	in->name = xstrdup("Dockerfile");
	buf_add(&in->text, archive->dockerfile.p, archive->dockerfile.n);
	return 0;
}

static int read_stream(struct build_input *in, const struct build_options *o, struct engine *e,
		       const struct progress *progress, struct error **err)
{
	_cleanup_(context_archive_release) struct context_archive archive = CONTEXT_ARCHIVE_INIT;
	static const char title[] = "[internal] load remote build context";
	const struct event_vertex about = {.name = title};
	struct digest id = digest_of(title, strlen(title));
	struct job *job;
	int r;

	if (is_stdin(o->context)) {
		job = job_open_quiet(progress, e->cancel, &id, &about);
		r = context_archive_read(&e->sources, STDIN_FILENO, "standard input", job, &archive,
					 err);
	} else {
		job = job_open(progress, e->cancel, title);
		r = context_archive_fetch(&e->sources, o->context, job, &archive, err);
	}
	job_close(job, r, err);
	return r < 0 ? r : take_archive(in, o, &archive, err);
}

/* 0 if the context is not a git URL. */
static int check_out(struct build_input *in, const struct build_options *o, struct engine *e,
		     struct graph *g, const struct progress *progress, struct error **err)
{
	_cleanup_(result_unrefp) struct result *result = NULL;
	struct edge source;
	int r = frontend_git_context(o->context, &o->build_args, g, &source, err);

	if (r <= 0)
		return r;
	r = engine_solve(e, g, &source, 1, progress, &result, err);
	if (r < 0)
		return r;
	in->context_layer = result->layers[0];
	in->context_is_git = true;
	in->git = &source.vertex->op.source;
	return 1;
}

const char *build_input_add_context(struct engine *e, struct arena *a, const char *name,
				    const char *dir, int64_t layer)
{
	const char *own = name;

	for (unsigned n = 2;; n++) {
		const struct engine_context *old = engine_find_context(e, own);

		if (!old && dir)
			engine_add_context(e, own, dir);
		else if (!old)
			engine_add_layer_context(e, own, layer);
		if (!old || (dir && old->dir && strcmp(dir, old->dir) == 0) ||
		    (!dir && !old->dir && old->layer == layer))
			return own;
		own = arena_printf(a, "%s-%u", name, n);
	}
}

static int load_context(struct build_input *in, const struct build_options *o, struct engine *e,
			struct graph *g, const struct progress *progress, struct error **err)
{
	const char *context = o->context;
	int r = check_out(in, o, e, g, progress, err);

	if (r > 0)
		return 0;
	if (r == 0)
		r = is_stdin(context) || is_http(context) ? read_stream(in, o, e, progress, err)
							  : open_context_dir(in, context, err);
	if (r < 0)
		return r;
	in->context_name = build_input_add_context(e, &g->arena, "context", in->context_dir,
						   in->context_layer);
	return 0;
}

int build_input_time(const struct build_input *in, struct engine *e, bool *ret_has, int64_t *ret,
		     struct error **err)
{
	const struct op_source url = {.identifier = in->dockerfile_url};

	if (in->git || in->dockerfile_url)
		return source_time(&e->sources, in->git ? in->git : &url, NULL, ret_has, ret, err);
	if (in->context_layer == 0)
		return 0;
	*ret_has = true;
	return context_archive_time(&e->sources, in->context_layer, ret, err);
}

/* --- The Dockerfile --- */

enum { LINKS_MAX = 40 };

/* Does a link on the way lead out of the archive? Its author meant a file of another machine, and
 * would get one that happens to have its name. */
static bool leaves_archive(const struct rootfs *rootfs, const char *name)
{
	_cleanup_free_ char *rest = xstrdup(name), *at = xstrdup("");

	for (unsigned links = 0; *rest;) {
		size_t skip = strspn(rest, "/"), n = strcspn(rest + skip, "/");
		_cleanup_free_ char *part = xstrndup(rest + skip, n), *path = NULL;
		struct rootfs_node node;

		memmove(rest, rest + skip + n, strlen(rest + skip + n) + 1);
		if (n == 0 || strcmp(part, ".") == 0)
			continue;
		if (strcmp(part, "..") == 0) {
			char *slash = strrchr(at, '/');

			if (!*at)
				return true;
			*(slash ? slash : at) = '\0';
			continue;
		}
		path = *at ? xasprintf("%s/%s", at, part) : TAKE_PTR(part);
		if (rootfs_get(rootfs, path, &node) && node.entry.type == ENTRY_SYMLINK) {
			char *next = xasprintf("%s/%s", node.entry.link, rest);

			free(rest);
			rest = next;
			if (path_is_absolute(rest) || ++links > LINKS_MAX)
				return true;
			continue;
		}
		free(at);
		at = TAKE_PTR(path);
	}
	return false;
}

static int read_member(const struct rootfs *rootfs, const char *name, struct buf *ret,
		       struct error **err)
{
	if (!leaves_archive(rootfs, name))
		return rootfs_read(rootfs, name, DOCKERFILE_MAX, ret, err);
	(void)error_new(err, ERR_INVALID, 0,
			"failed to read dockerfile: the link %s leads out of the context", name);
	return error_hint(err, -ERR_INVALID, "name a file of the context with -f");
}

/* From an archive; names are the archive's. */
static int read_archived(struct build_input *in, const struct build_options *o, struct engine *e,
			 struct error **err)
{
	_cleanup_(error_freep) struct error *failed = NULL;
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	const char *name = o->dockerfile ? o->dockerfile : "Dockerfile";
	int r = rootfs_open(e->store, &in->context_layer, 1, &rootfs, err);

	if (r < 0)
		return r;
	r = build_policy_check_member(rootfs, name, err);
	if (r < 0)
		return r;
	r = read_member(rootfs, name, &in->text, &failed);
	if (r == -ERR_NOTFOUND && !o->dockerfile &&
	    read_member(rootfs, "dockerfile", &in->text, NULL) == 0)
		r = 0;
	else if (r == -ERR_NOTFOUND)
		r = error_hint(err,
			       error_new(err, ERR_NOTFOUND, 0,
					 "failed to read dockerfile: open %s: no such file in the "
					 "context",
					 name),
			       "name another file of the archive with -f");
	else if (r < 0 && err)
		*err = TAKE_PTR(failed);
	if (r == 0)
		in->name = xstrdup(path_base(name));
	return r;
}

static int read_stdin(struct build_input *in, const struct cancel *cancel, struct error **err)
{
	int r = named_file_read_fd(STDIN_FILENO, cancel, &in->text);

	if (r < 0)
		return error_new(err, named_file_error(r), -r,
				 "read the Dockerfile from standard input");
	in->name = xstrdup("Dockerfile");
	return 0;
}

static void read_inline(struct build_input *in, const char *text)
{
	buf_adds(&in->text, text);
	in->name = xstrdup("Dockerfile");
}

static int fetch_dockerfile(struct build_input *in, const char *url, struct engine *e,
			    struct job *job, struct error **err)
{
	in->name = xstrdup("Dockerfile");
	return context_dockerfile_fetch(&e->sources, url, job, &in->text, err);
}

/* What the folder has that may have been meant; `name` is what -f names, or NULL. */
static int no_dockerfile(const char *dir, const char *name, int r, struct error **err)
{
	_cleanup_strv_ struct strv names = {0};
	DIR *d = opendir(dir);
	const char *near = NULL;
	struct dirent *e;

	while (d && fs_next_entry(d, &e) > 0)
		if (strncasecmp(e->d_name, "Dockerfile", 10) == 0 ||
		    strcasestr(e->d_name, ".Dockerfile") ||
		    strncasecmp(e->d_name, "Containerfile", 13) == 0)
			strv_push(&names, e->d_name);
	if (d)
		(void)closedir(d);
	strv_sort(&names);
	if (name && names.n > 0)
		near = suggest(name, (const char *const *)names.v, names.n, true);
	if (near || names.n == 1)
		return error_hint(err, r, "the context, %s, has %s: name it with -f", dir,
				  near ? near : names.v[0]);
	if (names.n > 1)
		return error_hint(err, r, "the context, %s, has %s and %s%s: name one with -f", dir,
				  names.v[0], names.v[1], names.n > 2 ? " and others" : "");
	return error_hint(err, r, "the context is %s; name another Dockerfile with -f", dir);
}

/* Opens the Dockerfile; *ret_path (heap) is where it was found, for its own ignore file. */
static int open_dockerfile(const struct build_input *in, const struct build_options *o,
			   const struct cancel *cancel, char **ret_path, struct error **err)
{
	_cleanup_free_ char *path = NULL;
	const char *shown = o->dockerfile ? o->dockerfile : "Dockerfile";
	int fd, r;

	path = o->dockerfile ? xstrdup(o->dockerfile) : path_join(in->context_dir, "Dockerfile");
	fd = named_file_open(path, cancel);
	/* Relative names are the caller's folder's first, as with docker; then the context's. */
	if (fd == -ENOENT && o->dockerfile && !path_is_absolute(o->dockerfile)) {
		free(path);
		path = path_join(in->context_dir, o->dockerfile);
		fd = named_file_open(path, cancel);
	}
	if (fd == -ENOENT && !o->dockerfile) {
		free(path);
		path = path_join(in->context_dir, "dockerfile");
		fd = named_file_open(path, cancel);
	}
	if (fd < 0) {
		r = error_new(err, named_file_error(fd), -fd, "failed to read dockerfile: open %s",
			      shown);
		return fd == -ENOENT
			       ? no_dockerfile(in->context_dir,
					       o->dockerfile ? path_base(shown) : NULL, r, err)
			       : r;
	}
	*ret_path = TAKE_PTR(path);
	return fd;
}

static int read_file(struct build_input *in, const struct build_options *o,
		     const struct cancel *cancel, char **ret_path, struct error **err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = open_dockerfile(in, o, cancel, &path, err);
	int r;

	if (fd < 0)
		return fd;
	r = build_policy_check_file(path, err);
	if (r < 0)
		return r;
	r = named_file_read_fd(fd, cancel, &in->text);
	if (r < 0)
		return error_new(err, named_file_error(r), -r, "failed to read dockerfile: read %s",
				 path);
	in->name = xstrdup(path_base(path));
	*ret_path = TAKE_PTR(path);
	return 0;
}

static int load_dockerfile(struct build_input *in, const struct build_options *o, struct engine *e,
			   char **ret_path, const struct progress *progress, struct error **err)
{
	bool elsewhere = o->dockerfile_inline || is_stdin(o->dockerfile) ||
			 is_http(o->dockerfile) || !o->dockerfile;
	_cleanup_free_ char *title = xasprintf("[%s%sinternal] load build definition from %s",
					       in->target ? in->target : "", in->target ? " " : "",
					       elsewhere ? "Dockerfile" : path_base(o->dockerfile));
	struct job *job = job_open(progress, e->cancel, title);
	int r = 0;

	in->step = job_vertex(job);
	if (o->dockerfile_inline)
		read_inline(in, o->dockerfile_inline);
	else if (is_stdin(o->dockerfile))
		r = read_stdin(in, e->cancel, err);
	else if (is_http(o->dockerfile))
		r = fetch_dockerfile(in, o->dockerfile, e, job, err);
	else if (in->context_dir)
		r = read_file(in, o, e->cancel, ret_path, err);
	else if (in->context_layer != 0)
		r = read_archived(in, o, e, err);
	if (r == 0)
		job_status(job, "transferring dockerfile:", in->text.n, 0, true);
	return job_close(job, r, err);
}

static int read_ignore(const char *path, const struct cancel *cancel, struct buf *b,
		       struct error **err)
{
	int r = named_file_read(path, cancel, b);

	if (r == -ENOENT || r == -ENOTDIR)
		return -ERR_NOTFOUND;
	return r < 0 ? error_new(err, named_file_error(r), -r, "read '%s'", path) : 0;
}

/* "<Dockerfile>.dockerignore" replaces the context's .dockerignore. *ret_name: for messages. */
static int find_ignore(const struct build_input *in, const char *dockerfile,
		       const struct cancel *cancel, struct buf *b, char **ret_name,
		       struct error **err)
{
	_cleanup_free_ char *own = dockerfile ? xasprintf("%s.dockerignore", dockerfile) : NULL;
	_cleanup_free_ char *general = path_join(in->context_dir, ".dockerignore");
	int r = own ? read_ignore(own, cancel, b, err) : -ERR_NOTFOUND;

	*ret_name = xstrdup(r == -ERR_NOTFOUND ? ".dockerignore" : path_base(own));
	return r == -ERR_NOTFOUND ? read_ignore(general, cancel, b, err) : r;
}

static int load_ignore(struct build_input *in, const char *dockerfile, struct engine *e,
		       const struct progress *progress, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT_MAX(IGNOREFILE_MAX);
	_cleanup_free_ char *name = NULL;
	_cleanup_free_ char *title = xasprintf("[%s%sinternal] load .dockerignore",
					       in->target ? in->target : "", in->target ? " " : "");
	struct job *job = job_open(progress, e->cancel, title);
	int r = find_ignore(in, dockerfile, e->cancel, &b, &name, err);

	if (r == -ERR_NOTFOUND)
		r = 0;
	else if (r == 0)
		r = ignorefile_parse(name, b.p, b.n, &in->ignore, err);
	if (r == 0 && b.n > 0)
		engine_set_ignore_file(e, in->context_name, name, b.p, b.n);
	/* Two bytes are what asking for a file that is not there costs BuildKit. */
	if (r == 0)
		job_status(job, "transferring context:", b.n ? b.n : 2, 0, true);
	return job_close(job, r, err);
}

int build_input_load(struct build_input *in, const struct build_options *o, struct engine *e,
		     struct graph *g, const struct progress *progress, struct error **err)
{
	_cleanup_free_ char *dockerfile = NULL;
	int r;

	*in = (struct build_input){.target = in->target, .text = BUF_INIT_MAX(DOCKERFILE_MAX)};
	r = build_policy_check_environment(err);
	if (r == 0)
		r = load_context(in, o, e, g, progress, err);
	if (r == 0)
		r = load_dockerfile(in, o, e, &dockerfile, progress, err);
	/* What comes as a stream is taken as it is. */
	if (r == 0 && in->context_dir)
		r = load_ignore(in, dockerfile, e, progress, err);
	return r;
}

void build_input_release(struct build_input *in)
{
	free(in->context_dir);
	free(in->name);
	buf_release(&in->text);
	strv_release(&in->ignore);
}

int build_input_read_context(void *data, const char *context, const char *path, struct buf *ret,
			     struct error **err)
{
	const struct build_options *o = data;

	for (size_t i = 0; i < o->contexts.n; i++) {
		_cleanup_free_ char *file = NULL;

		if (strcmp(o->contexts.v[i].name, context) != 0)
			continue;
		file = path_join(o->contexts.v[i].value, path);
		return read_ignore(file, session_cancel(), ret, err);
	}
	return -ERR_NOTFOUND;
}
