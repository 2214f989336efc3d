/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/frontend.h"

#define EMPTY_SHA "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* One compilation; what is not set is as a plain build has it. */
struct build {
	struct frontend_opts opts;
	struct graph graph;
	struct frontend_result result;
	struct error *err;
	int r;
	char asked[1024]; /* what the resolver was asked for, space separated, and how often */
	unsigned rounds;
	const char *base_config; /* members of "config", NULL: PATH and Cmd */
	const char *ignore;	 /* .dockerignore of named contexts */
};

static int resolve(void *data, const struct image_request *requests, size_t n,
		   struct image_answer *answers, struct error **err)
{
	struct build *b = data;

	(void)err;
	b->rounds++;
	for (size_t i = 0; i < n; i++) {
		const struct image_request *q = &requests[i];
		size_t used = strlen(b->asked);

		(void)snprintf(b->asked + used, sizeof(b->asked) - used, "%s%s", used ? " " : "",
			       q->ref);
		if (strstr(q->ref, "missing")) {
			(void)error_new(&answers[i].error, ERR_NOTFOUND, 0, "%s: not found",
					q->ref);
			continue;
		}
		(void)!digest_parse(EMPTY_SHA, &answers[i].digest);
		answers[i].config =
			xasprintf("{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":{%s},"
				  "\"id\":\"x\",\"parent\":\"y\",\"container\":\"z\",\"docker_"
				  "version\":\"1\","
				  "\"rootfs\":{\"diff_ids\":[\"" EMPTY_SHA "\"]}}",
				  strstr(q->ref, "amd64only") ? "amd64" : q->platform.arch,
				  b->base_config ? b->base_config
						 : "\"Env\":[\"PATH=/bin\"],\"Cmd\":[\"sh\"]");
		answers[i].config_size = strlen(answers[i].config);
	}
	return 0;
}

static int read_file(void *data, const char *context, const char *path, struct buf *ret,
		     struct error **err)
{
	struct build *b = data;

	(void)context;
	assert_string_equal(path, ".dockerignore");
	if (!b->ignore)
		return error_new(err, ERR_NOTFOUND, 0, "no %s", path);
	buf_adds(ret, b->ignore);
	return 0;
}

static void compile(struct build *b, const char *text)
{
	b->opts.data = text;
	b->opts.size = strlen(text);
	b->opts.resolver = (struct image_resolver){resolve, b};
	b->opts.reader = (struct context_reader){read_file, b};
	if (!*b->opts.target_platform.os)
		(void)!platform_parse("linux/amd64", &b->opts.target_platform, NULL);
	(void)!platform_parse("linux/amd64", &b->opts.build_platform, NULL);
	graph_init(&b->graph);
	b->r = frontend_compile(&b->opts, &b->graph, &b->result, &b->err);
}

static void release(struct build *b)
{
	frontend_result_release(&b->result);
	graph_release(&b->graph);
	strv_release(&b->opts.build_args);
	strv_release(&b->opts.labels);
	strv_release(&b->opts.ignore);
	strv_release(&b->opts.no_cache_filter);
	error_free(b->err);
}

static void compile_ok(struct build *b, const char *text)
{
	compile(b, text);
	if (b->r < 0)
		fail_msg("%s", error_text(b->err));
}

/* The first vertex whose name holds `part`. */
static const struct vertex *find(const struct build *b, const char *part)
{
	for (size_t i = 0; i < b->graph.n; i++)
		if (strstr(b->graph.vertices[i]->meta.name, part))
			return b->graph.vertices[i];
	return NULL;
}

static const char *attr(const struct vertex *v, const char *key)
{
	for (size_t i = 0; i < v->op.source.attrs.n; i++)
		if (strcmp(v->op.source.attrs.v[i].key, key) == 0)
			return v->op.source.attrs.v[i].value;
	return NULL;
}

static const struct op_mount *mount_at(const struct vertex *v, const char *dest)
{
	for (size_t i = 0; i < v->op.exec.n_mounts; i++)
		if (strcmp(v->op.exec.mounts[i].dest, dest) == 0)
			return &v->op.exec.mounts[i];
	return NULL;
}

static const struct op_file_copy *copy_of(const struct vertex *v, size_t i)
{
	assert_true(i < v->op.file.n);
	assert_int_equal(v->op.file.actions[i].kind, FILE_COPY);
	return &v->op.file.actions[i].copy;
}

