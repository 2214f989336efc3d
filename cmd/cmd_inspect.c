/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln inspect`: what is known of images, as JSON or by a template. */
#include <stdio.h>

#include "cmd/cli/image_json.h"
#include "cmd/cli/session.h"
#include "cmd/cli/template.h"
#include "cmd/commands.h"
#include "engine/oci/image_index.h"

static int inspect_one(struct store *s, const char *name, const struct platform *platform,
		       struct template *format, json_t *list, struct buf *out, struct error **err)
{
	_cleanup_(image_release) struct image image = {0};
	_cleanup_json_ json_t *o = NULL;
	int r = image_find(s, name, &image, NULL, err);

	if (r == 0)
		r = image_for_platform(s, &image, platform, err);
	if (r == 0)
		r = image_json(s, &image, &o, err);
	if (r == 0 && format) {
		template_set_zeros(format, image_json_zeros(o));
		r = template_execute(format, o, out, err);
		buf_addc(out, '\n');
	}
	if (r == 0)
		json_array_append(list, o);
	return r;
}

/* What was found is shown even if something else was not. */
static int inspect(const struct strv *names, const struct platform *platform,
		   const char *format_text, struct error **err)
{
	_cleanup_(template_freep) struct template *format = NULL;
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_json_ json_t *list = json_array();
	_cleanup_buf_ struct buf out = BUF_INIT;
	int r = 0, failed = 0;

	if (format_text)
		r = template_parse(format_text, &format, err);
	if (r == 0)
		r = session_open_store(&s, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names->n; i++) {
		struct error *why = NULL;

		r = inspect_one(s, names->v[i], platform, format, list, &out, &why);
		if (r < 0 && failed == 0) {
			failed = r;
			*err = why;
		} else {
			error_free(why);
		}
	}
	if (!format) {
		js_dump_go(list, 4, false, &out);
		buf_addc(&out, '\n');
	}
	(void)fwrite(out.p, 1, out.n, stdout);
	return failed;
}

int cmd_inspect(const struct command *self, int argc, char **argv)
{
	const char *format = NULL, *type = NULL;
	struct platform platform = {0};
	const struct opt table[] = {
		{"format", 'f', OPT_STRING, &format, "TEMPLATE",
		 "Print with a Go template, as in {{.Config.Env}} or {{json .}}"},
		{"platform", 0, OPT_PLATFORM, &platform, "PLATFORM",
		 "Of an image for several: the one for this platform"},
		{"size", 's', OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"type", 0, OPT_STRING, &type, "TYPE", NULL},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n == 0)
		return session_misuse(self, "needs at least one image");
	r = inspect(&args, opt_platform(&platform), format, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
