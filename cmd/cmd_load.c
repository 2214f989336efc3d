/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln load`: images from an archive into the store. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/commands.h"
#include "engine/image/load.h"
#include "store/space.h"

static int load(const char *file, const struct platform *platform, bool quiet, struct error **err)
{
	_cleanup_(load_result_release) struct load_result result = {0};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_close_ int fd = -1;
	char id[DIGEST_TEXT];
	int r;

	fd = file ? open(file, O_RDONLY | O_CLOEXEC) : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "open '%s'", file ? file : "standard input");
	r = session_open_store_for_image(&s, err);
	if (r == 0)
		r = load_images(s, fd, file ? file : "standard input", platform, session_cancel(),
				&result, err);
	for (size_t i = 0; r == 0 && !quiet && i < result.images.n; i++) {
		const struct loaded_image *image = &result.images.v[i];

		if (image->name)
			show(stdout, "Loaded image: %s\n", image->name);
		else
			printf("Loaded image ID: %s\n", digest_format(&image->id, id));
	}
	if (r == 0)
		(void)!space_maintain(s, NULL);
	return r;
}

int cmd_load(const struct command *self, int argc, char **argv)
{
	struct platform platform = platform_host();
	const char *file = NULL;
	bool quiet = false;
	const struct opt table[] = {
		{"input", 'i', OPT_STRING, &file, "FILE", "Read from a file instead of stdin"},
		{"platform", 0, OPT_PLATFORM, &platform, "PLATFORM",
		 "Load the image for this platform"},
		{"quiet", 'q', OPT_BOOL, &quiet, NULL, "Print nothing"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 0)
		return session_misuse(self, "takes no argument; name the archive with -i");
	if (!file && isatty(STDIN_FILENO))
		return session_misuse(
			self, "standard input is a terminal: name the archive with -i FILE");
	r = load(file, &platform, quiet, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
