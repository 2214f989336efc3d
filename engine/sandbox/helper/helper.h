/* SPDX-License-Identifier: Apache-2.0 */
/* kiln-sandbox: the small program that turns a plan into a running process.
 *
 *	kiln-sandbox serve  copies itself for whatever kiln asks for (server.c):
 *
 *	run      plan on descriptor 3; runs it (main.c, rootfs.c, mounts.c, process.c, and
 *		 supervisor.c where there is only one id)
 *	network  makes a network namespace with pasta attached and keeps it (network.c)
 *
 * It is single-threaded, static and starts as what kiln is (root, or id 0 of kiln's user
 * namespace), so every line here is part of the trusted base. Names that come from an image or a
 * Dockerfile are resolved only below the new root. Nothing is freed: a copy lives for one step.
 * Failing calls end in fail(), which tells kiln what was being done and exits.
 */
#ifndef KILN_ENGINE_SANDBOX_HELPER_HELPER_H
#define KILN_ENGINE_SANDBOX_HELPER_HELPER_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/alloc.h"
#include "base/owner_mark.h"
#include "engine/sandbox/helper/supervisor_ids.h"
#include "engine/sandbox/wire.h"

struct mount_item {
	struct wire_mount m;
	const char *source, *dest;
	const char **lowers; /* topmost first */
	size_t n_lowers;
	const void *data;
	size_t size;
	int fd;	     /* the detached mount */
	bool is_dir; /* what kind of mount point it needs */
	bool is_new; /* the root file system had none */
};

struct plan {
	uint64_t flags;
	struct wire_window window;
	const char **lowers; /* topmost first */
	size_t n_lowers;
	const char *upper, *scratch;
	struct mount_item *mounts;
	size_t n_mounts;
	const char **masked, **readonly;
	size_t n_masked, n_readonly;
	const char **joins; /* cgroup.procs of groups to enter */
	size_t n_joins;
	const char **dirs; /* to make where they are missing */
	size_t n_dirs;
	char **args, **env; /* NULL-terminated */
	size_t n_args, n_env;
	const char *cwd, *hostname;
	struct wire_ids ids;
	gid_t *groups;
	size_t n_groups;
	uint64_t caps;
	const struct sock_filter *seccomp;
	size_t n_seccomp;
	struct wire_rlimit *rlimits;
	size_t n_rlimits;
	const struct sock_filter *notify; /* with a supervisor */
	size_t n_notify;
	struct wire_call *calls;
	size_t n_calls;
	const char *binfmt; /* NULL: none */
	bool outer_proc;    /* mounts_open: /proc is the one that we see */
};

/* Ids of a plan as they can be given to the kernel: under a supervisor there is only one. */
static inline uint32_t plan_id(const struct plan *p, uint32_t id)
{
	return p->n_notify > 0 ? 0 : id;
}

/* --- main.c */
/* What a copy is for: its arguments are "run" or "network", ... */
int helper_main(int argc, char **argv);
void fail(int errnum, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));
void send_message(uint32_t kind, int32_t value, const char *text, int fd /* -1: none */);
/* Room in a message for one descriptor. */
union fd_control {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};
void attach_fd(struct msghdr *msg, union fd_control *control, int fd);
void *alloc(size_t n); /* zeroed */
/* A child of ours is killed when we end. tie_open comes before it is made; in the child
 * tie_to_parent then, and again whenever it may have become another user: the kernel forgets it
 * then, and we may have ended just when it had. */
void tie_open(int tie[2]);
void tie_to_parent(int tie[2]);
/* A copy of this process; flags of clone(2), their signal in `signal`. Returns as fork does. */
pid_t clone_self(uint64_t flags, int signal, int *ret_pidfd);
char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- server.c */
int server_main(void);

/* --- chroot.c */
/* Where kiln runs in a chroot, changes into a mount namespace of which that directory is the root;
 * else nothing. */
void chroot_leave(void);
void chroot_check(void); /* ends in fail() where that failed */

/* --- plan.c */
void plan_read(int fd, struct plan *ret);

