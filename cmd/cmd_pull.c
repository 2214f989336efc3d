/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln pull`: images from a registry into the store. */
#include <stdio.h>
#include <string.h>

#include "cmd/cli/session.h"
#include "cmd/commands.h"
#include "cmd/progress/display.h"
#include "engine/registry/pull.h"
#include "store/space.h"

struct pull_options {
	bool quiet, all;
	struct platform platform;
	const char *progress, *ref;
};

/* What is to be pulled: the reference, or with --all-tags every tag that the registry lists. */
static int find_names(const struct pull_options *o, struct registry *registry, struct strv *ret,
		      struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_strv_ struct strv tags = {0};
	_cleanup_free_ char *repository = NULL;
	int r = 0;

	if (!o->all) {
		strv_push(ret, o->ref);
		return 0;
	}
	r = imageref_parse(o->ref, &ref, err);
	if (r == 0)
		r = registry_tags(registry, &ref, session_cancel(), &tags, err);
	if (r < 0)
		return r;
	repository = imageref_name(&ref);
	for (size_t i = 0; i < tags.n; i++)
		strv_pushf(ret, "%s:%s", repository, tags.v[i]);
	return tags.n > 0 ? 0 : error_new(err, ERR_NOTFOUND, 0, "%s has no tags", repository);
}

/* `names` gets what was pulled. */
static int pull(const struct pull_options *o, struct store *s, const struct progress *progress,
		struct strv *names, struct error **err)
{
	_cleanup_strv_ struct strv refs = {0};
	_cleanup_(config_release) struct config config = {0};
	_cleanup_(registry_freep) struct registry *registry = NULL;
	int r = config_load(&config, err);

	if (r < 0)
		return r;
	registry = registry_new(&config);
	registry_set_progress(registry, progress);
	r = find_names(o, registry, &refs, err);
	for (size_t i = 0; i < refs.n && r == 0; i++) {
		_cleanup_(image_source_release) struct image_source image = {.config = BUF_INIT};

		r = image_pull(s, registry, refs.v[i], &o->platform, progress, session_cancel(),
			       &image, err);
		if (r == 0)
			strv_push(names, image.name ? image.name : image.pinned);
	}
	return r;
}

int cmd_pull(const struct command *self, int argc, char **argv)
{
	struct pull_options o = {.platform = platform_host()};
	const struct opt table[] = {
		{"all-tags", 'a', OPT_BOOL, &o.all, NULL, "Pull every tag of the repository"},
		{"platform", 0, OPT_PLATFORM, &o.platform, "PLATFORM",
		 "Pull the image for this platform"},
		{"progress", 0, OPT_STRING, &o.progress, "MODE",
		 "auto, plain, ordered, tty or quiet"},
		{"quiet", 'q', OPT_BOOL, &o.quiet, NULL, "Print only the name"},
		{0},
	};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_strv_ struct strv args = {0}, names = {0};
	enum display_mode mode = DISPLAY_AUTO;
	struct display *display = NULL;
	struct error *err = NULL;
	int r = 0, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n != 1)
		return session_misuse(self, "takes one image name");
	if (o.all && !imageref_is_name_only(args.v[0]))
		return session_misuse(self, "a tag cannot be used with --all-tags");
	if (o.progress)
		r = display_mode_parse(o.progress, &mode, &err);
	if (r < 0)
		return session_usage(self, &err);
	o.ref = args.v[0];
	r = session_open_store_for_image(&s, &err);
	if (r == 0)
		r = display_open(o.quiet ? DISPLAY_QUIET : mode, "Pulling", &display, &err);
	if (r == 0)
		r = pull(&o, s, display_progress(display), &names, &err);
	display_close(display, r < 0);
	if (r < 0)
		return session_fail(r, &err);
	(void)!space_maintain(s, NULL);
	for (size_t i = 0; i < names.n; i++)
		printf("%s\n", names.v[i]);
	return 0;
}
