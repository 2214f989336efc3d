/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sandbox/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fields.h"
#include "base/fs.h"
#include "base/owner_set.h"
#include "base/spawn.h"
#include "base/strv.h"
#include "engine/sandbox/machine.h"

#define ALL_IDS UINT32_MAX /* in the map of the first user namespace */

static bool single;
static char *single_notice; /* what userns_enter found, for the life of the process */

bool userns_single(void)
{
	return single;
}

const char *userns_single_notice(void)
{
	return single_notice ? single_notice
			     : "only one id is mapped here: steps see all files as owned by root, "
			       "and their real owners are recorded";
}

bool userns_inside(void)
{
	_cleanup_buf_ struct buf map = BUF_INIT_MAX(4096);
	struct id_map ids;
	const char *at;

	if (fs_read_file(AT_FDCWD, "/proc/self/uid_map", &map) < 0)
		return false;
	at = map.p;
	return !id_map_next(&at, &ids) || ids.inside != 0 || ids.outside != 0 ||
	       ids.count != ALL_IDS;
}

/* Id 0 is the user, 1 and up are the range. */
static int map_range(const char *tool, pid_t pid, unsigned own, const struct id_range *range,
		     struct error **err)
{
	_cleanup_strv_ struct strv args = {0};

	strv_push(&args, tool);
	strv_pushf(&args, "%d", pid);
	strv_push(&args, "0");
	strv_pushf(&args, "%u", own);
	strv_push(&args, "1");
	strv_push(&args, "1");
	strv_pushf(&args, "%lu", range->start);
	strv_pushf(&args, "%lu", range->count);
	return spawn_run((const char *const *)strv_argv(&args), NULL, NULL, NULL, NULL, err);
}

static int write_map(const char *path, const char *text, struct error **err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : fs_write_full(fd, text, strlen(text));

	if (r < 0)
		return error_new(err, r == -EPERM ? ERR_DENIED : ERR_IO, -r, "write '%s'", path);
	return 0;
}

static bool have_capability(int cap)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap));
}

/* All ids that we have ourselves. One fewer than all there are, so that the map tells that it is
 * not that of the first user namespace: layers are marked in another way then. */
static int map_own(pid_t pid, const char *name, struct error **err)
{
	_cleanup_free_ char *from = xasprintf("/proc/self/%s", name);
	_cleanup_free_ char *to = xasprintf("/proc/%d/%s", pid, name);
	_cleanup_buf_ struct buf map = BUF_INIT_MAX(4096), text = BUF_INIT;
	int r = fs_read_file(AT_FDCWD, from, &map);
	struct id_map ids;

	if (r < 0)
		return error_new(err, ERR_IO, -r, "read '%s'", from);
	for (const char *at = map.p; id_map_next(&at, &ids);)
		buf_addf(&text, "%u %u %u\n", ids.inside, ids.inside,
			 ids.count == ALL_IDS ? ids.count - 1 : ids.count);
	return write_map(to, text.p, err);
}

/* Only our own id; the kernel wants setgroups denied first. */
static int map_single(uid_t uid, gid_t gid, struct error **err)
{
	_cleanup_free_ char *uid_map = xasprintf("0 %u 1", uid);
	_cleanup_free_ char *gid_map = xasprintf("0 %u 1", gid);
	int r = write_map("/proc/self/setgroups", "deny", err);

	if (r == 0)
		r = write_map("/proc/self/uid_map", uid_map, err);
	if (r == 0)
		r = write_map("/proc/self/gid_map", gid_map, err);
	return r;
}

struct mapper {
	pid_t pid;
	int go, done; /* write a byte when the namespace is there; read how it went */
};

/* Where ids of the namespace come from. */
struct id_source {
	uid_t uid;
	gid_t gid;
	bool own; /* all that we have, else: */
	struct id_range uids, gids;
};

static int map_from(const struct id_source *from, pid_t pid, struct error **err)
{
	int r;

	if (from->own) {
		r = map_own(pid, "uid_map", err);
		return r < 0 ? r : map_own(pid, "gid_map", err);
	}
	r = map_range("newuidmap", pid, from->uid, &from->uids, err);
	return r < 0 ? r : map_range("newgidmap", pid, from->gid, &from->gids, err);
}

/* A child that stays outside, where it or newuidmap has the privilege, and maps its
 * parent's ids. */
static int mapper_start(const struct id_source *from, struct mapper *ret, struct error **err)
{
	pid_t parent = getpid();
	int go[2], done[2];

	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0)
		return error_new(err, ERR_IO, errno, "make pipes");
	ret->pid = fork();
	if (ret->pid < 0)
		return error_new(err, ERR_IO, errno, "start a process to map user ids");
	if (ret->pid == 0) {
		struct error *why = NULL;
		char byte;
		int r;

		(void)close(go[1]);
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		r = map_from(from, parent, &why);
		if (r < 0)
			(void)!write(done[1], error_text(why), strlen(error_text(why)));
		_exit(r < 0);
	}
	(void)close(go[0]);
	(void)close(done[1]);
	ret->go = go[1];
	ret->done = done[0];
	return 0;
}

