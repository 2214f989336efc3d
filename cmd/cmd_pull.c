#include <stdio.h>
#include <string.h>

#include "cmd/commands.h"
#include "cmd/display.h"
#include "cmd/session.h"
#include "engine/pull.h"
#include "store/space.h"

struct pull_options {
	bool quiet;
	const char *platform, *progress;
	const char *ref;
};

static int pull(const struct pull_options *o, struct store *s, const struct progress *progress,
		struct image_source *image, struct error **err)
{
	_cleanup_(config_release) struct config config = {0};
	_cleanup_(registry_freep) struct registry *registry = NULL;
	struct platform platform = platform_host();
	int r = config_load(&config, err);

	if (r == 0 && o->platform)
		r = platform_parse(o->platform, &platform, err);
	if (r < 0)
		return r;
	registry = registry_new(&config);
	return image_pull(s, registry, o->ref, &platform, progress, session_cancel(), image, err);
}

int cmd_pull(const struct command *self, int argc, char **argv)
{
	struct pull_options o = {0};
	const struct opt table[] = {
		{"platform", 0, OPT_STRING, &o.platform, "PLATFORM",
		 "Pull the image for this platform"},
		{"progress", 0, OPT_STRING, &o.progress, "MODE", "auto, plain, tty or quiet"},
		{"quiet", 'q', OPT_BOOL, &o.quiet, NULL, "Print only the name"},
		{0},
	};
	_cleanup_(image_source_release) struct image_source image = {.config = BUF_INIT};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_strv_ struct strv args = {0};
	enum display_mode mode = DISPLAY_AUTO;
	struct display *display = NULL;
	struct error *err = NULL;
	int r = 0, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n != 1)
		return session_misuse(self, "takes one image name");
	if (o.progress)
		r = display_mode_parse(o.progress, &mode, &err);
	if (r < 0)
		return session_usage(self, &err);
	o.ref = args.v[0];
	r = session_open_store_for_image(&s, &err);
	if (r == 0)
		r = display_open(o.quiet ? DISPLAY_QUIET : mode, &display, &err);
	if (r == 0)
		r = pull(&o, s, display_progress(display), &image, &err);
	display_close(display, r < 0);
	if (r < 0)
		return session_fail(r, &err);
	(void)space_maintain(s, NULL);
	printf("%s\n", image.name ? image.name : image.pinned);
	return 0;
}
