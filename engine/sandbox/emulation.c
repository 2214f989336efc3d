/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sandbox/emulation.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/number.h"

enum { EXIT_NOT_EXECUTABLE = 126, BINFMT_MAX = 4096 };

/* QEMU's names of architectures. */
static const char *qemu_name(const struct platform *p)
{
	static const struct {
		const char *arch, *name;
	} names[] = {
		{"amd64", "x86_64"},	  {"arm64", "aarch64"},	      {"arm", "arm"},
		{"riscv64", "riscv64"},	  {"ppc64le", "ppc64le"},     {"s390x", "s390x"},
		{"mips64le", "mips64el"}, {"loong64", "loongarch64"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(p->arch, names[i].arch) == 0)
			return names[i].name;
	return NULL;
}

/* ":name:type:offset:magic:mask:interpreter:flags": is the interpreter there? */
static bool is_usable(const char *line)
{
	const char *flags = strrchr(line, ':'), *at = flags;
	_cleanup_free_ char *interpreter = NULL;

	while (at && at > line && at[-1] != ':')
		at--;
	if (*line != ':' || !at)
		return false;
	interpreter = xstrndup(at, (size_t)(flags - at));
	return strchr(flags, 'F') && access(interpreter, X_OK) == 0;
}

/* Machines that run each other's programs need no emulator. */
static bool is_native(const struct platform *host, const struct platform *p)
{
	return strcmp(host->os, p->os) != 0 || platform_match(host, p) ||
	       (strcmp(host->arch, "arm64") == 0 && strcmp(p->arch, "arm") == 0);
}

char *emulation_binfmt(const struct platform *platform)
{
	const struct platform host = platform_host();
	const char *name = qemu_name(platform);
	_cleanup_free_ char *registered = NULL, *path = NULL;
	_cleanup_buf_ struct buf line = BUF_INIT_MAX(BINFMT_MAX);

	if (!name || is_native(&host, platform))
		return NULL;
	registered = xasprintf("/proc/sys/fs/binfmt_misc/qemu-%s", name);
	path = xasprintf("/usr/lib/binfmt.d/qemu-%s.conf", name);
	if (access(registered, F_OK) == 0 || fs_read_file(AT_FDCWD, path, &line) < 0)
		return NULL;
	buf_truncate(&line, strcspn(line.p, "\n"));
	return is_usable(line.p) ? buf_take(&line) : NULL;
}

/* A user namespace has its own since Linux 6.7: so what is only installed can be registered. */
static bool has_own_registries(void)
{
	uint64_t major, minor;
	struct utsname name;
	const char *at = name.release;

	if (uname(&name) < 0 || number_take(&at, 10, UINT32_MAX, &major) < 0 || *at++ != '.' ||
	    number_take(&at, 10, UINT32_MAX, &minor) < 0)
		return false;
	return major > 6 || (major == 6 && minor >= 7);
}

bool emulation_available(const struct platform *platform)
{
	const struct platform host = platform_host();
	const char *name = qemu_name(platform);
	_cleanup_free_ char *registered =
		xasprintf("/proc/sys/fs/binfmt_misc/qemu-%s", name ? name : platform->arch);
	_cleanup_free_ char *line = emulation_binfmt(platform);

	return is_native(&host, platform) || access(registered, F_OK) == 0 ||
	       (line && has_own_registries());
}

int emulation_explain(const struct platform *platform, int r, struct error **err)
{
	const struct platform host = platform_host();
	char want[64], have[64];

	/* The kernel's "exec format error" ends a step with this status. */
	if (r != -ERR_PROCESS || error_exit_status(*err) != EXIT_NOT_EXECUTABLE ||
	    platform_match(&host, platform))
		return r;
	error_free(*err);
	*err = NULL;
	r = error_new(err, ERR_UNSUPPORTED, 0, "this machine (%s) cannot run programs for %s",
		      platform_format(&host, have), platform_format(platform, want));
	return error_hint(
		err, r,
		"install the package qemu-user-static, which registers emulators with the "
		"kernel (binfmt_misc)");
}
