#include "cmd/build_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
#include "base/pattern.h"

enum {
	DOCKERFILE_MAX = 16 << 20, /* what the parser takes, too */
	IGNOREFILE_MAX = 16 << 20,
};

static int open_context_dir(struct build_input *in, const char *path, struct error **err)
{
	struct stat st;
	int r;

	if (frontend_context_is_remote(path))
		return error_new(
			err, ERR_UNSUPPORTED, 0,
			"the context '%s' is a URL: git and HTTP contexts are not supported "
			"yet",
			path);
	if (stat(path, &st) < 0 && errno == ENOENT)
		return error_new(err, ERR_NOTFOUND, 0,
				 "unable to prepare context: path \"%s\" not found", path);
	in->context_dir = realpath(path, NULL);
	if (!in->context_dir)
		return error_new(err, ERR_IO, errno, "unable to prepare context: '%s'", path);
	if (S_ISDIR(st.st_mode))
		return 0;
	r = error_new(err, ERR_INVALID, 0,
		      "unable to prepare context: '%s' is a file, not a directory", path);
	return error_hint(err, r, "name the Dockerfile with -f and its folder as the context");
}

/* A Dockerfile without a context is built in an empty one. */
static int make_empty_context(struct build_input *in, struct store *s, struct error **err)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -1;
	int r = store_tmp_dir(s, &name, &fd, err);

	if (r < 0)
		return r;
	in->context_dir = xasprintf("%s/tmp/%s", store_root(s), name);
	in->context_is_temporary = true;
	return 0;
}

static bool is_archive(const struct buf *b)
{
	static const struct {
		size_t offset;
		const char *magic;
		size_t n;
	} kinds[] = {
		{0, "\x1f\x8b", 2},
		{0, "BZh", 3},
		{0,
		 "\xfd"
		 "7zXZ",
		 5},
		{257, "ustar", 5},
		{0, "\x28\xb5\x2f\xfd", 4},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (b->n >= kinds[i].offset + kinds[i].n &&
		    memcmp(b->p + kinds[i].offset, kinds[i].magic, kinds[i].n) == 0)
			return true;
	return false;
}

static int read_stdin(struct build_input *in, struct error **err)
{
	int r = fs_read_fd(STDIN_FILENO, &in->text);

	if (r < 0)
		return error_new(err, ERR_IO, -r, "read the Dockerfile from standard input");
	if (is_archive(&in->text))
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "standard input holds an archive: contexts on standard input are "
				 "not supported yet");
	in->name = xstrdup("Dockerfile");
	return 0;
}

/* Opens the Dockerfile; *ret_path (heap) is where it was found, for its own ignore file. */
static int open_dockerfile(const struct build_input *in, const struct build_options *o,
			   char **ret_path, struct error **err)
{
	_cleanup_free_ char *path = NULL;
	const char *shown = o->dockerfile ? o->dockerfile : "Dockerfile";
	int fd, r;

	path = o->dockerfile ? xstrdup(o->dockerfile) : path_join(in->context_dir, "Dockerfile");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Relative names are the caller's folder's first, as with docker; then the context's. */
	if (fd < 0 && errno == ENOENT && o->dockerfile && !path_is_absolute(o->dockerfile)) {
		free(path);
		path = path_join(in->context_dir, o->dockerfile);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0 && errno == ENOENT && !o->dockerfile) {
		free(path);
		path = path_join(in->context_dir, "dockerfile");
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0) {
		r = error_new(err, ERR_IO, errno, "failed to read dockerfile: open %s", shown);
		return errno == ENOENT
			       ? error_hint(err, r,
					    "the context is %s; name another Dockerfile with -f",
					    in->context_dir)
			       : r;
	}
	*ret_path = TAKE_PTR(path);
	return fd;
}

static int read_dockerfile(struct build_input *in, const struct build_options *o, char **ret_path,
			   struct error **err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (strcmp(o->context, "-") == 0 || (o->dockerfile && strcmp(o->dockerfile, "-") == 0))
		return read_stdin(in, err);
	fd = open_dockerfile(in, o, &path, err);
	if (fd < 0)
		return fd;
	r = fs_read_fd(fd, &in->text);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "failed to read dockerfile: read %s", path);
	in->name = xstrdup(path_base(path));
	*ret_path = TAKE_PTR(path);
	return 0;
}

