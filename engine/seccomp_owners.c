#include "engine/seccomp_owners.h"

#include <errno.h>
#include <pthread.h>

#include "engine/seccomp_build.h"

/* `wide`: the ids have 32 bits also where a 32-bit architecture's older calls have 16. */
static const struct {
	const char *name;
	enum wire_call_kind kind;
	bool wide;
} calls[] = {
	{"chown", WIRE_CALL_CHOWN, false},	     {"chown32", WIRE_CALL_CHOWN, true},
	{"lchown", WIRE_CALL_LCHOWN, false},	     {"lchown32", WIRE_CALL_LCHOWN, true},
	{"fchown", WIRE_CALL_FCHOWN, false},	     {"fchown32", WIRE_CALL_FCHOWN, true},
	{"fchownat", WIRE_CALL_FCHOWNAT, true},	     {"setuid", WIRE_CALL_SETUID, false},
	{"setuid32", WIRE_CALL_SETUID, true},	     {"setreuid", WIRE_CALL_SETREUID, false},
	{"setreuid32", WIRE_CALL_SETREUID, true},    {"setresuid", WIRE_CALL_SETREUID, false},
	{"setresuid32", WIRE_CALL_SETREUID, true},   {"setgid", WIRE_CALL_SET_OTHERS, false},
	{"setgid32", WIRE_CALL_SET_OTHERS, true},    {"setregid", WIRE_CALL_SET_OTHERS, false},
	{"setregid32", WIRE_CALL_SET_OTHERS, true},  {"setresgid", WIRE_CALL_SET_OTHERS, false},
	{"setresgid32", WIRE_CALL_SET_OTHERS, true}, {"setgroups", WIRE_CALL_SET_OTHERS, false},
	{"setgroups32", WIRE_CALL_SET_OTHERS, true}, {"setfsuid", WIRE_CALL_SET_OTHERS, false},
	{"setfsuid32", WIRE_CALL_SET_OTHERS, true},  {"setfsgid", WIRE_CALL_SET_OTHERS, false},
	{"setfsgid32", WIRE_CALL_SET_OTHERS, true},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct buf filter = BUF_INIT;
static struct error *filter_error;

static int add_rules(scmp_filter_ctx ctx)
{
	int uring = seccomp_syscall_resolve_name("io_uring_setup");
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(calls) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY,
				     seccomp_syscall_resolve_name(calls[i].name), 0);
	if (r == 0 && uring != __NR_SCMP_ERROR)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), uring, 0);
	return r;
}

static void filter_make(void)
{
	int r = seccomp_build(SCMP_ACT_ALLOW, add_rules, &filter);

	if (r < 0)
		(void)error_new(&filter_error, ERR_UNSUPPORTED, -r,
				"compile the filter that notifies of changes of owner");
}

static void add_calls(struct sandbox_plan *p, uint32_t arch)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int nr = seccomp_syscall_resolve_name_arch(arch, calls[i].name);
		bool narrow = seccomp_arch_is_narrow(arch) && !calls[i].wide;

		if (nr >= 0)
			vec_push(&p->calls, ((struct wire_call){.arch = arch,
								.nr = (uint32_t)nr,
								.kind = calls[i].kind,
								.id_bits = narrow ? 16 : 32}));
	}
}

int seccomp_owners_add(struct sandbox_plan *p, struct error **err)
{
	uint32_t compat = seccomp_compat_arch();

	(void)pthread_once(&once, filter_make);
	if (filter_error) {
		if (err)
			*err = error_copy(filter_error);
		return -(int)error_code(filter_error);
	}
	buf_add(&p->notify, filter.p, filter.n);
	add_calls(p, seccomp_arch_native());
	if (compat)
		add_calls(p, compat);
	return 0;
}
