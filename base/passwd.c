/* SPDX-License-Identifier: Apache-2.0 */
#include "base/passwd.h"

#include <string.h>

enum { PASSWD_FIELDS = 7, GROUP_FIELDS = 4 };

/* The next line of a text; false at the end. */
static bool next_line(const char *text, size_t n, size_t *pos, struct passwd_field *ret)
{
	const char *end;

	if (*pos >= n)
		return false;
	ret->p = text + *pos;
	end = memchr(ret->p, '\n', n - *pos);
	ret->n = end ? (size_t)(end - ret->p) : n - *pos;
	*pos += ret->n + 1;
	if (ret->n > 0 && ret->p[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

/* Splits at colons; the last field takes the rest. Fields that are not there are empty. */
static size_t split_fields(struct passwd_field line, struct passwd_field *fields, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < max; i++)
		fields[i] = (struct passwd_field){"", 0};
	for (;;) {
		const char *colon = count + 1 < max ? memchr(line.p, ':', line.n) : NULL;
		size_t n = colon ? (size_t)(colon - line.p) : line.n;

		fields[count++] = (struct passwd_field){line.p, n};
		if (!colon)
			return count;
		line.p += n + 1;
		line.n -= n + 1;
	}
}

bool passwd_parse_id(const char *s, size_t n, uint32_t *ret)
{
	uint64_t v = 0;

	if (n == 0 || n > 10)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	if (v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool field_is(struct passwd_field f, const char *s)
{
	return f.n == strlen(s) && memcmp(f.p, s, f.n) == 0;
}

static bool next_user(const char *text, size_t n, size_t *pos, struct passwd_user *ret)
{
	struct passwd_field line, f[PASSWD_FIELDS];

	while (next_line(text, n, pos, &line)) {
		struct passwd_user u = {0};

		if (split_fields(line, f, PASSWD_FIELDS) < 4 || f[0].n == 0 || f[0].p[0] == '#')
			continue;
		if (!passwd_parse_id(f[2].p, f[2].n, &u.uid) ||
		    !passwd_parse_id(f[3].p, f[3].n, &u.gid))
			continue;
		u.name = f[0];
		u.home = f[5];
		u.shell = f[6];
		*ret = u;
		return true;
	}
	return false;
}

bool passwd_next_group(const char *text, size_t n, size_t *pos, struct passwd_group *ret)
{
	struct passwd_field line, f[GROUP_FIELDS];

	while (next_line(text, n, pos, &line)) {
		struct passwd_group g = {0};

		if (split_fields(line, f, GROUP_FIELDS) < 3 || f[0].n == 0 || f[0].p[0] == '#')
			continue;
		if (!passwd_parse_id(f[2].p, f[2].n, &g.gid))
			continue;
		g.name = f[0];
		g.members = f[3];
		*ret = g;
		return true;
	}
	return false;
}

bool passwd_user_by_name(const char *text, size_t n, const char *name, struct passwd_user *ret)
{
	struct passwd_user u;
	size_t pos = 0;

	while (next_user(text, n, &pos, &u)) {
		if (!field_is(u.name, name))
			continue;
		*ret = u;
		return true;
	}
	return false;
}

bool passwd_user_by_id(const char *text, size_t n, uint32_t uid, struct passwd_user *ret)
{
	struct passwd_user u;
	size_t pos = 0;

	while (next_user(text, n, &pos, &u)) {
		if (u.uid != uid)
			continue;
		*ret = u;
		return true;
	}
	return false;
}

bool passwd_group_by_name(const char *text, size_t n, const char *name, struct passwd_group *ret)
{
	struct passwd_group g;
	size_t pos = 0;

	while (passwd_next_group(text, n, &pos, &g)) {
		if (!field_is(g.name, name))
			continue;
		*ret = g;
		return true;
	}
	return false;
}

bool passwd_group_by_id(const char *text, size_t n, uint32_t gid, struct passwd_group *ret)
{
	struct passwd_group g;
	size_t pos = 0;

	while (passwd_next_group(text, n, &pos, &g)) {
		if (g.gid != gid)
			continue;
		*ret = g;
		return true;
	}
	return false;
}

bool passwd_group_has_member(const struct passwd_group *group, const char *name)
{
	const char *p = group->members.p, *end = p + group->members.n;

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end;

		if (field_is((struct passwd_field){p, (size_t)(stop - p)}, name))
			return true;
		p = stop + 1;
	}
	return false;
}
