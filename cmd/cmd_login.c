/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln login` and `kiln logout`: credentials for registries. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/imageref.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/commands.h"
#include "engine/config/docker_auth.h"
#include "engine/registry/registry.h"

enum { PASSWORD_MAX = 1 << 16 };

struct login_options {
	const char *username, *password, *server;
	bool password_stdin;
};

static void strip_newline(struct buf *b)
{
	while (b->n > 0 && (b->p[b->n - 1] == '\n' || b->p[b->n - 1] == '\r'))
		buf_truncate(b, b->n - 1);
}

/* One line from the terminal, unseen if it is a password. */
static int ask(const char *prompt, bool hidden, struct buf *ret, struct error **err)
{
	struct termios before, quiet;
	char c;

	if (!isatty(STDIN_FILENO))
		return error_hint(err,
				  error_new(err, ERR_INVALID, 0,
					    "cannot ask for %s: standard input is not a terminal",
					    hidden ? "the password" : "the user name"),
				  "use --username NAME --password-stdin");
	fprintf(stderr, "%s: ", prompt);
	if (hidden && tcgetattr(STDIN_FILENO, &before) == 0) {
		quiet = before;
		quiet.c_lflag &= (tcflag_t)~ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	} else {
		hidden = false;
	}
	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		buf_addc(ret, c);
	if (hidden) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		(void)fputc('\n', stderr);
	}
	return 0;
}

static int get_credentials(const struct login_options *o, struct credentials *ret,
			   struct error **err)
{
	_cleanup_buf_ struct buf user = BUF_INIT_MAX(PASSWORD_MAX),
				 secret = BUF_INIT_MAX(PASSWORD_MAX);
	int r = 0;

	if (o->username)
		buf_adds(&user, o->username);
	else
		r = ask("Username", false, &user, err);
	if (r == 0 && o->password_stdin) {
		r = fs_read_fd(STDIN_FILENO, &secret);
		if (r < 0)
			r = error_new(err, ERR_IO, -r, "read the password from stdin");
	} else if (r == 0 && o->password) {
		buf_adds(&secret, o->password);
	} else if (r == 0) {
		r = ask("Password", true, &secret, err);
	}
	strip_newline(&user);
	strip_newline(&secret);
	if (r == 0 && (user.n == 0 || secret.n == 0))
		r = error_new(err, ERR_INVALID, 0, "a user name and a password are needed");
	if (r == 0) {
		ret->username = buf_take(&user);
		ret->secret = xstrdup(secret.p);
	}
	explicit_bzero(secret.p, secret.n);
	return r;
}

static int login(const struct login_options *o, struct error **err)
{
	_cleanup_(credentials_release) struct credentials c = {0};
	_cleanup_(config_release) struct config config = {0};
	_cleanup_(registry_freep) struct registry *registry = NULL;
	_cleanup_free_ char *where = NULL;
	bool plain = false;
	int r = config_load(&config, err);

	if (r == 0)
		r = get_credentials(o, &c, err);
	if (r < 0)
		return r;
	registry = registry_new(&config);
	r = registry_login(registry, o->server, &c, session_cancel(), err);
	if (r == 0)
		r = docker_auth_store(o->server, &c, session_cancel(), &where, &plain, err);
	if (r < 0)
		return r;
	if (plain)
		show(stderr,
		     "WARNING: the password is stored unencrypted in %s.\n"
		     "A credential helper (credsStore in that file) would protect it.\n",
		     where);
	printf("Login Succeeded\n");
	return 0;
}

/* "https://host/v2/" is taken as "host"; no name is Docker's hub. */
static char *server_name(const struct strv *args)
{
	const char *text = args->n ? args->v[0] : "docker.io", *scheme = strstr(text, "://");

	size_t n;

	text = scheme ? scheme + 3 : text;
	n = strcspn(text, "/");
	if (n == strlen("index.docker.io") && strncmp(text, "index.docker.io", n) == 0)
		return xstrdup("docker.io");
	return xstrndup(text, n);
}

/* A password goes to no server that an image could not name: "127.0.0.1:80@host" is read
 * differently by different eyes. */
static bool is_registry(const char *server)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_free_ char *image = xasprintf("%s/x", server);

	return imageref_parse(image, &ref, NULL) == 0 && strcasecmp(ref.host, server) == 0;
}

int cmd_login(const struct command *self, int argc, char **argv)
{
	struct login_options o = {0};
	const struct opt table[] = {
		{"password", 'p', OPT_STRING, &o.password, "PASSWORD",
		 "Password or token (seen by others in the process list)"},
		{"password-stdin", 0, OPT_BOOL, &o.password_stdin, NULL,
		 "Read the password from stdin"},
		{"username", 'u', OPT_STRING, &o.username, "NAME", "User name"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	_cleanup_free_ char *server = NULL;
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 1)
		return session_misuse(self, "takes at most one SERVER");
	if (o.password && o.password_stdin)
		return session_misuse(self,
				      "--password and --password-stdin are mutually exclusive");
	if (o.password_stdin && !o.username)
		return session_misuse(self, "--password-stdin needs --username");
	o.server = server = server_name(&args);
	if (!is_registry(server))
		return session_misuse(self, "SERVER must be the HOST[:PORT] of a registry");
	r = login(&o, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}

int cmd_logout(const struct command *self, int argc, char **argv)
{
	const struct opt table[] = {{0}};
	_cleanup_strv_ struct strv args = {0};
	_cleanup_free_ char *server = NULL;
	struct error *err = NULL;
	bool found;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 1)
		return session_misuse(self, "takes at most one SERVER");
	server = server_name(&args);
	r = docker_auth_erase(server, session_cancel(), &found, &err);
	if (r < 0)
		return session_fail(r, &err);
	if (found)
		show(stdout, "Removing login credentials for %s\n", server);
	else
		show(stdout, "Not logged in to %s\n", server);
	return 0;
}
