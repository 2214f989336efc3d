/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln serve`: BuildKit's API for clients that know no other. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "cmd/cli/session.h"
#include "cmd/commands.h"
#include "cmd/serve/server.h"

static char *default_address(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	return geteuid() != 0 && runtime && *runtime ? xasprintf("unix://%s/kiln.sock", runtime)
						     : xstrdup("unix:///run/kiln.sock");
}

static int fill_address(const char *address, struct sockaddr_un *ret, struct error **err)
{
	const char *path = address + strlen("unix://");

	if (strncmp(address, "unix://", strlen("unix://")) != 0 || !*path)
		return error_new(err, ERR_INVALID, 0, "--addr: \"%s\" is not unix://PATH", address);
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return error_new(err, ERR_INVALID, 0, "--addr: the path has more than %zu bytes",
				 sizeof(ret->sun_path) - 1);
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return 0;
}

/* A socket that a server left which was killed. */
static bool is_stale(const struct sockaddr_un *a)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	return lstat(a->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 && errno == ECONNREFUSED;
}

/* A socket that only this user may connect to, from its first moment. */
static int listen_at(const struct sockaddr_un *a, int *ret, struct error **err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int r;

	if (fd < 0)
		return error_new(err, ERR_IO, errno, "open a socket");
	if (is_stale(a))
		(void)unlink(a->sun_path);
	mask = umask(0177);
	r = bind(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 ? errno : 0;
	(void)umask(mask);
	if (r == EADDRINUSE)
		return error_hint(err,
				  error_new(err, ERR_EXISTS, 0, "%s is there already", a->sun_path),
				  "stop the server that listens there, or name another --addr");
	if (r == 0 && listen(fd, 64) < 0)
		r = errno;
	if (r != 0)
		return error_new(err, ERR_IO, r, "listen at %s", a->sun_path);
	*ret = TAKE_FD(fd);
	return 0;
}

/* Folders that servers left which were killed: those whose lock nobody holds. */
static void remove_left(const char *parent, const char *prefix)
{
	DIR *d = opendir(parent);
	struct dirent *entry;

	while (d && fs_next_entry(d, &entry) > 0) {
		_cleanup_free_ char *path = xasprintf("%s/%s", parent, entry->d_name);
		_cleanup_close_ int fd = -1;
		struct stat st;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
		    flock(fd, LOCK_EX | LOCK_NB) == 0)
			(void)!fs_remove_tree(AT_FDCWD, path);
	}
	if (d)
		(void)closedir(d);
}

/* A folder for what builds receive, which is this server's while it holds the lock. */
static int make_dir(char **ret, int *ret_lock, struct error **err)
{
	const char *set = getenv("TMPDIR"), *parent = set && *set ? set : "/var/tmp";
	_cleanup_free_ char *prefix = xasprintf("kiln-serve-%u-", (unsigned)geteuid());
	_cleanup_free_ char *dir = xasprintf("%s/%sXXXXXX", parent, prefix);
	int fd;

	remove_left(parent, prefix);
	if (!mkdtemp(dir))
		return error_hint(err,
				  error_new(err, ERR_IO, errno, "make a folder in '%s'", parent),
				  "set TMPDIR to a folder that this user may write");
	fd = fs_open_dir(AT_FDCWD, dir);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return error_new(err, ERR_IO, errno, "lock '%s'", dir);
	*ret_lock = fd;
	*ret = TAKE_PTR(dir);
	return 0;
}

static void wait_for_end(const struct sockaddr_un *a, struct server *server)
{
	struct cancel *stop = session_cancel();
	struct pollfd wait = {.fd = stop->fd, .events = POLLIN};

	fprintf(stderr, "listening at unix://%s\n", a->sun_path);
	while (!cancel_is_set(stop))
		(void)poll(&wait, 1, -1);
	rpc_loop_stop(server->loop);
}

static int serve(const struct sockaddr_un *a, const struct strv *allow, struct error **err)
{
	struct server server = {.version = version_number()};
	_cleanup_close_ int lock = -1;
	int fd = -1, r = listen_at(a, &fd, err);

	if (r < 0)
		return r;
	strv_copy(&server.allow, allow);
	pthread_mutex_init(&server.lock, NULL);
	pthread_cond_init(&server.changed, NULL);
	r = make_dir(&server.dir, &lock, err);
	if (r == 0)
		r = rpc_loop_start(fd, server_handle, &server, &server.loop, err);
	else
		cleanup_closep(&fd);
	if (r == 0)
		wait_for_end(a, &server);
	(void)unlink(a->sun_path);
	if (server.dir)
		(void)!fs_remove_tree(AT_FDCWD, server.dir);
	free(server.dir);
	strv_release(&server.allow);
	return r;
}
int cmd_serve(const struct command *self, int argc, char **argv)
{
	_cleanup_free_ char *standard = default_address();
	const char *address = standard;
	_cleanup_strv_ struct strv allow = {0};
	const struct opt table[] = {
		{"addr", 0, OPT_STRING, &address, "ADDRESS",
		 "Where to listen: unix://PATH (default: unix:///run/kiln.sock, for users "
		 "$XDG_RUNTIME_DIR/kiln.sock)"},
		{"allow-insecure-entitlement", 0, OPT_CSV, &allow, "NAMES",
		 "What clients may ask for: network.host, security.insecure"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct sockaddr_un a;
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 0)
		return session_misuse(self, "takes no argument");
	if (fill_address(address, &a, &err) < 0)
		return session_usage(self, &err);
	r = serve(&a, &allow, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
