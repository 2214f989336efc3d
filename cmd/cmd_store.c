/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln store`: verify and remove. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/times.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/commands.h"
#include "engine/sandbox/userns.h"
#include "store/verify.h"

static void report(void *data, enum verify_verdict verdict, const char *what, const char *why)
{
	(void)data;
	show(stdout, "%s: %s: %s\n", verdict == VERIFY_DAMAGED ? "damaged" : "not read", what, why);
}

static int judge(const struct verify_counts *n, struct error **err)
{
	int r = 0;

	if (n->unread > 0) {
		r = error_new(err, ERR_IO, 0, "%zu objects of the store could not be read",
			      n->unread);
		return error_hint(err, r,
				  "none of them was removed: fix what keeps them from being read, "
				  "then verify again");
	}
	if (n->damaged > 0) {
		r = error_new(err, ERR_CORRUPT, 0, "%zu objects of the store were damaged",
			      n->damaged);
		return error_hint(
			err, r,
			"they are no longer used: the next build makes or pulls them again");
	}
	return r;
}

static int verify(struct error **err)
{
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_free_ char *size = NULL;
	struct verify_counts n = {0};
	int r = session_open_store(&s, err);

	if (r == 0)
		r = store_verify(s, session_cancel(), report, NULL, &n, err);
	if (r < 0)
		return r;
	size = times_human_size(n.bytes);
	printf("%zu blobs, %zu layers and %zu cache records, %s: %zu damaged", n.blobs, n.layers,
	       n.records, size, n.damaged);
	if (n.unread > 0)
		printf(", %zu not read", n.unread);
	printf("\n");
	return judge(&n, err);
}

static int remove_store(bool force, struct error **err)
{
	_cleanup_free_ char *root = session_store_root();
	int r;

	if (!session_confirmed(force,
			       "the store '%s': every image, the build cache and all cache mounts",
			       root))
		return 0;
	r = userns_enter(err);
	if (r == 0)
		r = store_remove(root, session_cancel(), err);
	if (r == 0)
		show(stdout, "Removed the store '%s'\n", root);
	return r;
}

int cmd_store(const struct command *self, int argc, char **argv)
{
	bool force = false, removes;
	const struct opt table[] = {
		{"force", 'f', OPT_BOOL, &force, NULL, "remove: do not ask"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	removes = args.n == 1 && strcmp(args.v[0], "remove") == 0;
	if (args.n != 1 || (!removes && strcmp(args.v[0], "verify") != 0))
		return session_misuse(self, "takes one subcommand: verify or remove");
	r = removes ? remove_store(force, &err) : verify(&err);
	return r < 0 ? session_fail(r, &err) : 0;
}
