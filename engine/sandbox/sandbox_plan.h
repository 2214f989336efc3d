/* SPDX-License-Identifier: Apache-2.0 */
/* What one sandboxed process gets: root file system, mounts, identity, limits.
 *
 * A plan is plain data. It is built without privilege by the threaded process, can be printed and
 * compared in tests, and is carried out by the helper program (engine/sandbox/helper/), which gets
 * it in the flat form of sandbox_plan_encode (engine/sandbox/wire.h). Paths of the host are
 * absolute; paths inside are resolved by the helper below the new root.
 */
#ifndef KILN_ENGINE_SANDBOX_SANDBOX_PLAN_H
#define KILN_ENGINE_SANDBOX_SANDBOX_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/strv.h"
#include "base/vec.h"
#include "engine/sandbox/wire.h"

/* Docker's default set: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap,
 * net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap. */
#define SANDBOX_CAPS_DEFAULT 0xa80425fbULL
#define SANDBOX_CAPS_ALL UINT64_MAX

struct sandbox_mount {
	enum wire_mount_kind kind;
	unsigned flags; /* enum wire_mount_flag */
	uint32_t mode, uid, gid;
	uint64_t size;
	char *source, *dest; /* owned */
	struct strv lowers;  /* WIRE_OVERLAY: directories, topmost first */
	struct buf data;     /* WIRE_FILE */
};

struct sandbox_plan {
	uint64_t flags;			  /* enum wire_flag */
	struct wire_window window;	  /* of WIRE_TTY; zeros: unknown */
	struct strv lowers;		  /* topmost first; may be empty */
	char *upper, *scratch;		  /* directories on one file system; scratch starts empty */
	VEC(struct sandbox_mount) mounts; /* in the order in which they are mounted */
	struct strv masked, readonly;
	struct strv joins; /* cgroup.procs of groups that the process enters */
	struct strv dirs;  /* made, for root, where they are missing */
	struct strv args, env;
	char *cwd, *hostname;
	char *binfmt; /* for binfmt_misc, with the interpreter's path; NULL: none */
	uint32_t uid, gid, umask;
	VEC(uint32_t) groups;
	uint64_t caps;
	struct buf seccomp; /* struct sock_filter[]; empty: no filter */
	struct buf notify;  /* struct sock_filter[]; empty: no supervisor */
	VEC(struct wire_call) calls;
	VEC(struct wire_rlimit) rlimits;
	int netns; /* WIRE_NET_JOIN: borrowed descriptor, else -1 */
};

void sandbox_plan_init(struct sandbox_plan *p);
void sandbox_plan_release(struct sandbox_plan *p);

/* Adds one mount; strings are copied. The result is valid until the next call. */
struct sandbox_mount *sandbox_plan_mount(struct sandbox_plan *p, enum wire_mount_kind kind,
					 const char *source, const char *dest, unsigned flags);
/* A small file in memory. */
void sandbox_plan_file(struct sandbox_plan *p, const char *dest, const void *data, size_t n,
		       uint32_t mode, uint32_t uid, uint32_t gid, unsigned flags);
/* /proc, /sys, /dev and what belongs to them, as runc mounts them by default. */
void sandbox_plan_default_mounts(struct sandbox_plan *p, uint64_t shm_size);
/* The paths of /proc and /sys that runc hides or makes read-only by default. */
void sandbox_plan_default_masks(struct sandbox_plan *p);

/* ERR_INVALID for what the helper would refuse: no args, a relative path, a text too large. */
int sandbox_plan_encode(const struct sandbox_plan *p, struct buf *ret,
			struct error **err) _must_check_;
/* For people and tests; secrets' bytes are not shown. */
void sandbox_plan_print(const struct sandbox_plan *p, struct buf *b);

#endif
