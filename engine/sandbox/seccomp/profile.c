/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's default profile. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/sandbox/seccomp/build.h"

#define NAMESPACE_FLAGS                                                                            \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | \
	 CLONE_NEWCGROUP)
/* No architecture numbers its calls higher; those beyond the library's last name are unknown. */
#define SYSCALL_MAX 1024

/* Allowed with any arguments: moby/profiles seccomp/v0.2.3, for Docker's default capabilities; the
 * unit test compares what the program allows with that table. A name that this architecture or
 * library lacks is passed over. */
static const char allowed[] =
	"_llseek _newselect accept accept4 access adjtimex alarm arch_prctl "
	"arm_fadvise64_64 arm_sync_file_range bind breakpoint brk cacheflush "
	"cachestat capget capset chdir chmod chown chown32 chroot clock_adjtime "
	"clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
	"clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range "
	"connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 "
	"epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
	"epoll_wait_old eventfd eventfd2 execve execveat exit exit_group "
	"faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark "
	"fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 "
	"fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat "
	"fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex "
	"futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat "
	"get_robust_list get_thread_area getcpu getcwd getdents getdents64 "
	"getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups "
	"getgroups32 getitimer getpeername getpgid getpgrp getpid getppid "
	"getpriority getrandom getresgid getresgid32 getresuid getresuid32 "
	"getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday "
	"getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init "
	"inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents "
	"io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get "
	"ioprio_set ipc kill landlock_add_rule landlock_create_ruleset "
	"landlock_restrict_self lchown lchown32 lgetxattr link linkat listen "
	"listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr "
	"lstat lstat64 madvise map_shadow_stack membarrier memfd_create "
	"memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall "
	"mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open "
	"mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 "
	"mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock "
	"munlockall munmap name_to_handle_at nanosleep newfstatat open openat "
	"openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc "
	"pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv "
	"preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev "
	"pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead "
	"readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg "
	"remap_file_pages removexattr removexattrat rename renameat renameat2 "
	"restart_syscall riscv_flush_icache riscv_hwprobe rmdir rseq rt_sigaction "
	"rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend "
	"rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo "
	"sched_get_priority_max sched_get_priority_min sched_getaffinity "
	"sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval "
	"sched_rr_get_interval_time64 sched_setaffinity sched_setattr "
	"sched_setparam sched_setscheduler sched_yield seccomp select semctl "
	"semget semop semtimedop semtimedop_time64 send sendfile sendfile64 "
	"sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address "
	"set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 "
	"setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 "
	"setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 "
	"setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat "
	"shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask "
	"sigreturn socketcall socketpair splice stat stat64 statfs statfs64 "
	"statmount statx symlink symlinkat sync sync_file_range sync_file_range2 "
	"syncfs sysinfo tee tgkill time timer_create timer_delete "
	"timer_getoverrun timer_gettime timer_gettime64 timer_settime "
	"timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 "
	"timerfd_settime timerfd_settime64 times tkill truncate truncate64 "
	"ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat "
	"utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev";

/* The execution domains that Docker lets a program choose. */
static const uint32_t personalities[] = {0, 0x8, 0x20000, 0x20008, 0xffffffff};

static int allow_names(scmp_filter_ctx ctx)
{
	char name[64];
	int r = 0;

	for (const char *at = allowed; *at && r == 0;) {
		size_t n = strcspn(at, " ");
		int call;

		memcpy(name, at, n);
		name[n] = '\0';
		at += n + strspn(at + n, " ");
		call = seccomp_syscall_resolve_name(name);
		if (call != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 0);
	}
	return r;
}

static int allow_by_argument(scmp_filter_ctx ctx)
{
	/* All families but the kernel's cryptography and the way to a hypervisor's host. */
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				 SCMP_A0(SCMP_CMP_LT, AF_ALG, 0));

	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, AF_NFC, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_GT, AF_VSOCK, 0));
	for (size_t i = 0; i < ARRAY_SIZE(personalities) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1,
				     SCMP_A0(SCMP_CMP_EQ, personalities[i], 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, NAMESPACE_FLAGS, 0));
	/* Its flags lie in memory, out of a filter's sight: libc then uses clone. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r;
}

static int last_known_call(uint32_t arch)
{
	int last = -1;

	for (int n = 0; n < SYSCALL_MAX; n++) {
		char *name = seccomp_syscall_resolve_num_arch(arch, n);

		if (name)
			last = n;
		free(name);
	}
	return last;
}

/* Ahead of the library's program: a call of `arch` beyond its last name fails with ENOSYS, as on a
 * kernel that does not have it; libc falls back to an older one then, which it would not on EPERM.
 */
static void add_unknown_rule(struct buf *b, uint32_t arch)
{
	struct sock_filter rule[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arch, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)last_known_call(arch), 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYSCALL_MAX, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};

	buf_add(b, rule, sizeof(rule));
}

static int add_rules(scmp_filter_ctx ctx)
{
	int r = allow_names(ctx);

	return r == 0 ? allow_by_argument(ctx) : r;
}

int profile_compile(struct buf *ret)
{
	add_unknown_rule(ret, seccomp_arch_native());
	if (seccomp_compat_arch())
		add_unknown_rule(ret, seccomp_compat_arch());
	return seccomp_build(SCMP_ACT_ERRNO(EPERM), add_rules, ret);
}
