/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles the Dockerfiles of the conformance corpus (tests/conformance/cases) with made-up base
 * images and compares image config, history, warnings and errors with what was recorded. Nothing is
 * run, so files and cache behaviour are the end-to-end run's business. */
#include <errno.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <dirent.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/imageref.h"
#include "base/json.h"
#include "base/pattern.h"
#include "frontend/frontend.h"

#define BUSYBOX_ENV "\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\""
#define BUSYBOX "\"Env\":[" BUSYBOX_ENV "],\"Cmd\":[\"sh\"]"
#define DIFF "\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""

/* As the corpus' fixtures make them. */
static const struct {
	const char *name, *config;
} images[] = {
	{"busybox", BUSYBOX},
	{"corpus-config",
	 "\"User\":\"app\",\"ExposedPorts\":{\"80/tcp\":{}},\"Env\":[" BUSYBOX_ENV
	 ",\"BASE=1\",\"OTHER=from base\"],\"Entrypoint\":[\"/bin/echo\",\"base\"],"
	 "\"Cmd\":[\"basecmd\"],\"Volumes\":{\"/basevol\":{}},\"WorkingDir\":\"/base\","
	 "\"Labels\":{\"base\":\"yes\",\"kept\":\"1\"},\"StopSignal\":\"SIGINT\","
	 "\"Healthcheck\":{\"Test\":[\"CMD\",\"true\"],\"Interval\":5000000000,\"Retries\":2}"},
	{"corpus-onbuild",
	 BUSYBOX ",\"OnBuild\":[\"ENV TRIG=1\",\"COPY . /app/\",\"RUN cat /app/a > /triggered\"]"},
	{"corpus-docker", BUSYBOX},
	{"corpus-moving", BUSYBOX},
	{"corpus-layers", BUSYBOX},
	{"corpus-multi", NULL},
};

/* Messages of errors that only show when steps run, or that the command line finds. */
static bool shows_later(const char *reference)
{
	static const char *const signs[] = {
		"did not complete successfully",
		"failed to compute cache key",
		"failed to stat",
		"failed to copy",
		"failed to unpack",
		"not allowed",
		"cannot ",
		"is a directory",
		"secret ",
		"checksum mismatch",
		"digest mismatch",
		"unable to",
		"runc run failed",
		"no users found",
		"not found",
		"mkdir ",
		"invalid argument",
		"set one or more",
		"invalid user index",
		"no SSH key",
	};

	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		if (strstr(reference, signs[i]))
			return true;
	return false;
}

struct corpus_case {
	const char *dir, *name;
	json_t *spec, *expect;
	struct buf problems;
};

static int answer(const struct image_request *q, struct image_answer *a)
{
	struct imageref ref = IMAGEREF_INIT;
	_cleanup_free_ char *name = NULL;

	if (imageref_parse(q->ref, &ref, NULL) < 0)
		return -1;
	name = imageref_familiar_name(&ref);
	imageref_release(&ref);
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		const char *config = images[i].config;
		char multi[64];

		if (strcmp(images[i].name, name) != 0)
			continue;
		(void)snprintf(multi, sizeof(multi), "\"Env\":[\"ARCH=%s\"]", q->platform.arch);
		a->digest = digest_of(name, strlen(name));
		a->config = xasprintf("{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":{%s},"
				      "\"rootfs\":{\"diff_ids\":[" DIFF "]},"
				      "\"history\":[{\"created_by\":\"fixture %s\"}]}",
				      config ? "amd64" : q->platform.arch, config ? config : multi,
				      q->platform.arch);
		a->config_size = strlen(a->config);
		return 0;
	}
	return -1;
}

static int resolve(void *data, const struct image_request *requests, size_t n,
		   struct image_answer *answers, struct error **err)
{
	(void)data;
	(void)err;
	for (size_t i = 0; i < n; i++)
		if (answer(&requests[i], &answers[i]) < 0)
			(void)error_new(&answers[i].error, ERR_NOTFOUND, 0, "%s: not found",
					requests[i].ref);
	return 0;
}

static bool read_text(const char *path, struct buf *b)
{
	FILE *f = fopen(path, "re");
	char chunk[4096];
	size_t n;

	if (!f)
		return false;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(b, chunk, n);
	(void)fclose(f);
	return true;
}

