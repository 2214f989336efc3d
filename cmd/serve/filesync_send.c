/* SPDX-License-Identifier: Apache-2.0 */
/* The sending end of fsutil's protocol: what -o type=local left, to the client. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/vec.h"
#include "cmd/serve/api.pb-c.h"
#include "cmd/serve/filesync.h"
#include "cmd/serve/go_mode.h"

enum { DATA_PIECE = 256 << 10, LINK_MAX_BYTES = 64 << 10 };

/* What the client may ask for, by number; NULL: it is no file with content. */
struct sending {
	struct server *server;
	struct rpc_call *call;
	int root;
	VEC(char *) files;
	/* Files of several names, as they were first met: the client links the others to it. */
	VEC(struct {
		dev_t dev;
		ino_t ino;
		size_t number;
	})
	links;
};

static void release(struct sending *v)
{
	for (size_t i = 0; i < v->files.n; i++)
		free(v->files.v[i]);
	vec_release(&v->files);
	vec_release(&v->links);
	cleanup_closep(&v->root);
	rpc_release(v->server->loop, v->call);
}

struct rpc_call *filesync_open_output(struct server *s, struct session *session, unsigned exporter,
				      struct error **err)
{
	_cleanup_free_ char *number = xasprintf("%u", exporter);
	const struct rpc_header headers[] = {
		{serve_text("buildkit-attachable-exporter-id"), number}};
	struct rpc_call *c = NULL;

	return session_call(s, session, "/moby.filesync.v1.FileSend/DiffCopy", headers, 1, &c,
			    err) < 0
		       ? NULL
		       : c;
}

/* The client has ended the call, or gone. */
static int cut_off(struct sending *v, struct error **err)
{
	if (rpc_result(v->server->loop, v->call, err) == RPC_OK)
		(void)error_new(err, ERR_UNAVAILABLE, 0, "the client has left off");
	return error_wrap(err, -ERR_UNAVAILABLE, "send the output to the client");
}

static void send_packet(struct sending *v, int32_t type, uint32_t id, Bk__Stat *st,
			ProtobufCBinaryData data)
{
	Bk__Packet m;

	bk__packet__init(&m);
	m.type = type;
	m.id = id;
	m.stat = st;
	m.data = data;
	serve_send(v->server, v->call, &m.base);
}

static const char *first_name(struct sending *v, const struct stat *st)
{
	if (st->st_nlink < 2)
		return NULL;
	for (size_t i = 0; i < v->links.n; i++)
		if (v->links.v[i].dev == st->st_dev && v->links.v[i].ino == st->st_ino)
			return v->files.v[v->links.v[i].number];
	vec_reserve(&v->links, 1);
	v->links.v[v->links.n].dev = st->st_dev;
	v->links.v[v->links.n].ino = st->st_ino;
	v->links.v[v->links.n++].number = v->files.n;
	return NULL;
}

static int send_stat(struct sending *v, int dir, const char *name, const char *path,
		     const struct stat *st)
{
	_cleanup_free_ char *target = NULL;
	const char *first = S_ISREG(st->st_mode) ? first_name(v, st) : NULL;
	Bk__Stat m;

	bk__stat__init(&m);
	m.path = serve_text(path);
	m.mode = go_mode(st->st_mode);
	m.uid = st->st_uid;
	m.gid = st->st_gid;
	m.mod_time = st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec;
	if (S_ISREG(st->st_mode))
		m.size = st->st_size;
	if (S_ISLNK(st->st_mode)) {
		ssize_t n;

		target = xcalloc(1, LINK_MAX_BYTES);
		n = readlinkat(dir, name, target, LINK_MAX_BYTES - 1);
		if (n < 0)
			return -errno;
		m.linkname = target;
		m.size = n;
	} else if (first) {
		m.linkname = serve_text(first);
	}
	send_packet(v, PACKET_STAT, 0, &m, (ProtobufCBinaryData){0});
	vec_push(&v->files, S_ISREG(st->st_mode) && !first ? xstrdup(path) : NULL);
	return 0;
}

