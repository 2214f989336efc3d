/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "engine/sandbox/seccomp.h"
#include "engine/sandbox/seccomp/build.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#error "this test knows no such machine"
#endif

static bool jump_taken(const struct sock_filter *i, uint32_t a)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return a == i->k;
	case BPF_JGT:
		return a > i->k;
	case BPF_JGE:
		return a >= i->k;
	case BPF_JSET:
		return (a & i->k) != 0;
	default:
		fail_msg("jump %x", i->code);
		return false;
	}
}

/* What the kernel would do: runs the program on one call. */
static uint32_t run_program(const struct seccomp_program *program, uint32_t arch, int nr,
			    uint64_t arg0)
{
	const struct seccomp_data data = {.nr = nr, .arch = arch, .args = {arg0}};
	uint32_t a = 0;

	for (size_t at = 0; at < program->n; at++) {
		const struct sock_filter *i = &program->p[at];

		switch (BPF_CLASS(i->code)) {
		case BPF_LD:
			memcpy(&a, (const char *)&data + i->k, sizeof(a));
			break;
		case BPF_ALU:
			assert_int_equal(BPF_OP(i->code), BPF_AND);
			a &= i->k;
			break;
		case BPF_JMP:
			if (BPF_OP(i->code) == BPF_JA)
				at += i->k;
			else
				at += jump_taken(i, a) ? i->jt : i->jf;
			break;
		case BPF_RET:
			return i->k;
		default:
			fail_msg("instruction %x", i->code);
		}
	}
	fail_msg("the program has no end");
	return 0;
}

static uint32_t run_filter(uint32_t arch, int nr, uint64_t arg0)
{
	return run_program(&seccomp_profile, arch, nr, arg0);
}

static void expect_errno(int nr, uint64_t arg0, int errnum)
{
	assert_int_equal(run_filter(NATIVE, nr, arg0), SECCOMP_RET_ERRNO | (unsigned)errnum);
}

static void expect_allowed(int nr, uint64_t arg0)
{
	assert_int_equal(run_filter(NATIVE, nr, arg0), SECCOMP_RET_ALLOW);
}

