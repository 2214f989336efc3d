/* SPDX-License-Identifier: Apache-2.0 */
/* A build as a process: its folders are received, its progress and outputs passed on, its questions to the
 * client answered. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/fs.h"
#include "base/pattern.h"
#include "base/spawn.h"
#include "base/times.h"
#include "cmd/serve/build.h"
#include "cmd/serve/filesync.h"
#include "cmd/serve/lend.h"
#include "engine/rpc/rpc_bytes.h"

enum {
	LINE_MAX_BYTES = 8 << 20, /* of progress, and of a question */
	OUTPUT_PIECE = 1 << 20,
	IGNORE_FILE_MAX = 16 << 20,
	ENDS_WITHIN_S = 10, /* after it was told to */
};

struct running {
	struct server *server;
	struct build *build;
	struct build_plan plan;
	struct session *session;
	struct lend lend;
	struct cancel gone; /* the client is */
	pid_t pid;
	int pid_fd, progress, host, output;
	struct buf progress_line, host_line;
	char *last_text;      /* of stderr, that was no progress */
	json_t *failure;      /* what the build said of it */
	struct rpc_call *out; /* where the output goes, once there is any */
	bool told;	      /* to end */
	int64_t told_at;
};

/* --- what it reads --- */

static int make_dir(const struct running *v, const char *name, char **ret, struct error **err)
{
	*ret = xasprintf("%s/%s", v->plan.dir, name);
	return mkdir(*ret, 0700) == 0 ? 0 : error_new(err, ERR_IO, errno, "make '%s'", *ret);
}

/* A clean relative path; what it names lies in the client's folder. */
static int check_filename(const char *name, struct error **err)
{
	_cleanup_free_ char *rooted = xasprintf("/%s/", name);

	if (*name == '/' || strstr(rooted, "/../"))
		return error_new(err, ERR_INVALID, 0,
				 "the Dockerfile '%s' does not lie in the folder that was sent",
				 name);
	return 0;
}

static int receive_dockerfile(struct running *v, struct error **err)
{
	_cleanup_strv_ struct strv follow = {0};
	_cleanup_free_ char *dir = NULL, *file = NULL;
	struct stat st;
	int r = check_filename(v->plan.filename, err);

	strv_push(&follow, v->plan.filename);
	strv_pushf(&follow, "%s.dockerignore", v->plan.filename);
	if (r == 0)
		r = make_dir(v, "dockerfile", &dir, err);
	if (r == 0)
		r = filesync_receive(v->server, v->session, v->plan.dockerfile_key, &follow, NULL,
				     dir, err);
	file = xasprintf("%s/dockerfile/%s", v->plan.dir, v->plan.filename);
	if (r == 0 && lstat(file, &st) < 0)
		r = error_new(err, ERR_NOTFOUND, 0,
			      "failed to read dockerfile: open %s: no such file or directory",
			      v->plan.filename);
	return r;
}

/* The patterns of the ignore file that kiln will use, so that what it leaves out is not sent. */
static int read_ignore(struct running *v, struct strv *ret, struct error **err)
{
	_cleanup_strv_ struct strv follow = {0};
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(IGNORE_FILE_MAX);
	_cleanup_free_ char *own =
		xasprintf("%s/dockerfile/%s.dockerignore", v->plan.dir, v->plan.filename);
	_cleanup_free_ char *dir = NULL, *general = NULL;
	int r = fs_read_file(AT_FDCWD, own, &text);

	if (r == -ENOENT) {
		strv_push(&follow, ".dockerignore");
		r = make_dir(v, "ignore", &dir, err);
		if (r == 0)
			r = filesync_receive(v->server, v->session, v->plan.context, &follow, NULL,
					     dir, err);
		if (r < 0)
			return r;
		general = xasprintf("%s/.dockerignore", dir);
		r = fs_read_file(AT_FDCWD, general, &text);
	}
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_new(err, ERR_IO, -r, "read the ignore file");
	return ignorefile_parse(".dockerignore", text.p, text.n, ret, err);
}

static int receive_folders(struct running *v, struct error **err)
{
	const struct strv all = {0};
	_cleanup_strv_ struct strv ignore = {0};
	_cleanup_free_ char *context = NULL;
	int r = 0;

	if (v->plan.context) {
		r = receive_dockerfile(v, err);
		if (r == 0)
			r = read_ignore(v, &ignore, err);
		if (r == 0)
			r = make_dir(v, "context", &context, err);
		if (r == 0)
			r = filesync_receive(v->server, v->session, v->plan.context, &all, &ignore,
					     context, err);
	}
	for (size_t i = 0; i < v->plan.named.n && r == 0; i++) {
		_cleanup_free_ char *name = xasprintf("named%zu", i), *dir = NULL;

		r = make_dir(v, name, &dir, err);
		if (r == 0)
			r = filesync_receive(v->server, v->session,
					     strchr(v->plan.named.v[i], '=') + 1, &all, NULL, dir,
					     err);
	}
	return r;
}

