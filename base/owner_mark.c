/* SPDX-License-Identifier: Apache-2.0 */
#include "base/owner_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/times.h"

static size_t format_half(char *to, size_t room, uint32_t id, char end)
{
	int n = id == OWNER_UNKNOWN ? snprintf(to, room, "-%c", end)
				    : snprintf(to, room, "%u%c", (unsigned)id, end);

	return (size_t)n;
}

size_t owner_mark_format(const struct owner *o, char ret[OWNER_MARK_MAX])
{
	size_t n = format_half(ret, OWNER_MARK_MAX, o->uid, ':');

	return n + format_half(ret + n, OWNER_MARK_MAX - n, o->gid, '\0') - 1;
}

/* "-" or a number without needless zeros; *at moves behind it. */
static bool parse_half(const char **at, const char *end, uint32_t *ret)
{
	const char *p = *at;
	uint64_t id = 0;

	*ret = OWNER_UNKNOWN;
	if (p < end && *p == '-') {
		*at = p + 1;
		return true;
	}
	for (; p < end && *p >= '0' && *p <= '9' && id < OWNER_UNKNOWN; p++)
		id = id * 10 + (uint64_t)(*p - '0');
	if (p == *at || id >= OWNER_UNKNOWN || (**at == '0' && p - *at > 1))
		return false;
	*at = p;
	*ret = (uint32_t)id;
	return true;
}

bool owner_mark_parse(const char *text, size_t n, struct owner *ret)
{
	const char *at = text, *end = text + n;
	struct owner o;

	if (!parse_half(&at, end, &o.uid) || at == end || *at++ != ':' ||
	    !parse_half(&at, end, &o.gid) || at != end)
		return false;
	*ret = o;
	return true;
}

void owner_merge(struct owner *o, const struct owner *over)
{
	if (over->uid != OWNER_UNKNOWN)
		o->uid = over->uid;
	if (over->gid != OWNER_UNKNOWN)
		o->gid = over->gid;
}

struct owner owner_mark_read(const char *path)
{
	struct owner o = OWNER_NONE;
	char text[OWNER_MARK_MAX];
	ssize_t n = getxattr(path, OWNER_MARK_XATTR, text, sizeof(text));

	if (n > 0)
		(void)owner_mark_parse(text, (size_t)n, &o);
	return o;
}

int owner_mark_write(const char *path, const struct owner *o)
{
	char text[OWNER_MARK_MAX];
	size_t n = owner_mark_format(o, text);

	return setxattr(path, OWNER_MARK_XATTR, text, n, 0) < 0 ? -errno : 0;
}

int owner_inode_of(int dirfd, const char *name, int flags, struct owner_inode *ret)
{
	struct statx st;

	if (statx(dirfd, name, flags, STATX_INO | STATX_BTIME, &st) < 0)
		return -errno;
	*ret = (struct owner_inode){.ino = st.stx_ino};
	if (st.stx_mask & STATX_BTIME)
		ret->born = st.stx_btime.tv_sec * NS_PER_S + st.stx_btime.tv_nsec;
	return 0;
}
