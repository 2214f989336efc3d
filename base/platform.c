/* SPDX-License-Identifier: Apache-2.0 */
#include "base/platform.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static const struct {
	const char *alias, *arch, *variant;
} arch_aliases[] = {
	{"x86_64", "amd64", NULL},  {"x86-64", "amd64", NULL}, {"amd64", "amd64", NULL},
	{"aarch64", "arm64", NULL}, {"arm64", "arm64", NULL},  {"armhf", "arm", "v7"},
	{"armel", "arm", "v6"},	    {"armv7l", "arm", "v7"},   {"armv6l", "arm", "v6"},
	{"arm", "arm", NULL},	    {"i386", "386", NULL},     {"i486", "386", NULL},
	{"i586", "386", NULL},	    {"i686", "386", NULL},     {"386", "386", NULL},
};

static const char *const known_os[] = {
	"aix",	 "android", "darwin",  "dragonfly", "freebsd", "illumos", "ios",     "js",
	"linux", "netbsd",  "openbsd", "plan9",	    "solaris", "wasip1",  "windows", "macos",
};

static const char *const known_arch[] = {
	"386",	"amd64",  "arm",   "arm64",   "loong64", "mips64", "mips64le",
	"mips", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x",  "wasm",
};

static bool listed(const char *const *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], s) == 0)
			return true;
	return false;
}

static void set(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from);
}

static void normalise(struct platform *p)
{
	if (strcmp(p->os, "macos") == 0)
		set(p->os, sizeof(p->os), "darwin");
	for (size_t i = 0; i < ARRAY_SIZE(arch_aliases); i++) {
		if (strcmp(p->arch, arch_aliases[i].alias) != 0)
			continue;
		set(p->arch, sizeof(p->arch), arch_aliases[i].arch);
		if (arch_aliases[i].variant)
			set(p->variant, sizeof(p->variant), arch_aliases[i].variant);
		break;
	}
	if (isdigit((unsigned char)p->variant[0])) {
		/* The last byte of a variant that fills its array is lost to the "v". */
		memmove(p->variant + 1, p->variant, sizeof(p->variant) - 2);
		p->variant[0] = 'v';
		p->variant[sizeof(p->variant) - 1] = '\0';
	}
	if (strcmp(p->arch, "arm") == 0 && !p->variant[0])
		set(p->variant, sizeof(p->variant), "v7");
	else if (strcmp(p->arch, "arm64") == 0 && strcmp(p->variant, "v8") == 0)
		p->variant[0] = '\0';
	else if (strcmp(p->arch, "amd64") == 0 && strcmp(p->variant, "v1") == 0)
		p->variant[0] = '\0';
}

/* Copies one component, lower-cased; only letters, digits, '_', '-' and '.' may be in it. */
static int component(const char *text, size_t n, char *to, size_t size, const char *whole,
		     struct error **err)
{
	if (n == 0 || n >= size)
		return error_new(err, ERR_INVALID, 0,
				 "\"%s\" is an invalid component of platform \"%s\"",
				 n == 0 ? "" : text, whole);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (!isalnum(c) && c != '_' && c != '-' && c != '.')
			return error_new(err, ERR_INVALID, 0,
					 "\"%.*s\" is an invalid component of platform \"%s\"",
					 (int)n, text, whole);
		to[i] = (char)tolower(c);
	}
	to[n] = '\0';
	return 0;
}

/* One component is an operating system or an architecture; the host gives the other. */
static int complete_single(struct platform *p, const char *text, struct error **err)
{
	struct platform host = platform_host();

	if (listed(known_os, ARRAY_SIZE(known_os), p->os)) {
		set(p->arch, sizeof(p->arch), host.arch);
		set(p->variant, sizeof(p->variant), host.variant);
		normalise(p);
		return 0;
	}
	set(p->arch, sizeof(p->arch), p->os);
	set(p->os, sizeof(p->os), host.os);
	normalise(p);
	if (!listed(known_arch, ARRAY_SIZE(known_arch), p->arch))
		return error_new(err, ERR_INVALID, 0,
				 "\"%s\": unknown operating system or architecture", text);
	return 0;
}

