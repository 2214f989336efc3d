/* SPDX-License-Identifier: Apache-2.0 */
#include "solver/progress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/times.h"

struct job {
	const struct progress *progress; /* NULL: silent */
	struct cancel *cancel;
	struct digest vertex;
	char *name, *group, *group_name;
	bool group_weak;
	struct digest *inputs;
	size_t n_inputs;

	pthread_mutex_t lock; /* protects what follows */
	bool started;
	struct map statuses; /* id -> int64_t *, when it started */
};

static void emit(const struct job *job, struct event *e)
{
	e->vertex = job->vertex;
	if (job->progress)
		job->progress->emit(job->progress->data, e);
}

static void emit_vertex(const struct job *job, enum vertex_state state, const char *error)
{
	struct event e = {.kind = EVENT_VERTEX};

	e.v = (struct event_vertex){
		.name = job->name,
		.state = state,
		.time = times_now_ns(),
		.error = error,
		.inputs = job->inputs,
		.n_inputs = job->n_inputs,
		.group = job->group,
		.group_name = job->group_name,
		.group_weak = job->group_weak,
	};
	emit(job, &e);
}

void progress_cached(const struct progress *progress, const struct digest *vertex,
		     const struct event_vertex *about)
{
	struct event e = {.kind = EVENT_VERTEX, .vertex = *vertex, .v = *about};

	e.v.state = VERTEX_CACHED;
	e.v.time = times_now_ns();
	if (progress)
		progress->emit(progress->data, &e);
}

struct job *job_open_quiet(const struct progress *progress, struct cancel *cancel,
			   const struct digest *vertex, const struct event_vertex *about)
{
	struct job *job = NEW(struct job);

	job->progress = progress;
	job->cancel = cancel;
	job->vertex = *vertex;
	job->name = xstrdup(about->name);
	job->group = xstrdup(about->group);
	job->group_name = xstrdup(about->group_name);
	job->group_weak = about->group_weak;
	job->n_inputs = about->n_inputs;
	if (about->n_inputs > 0) {
		job->inputs = xcalloc(about->n_inputs, sizeof(*job->inputs));
		memcpy(job->inputs, about->inputs, about->n_inputs * sizeof(*job->inputs));
	}
	pthread_mutex_init(&job->lock, NULL);
	return job;
}

struct job *job_open_vertex(const struct progress *progress, struct cancel *cancel,
			    const struct digest *vertex, const char *name)
{
	struct event_vertex about = {.name = name};
	struct job *job = job_open_quiet(progress, cancel, vertex, &about);

	job_start(job);
	return job;
}

struct job *job_open(const struct progress *progress, struct cancel *cancel, const char *name)
{
	static atomic_uint_least64_t count;
	_cleanup_hasher_ struct hasher h = {0};
	struct digest vertex;

	/* Steps outside a graph have no digest; two of one name are still two steps. */
	hasher_init(&h);
	hasher_add_string(&h, "kiln step");
	hasher_add_string(&h, name);
	hasher_add_u64(&h, atomic_fetch_add(&count, 1));
	hasher_final(&h, &vertex);
	return job_open_vertex(progress, cancel, &vertex, name);
}

void job_start(struct job *job)
{
	/* The sink is called under the lock here, and only here, so that no other thread's line can
	 * come before the vertex it belongs to. */
	pthread_mutex_lock(&job->lock);
	if (!job->started) {
		job->started = true;
		emit_vertex(job, VERTEX_STARTED, NULL);
	}
	pthread_mutex_unlock(&job->lock);
}

static void job_free(struct job *job)
{
	map_release(&job->statuses, free);
	pthread_mutex_destroy(&job->lock);
	free(job->inputs);
	free(job->group_name);
	free(job->group);
	free(job->name);
	free(job);
}

int job_close(struct job *job, int r, struct error *const *err)
{
	if (r >= 0 || r == -ERR_CANCELED) {
		if (job->started)
			emit_vertex(job, r >= 0 ? VERTEX_DONE : VERTEX_CANCELED, NULL);
	} else {
		job_start(job);
		emit_vertex(job, VERTEX_FAILED, error_text(err ? *err : NULL));
	}
	job_free(job);
	return r;
}

void job_close_cached(struct job *job)
{
	emit_vertex(job, VERTEX_CACHED, NULL);
	job_free(job);
}

void job_log(struct job *job, int stream, const void *data, size_t n)
{
	struct event e = {.kind = EVENT_LOG};

	job_start(job);
	e.log = (struct event_log){.stream = stream, .data = data, .n = n, .time = times_now_ns()};
	emit(job, &e);
}

void job_status(struct job *job, const char *id, uint64_t current, uint64_t total, bool completed)
{
	struct event e = {.kind = EVENT_STATUS};
	int64_t now = times_now_ns();
	int64_t started;
	void **slot;

	job_start(job);
	pthread_mutex_lock(&job->lock);
	slot = map_puts(&job->statuses, id);
	if (!*slot) {
		int64_t *time = NEW(int64_t);

		*time = now;
		*slot = time;
	}
	started = *(int64_t *)*slot;
	pthread_mutex_unlock(&job->lock);
	e.status = (struct event_status){
		.id = id,
		.current = current,
		.total = total,
		.time = now,
		.started = started,
		.completed = completed ? now : 0,
	};
	emit(job, &e);
}

void job_warn(struct job *job, const struct event_warning *warning)
{
	struct event e = {.kind = EVENT_WARNING, .warning = *warning};

	job_start(job);
	emit(job, &e);
}

struct cancel *job_cancel(struct job *job)
{
	return job->cancel;
}

struct digest job_vertex(const struct job *job)
{
	return job->vertex;
}
