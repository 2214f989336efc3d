/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds what one step may log, where somebody asks for it: BUILDKIT_STEP_LOG_MAX_SIZE bytes in all
 * for each of its two streams, and BUILDKIT_STEP_LOG_MAX_SPEED for every second that has begun.
 * Unset or -1 means no limit, which differs from BuildKit on purpose: clipped logs hide what people
 * look for. What goes beyond is dropped, with a line that says so in its place; the newest 256 KiB
 * of it are kept, and shown after all if the step fails.
 */
#ifndef KILN_ENGINE_EXEC_LOG_LIMIT_H
#define KILN_ENGINE_EXEC_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

typedef void (*log_limit_fn)(void *data, int stream, const void *p, size_t n);

struct log_limit_stream {
	uint64_t passed; /* bytes handed on */
	struct buf kept; /* the end of what was dropped since; at most twice what is shown */
	bool clipped;
	bool in_line; /* what was handed on last has no newline at its end */
};

struct log_limit {
	log_limit_fn fn; /* where the log goes */
	void *data;
	int64_t started;     /* monotonic */
	int64_t size, speed; /* -1: none */
	struct log_limit_stream streams[2];
};

void log_limit_init(struct log_limit *l, log_limit_fn fn, void *data);
/* stream is 1 or 2. now is times_monotonic_ns(). */
void log_limit_write(struct log_limit *l, int stream, const void *p, size_t n, int64_t now);
/* The step failed: hands on the end of what was dropped. */
void log_limit_flush(struct log_limit *l);
void log_limit_release(struct log_limit *l);

#endif