/* "windows(10.0.17763)": moves what is in the parentheses to os_version. */
static int take_os_version(const char *first, size_t *n, struct platform *p, const char *text,
			   struct error **err)
{
	const char *open = memchr(first, '(', *n);
	size_t len;

	if (!open)
		return 0;
	len = (size_t)(first + *n - open) - 1;
	if (len == 0 || first[*n - 1] != ')' || len - 1 >= sizeof(p->os_version))
		return error_new(
			err, ERR_INVALID, 0,
			"the version of the operating system in platform \"%s\" is invalid", text);
	memcpy(p->os_version, open + 1, len - 1);
	*n = (size_t)(open - first);
	return 0;
}

int platform_parse(const char *text, struct platform *ret, struct error **err)
{
	char *const fields[] = {ret->os, ret->arch, ret->variant};
	const char *at = text;
	size_t i = 0;

	memset(ret, 0, sizeof(*ret));
	if (strcmp(text, "local") == 0) {
		*ret = platform_host();
		return 0;
	}
	for (;; i++) {
		size_t n = strcspn(at, "/"), name = n;
		int r;

		if (i == ARRAY_SIZE(fields))
			return error_new(err, ERR_INVALID, 0,
					 "platform \"%s\" has more than os/arch/variant", text);
		r = i == 0 ? take_os_version(at, &name, ret, text, err) : 0;
		if (r == 0)
			r = component(at, name, fields[i], sizeof(ret->os), text, err);
		if (r < 0)
			return r;
		if (!at[n])
			break;
		at += n + 1;
	}
	if (i == 0)
		return complete_single(ret, text, err);
	normalise(ret);
	return 0;
}

struct platform platform_host(void)
{
	struct platform p = {.os = "linux"};
	struct utsname u;

	set(p.arch, sizeof(p.arch), "amd64");
	if (uname(&u) == 0)
		(void)snprintf(p.arch, sizeof(p.arch), "%.15s", u.machine);
	normalise(&p);
	return p;
}

char *platform_format(const struct platform *p, char out[64])
{
	(void)snprintf(out, 64, "%s%s%s%s%s", p->os, p->arch[0] ? "/" : "", p->arch,
		       p->variant[0] ? "/" : "", p->variant);
	return out;
}

bool platform_equal(const struct platform *a, const struct platform *b)
{
	return strcmp(a->os, b->os) == 0 && strcmp(a->arch, b->arch) == 0 &&
	       strcmp(a->variant, b->variant) == 0 && strcmp(a->os_version, b->os_version) == 0;
}

/* The number of a variant "vN"; arm64 and amd64 start at their first one. */
static int variant_number(const struct platform *p)
{
	if (p->variant[0] == 'v' && isdigit((unsigned char)p->variant[1]))
		return p->variant[1] - '0';
	if (p->variant[0])
		return -1;
	return strcmp(p->arch, "arm64") == 0 ? 8 : strcmp(p->arch, "arm") == 0 ? 7 : 1;
}

int platform_match(const struct platform *want, const struct platform *have)
{
	struct platform w = *want, h = *have;
	int vw, vh;

	normalise(&w);
	normalise(&h);
	if (strcmp(w.os, h.os) != 0)
		return 0;
	vw = variant_number(&w);
	vh = variant_number(&h);
	if (strcmp(w.arch, h.arch) == 0) {
		if (strcmp(w.variant, h.variant) == 0)
			return 100;
		return vw < 0 || vh < 0 || vh > vw ? 0 : 90 - (vw - vh);
	}
	/* What an older machine of the family ran still runs. */
	if (strcmp(w.arch, "arm64") == 0 && strcmp(h.arch, "arm") == 0 && vh >= 5 && vh <= 8)
		return 40 + vh;
	return strcmp(w.arch, "amd64") == 0 && strcmp(h.arch, "386") == 0 ? 40 : 0;
}
