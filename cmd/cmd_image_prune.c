/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln image prune`: removes images without a name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/times.h"
#include "cmd/cli/image_filter.h"
#include "cmd/cli/image_json.h"
#include "cmd/cli/session.h"
#include "cmd/commands.h"

struct prune_images {
	bool all, force;
	const struct strv *filters;
	uint64_t freed;
	bool any;
};

static bool is_unwanted(const struct prune_images *p, const struct image_filter *f,
			const struct image *image)
{
	bool everything = p->all || (f->has_dangling && !f->dangling);

	return image->n_tags == 0 || everything;
}

static int forgive(struct error **err)
{
	error_free(*err);
	*err = NULL;
	return 0;
}

static int remove_image(struct store *s, const struct image *image, struct prune_images *p,
			struct error **err)
{
	struct digest *deleted = NULL;
	char text[DIGEST_TEXT];
	size_t n = 0;
	int r = image_remove(s, &image->manifest, &deleted, &n, err);

	/* Somebody else has removed it meanwhile. */
	if (r == -ERR_NOTFOUND)
		return forgive(err);
	if (r < 0)
		return r;
	if (!p->any)
		printf("Deleted Images:\n");
	p->any = true;
	for (size_t i = 0; i < image->n_tags; i++) {
		_cleanup_free_ char *name = image_familiar_name(image->tags[i]);

		printf("untagged: %s\n", name);
	}
	for (size_t i = 0; i < n; i++)
		printf("deleted: %s\n", digest_format(&deleted[i], text));
	/* The first is the image itself; layers that others still need are not freed. */
	if (n > 1)
		p->freed += image->size;
	free(deleted);
	return 0;
}

static int prune(struct store *s, struct prune_images *p, struct error **err)
{
	struct image_filter f = {0};
	struct image *images = NULL;
	size_t n = 0;
	int r = image_filter_parse(s, p->filters, &f, err);

	if (r == 0)
		r = image_list(s, &images, &n, err);
	for (size_t i = 0; i < n; i++) {
		if (r >= 0 && is_unwanted(p, &f, &images[i])) {
			r = image_filter_match(s, &f, &images[i], err);
			if (r > 0)
				r = remove_image(s, &images[i], p, err);
			else if (r == -ERR_NOTFOUND)
				r = forgive(err);
		}
		image_release(&images[i]);
	}
	free(images);
	image_filter_release(&f);
	return r < 0 ? r : 0;
}

int cmd_image_prune(const struct command *self, int argc, char **argv)
{
	_cleanup_strv_ struct strv filters = {0};
	struct prune_images p = {.filters = &filters};
	const struct opt table[] = {
		{"all", 'a', OPT_BOOL, &p.all, NULL, "Remove images that have names too"},
		{"filter", 0, OPT_LIST, &filters, "FILTER", "until=24h, label=KEY[=VALUE]"},
		{"force", 'f', OPT_BOOL, &p.force, NULL, "Do not ask"},
		{0},
	};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_strv_ struct strv args = {0};
	_cleanup_free_ char *freed = NULL;
	struct error *err = NULL;
	int r = 0, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 0)
		return session_misuse(self, "takes no arguments");
	if (session_confirmed(p.force, "all %s", p.all ? "images" : "images without a name")) {
		r = session_open_store(&s, &err);
		if (r == 0)
			r = prune(s, &p, &err);
		freed = times_human_size(p.freed);
		if (r == 0)
			printf("%sTotal reclaimed space: %s\n", p.any ? "\n" : "", freed);
	}
	return r < 0 ? session_fail(r, &err) : 0;
}
