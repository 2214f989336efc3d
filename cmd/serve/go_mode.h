/* SPDX-License-Identifier: Apache-2.0 */
/* Modes and times of files as Go writes them, and the kinds of fsutil's packets. */
#ifndef KILN_CMD_SERVE_GO_MODE_H
#define KILN_CMD_SERVE_GO_MODE_H

#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/times.h"

enum packet_type { PACKET_STAT, PACKET_REQ, PACKET_DATA, PACKET_FIN, PACKET_ERR };

#define GO_DIR (UINT32_C(1) << 31)
#define GO_SYMLINK (UINT32_C(1) << 27)
#define GO_DEVICE (UINT32_C(1) << 26)
#define GO_FIFO (UINT32_C(1) << 25)
#define GO_SOCKET (UINT32_C(1) << 24)
#define GO_SETUID (UINT32_C(1) << 23)
#define GO_SETGID (UINT32_C(1) << 22)
#define GO_CHAR_DEVICE (UINT32_C(1) << 21)
#define GO_STICKY (UINT32_C(1) << 20)

static inline mode_t go_mode_type(uint32_t mode)
{
	if (mode & GO_DIR)
		return S_IFDIR;
	if (mode & GO_SYMLINK)
		return S_IFLNK;
	if (mode & GO_DEVICE)
		return mode & GO_CHAR_DEVICE ? S_IFCHR : S_IFBLK;
	if (mode & GO_FIFO)
		return S_IFIFO;
	return mode & GO_SOCKET ? S_IFSOCK : S_IFREG;
}

static inline mode_t go_mode_bits(uint32_t mode)
{
	return (mode & 0777) | (mode & GO_SETUID ? S_ISUID : 0) | (mode & GO_SETGID ? S_ISGID : 0) |
	       (mode & GO_STICKY ? S_ISVTX : 0);
}

static inline uint32_t go_mode(mode_t mode)
{
	uint32_t type = S_ISDIR(mode)	 ? GO_DIR
			: S_ISLNK(mode)	 ? GO_SYMLINK
			: S_ISCHR(mode)	 ? GO_DEVICE | GO_CHAR_DEVICE
			: S_ISBLK(mode)	 ? GO_DEVICE
			: S_ISFIFO(mode) ? GO_FIFO
			: S_ISSOCK(mode) ? GO_SOCKET
					 : 0;

	return type | (mode & 0777) | (mode & S_ISUID ? GO_SETUID : 0) |
	       (mode & S_ISGID ? GO_SETGID : 0) | (mode & S_ISVTX ? GO_STICKY : 0);
}

static inline struct timespec go_time(int64_t ns)
{
	int64_t s = ns / NS_PER_S - (ns % NS_PER_S < 0 ? 1 : 0);

	return (struct timespec){.tv_sec = s, .tv_nsec = ns - s * NS_PER_S};
}

#endif
