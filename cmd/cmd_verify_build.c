/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln verify-build`: builds twice from cold and compares the images. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/spawn.h"
#include "base/times.h"
#include "cmd/build/build_options.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/commands.h"
#include "engine/image/image_compare.h"
#include "engine/sandbox/userns.h"

/* What must not show in an image. Neither zone is that of many machines, and in a Turkish locale
 * "I" and "i" are not a pair; where it is not installed programs fall back to C. */
static const struct surroundings {
	const char *dir; /* of store, temporary files and result, below the command's own */
	const char *zone, *locale;
	mode_t umask;
} surroundings[] = {
	{"first", "UTC", "C", 0022},
	{"another-place/second", "Pacific/Kiritimati", "tr_TR.UTF-8", 0077},
};

struct verify {
	char *dir; /* of both builds */
	int argc;
	char **argv;
};

/* --- one build --- */

static bool is_replaced(const char *variable)
{
	static const char *const names[] = {"KILN_ROOT=", "TMPDIR=", "TZ=", "LC_ALL=", "LANG="};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static int make_dirs(const char *dir, struct error **err)
{
	_cleanup_free_ char *tmp = xasprintf("%s/tmp", dir);
	int r = fs_mkdir_p(AT_FDCWD, tmp, 0700);

	return r < 0 ? error_new(err, ERR_IO, -r, "create directory '%s'", tmp) : 0;
}

static void environment(const struct surroundings *s, const char *dir, struct strv *ret)
{
	for (char **p = environ; *p; p++)
		if (!is_replaced(*p))
			strv_push(ret, *p);
	strv_pushf(ret, "KILN_ROOT=%s/store", dir);
	strv_pushf(ret, "TMPDIR=%s/tmp", dir);
	strv_pushf(ret, "TZ=%s", s->zone);
	strv_pushf(ret, "LC_ALL=%s", s->locale);
}

static void arguments(const struct verify *v, const char *dir, struct strv *ret)
{
	strv_push(ret, "kiln");
	strv_push(ret, "build");
	strv_push(ret, "--reproducible");
	strv_pushf(ret, "--output=type=oci,tar=false,dest=%s/image", dir);
	for (int i = 1; i < v->argc; i++)
		strv_push(ret, v->argv[i]);
}

/* Waits; an interrupt is passed on, and the build ends in its own way. */
static int wait_for(pid_t pid, int pidfd)
{
	struct cancel *cancel = session_cancel();
	struct pollfd fds[] = {{.fd = pidfd, .events = POLLIN},
			       {.fd = cancel->fd, .events = POLLIN}};
	int status = 0;

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	if (cancel_is_set(cancel))
		(void)kill(pid, SIGTERM);
	if (spawn_wait(pid, pidfd, &status) < 0)
		return EXIT_FAILED;
	if (cancel_is_set(cancel))
		return EXIT_INTERRUPTED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

/* *ret_status is the exit status of the build, which has said itself why it failed. */
static int build_in(const struct verify *v, const struct surroundings *s, int *ret_status,
		    struct error **err)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", v->dir, s->dir);
	_cleanup_strv_ struct strv args = {0}, env = {0};
	_cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const struct spawn_fd fds[] = {{.fd = null, .as = STDOUT_FILENO}};
	struct spawn spawn = {.path = "/proc/self/exe", .fds = fds, .n_fds = null < 0 ? 0 : 1};
	mode_t before;
	pid_t pid;
	int pidfd, r = make_dirs(dir, err);

	if (r < 0)
		return r;
	environment(s, dir, &env);
	arguments(v, dir, &args);
	spawn.argv = args.v;
	spawn.envp = env.v;
	before = umask(s->umask);
	r = spawn_start(&spawn, &pid, &pidfd, err);
	(void)umask(before);
	if (r == 0)
		*ret_status = wait_for(pid, pidfd);
	return r;
}

/* So that steps that write down the time find another one, to the second, than in the build before.
 * False if interrupted. */
static bool wait_for_next_second(void)
{
	struct cancel *cancel = session_cancel();
	struct pollfd fd = {.fd = cancel->fd, .events = POLLIN};
	int ms = (int)(times_now_ns() / 1000000 % 1000);

	while (poll(&fd, 1, 1000 - ms) < 0 && errno == EINTR)
		;
	return !cancel_is_set(cancel);
}

/* --- both --- */

static void print_difference(const struct image_comparison *c)
{
	const struct difference *d = &c->difference;

	show(stdout, "not reproducible: %s%s%s%s%s%s\n", c->platform ? c->platform : "",
	     c->platform ? ", " : "", c->part, c->step ? " (" : "", c->step ? c->step : "",
	     c->step ? ")" : "");
	if (d->path)
		show(stdout, "  path:   %s\n", d->path);
	show(stdout, "  field:  %s\n  first:  %s\n  second: %s\n", d->field, d->first, d->second);
}

static int compare_builds(const struct verify *v, struct error **err)
{
	_cleanup_(image_comparison_release) struct image_comparison c = {0};
	_cleanup_free_ char *first = xasprintf("%s/%s/image", v->dir, surroundings[0].dir);
	_cleanup_free_ char *second = xasprintf("%s/%s/image", v->dir, surroundings[1].dir);
	char digest[DIGEST_TEXT];
	int r = image_compare(first, second, session_cancel(), &c, err);

	if (r < 0)
		return session_fail(r, err);
	if (c.differs) {
		print_difference(&c);
		return EXIT_FAILED;
	}
	printf("reproducible: %s\n", digest_format(&c.top, digest));
	return 0;
}

static int verify(const struct verify *v, struct error **err)
{
	for (size_t i = 0; i < ARRAY_SIZE(surroundings); i++) {
		int status = 0, r;

		if (i > 0 && !wait_for_next_second())
			return EXIT_INTERRUPTED;
		fprintf(stderr, "==> build %zu of %zu\n", i + 1, ARRAY_SIZE(surroundings));
		r = build_in(v, &surroundings[i], &status, err);
		if (r < 0)
			return session_fail(r, err);
		if (status != 0)
			return status;
	}
	return compare_builds(v, err);
}

/* Beside the store, since that is where steps can run. */
static int make_dir(struct verify *v, struct error **err)
{
	_cleanup_free_ char *root = session_store_root(), *dir = NULL;
	int r = fs_mkdir_p(AT_FDCWD, root, 0700);

	if (r < 0)
		return error_new(err, ERR_IO, -r, "create directory '%s'", root);
	dir = xasprintf("%s/verify.XXXXXX", root);
	if (!mkdtemp(dir))
		return error_new(err, ERR_IO, errno, "create a directory in '%s'", root);
	v->dir = TAKE_PTR(dir);
	return 0;
}

/* Some of the files may belong to a user's subordinate ids. */
static void remove_dir(struct verify *v)
{
	if (userns_enter(NULL) == 0)
		(void)!fs_remove_tree(AT_FDCWD, v->dir);
	free(v->dir);
}

/* --- the command line --- */

static int check(const struct build_options *o, struct error **err)
{
	/* Where no output is asked for, the options have the default one. */
	bool has_output = o->push || o->load || o->iidfile || o->metadata_file ||
			  o->outputs.n != 1 || strcmp(o->outputs.v[0], "type=image") != 0;
	bool reads_stdin =
		strcmp(o->context, "-") == 0 || (o->dockerfile && strcmp(o->dockerfile, "-") == 0);

	if (has_output)
		return error_new(err, ERR_INVALID, 0,
				 "compares two builds and writes no output: leave out --output, "
				 "--push, --load, --iidfile and --metadata-file");
	if (o->call || o->check)
		return error_new(err, ERR_INVALID, 0, "builds: leave out --call and --check");
	if (o->cache_from.n > 0 || o->cache_to.n > 0)
		return error_new(err, ERR_INVALID, 0,
				 "builds from cold: leave out --cache-from and --cache-to");
	if (reads_stdin)
		return error_new(
			err, ERR_INVALID, 0,
			"reads everything twice, and standard input can be read only once");
	return 0;
}

int cmd_verify_build(const struct command *self, int argc, char **argv)
{
	struct verify v = {.argc = argc, .argv = argv};
	struct build_options options = {0};
	struct error *err = NULL;
	int status, r = build_options_parse(&options, self, argc, argv, &err);

	if (r == 0)
		r = check(&options, &err);
	build_options_release(&options);
	if (r > 0)
		return 0;
	if (r < 0)
		return session_usage(self, &err);
	r = make_dir(&v, &err);
	if (r < 0)
		return session_fail(r, &err);
	status = verify(&v, &err);
	remove_dir(&v);
	return status;
}
