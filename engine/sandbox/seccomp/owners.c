/* SPDX-License-Identifier: Apache-2.0 */
/* The filter that notifies of the calls that a supervisor answers. */
#include <errno.h>
#include <sys/prctl.h>

#include "engine/sandbox/seccomp/build.h"
#include "engine/sandbox/wire.h"

/* Each has a twin with "32" at its name's end where the older one's ids have 16 bits. */
static const struct {
	const char *name;
	enum wire_call_kind kind;
} calls[] = {
	{"chown", WIRE_CALL_CHOWN},	    {"lchown", WIRE_CALL_LCHOWN},
	{"fchown", WIRE_CALL_FCHOWN},	    {"fchownat", WIRE_CALL_FCHOWNAT},
	{"setuid", WIRE_CALL_SETUID},	    {"setgid", WIRE_CALL_SETGID},
	{"setreuid", WIRE_CALL_SETREUID},   {"setregid", WIRE_CALL_SETREGID},
	{"setresuid", WIRE_CALL_SETRESUID}, {"setresgid", WIRE_CALL_SETRESGID},
	{"setfsuid", WIRE_CALL_SETFSUID},   {"setfsgid", WIRE_CALL_SETFSGID},
	{"setgroups", WIRE_CALL_SETGROUPS}, {"getuid", WIRE_CALL_GETUID},
	{"getgid", WIRE_CALL_GETGID},	    {"geteuid", WIRE_CALL_GETEUID},
	{"getegid", WIRE_CALL_GETEGID},	    {"getresuid", WIRE_CALL_GETRESUID},
	{"getresgid", WIRE_CALL_GETRESGID}, {"prctl", WIRE_CALL_KEEPCAPS},
};

static int number_of(uint32_t arch, const char *name, bool twin)
{
	_cleanup_free_ char *full = xasprintf("%s%s", name, twin ? "32" : "");

	return seccomp_syscall_resolve_name_arch(arch, full);
}

static int add_rules(scmp_filter_ctx ctx)
{
	int uring = seccomp_syscall_resolve_name("io_uring_setup");
	int r = 0;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(calls) && r == 0; i++) {
		int nr = number_of(seccomp_arch_native(), calls[i / 2].name, i % 2);

		if (nr != __NR_SCMP_ERROR && calls[i / 2].kind == WIRE_CALL_KEEPCAPS)
			r = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, nr, 1,
					     SCMP_A0(SCMP_CMP_EQ, PR_SET_KEEPCAPS, 0));
		else if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, nr, 0);
	}
	if (r == 0 && uring != __NR_SCMP_ERROR)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), uring, 0);
	return r;
}

int owners_compile(struct buf *ret)
{
	return seccomp_build(SCMP_ACT_ALLOW, add_rules, ret);
}

static void list_calls(uint32_t arch, struct buf *ret)
{
	for (size_t i = 0; i < 2 * ARRAY_SIZE(calls); i++) {
		enum wire_call_kind kind = calls[i / 2].kind;
		int nr = number_of(arch, calls[i / 2].name, i % 2);
		bool narrow =
			seccomp_arch_is_narrow(arch) && i % 2 == 0 && kind != WIRE_CALL_FCHOWNAT;
		struct wire_call call = {arch, (uint32_t)nr, kind, narrow ? 16 : 32};

		if (nr >= 0)
			buf_add(ret, &call, sizeof(call));
	}
}

void owners_list_calls(struct buf *ret)
{
	uint32_t compat = seccomp_compat_arch();

	list_calls(seccomp_arch_native(), ret);
	if (compat)
		list_calls(compat, ret);
}
