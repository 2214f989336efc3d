#include "store/du.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/vec.h"
#include "store/db.h"
#include "store/internal.h"

static uint64_t usage_of_dir(int fd)
{
	DIR *dir = fdopendir(fd);
	uint64_t bytes = 0;
	struct dirent *de;

	if (!dir) {
		(void)close(fd);
		return 0;
	}
	while ((de = readdir(dir))) {
		struct stat st;
		int sub = -1;

		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0 ||
		    fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		/* The names of one file share its bytes. */
		bytes += (uint64_t)st.st_blocks * 512 / (S_ISDIR(st.st_mode) ? 1 : st.st_nlink);
		if (S_ISDIR(st.st_mode))
			sub = openat(fd, de->d_name,
				     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			bytes += usage_of_dir(sub);
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
	return (uint64_t)st.st_blocks * 512 + (fd >= 0 ? usage_of_dir(fd) : 0);
}

void du_record_release(struct du_record *r)
{
	free(r->description);
	*r = (struct du_record){0};
}

static void add_to_totals(struct map *seen, const struct du_record *r, struct du_totals *t)
{
	void **slot = map_put(seen, &r->layer, sizeof(r->layer));

	if (*slot || r->layer == 0)
		return;
	*slot = seen;
	t->total += r->size;
	*(r->shared ? &t->shared : &t->private_) += r->size;
	if (!r->shared && !r->in_use)
		t->reclaimable += r->size;
}

/* The topmost layer is what a record added; the one below is its parent. A layer that images name,
 * or records with another topmost layer, is shared. */
static const char du_sql[] =
	"WITH top AS (SELECT record, max(position) AS position FROM record_layer GROUP BY record)"
	" SELECT r.id, r.description, r.created, r.last_used, r.uses,"
	"  coalesce(own.layer, 0), coalesce(max(l.size, coalesce(l.blob_size, 0)), 0),"
	"  coalesce((SELECT layer FROM record_layer p WHERE p.record = r.id"
	"   AND p.position = top.position - 1), 0),"
	"  EXISTS (SELECT 1 FROM image_layer i WHERE i.layer = own.layer) OR"
	"  EXISTS (SELECT 1 FROM record_layer o JOIN top t2 ON t2.record = o.record"
	"   WHERE o.layer = own.layer AND o.position < t2.position),"
	"  EXISTS (SELECT 1 FROM lease_layer x JOIN lease ON lease.id = x.lease"
	"   WHERE x.layer = own.layer AND lease.name <> ?)"
	" FROM record r LEFT JOIN top ON top.record = r.id"
	" LEFT JOIN record_layer own ON own.record = r.id AND own.position = top.position"
	" LEFT JOIN layer l ON l.id = own.layer"
	" ORDER BY r.last_used, r.id";

int store_du(struct store *s, struct du_record **ret, size_t *ret_n, struct du_totals *ret_totals,
	     struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	VEC(struct du_record) records = {0};
	struct du_totals totals = {0};
	struct map seen = MAP_INIT;
	struct sqlite3_stmt *q = NULL;
	char lease[LEASE_NAME + 1];
	int64_t blobs = 0;
	int r;

	pthread_mutex_lock(&s->mutex);
	memcpy(lease, s->lease.name, sizeof(lease));
	pthread_mutex_unlock(&s->mutex);
	r = db_begin(s->db, DB_READ, &tx, err);
	if (r < 0)
		return r;
	r = db_query(&tx, &q, err, du_sql, "t", lease);
	while (r == 0 && (r = db_step(&tx, q, err)) > 0) {
		struct du_record d = {
			.id = db_col_i64(q, 0),
			.description = db_col_text(q, 1),
			.created = db_col_i64(q, 2),
			.last_used = db_col_i64(q, 3),
			.uses = db_col_i64(q, 4),
			.layer = db_col_i64(q, 5),
			.size = (uint64_t)db_col_i64(q, 6),
			.parent_layer = db_col_i64(q, 7),
			.shared = db_col_i64(q, 8) != 0,
			.in_use = db_col_i64(q, 9) != 0,
		};

		vec_push(&records, d);
		add_to_totals(&seen, &d, &totals);
		r = 0;
	}
	if (r == 0)
		r = db_get_i64(&tx, &blobs, 0, err, "SELECT coalesce(sum(size), 0) FROM blob", "");
	map_release(&seen, NULL);
	if (r < 0) {
		for (size_t i = 0; i < records.n; i++)
			du_record_release(&records.v[i]);
		vec_release(&records);
		return r;
	}
	totals.blobs = (uint64_t)blobs;
	*ret = records.v;
	*ret_n = records.n;
	*ret_totals = totals;
	return 0;
}
