/* Bounds what one step may log, as BuildKit does: a step that prints without end fills neither the
 * memory nor the log of the build.
 *
 * Each of its two streams may print 2 MiB in all, and 200 KiB for every second that has begun. What
 * goes beyond is dropped, with a line that says so in its place; the newest 256 KiB of it are kept,
 * and shown after all if the step fails. BUILDKIT_STEP_LOG_MAX_SIZE and BUILDKIT_STEP_LOG_MAX_SPEED
 * (bytes; -1: no limit) set other bounds.
 */
#ifndef KILN_ENGINE_LOG_LIMIT_H
#define KILN_ENGINE_LOG_LIMIT_H

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
