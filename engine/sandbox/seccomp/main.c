/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp-compiler FILE: writes the filters of engine/sandbox/seccomp.h as C. Runs when kiln is built. */
#include <linux/filter.h>
#include <stdio.h>
#include <string.h>

#include "engine/sandbox/seccomp/build.h"
#include "engine/sandbox/wire.h"

/* The level that knows notifications, whatever the kernel of the machine that builds. */
#define API_LEVEL 5

static void write_program(FILE *f, const char *name, const struct buf *bytes)
{
	const struct sock_filter *p = (const struct sock_filter *)(const void *)bytes->p;
	size_t n = bytes->n / sizeof(*p);

	fprintf(f, "static const struct sock_filter %s[] = {\n", name);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "\t{%#x, %u, %u, %#x},\n", p[i].code, p[i].jt, p[i].jf, p[i].k);
	fprintf(f, "};\nconst struct seccomp_program seccomp_%s = {%s, %zu};\n\n", name, name, n);
}

static void write_calls(FILE *f, const struct buf *bytes)
{
	const struct wire_call *p = (const struct wire_call *)(const void *)bytes->p;
	size_t n = bytes->n / sizeof(*p);

	fprintf(f, "static const struct wire_call calls[] = {\n");
	for (size_t i = 0; i < n; i++)
		fprintf(f, "\t{%#x, %u, %u, %u},\n", p[i].arch, p[i].nr, p[i].kind, p[i].id_bits);
	fprintf(f, "};\nconst struct seccomp_calls seccomp_owner_calls = {calls, %zu};\n", n);
}

static int compile(FILE *f, const char *name, int (*compiled)(struct buf *ret))
{
	const uint32_t archs[] = {seccomp_arch_native(), seccomp_compat_arch()};
	_cleanup_buf_ struct buf program = BUF_INIT;
	int r = compiled(&program);

	if (r < 0)
		return r;
	seccomp_shrink(archs, archs[1] ? 2 : 1, &program);
	write_program(f, name, &program);
	return 0;
}

static int write_all(FILE *f)
{
	_cleanup_buf_ struct buf calls = BUF_INIT;
	int r = seccomp_api_set(API_LEVEL);

	fprintf(f, "#include \"engine/sandbox/seccomp.h\"\n\n");
	if (r == 0)
		r = compile(f, "profile", profile_compile);
	if (r == 0)
		r = compile(f, "owners", owners_compile);
	owners_list_calls(&calls);
	write_calls(f, &calls);
	return r;
}

int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "we") : NULL;
	int r;

	if (!f) {
		fprintf(stderr, "usage: seccomp-compiler FILE\n");
		return 2;
	}
	r = write_all(f);
	if (r < 0)
		fprintf(stderr, "seccomp-compiler: %s\n", strerror(-r));
	return (fclose(f) != 0 || r < 0) ? 1 : 0;
}
