#include <stdio.h>
#include <string.h>

#include "base/times.h"
#include "cmd/commands.h"
#include "cmd/session.h"
#include "store/verify.h"

static void report(void *data, const char *what, const char *why)
{
	(void)data;
	printf("damaged: %s: %s\n", what, why);
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
	printf("%zu blobs, %zu layers and %zu cache records, %s: %zu damaged\n", n.blobs, n.layers,
	       n.records, size, n.damaged);
	if (n.damaged == 0)
		return 0;
	r = error_new(err, ERR_CORRUPT, 0, "%zu objects of the store were damaged", n.damaged);
	return error_hint(err, r,
			  "they are no longer used: the next build makes or pulls them again");
}

int cmd_store(const struct command *self, int argc, char **argv)
{
	static const struct opt table[] = {{0}};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n != 1 || strcmp(args.v[0], "verify") != 0)
		return session_misuse(self, "takes one subcommand: verify");
	r = verify(&err);
	return r < 0 ? session_fail(r, &err) : 0;
}
