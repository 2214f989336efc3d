/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/progress/display.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/number.h"
#include "base/printable.h"
#include "base/times.h"
#include "cmd/progress/progress_render.h"

#define FRAME_NS (INT64_C(100) * 1000 * 1000)
#define TICK_NS (INT64_C(150) * 1000 * 1000)

enum { PENDING_MAX = 1 << 20 }; /* bytes of logs kept for a slow reader */
enum { LOG_LINES_MAX = 1000, TTY_LOG_MAX = 256 << 20 };

/* Set when this process goes on after a stop (Ctrl-Z, then fg): the shell has written to the
 * terminal, so that the frame is no longer where it was. */
static volatile sig_atomic_t continued;

struct display {
	enum display_mode mode;
	struct progress progress;
	pthread_t thread;
	pthread_mutex_t screen; /* held by who writes to stderr; taken before lock */
	pthread_mutex_t lock;	/* protects model, raw, pending, dirty, closing */
	pthread_cond_t wake;
	struct progress_model model;
	struct buf raw;		  /* rawjson lines not yet written */
	struct log_spool *record; /* borrowed; NULL: none */
	size_t pending;		  /* bytes of logs that wait to be written */
	pthread_cond_t drained;
	bool dirty, closing, failed;
	struct plain_renderer plain; /* the thread's, as the next two */
	struct ordered_renderer ordered;
	struct tty_renderer tty;
};

int display_mode_parse(const char *text, enum display_mode *ret, struct error **err)
{
	static const struct {
		const char *name;
		enum display_mode mode;
	} modes[] = {
		{"auto", DISPLAY_AUTO},
		{"plain", DISPLAY_PLAIN},
		{"tty", DISPLAY_TTY},
		{"ordered", DISPLAY_ORDERED},
		{"ordered,groups=github", DISPLAY_ORDERED_GITHUB},
		{"ordered,groups=gitlab", DISPLAY_ORDERED_GITLAB},
		{"rawjson", DISPLAY_RAWJSON},
		{"quiet", DISPLAY_QUIET},
		{"none", DISPLAY_QUIET},
	};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strcmp(text, modes[i].name) == 0) {
			*ret = modes[i].mode;
			return 0;
		}
	}
	return error_new(
		err, ERR_INVALID, 0,
		"invalid progress mode \"%s\": use auto, plain, ordered[,groups=github|gitlab], "
		"tty, rawjson, quiet or none",
		text);
}

/* What a report of a failure is made of: steps that began and what they printed. */
static bool may_end_in_failure(const struct event *event)
{
	return event->kind == EVENT_LOG ||
	       (event->kind == EVENT_VERTEX && event->v.state != VERTEX_CACHED &&
		event->v.state != VERTEX_PLANNED);
}

static void add_raw(struct display *d, const struct event *event, const struct step *step)
{
	_cleanup_buf_ struct buf line = BUF_INIT;

	rawjson_render(event, step, &line);
	if (d->record)
		log_spool_add(d->record, line.p, line.n);
	if (d->mode == DISPLAY_RAWJSON)
		buf_add(&d->raw, line.p, line.n);
}

static void emit(void *data, const struct event *event)
{
	struct display *d = data;
	struct step *step;

	if (d->mode == DISPLAY_QUIET && !d->record && !may_end_in_failure(event))
		return;
	pthread_mutex_lock(&d->lock);
	step = progress_model_apply(&d->model, event);
	if (d->mode == DISPLAY_RAWJSON || d->record)
		add_raw(d, event, step);
	if (event->kind == EVENT_LOG && (d->mode == DISPLAY_PLAIN || d->mode == DISPLAY_RAWJSON))
		d->pending += event->log.n;
	/* One signal a frame: the thread looks at all that has come by then. */
	if (d->mode != DISPLAY_QUIET && (!d->dirty || d->pending > PENDING_MAX))
		pthread_cond_signal(&d->wake);
	d->dirty = true;
	/* A step that prints faster than our reader reads waits for it, as with any pipe. */
	while (event->kind == EVENT_LOG && d->pending > PENDING_MAX && !d->closing)
		pthread_cond_wait(&d->drained, &d->lock);
	pthread_mutex_unlock(&d->lock);
}

static void screen_size(unsigned *columns, unsigned *rows)
{
	struct winsize size;

	*columns = 80;
	*rows = 24;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
		*columns = size.ws_col;
		*rows = size.ws_row;
	}
}