static void the_context_sends_only_what_needed_stages_use(void **state)
{
	struct build b = {0};

	(void)state;
	strv_push(&b.opts.ignore, "*.md");
	compile_ok(&b, "FROM busybox AS unused\nCOPY never /\n"
		       "FROM busybox AS dep\nCOPY src/a.c ./src/b.c /s/\n"
		       "RUN --mount=type=bind,source=gen,target=/g true\n"
		       "FROM busybox\nCOPY --from=dep /s /s\nADD x.tar.gz /\n");
	assert_string_equal(attr(find(&b, "load build context"), "local.followpaths"),
			    "[\"gen\",\"src/a.c\",\"src/b.c\",\"x.tar.gz\"]");
	assert_string_equal(attr(find(&b, "load build context"), "local.excludepatterns"),
			    "[\"*.md\"]");
	assert_string_equal(find(&b, "load build context")->op.source.identifier,
			    "local://context");
	release(&b);
}

static void the_whole_context_has_no_list_of_paths(void **state)
{
	struct build b = {0};

	(void)state;
	compile_ok(&b, "FROM busybox\nCOPY a /a\nCOPY . /all\n");
	assert_null(attr(find(&b, "load build context"), "local.followpaths"));
	release(&b);
}

static void unused_stages_are_not_resolved_and_each_image_is_asked_for_once(void **state)
{
	struct build b = {0};

	(void)state;
	compile_ok(&b, "FROM missing AS unused\nFROM alpine AS a\nFROM alpine AS b\nRUN b\n"
		       "FROM busybox\nCOPY --from=a /x /x\nCOPY --from=b /x /y\n"
		       "COPY --from=tools /x /z\n");
	assert_string_equal(b.asked, "docker.io/library/alpine:latest "
				     "docker.io/library/busybox:latest "
				     "docker.io/library/tools:latest");
	assert_int_equal(b.rounds, 1);
	release(&b);
}

static void an_image_is_pinned_by_its_digest(void **state)
{
	struct build b = {.opts.resolve_mode = RESOLVE_PULL};

	(void)state;
	compile_ok(&b, "FROM busybox:1.36 AS x\nRUN true\n");
	assert_non_null(find(&b, "[1/2] FROM docker.io/library/busybox:1.36@" EMPTY_SHA));
	assert_string_equal(b.graph.vertices[0]->op.source.identifier,
			    "docker-image://docker.io/library/busybox:1.36@" EMPTY_SHA);
	assert_string_equal(attr(b.graph.vertices[0], "image.resolvemode"), "pull");
	release(&b);
}

static void steps_are_named_and_counted_per_stage(void **state)
{
	struct build b = {0};

	(void)state;
	compile_ok(&b, "FROM busybox AS build\nARG V=3\nRUN make v=$V\n"
		       "FROM busybox\nworkdir /a\nENV X=1\nRUN 1\nRUN 2\nRUN 3\nRUN 4\nRUN 5\n"
		       "RUN 6\nRUN 7\ncopy --from=build /x $X\n");
	assert_non_null(find(&b, "[build 2/2] RUN make v=3"));
	assert_non_null(find(&b, "[stage-1  2/10] WORKDIR /a"));
	assert_non_null(find(&b, "[stage-1 10/10] COPY --from=build /x 1"));
	release(&b);
}

static void several_platforms_show_in_step_names(void **state)
{
	struct build b = {.opts.multi_platform = true};

	(void)state;
	(void)!platform_parse("linux/arm64", &b.opts.target_platform, NULL);
	compile_ok(&b, "FROM --platform=$BUILDPLATFORM golang AS build\nARG TARGETARCH\nRUN make\n"
		       "FROM alpine\nCOPY --from=build /x /x\n");
	assert_non_null(find(&b, "[linux/amd64 build 1/2] FROM docker.io/library/golang"));
	assert_non_null(find(&b, "[linux/amd64->arm64 build 2/2] RUN make"));
	assert_non_null(find(&b, "[linux/arm64 stage-1 2/2] COPY"));
	assert_string_equal(b.result.platform.arch, "arm64");
	release(&b);
}

