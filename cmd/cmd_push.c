/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln push`: images of the store to their registries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cli/session.h"
#include "cmd/commands.h"
#include "cmd/progress/display.h"
#include "engine/engine.h"
#include "engine/registry/push.h"
#include "engine/upkeep.h"

struct push_options {
	bool all, quiet;
	const struct platform *platform; /* NULL: all that there are */
	enum display_mode mode;
	struct strv names; /* full */
};

/* "app:v1" gives its full name; with --all-tags every name of the repository "app". */
static int find_names(struct store *s, const char *text, struct push_options *o, struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_free_ char *repository = NULL;
	struct image *images = NULL;
	size_t n = 0;
	int r = imageref_parse(text, &ref, err);

	if (r < 0)
		return r;
	if (ref.has_digest)
		return error_new(err, ERR_INVALID, 0, "cannot push a digest reference: %s", text);
	if (!o->all) {
		strv_push_take(&o->names, imageref_format(&ref));
		return 0;
	}
	repository = imageref_name(&ref);
	r = image_list(s, &images, &n, err);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < images[i].n_tags; k++) {
			const char *tag = strrchr(images[i].tags[k], ':');

			if (tag && (size_t)(tag - images[i].tags[k]) == strlen(repository) &&
			    strncmp(images[i].tags[k], repository, strlen(repository)) == 0)
				strv_push(&o->names, images[i].tags[k]);
		}
		image_release(&images[i]);
	}
	free(images);
	strv_sort(&o->names);
	if (r == 0 && o->names.n == 0)
		r = error_new(err, ERR_NOTFOUND, 0, "there is no image named %s", repository);
	return r;
}

static void report(const struct push_options *o, const char *name, const struct push_result *pushed)
{
	char digest[DIGEST_TEXT];

	if (o->quiet)
		printf("%s\n", name);
	else
		printf("%s: digest: %s size: %llu\n", strrchr(name, ':') + 1,
		       digest_format(&pushed->digest, digest), (unsigned long long)pushed->size);
}

static int push(const char *text, struct push_options *o, struct error **err)
{
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_(engine_closep) struct engine *engine = NULL;
	struct push_result *pushed = NULL;
	struct display *display = NULL;
	struct blob_fetcher fetcher;
	int r = session_open_store_for_image(&s, err);

	if (r == 0)
		r = find_names(s, text, o, err);
	if (r == 0)
		r = engine_open(s, session_cancel(), &engine, err);
	if (r == 0)
		r = display_open(o->quiet ? DISPLAY_QUIET : o->mode, "Pushing", &display, err);
	if (r < 0)
		return r;
	fetcher = engine_blob_fetcher(engine);
	pushed = xcalloc(o->names.n, sizeof(*pushed));
	for (size_t i = 0; i < o->names.n && r == 0; i++) {
		struct upkeep_tries tries = upkeep_tries(s);

		do
			r = push_stored(s, engine->registry, o->names.v[i], o->platform, &fetcher,
					display_progress(display), engine->cancel, &pushed[i], err);
		while (upkeep_again(&tries, &r, err));
	}
	display_close(display, r < 0);
	session_warn(s);
	for (size_t i = 0; i < o->names.n && r == 0; i++)
		report(o, o->names.v[i], &pushed[i]);
	free(pushed);
	return r;
}

int cmd_push(const struct command *self, int argc, char **argv)
{
	struct push_options o = {.mode = DISPLAY_AUTO};
	const char *progress = NULL;
	struct platform platform = {0};
	const struct opt table[] = {
		{"all-tags", 'a', OPT_BOOL, &o.all, NULL, "Push every tag of the repository"},
		{"platform", 0, OPT_PLATFORM, &platform, "PLATFORM",
		 "Push only the image for this platform"},
		{"progress", 0, OPT_STRING, &progress, "MODE",
		 "auto, plain, ordered, tty or quiet"},
		{"quiet", 'q', OPT_BOOL, &o.quiet, NULL, "Print only the name"},
		{"disable-content-trust", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r = 0, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n != 1)
		return session_misuse(self, "takes one image name");
	if (o.all && !imageref_is_name_only(args.v[0]))
		return session_misuse(self, "a tag cannot be used with --all-tags");
	if (progress)
		r = display_mode_parse(progress, &o.mode, &err);
	if (r < 0)
		return session_usage(self, &err);
	o.platform = opt_platform(&platform);
	r = push(args.v[0], &o, &err);
	strv_release(&o.names);
	return r < 0 ? session_fail(r, &err) : 0;
}
