/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/doctor/doctor_trial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/exec/op_exec.h"
#include "engine/sandbox/network.h"
#include "engine/sandbox/overlay.h"
#include "engine/sandbox/sandbox.h"
#include "engine/sandbox/sandbox_server.h"
#include "engine/sandbox/userns.h"
#include "store/store.h"

static void note(char out[TRIAL_TEXT], struct error *err)
{
	(void)snprintf(out, TRIAL_TEXT, "%s", error_text(err));
	error_free(err);
}

/* Enough of a root file system: one static program. */
static int put_program(const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/program", dir);
	size_t n;
	const char *program = sandbox_helper_program(&n);
	_cleanup_close_ int fd = -1;

	if (mkdir(dir, 0755) < 0)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	return fd < 0 ? -errno : fs_write_full(fd, program, n);
}

/* The program is told to do nothing, and says so by its status. */
static void try_step(const char *dir, bool overlay, struct doctor_trial *t)
{
	enum { STATUS_NOTHING = 2 };
	_cleanup_free_ char *tree = xasprintf("%s/tree", dir);
	struct error *err = NULL;
	struct sandbox_plan p;
	bool unstarted = false;
	int status = -1, r;

	sandbox_plan_init(&p);
	p.upper = overlay ? xasprintf("%s/upper", dir) : xstrdup(tree);
	p.scratch = xasprintf("%s/scratch", dir);
	p.cwd = xstrdup("/");
	p.flags = WIRE_NET_NEW | (overlay ? 0 : WIRE_COPIED);
	strv_push(&p.args, "/program");
	if (overlay)
		strv_push(&p.lowers, tree);
	r = put_program(tree);
	if (r == 0 && ((overlay && mkdir(p.upper, 0755) < 0) || mkdir(p.scratch, 0700) < 0))
		r = -errno;
	if (r < 0) {
		r = error_new(&err, ERR_IO, -r, "prepare a step in '%s'", dir);
	} else {
		exec_plan_defaults(&p, SECURITY_SANDBOX, 0);
		r = sandbox_run(&p, NULL, NULL, NULL, &status, &unstarted, &err);
	}
	if (r == 0 && status != STATUS_NOTHING)
		r = error_new(&err, ERR_INTERNAL, 0, "a step ended with status %d", status);
	if (r < 0)
		note(t->why_not_step, err);
	t->step = r == 0;
	sandbox_plan_release(&p);
}

static void try_network(struct doctor_trial *t)
{
	struct network *network = NULL;
	struct error *err = NULL;
	const char *why;

	if (!network_available(&why) || !network_routed())
		return;
	t->tried_network = true;
	if (network_open(NULL, false, &network, &err) < 0) {
		note(t->why_not_network, err);
		return;
	}
	t->network = true;
	network_close(network);
}

static void try_store(const char *root, struct doctor_trial *t)
{
	_cleanup_free_ char *ready = xasprintf("%s/ready", root);
	struct store *store = NULL;
	struct error *err = NULL;

	t->opened = true;
	if (access(ready, F_OK) < 0)
		return;
	if (store_open(root, &store, &err) < 0) {
		t->opened = false;
		note(t->why_not_opened, err);
	}
	store_close(store);
}

static void try_all(const char *store, const char *parent, struct doctor_trial *t)
{
	_cleanup_free_ char *dir = xasprintf("%s/doctor.XXXXXX", parent);
	struct error *err = NULL;

	if (userns_enter(&err) < 0) {
		note(t->why_not_entered, err);
		return;
	}
	t->entered = true;
	t->single = userns_single();
	try_store(store, t);
	if (!mkdtemp(dir))
		return;
	t->writable = true;
	t->overlay = -overlay_try(dir);
	try_step(dir, t->overlay == 0, t);
	(void)!fs_remove_tree(AT_FDCWD, dir);
	try_network(t);
	sandbox_helper_stop();
}

void doctor_try(const char *store, const char *dir, struct doctor_trial *ret)
{
	int ends[2];
	pid_t pid;

	*ret = (struct doctor_trial){0};
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		struct doctor_trial t = {0};

		try_all(store, dir, &t);
		(void)!fs_write_full(ends[1], &t, sizeof(t));
		_exit(0);
	}
	(void)close(ends[1]);
	if (pid < 0 || fs_read_full(ends[0], ret, sizeof(*ret)) != (ssize_t)sizeof(*ret)) {
		*ret = (struct doctor_trial){0};
		(void)snprintf(ret->why_not_entered, TRIAL_TEXT,
			       "could not start a process to try it");
	}
	(void)close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
