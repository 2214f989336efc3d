/* SPDX-License-Identifier: Apache-2.0 */
#include "store/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "store/db.h"
#include "store/internal.h"

static durable_trace_fn trace_fn;
static void *trace_data;

static char boot_id[64] = "unknown";
static pthread_once_t boot_once = PTHREAD_ONCE_INIT;

void durable_trace(durable_trace_fn fn, void *data)
{
	trace_fn = fn;
	trace_data = data;
}

void durable_note(enum durable_step step, const char *what)
{
	if (trace_fn)
		trace_fn(trace_data, step, what);
}

static void read_boot_id(void)
{
	_cleanup_buf_ struct buf b = BUF_INIT_MAX(sizeof(boot_id) - 1);

	if (fs_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b) < 0)
		return;
	b.p[strcspn(b.p, "\n")] = '\0';
	memcpy(boot_id, b.p, strlen(b.p) + 1);
}

const char *durable_boot(void)
{
	pthread_once(&boot_once, read_boot_id);
	return boot_id;
}

int durable_rename(struct store *s, const char *from, const char *to, bool replace)
{
	if (renameat2(s->dirfd, from, s->dirfd, to, replace ? 0 : RENAME_NOREPLACE) < 0)
		return -errno;
	durable_note(DURABLE_RENAME, to);
	return 0;
}

bool durable_trusted(const char *boot)
{
	const char *current = durable_boot();
	size_t n = strlen(current);

	return !boot || (strncmp(boot, current, n) == 0 && (boot[n] == '\0' || boot[n] == '/'));
}

/* Replaces the boot mark `from` (and its variants "from/...") by `to`, in *ret_n rows. */
static int replace_marks(struct store *s, const char *from, const char *to, int64_t *ret_n,
			 struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r < 0)
		return r;
	r = db_run(&tx, err, "UPDATE layer SET boot = ?2 WHERE substr(boot, 1, length(?1)) = ?1",
		   "tt", from, to);
	if (r < 0)
		return r;
	*ret_n = db_changes(&tx);
	r = db_run(&tx, err, "UPDATE blob SET boot = ?2 WHERE substr(boot, 1, length(?1)) = ?1",
		   "tt", from, to);
	if (r < 0)
		return r;
	*ret_n += db_changes(&tx);
	return db_commit(&tx, err);
}

int durable_sync(struct store *s, struct error **err)
{
	_cleanup_free_ char *mark = NULL;
	uint64_t random;
	int64_t n = 0;
	int r;

	/* Rows that are committed while the sync runs may miss it: only those that carry this
	 * call's own mark are known to be covered. */
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return error_new(err, ERR_IO, errno, "read random bytes");
	mark = xasprintf("%s/%016llx", durable_boot(), (unsigned long long)random);
	r = replace_marks(s, durable_boot(), mark, &n, err);
	if (r < 0)
		return r;
	if (syncfs(s->dirfd) < 0)
		return error_new(err, ERR_IO, errno, "sync the file system of the store '%s'",
				 s->root);
	durable_note(DURABLE_SYNC, s->root);
	return n > 0 ? replace_marks(s, mark, NULL, &n, err) : 0;
}
