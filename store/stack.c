/* SPDX-License-Identifier: Apache-2.0 */
#include "store/stack.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/alloc.h"

int64_t stack_id(int64_t parent, int64_t layer)
{
	uint8_t b[8];
	int64_t id;

	for (int k = 0; k < 8; k++)
		b[k] = (uint8_t)((uint64_t)layer >> (8 * k));
	id = (int64_t)(XXH3_64bits_withSeed(b, sizeof(b), (uint64_t)parent) & INT64_MAX);
	return id ? id : 1;
}

int64_t stack_id_of(const int64_t *layers, size_t n)
{
	int64_t id = 0;

	for (size_t i = 0; i < n; i++)
		id = stack_id(id, layers[i]);
	return id;
}

/* How many of the ids, which are those of the chain from its lowest layer up, have a row. */
static int count_known(struct db_tx *tx, const int64_t *layers, const int64_t *ids, size_t n,
		       size_t *ret, struct error **err)
{
	int64_t layer = 0;
	int r = 0;

	/* From the top: mostly all but the last is there. */
	for (; n > 0 && layer == 0 && r == 0; n -= layer == 0)
		r = db_get_i64(tx, &layer, 0, err, "SELECT layer FROM stack WHERE id = ?", "i",
			       ids[n - 1]);
	*ret = n;
	if (r < 0 || n == 0 || layer == layers[n - 1])
		return r;
	r = error_new(err, ERR_CORRUPT, 0, "row %lld of the layer stacks is damaged",
		      (long long)ids[n - 1]);
	return error_hint(err, r, "run `kiln store verify`, which forgets what is damaged");
}

static int insert(struct db_tx *tx, int64_t id, int64_t parent, int64_t layer, struct error **err)
{
	int r = db_run(tx, err,
		       "INSERT INTO stack (id, parent, layer)"
		       " SELECT ?, nullif(?, 0), id FROM layer WHERE id = ?",
		       "iii", id, parent, layer);

	if (r == 0 && db_changes(tx) != 1)
		return error_new(err, ERR_NOTFOUND, 0, "layer %lld is not in the store",
				 (long long)layer);
	return r;
}

int stack_add(struct db_tx *tx, const int64_t *layers, size_t n, int64_t *ret, struct error **err)
{
	_cleanup_free_ int64_t *ids = xcalloc(n, sizeof(*ids));
	size_t known = 0;
	int r;

	for (size_t i = 0; i < n; i++)
		ids[i] = stack_id(i > 0 ? ids[i - 1] : 0, layers[i]);
	r = count_known(tx, layers, ids, n, &known, err);
	for (size_t i = known; i < n && r == 0; i++)
		r = insert(tx, ids[i], i > 0 ? ids[i - 1] : 0, layers[i], err);
	if (r == 0)
		*ret = ids[n - 1];
	return r;
}

int stack_sweep(struct db_tx *tx, struct error **err)
{
	return db_run(tx, err,
		      "WITH RECURSIVE needed (id) AS ("
		      "SELECT stack FROM record WHERE stack IS NOT NULL"
		      " UNION SELECT s.parent FROM needed JOIN stack s ON s.id = needed.id"
		      " WHERE s.parent IS NOT NULL)"
		      " DELETE FROM stack WHERE id NOT IN (SELECT id FROM needed)",
		      "");
}
