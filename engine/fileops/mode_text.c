/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fileops/mode_text.h"

#include <string.h>

enum { WHO_USER = 04700, WHO_GROUP = 02070, WHO_OTHER = 01007, WHO_ALL = 07777 };

/* The classes of users at the start of a clause; none means all. */
static uint32_t parse_who(const char **p)
{
	uint32_t who = 0;

	for (;; (*p)++) {
		if (**p == 'u')
			who |= WHO_USER;
		else if (**p == 'g')
			who |= WHO_GROUP;
		else if (**p == 'o')
			who |= WHO_OTHER;
		else if (**p == 'a')
			who |= WHO_ALL;
		else
			return who ? who : WHO_ALL;
	}
}

/* Three permission bits, in all three places. */
static uint32_t spread(uint32_t bits)
{
	return (bits << 6) | (bits << 3) | bits;
}

/* The bits that the letters after an operator stand for, in all places where they may apply. */
static uint32_t parse_bits(const char **p, uint32_t mode, bool is_dir, uint32_t who)
{
	uint32_t bits = 0;

	for (;; (*p)++) {
		switch (**p) {
		case 'r':
			bits |= spread(04);
			break;
		case 'w':
			bits |= spread(02);
			break;
		case 'x':
			bits |= spread(01);
			break;
		case 'X':
			if (is_dir || (mode & 0111))
				bits |= spread(01);
			break;
		case 's':
			bits |= 06000;
			break;
		case 't':
			/* The sticky bit is nobody's: it needs no "o". */
			bits |= who == WHO_ALL || (who & 01000) ? 01000 : 0;
			break;
		case 'u':
			bits |= spread((mode >> 6) & 07);
			break;
		case 'g':
			bits |= spread((mode >> 3) & 07);
			break;
		case 'o':
			bits |= spread(mode & 07);
			break;
		default:
			return bits;
		}
	}
}

static bool apply_clause(const char **p, uint32_t *mode, bool is_dir)
{
	uint32_t who = parse_who(p);

	if (!strchr("+-=", **p) || **p == '\0')
		return false;
	while (**p == '+' || **p == '-' || **p == '=') {
		char op = *(*p)++;
		uint32_t bits = parse_bits(p, *mode, is_dir, who) & who;

		if (op == '+')
			*mode |= bits;
		else if (op == '-')
			*mode &= ~bits;
		else
			/* On a directory "=" keeps set-id bits that were not named, as
			 * chmod does. */
			*mode = (*mode & ~(is_dir ? who & 0777 : who)) | bits;
	}
	return true;
}

bool mode_text_apply(const char *text, uint32_t mode, bool is_dir, uint32_t *ret)
{
	const char *p = text;

	for (;;) {
		if (!apply_clause(&p, &mode, is_dir))
			return false;
		if (*p == '\0')
			break;
		if (*p++ != ',')
			return false;
	}
	*ret = mode & 07777;
	return true;
}
