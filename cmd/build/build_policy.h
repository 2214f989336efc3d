/* SPDX-License-Identifier: Apache-2.0 */
/* Policies about what a build may use, which kiln cannot evaluate: one that there is fails the build, so that
 * none is passed over. */
#ifndef KILN_CMD_BUILD_BUILD_POLICY_H
#define KILN_CMD_BUILD_BUILD_POLICY_H

#include "base/error.h"

struct rootfs;

/* EXPERIMENTAL_BUILDKIT_SOURCE_POLICY. */
int build_policy_check_environment(struct error **err) _must_check_;
/* The file beside a Dockerfile on this machine, */
int build_policy_check_file(const char *dockerfile, struct error **err) _must_check_;
/* ... or in an archive or a repository. */
int build_policy_check_member(const struct rootfs *rootfs, const char *dockerfile,
			      struct error **err) _must_check_;

#endif
