/* SPDX-License-Identifier: Apache-2.0 */
/* The receiving end of fsutil's protocol, and the headers by which a client is asked to send. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/vec.h"
#include "cmd/serve/api.pb-c.h"
#include "cmd/serve/filesync.h"
#include "cmd/serve/go_mode.h"

enum {
	ENTRIES_MAX = 4 << 20,
	ASKED_MAX = 64, /* files at once: the client must never wait for us to read while we wait
				   for it to take what we ask for */
	HEADERS_MAX = 48 << 10, /* of names and patterns; the client takes 64 KiB of all */
};

struct entry {
	char *path; /* NULL: was left out */
	uint32_t mode;
	int64_t time;
	int fd; /* of a file that is coming, or -1 */
};

struct receiving {
	struct server *server;
	struct rpc_call *call;
	int root;
	VEC(struct entry) entries; /* by the client's number */
	VEC(uint32_t) wanted;	   /* files, in order */
	size_t n_asked, n_done;
	bool listed;
};

static void release(struct receiving *v)
{
	for (size_t i = 0; i < v->entries.n; i++) {
		free(v->entries.v[i].path);
		cleanup_closep(&v->entries.v[i].fd);
	}
	vec_release(&v->entries);
	vec_release(&v->wanted);
	cleanup_closep(&v->root);
	rpc_release(v->server->loop, v->call);
}

static void send_packet(struct receiving *v, int32_t type, uint32_t id)
{
	Bk__Packet m;

	bk__packet__init(&m);
	m.type = type;
	m.id = id;
	serve_send(v->server, v->call, &m.base);
}

/* "a/b": no part is empty, "." or "..". */
static bool is_clean(const char *path)
{
	for (const char *p = path;; p++) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
		if (!*p)
			return true;
	}
}

/* The folder of a path, and its last part (borrowed). */
static int open_parent(const struct receiving *v, const char *path, const char **ret_base)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");

	*ret_base = slash ? slash + 1 : path;
	return fs_open_no_symlinks(v->root, dir, O_DIRECTORY | O_PATH, 0);
}

static int make_link(const struct receiving *v, const char *target, int parent, const char *base)
{
	const char *from;
	_cleanup_close_ int dir = is_clean(target) ? open_parent(v, target, &from) : -EINVAL;

	if (dir < 0)
		return dir;
	return linkat(dir, from, parent, base, 0) < 0 ? -errno : 0;
}

/* Makes what the description says. 1: it is a file whose content is to be asked for. */
static int make_entry(struct receiving *v, const Bk__Stat *st, int *ret_fd)
{
	const char *base;
	_cleanup_close_ int parent = open_parent(v, st->path, &base);
	mode_t type = go_mode_type(st->mode);

	if (parent < 0)
		return parent;
	if (type == S_IFDIR)
		return mkdirat(parent, base, 0700) < 0 ? -errno : 0;
	if (type == S_IFLNK)
		return symlinkat(st->linkname, parent, base) < 0 ? -errno : 0;
	if (type == S_IFIFO)
		return mkfifoat(parent, base, 0600) < 0 ? -errno : 0;
	if (*st->linkname)
		return make_link(v, st->linkname, parent, base);
	*ret_fd = openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *ret_fd < 0 ? -errno : 1;
}

static int take_stat(struct receiving *v, const Bk__Stat *st, struct error **err)
{
	mode_t type = go_mode_type(st->mode);
	struct entry e = {.mode = st->mode, .time = st->mod_time, .fd = -1};
	int fd = -1, r;

	if (v->listed || v->entries.n >= ENTRIES_MAX)
		return error_new(err, ERR_INVALID, 0, "the client lists too many files");
	if (!is_clean(st->path))
		return error_new(err, ERR_INVALID, 0,
				 "the client sent a file whose path leads elsewhere: '%s'",
				 st->path);
	if (type == S_IFCHR || type == S_IFBLK || type == S_IFSOCK) {
		vec_push(&v->entries, e);
		return 0;
	}
	r = make_entry(v, st, &fd);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "make '%s' of the client's files", st->path);
	e.path = xstrdup(st->path);
	/* Links that are hard have what they lead to. */
	if (r == 0 && type == S_IFREG)
		free(TAKE_PTR(e.path));
	vec_push(&v->entries, e);
	if (r == 1)
		vec_push(&v->wanted, (uint32_t)(v->entries.n - 1));
	cleanup_closep(&fd); /* opened again when its content comes: there may be many */
	return 0;
}

