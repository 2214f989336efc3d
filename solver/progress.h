/* SPDX-License-Identifier: Apache-2.0 */
/* The one stream of events that every step of a build emits, and the sink that renders it.
 *
 * Emitting is thread safe and never blocks for long: a sink copies what it keeps (events and the
 * strings in them are borrowed for the call). Times are ns since the epoch.
 *
 * A struct job is the handle through which one step reports: op bodies get theirs from the solver;
 * steps outside a graph (loading the Dockerfile, image metadata, exporting) open their own with
 * job_open. All job_* functions are thread safe.
 */
#ifndef KILN_SOLVER_PROGRESS_H
#define KILN_SOLVER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/error.h"

enum event_kind { EVENT_VERTEX, EVENT_STATUS, EVENT_LOG, EVENT_WARNING };

enum vertex_state {
	VERTEX_PLANNED, /* is part of a graph to solve; nothing else comes of it if nothing needs it */
	VERTEX_STARTED, /* may come again after a pause: times add up */
	VERTEX_CACHED,
	VERTEX_DONE,
	VERTEX_FAILED,
	VERTEX_CANCELED,
};

struct event_vertex {
	const char *name;
	enum vertex_state state;
	int64_t time;
	const char *error; /* VERTEX_FAILED */
	const struct digest *inputs;
	size_t n_inputs;
	const char *group, *group_name; /* progress group; NULL: none */
	bool group_weak;
};

/* One line below a vertex: "transferring context: 2.1kB / 4kB", "sha256:... 1MB / 3MB". `id` is
 * unique within the vertex and is its text. */
struct event_status {
	const char *id;
	uint64_t current, total;	  /* bytes; 0 = unknown */
	int64_t time, started, completed; /* completed = 0: still going */
};

struct event_log {
	int stream; /* 1 stdout, 2 stderr */
	const void *data;
	size_t n;
	int64_t time;
};

struct event_warning {
	const char *short_text; /* "UndefinedVar: Usage of ... (line 3)" */
	const char *const *detail;
	size_t n_detail;
	const char *url;
	const char *file;
	struct source_span span;
	int level;
};

struct event {
	enum event_kind kind;
	struct digest vertex; /* which vertex this is about */
	union {
		struct event_vertex v;
		struct event_status status;
		struct event_log log;
		struct event_warning warning;
	};
};

struct progress {
	void (*emit)(void *data, const struct event *event);
	void *data;
};

struct job;

/* Starts a step of its own; emits VERTEX_STARTED. `cancel` may be NULL and must outlive the job. */
struct job *job_open(const struct progress *progress, struct cancel *cancel, const char *name);
/* The same for a vertex of a graph, under its digest. */
struct job *job_open_vertex(const struct progress *progress, struct cancel *cancel,
			    const struct digest *vertex, const char *name);
/* The same with inputs and progress group, copied from `about` (state, time and error are not
 * used). Nothing is emitted until job_start, or until the job reports something or fails: work that
 * looks before it starts stays silent if it finds. */
struct job *job_open_quiet(const struct progress *progress, struct cancel *cancel,
			   const struct digest *vertex, const struct event_vertex *about);
void job_start(struct job *job); /* emits VERTEX_STARTED, once */
/* Ends the step: VERTEX_DONE, VERTEX_FAILED with the error's text, or VERTEX_CANCELED for
 * ERR_CANCELED (nothing for a quiet job that never started and did not fail). Frees the job. r is
 * the step's return code, returned unchanged. `progress` may be NULL wherever a job is opened. */
int job_close(struct job *job, int r, struct error *const *err);
/* Ends the step as VERTEX_CACHED. */
void job_close_cached(struct job *job);
/* The same for a vertex that had no job. */
void progress_cached(const struct progress *progress, const struct digest *vertex,
		     const struct event_vertex *about);

void job_log(struct job *job, int stream, const void *data, size_t n);
/* Updates the line `id`. The first call starts it; completed = true ends it. */
void job_status(struct job *job, const char *id, uint64_t current, uint64_t total, bool completed);
void job_warn(struct job *job, const struct event_warning *warning);
struct digest job_vertex(const struct job *job); /* the id of its events */
struct cancel *job_cancel(struct job *job);	 /* NULL if it cannot be cancelled */

#endif