/* --- layers.c */
struct layers {
	int *dirs; /* topmost first */
	size_t n;
	const char *opaque; /* the xattr that marks a directory which hides those below */
};
void layers_open(const struct plan *p, struct layers *ret);
void layers_close(struct layers *l);
/* Opens (O_PATH) what all layers together have at `path`, in which there are neither dots nor,
 * before its last name, symlinks; "" is the root. -1: nothing. */
int layers_find(const struct layers *l, const char *path);

/* --- rootfs.c */
int overlay_open(const struct plan *p, const char *const *lowers, size_t n, const char *upper,
		 const char *work) _must_check_;
/* Mounts the rootfs of the plan, detached, with a mount point for every mount. */
int rootfs_open(const struct plan *p) _must_check_;

/* --- mounts.c */
void groups_open(void);		  /* the older cgroups that we are in, to be shown */
void mounts_open(struct plan *p); /* before pivot_root: everything from the host */
void mounts_attach(const struct plan *p, int root); /* after it */
int open_in_root(int root, const char *path, uint64_t flags) _must_check_;
/* Makes the directories of `path` that are missing, the new ones for uid and gid. Returns the last
 * (O_PATH): its name may lead elsewhere at any time. */
int make_parents(int root, const char *path, uid_t uid, gid_t gid) _must_check_;
int clone_tree(int dirfd, const char *path, bool recursive) _must_check_; /* detached; -1: errno */
int memory_dir(const char *name) _must_check_; /* a new directory in memory, as a detached mount */
void mount_attach(int tree, int at, const char *dest);
bool mount_is_masked(const struct mount_item *item);
/* NULL: the plan has none. */
const struct mount_item *mount_of_kind(const struct plan *p, enum wire_mount_kind kind);
void root_enter(const struct plan *p, int root);
void set_attributes(int fd, unsigned flags, bool nodev, const char *what);

/* --- seal.c */
/* Once the process has namespaces of its own: its mounts, to be found when it is gone. -1: errno. */
int seal_prepare(pid_t process);
/* When all of the step has ended: nobody writes to its root file system any more. False and errno;
 * EBUSY: somebody still has a file of it open for that. Enters the step's mount namespace. */
bool seal(const struct plan *p, int mounts);

/* --- masks.c */
void masks_open(void);			/* first of all: what hides others is the host's */
void masks_check(const struct plan *p); /* has each path to cover a file system of ours? */
/* Covers what the plan names of a file system that has just been mounted. */
void masks_apply(const struct plan *p, const struct mount_item *fs);
/* Ends the step if what it mounts on or makes in, which `at` is open on, is in /proc. */
void masks_refuse_target(int at, const char *dest);

/* --- users.c */
/* A user namespace of the step's own, of the same ids as ours, if it turns out to need one. In the
 * helper: a socket for the step and our end of it, -1: it will not; */
void users_sockets(const struct plan *p, int ret[2]);
/* ... when there is something to read: answers the step, whose namespace it gives its ids, or sees that it
 * did without. */
void users_serve(int socket);
/* In the step, once: enters it. False and errno: the kernel gives none. */
bool users_enter(int socket);
/* /proc may be that of another pid namespace, where processes have other numbers. */
bool proc_is_ours(int proc);
pid_t proc_pid(int proc, pid_t pid); /* also of a thread; -1: it is not there */
/* The number behind `name`, as "\nTgid:", in the text of /proc/PID/status or fdinfo; -1: none is there. */
pid_t status_pid(const char *text, const char *name);

/* --- emulator.c */
/* For programs of another machine: plan.binfmt is registered in a user namespace of the step's own.
 * While the host's files can be seen: the interpreter. */
int emulator_open(const struct plan *p) _must_check_;
/* Enters the namespace. Where the kernel offers none of this (before 6.7) nothing happens. */
void emulator_enter(const struct plan *p, int interpreter, int users);

/* --- process.c */
/* Sets up and executes the program, as the first process of its namespace. `supervisor` and
 * `users` are the step's ends of their sockets, -1: there is none. */
int process_run(const struct plan *p, int supervisor, int users, int tie[2])
	__attribute__((noreturn));
/* Those of `caps` that we have, nothing inheritable. */
void set_capabilities(uint64_t caps);

