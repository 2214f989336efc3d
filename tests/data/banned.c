/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled by tests alone: base/banned.h must refuse the second of these, and not the first. */
#include <stdlib.h>

int number(const char *text);

int number(const char *text)
{
#if BANNED
	return atoi(text);
#else
	return text ? text[0] : 0;
#endif
}