static int mapper_finish(struct mapper *m, struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(4096);
	int status = 0;

	(void)!write(m->go, "", 1);
	(void)!fs_read_fd(m->done, &text);
	cleanup_closep(&m->go);
	cleanup_closep(&m->done);
	while (waitpid(m->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status == 0)
		return 0;
	(void)error_new(err, ERR_DENIED, 0, "map user ids: %s", text.p);
	return error_hint(err, -ERR_DENIED,
			  "newuidmap and newgidmap must be set-user-id root or have their "
			  "capabilities, and the ids of /etc/subuid and /etc/subgid be mapped "
			  "where kiln runs; " FINDINGS_MORE);
}

static int enter(struct error **err)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0
		       ? error_new(err, ERR_DENIED, errno, "make a user namespace")
		       : 0;
}

/* Where AppArmor restricts them, namespaces can be made and then used for nothing. */
static int explain(int r, uid_t uid, struct error **err)
{
	_cleanup_free_ char *hint = r == -ERR_DENIED ? machine_namespaces_hint("", false) : NULL;

	if (r != -ERR_DENIED || !err || error_hint_text(*err))
		return r;
	/* Root of a container, most often. */
	if (uid == 0)
		return error_hint(err, r,
				  "root lacks privileges here: it needs CAP_SYS_ADMIN, or else "
				  "CAP_SETUID, CAP_SETGID and CAP_SETFCAP and a seccomp profile "
				  "that lets it make user namespaces%s%s; " FINDINGS_MORE,
				  hint ? "; or change what is in the way:\n" : "",
				  hint ? hint : "");
	if (hint)
		return error_hint(err, r, "run kiln as root, or change what is in the way:\n%s",
				  hint);
	return error_hint(err, r,
			  "something forbids it to users, but none of the settings that kiln knows "
			  "of: run kiln as root; " FINDINGS_MORE);
}

static struct machine_user user_of(const struct id_source *from)
{
	const struct passwd *user = from->uid == 0 ? NULL : getpwuid(from->uid);

	return (struct machine_user){user ? user->pw_name : NULL, from->uid, getenv("PATH")};
}

/* What is missing for more than one id. */
static void note_single(const struct id_source *from)
{
	const struct machine_user user = user_of(from);
	struct findings f = {0};

	/* Root of a container, who lacks the rights to map what ids he has. */
	if (from->uid == 0)
		return;
	machine_ids("", &user, &f);
	single_notice = xasprintf("this user has no subordinate ids (%s): steps see all files as "
				  "owned by root, and their real owners are recorded",
				  f.list.n > 0 ? f.list.v[0].what : "see /etc/subuid");
	findings_release(&f);
}

static int become_root(struct error **err)
{
	if ((!single && setgroups(0, NULL) < 0) || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return error_new(err, ERR_DENIED, errno, "become id 0 of the user namespace");
	/* What is mounted from here on is nobody else's business. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return error_new(err, ERR_DENIED, errno, "separate our mounts from the host's");
	return 0;
}

/* Root without the right to mount, as in a container, can still give what ids it has. */
static bool find_ids(struct id_source *ret)
{
	const struct machine_user self = user_of(ret);
	_cleanup_free_ char *tool = machine_program("", self.path, "newuidmap");

	ret->own = ret->uid == 0 && !owner_single_id() && have_capability(CAP_SETUID) &&
		   have_capability(CAP_SETGID) && have_capability(CAP_SETFCAP);
	/* newuidmap serves only users who have a name. */
	return ret->own ||
	       (self.name && tool && machine_range("", "/etc/subuid", &self, &ret->uids) &&
		machine_range("", "/etc/subgid", &self, &ret->gids));
}

int userns_enter(struct error **err)
{
	struct id_source from = {.uid = geteuid(), .gid = getegid()};
	struct mapper mapper;
	int r;

	if (from.uid == 0 && have_capability(CAP_SYS_ADMIN)) {
		/* Somebody else may have made the namespace. */
		single = owner_single_id();
		return 0;
	}
	single = !find_ids(&from);
	if (single) {
		note_single(&from);
		r = enter(err);
		if (r == 0)
			r = map_single(from.uid, from.gid, err);
	} else {
		r = mapper_start(&from, &mapper, err);
		if (r == 0) {
			r = enter(err);
			if (r < 0)
				cleanup_closep(&mapper.go);
			else
				r = mapper_finish(&mapper, err);
		}
	}
	if (r == 0)
		r = become_root(err);
	return explain(r, from.uid, err);
}