static int list_names(int dir, struct strv *ret)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int r;

	if (!d) {
		r = -errno;
		cleanup_closep(&copy);
		return r;
	}
	while ((r = fs_next_entry(d, &entry)) > 0)
		strv_push(ret, entry->d_name);
	(void)closedir(d);
	strv_sort(ret);
	return r;
}

/* Each folder before what is in it, names in order: the order of fsutil. */
static int send_stats(struct sending *v, int dir, const char *prefix)
{
	_cleanup_strv_ struct strv names = {0};
	int r = list_names(dir, &names);

	for (size_t i = 0; i < names.n && r == 0; i++) {
		_cleanup_free_ char *path =
			*prefix ? xasprintf("%s/%s", prefix, names.v[i]) : xstrdup(names.v[i]);
		_cleanup_close_ int child = -1;
		struct stat st;

		if (fstatat(dir, names.v[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		r = send_stat(v, dir, names.v[i], path, &st);
		if (r < 0 || !S_ISDIR(st.st_mode))
			continue;
		child = openat(dir, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = child < 0 ? -errno : send_stats(v, child, path);
	}
	return r;
}

static int send_file(struct sending *v, uint32_t id, struct error **err)
{
	_cleanup_free_ unsigned char *piece = xmalloc(DATA_PIECE);
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (id >= v->files.n || !v->files.v[id])
		return error_new(err, ERR_INVALID, 0, "the client asks for a file that is none");
	fd = fs_open_no_symlinks(v->root, v->files.v[id], O_RDONLY, 0);
	if (fd < 0)
		return error_new(err, ERR_IO, -fd, "open '%s'", v->files.v[id]);
	while ((n = fs_read_full(fd, piece, DATA_PIECE)) > 0)
		send_packet(v, PACKET_DATA, id, NULL, (ProtobufCBinaryData){(size_t)n, piece});
	if (n < 0)
		return error_new(err, ERR_IO, (int)-n, "read '%s'", v->files.v[id]);
	send_packet(v, PACKET_DATA, id, NULL, (ProtobufCBinaryData){0});
	return 0;
}

/* Until the client has all that it wants. */
static int serve_requests(struct sending *v, struct error **err)
{
	_cleanup_buf_ struct buf message = BUF_INIT;
	int r = 0;

	while (r == 0) {
		Bk__Packet *m;
		int32_t type;

		if (rpc_recv(v->server->loop, v->call, &message) <= 0)
			return cut_off(v, err);
		m = bk__packet__unpack(NULL, message.n, (const uint8_t *)message.p);
		if (!m)
			return error_new(err, ERR_INVALID, 0, "the client sent a malformed packet");
		type = m->type;
		if (type == PACKET_REQ)
			r = send_file(v, m->id, err);
		else if (type == PACKET_ERR)
			r = error_new(err, ERR_IO, 0, "the client cannot write the output: %.*s",
				      (int)m->data.len, (const char *)m->data.data);
		bk__packet__free_unpacked(m, NULL);
		if (type == PACKET_FIN) {
			send_packet(v, PACKET_FIN, 0, NULL, (ProtobufCBinaryData){0});
			rpc_end(v->server->loop, v->call);
			return rpc_result(v->server->loop, v->call, err) == RPC_OK
				       ? 0
				       : error_wrap(err, -ERR_UNAVAILABLE,
						    "send the output to the client");
		}
	}
	return r;
}

int filesync_send(struct server *s, struct session *session, unsigned exporter, const char *dir,
		  struct error **err)
{
	_cleanup_(release) struct sending v = {.server = s, .root = -1};
	int r;

	v.root = fs_open_dir(AT_FDCWD, dir);
	if (v.root < 0)
		return error_new(err, ERR_IO, -v.root, "open '%s'", dir);
	v.call = filesync_open_output(s, session, exporter, err);
	if (!v.call)
		return -ERR_UNAVAILABLE;
	r = send_stats(&v, v.root, "");
	if (r < 0)
		return error_new(err, ERR_IO, -r, "read '%s'", dir);
	send_packet(&v, PACKET_STAT, 0, NULL, (ProtobufCBinaryData){0});
	return serve_requests(&v, err);
}
