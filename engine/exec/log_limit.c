/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec/log_limit.h"

#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/times.h"

enum { KEPT_MAX = 256 << 10 };

/* Without a limit that can be read there is none: people want their whole log. */
static int64_t limit_of(const char *name)
{
	const char *text = getenv(name);
	int64_t value;

	return text && number_parse_signed(text, -1, INT64_MAX, &value) == 0 ? value : -1;
}

void log_limit_init(struct log_limit *l, log_limit_fn fn, void *data)
{
	*l = (struct log_limit){.fn = fn, .data = data, .started = times_monotonic_ns()};
	for (size_t i = 0; i < 2; i++)
		l->streams[i].kept = (struct buf)BUF_INIT;
	l->size = limit_of("BUILDKIT_STEP_LOG_MAX_SIZE");
	l->speed = limit_of("BUILDKIT_STEP_LOG_MAX_SPEED");
}

static void pass(struct log_limit *l, int stream, const char *p, size_t n)
{
	if (n == 0)
		return;
	l->fn(l->data, stream, p, n);
	l->streams[stream - 1].in_line = p[n - 1] != '\n';
}

/* How many of n bytes may pass. */
static size_t room(const struct log_limit *l, const struct log_limit_stream *s, size_t n,
		   int64_t now, bool *ret_speed)
{
	uint64_t most = l->size < 0 ? UINT64_MAX : (uint64_t)l->size;

	*ret_speed = false;
	if (l->speed >= 0) {
		uint64_t seconds = (uint64_t)((now - l->started) / NS_PER_S) + 1;

		if ((uint64_t)l->speed < most / seconds) {
			most = (uint64_t)l->speed * seconds;
			*ret_speed = true;
		}
	}
	if (most <= s->passed)
		return 0;
	return most - s->passed < n ? (size_t)(most - s->passed) : n;
}

static void keep(struct log_limit_stream *s, const char *p, size_t n)
{
	if (n > KEPT_MAX) {
		p += n - KEPT_MAX;
		n = KEPT_MAX;
	}
	buf_add(&s->kept, p, n);
	if (s->kept.n > (size_t)2 * KEPT_MAX) {
		memmove(s->kept.p, s->kept.p + s->kept.n - KEPT_MAX, KEPT_MAX);
		buf_truncate(&s->kept, KEPT_MAX);
	}
}

static void say_clipped(struct log_limit *l, int stream, bool speed)
{
	struct log_limit_stream *s = &l->streams[stream - 1];
	int64_t limit = speed ? l->speed : l->size;
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (s->in_line)
		buf_addc(&b, '\n');
	buf_adds(&b, "[output clipped, log limit ");
	if (limit >= 1 << 20 && limit % (1 << 20) == 0)
		buf_addf(&b, "%lldMiB", (long long)(limit >> 20));
	else if (limit >= 1 << 10 && limit % (1 << 10) == 0)
		buf_addf(&b, "%lldKiB", (long long)(limit >> 10));
	else
		buf_addf(&b, "%lldB", (long long)limit);
	buf_addf(&b, "%s reached]\n", speed ? "/s" : "");
	pass(l, stream, b.p, b.n);
	s->clipped = true;
}

void log_limit_write(struct log_limit *l, int stream, const void *p, size_t n, int64_t now)
{
	struct log_limit_stream *s = &l->streams[stream - 1];
	const char *text = p;
	bool speed;
	size_t fits = room(l, s, n, now, &speed);

	if (s->clipped) {
		/* It goes on with a whole line, once there is room for all of a write. */
		const char *nl = fits == n ? memchr(text, '\n', n) : NULL;
		size_t skip = nl ? (size_t)(nl + 1 - text) : n;

		keep(s, text, skip);
		if (!nl)
			return;
		s->clipped = false;
		buf_clear(&s->kept);
		text += skip;
		n -= skip;
		fits = n;
	}
	pass(l, stream, text, fits);
	s->passed += fits;
	if (fits == n)
		return;
	say_clipped(l, stream, speed);
	keep(s, text + fits, n - fits);
}

void log_limit_flush(struct log_limit *l)
{
	for (int stream = 1; stream <= 2; stream++) {
		struct buf *kept = &l->streams[stream - 1].kept;
		size_t skip = kept->n > KEPT_MAX ? kept->n - KEPT_MAX : 0;

		if (kept->n > 0)
			pass(l, stream, kept->p + skip, kept->n - skip);
		buf_clear(kept);
	}
}

void log_limit_release(struct log_limit *l)
{
	for (size_t i = 0; i < 2; i++)
		buf_release(&l->streams[i].kept);
}
