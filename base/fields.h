/* SPDX-License-Identifier: Apache-2.0 */
/* Text as the kernel writes it in /proc: fields with blanks between them. The sandbox helper reads
 * it with these, too: nothing is allocated.
 */
#ifndef KILN_BASE_FIELDS_H
#define KILN_BASE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Cuts a line into its first fields, at most `max`; returns how many there are. ret[] points into
 * the line. */
size_t fields_split(char *line, char **ret, size_t max);

/* A line of uid_map or gid_map: `count` ids from `inside` on are those from `outside` on. */
struct id_map {
	uint32_t inside, outside, count;
};
/* The next line; *at moves behind it. False: there is none, or it is not one. */
bool id_map_next(const char **at, struct id_map *ret);

#endif