static int read_context(void *data, const char *context, const char *path, struct buf *ret,
			struct error **err)
{
	const struct corpus_case *k = data;
	_cleanup_free_ char *file = xasprintf("%s/extra/%s/%s", k->dir, context, path);

	if (!read_text(file, ret))
		return error_new(err, ERR_NOTFOUND, 0, "no such file");
	return 0;
}

struct invocation {
	struct frontend_opts opts;
	struct strv platforms;
	VEC(struct named_context) contexts;
	const char *file;
	bool check;
};

static void set_platforms(struct invocation *inv, const char *list)
{
	while (*list) {
		size_t n = strcspn(list, ",");

		strv_pushn(&inv->platforms, list, n);
		list += n + (list[n] == ',');
	}
}

static void set_option(struct invocation *inv, const char *key, const char *value)
{
	if (strcmp(key, "--build-arg") == 0 && strchr(value, '='))
		strv_push(&inv->opts.build_args, value);
	else if (strcmp(key, "--build-arg") == 0 && strcmp(value, "CORPUS_ENV") == 0)
		strv_push(&inv->opts.build_args, "CORPUS_ENV=from the environment");
	else if (strcmp(key, "--label") == 0)
		strv_push(&inv->opts.labels, value);
	else if (strcmp(key, "--target") == 0)
		inv->opts.target = value;
	else if (strcmp(key, "-f") == 0)
		inv->file = value;
	else if (strcmp(key, "--platform") == 0)
		set_platforms(inv, value);
	else if (strcmp(key, "--build-context") == 0)
		vec_push(&inv->contexts,
			 (struct named_context){.name = xstrndup(value, strcspn(value, "=")),
						.value = strchr(value, '=') + 1});
}

static void parse_args(struct invocation *inv, const json_t *spec)
{
	const json_t *args = json_object_get(spec, "args");

	for (size_t i = 0; i < json_array_size(args); i++) {
		const char *arg = json_string_value(json_array_get(args, i));
		const char *eq = strncmp(arg, "--", 2) == 0 ? strchr(arg, '=') : NULL;
		_cleanup_free_ char *key = xstrndup(arg, eq ? (size_t)(eq - arg) : strlen(arg));

		if (strcmp(key, "--check") == 0)
			inv->check = true;
		else if (eq)
			set_option(inv, key, eq + 1);
		else if (*arg == '-' && i + 1 < json_array_size(args))
			set_option(inv, key, json_string_value(json_array_get(args, ++i)));
	}
}

static void invocation_release(struct invocation *inv)
{
	for (size_t i = 0; i < inv->contexts.n; i++)
		free((void *)(uintptr_t)inv->contexts.v[i].name);
	vec_release(&inv->contexts);
	strv_release(&inv->platforms);
	strv_release(&inv->opts.build_args);
	strv_release(&inv->opts.labels);
	strv_release(&inv->opts.ignore);
}

/* The ignore file: beside the Dockerfile if there is one, else the context's. */
static void read_ignore(const struct corpus_case *k, struct invocation *inv)
{
	_cleanup_free_ char *own = xasprintf("%s/context/%s.dockerignore", k->dir, inv->file);
	_cleanup_free_ char *general = xasprintf("%s/context/.dockerignore", k->dir);
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (read_text(own, &text) || read_text(general, &text))
		(void)!ignorefile_parse("ignore", text.p, text.n, &inv->opts.ignore, NULL);
}

static void problem(struct corpus_case *k, const char *fmt, ...) _printf_(2, 3);
static void problem(struct corpus_case *k, const char *fmt, ...)
{
	va_list ap;

	buf_addf(&k->problems, "%s: ", k->name);
	va_start(ap, fmt);
	buf_vaddf(&k->problems, fmt, ap);
	va_end(ap);
	buf_addc(&k->problems, '\n');
}

static void compare_json(struct corpus_case *k, const char *what, const json_t *want,
			 const json_t *got)
{
	_cleanup_buf_ struct buf w = BUF_INIT, g = BUF_INIT;

	js_dump(want, true, &w);
	js_dump(got, true, &g);
	if (strcmp(w.p, g.p) != 0)
		problem(k, "%s is\n  %s\nnot\n  %s", what, g.p, w.p);
}

