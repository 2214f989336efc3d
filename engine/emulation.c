#include "engine/emulation.h"

enum { EXIT_NOT_EXECUTABLE = 126 };

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
