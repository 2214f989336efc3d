#include <unistd.h>

#include "cmd/commands.h"
#include "cmd/session.h"
#include "engine/engine.h"
#include "engine/save.h"

static int save(const struct strv *images, const char *dest, struct error **err)
{
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_(engine_closep) struct engine *engine = NULL;
	struct blob_fetcher fetcher;
	int r = session_open_store(&s, err);

	if (r == 0)
		r = engine_open(s, session_cancel(), &engine, err);
	if (r < 0)
		return r;
	fetcher = engine_blob_fetcher(engine);
	return save_images(s, images, dest, STDOUT_FILENO, &fetcher, engine->cancel, err);
}

int cmd_save(const struct command *self, int argc, char **argv)
{
	const char *dest = NULL;
	const struct opt table[] = {
		{"output", 'o', OPT_STRING, &dest, "FILE", "Write to a file instead of stdout"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	bool help;
	int r;

	r = opt_parse(table, argc, argv, 0, &args, &help, &err);
	if (help) {
		opt_help(self, table);
		return 0;
	}
	if (r == 0 && args.n == 0)
		r = error_new(&err, ERR_INVALID, 0, "needs at least one image");
	if (r == 0 && !dest && isatty(STDOUT_FILENO))
		r = error_new(&err, ERR_INVALID, 0,
			      "an archive is not for a terminal: use -o FILE or a pipe");
	if (r < 0)
		return session_usage(self->name, &err);
	r = save(&args, dest, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