static int load_dockerfile(struct build_input *in, const struct build_options *o, char **ret_path,
			   const struct progress *progress, struct cancel *cancel,
			   struct error **err)
{
	bool from_stdin =
		(o->dockerfile && strcmp(o->dockerfile, "-") == 0) || strcmp(o->context, "-") == 0;
	_cleanup_free_ char *title =
		xasprintf("[internal] load build definition from %s",
			  !from_stdin && o->dockerfile ? path_base(o->dockerfile) : "Dockerfile");
	struct job *job = job_open(progress, cancel, title);
	int r = read_dockerfile(in, o, ret_path, err);

	in->step = job_vertex(job);
	if (r == 0)
		job_status(job, "transferring dockerfile:", in->text.n, 0, true);
	return job_close(job, r, err);
}

static int read_ignore(const char *path, struct buf *b, struct error **err)
{
	int r = fs_read_file(AT_FDCWD, path, b);

	if (r == -ENOENT || r == -ENOTDIR)
		return -ERR_NOTFOUND;
	return r < 0 ? error_new(err, ERR_IO, -r, "read '%s'", path) : 0;
}

/* "<Dockerfile>.dockerignore" replaces the context's .dockerignore. */
static int find_ignore(const struct build_input *in, const char *dockerfile, struct buf *b,
		       struct error **err)
{
	_cleanup_free_ char *own = dockerfile ? xasprintf("%s.dockerignore", dockerfile) : NULL;
	_cleanup_free_ char *general = path_join(in->context_dir, ".dockerignore");
	int r = own ? read_ignore(own, b, err) : -ERR_NOTFOUND;

	return r == -ERR_NOTFOUND ? read_ignore(general, b, err) : r;
}

static int load_ignore(struct build_input *in, const char *dockerfile,
		       const struct progress *progress, struct cancel *cancel, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT_MAX(IGNOREFILE_MAX);
	struct job *job = job_open(progress, cancel, "[internal] load .dockerignore");
	int r = find_ignore(in, dockerfile, &b, err);

	if (r == -ERR_NOTFOUND)
		r = 0;
	else if (r == 0)
		r = ignorefile_parse(".dockerignore", b.p, b.n, &in->ignore, err);
	/* Two bytes are what asking for a file that is not there costs BuildKit. */
	if (r == 0)
		job_status(job, "transferring context:", b.n ? b.n : 2, 0, true);
	return job_close(job, r, err);
}

int build_input_load(struct build_input *in, const struct build_options *o, struct store *s,
		     const struct progress *progress, struct cancel *cancel, struct error **err)
{
	_cleanup_free_ char *dockerfile = NULL;
	bool stdin_context = strcmp(o->context, "-") == 0;
	int r;

	*in = (struct build_input){.text = BUF_INIT_MAX(DOCKERFILE_MAX)};
	if (stdin_context && o->dockerfile && strcmp(o->dockerfile, "-") == 0)
		return error_new(err, ERR_INVALID, 0,
				 "invalid argument: can't use stdin for both build context and "
				 "dockerfile");
	if (stdin_context && o->dockerfile)
		return error_new(err, ERR_INVALID, 0,
				 "ambiguous Dockerfile source: both stdin and flag correspond to "
				 "Dockerfiles");
	r = stdin_context ? make_empty_context(in, s, err) : open_context_dir(in, o->context, err);
	if (r == 0)
		r = load_dockerfile(in, o, &dockerfile, progress, cancel, err);
	if (r == 0)
		r = load_ignore(in, dockerfile, progress, cancel, err);
	return r;
}

void build_input_release(struct build_input *in)
{
	if (in->context_is_temporary)
		(void)fs_remove_tree(AT_FDCWD, in->context_dir);
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
		return read_ignore(file, ret, err);
	}
	return -ERR_NOTFOUND;
}