static json_t *config_of(const struct frontend_result *res)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_json_ json_t *doc = NULL;
	json_t *config;

	image_config_write(&res->config, &text);
	assert_int_equal(js_parse("config", text.p, text.n, &doc, NULL), 0);
	config = json_incref(json_object_get(doc, "config"));
	if (json_is_string(json_object_get(config, "WorkingDir")) &&
	    !*json_string_value(json_object_get(config, "WorkingDir")))
		(void)json_object_del(config, "WorkingDir");
	return config;
}

static json_t *history_of(const struct frontend_result *res, bool scratch)
{
	static const char suffix[] = " # buildkit";
	json_t *rows = json_array();

	for (size_t i = scratch ? 0 : 1; i < res->config.history.n; i++) {
		const struct image_history *h = &res->config.history.v[i];
		size_t n = strlen(h->created_by), cut = strlen(suffix);

		if (n > cut && strcmp(h->created_by + n - cut, suffix) == 0)
			n -= cut;
		(void)json_array_append_new(rows,
					    json_pack("{s:s%,s:b}", "created_by", h->created_by, n,
						      "empty_layer", (int)h->empty_layer));
	}
	return rows;
}

static json_t *plain_history(const json_t *rows)
{
	json_t *copy = json_deep_copy(rows);

	for (size_t i = 0; i < json_array_size(copy); i++)
		(void)json_object_del(json_array_get(copy, i), "created");
	return copy;
}

static void check_ok(struct corpus_case *k, const struct frontend_result *res, size_t platform)
{
	const json_t *image = json_array_get(json_object_get(k->expect, "images"), platform);
	_cleanup_json_ json_t *config = config_of(res), *history = NULL, *want = NULL;
	char text[64];

	if (!image)
		return;
	history = history_of(res, json_is_null(json_object_get(image, "base")) ||
					  !json_object_get(image, "base"));
	want = plain_history(json_object_get(image, "history"));
	compare_json(k, "config", json_object_get(image, "config"), config);
	compare_json(k, "history", want, history);
	if (strcmp(json_string_value(json_object_get(image, "platform")),
		   platform_format(&res->platform, text)) != 0)
		problem(k, "platform is %s", text);
}

static void check_error(struct corpus_case *k, const struct error *err)
{
	const json_t *match = json_object_get(k->expect, "match");
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (error_file(err))
		buf_addf(&text, "%s:%u\n", error_file(err), error_span(err).line);
	buf_addf(&text, "%s\n%s", error_text(err),
		 error_hint_text(err) ? error_hint_text(err) : "");
	for (size_t i = 0; i < json_array_size(match); i++) {
		const char *pattern = json_string_value(json_array_get(match, i));
		int flags = REG_EXTENDED | REG_NOSUB;
		regex_t re;

		if (strncmp(pattern, "(?i)", 4) == 0) {
			flags |= REG_ICASE;
			pattern += 4;
		}
		if (regcomp(&re, pattern, flags) != 0) {
			problem(k, "pattern %s", pattern);
			continue;
		}
		if (regexec(&re, text.p, 0, NULL, 0) != 0)
			problem(k, "error does not match %s:\n%s", pattern, text.p);
		regfree(&re);
	}
}

