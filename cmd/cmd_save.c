/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln save`: images of the store as an archive. */
#include <unistd.h>

#include "cmd/cli/session.h"
#include "cmd/commands.h"
#include "engine/engine.h"
#include "engine/image/save.h"
#include "engine/upkeep.h"

static int save(const struct strv *images, const struct platform *platform, const char *dest,
		struct error **err)
{
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_(engine_closep) struct engine *engine = NULL;
	struct blob_fetcher fetcher;
	struct upkeep_tries tries;
	int r = session_open_store_for_image(&s, err);

	if (r == 0)
		r = engine_open(s, session_cancel(), &engine, err);
	if (r < 0)
		return r;
	fetcher = engine_blob_fetcher(engine);
	tries = upkeep_tries(s);
	do
		r = save_images(s, images, platform, dest, STDOUT_FILENO, &fetcher, engine->cancel,
				err);
	while (dest && upkeep_again(&tries, &r, err)); /* standard output has had the first try */
	session_warn(s);
	return r;
}

int cmd_save(const struct command *self, int argc, char **argv)
{
	const char *dest = NULL;
	struct platform platform = {0};
	const struct opt table[] = {
		{"output", 'o', OPT_STRING, &dest, "FILE", "Write to a file instead of stdout"},
		{"platform", 0, OPT_PLATFORM, &platform, "PLATFORM",
		 "Write only the images for this platform"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n == 0)
		return session_misuse(self, "needs at least one image");
	if (!dest && isatty(STDOUT_FILENO))
		return session_misuse(self,
				      "an archive is not for a terminal: use -o FILE or a pipe");
	r = save(&args, opt_platform(&platform), dest, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
