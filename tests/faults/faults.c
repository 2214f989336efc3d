/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that fail on cue: linked into kiln by the preset "asan".
 *
 * The linker hands each of kiln's calls of the functions below to the wrapper of that name (--wrap; see
 * tests/faults/CMakeLists.txt), so that no line of the product knows of this. What a shared library calls
 * in itself is not seen.
 *
 *   KILN_FAULT=KIND:N[+]:WHAT   the N-th call of that kind (and with + all after it) fails with the errno
 *                               WHAT (ENOSPC), or with SHORT does half of its work
 *   KILN_FAULT_STATE=FILE       counts the calls of each kind there, over all processes of a command: the
 *                               file is one uint64_t a kind, in the order of enum kind
 *   KILN_FAULT_TRACE=1          prints where the call came from
 */
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind {
	K_OPEN,
	K_READ,
	K_WRITE,
	K_COPY,
	K_SYNC,
	K_RENAME,
	K_LINK,
	K_UNLINK,
	K_MKDIR,
	K_STAT,
	K_READDIR,
	K_TRUNCATE,
	K_ATTRIBUTE,
	K_LOCK,
	K_MOUNT,
	K_FORK,
	K_THREAD,
	K_PIPE,
	K_SOCKET,
	K_MMAP,
	K_MALLOC,
	K_SQLITE,
	N_KINDS,
};

static const char *const kinds[N_KINDS] = {
	[K_OPEN] = "open",     [K_READ] = "read",	[K_WRITE] = "write",
	[K_COPY] = "copy",     [K_SYNC] = "sync",	[K_RENAME] = "rename",
	[K_LINK] = "link",     [K_UNLINK] = "unlink",	[K_MKDIR] = "mkdir",
	[K_STAT] = "stat",     [K_READDIR] = "readdir", [K_TRUNCATE] = "truncate",
	[K_LOCK] = "lock",     [K_MOUNT] = "mount",	[K_ATTRIBUTE] = "attribute",
	[K_FORK] = "fork",     [K_THREAD] = "thread",	[K_PIPE] = "pipe",
	[K_SOCKET] = "socket", [K_MMAP] = "mmap",	[K_MALLOC] = "malloc",
	[K_SQLITE] = "sqlite",
};

static const struct {
	const char *name;
	int value;
} codes[] = {
	{"EACCES", EACCES},
	{"EAGAIN", EAGAIN},
	{"EDQUOT", EDQUOT},
	{"EINTR", EINTR},
	{"EIO", EIO},
	{"EMFILE", EMFILE},
	{"EMLINK", EMLINK},
	{"ENFILE", ENFILE},
	{"ENOLCK", ENOLCK},
	{"ENOMEM", ENOMEM},
	{"ENOSPC", ENOSPC},
	{"EPERM", EPERM},
	{"EROFS", EROFS},
	{"SHORT", -1},
	{"SQLITE_FULL", SQLITE_FULL},
	{"SQLITE_IOERR", SQLITE_IOERR},
};

static struct {
	int kind;    /* -1: nothing fails */
	uint64_t at; /* from 1 */
	bool ever_after;
	int code;
	bool trace;
} plan = {.kind = -1};

static _Atomic uint64_t own_counts[N_KINDS];
static _Atomic uint64_t *counts = own_counts;

void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
int __real_open(const char *path, int flags, ...);
int __real_fstat(int fd, struct stat *st);

static _Noreturn void bad_request(const char *what)
{
	fprintf(stderr, "KILN_FAULT: %s\n", what);
	_exit(99);
}

static void read_plan(char *spec)
{
	char *kind = strtok(spec, ":"), *at = strtok(NULL, ":"), *code = strtok(NULL, ":"), *end;

	if (!code)
		bad_request("expected KIND:N[+]:WHAT");
	for (int i = 0; i < N_KINDS; i++)
		if (!strcmp(kinds[i], kind))
			plan.kind = i;
	plan.at = strtoull(at, &end, 10);
	plan.ever_after = *end == '+';
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (!strcmp(codes[i].name, code))
			plan.code = codes[i].value;
	if (plan.kind < 0 || !plan.at || !plan.code)
		bad_request("no such kind, number or code");
}