static void what_programs_need_is_allowed(void **state)
{
	static const int calls[] = {
		SYS_read,      SYS_write,  SYS_openat,	    SYS_execve, SYS_exit_group,
		SYS_setresuid, SYS_capset, SYS_prctl,	    SYS_chroot, SYS_mknodat,
		SYS_ptrace,    SYS_statx,  SYS_close_range, SYS_writev, SYS_futex,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		expect_allowed(calls[i], 0);
}

static void what_reaches_the_host_is_denied(void **state)
{
	static const int calls[] = {
		SYS_mount,
		SYS_umount2,
		SYS_pivot_root,
		SYS_unshare,
		SYS_setns,
		SYS_keyctl,
		SYS_add_key,
		SYS_request_key,
		SYS_init_module,
		SYS_finit_module,
		SYS_delete_module,
		SYS_kexec_load,
		SYS_bpf,
		SYS_perf_event_open,
		SYS_userfaultfd,
		SYS_reboot,
		SYS_swapon,
		SYS_settimeofday,
		SYS_open_by_handle_at,
		SYS_quotactl,
		SYS_io_uring_setup,
		SYS_fsopen,
		SYS_move_mount,
		SYS_sethostname,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		expect_errno(calls[i], 0, EPERM);
}

static void arguments_decide_where_docker_lets_them(void **state)
{
	(void)state;
	expect_allowed(SYS_clone, CLONE_VM | CLONE_FS);
	expect_errno(SYS_clone, CLONE_NEWUSER, EPERM);
	expect_errno(SYS_clone, CLONE_NEWNS | SIGCHLD, EPERM);
	expect_errno(SYS_clone3, 0, ENOSYS);
	expect_allowed(SYS_personality, 0x20000);
	expect_errno(SYS_personality, 0x40000, EPERM);
	expect_allowed(SYS_socket, AF_INET);
	expect_allowed(SYS_socket, AF_NETLINK);
	expect_allowed(SYS_socket, AF_NFC);
	expect_allowed(SYS_socket, AF_XDP);
	expect_errno(SYS_socket, AF_ALG, EPERM);
	expect_errno(SYS_socket, AF_VSOCK, EPERM);
}

/* Names of the table, between newlines. */
static void read_table(struct buf *ret)
{
	buf_addc(ret, '\n');
	assert_int_equal(fs_read_file(AT_FDCWD, TEST_DATA "/seccomp/moby-profiles-v0.2.3.txt", ret),
			 0);
}

static void what_is_allowed_is_what_docker_allows(void **state)
{
	static const char by_argument[] = "\nclone\nclone3\npersonality\nsocket\n";
	_cleanup_buf_ struct buf table = BUF_INIT;
	size_t known = 0;

	(void)state;
	read_table(&table);
	for (int nr = 0; nr < 1024; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
		_cleanup_free_ char *line = name ? xasprintf("\n%s\n", name) : NULL;
		bool allowed, wanted;

		free(name);
		if (!line || strstr(by_argument, line))
			continue;
		known++;
		wanted = strstr(table.p, line) != NULL;
		allowed = run_filter(NATIVE, nr, 0) == SECCOMP_RET_ALLOW;
		if (allowed != wanted)
			fail_msg("call %d is %s%s", nr, allowed ? "allowed:" : "denied:", line);
	}
	assert_true(known > 250);
}

static void calls_that_are_too_new_do_not_exist(void **state)
{
	(void)state;
	expect_errno(700, 0, ENOSYS);
	expect_errno(1023, 0, ENOSYS);
}

#ifdef __x86_64__
static void the_32_bit_calls_have_the_same_rules(void **state)
{
	(void)state;
	assert_int_equal(run_filter(AUDIT_ARCH_I386, 4, 0), SECCOMP_RET_ALLOW);		 /* write */
	assert_int_equal(run_filter(AUDIT_ARCH_I386, 21, 0), SECCOMP_RET_ERRNO | EPERM); /* mount */
	assert_int_equal(run_filter(AUDIT_ARCH_I386, 700, 0), SECCOMP_RET_ERRNO | ENOSYS);
	/* x32 */
	assert_int_equal(run_filter(NATIVE, 0x40000000, 0), SECCOMP_RET_ERRNO | ENOSYS);
}
#endif

static void expect_same_answers(const struct seccomp_program *ours,
				const struct seccomp_program *theirs, uint32_t arch, int nr)
{
	static const uint64_t args[] = {
		0,
		1,
		2,
		8,
		AF_ALG - 1,
		AF_ALG,
		AF_NFC,
		AF_VSOCK,
		AF_VSOCK + 1,
		0x20000,
		0x20008,
		0x20009,
		CLONE_NEWNS,
		CLONE_NEWUSER | SIGCHLD,
		CLONE_VM | SIGCHLD,
		0xffffffff,
		1ULL << 32,
		(1ULL << 32) + AF_ALG,
		UINT64_MAX,
	};

	for (size_t i = 0; i < ARRAY_SIZE(args); i++)
		if (run_program(ours, arch, nr, args[i]) != run_program(theirs, arch, nr, args[i]))
			fail_msg("call %d of architecture %x with %llx", nr, arch,
				 (unsigned long long)args[i]);
}

/* What was shrunk says what libseccomp's program says. */
static void the_programs_are_those_of_libseccomp(void **state)
{
	static const uint32_t archs[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64,
					 AUDIT_ARCH_ARM, 0};
	static const int far[] = {0x3fffffff, 0x40000000, 0x40000001, 0x400001ff,
				  0x7fffffff, INT32_MIN,  -2,	      -1};
	_cleanup_buf_ struct buf profile = BUF_INIT, owners = BUF_INIT;
	struct seccomp_program theirs[2];

	(void)state;
	assert_int_equal(seccomp_api_set(5), 0); /* notifications, whatever this kernel knows */
	assert_int_equal(profile_compile(&profile), 0);
	assert_int_equal(owners_compile(&owners), 0);
	theirs[0] = (struct seccomp_program){(const void *)profile.p, profile.n / 8};
	theirs[1] = (struct seccomp_program){(const void *)owners.p, owners.n / 8};
	assert_true(seccomp_profile.n < theirs[0].n / 2);
	for (size_t a = 0; a < ARRAY_SIZE(archs); a++)
		for (int i = 0; i < 1100 + (int)ARRAY_SIZE(far); i++) {
			int nr = i < 1100 ? i : far[i - 1100];

			expect_same_answers(&seccomp_profile, &theirs[0], archs[a], nr);
			expect_same_answers(&seccomp_owners, &theirs[1], archs[a], nr);
		}
}

static void the_kernel_takes_programs_of_this_size(void **state)
{
	(void)state;
	assert_in_range(seccomp_profile.n, 1, BPF_MAXINSNS);
	assert_in_range(seccomp_owners.n, 1, BPF_MAXINSNS);
}

/* Every call of the table, and nothing else, is the supervisor's. */
static void a_supervisor_is_told_of_the_calls_that_it_knows(void **state)
{
	const struct seccomp_calls *calls = &seccomp_owner_calls;
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < calls->n; i++)
		assert_int_equal(run_program(&seccomp_owners, calls->p[i].arch, (int)calls->p[i].nr,
					     PR_SET_KEEPCAPS),
				 SECCOMP_RET_USER_NOTIF);
	for (int nr = 0; nr < 1024; nr++)
		seen += run_program(&seccomp_owners, NATIVE, nr, PR_SET_KEEPCAPS) ==
			SECCOMP_RET_USER_NOTIF;
	for (size_t i = 0; i < calls->n; i++)
		seen -= calls->p[i].arch == NATIVE;
	assert_int_equal(seen, 0);
	assert_int_equal(run_program(&seccomp_owners, NATIVE, SYS_fchownat, 0),
			 SECCOMP_RET_USER_NOTIF);
	assert_int_equal(run_program(&seccomp_owners, NATIVE, SYS_setgroups, 0),
			 SECCOMP_RET_USER_NOTIF);
	assert_int_equal(run_program(&seccomp_owners, NATIVE, SYS_openat, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(run_program(&seccomp_owners, NATIVE, SYS_prctl, PR_SET_NAME),
			 SECCOMP_RET_ALLOW);
	assert_int_equal(run_program(&seccomp_owners, NATIVE, SYS_io_uring_setup, 0),
			 SECCOMP_RET_ERRNO | EPERM);
}

#ifdef __x86_64__
static void the_older_32_bit_calls_have_narrow_ids(void **state)
{
	const struct seccomp_calls *calls = &seccomp_owner_calls;

	(void)state;
	for (size_t i = 0; i < calls->n; i++) {
		const struct wire_call *c = &calls->p[i];

		if (c->arch == AUDIT_ARCH_I386 && c->nr == 182) /* chown */
			assert_int_equal(c->id_bits, 16);
		else if (c->arch == AUDIT_ARCH_I386 && (c->nr == 212 || c->nr == 298))
			assert_int_equal(c->id_bits, 32); /* chown32, fchownat */
		else if (c->arch == NATIVE)
			assert_int_equal(c->id_bits, 32);
	}
	/* x32 passes by no filter */
	assert_int_equal(run_program(&seccomp_owners, NATIVE, 0x40000000 + SYS_chown, 0),
			 SECCOMP_RET_ERRNO | ENOSYS);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_programs_need_is_allowed),
		cmocka_unit_test(what_reaches_the_host_is_denied),
		cmocka_unit_test(arguments_decide_where_docker_lets_them),
		cmocka_unit_test(what_is_allowed_is_what_docker_allows),
		cmocka_unit_test(calls_that_are_too_new_do_not_exist),
		cmocka_unit_test(the_programs_are_those_of_libseccomp),
		cmocka_unit_test(the_kernel_takes_programs_of_this_size),
		cmocka_unit_test(a_supervisor_is_told_of_the_calls_that_it_knows),
#ifdef __x86_64__
		cmocka_unit_test(the_32_bit_calls_have_the_same_rules),
		cmocka_unit_test(the_older_32_bit_calls_have_narrow_ids),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