/* --- the process --- */

/* Ours but for what is about this machine's user. */
static void fill_environment(struct strv *env)
{
	static const char *const without[] = {"SSH_AUTH_SOCK=", "SOURCE_DATE_EPOCH=",
					      "DOCKER_DEFAULT_PLATFORM=", "BUILDKIT_PROGRESS="};

	for (char **e = environ; *e; e++) {
		bool keep = true;

		for (size_t i = 0; i < ARRAY_SIZE(without); i++)
			keep = keep && strncmp(*e, without[i], strlen(without[i])) != 0;
		if (keep)
			strv_push(env, *e);
	}
}

static int start(struct running *v, struct error **err)
{
	_cleanup_free_ char *fifo = xasprintf("%s/out", v->plan.dir);
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC), theirs = -1,
			    write_end = -1;
	_cleanup_strv_ struct strv env = {0};
	int pair[2], pipes[2], r;

	if (v->plan.has_fifo && (mkfifo(fifo, 0600) < 0 ||
				 (v->output = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) < 0))
		return error_new(err, ERR_IO, errno, "make '%s'", fifo);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_new(err, ERR_IO, errno, "make a socket");
	v->host = pair[0];
	theirs = pair[1];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return error_new(err, ERR_IO, errno, "make a pipe");
	v->progress = pipes[0];
	write_end = pipes[1];
	{
		const struct spawn_fd fds[] = {
			{null, 0}, {null, 1}, {write_end, 2}, {theirs, BUILD_HOST_FD}};
		struct spawn child = {.path = "/proc/self/exe",
				      .argv = v->plan.argv.v,
				      .fds = fds,
				      .n_fds = ARRAY_SIZE(fds),
				      .own_group = true};

		fill_environment(&env);
		child.envp = env.v;
		r = spawn_start(&child, &v->pid, &v->pid_fd, err);
	}
	return r;
}

/* Calls `take` for each whole line that is there; false at the end. */
static bool read_lines(int fd, struct buf *line, void (*take)(struct running *v, char *p, size_t n),
		       struct running *v)
{
	char piece[65536];
	ssize_t n = read(fd, piece, sizeof(piece));
	size_t at = 0;
	char *end;

	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN);
	buf_add(line, piece, (size_t)n);
	while ((end = memchr(line->p + at, '\n', line->n - at))) {
		*end = '\0';
		take(v, line->p + at, (size_t)(end - line->p) - at);
		at = (size_t)(end - line->p) + 1;
	}
	memmove(line->p, line->p + at, line->n - at);
	buf_truncate(line, line->n - at);
	return !line->full;
}

static void take_progress(struct running *v, char *p, size_t n)
{
	if (*p == '{') {
		build_event_json(v->server, v->build, p, n);
	} else if (n > 0) {
		free(v->last_text);
		v->last_text = xstrndup(p, n);
	}
}

static void take_host(struct running *v, char *p, size_t n)
{
	_cleanup_json_ json_t *doc = NULL, *answer = NULL;
	_cleanup_buf_ struct buf line = BUF_INIT;

	if (js_parse("what the build says", p, n, &doc, NULL) < 0)
		return;
	if (json_object_get(doc, "error")) {
		json_decref(v->failure);
		v->failure = TAKE_PTR(doc);
		return;
	}
	answer = lend_answer(&v->lend, doc);
	js_dump(answer, false, &line);
	buf_addc(&line, '\n');
	(void)!fs_write_full(v->host, line.p, line.n);
	explicit_bzero(line.p, line.n);
}

/* A piece of the output: false at its end. */
static bool pass_output(struct running *v, struct error **err, int *ret)
{
	_cleanup_free_ char *piece = xmalloc(OUTPUT_PIECE);
	_cleanup_buf_ struct buf message = BUF_INIT;
	ssize_t n = read(v->output, piece, OUTPUT_PIECE);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	if (!v->out)
		v->out = filesync_open_output(v->server, v->session, v->plan.exporter, err);
	if (!v->out) {
		*ret = -ERR_UNAVAILABLE;
		return false;
	}
	rpc_bytes_pack(piece, (size_t)n, &message);
	if (rpc_send(v->server->loop, v->out, message.p, message.n) < 0) {
		*ret = rpc_result(v->server->loop, v->out, err) == RPC_OK
			       ? error_new(err, ERR_UNAVAILABLE, 0, "the client took half of it")
			       : -ERR_UNAVAILABLE;
		(void)error_wrap(err, *ret, "send the output to the client");
		return false;
	}
	return true;
}

