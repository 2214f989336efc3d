/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel, control groups, networks and emulators. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/platform.h"
#include "engine/doctor/doctor.h"
#include "engine/doctor/doctor_trial.h"
#include "engine/sandbox/emulation.h"
#include "engine/sandbox/machine.h"
#include "engine/sandbox/network.h"

/* --- the kernel --- */

/* Calls that steps cannot do without. None does anything with such arguments. */
static void check_calls(struct doctor *d)
{
	static const struct {
		const char *name;
		long number;
	} calls[] = {
		{"openat2", SYS_openat2},	{"open_tree", SYS_open_tree},
		{"move_mount", SYS_move_mount}, {"mount_setattr", SYS_mount_setattr},
		{"fsopen", SYS_fsopen},		{"pidfd_send_signal", SYS_pidfd_send_signal},
		{"pidfd_open", SYS_pidfd_open},
	};
	_cleanup_strv_ struct strv missing = {0};
	_cleanup_free_ char *names = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (syscall(calls[i].number, -1, NULL, 0, NULL, 0) < 0 && errno == ENOSYS)
			strv_push(&missing, calls[i].name);
	if (missing.n == 0)
		return;
	names = strv_join(&missing, ", ");
	findings_add(&d->findings, FINDING_BAD, "kernel",
		     xasprintf("these system calls are missing or denied by a filter: %s", names),
		     xstrdup("use Linux 5.12 or later; in a container: --security-opt "
			     "seccomp=unconfined"));
}

static bool have_action(const char *name)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(4096);

	return fs_read_file(AT_FDCWD, "/proc/sys/kernel/seccomp/actions_avail", &text) == 0 &&
	       text.n > 0 && strstr(text.p, name);
}

void doctor_kernel(struct doctor *d)
{
	size_t before = d->findings.list.n;
	struct utsname name;
	bool clone3;

	check_calls(d);
	if (!have_action("errno"))
		findings_add(&d->findings, FINDING_BAD, "kernel",
			     xstrdup("it has no seccomp filters, or /proc is not mounted"),
			     xstrdup("mount -t proc proc /proc"));
	else if (!have_action("user_notif"))
		findings_add(&d->findings, FINDING_LESS, "kernel",
			     xstrdup("it has no seccomp notifications (user_notif), which guard "
				     "networks and steps with one id"),
			     xstrdup("use Linux 5.5 or later"));
	if (d->findings.list.n > before)
		return;
	clone3 = syscall(SYS_clone3, NULL, 0) < 0 && errno != ENOSYS && errno != EPERM;
	(void)uname(&name);
	findings_add(&d->findings, FINDING_FINE, "kernel",
		     xasprintf("%s; seccomp with notifications; clone3%s", name.release,
			       clone3 ? "" : " is denied, clone is used"),
		     NULL);
}

/* --- control groups --- */

/* Where this process is in a hierarchy; heap, NULL: not in it. `name` is "" for cgroup2. */
static char *own_group(const char *name)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(1 << 16);
	_cleanup_free_ char *want = xasprintf(":%s:", name);
	char *save = NULL;

	if (fs_read_file(AT_FDCWD, "/proc/self/cgroup", &text) < 0 || text.n == 0)
		return NULL;
	for (char *line = strtok_r(text.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *at = strchr(line, ':');

		if (at && strncmp(at, want, strlen(want)) == 0)
			return xstrdup(at + strlen(want));
	}
	return NULL;
}

void doctor_cgroups(struct doctor *d)
{
	bool unified = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
	bool old = !unified && access("/sys/fs/cgroup/pids", F_OK) == 0;
	_cleanup_free_ char *own = own_group(unified ? "" : "pids");
	_cleanup_free_ char *dir = xasprintf("/sys/fs/cgroup%s%s", unified ? "" : "/pids",
					     own && strcmp(own, "/") != 0 ? own : "");

	d->cgroups = unified ? 2 : old ? 1 : 0;
	if (d->cgroups == 0)
		findings_add(&d->findings, FINDING_LESS, "cgroups",
			     xstrdup("none: nothing limits what steps use, and --memory and "
				     "similar options fail"),
			     xstrdup("sudo mount -t cgroup2 none /sys/fs/cgroup"));
	else if (access(dir, W_OK) < 0)
		findings_add(&d->findings, FINDING_LESS, "cgroups",
			     xasprintf("v%d, but '%s' is not writable: nothing limits what steps "
				       "use, and --memory and similar options fail",
				       d->cgroups, dir),
			     xstrdup(unified ? "systemd-run --user --scope -p Delegate=yes kiln ..."
					     : "sudo kiln ..."));
	else
		findings_add(&d->findings, FINDING_FINE, "cgroups",
			     xasprintf("v%d, groups can be made in '%s'", d->cgroups, dir), NULL);
}

/* --- networks --- */

static void add_network(struct doctor *d, enum finding_grade grade, const char *what,
			const char *mend)
{
	findings_add(&d->findings, grade, "network", xstrdup(what), xstrdup(mend));
}

static void check_tun(struct doctor *d)
{
	static const char tun[] = "/dev/net/tun";

	if (access(tun, F_OK) < 0)
		add_network(d, FINDING_LESS,
			    "/dev/net/tun does not exist: steps share this machine's network",
			    "sudo modprobe tun; in a container: --device /dev/net/tun");
	else if (access(tun, R_OK | W_OK) < 0)
		add_network(d, FINDING_LESS,
			    "/dev/net/tun may not be opened: steps share this machine's network",
			    "sudo chmod 0666 /dev/net/tun");
}

void doctor_network(const struct doctor_trial *t, struct doctor *d)
{
	_cleanup_free_ char *pasta = machine_program("", getenv("PATH"), "pasta");

	check_tun(d);
	if (!pasta)
		add_network(d, FINDING_LESS,
			    "pasta is not installed: steps share this machine's network",
			    "sudo apt install passt (or: sudo dnf install passt)");
	else if (!network_routed())
		add_network(d, FINDING_LESS,
			    "this machine has no default route: steps have no network", NULL);
	else if (t->tried_network && !t->network)
		add_network(d, FINDING_BAD, t->why_not_network,
			    "kiln build --network=none, or see the lines above");
	else if (t->network)
		add_network(d, FINDING_FINE, "by pasta; this machine's services are kept out",
			    NULL);
}

/* --- emulators --- */

void doctor_emulators(struct doctor *d)
{
	static const char *const others[] = {"linux/amd64",   "linux/arm64",  "linux/arm/v7",
					     "linux/riscv64", "linux/s390x",  "linux/ppc64le",
					     "linux/386",     "linux/loong64"};
	const struct platform host = platform_host();
	_cleanup_free_ char *names = NULL;
	struct platform p;
	char text[64];

	strv_push(&d->platforms, platform_format(&host, text));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(others[i], text) != 0 && platform_parse(others[i], &p, NULL) == 0 &&
		    emulation_available(&p))
			strv_push(&d->platforms, others[i]);
	names = strv_join(&d->platforms, ", ");
	findings_add(&d->findings, FINDING_FINE, "platforms",
		     xasprintf("%s%s", names,
			       d->platforms.n > 1 ? "" : "; RUN for others needs an emulator"),
		     d->platforms.n > 1 ? NULL : xstrdup("sudo apt install qemu-user-static"));
}
