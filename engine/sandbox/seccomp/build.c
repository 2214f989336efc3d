/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sandbox/seccomp/build.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"

uint32_t seccomp_compat_arch(void)
{
	switch (seccomp_arch_native()) {
	case SCMP_ARCH_X86_64:
		return SCMP_ARCH_X86;
	case SCMP_ARCH_AARCH64:
		return SCMP_ARCH_ARM;
	default:
		return 0;
	}
}

bool seccomp_arch_is_narrow(uint32_t arch)
{
	return arch == SCMP_ARCH_X86 || arch == SCMP_ARCH_ARM;
}

static int export_program(scmp_filter_ctx ctx, struct buf *b)
{
	_cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(ctx, fd);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r == 0 ? fs_read_fd(fd, b) : r;
}

int seccomp_build(uint32_t otherwise, int (*add)(scmp_filter_ctx ctx), struct buf *ret)
{
	scmp_filter_ctx ctx = seccomp_init(otherwise);
	uint32_t compat = seccomp_compat_arch();
	int r = ctx ? 0 : -ENOMEM;

	if (r == 0 && compat)
		r = seccomp_arch_add(ctx, compat);
	/* The x32 calls of an x86-64 kernel, for one, count as another architecture. */
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	/* A binary tree: a call costs the same wherever it is in the list. */
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add(ctx);
	if (r == 0)
		r = export_program(ctx, ret);
	if (ctx)
		seccomp_release(ctx);
	return r;
}