static int compare_rows(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_lint(struct corpus_case *k, const struct frontend_result *res)
{
	const json_t *want = json_object_get(k->expect, "warnings");
	_cleanup_strv_ struct strv w = {0}, g = {0};
	_cleanup_free_ char *wanted = NULL, *got = NULL;

	for (size_t i = 0; i < json_array_size(want); i++) {
		const json_t *row = json_array_get(want, i);

		strv_pushf(&w, "%s %d", json_string_value(json_array_get(row, 0)),
			   (int)json_integer_value(json_array_get(row, 1)));
	}
	for (size_t i = 0; i < res->lint.n; i++)
		strv_pushf(&g, "%s %u", df_rules[res->lint.warnings[i].rule].name,
			   res->lint.warnings[i].span.line);
	if (w.n > 0)
		qsort(w.v, w.n, sizeof(*w.v), compare_rows);
	if (g.n > 0)
		qsort(g.v, g.n, sizeof(*g.v), compare_rows);
	wanted = strv_join(&w, ", ");
	got = strv_join(&g, ", ");
	if (strcmp(wanted, got) != 0)
		problem(k, "warnings are [%s], not [%s]", got, wanted);
}

static void run_platform(struct corpus_case *k, struct invocation *inv, size_t platform)
{
	const char *result = json_string_value(json_object_get(k->expect, "result"));
	const char *reference = json_string_value(json_object_get(k->expect, "reference_message"));
	_cleanup_(error_freep) struct error *err = NULL;
	struct frontend_result res;
	struct graph g;
	int r;

	graph_init(&g);
	r = frontend_compile(&inv->opts, &g, &res, &err);
	if (!result || inv->check) {
		if (r < 0 && !inv->check)
			problem(k, "fails: %s", error_text(err));
		if (inv->check)
			check_lint(k, &res);
	} else if (strcmp(result, "ok") == 0) {
		if (r == 0)
			check_ok(k, &res, platform);
		else if (!json_object_get(k->expect, "or_error"))
			problem(k, "fails: %s", error_text(err));
	} else if (strcmp(result, "error") == 0) {
		if (r < 0)
			check_error(k, err);
		else if (!shows_later(reference))
			problem(k, "does not fail: %s", reference);
	}
	frontend_result_release(&res);
	graph_release(&g);
}

static void run_case(struct corpus_case *k)
{
	struct invocation inv = {.file = "Dockerfile"};
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;

	parse_args(&inv, k->spec);
	path = xasprintf("%s/context/%s", k->dir, inv.file);
	if (strncmp(inv.file, "../", 3) == 0) {
		free(path);
		path = xasprintf("%s/%s", k->dir, inv.file + 3);
	}
	if (read_text(path, &text) && (text.n > 0 || strcmp(k->name, "error-empty") == 0)) {
		read_ignore(k, &inv);
		inv.opts.data = text.p;
		inv.opts.size = text.n;
		inv.opts.contexts = inv.contexts.v;
		inv.opts.n_contexts = inv.contexts.n;
		inv.opts.all_stages = inv.check && !inv.opts.target;
		inv.opts.resolver = (struct image_resolver){resolve, NULL};
		inv.opts.reader = (struct context_reader){read_context, k};
		(void)!platform_parse("linux/amd64", &inv.opts.build_platform, NULL);
		inv.opts.implicit_platform = inv.platforms.n == 0;
		inv.opts.multi_platform = inv.platforms.n > 1;
		if (inv.platforms.n == 0)
			strv_push(&inv.platforms, "linux/amd64");
		for (size_t i = 0; i < inv.platforms.n; i++) {
			(void)!platform_parse(inv.platforms.v[i], &inv.opts.target_platform, NULL);
			run_platform(k, &inv, i);
		}
	}
	invocation_release(&inv);
}

static json_t *load(const char *dir, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_buf_ struct buf text = BUF_INIT;
	json_t *doc = NULL;

	if (read_text(path, &text))
		(void)!js_parse(name, text.p, text.n, &doc, NULL);
	return doc;
}

static void every_case_compiles_to_what_was_recorded(void **state)
{
	const char *dir =
		getenv("KILN_CORPUS") ? getenv("KILN_CORPUS") : TEST_DATA "/../conformance/cases";
	DIR *d = opendir(dir);
	const struct dirent *e;
	struct buf problems = BUF_INIT;
	unsigned n = 0;
	bool failed;

	(void)state;
	if (!d) {
		print_message("skip: no corpus at %s\n", dir);
		skip();
		return;
	}
	while ((e = readdir(d))) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, e->d_name);
		struct corpus_case k = {.dir = path, .name = e->d_name, .problems = BUF_INIT};

		k.spec = load(path, "case.json");
		k.expect = load(path, "expect.json");
		if (k.spec && k.expect) {
			run_case(&k);
			n++;
		}
		buf_adds(&problems, k.problems.p);
		buf_release(&k.problems);
		json_decref(k.spec);
		json_decref(k.expect);
	}
	(void)closedir(d);
	(void)fprintf(stderr, "%s%u cases\n", problems.p, n);
	failed = problems.n > 0;
	buf_release(&problems);
	assert_false(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_compiles_to_what_was_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