static void run_sees_arguments_and_variables_in_the_order_they_were_set(void **state)
{
	struct build b = {0};
	const struct op_exec *e;

	(void)state;
	strv_push(&b.opts.build_args, "A=given");
	strv_push(&b.opts.build_args, "UNDECLARED=x");
	strv_push(&b.opts.build_args, "http_proxy=http://p");
	compile_ok(&b, "ARG G=global\nFROM busybox\nARG A=default\nARG G\nARG NOTHING\n"
		       "ENV B=1 A2=$A\nRUN env\n");
	e = &find(&b, "RUN env")->op.exec;
	assert_int_equal(e->env.n, 5);
	assert_string_equal(e->env.v[0], "PATH=/bin");
	assert_string_equal(e->env.v[1], "A=given");
	assert_string_equal(e->env.v[2], "G=global");
	assert_string_equal(e->env.v[3], "B=1");
	assert_string_equal(e->env.v[4], "A2=given");
	assert_string_equal(e->proxy.http, "http://p");
	release(&b);
}

static void mounts_are_compiled_with_their_defaults(void **state)
{
	struct build b = {0};
	const struct vertex *v;
	const struct op_mount *m;

	(void)state;
	strv_push(&b.opts.build_args, "BUILDKIT_CACHE_MOUNT_NS=ns");
	compile_ok(&b, "FROM busybox AS x\nFROM busybox\nWORKDIR /w\n"
		       "RUN --mount=type=cache,target=c,sharing=locked --mount=from=x,src=/a/../b,"
		       "target=/b,rw --mount=type=tmpfs,target=/t,size=1m "
		       "--mount=type=secret,id=s --mount=type=secret,id=e,env=E,required "
		       "--mount=type=ssh true\n");
	v = find(&b, "RUN --mount");
	m = mount_at(v, "/w/c");
	assert_string_equal(m->cache_id, "ns/c");
	assert_int_equal(m->sharing, SHARING_LOCKED);
	assert_int_equal(m->input, OP_INPUT_NONE);
	m = mount_at(v, "/b");
	assert_string_equal(m->selector, "/b");
	assert_false(m->readonly);
	assert_int_equal(m->output, OP_OUTPUT_NONE);
	assert_int_equal(mount_at(v, "/t")->tmpfs_size, 1 << 20);
	m = mount_at(v, "/run/secrets/s");
	assert_int_equal(m->mode, 0400);
	assert_true(m->optional);
	assert_null(mount_at(v, "/run/secrets/e"));
	assert_string_equal(v->op.exec.secret_envs[0].name, "E");
	assert_false(v->op.exec.secret_envs[0].optional);
	assert_int_equal(mount_at(v, "/run/buildkit/ssh_agent.0")->mode, 0600);
	assert_int_equal(mount_at(v, "/")->input, 0);
	assert_int_equal(b.result.outline.n_secrets, 2);
	release(&b);
}

static void copies_of_one_instruction_build_on_each_other(void **state)
{
	struct build b = {0};
	const struct vertex *v;

	(void)state;
	compile_ok(&b, "FROM busybox\nWORKDIR /w\nCOPY --chown=1:g --chmod=640 a ../b d/\n");
	v = find(&b, "COPY");
	assert_int_equal(v->n_inputs, 2);
	assert_int_equal(v->op.file.n, 2);
	assert_int_equal(v->op.file.actions[0].input, 0);
	assert_int_equal(v->op.file.actions[0].secondary_input, 1);
	assert_int_equal(v->op.file.actions[0].output, OP_OUTPUT_NONE);
	assert_int_equal(v->op.file.actions[1].input, 2);
	assert_int_equal(v->op.file.actions[1].output, 0);
	assert_string_equal(copy_of(v, 0)->dest, "/w/d/");
	assert_string_equal(copy_of(v, 1)->src, "/b");
	assert_int_equal(copy_of(v, 0)->mode, 0640);
	assert_int_equal(copy_of(v, 0)->owner.uid, 1);
	assert_string_equal(copy_of(v, 0)->owner.group, "g");
	release(&b);
}

static void a_link_is_a_layer_of_its_own_merged_on_top(void **state)
{
	struct build b = {0};
	const struct vertex *files, *merge;

	(void)state;
	compile_ok(&b, "FROM busybox\nCOPY --link a /a\n");
	files = find(&b, "[2/2] COPY --link");
	merge = find(&b, "[2/2] LINK COPY --link");
	assert_int_equal(files->op.file.actions[0].input, OP_INPUT_NONE);
	assert_int_equal(merge->op.kind, OP_MERGE);
	assert_ptr_equal(merge->inputs[1].vertex, files);
	assert_true(files->meta.progress_group_weak);
	assert_ptr_equal(b.result.target.vertex, merge);
	release(&b);
}

