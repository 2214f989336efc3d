/* SPDX-License-Identifier: Apache-2.0 */
/* What kiln and its helper program say to each other over their socket pair.
 *
 * Both come from one build on one machine, so numbers are native; the helper still checks every
 * length. kiln first sends a plan:
 *
 *	struct wire_header, then records: struct wire_record and `size` bytes, padded to 8.
 *
 * Text in a record carries its NUL. Records that refine a mount follow it. After the plan kiln
 * sends struct wire_order; when it closes its end, the helper kills everything and exits. The
 *helper answers with struct wire_message and `size` bytes of text. docs/formats-sandbox.md.
 */
#ifndef KILN_ENGINE_SANDBOX_WIRE_H
#define KILN_ENGINE_SANDBOX_WIRE_H

#include <stdint.h>

#define WIRE_MAGIC 0x314e4b53u	  /* "SKN1" */
#define WIRE_PLAN_MAX (64u << 20) /* bytes: secrets and file contents are in it */
#define WIRE_LOWERS_MAX 500	  /* OVL_MAX_STACK of the kernel */

#define NETWORK_INTERFACE "eth0" /* in isolated networks, as in Docker's */

/* Descriptors that the helper is started with, beside 0, 1 and 2. */
enum { WIRE_FD_CONTROL = 3, WIRE_FD_NETNS = 4, WIRE_FDS_MAX };

/* What the server is asked for is one packet: the arguments of a helper, each with its NUL, and its
 * descriptors, 0 first. */
#define WIRE_START_MAX 32768

/* With WIRE_COPIED, in the scratch directory: the mount points that were made in the root, each
 * with its NUL. */
#define WIRE_STUBS_FILE "mountpoints"

struct wire_header {
	uint32_t magic, size; /* size: of all records */
};

struct wire_record {
	uint32_t tag, size;
};

enum wire_tag {
	WIRE_FLAGS = 1,	  /* uint64_t, enum wire_flag */
	WIRE_LOWER,	  /* text: a directory of the rootfs, topmost first */
	WIRE_UPPER,	  /* text: directory that takes the changes */
	WIRE_SCRATCH,	  /* text: empty directory on the same file system, for the helper */
	WIRE_MOUNT,	  /* struct wire_mount, then source and dest as text */
	WIRE_MOUNT_LOWER, /* text: a directory of an overlay mount, topmost first */
	WIRE_MOUNT_DATA,  /* bytes of a file mount */
	WIRE_MASKED,	  /* text: path to hide */
	WIRE_READONLY,	  /* text: path to make read-only */
	WIRE_ARG,
	WIRE_ENV,
	WIRE_CWD,
	WIRE_HOSTNAME,
	WIRE_IDS,     /* struct wire_ids */
	WIRE_GROUP,   /* uint32_t, supplementary */
	WIRE_CAPS,    /* uint64_t, bit per capability */
	WIRE_SECCOMP, /* struct sock_filter[] */
	WIRE_RLIMIT,  /* struct wire_rlimit */
	WIRE_JOIN,    /* text: cgroup.procs of a group that the process enters */
	WIRE_DIR,     /* text: a directory that is made where the root has none */
	WIRE_NOTIFY,  /* struct sock_filter[]: its notifications are the supervisor's */
	WIRE_CALL,    /* struct wire_call: one of the calls that it notifies of */
	WIRE_BINFMT,  /* text: an interpreter to register with binfmt_misc for the step alone */
	WIRE_WINDOW,  /* struct wire_window: the size that a pseudo terminal has from the start */
};

enum wire_flag {
	WIRE_USERNS = 1 << 0,	     /* inside a user namespace: overlayfs wants userxattr */
	WIRE_CLASSIC_MOUNT = 1 << 1, /* overlay by mount(2) as on kernels before 6.5 */
	WIRE_NET_NEW = 1 << 2,	     /* a network namespace with only loopback */
	WIRE_NET_JOIN = 1 << 3,	     /* the one behind WIRE_FD_NETNS */
	WIRE_TTY = 1 << 4, /* a pseudo terminal for the process; its master is sent back */
	WIRE_ROOT_READONLY = 1 << 5,
	WIRE_RECORD_OWNERS = 1 << 6, /* the supervisor writes down what chown asks for */
	WIRE_COPIED = 1 << 8, /* layers were copied: WIRE_UPPER is the whole root as it is, and
				 each overlay mount has one directory of its own */
	WIRE_INIT = 1 << 7,   /* the process gets an init, and is not the first of its namespace */
};