/* To what the plan grants: no more capabilities, and only the calls that the filter allows. */
void drop_privileges(const struct plan *p);

/* --- init.c */
/* Returns in a child, which is to become the process; the caller stays as its init. */
void init_fork(const struct plan *p);

/* --- notify.c */
/* Calls that wait for an answer; a filter says which. */
struct notify {
	int listener;
	struct seccomp_notif *request; /* as large as this kernel's, as the next */
	struct seccomp_notif_resp *response;
	size_t request_size, response_size;
};
/* Puts the filter on this process and returns where its calls are answered, or -1 and errno. */
int notify_install(const struct sock_filter *filter, size_t n) _must_check_;
int notify_open(int listener, struct notify *ret) _must_check_; /* 0 or -errno */
/* Takes one that waits, when the listener can be read: 1, 0 if it is gone again, or -errno. The
 * response is made ready to be filled in. */
int notify_receive(struct notify *n) _must_check_;
int notify_answer(struct notify *n) _must_check_; /* 0 or -errno */
/* From the memory of the process that waits. */
bool notify_read(const struct notify *n, uint64_t at, void *to, size_t size);

/* --- supervisor.c */
/* Starts the process that answers the step's chown and set*id calls; nothing happens in it before
 * the step has handed over its root and its notifications. Returns its pid, -1 if the plan has
 * none; *ret_socket is for the step. */
pid_t supervisor_start(const struct plan *p, int *ret_socket, int *ret_pidfd);
/* In the step. The filter applies from the second on. */
void supervisor_give_root(int socket, int root);
void supervisor_give_listener(int socket, const struct plan *p);

/* --- supervisor_files.c */
/* What the supervisor needs to reach a step's files. */
struct step_files {
	int proc;	/* /proc, of a namespace in which the step can be seen */
	int root;	/* of the step */
	int upper;	/* the directory that takes the step's changes */
	int record;	/* file of struct owner_record, -1: owners are not recorded */
	uint64_t mount; /* id of the root's mount */
};
/* How a process names a file. */
struct file_name {
	pid_t tid;
	int dirfd;	  /* AT_FDCWD, or a descriptor of the process */
	const char *path; /* NULL or empty: what dirfd is open on */
	bool follow;
};
void step_files_open(const struct plan *p, int root, struct step_files *ret);
/* Opens it (O_PATH) as the process would. Returns the descriptor or -errno. */
int step_file_open(const struct step_files *s, const struct file_name *name) _must_check_;
/* Does what chown does to a file beside changing its owner. OWNER_UNKNOWN leaves a half as it is.
 * Returns 0 or -errno. */
int step_file_chown(int fd, const struct owner *o) _must_check_;
/* Writes down its owner; halves that are OWNER_UNKNOWN are as they were before. */
int step_file_record(const struct step_files *s, int fd, const struct owner *o) _must_check_;

/* --- supervisor_processes.c */
struct processes {
	const struct step_files *files;
	struct process *known;
	size_t n, room;
	bool any; /* has one ever asked for other ids? */
};
/* The ids of a thread's process: 0, or -EAGAIN if it is gone or there are too many. */
int processes_get(struct processes *t, pid_t tid, struct identity *ret) _must_check_;
/* A call that sets some, as identity_set. */
int processes_set(struct processes *t, pid_t tid, enum wire_call_kind kind, const uint32_t args[3],
		  uint32_t *ret_value) _must_check_;

/* --- network_guard.c */
/* Which of pasta's connections may be made (docs/security.md). */
/* In pasta's process, before it is executed: the listener's descriptor. Where the kernel gives none, as
 * where whoever started kiln has such a filter on it, it fails: no network is better than one that
 * leads to this machine. `answers`: there are published ports for UDP. */
int guard_install(bool answers) _must_check_;
/* In ours. `rules` are kiln's (docs/formats-sandbox.md); `netns` is the one that pasta serves. */
void guard_open(int listener, int pasta, int netns, const char *rules);
/* Answers a call, when the listener can be read. */
void guard_serve(void);

/* --- network.c */
int network_main(int argc, char **argv);
void loopback_up(void);

#endif