__attribute__((constructor)) static void read_environment(void)
{
	const char *spec = getenv("KILN_FAULT"), *state = getenv("KILN_FAULT_STATE");

	if (state) {
		int fd = __real_open(state, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

		if (fd < 0 || ftruncate(fd, sizeof(own_counts)) < 0)
			bad_request("cannot open KILN_FAULT_STATE");
		counts = __real_mmap(NULL, sizeof(own_counts), PROT_READ | PROT_WRITE, MAP_SHARED,
				     fd, 0);
		if (counts == MAP_FAILED)
			bad_request("cannot map KILN_FAULT_STATE");
		close(fd);
	}
	plan.trace = getenv("KILN_FAULT_TRACE") != NULL;
	if (spec) {
		static char copy[64];

		snprintf(copy, sizeof(copy), "%s", spec);
		read_plan(copy);
	}
}

/* 0, or what this call is to fail with: an errno, or -1 for half of the work. */
static int fault(enum kind kind)
{
	uint64_t n = atomic_fetch_add(&counts[kind], 1) + 1;

	if (plan.kind != (int)kind || !(plan.ever_after ? n >= plan.at : n == plan.at))
		return 0;
	if (plan.trace) {
		void *frames[24];

		plan.trace = false;
		backtrace_symbols_fd(frames, backtrace(frames, 24), STDERR_FILENO);
	}
	return plan.code;
}

static bool fails(enum kind kind)
{
	int code = fault(kind);

	if (code > 0)
		errno = code;
	return code > 0;
}

/* What a file of that type may answer to a read or write: a disk is full or broken, a pipe or socket is
 * only interrupted or short, an eventfd (of no type) does as it is told. */
static int fault_of_file(enum kind kind, int fd)
{
	struct stat st;
	int kept = errno, code = 0;

	if (__real_fstat(fd, &st) == 0 &&
	    (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		code = fault(kind);
	if (code > 0 && code != EINTR && !S_ISREG(st.st_mode))
		code = 0;
	errno = kept;
	return code;
}

/* A call of KIND that ends with FAILURE. */
#define WRAP(kind, type, failure, name, params, args)              \
	type __real_##name params;                                 \
	type __wrap_##name params;                                 \
	type __wrap_##name params                                  \
	{                                                          \
		return fails(kind) ? failure : __real_##name args; \
	}

/* One that moves N bytes to or from FD, and may move fewer. */
#define WRAP_MOVE(kind, name, params, args)         \
	ssize_t __real_##name params;               \
	ssize_t __wrap_##name params;               \
	ssize_t __wrap_##name params                \
	{                                           \
		int code = fault_of_file(kind, fd); \
                                                    \
		if (code > 0) {                     \
			errno = code;               \
			return -1;                  \
		}                                   \
		if (code < 0 && n > 1)              \
			n /= 2;                     \
		return __real_##name args;          \
	}

/* clang-format off */
WRAP_MOVE(K_READ, read, (int fd, void *p, size_t n), (fd, p, n))
WRAP_MOVE(K_READ, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
WRAP_MOVE(K_WRITE, write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP_MOVE(K_WRITE, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
WRAP_MOVE(K_COPY, copy_file_range, (int in, off_t *in_at, int fd, off_t *out_at, size_t n, unsigned flags), (in, in_at, fd, out_at, n, flags))
WRAP_MOVE(K_READ, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
WRAP_MOVE(K_WRITE, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))

WRAP(K_SYNC, int, -1, fsync, (int fd), (fd))
WRAP(K_SYNC, int, -1, syncfs, (int fd), (fd))
WRAP(K_RENAME, int, -1, rename, (const char *from, const char *to), (from, to))
WRAP(K_RENAME, int, -1, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(K_RENAME, int, -1, renameat2, (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags))
WRAP(K_LINK, int, -1, linkat, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
WRAP(K_LINK, int, -1, symlinkat, (const char *target, int at, const char *path), (target, at, path))
WRAP(K_UNLINK, int, -1, unlink, (const char *path), (path))
WRAP(K_UNLINK, int, -1, unlinkat, (int at, const char *path, int flags), (at, path, flags))
WRAP(K_UNLINK, int, -1, rmdir, (const char *path), (path))
WRAP(K_MKDIR, int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(K_MKDIR, int, -1, mkdirat, (int at, const char *path, mode_t mode), (at, path, mode))
WRAP(K_MKDIR, int, -1, mknodat, (int at, const char *path, mode_t mode, dev_t dev), (at, path, mode, dev))
WRAP(K_STAT, int, -1, stat, (const char *path, struct stat *st), (path, st))
WRAP(K_STAT, int, -1, lstat, (const char *path, struct stat *st), (path, st))
WRAP(K_STAT, int, -1, fstat, (int fd, struct stat *st), (fd, st))
WRAP(K_STAT, int, -1, fstatat, (int at, const char *path, struct stat *st, int flags), (at, path, st, flags))
WRAP(K_STAT, int, -1, statx, (int at, const char *path, int flags, unsigned mask, struct statx *st), (at, path, flags, mask, st))
WRAP(K_READDIR, DIR *, NULL, fdopendir, (int fd), (fd))
WRAP(K_READDIR, DIR *, NULL, opendir, (const char *path), (path))
WRAP(K_READDIR, struct dirent *, NULL, readdir, (DIR *d), (d))
WRAP(K_TRUNCATE, int, -1, ftruncate, (int fd, off_t n), (fd, n))
WRAP(K_ATTRIBUTE, int, -1, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(K_ATTRIBUTE, int, -1, fchmodat, (int at, const char *path, mode_t mode, int flags), (at, path, mode, flags))
WRAP(K_ATTRIBUTE, int, -1, fchownat, (int at, const char *path, uid_t u, gid_t g, int flags), (at, path, u, g, flags))
WRAP(K_ATTRIBUTE, int, -1, utimensat, (int at, const char *path, const struct timespec *t, int flags), (at, path, t, flags))
WRAP(K_ATTRIBUTE, int, -1, fsetxattr, (int fd, const char *key, const void *value, size_t n, int flags), (fd, key, value, n, flags))
WRAP(K_LOCK, int, -1, flock, (int fd, int how), (fd, how))
WRAP(K_MOUNT, int, -1, mount, (const char *from, const char *to, const char *type, unsigned long flags, const void *data), (from, to, type, flags, data))
WRAP(K_MOUNT, int, -1, fsopen, (const char *type, unsigned flags), (type, flags))
WRAP(K_MOUNT, int, -1, fsmount, (int fd, unsigned flags, unsigned attributes), (fd, flags, attributes))
WRAP(K_MOUNT, int, -1, unshare, (int flags), (flags))
WRAP(K_FORK, pid_t, -1, fork, (void), ())
WRAP(K_PIPE, int, -1, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(K_PIPE, int, -1, memfd_create, (const char *title, unsigned flags), (title, flags))
WRAP(K_SOCKET, int, -1, socket, (int family, int type, int protocol), (family, type, protocol))
WRAP(K_SOCKET, int, -1, socketpair, (int family, int type, int protocol, int fds[2]), (family, type, protocol, fds))
WRAP(K_SOCKET, int, -1, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags))
WRAP(K_SOCKET, ssize_t, -1, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
WRAP(K_SOCKET, ssize_t, -1, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
WRAP(K_MMAP, void *, MAP_FAILED, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t offset), (at, n, prot, flags, fd, offset))
WRAP(K_MALLOC, void *, NULL, malloc, (size_t n), (n))
WRAP(K_MALLOC, void *, NULL, calloc, (size_t n, size_t size), (n, size))
WRAP(K_MALLOC, void *, NULL, realloc, (void *p, size_t n), (p, n))
/* clang-format on */

int __wrap_open(const char *path, int flags, ...);
__attribute__((no_sanitize_address)) int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	unsigned mode;

	va_start(args, flags);
	mode = va_arg(args, unsigned);
	va_end(args);
	return fails(K_OPEN) ? -1 : __real_open(path, flags, mode);
}

int __real_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...);
__attribute__((no_sanitize_address)) int __wrap_openat(int at, const char *path, int flags, ...)
{
	va_list args;
	unsigned mode;

	va_start(args, flags);
	mode = va_arg(args, unsigned);
	va_end(args);
	return fails(K_OPEN) ? -1 : __real_openat(at, path, flags, mode);
}

/* Those without a function in libc. Arguments are taken that may not have been given. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
__attribute__((no_sanitize_address)) long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if ((number == SYS_openat2 && fails(K_OPEN)) || (number == SYS_clone3 && fails(K_FORK)) ||
	    (number == SYS_clone && fails(K_FORK)) || (number == SYS_open_tree && fails(K_MOUNT)) ||
	    (number == SYS_move_mount && fails(K_MOUNT)) ||
	    (number == SYS_mount_setattr && fails(K_MOUNT)))
		return -1;
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int __real_pthread_create(pthread_t *t, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *arg)
{
	int code = fault(K_THREAD);

	return code > 0 ? code : __real_pthread_create(t, attributes, run, arg);
}

int __real_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes, char *const argv[], char *const env[]);
int __wrap_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes, char *const argv[], char *const env[]);
int __wrap_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
	int code = fault(K_FORK);

	return code > 0 ? code : __real_posix_spawnp(pid, file, actions, attributes, argv, env);
}

/* SQLite tells by its result, not by errno. */
int __real_sqlite3_step(sqlite3_stmt *statement);
int __wrap_sqlite3_step(sqlite3_stmt *statement);
int __wrap_sqlite3_step(sqlite3_stmt *statement)
{
	int code = fault(K_SQLITE);

	return code > 0 ? code : __real_sqlite3_step(statement);
}
