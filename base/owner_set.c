/* SPDX-License-Identifier: Apache-2.0 */
#include "base/owner_set.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fields.h"
#include "base/fs.h"
#include "base/owner_mark.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool single;

static void count_ids(void)
{
	_cleanup_buf_ struct buf map = BUF_INIT_MAX(4096);
	struct id_map ids;
	const char *at;

	if (fs_read_file(AT_FDCWD, "/proc/self/uid_map", &map) < 0)
		return;
	at = map.p;
	single = id_map_next(&at, &ids) && ids.count == 1 && *at == '\0';
}

bool owner_single_id(void)
{
	(void)pthread_once(&once, count_ids);
	return single;
}

static int set_mark(int dirfd, const char *name, const struct owner *o)
{
	_cleanup_free_ char *path = *name ? xasprintf("/proc/self/fd/%d/%s", dirfd, name)
					  : xasprintf("/proc/self/fd/%d", dirfd);
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	if (o->uid != 0 || o->gid != 0)
		return owner_mark_write(path, o);
	return removexattr(path, OWNER_MARK_XATTR) < 0 && errno != ENODATA ? -errno : 0;
}

int owner_set(int dirfd, const char *name, uint32_t uid, uint32_t gid)
{
	const struct owner o = {uid, gid};

	if (owner_single_id())
		return set_mark(dirfd, name, &o);
	return fchownat(dirfd, name, uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno
											: 0;
}
