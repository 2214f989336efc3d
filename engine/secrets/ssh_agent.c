/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/secrets/ssh_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/named_file.h"
#include "base/number.h"
#include "base/spawn.h"

#define KEY_MAX (64u << 10) /* bytes */

struct ssh_agent {
	struct store *store;
	char *dir_name; /* below tmp/ of the store */
	char *socket;
	int dir, lifeline; /* when the lifeline is closed, the agent ends */
	pid_t parent, pid; /* of what waits for the lifeline, and of the agent, its child */
	int parent_fd;
};

/* ssh-agent ends with the program that it starts, and that ends with us, however we die. */
static int start(struct ssh_agent *a, struct error **err)
{
	char script[] = "echo $SSH_AGENT_PID; exec cat";
	char *argv[] = {(char[]){"ssh-agent"}, (char[]){"-a"}, a->socket, (char[]){"sh"},
			(char[]){"-c"},	       script,	       NULL};
	int in[2] = {-1, -1}, out[2] = {-1, -1}, r;
	char text[32] = "";
	const char *at = text;
	uint64_t pid;
	ssize_t n;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) {
		r = error_new(err, ERR_IO, errno, "make pipes");
	} else {
		struct spawn_fd fds[] = {{in[0], 0}, {out[1], 1}};

		r = spawn_start(&(struct spawn){.path = argv[0],
						.argv = argv,
						.fds = fds,
						.n_fds = ARRAY_SIZE(fds),
						.own_group = true},
				&a->parent, &a->parent_fd, err);
		if (r < 0)
			(void)error_hint(err, r,
					 "key files need the program ssh-agent (package "
					 "openssh-client)");
	}
	a->lifeline = in[1];
	cleanup_closep(&in[0]);
	cleanup_closep(&out[1]);
	if (r == 0) {
		do {
			n = read(out[0], text, sizeof(text) - 1);
		} while (n < 0 && errno == EINTR);
		if (number_take(&at, 10, INT_MAX, &pid) == 0)
			a->pid = (pid_t)pid;
		if (a->pid <= 1)
			r = error_new(err, ERR_PROCESS, 0, "ssh-agent did not start");
	}
	cleanup_closep(&out[0]);
	return r;
}

/* By its standard input, as ssh-add minds the modes of files, and that only a terminal could be
 * asked for a passphrase. */
static int add_key(const struct ssh_agent *a, const char *file, const struct cancel *cancel,
		   struct error **err)
{
	_cleanup_free_ char *variable = xasprintf("SSH_AUTH_SOCK=%s", a->socket);
	const char *argv[] = {"env",
			      variable,
			      "SSH_ASKPASS=/bin/false",
			      "SSH_ASKPASS_REQUIRE=force",
			      "ssh-add",
			      "-q",
			      "-",
			      NULL};
	struct buf key = BUF_INIT_MAX(KEY_MAX), errout = BUF_INIT_MAX(4096);
	int r = named_file_read(file, cancel, &key);

	if (r < 0) {
		r = error_new(err, named_file_error(r), -r, "read the ssh key '%s'", file);
	} else {
		r = spawn_run(argv, &key, NULL, &errout, NULL, err);
		if (r < 0) {
			r = error_wrap(err, r, "use the ssh key '%s'", file);
			(void)error_hint(err, r,
					 "for a key with a passphrase: ssh-add it, and give "
					 "--ssh default");
		}
	}
	explicit_bzero(key.p, key.n);
	buf_release(&key);
	buf_release(&errout);
	return r;
}

int ssh_agent_start(struct store *s, const struct strv *files, const struct cancel *cancel,
		    struct ssh_agent **ret, struct error **err)
{
	struct ssh_agent *a = NEW(struct ssh_agent);
	int r;

	a->store = s;
	a->dir = a->lifeline = a->parent_fd = -1;
	r = store_tmp_dir(s, &a->dir_name, &a->dir, err);
	if (r == 0) {
		/* However deep the store lies, this fits the address of a socket. */
		a->socket = xasprintf("/proc/%d/fd/%d/agent", getpid(), a->dir);
		r = start(a, err);
	}
	for (size_t i = 0; r == 0 && i < files->n; i++)
		r = add_key(a, files->v[i], cancel, err);
	if (r < 0) {
		ssh_agent_stop(a);
		return r;
	}
	*ret = a;
	return 0;
}

void ssh_agent_stop(struct ssh_agent *a)
{
	int status;

	if (!a)
		return;
	/* Its parent lives as long as the lifeline, so that the number is still its own. */
	if (a->pid > 1)
		(void)kill(a->pid, SIGTERM);
	cleanup_closep(&a->lifeline);
	if (a->parent > 0)
		(void)!spawn_wait(a->parent, a->parent_fd, &status);
	cleanup_closep(&a->dir);
	if (a->dir_name)
		store_tmp_remove(a->store, a->dir_name);
	free(a->dir_name);
	free(a->socket);
	free(a);
}

const char *ssh_agent_socket(const struct ssh_agent *a)
{
	return a->socket;
}
