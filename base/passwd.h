/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/passwd and /etc/group as text: look-ups by name and by number.
 *
 * Both files come from the rootfs that is being built, so they are read as untrusted bytes: lines
 * that make no sense are skipped, as libc does. Nothing here touches a file; callers read it (see
 * rootfs_read) and keep it in a buf. A missing file is an empty text. Format: passwd(5), group(5).
 */
#ifndef KILN_BASE_PASSWD_H
#define KILN_BASE_PASSWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PASSWD_FILE_MAX (16u << 20) /* bytes of /etc/passwd or /etc/group that are read */

/* A field of a line; points into the text that was searched, without NUL. */
struct passwd_field {
	const char *p;
	size_t n;
};

struct passwd_user {
	struct passwd_field name, home, shell;
	uint32_t uid, gid;
};

struct passwd_group {
	struct passwd_field name, members; /* members: names separated by commas */
	uint32_t gid;
};

/* The first user of that name or id; false if there is none. */
bool passwd_user_by_name(const char *text, size_t n, const char *name, struct passwd_user *ret);
bool passwd_user_by_id(const char *text, size_t n, uint32_t uid, struct passwd_user *ret);
bool passwd_group_by_name(const char *text, size_t n, const char *name, struct passwd_group *ret);
bool passwd_group_by_id(const char *text, size_t n, uint32_t gid, struct passwd_group *ret);

/* Visits every group in file order: start with *pos = 0; false at the end. */
bool passwd_next_group(const char *text, size_t n, size_t *pos, struct passwd_group *ret);
bool passwd_group_has_member(const struct passwd_group *group, const char *name);

/* "0" to "4294967295" in plain decimal; false for anything else. */
bool passwd_parse_id(const char *s, size_t n, uint32_t *ret);

#endif
