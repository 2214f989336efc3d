/* SPDX-License-Identifier: Apache-2.0 */
#include "store/du.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/cache_usage.h"
#include "store/db.h"
#include "store/internal.h"
#include "store/stack.h"

static uint64_t usage_of_dir(const struct store *s, int fd)
{
	DIR *dir = fdopendir(fd);
	uint64_t bytes = 0;
	struct dirent *de;

	if (!dir) {
		(void)close(fd);
		return 0;
	}
	while (!cancel_is_set(s->cancel) && fs_next_entry(dir, &de) > 0) {
		struct stat st;
		int sub = -1;

		if (fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		/* The names of one file share its bytes. */
		bytes += (uint64_t)st.st_blocks * 512 / (S_ISDIR(st.st_mode) ? 1 : st.st_nlink);
		if (S_ISDIR(st.st_mode))
			sub = openat(fd, de->d_name,
				     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			bytes += usage_of_dir(s, sub);
	}
	(void)closedir(dir);
	return bytes;
}

uint64_t store_disk_usage(struct store *s, const char *path)
{
	struct stat st;
	int fd;

	if (fstatat(s->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return (uint64_t)st.st_blocks * 512;
	fd = openat(s->dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return (uint64_t)st.st_blocks * 512 + (fd >= 0 ? usage_of_dir(s, fd) : 0);
}

void du_record_release(struct du_record *r)
{
	free(r->description);
	free(r->type);
	*r = (struct du_record){0};
}

/* Takes the record's texts. */
static void describe(struct usage_record *rec, struct du_record *ret)
{
	const struct usage_layer *top = rec->n_layers ? rec->chain[rec->n_layers - 1] : NULL;
	const struct usage_layer *below = rec->n_layers > 1 ? rec->chain[rec->n_layers - 2] : NULL;

	*ret = (struct du_record){
		.id = rec->id,
		.description = TAKE_PTR(rec->description),
		.type = TAKE_PTR(rec->type),
		.size = rec->bytes,
		.created = rec->created,
		.last_used = rec->last_used,
		.uses = rec->uses,
	};
	ret->reclaimable = true;
	if (top) {
		ret->layer = top->id;
		ret->shared = top->image || top->below > 0;
		ret->in_use = top->in_use;
		ret->reclaimable = !top->image && !top->in_use;
	}
	if (below) {
		ret->parent_layer = below->id;
		ret->parent = below->owner ? below->owner->id : 0;
	}
}

static void add_to_totals(const struct du_record *r, struct du_totals *t)
{
	t->total += r->size;
	*(r->shared ? &t->shared : &t->private_) += r->size;
	if (r->reclaimable)
		t->reclaimable += r->size;
}

static int load(struct store *s, struct cache_usage *ret, uint64_t *ret_blobs, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int64_t blobs = 0;
	int r = db_begin(s->db, DB_READ, &tx, err);

	if (r == 0)
		r = cache_usage_load(s, &tx, true, ret, err);
	if (r == 0)
		r = db_get_i64(&tx, &blobs, 0, err, "SELECT coalesce(sum(size), 0) FROM blob", "");
	*ret_blobs = (uint64_t)blobs;
	return r;
}

int store_du(struct store *s, struct du_record **ret, size_t *ret_n, struct du_totals *ret_totals,
	     struct error **err)
{
	struct cache_usage u = CACHE_USAGE_INIT;
	struct du_totals totals = {0};
	struct du_record *records;
	int r = load(s, &u, &totals.blobs, err);

	if (r < 0) {
		cache_usage_release(&u);
		return r;
	}
	totals.store = u.total;
	records = xcalloc(u.records.n + 1, sizeof(*records));
	for (size_t i = 0; i < u.records.n; i++) {
		describe(&u.records.v[i], &records[i]);
		add_to_totals(&records[i], &totals);
	}
	*ret = records;
	*ret_n = u.records.n;
	*ret_totals = totals;
	cache_usage_release(&u);
	return 0;
}

/* Every row's text, as a line. */
static int add_lines(struct db_tx *tx, struct strv *ret, struct error **err, const char *sql,
		     int64_t id)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, sql, "i", id);

	for (; r > 0; r = db_step(tx, q, err))
		strv_push_take(ret, db_col_text(q, 0));
	return r;
}

/* Before a statement in which `chain` (layer) is the layers of record ?1. */
#define CHAIN_OF_RECORD                                                                       \
	"WITH RECURSIVE chain (parent, layer) AS ("                                           \
	"SELECT parent, layer FROM stack WHERE id = (SELECT stack FROM record WHERE id = ?1)" \
	" UNION ALL SELECT s.parent, s.layer FROM chain JOIN stack s ON s.id = chain.parent) "

static const char why_images[] =
	CHAIN_OF_RECORD "SELECT DISTINCT 'image ' || coalesce("
			"(SELECT group_concat(name, ', ') FROM tag"
			" WHERE tag.manifest = i.manifest), 'sha256:' || lower(hex(image.config)))"
			" FROM image_layer i JOIN image ON image.manifest = i.manifest"
			" WHERE i.layer IN (SELECT layer FROM chain)";

/* Every other one whose chain has our top layer, whatever is below that. */
static const char why_records[] =
	STACK_ABOVE "SELECT s.id FROM record JOIN stack top ON top.id = record.stack"
		    " JOIN stack s ON s.layer = top.layer WHERE record.id = ?1" STACK_ABOVE_END
		    "SELECT 'record ' || id || ': ' || description FROM record"
		    " WHERE id <> ?1 AND stack IN (SELECT id FROM above) ORDER BY id";

static const char why_leases[] = CHAIN_OF_RECORD "SELECT DISTINCT lease.name FROM lease_layer l"
						 " JOIN lease ON lease.id = l.lease"
						 " WHERE l.layer IN (SELECT layer FROM chain)";

int store_why(struct store *s, int64_t id, struct strv *ret, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_strv_ struct strv leases = {0};
	int64_t there;
	int r = db_begin(s->db, DB_READ, &tx, err);

	if (r == 0)
		r = db_get_i64(&tx, &there, 0, err, "SELECT id FROM record WHERE id = ?", "i", id);
	if (r < 0)
		return r;
	if (there == 0)
		return error_new(err, ERR_NOTFOUND, 0, "there is no cache record %lld",
				 (long long)id);
	r = add_lines(&tx, ret, err, why_images, id);
	if (r == 0)
		r = add_lines(&tx, &leases, err, why_leases, id);
	for (size_t i = 0; i < leases.n; i++)
		if (lease_alive(s, leases.v[i]))
			strv_pushf(ret, "a running command (lease %s)", leases.v[i]);
	return r < 0 ? r : add_lines(&tx, ret, err, why_records, id);
}
