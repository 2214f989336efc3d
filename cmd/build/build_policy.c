/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_policy.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store/rootfs.h"

#define POLICY_VARIABLE "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"

int build_policy_check_environment(struct error **err)
{
	const char *path = getenv(POLICY_VARIABLE);

	if (!path || !*path)
		return 0;
	return error_hint(err,
			  error_new(err, ERR_UNSUPPORTED, 0,
				    POLICY_VARIABLE ": source policies cannot be evaluated: %s",
				    path),
			  "unset the variable to build without the policy");
}

static int found(const char *path, struct error **err)
{
	return error_hint(err,
			  error_new(err, ERR_UNSUPPORTED, 0,
				    "policies of Dockerfiles cannot be evaluated: %s", path),
			  "move the file away to build without the policy");
}

int build_policy_check_file(const char *dockerfile, struct error **err)
{
	_cleanup_free_ char *path = xasprintf("%s.rego", dockerfile);
	struct stat st;

	if (lstat(path, &st) == 0)
		return found(path, err);
	return errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG
		       ? 0
		       : error_new(err, ERR_IO, errno, "look for the policy '%s'", path);
}

int build_policy_check_member(const struct rootfs *rootfs, const char *dockerfile,
			      struct error **err)
{
	_cleanup_free_ char *path = xasprintf("%s.rego", dockerfile);
	struct rootfs_node node;

	return rootfs_get(rootfs, path, &node) ? found(path, err) : 0;
}