static void parents_keep_the_path_from_the_pivot_on(void **state)
{
	struct build b = {0};
	const struct op_file_copy *copy;

	(void)state;
	compile_ok(&b, "FROM busybox\nCOPY --parents --exclude=*.o a/./b/c /d/\n"
		       "COPY --parents x/*.c /d/\n");
	copy = copy_of(find(&b, "a/./b/c"), 0);
	assert_string_equal(copy->src, "/a");
	assert_string_equal(copy->include.v[0], "b/c");
	assert_string_equal(copy->required_paths.v[0], "/a/b/c");
	assert_string_equal(copy->exclude.v[0], "*.o");
	copy = copy_of(find(&b, "x/*.c"), 0);
	assert_string_equal(copy->src, "/");
	assert_string_equal(copy->include.v[0], "x/*.c");
	assert_int_equal(copy->required_paths.n, 0);
	release(&b);
}

static void heredocs_become_files(void **state)
{
	struct build b = {0};
	const struct vertex *v;

	(void)state;
	compile_ok(&b, "FROM busybox\nENV N=1\nCOPY <<a <<'b' /d/\n$N\na\n$N\nb\n"
		       "RUN <<EOF\n#!/bin/sh\ntrue\nEOF\n");
	v = find(&b, "COPY")->inputs[1].vertex;
	assert_memory_equal(v->op.file.actions[0].mkfile.data, "1\n", 2);
	v = find(&b, "COPY")->inputs[2].vertex;
	assert_memory_equal(v->op.file.actions[0].mkfile.data, "$N\n", 3);
	v = find(&b, "RUN <<EOF (#!/bin/sh...)");
	assert_string_equal(v->op.exec.args.v[2], "/dev/pipes/EOF");
	assert_true(mount_at(v, "/dev/pipes")->readonly);
	release(&b);
}

static void add_tells_archives_urls_and_repositories_apart(void **state)
{
	struct build b = {0};
	const struct vertex *v;

	(void)state;
	compile_ok(&b, "FROM busybox\nADD a.tar /a\nADD --unpack=false b.tar /b\n"
		       "ADD --checksum=" EMPTY_SHA " https://h.example/d/f.txt?q=1 /c/\n"
		       "ADD --keep-git-dir=true https://h.example/r.git?tag=v1#:sub /g\n");
	assert_true(copy_of(find(&b, "ADD a.tar"), 0)->attempt_unpack);
	assert_false(copy_of(find(&b, "b.tar"), 0)->attempt_unpack);
	v = find(&b, "f.txt");
	assert_string_equal(v->op.source.identifier, "https://h.example/d/f.txt?q=1");
	assert_string_equal(attr(v, "http.filename"), "f.txt");
	assert_string_equal(attr(v, "http.checksum"), EMPTY_SHA);
	v = find(&b, "r.git");
	assert_string_equal(v->op.source.identifier, "git://h.example/r.git#refs/tags/v1:sub");
	assert_string_equal(attr(v, "git.keepgitdir"), "true");
	release(&b);
}