static void tell_to_end(struct running *v)
{
	if (!v->told)
		(void)kill(v->pid, SIGTERM);
	else if (times_monotonic_ns() - v->told_at > ENDS_WITHIN_S * NS_PER_S)
		(void)kill(v->pid, SIGKILL);
	if (!v->told)
		v->told_at = times_monotonic_ns();
	v->told = true;
}

/* Until the process has ended and all that it wrote is passed on. */
static int attend(struct running *v, struct error **err)
{
	bool ended = false;
	int r = 0;

	while (!ended || v->progress >= 0) {
		struct pollfd polls[] = {
			{.fd = v->progress, .events = POLLIN},
			{.fd = v->host, .events = POLLIN},
			{.fd = v->output, .events = POLLIN},
			{.fd = ended ? -1 : v->pid_fd, .events = POLLIN},
			{.fd = v->told ? -1 : v->gone.fd, .events = POLLIN},
		};

		if (poll(polls, ARRAY_SIZE(polls), v->told ? 1000 : -1) < 0 && errno != EINTR)
			return error_new(err, ERR_IO, errno, "wait for the build");
		if (polls[0].revents &&
		    !read_lines(v->progress, &v->progress_line, take_progress, v))
			cleanup_closep(&v->progress);
		if (polls[1].revents && !read_lines(v->host, &v->host_line, take_host, v))
			cleanup_closep(&v->host);
		if (polls[2].revents && !pass_output(v, err, &r))
			cleanup_closep(&v->output);
		ended = ended || polls[3].revents;
		if (!ended && (r < 0 || cancel_is_set(&v->gone)))
			tell_to_end(v);
		/* What it left running may hold the pipe. */
		if (ended && v->progress >= 0 && !polls[0].revents)
			cleanup_closep(&v->progress);
	}
	while (v->host >= 0 && read_lines(v->host, &v->host_line, take_host, v))
		;
	while (v->output >= 0 && r == 0 && pass_output(v, err, &r))
		;
	return r;
}

/* --- how it ended --- */

static Bk__Any *add_detail(Bk__Any *any, const char *type, const struct buf *json)
{
	bk__any__init(any);
	any->type_url = serve_text(type);
	any->value = (ProtobufCBinaryData){json->n, (uint8_t *)json->p};
	return any;
}

/* google.rpc.Status with the lines that it is about, and the step's exit status. */
static char *make_details(const json_t *failure, const char *text)
{
	_cleanup_buf_ struct buf source = BUF_INIT, status = BUF_INIT, packed = BUF_INIT;
	const json_t *line = json_object_get(failure, "line");
	const json_t *code = json_object_get(failure, "status");
	_cleanup_json_ json_t *doc = NULL;
	Bk__Any any[2], *list[2];
	Bk__RpcStatus m;
	size_t n;

	bk__rpc_status__init(&m);
	m.code = RPC_UNKNOWN;
	m.message = serve_text(text);
	m.details = list;
	if (line) {
		doc = json_pack("{s:{s:O, s:O, s:s}, s:[{s:{s:O}, s:{s:O}}]}", "info", "filename",
				json_object_get(failure, "file"), "data",
				json_object_get(failure, "data"), "language", "Dockerfile",
				"ranges", "start", "line", line, "end", "line",
				json_object_get(failure, "end_line"));
		js_dump(doc, false, &source);
		list[m.n_details] = add_detail(
			&any[m.n_details], "github.com/moby/buildkit/errdefs.Source+json", &source);
		m.n_details++;
	}
	if (code) {
		buf_addf(&status, "{\"ExitCode\":%lld}", (long long)json_integer_value(code));
		list[m.n_details] =
			add_detail(&any[m.n_details],
				   "github.com/moby/buildkit/gatewayapi.ExitMessage+json", &status);
		m.n_details++;
	}
	n = bk__rpc_status__get_packed_size(&m);
	(void)bk__rpc_status__pack(&m, (uint8_t *)buf_reserve(&packed, n));
	buf_commit(&packed, n);
	return base64_encode(packed.p, packed.n);
}

/* Without the names of the build's folders, which say nothing to the client. Heap. */
static char *for_client(const struct running *v, const char *text)
{
	_cleanup_free_ char *dir = xasprintf("%s/", v->plan.dir);
	struct buf b = BUF_INIT;
	const char *found;

	for (; (found = strstr(text, dir)); text = found + strlen(dir))
		buf_add(&b, text, (size_t)(found - text));
	buf_adds(&b, text);
	return buf_take(&b);
}

