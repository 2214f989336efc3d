/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and the text forms of times, durations and sizes that kiln prints and parses. */
#ifndef KILN_BASE_TIMES_H
#define KILN_BASE_TIMES_H

#include <stdint.h>

#include "base/alloc.h"

#define NS_PER_S INT64_C(1000000000) /* a second in nanoseconds */

int64_t times_now_ns(void); /* CLOCK_REALTIME, ns since the epoch */
int64_t times_monotonic_ns(void);

/* "2026-01-02T15:04:05.123456789Z" as Go's RFC3339Nano in UTC: trailing zeros of the fraction are
 * left out. Heap. */
char *times_rfc3339(int64_t ns);
/* Any RFC 3339 time; 0 or -EINVAL. What an int64_t cannot hold (before 1677, after 2262) is the
 * nearest that it can. */
int times_parse_rfc3339(const char *text, int64_t *ret_ns) _must_check_;
/* "About a minute ago", "3 weeks ago": docker's words for an age in seconds. Heap. */
char *times_human_age(int64_t seconds);
/* Decimal units as docker prints them in tables: four significant digits, "1.23MB",
 * "997kB". Heap. */
char *times_human_size(uint64_t bytes);
/* Decimal units as BuildKit prints them in progress: "227B", "1.20kB", "3.00MB". Heap. */
char *times_progress_size(uint64_t bytes);
/* Go's time.ParseDuration: "1h2m3.5s"; 0 or -EINVAL. */
int times_parse_duration(const char *text, int64_t *ret_ns) _must_check_;
/* Go's Duration.String: 90s gives "1m30s". Heap. */
char *times_duration(int64_t ns);
/* "10GB", "64MiB", "512k", "1024": units.RAMInBytes of docker (1024 based); 0 or -EINVAL. */
int times_parse_size(const char *text, uint64_t *ret) _must_check_;

#endif