static void a_url_s_path_names_the_file(void **state)
{
	static const struct {
		const char *url, *name;
	} cases[] = {
		{"http://h.example/d/f.txt", "f.txt"},
		{"http://h.example/d/", "d"},
		{"http://h.example/a%20b%2Fc%2b", "c+"},
		{"http://h.example/../..", "__unnamed__"},
		{"http://h.example/%2e%2e", "__unnamed__"},
		{"http://h.example/", "__unnamed__"},
		{"http://h.example?x=/y", "__unnamed__"},
		{"http://h.example/a%zz", "__unnamed__"},
		{"http://h.example/a%", "__unnamed__"},
		{"http://h.example/a%00b", "__unnamed__"},
		{"http://h.example/%e4", "\xe4"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = xasprintf("FROM busybox\nADD %s /c/\n", cases[i].url);
		struct build b = {0};

		compile_ok(&b, text);
		assert_string_equal(attr(find(&b, "ADD"), "http.filename"), cases[i].name);
		release(&b);
		free(text);
	}
}

static void named_contexts_stand_for_stages_and_images(void **state)
{
	static const struct named_context contexts[] = {
		{.name = "stage", .value = "/some/dir"},
		{.name = "alpine", .value = "docker-image://busybox:other"},
		{.name = "repo", .value = "https://h.example/r.git"},
		{.name = "layout", .value = "oci-layout:///var/l:tag"},
	};
	struct build b = {.opts.contexts = contexts, .opts.n_contexts = 4, .ignore = "x\n"};

	(void)state;
	compile_ok(&b, "FROM missing AS stage\nRUN never\nFROM alpine\nCOPY --from=stage /f /f\n"
		       "COPY --from=repo / /r\nCOPY --from=layout / /l\n");
	assert_null(find(&b, "never"));
	assert_string_equal(attr(find(&b, "[context stage]"), "local.followpaths"), "[\"f\"]");
	assert_string_equal(attr(find(&b, "[context stage]"), "local.excludepatterns"), "[\"x\"]");
	assert_string_equal(find(&b, "[context alpine]")->op.source.identifier,
			    "docker-image://docker.io/library/busybox:other@" EMPTY_SHA);
	assert_string_equal(find(&b, "[context repo]")->op.source.identifier,
			    "git://h.example/r.git");
	assert_string_equal(find(&b, "[context layout]")->op.source.identifier,
			    "oci-layout:///var/l@" EMPTY_SHA);
	release(&b);
}

static void triggers_of_a_base_image_run_first_and_may_need_more_images(void **state)
{
	struct build b = {.base_config = "\"OnBuild\":[\"COPY --from=tools /t /t\",\"ENV T=1\"]"};

	(void)state;
	compile_ok(&b, "FROM busybox\nRUN own\n");
	assert_int_equal(b.rounds, 2);
	assert_non_null(find(&b, "ONBUILD COPY --from=tools"));
	assert_ptr_equal(find(&b, "RUN own")->inputs[0].vertex, find(&b, "ONBUILD COPY"));
	assert_string_equal(env_get(&b.result.config.env, "T"), "1");
	assert_int_equal(b.result.config.on_build.n, 0);
	release(&b);
}

static void no_cache_marks_the_steps_of_the_named_stages(void **state)
{
	struct build b = {0};

	(void)state;
	strv_push(&b.opts.no_cache_filter, "ONE");
	compile_ok(&b, "FROM busybox AS one\nRUN first\nFROM one AS two\nRUN second\n");
	assert_true(find(&b, "RUN first")->meta.ignore_cache);
	assert_false(find(&b, "RUN second")->meta.ignore_cache);
	assert_string_equal(find(&b, "RUN first")->meta.stage, "one");
	release(&b);
}

static void a_child_has_a_row_for_each_layer_of_its_base_and_not_its_making(void **state)
{
	struct build b = {.base_config = "\"Hostname\":\"h\""};
	_cleanup_buf_ struct buf text = BUF_INIT;

	(void)state;
	compile_ok(&b, "FROM busybox\nENV A=1\n");
	assert_non_null(strstr(b.result.config.history.v[0].created_by, "from docker.io/"));
	image_config_write(&b.result.config, &text);
	assert_null(strstr(text.p, "\"id\""));
	assert_null(strstr(text.p, "Host"));
	release(&b);
}

static void the_epoch_dates_history_and_directories(void **state)
{
	struct build b = {0};

	(void)state;
	strv_push(&b.opts.build_args, "SOURCE_DATE_EPOCH=1700000000");
	compile_ok(&b, "FROM busybox\nWORKDIR /w\nARG SOURCE_DATE_EPOCH\n");
	assert_true(b.result.has_epoch);
	assert_string_equal(b.result.config.history.v[1].created, "2023-11-14T22:13:20Z");
	assert_int_equal(find(&b, "WORKDIR")->op.file.actions[0].mkdir.timestamp,
			 1700000000000000000);
	assert_string_equal(b.result.config.history.v[2].created_by,
			    "ARG SOURCE_DATE_EPOCH=1700000000");
	release(&b);
}

static void equal_steps_of_two_platforms_share_a_graph(void **state)
{
	struct build b = {.opts.multi_platform = true};
	struct frontend_result second;
	const char *text = "FROM --platform=$BUILDPLATFORM busybox AS b\nRUN gen\n"
			   "FROM busybox\nCOPY --from=b /g /g\n";
	size_t n;

	(void)state;
	compile_ok(&b, text);
	n = b.graph.n;
	(void)!platform_parse("linux/arm64", &b.opts.target_platform, NULL);
	assert_int_equal(frontend_compile(&b.opts, &b.graph, &second, NULL), 0);
	assert_int_equal(b.graph.n, n + 2); /* the other base image and the copy onto it */
	frontend_result_release(&second);
	release(&b);
}

static void errors_name_the_thing_and_the_line(void **state)
{
	static const struct {
		const char *text, *says, *hint;
		unsigned line;
	} cases[] = {
		{"FROM busybox\nCOPY --from=b$X /a /a\n", "not supported for --from", NULL, 2},
		{"FROM busybox AS x\nCOPY --from=x /a /a\n", "circular dependency", NULL, 2},
		{"FROM busybox AS x\nCOPY --from=y /a /a\nFROM busybox AS y\nFROM x\n",
		 "cannot copy from stage \"y\", it needs to be defined before current stage \"x\"",
		 NULL, 2},
		{"FROM busybox\nCOPY --from=9 a b\n", "invalid stage index 9", NULL, 2},
		{"FROM busybox\n\nSTOPSIGNAL SIGNOPE\n", "invalid signal: SIGNOPE", NULL, 3},
		{"FROM busybox\nRUN --mount=type=tmpfs,target=/ x\n", "invalid mount target", NULL,
		 2},
		{"FROM busybox\nCOPY --chmod=9 a b\n", "invalid chmod parameter: '9'", NULL, 2},
		{"FROM busybox\nCOPY --chmod=u=q a b\n", "invalid chmod parameter", NULL, 2},
		{"FROM busybox\nEXPOSE 1-99999\n", "invalid containerPort", NULL, 2},
		{"FROM busybox\nEXPOSE 2-1\n", "invalid containerPort", NULL, 2},
		{"FROM busybox\nEXPOSE 1/icmp\n", "invalid proto: icmp", NULL, 2},
		{"FROM busybox\nVOLUME [\"\"]\n", "can not be an empty string", NULL, 2},
		{"FROM Busybox\n", "must be lowercase", NULL, 1},
		{"ARG A\nFROM $A\n", "base name ($A) should not be blank", NULL, 2},
		{"FROM --platform=$TARGETPLATFOR busybox\n", "empty platform value",
		 "did you mean TARGETPLATFORM?", 1},
		{"FROM busybox AS missing1\nFROM missing2\n",
		 "missing2: docker.io/library/missing2:latest: not found", "did you mean missing1?",
		 2},
		{"FROM busybox AS build\nFROM missing.x/buil\n", "not found", NULL, 2},
		{"FROM busybox\nADD --checksum=" EMPTY_SHA " a b\n", "requires HTTP(S) or Git",
		 NULL, 2},
		{"FROM busybox\nADD --checksum=md5:1 http://x/a /a\n",
		 "unsupported digest algorithm", NULL, 2},
		{"FROM busybox\nCOPY http://x/a /a\n", "can't be a URL for COPY", NULL, 2},
		{"FROM Bad AS unused\nFROM busybox\n", "failed to parse stage name \"Bad\"", NULL,
		 1},
		{"FROM busybox\nRUN []\n", "arguments are required", NULL, 2},
		{"ARG SOURCE_DATE_EPOCH=s\nFROM busybox AS s\nFROM busybox\n",
		 "must use FROM scratch", NULL, 2},
		{"ARG SOURCE_DATE_EPOCH=s\nFROM scratch AS s\nLABEL a=b\nFROM busybox\n",
		 "does not meet source-only requirements: unsupported LABEL", NULL, 2},
		{"# syntax=other/frontend\nFROM busybox\n", "other/frontend", "docker/dockerfile",
		 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct build b = {0};

		compile(&b, cases[i].text);
		if (b.r == 0)
			fail_msg("compiles: %s", cases[i].text);
		if (!strstr(error_text(b.err), cases[i].says))
			fail_msg("'%s' does not say '%s'", error_text(b.err), cases[i].says);
		assert_int_equal(error_span(b.err).line, cases[i].line);
		if (cases[i].hint)
			assert_non_null(strstr(error_hint_text(b.err), cases[i].hint));
		release(&b);
	}
}

/* As in BuildKit, where whatever is copied or mounted from is a stage. */
static void the_only_stage_is_named_if_something_else_counts_as_one(void **state)
{
	static const struct {
		const char *line;
		bool named;
	} cases[] = {
		{"RUN true", false},
		{"COPY a /a", false},
		{"COPY --from=tools /a /a", true},
		{"RUN --mount=type=cache,target=/c true", true},
		{"RUN --mount=from=tools,target=/c true", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = xasprintf("FROM busybox\n%s\n", cases[i].line);
		struct build b = {0};

		compile_ok(&b, text);
		if ((find(&b, "[stage-0 2/2]") != NULL) != cases[i].named)
			fail_msg("%s", cases[i].line);
		release(&b);
	}
}

static void warnings_before_a_mistake_are_kept(void **state)
{
	struct build b = {0};

	(void)state;
	compile(&b, "FROM scratch AS Bad\nMAINTAINER me\nBADCMD\nMAINTAINER you\n");
	assert_int_equal(b.r, -ERR_INVALID);
	assert_int_equal(b.result.lint.n, 2);
	assert_int_equal(b.result.lint.warnings[0].rule, DF_RULE_STAGE_NAME_CASING);
	assert_int_equal(b.result.lint.warnings[1].rule, DF_RULE_MAINTAINER_DEPRECATED);
	assert_non_null(b.result.file);
	release(&b);
}

static void an_empty_epoch_takes_the_default_away(void **state)
{
	struct build b = {0};

	(void)state;
	strv_push(&b.opts.build_args, "SOURCE_DATE_EPOCH=");
	compile_ok(&b, "ARG SOURCE_DATE_EPOCH=5\nFROM busybox\nARG SOURCE_DATE_EPOCH\nRUN true\n");
	assert_false(b.result.has_epoch);
	for (size_t i = 0; i < find(&b, "RUN true")->op.exec.env.n; i++)
		assert_null(strstr(find(&b, "RUN true")->op.exec.env.v[i], "EPOCH"));
	release(&b);
}

/* A document goes to the shell as it is unless its marker is the whole command. */
static void only_a_marker_alone_is_replaced_by_its_document(void **state)
{
	static const char *const cases[][2] = {
		{"RUN <<E\nbody\nE\n", "body\n"},
		{"RUN 3<<E\nbody\nE\n", "body\n"},
		{"RUN <<'E;'\nbody\nE;\n", "body\n"},
		{"RUN 3 <<E\nbody\nE\n", "3 <<E\nbody\nE"},
		{"RUN <<E cat\nbody\nE\n", "<<E cat\nbody\nE"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = xasprintf("FROM busybox\n%s", cases[i][0]);
		struct build b = {0};

		compile_ok(&b, text);
		assert_string_equal(find(&b, "RUN")->op.exec.args.v[2], cases[i][1]);
		release(&b);
	}
}

static void add_lines(struct buf *b, const char *line, unsigned n)
{
	while (n-- > 0)
		buf_adds(b, line);
}

static void what_a_file_expands_to_is_bounded(void **state)
{
	static const struct {
		const char *twice, *line, *says;
		unsigned n_twice, n;
	} cases[] = {
		{"ENV A=$A$A\n", "ENV B=$A\n", "values of all instructions are too large", 6, 50},
		{"", "RUN true\n", "history of the image is larger", 0, 1200},
		{"ENV A=$A$A\n", "RUN true\n", "environments of all steps are larger", 6, 300},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		struct build b = {0};

		buf_addf(&text, "FROM busybox\n%s A=", cases[i].n_twice > 0 ? "ENV" : "ARG");
		add_lines(&text, "x", 60000);
		buf_addc(&text, '\n');
		add_lines(&text, cases[i].twice, cases[i].n_twice);
		add_lines(&text, cases[i].line, cases[i].n);
		compile(&b, text.p);
		assert_int_equal(b.r, -ERR_INVALID);
		if (!strstr(error_text(b.err), cases[i].says))
			fail_msg("%s", error_text(b.err));
		release(&b);
	}
}

static void a_wrong_target_suggests_a_stage(void **state)
{
	struct build b = {.opts.target = "biuld"};

	(void)state;
	compile(&b, "FROM busybox AS build\nFROM busybox AS final\n");
	assert_string_equal(error_text(b.err), "target stage \"biuld\" could not be found (did "
					       "you mean build?)");
	release(&b);
}

static void semantic_rules_warn(void **state)
{
	struct build b = {0};
	static const enum df_rule want[] = {
		DF_RULE_INVALID_DEFAULT_ARG_IN_FROM,
		DF_RULE_UNDEFINED_ARG_IN_FROM,
		DF_RULE_INVALID_BASE_IMAGE_PLATFORM,
		DF_RULE_WORKDIR_RELATIVE_PATH,
		DF_RULE_UNDEFINED_VAR,
		DF_RULE_COPY_IGNORED_FILE,
		DF_RULE_EXPOSE_INVALID_FORMAT,
	};

	(void)state;
	strv_push(&b.opts.ignore, "secret");
	strv_push(&b.opts.build_args, "BASE=amd64only");
	(void)!platform_parse("linux/arm64", &b.opts.target_platform, NULL);
	compile_ok(&b, "ARG BASE\nFROM $BASE$NOPE\nWORKDIR rel\nENV A=$PAHT\nCOPY secret/x /\n"
		       "EXPOSE 80:80\n");
	assert_int_equal(b.result.lint.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(b.result.lint.warnings[i].rule, want[i]);
	assert_string_equal(b.result.lint.warnings[4].text,
			    "Usage of undefined variable '$PAHT' (did you mean $PATH?)");
	release(&b);
}

static void a_base_of_scratch_is_no_vertex(void **state)
{
	struct build b = {0};

	(void)state;
	compile_ok(&b, "FROM scratch\nLABEL a=b\n");
	assert_null(b.result.target.vertex);
	assert_int_equal(b.graph.n, 0);
	assert_string_equal(b.result.config.working_dir, "/");
	release(&b);
}

static void ten_thousand_stages_compile(void **state)
{
	struct build b = {0};
	_cleanup_buf_ struct buf text = BUF_INIT;

	(void)state;
	buf_adds(&text, "FROM busybox AS s0\n");
	for (unsigned i = 1; i < 10000; i++)
		buf_addf(&text, "FROM s%u AS s%u\nENV A%u=1\n", i - 1, i, i);
	compile_ok(&b, text.p);
	assert_int_equal(b.graph.n, 1);
	assert_int_equal(b.result.config.history.n, 1 + 9999);
	release(&b);
}

static void thousands_of_variables_and_mistakes_are_no_problem(void **state)
{
	struct build b = {0};
	_cleanup_buf_ struct buf text = BUF_INIT;

	(void)state;
	for (unsigned i = 1; i <= 4096; i++)
		buf_addf(&text, "ARG A%u=$A%u\n", i, i - 1);
	buf_adds(&text, "FROM busybox$UNKNOWN\n");
	for (unsigned i = 0; i < 2000; i++)
		buf_addf(&text, "ARG B%u=$C%u\n", i, i);
	buf_adds(&text, "RUN true\n");
	compile_ok(&b, text.p);
	assert_int_equal(find(&b, "RUN true")->op.exec.env.n, 2001);
	assert_int_equal(b.result.lint.n, 2001);
	release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_context_sends_only_what_needed_stages_use),
		cmocka_unit_test(the_whole_context_has_no_list_of_paths),
		cmocka_unit_test(unused_stages_are_not_resolved_and_each_image_is_asked_for_once),
		cmocka_unit_test(an_image_is_pinned_by_its_digest),
		cmocka_unit_test(steps_are_named_and_counted_per_stage),
		cmocka_unit_test(several_platforms_show_in_step_names),
		cmocka_unit_test(run_sees_arguments_and_variables_in_the_order_they_were_set),
		cmocka_unit_test(mounts_are_compiled_with_their_defaults),
		cmocka_unit_test(copies_of_one_instruction_build_on_each_other),
		cmocka_unit_test(a_link_is_a_layer_of_its_own_merged_on_top),
		cmocka_unit_test(parents_keep_the_path_from_the_pivot_on),
		cmocka_unit_test(heredocs_become_files),
		cmocka_unit_test(add_tells_archives_urls_and_repositories_apart),
		cmocka_unit_test(a_url_s_path_names_the_file),
		cmocka_unit_test(named_contexts_stand_for_stages_and_images),
		cmocka_unit_test(triggers_of_a_base_image_run_first_and_may_need_more_images),
		cmocka_unit_test(no_cache_marks_the_steps_of_the_named_stages),
		cmocka_unit_test(a_child_has_a_row_for_each_layer_of_its_base_and_not_its_making),
		cmocka_unit_test(the_epoch_dates_history_and_directories),
		cmocka_unit_test(equal_steps_of_two_platforms_share_a_graph),
		cmocka_unit_test(errors_name_the_thing_and_the_line),
		cmocka_unit_test(a_wrong_target_suggests_a_stage),
		cmocka_unit_test(semantic_rules_warn),
		cmocka_unit_test(a_base_of_scratch_is_no_vertex),
		cmocka_unit_test(the_only_stage_is_named_if_something_else_counts_as_one),
		cmocka_unit_test(warnings_before_a_mistake_are_kept),
		cmocka_unit_test(an_empty_epoch_takes_the_default_away),
		cmocka_unit_test(only_a_marker_alone_is_replaced_by_its_document),
		cmocka_unit_test(what_a_file_expands_to_is_bounded),
		cmocka_unit_test(ten_thousand_stages_compile),
		cmocka_unit_test(thousands_of_variables_and_mistakes_are_no_problem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
