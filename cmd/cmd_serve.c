/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln serve`: BuildKit's API for clients that know no other. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
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

static int serve(const struct sockaddr_un *a, struct error **err)
{
	struct server server = {.version = version_number()};
	struct cancel *stop = session_cancel();
	struct pollfd wait = {.fd = stop->fd, .events = POLLIN};
	int fd = -1, r = listen_at(a, &fd, err);

	if (r == 0)
		r = rpc_loop_start(fd, server_handle, &server, &server.loop, err);
	if (r < 0)
		return r;
	fprintf(stderr, "listening at unix://%s\n", a->sun_path);
	while (!cancel_is_set(stop))
		(void)poll(&wait, 1, -1);
	rpc_loop_stop(server.loop);
	(void)unlink(a->sun_path);
	return 0;
}

int cmd_serve(const struct command *self, int argc, char **argv)
{
	_cleanup_free_ char *standard = default_address();
	const char *address = standard;
	const struct opt table[] = {
		{"addr", 0, OPT_STRING, &address, "ADDRESS",
		 "Where to listen: unix://PATH (default: unix:///run/kiln.sock, for users "
		 "$XDG_RUNTIME_DIR/kiln.sock)"},
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
	r = serve(&a, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
