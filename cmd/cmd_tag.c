/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln tag`: another name for an image. */
#include "cmd/cli/session.h"
#include "cmd/commands.h"

static int tag(const char *source, const char *target, struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_(image_release) struct image image = {0};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_free_ char *name = NULL;
	int r;

	r = imageref_parse(target, &ref, err);
	if (r < 0)
		return error_wrap(err, r, "invalid tag \"%s\"", target);
	if (ref.has_digest)
		return error_new(err, ERR_INVALID, 0,
				 "invalid tag \"%s\": a tag cannot name a digest", target);
	r = session_open_store(&s, err);
	if (r < 0)
		return r;
	r = image_find(s, source, &image, NULL, err);
	if (r < 0)
		return r;
	name = imageref_format(&ref);
	return image_tag(s, &image.manifest, name, IMAGE_MADE, err);
}

int cmd_tag(const struct command *self, int argc, char **argv)
{
	static const struct opt table[] = {{0}};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n != 2)
		return session_misuse(self, "takes a source image and a target name");
	r = tag(args.v[0], args.v[1], &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