/* Called with the lock held; the text is written after it is dropped. */
static void render(struct display *d, bool last, struct buf *out)
{
	int64_t now = times_now_ns();
	unsigned columns, rows;

	switch (d->mode) {
	case DISPLAY_PLAIN:
		plain_render(&d->plain, &d->model, now, out);
		break;
	case DISPLAY_ORDERED:
	case DISPLAY_ORDERED_GITHUB:
	case DISPLAY_ORDERED_GITLAB:
		ordered_render(&d->ordered, &d->model, now, last, out);
		break;
	case DISPLAY_TTY:
		screen_size(&columns, &rows);
		tty_render(&d->tty, &d->model, now, columns, rows,
			   !last       ? TTY_GOING
			   : d->failed ? TTY_FAILED
				       : TTY_FINISHED,
			   out);
		break;
	case DISPLAY_RAWJSON:
		buf_add(out, d->raw.p, d->raw.n);
		buf_clear(&d->raw);
		break;
	case DISPLAY_AUTO:
	case DISPLAY_QUIET:
		break;
	}
}

/* A job in the background leaves the terminal to the one in front. */
static bool may_draw_now(struct display *d)
{
	bool in_front = tcgetpgrp(STDERR_FILENO) == getpgrp();

	if (!in_front || continued)
		tty_forget(&d->tty);
	continued = 0;
	return in_front;
}

/* Called by who holds the screen. */
static void draw(struct display *d, bool last)
{
	struct buf out = BUF_INIT;

	if (d->mode == DISPLAY_TTY && !may_draw_now(d) && !last)
		return;
	pthread_mutex_lock(&d->lock);
	d->dirty = false;
	render(d, last, &out);
	d->pending = 0;
	pthread_cond_broadcast(&d->drained);
	pthread_mutex_unlock(&d->lock);
	/* A reader of our stderr that went away must not stop the build. */
	(void)!fs_write_full(STDERR_FILENO, out.p, out.n);
	buf_release(&out);
}

static void wait_until(struct display *d, int64_t monotonic_ns)
{
	struct timespec ts = {.tv_sec = (time_t)(monotonic_ns / NS_PER_S),
			      .tv_nsec = (long)(monotonic_ns % NS_PER_S)};

	(void)pthread_cond_timedwait(&d->wake, &d->lock, &ts);
}

static void *display_thread(void *arg)
{
	struct display *d = arg;
	bool last = false;

	while (!last) {
		int64_t frame;

		pthread_mutex_lock(&d->lock);
		while ((!d->dirty || d->mode == DISPLAY_QUIET) && !d->closing) {
			/* A live view also moves while nothing happens: its clocks run. And a step
			 * gets its turn when another has had its own. */
			if ((d->mode == DISPLAY_TTY && d->model.steps.n > 0) || d->plain.waiting) {
				wait_until(d, times_monotonic_ns() + TICK_NS);
				break;
			}
			pthread_cond_wait(&d->wake, &d->lock);
		}
		last = d->closing;
		pthread_mutex_unlock(&d->lock);
		pthread_mutex_lock(&d->screen);
		draw(d, last);
		pthread_mutex_unlock(&d->screen);
		frame = times_monotonic_ns() + FRAME_NS;
		pthread_mutex_lock(&d->lock);
		while (!d->closing && d->pending <= PENDING_MAX && times_monotonic_ns() < frame)
			wait_until(d, frame);
		pthread_mutex_unlock(&d->lock);
	}
	return NULL;
}

static bool may_draw(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0 &&
	       tcgetpgrp(STDERR_FILENO) == getpgrp();
}

static void display_free(struct display *d)
{
	buf_release(&d->raw);
	progress_model_release(&d->model);
	tty_release(&d->tty);
	pthread_cond_destroy(&d->wake);
	pthread_cond_destroy(&d->drained);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->screen);
	free(d);
}

static bool prints_lines(enum display_mode mode)
{
	return mode == DISPLAY_PLAIN || mode == DISPLAY_ORDERED || mode == DISPLAY_ORDERED_GITHUB ||
	       mode == DISPLAY_ORDERED_GITLAB;
}

static void on_continue(int sig)
{
	(void)sig;
	continued = 1;
}