/* What is set last, since writing changes it. */
static int set_meta(const struct receiving *v, const struct entry *e, struct error **err)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, go_time(e->time)};
	const char *base;
	_cleanup_close_ int parent = open_parent(v, e->path, &base);
	bool is_link = go_mode_type(e->mode) == S_IFLNK;
	int r = parent < 0 ? -parent : 0;

	if (r == 0 && !is_link && fchmodat(parent, base, go_mode_bits(e->mode), 0) < 0)
		r = errno;
	if (r == 0 && utimensat(parent, base, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = errno;
	return r == 0 ? 0
		      : error_new(err, ERR_IO, r, "set mode and time of '%s' of the client's files",
				  e->path);
}

static int take_data(struct receiving *v, const Bk__Packet *m, struct error **err)
{
	struct entry *e;
	int r = 0;

	if (m->id >= v->entries.n || !v->entries.v[m->id].path ||
	    go_mode_type(v->entries.v[m->id].mode) != S_IFREG)
		return error_new(err, ERR_INVALID, 0,
				 "the client sent a file that was not asked for");
	e = &v->entries.v[m->id];
	if (e->fd < 0) {
		const char *base;
		_cleanup_close_ int parent = open_parent(v, e->path, &base);

		e->fd = parent < 0 ? -1 : openat(parent, base, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
		if (e->fd < 0)
			return error_new(err, ERR_IO, errno, "open '%s' of the client's files",
					 e->path);
	}
	if (m->data.len > 0) {
		r = fs_write_full(e->fd, m->data.data, m->data.len);
		return r < 0 ? error_new(err, ERR_IO, -r, "write '%s' of the client's files",
					 e->path)
			     : 0;
	}
	cleanup_closep(&e->fd);
	r = set_meta(v, e, err);
	free(TAKE_PTR(e->path)); /* it comes once */
	v->n_done++;
	return r;
}

static void ask(struct receiving *v)
{
	while (v->n_asked < v->wanted.n && v->n_asked - v->n_done < ASKED_MAX)
		send_packet(v, PACKET_REQ, v->wanted.v[v->n_asked++]);
}

static int take_packet(struct receiving *v, const Bk__Packet *m, bool *ret_end, struct error **err)
{
	switch (m->type) {
	case PACKET_STAT:
		if (m->stat)
			return take_stat(v, m->stat, err);
		v->listed = true;
		return 0;
	case PACKET_DATA:
		return take_data(v, m, err);
	case PACKET_FIN:
		*ret_end = true;
		return 0;
	case PACKET_ERR:
		return error_new(err, ERR_IO, 0, "the client cannot send its files: %.*s",
				 (int)m->data.len, (const char *)m->data.data);
	default:
		return error_new(err, ERR_INVALID, 0, "the client sent a packet of unknown kind %d",
				 m->type);
	}
}

/* Until the client has said that it has nothing to add. */
static int receive(struct receiving *v, struct error **err)
{
	_cleanup_buf_ struct buf message = BUF_INIT;
	bool end = false, told = false;
	int r = 0;

	while (r == 0 && !end) {
		Bk__Packet *m;

		if (rpc_recv(v->server->loop, v->call, &message) <= 0) {
			if (rpc_result(v->server->loop, v->call, err) != RPC_OK)
				return error_wrap(err, -ERR_UNAVAILABLE,
						  "receive the client's files");
			return error_new(err, ERR_UNAVAILABLE, 0,
					 "the client sent half of its files");
		}
		m = bk__packet__unpack(NULL, message.n, (const uint8_t *)message.p);
		if (!m)
			return error_new(err, ERR_INVALID, 0, "the client sent a malformed packet");
		r = take_packet(v, m, &end, err);
		bk__packet__free_unpacked(m, NULL);
		ask(v);
		if (v->listed && v->n_done == v->wanted.n && !told) {
			send_packet(v, PACKET_FIN, 0);
			told = true;
		}
	}
	rpc_end(v->server->loop, v->call);
	/* Folders, and what else nothing was asked of: from the last to the first. */
	for (size_t i = v->entries.n; r == 0 && i-- > 0;)
		if (v->entries.v[i].path)
			r = set_meta(v, &v->entries.v[i], err);
	return r;
}

/* Go's url.QueryEscape. */
static char *query_escape(const char *text)
{
	struct buf b = BUF_INIT;

	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		    (*p >= '0' && *p <= '9') || strchr("-_.~", *p))
			buf_addc(&b, (char)*p);
		else
			buf_addf(&b, "%%%02X", (unsigned)*p);
	}
	return buf_take(&b);
}

static bool is_plain(const struct strv *values)
{
	for (size_t i = 0; i < values->n; i++)
		for (const char *p = values->v[i]; *p; p++)
			if (*p < ' ' || *p > '~')
				return false;
	return true;
}

struct headers {
	VEC(struct rpc_header) list;
	size_t bytes;
};

static void add_header(struct headers *h, const char *key, char *value)
{
	const struct rpc_header header = {xstrdup(key), value};

	h->bytes += strlen(key) + strlen(value) + 32;
	vec_push(&h->list, header);
}

/* Values that are no plain text go escaped, all of their name. */
static void add_headers(struct headers *h, const char *key, const struct strv *values)
{
	bool plain = is_plain(values);
	_cleanup_free_ char *encoded = xasprintf("%s-encoded", key);

	for (size_t i = 0; i < values->n; i++)
		add_header(h, key, plain ? xstrdup(values->v[i]) : query_escape(values->v[i]));
	if (!plain)
		add_header(h, encoded, xstrdup("1"));
}

static void headers_release(struct headers *h)
{
	for (size_t i = 0; i < h->list.n; i++) {
		free(h->list.v[i].name);
		free(h->list.v[i].value);
	}
	vec_release(&h->list);
}

int filesync_receive(struct server *s, struct session *session, const char *folder,
		     const struct strv *follow, const struct strv *exclude, const char *dir,
		     struct error **err)
{
	_cleanup_(headers_release) struct headers headers = {0};
	_cleanup_(release) struct receiving v = {.server = s, .root = -1};
	_cleanup_strv_ struct strv folders = {0};
	int r;

	strv_push(&folders, folder);
	add_headers(&headers, "dir-name", &folders);
	add_headers(&headers, "followpaths", follow);
	if (exclude)
		add_headers(&headers, "exclude-patterns", exclude);
	if (headers.bytes > HEADERS_MAX)
		return error_new(
			err, ERR_UNSUPPORTED, 0,
			"the ignore file has more patterns than can be sent to the client");
	v.root = fs_open_dir(AT_FDCWD, dir);
	if (v.root < 0)
		return error_new(err, ERR_IO, -v.root, "open '%s'", dir);
	r = session_call(s, session, "/moby.filesync.v1.FileSync/DiffCopy", headers.list.v,
			 headers.list.n, &v.call, err);
	return r == 0 ? receive(&v, err) : r;
}