enum wire_mount_kind {
	WIRE_BIND = 1, /* source: a path of the host */
	WIRE_OVERLAY,  /* source: path inside the merged WIRE_MOUNT_LOWERs; writes are dropped */
	WIRE_TMPFS,
	WIRE_FILE, /* a new file in memory with WIRE_MOUNT_DATA */
	WIRE_PROC,
	WIRE_SYSFS,
	WIRE_DEV, /* tmpfs with the usual nodes and links */
	WIRE_DEVPTS,
	WIRE_MQUEUE,
	WIRE_CGROUP,  /* cgroup2, seen from the process's own group */
	WIRE_CGROUP1, /* a tmpfs with the older hierarchies in it, as far as they can be mounted */
};

enum wire_mount_flag {
	WIRE_MOUNT_READONLY = 1 << 0,
	WIRE_MOUNT_RECURSIVE = 1 << 1, /* with what is mounted below the source */
	WIRE_MOUNT_NOSUID = 1 << 2,
	WIRE_MOUNT_NOEXEC = 1 << 3,
	WIRE_MOUNT_COVERED_MODE = 1 << 4, /* the mode of the directory that it covers, if any */
};

struct wire_mount {
	uint32_t kind, flags, mode, uid, gid, unused;
	uint64_t size; /* of a tmpfs in bytes, 0: no limit */
};

struct wire_ids {
	uint32_t uid, gid, umask, unused;
};

struct wire_window {
	uint16_t rows, columns;
};

struct wire_rlimit {
	uint32_t resource, unused;
	uint64_t soft, hard;
};

/* What the supervisor does about a call. */
enum wire_call_kind {
	WIRE_CALL_CHOWN = 1, /* path, uid, gid */
	WIRE_CALL_LCHOWN,
	WIRE_CALL_FCHOWN,   /* descriptor, uid, gid */
	WIRE_CALL_FCHOWNAT, /* descriptor, path, uid, gid, flags */
	WIRE_CALL_SETUID,
	WIRE_CALL_SETGID,
	WIRE_CALL_SETREUID,
	WIRE_CALL_SETREGID,
	WIRE_CALL_SETRESUID,
	WIRE_CALL_SETRESGID,
	WIRE_CALL_SETFSUID,
	WIRE_CALL_SETFSGID,
	WIRE_CALL_SETGROUPS,
	WIRE_CALL_KEEPCAPS, /* prctl(PR_SET_KEEPCAPS, on) */
	WIRE_CALL_GETUID,
	WIRE_CALL_GETGID,
	WIRE_CALL_GETEUID,
	WIRE_CALL_GETEGID,
	WIRE_CALL_GETRESUID,
	WIRE_CALL_GETRESGID,
};

struct wire_call {
	uint32_t arch; /* AUDIT_ARCH_* */
	uint32_t nr, kind;
	uint32_t id_bits; /* 16 or 32: how wide an id is */
};

struct wire_order {
	uint32_t kind, value;
};

enum wire_order_kind {
	WIRE_SIGNAL = 1, /* send signal `value` to the process */
};

struct wire_message {
	uint32_t kind;
	int32_t value;
	uint32_t size;
};

enum wire_message_kind {
	WIRE_STARTED = 1, /* the first: value is the helper's pid */
	WIRE_FAILED,	  /* set-up failed: value is errno, text what was being done */
	WIRE_EXEC_FAILED, /* the program could not be started: value is errno */
	WIRE_EXITED,	  /* value is the status as waitpid gives it */
	WIRE_PTY,	  /* the master end comes with it as SCM_RIGHTS */
	WIRE_PROCESS,	  /* the step's process is there, its pidfd comes with it */
	WIRE_NETNS,	  /* network mode: the namespace is ready, its descriptor comes with it */
	WIRE_NOT_SEALED,  /* what the step has left may still change: value is errno */
	WIRE_OUTER_PROC,  /* the process sees the /proc that kiln does: none could be mounted */
};

#endif