static void prepare_tty(struct display *d, const char *doing)
{
	const struct sigaction action = {.sa_handler = on_continue, .sa_flags = SA_RESTART};
	const char *lines = getenv("BUILDKIT_TTY_LOG_LINES");
	_cleanup_strv_ struct strv complaints = {0};
	uint64_t n = 0;

	d->tty.doing = doing;
	d->model.log_max = TTY_LOG_MAX;
	screen_colors_init(&d->tty.colors, getenv("NO_COLOR"), getenv("BUILDKIT_COLORS"),
			   &complaints);
	if (lines && number_parse(lines, 10, LOG_LINES_MAX, &n) < 0)
		strv_pushf(&complaints, "BUILDKIT_TTY_LOG_LINES: \"%s\" is not a number up to %d",
			   lines, LOG_LINES_MAX);
	d->tty.log_lines = (unsigned)n;
	if (n > TAIL_LINES)
		d->model.tail_lines = (unsigned)n;
	for (size_t i = 0; i < complaints.n; i++) {
		_cleanup_buf_ struct buf text = BUF_INIT;

		printable_add(&text, complaints.v[i], strlen(complaints.v[i]));
		(void)fprintf(stderr, "WARNING: %s\n", text.p);
	}
	(void)sigaction(SIGCONT, &action, NULL);
}

int display_open(enum display_mode mode, const char *doing, struct display **ret,
		 struct error **err)
{
	pthread_condattr_t attr;
	struct display *d;
	int r;

	if (mode == DISPLAY_TTY && !isatty(STDERR_FILENO))
		return error_new(err, ERR_INVALID, 0,
				 "--progress=tty: standard error is not a terminal");
	if (mode == DISPLAY_AUTO)
		mode = may_draw() ? DISPLAY_TTY : DISPLAY_PLAIN;
	d = NEW(struct display);
	d->mode = mode;
	d->progress = (struct progress){.emit = emit, .data = d};
	d->raw = (struct buf)BUF_INIT;
	d->model.keep_log = prints_lines(mode) || mode == DISPLAY_TTY;
	d->model.raw_log = prints_lines(mode) && !isatty(STDERR_FILENO);
	d->ordered.groups = mode == DISPLAY_ORDERED_GITHUB   ? GROUPS_GITHUB
			    : mode == DISPLAY_ORDERED_GITLAB ? GROUPS_GITLAB
							     : GROUPS_NONE;
	if (mode == DISPLAY_TTY)
		prepare_tty(d, doing);
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->screen, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->wake, &attr);
	pthread_cond_init(&d->drained, NULL);
	pthread_condattr_destroy(&attr);
	if (prints_lines(mode)) {
		static const char header[] =
			"#0 building with \"default\" instance using kiln driver\n\n";

		(void)!fs_write_full(STDERR_FILENO, header, sizeof(header) - 1);
	}
	r = pthread_create(&d->thread, NULL, display_thread, d);
	if (r != 0) {
		display_free(d);
		return error_new(err, ERR_IO, r, "start a thread");
	}
	*ret = d;
	return 0;
}

const struct progress *display_progress(struct display *d)
{
	return &d->progress;
}

void display_record(struct display *d, struct log_spool *log)
{
	d->record = log;
}

struct display_counts display_counts(struct display *d)
{
	struct display_counts counts = {0};

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->model.steps.n; i++) {
		const struct step *s = d->model.steps.v[i];

		counts.steps += s->state != VERTEX_PLANNED || !s->passed;
		counts.completed += s->state == VERTEX_DONE || s->state == VERTEX_CACHED;
		counts.cached += s->state == VERTEX_CACHED;
		counts.warnings += s->warnings.n;
	}
	pthread_mutex_unlock(&d->lock);
	return counts;
}

void display_pause(struct display *d)
{
	pthread_mutex_lock(&d->screen);
	draw(d, false);
	/* What others print moves the frame out of reach: the next one starts below it. */
	tty_forget(&d->tty);
}

void display_resume(struct display *d)
{
	pthread_mutex_unlock(&d->screen);
}

static void write_stderr(void *data, const char *p, size_t n)
{
	(void)data;
	(void)!fs_write_full(STDERR_FILENO, p, n);
}

static void report_failures(const struct display *d)
{
	for (size_t i = 0; i < d->model.steps.n; i++) {
		const struct step *s = d->model.steps.v[i];
		_cleanup_buf_ struct buf b = BUF_INIT;

		if (s->state != VERTEX_FAILED)
			continue;
		if (d->mode == DISPLAY_TTY) {
			tty_report(&d->tty, s, write_stderr, NULL);
			continue;
		}
		step_report(&d->model, s, &b);
		write_stderr(NULL, b.p, b.n);
	}
}

void display_close(struct display *d, bool failed)
{
	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	d->closing = true;
	d->failed = failed;
	pthread_cond_signal(&d->wake);
	pthread_cond_broadcast(&d->drained);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
	if (d->mode != DISPLAY_RAWJSON)
		report_failures(d);
	display_free(d);
}
