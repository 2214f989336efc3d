/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln build`: from the command line to the graph, its results and what is printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/build/build_cache.h"
#include "cmd/build/build_call.h"
#include "cmd/build/build_host.h"
#include "cmd/build/build_record.h"
#include "cmd/build/build_report.h"
#include "cmd/build/build_request.h"
#include "cmd/build/debug_graph.h"
#include "cmd/build/debug_shell.h"
#include "cmd/cli/session.h"
#include "cmd/commands.h"
#include "engine/engine.h"
#include "engine/remote_cache/remote_import.h"
#include "store/space.h"

/* One build: everything that lives from the parsed command line to the exit status. */
struct build {
	struct build_request request;
	struct build_session session;
	struct build_host *host; /* what started it; NULL: a person */
	struct display *display;
	struct build_record record;
	struct debug_shell shell;
	const char *shell_step; /* `kiln debug shell`: open one there and build no more; NULL: no */
};

static void build_release(struct build *b)
{
	build_record_release(&b->record);
	build_request_release(&b->request);
	build_session_close(&b->session);
	build_host_close(b->host);
}

/* Builds what the step needs; its shell ends the build. */
static int open_shell(struct build *b, struct error **err)
{
	_cleanup_(result_unrefp) struct result *result = NULL;
	struct vertex *step = NULL;
	struct edge target = {0};
	int r = debug_shell_before(&b->shell, &b->session.graph, b->shell_step,
				   &b->session.engine->session.debugger, &step, err);

	target.vertex = step;
	if (r == 0)
		r = engine_solve(b->session.engine, &b->session.graph, &target, 1,
				 b->session.progress, &result, err);
	return r;
}

static int run(struct build *b, struct error **err)
{
	int r;

	b->request.session = &b->session;
	r = build_session_open(&b->session, err);
	if (r == 0)
		r = build_request_grant(&b->request, err);
	if (r < 0)
		return r;
	if (b->host)
		build_host_lend(b->host, &b->session.engine->session.grants);
	build_cache_policy(&b->request.options, &b->session.engine->cache_policy);
	if (b->request.options.debug_shell)
		debug_shell_on_failure(&b->shell, &b->session.engine->session.debugger);

	if (r == 0 && b->request.call.method == CALL_BUILD)
		r = build_cache_import(&b->request.options, b->session.engine, b->session.progress,
				       err);
	if (r == 0)
		r = build_request_compile(&b->request, err);
	if (r < 0 || b->request.call.method != CALL_BUILD)
		return r;
	b->session.engine->cache_policy.project =
		arena_printf(&b->session.graph.arena, "%s/%s",
			     b->request.input.context_dir ? b->request.input.context_dir : "",
			     b->request.input.name);
	r = build_cache_mark(&b->request.options, &b->session.graph, err);
	if (r == 0)
		r = build_cache_reset_mounts(&b->request.options, &b->session.graph,
					     b->session.store, err);
	build_request_foresee(&b->request);
	if (r == 0)
		r = b->shell_step ? open_shell(b, err)
				  : build_outputs_make(&b->request.outputs, err);
	return r;
}

static int finish(struct build *b, int r, struct error **err)
{
	const struct df_file *file = b->request.n_platforms ? b->request.compiled[0].file : NULL;

	/* What is read in the background tells the display of it. */
	if (b->session.engine)
		remote_imports_stop(b->session.engine->imports);
	if (b->request.call.method == CALL_BUILD)
		build_record_end(&b->record, b->display, r < 0 ? *err : NULL);
	display_close(b->display, r < 0);
	if (b->shell_step && b->shell.opened) {
		error_free(*err);
		return b->shell.status;
	}
	if (b->request.options.display != DISPLAY_QUIET)
		session_warn(b->session.store);
	if (b->request.call.method == CALL_GRAPH && r == 0)
		return debug_graph_print(&b->session.graph, b->request.compiled,
					 b->request.n_platforms, b->request.call.json, err);
	if (b->request.call.method != CALL_BUILD && b->request.n_platforms) {
		r = build_call_answer(&b->request.call, &b->request.compiled[0], r, err);
		return r < 0 ? build_report_error(file, r, err) : r;
	}
	if (b->request.n_platforms && b->request.options.display != DISPLAY_QUIET)
		build_report_warnings(&b->request.compiled[0].lint);
	if (b->session.engine && b->request.options.explain &&
	    (r == 0 || b->session.engine->cache_policy.reasons.n > 0))
		build_cache_explain(&b->session.engine->cache_policy.reasons);
	if (r == 0)
		r = build_report_result(&b->request.outputs, b->record.ref, err);
	if (r < 0 && b->host)
		build_host_fail(b->host, *err, file ? b->request.input.name : NULL,
				&b->request.input.text);
	return r < 0 ? build_report_error(file, r, err) : 0;
}

static int build(const struct command *self, struct build *b, struct error **err)
{
	int r = build_input_check(&b->request.options, err);

	if (r == 0 && b->request.call.method == CALL_BUILD)
		r = build_outputs_check(&b->request.options, err);
	if (r == 0)
		r = session_open_store(&b->session.store, err);
	if (r < 0) {
		(void)error_wrap(err, r, "failed to build");
		return session_fail(r, err);
	}
	b->session.cancel = session_cancel();
	if (b->request.options.host_fd > 0)
		r = build_host_open((int)b->request.options.host_fd, b->session.cancel, &b->host,
				    err);
	if (r < 0)
		return session_fail(error_wrap(err, r, "failed to build"), err);
	r = display_open(b->request.options.display, "Building", &b->display, err);
	if (r == -ERR_IO)
		return session_fail(error_wrap(err, r, "failed to build"), err);
	if (r < 0)
		return session_usage(self, err);
	if (b->request.call.method == CALL_BUILD)
		build_record_begin(&b->record, b->display);
	b->session.progress = display_progress(b->display);
	b->shell.display = b->display;
	b->shell.cancel = b->session.cancel;
	r = run(b, err);
	/* They take some milliseconds to go, and the store to wait for its disk. */
	if (b->session.engine)
		engine_dismiss(b->session.engine);
	r = finish(b, r, err);
	if (b->request.call.method == CALL_BUILD)
		build_record_write(&b->record, &b->request);
	/* The build is done; what the store could not tidy now it tidies after the next. */
	if (!cancel_is_set(b->session.cancel))
		(void)!space_maintain(b->session.store, NULL);
	store_settle(b->session.store);
	return r;
}

/* A build for another command. */
static int build_for(struct build *b, const struct command *self, int argc, char **argv)
{
	struct error *err = NULL;
	int r = build_options_parse(&b->request.options, self, argc, argv, &err), status;

	graph_init(&b->session.graph);
	if (r < 0)
		status = session_usage(self, &err);
	else
		status = r > 0 ? 0 : build(self, b, &err);
	build_release(b);
	return status;
}

int build_debug_graph(const struct command *self, int argc, char **argv, bool json)
{
	struct build b = {.request.call = {.method = CALL_GRAPH, .json = json}};

	return build_for(&b, self, argc, argv);
}

int build_debug_shell(const struct command *self, int argc, char **argv, const char *step)
{
	struct build b = {.shell_step = step};

	return build_for(&b, self, argc, argv);
}

int cmd_build(const struct command *self, int argc, char **argv)
{
	struct build b = {0};
	struct error *err = NULL;
	int r = build_options_parse(&b.request.options, self, argc, argv, &err), status;

	graph_init(&b.session.graph);
	if (r == 0)
		r = build_call_parse(b.request.options.check ? "check" : b.request.options.call,
				     &b.request.call, &err);
	if (r < 0)
		status = session_usage(self, &err);
	else if (r > 0)
		status = 0;
	else
		status = build(self, &b, &err);
	build_release(&b);
	return status;
}
