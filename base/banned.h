/* SPDX-License-Identifier: Apache-2.0 */
/* What no file of kiln's libraries may call; the compiler is told to include this in each.
 *
 * They write past the end of what they are given (strcpy and the like), take text that is not a
 * number for one (atoi, strtol, sscanf), keep state that threads share (strtok, localtime), or can be
 * guessed (rand). Instead: base/buf.h and xasprintf(), base/number.h, strtok_r(), base/times.h,
 * getrandom(), base/fields.h.
 */
#ifndef KILN_BASE_BANNED_H
#define KILN_BASE_BANNED_H

/* Their declarations must come first. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#undef sprintf /* clang has it as a macro where it fortifies */
#pragma GCC poison strcpy strcat stpcpy strncpy strncat sprintf vsprintf gets
#pragma GCC poison atoi atol atoll atof strtol strtoul strtoll strtoull strtoimax strtoumax strtoq
#pragma GCC poison scanf sscanf fscanf vscanf vsscanf vfscanf
#pragma GCC poison strtok localtime gmtime asctime srand rand_r tmpnam tempnam mktemp

/* Names of members and parameters, too: only the calls are refused, as something undeclared. */
#define ctime(time) banned_ctime
#define rand() banned_rand

#endif
