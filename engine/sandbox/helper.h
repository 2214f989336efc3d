/* kiln-sandbox: the small program that turns a plan into a running process.
 *
 *	kiln-sandbox run      plan on descriptor 3; runs it (main.c, rootfs.c, mounts.c, process.c)
 *	kiln-sandbox network  makes a network namespace with pasta attached and keeps it (network.c)
 *
 * It is single-threaded, static and starts as what kiln is (root, or id 0 of kiln's user
 *namespace), so every line here is part of the trusted base. Names that come from an image or a
 *Dockerfile are resolved only below the new root. Nothing is freed: the process lives for one step.
 * Failing calls end in fail(), which tells kiln what was being done and exits.
 */
#ifndef KILN_ENGINE_SANDBOX_HELPER_H
#define KILN_ENGINE_SANDBOX_HELPER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

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
};

struct plan {
	uint64_t flags;
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
};

/* --- main.c */
void fail(int errnum, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));
void send_message(uint32_t kind, int32_t value, const char *text, int fd /* -1: none */);
void *alloc(size_t n);	  /* zeroed */
void tie_to_parent(void); /* to be killed when it dies */
char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- plan.c */
void plan_read(int fd, struct plan *ret);

/* --- rootfs.c */
int overlay_open(const struct plan *p, const char *const *lowers, size_t n, const char *upper,
		 const char *work);
/* Mounts the rootfs of the plan, detached, with a mount point for every mount. */
int rootfs_open(const struct plan *p);

/* --- mounts.c */
void groups_open(void);		  /* the older cgroups that we are in, to be shown */
void mounts_open(struct plan *p); /* before pivot_root: everything from the host */
void mounts_attach(const struct plan *p, int root); /* after it */
int open_in_root(int root, const char *path, uint64_t flags);
void make_parents(int root, const char *path, uid_t uid, gid_t gid);
void root_enter(const struct plan *p, int root);
void set_attributes(int fd, unsigned flags, bool nodev, const char *what);

/* --- process.c */
/* Sets up and executes the program, as the first process of its namespace. */
int process_run(const struct plan *p) __attribute__((noreturn));

/* --- network.c */
int network_main(int argc, char **argv);
void loopback_up(void);

#endif