/* Of the process, which is no more. */
static int judge(struct running *v, int status, char **ret_details, struct error **err)
{
	const char *said = json_string_value(json_object_get(v->failure, "error"));
	_cleanup_free_ char *text = NULL;

	if (cancel_is_set(&v->gone))
		return error_new(err, ERR_CANCELED, 0, "the client has gone");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (said) {
		text = for_client(v, said);
		*ret_details = make_details(v->failure, text);
	} else if (v->last_text) {
		text = for_client(v, v->last_text + (strncmp(v->last_text, "ERROR: ", 7) ? 0 : 7));
	}
	if (text)
		return error_new(err, ERR_INVALID, 0, "%s", text);
	return error_new(err, ERR_INTERNAL, 0, "the build's process ended with status %d", status);
}

/* Ends the stream to the client, and waits until it has all. */
static int finish_output(struct running *v, struct error **err)
{
	_cleanup_free_ char *tree = xasprintf("%s/out", v->plan.dir);

	if (v->plan.sends_tree)
		return filesync_send(v->server, v->session, v->plan.exporter, tree, err);
	if (!v->out)
		return 0;
	rpc_end(v->server->loop, v->out);
	if (rpc_result(v->server->loop, v->out, err) == RPC_OK)
		return 0;
	return error_wrap(err, -ERR_UNAVAILABLE, "send the output to the client");
}

static int read_metadata(const struct running *v, json_t **ret, struct error **err)
{
	_cleanup_free_ char *file = xasprintf("%s/metadata", v->plan.dir);
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(LINE_MAX_BYTES);
	int r = fs_read_file(AT_FDCWD, file, &text);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? error_new(err, ERR_IO, -r, "read '%s'", file)
		     : js_parse("metadata", text.p, text.n, ret, err);
}

static int run(struct running *v, struct build_end *ret, struct error **err)
{
	int r = start(v, err), status = 0, attended;

	if (r < 0)
		return r;
	attended = attend(v, err);
	if (spawn_wait(v->pid, TAKE_FD(v->pid_fd), &status) < 0)
		status = -1;
	v->pid = 0;
	if (attended < 0)
		return attended;
	r = judge(v, status, &ret->details, err);
	if (r == 0)
		r = finish_output(v, err);
	return r == 0 ? read_metadata(v, &ret->metadata, err) : r;
}

void build_end_release(struct build_end *end)
{
	json_decref(end->metadata);
	free(end->details);
}

static int check_entitlements(const struct server *s, const Bk__SolveRequest *q, struct error **err)
{
	for (size_t i = 0; i < q->n_entitlements; i++)
		if (!strv_contains(&s->allow, q->entitlements[i]))
			return error_hint(err,
					  error_new(err, ERR_DENIED, 0,
						    "%s is not allowed by this server",
						    q->entitlements[i]),
					  "start it with --allow-insecure-entitlement %s",
					  q->entitlements[i]);
	return 0;
}

static void release(struct running *v)
{
	lend_release(&v->lend);
	session_put(v->server, v->session);
	if (v->plan.dir)
		(void)!fs_remove_tree(AT_FDCWD, v->plan.dir);
	free(v->plan.dir);
	build_plan_release(&v->plan);
	cleanup_closep(&v->progress);
	cleanup_closep(&v->host);
	cleanup_closep(&v->output);
	explicit_bzero(v->host_line.p, v->host_line.n);
	buf_release(&v->progress_line);
	buf_release(&v->host_line);
	free(v->last_text);
	json_decref(v->failure);
	cancel_release(&v->gone);
}

int build_run(struct server *s, struct rpc_call *c, struct build *b, const Bk__SolveRequest *q,
	      const struct asked *asked, struct build_end *ret, struct error **err)
{
	struct running v = {.server = s,
			    .build = b,
			    .pid_fd = -1,
			    .progress = -1,
			    .host = -1,
			    .output = -1,
			    .progress_line = BUF_INIT_MAX(LINE_MAX_BYTES),
			    .host_line = BUF_INIT_MAX(LINE_MAX_BYTES)};
	char *dir = xasprintf("%s/build-XXXXXX", s->dir);
	int r = check_entitlements(s, q, err);

	cancel_init(&v.gone);
	rpc_watch(s->loop, c, &v.gone);
	if (r == 0 && !mkdtemp(dir))
		r = error_new(err, ERR_IO, errno, "make '%s'", dir);
	if (r == 0)
		v.plan.dir = TAKE_PTR(dir);
	free(dir);
	if (r == 0)
		r = session_find(s, q->session, &v.session, err);
	if (r == 0)
		r = build_plan_make(q, asked, &v.plan, err);
	if (r == 0) {
		v.lend = (struct lend){.server = s, .session = v.session, .dir = v.plan.dir};
		r = receive_folders(&v, err);
	}
	if (r == 0)
		r = run(&v, ret, err);
	rpc_watch(s->loop, c, NULL);
	if (v.out)
		rpc_release(s->loop, v.out);
	release(&v);
	return r;
}
