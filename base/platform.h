/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms, "linux/arm64", "linux/arm/v7", normalised as containerd does: x86_64 is amd64, aarch64
 * is arm64, arm without variant is v7, arm64/v8 is arm64. */
#ifndef KILN_BASE_PLATFORM_H
#define KILN_BASE_PLATFORM_H

#include <stdbool.h>

#include "base/error.h"

struct platform {
	char os[16], arch[16], variant[16];
	char os_version[32];
};

/* Parses os[/arch[/variant]] or an architecture alone; "local" is the host's. */
int platform_parse(const char *text, struct platform *ret, struct error **err) _must_check_;
struct platform platform_host(void);
/* "linux/arm/v7"; `out` holds it. Returns out. */
char *platform_format(const struct platform *p, char out[64]);
bool platform_equal(const struct platform *a, const struct platform *b);
/* How well an image for `have` serves `want`: 0 not at all, larger is better (an exact variant
 * before a lower one that still runs). */
int platform_match(const struct platform *want, const struct platform *have);

#endif
