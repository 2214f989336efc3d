/* SPDX-License-Identifier: Apache-2.0 */
#include "store/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/times.h"
#include "base/vec.h"
#include "store/db.h"
#include "store/gc_sweep.h"
#include "store/internal.h"

enum { ID_MIN = 4 }; /* hex digits of a short id */

void image_release(struct image *i)
{
	free(i->layers);
	free(i->os);
	free(i->arch);
	free(i->variant);
	for (size_t k = 0; k < i->n_tags; k++)
		free(i->tags[k]);
	free(i->tags);
	free(i->origins);
	*i = (struct image){0};
}

struct platform image_platform(const struct image *i)
{
	_cleanup_free_ char *text =
		xasprintf("%s/%s%s%s", i->os ? i->os : "", i->arch ? i->arch : "",
			  i->variant && *i->variant ? "/" : "", i->variant ? i->variant : "");
	struct platform p = {0};

	(void)!platform_parse(text, &p, NULL);
	return p;
}

static int load_layers(struct db_tx *tx, struct image *i, struct error **err)
{
	VEC(int64_t) layers = {0};
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT layer FROM image_layer WHERE manifest = ? ORDER BY position", "d",
			 &i->manifest);

	for (; r > 0; r = db_step(tx, q, err))
		vec_push(&layers, db_col_i64(q, 0));
	i->layers = layers.v;
	i->n_layers = layers.n;
	return r;
}

static int load_tags(struct db_tx *tx, struct image *i, struct error **err)
{
	VEC(char *) tags = {0};
	VEC(enum image_origin) origins = {0};
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT name, origin FROM tag WHERE manifest = ? ORDER BY name", "d",
			 &i->manifest);

	for (; r > 0; r = db_step(tx, q, err)) {
		vec_push(&tags, db_col_text(q, 0));
		vec_push(&origins, (enum image_origin)db_col_i64(q, 1));
	}
	i->tags = tags.v;
	i->origins = origins.v;
	i->n_tags = tags.n;
	return r;
}

/* Everything about the image of this manifest; *ret_found = false if there is none. */
static int load(struct db_tx *tx, const struct digest *manifest, bool *ret_found, struct image *ret,
		struct error **err)
{
	struct image i = {.manifest = *manifest};
	struct sqlite3_stmt *q = NULL;
	int r = db_query(
		tx, &q, err,
		/* A layer that was still in its registry when the image was made had no size. */
		"SELECT config, created,"
		" max(size, (SELECT coalesce(sum(l.size), 0) FROM image_layer il"
		" JOIN layer l ON l.id = il.layer WHERE il.manifest = ?1)),"
		" os, arch, variant FROM image WHERE manifest = ?1",
		"d", manifest);

	if (r < 0)
		return r;
	*ret_found = r > 0;
	if (r == 0)
		return 0;
	(void)db_col_digest(q, 0, &i.config);
	i.created = db_col_i64(q, 1);
	i.size = (uint64_t)db_col_i64(q, 2);
	i.os = db_col_text(q, 3);
	i.arch = db_col_text(q, 4);
	i.variant = db_col_text(q, 5);
	r = load_layers(tx, &i, err);
	if (r == 0)
		r = load_tags(tx, &i, err);
	if (r < 0)
		image_release(&i);
	else
		*ret = i;
	return r;
}

/* An image that was looked up is going to be used: it stays while this handle is open. */
static int hold(struct store *s, struct db_tx *tx, const struct image *i, struct error **err)
{
	int r = lease_add_layers(s, tx, i->layers, i->n_layers, err);

	if (r == 0)
		r = lease_add_blob(s, tx, &i->manifest, err);
	return r < 0 ? r : lease_add_blob(s, tx, &i->config, err);
}

static int insert_layers(struct db_tx *tx, const struct image *i, struct error **err)
{
	for (size_t k = 0; k < i->n_layers; k++) {
		int64_t there;
		int r = db_get_i64(tx, &there, 0, err, "SELECT id FROM layer WHERE id = ?", "i",
				   i->layers[k]);

		if (r < 0)
			return r;
		if (there == 0)
			return error_new(err, ERR_NOTFOUND, 0, "layer %lld is not in the store",
					 (long long)i->layers[k]);
		r = db_run(tx, err,
			   "INSERT INTO image_layer (manifest, position, layer) VALUES (?, ?, ?)",
			   "dii", &i->manifest, (int64_t)k, i->layers[k]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_tag(struct db_tx *tx, const char *name, const struct digest *manifest,
		   enum image_origin origin, bool *ret_moved, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	struct digest old;
	int r = db_query(tx, &q, err, "SELECT manifest FROM tag WHERE name = ?", "t", name);

	if (r < 0)
		return r;
	if (ret_moved)
		*ret_moved = r > 0 && db_col_digest(q, 0, &old) && !digest_equal(&old, manifest);
	return db_run(
		tx, err,
		"INSERT OR REPLACE INTO tag (name, manifest, origin, updated) VALUES (?, ?, ?, ?)",
		"tdii", name, manifest, (int64_t)origin, times_now_ns());
}

int image_put(struct store *s, const struct image *i, const char *name, enum image_origin origin,
	      bool *ret_moved, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	bool moved = false;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r < 0)
		return r;
	r = db_run(&tx, err,
		   "INSERT INTO image (manifest, config, created, added, size, os, arch, variant)"
		   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (manifest) DO UPDATE SET"
		   " config = ?2, created = ?3, size = ?5, os = ?6, arch = ?7, variant = ?8",
		   "ddiiittt", &i->manifest, &i->config, i->created, times_now_ns(),
		   (int64_t)i->size, i->os ? i->os : "", i->arch ? i->arch : "",
		   i->variant ? i->variant : "");
	if (r == 0)
		r = db_run(&tx, err, "DELETE FROM image_layer WHERE manifest = ?", "d",
			   &i->manifest);
	if (r == 0)
		r = insert_layers(&tx, i, err);
	if (r == 0 && name)
		r = set_tag(&tx, name, &i->manifest, origin, &moved, err);
	if (r == 0)
		r = db_commit(&tx, err);
	if (r < 0)
		return error_wrap(err, r, "store image '%s'", name ? name : "");
	if (ret_moved)
		*ret_moved = moved;
	return 0;
}

int image_keep_blob(struct store *s, const struct digest *manifest, const struct digest *blob,
		    struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r == 0)
		r = db_run(&tx, err,
			   "INSERT OR IGNORE INTO image_blob (manifest, digest) VALUES (?, ?)",
			   "dd", manifest, blob);
	return r < 0 ? r : db_commit(&tx, err);
}

int image_tag(struct store *s, const struct digest *manifest, const char *name,
	      enum image_origin origin, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	char text[DIGEST_TEXT];
	int64_t there;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r < 0)
		return r;
	r = db_get_i64(&tx, &there, 0, err, "SELECT 1 FROM image WHERE manifest = ?", "d",
		       manifest);
	if (r < 0)
		return r;
	if (!there)
		return error_new(err, ERR_NOTFOUND, 0, "tag '%s': there is no image %s", name,
				 digest_format(manifest, text));
	r = set_tag(&tx, name, manifest, origin, NULL, err);
	return r < 0 ? r : db_commit(&tx, err);
}

/* Ends the transaction if the image is there. */
static int find_and_hold(struct store *s, struct db_tx *tx, const struct digest *manifest,
			 bool *ret_found, struct image *ret, struct error **err)
{
	struct image i;
	bool found;
	int r = load(tx, manifest, &found, &i, err);

	if (r < 0)
		return r;
	if (found) {
		r = hold(s, tx, &i, err);
		if (r == 0)
			r = db_commit(tx, err);
		if (r < 0) {
			image_release(&i);
			return r;
		}
		lease_note_blob(s, &i.manifest, false);
		lease_note_blob(s, &i.config, false);
		*ret = i;
	}
	*ret_found = found;
	return 0;
}

int image_by_name(struct store *s, const char *name, bool *ret_found, struct image *ret,
		  enum image_origin *ret_origin, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	struct sqlite3_stmt *q = NULL;
	enum image_origin origin;
	struct digest manifest;
	int r = lease_take(s, err);

	if (r < 0)
		return r;
	r = db_begin(s->db, DB_WRITE, &tx, err);
	if (r < 0)
		return r;
	r = db_query(&tx, &q, err, "SELECT manifest, origin FROM tag WHERE name = ?", "t", name);
	if (r < 0)
		return r;
	if (r == 0 || !db_col_digest(q, 0, &manifest)) {
		*ret_found = false;
		return 0;
	}
	origin = (enum image_origin)db_col_i64(q, 1);
	r = find_and_hold(s, &tx, &manifest, ret_found, ret, err);
	if (r == 0 && ret_origin)
		*ret_origin = origin;
	return r;
}

int image_by_manifest(struct store *s, const struct digest *manifest, bool *ret_found,
		      struct image *ret, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = lease_take(s, err);

	if (r < 0)
		return r;
	r = db_begin(s->db, DB_WRITE, &tx, err);
	return r < 0 ? r : find_and_hold(s, &tx, manifest, ret_found, ret, err);
}

/* The hex digits of an id, or NULL if it is not one. */
static const char *id_digits(const char *id)
{
	size_t n;

	if (strncmp(id, "sha256:", 7) == 0)
		id += 7;
	n = strlen(id);
	if (n < ID_MIN || n > DIGEST_HEX || strspn(id, "0123456789abcdef") != n)
		return NULL;
	return id;
}

/* Several manifests of one config are one image to people; the newest is taken. */
int image_by_id(struct store *s, const char *id, bool *ret_found, struct image *ret,
		struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	const char *digits = id_digits(id);
	_cleanup_free_ char *pattern = digits ? xasprintf("%s*", digits) : NULL;
	struct sqlite3_stmt *q = NULL;
	struct digest manifest, config, first;
	size_t n = 0;
	int r;

	*ret_found = false;
	if (!digits)
		return 0;
	r = lease_take(s, err);
	if (r < 0)
		return r;
	r = db_begin(s->db, DB_WRITE, &tx, err);
	if (r < 0)
		return r;
	r = db_query(&tx, &q, err,
		     "SELECT manifest, config FROM image WHERE lower(hex(config)) GLOB ?"
		     " ORDER BY added DESC",
		     "t", pattern);
	for (; r > 0; r = db_step(&tx, q, err)) {
		if (!db_col_digest(q, 1, &config))
			continue;
		if (n == 0) {
			first = config;
			(void)db_col_digest(q, 0, &manifest);
		} else if (!digest_equal(&first, &config)) {
			return error_new(err, ERR_INVALID, 0,
					 "several images have an id that starts with '%s'", digits);
		}
		n++;
	}
	if (r < 0 || n == 0)
		return r;
	return find_and_hold(s, &tx, &manifest, ret_found, ret, err);
}

int image_list(struct store *s, struct image **ret, size_t *ret_n, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	VEC(struct digest) manifests = {0};
	VEC(struct image) images = {0};
	struct sqlite3_stmt *q = NULL;
	int r = db_begin(s->db, DB_READ, &tx, err);

	if (r < 0)
		return r;
	r = db_query(&tx, &q, err, "SELECT manifest FROM image ORDER BY created DESC, added DESC",
		     "");
	for (; r > 0; r = db_step(&tx, q, err)) {
		struct digest d;

		if (db_col_digest(q, 0, &d))
			vec_push(&manifests, d);
	}
	for (size_t k = 0; k < manifests.n && r == 0; k++) {
		struct image i;
		bool found;

		r = load(&tx, &manifests.v[k], &found, &i, err);
		if (r == 0 && found)
			vec_push(&images, i);
	}
	vec_release(&manifests);
	if (r < 0) {
		for (size_t k = 0; k < images.n; k++)
			image_release(&images.v[k]);
		vec_release(&images);
		return r;
	}
	*ret = images.v;
	*ret_n = images.n;
	return 0;
}

int image_untag(struct store *s, const char *name, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r == 0)
		r = db_run(&tx, err, "DELETE FROM tag WHERE name = ?", "t", name);
	if (r < 0)
		return r;
	if (db_changes(&tx) == 0)
		return error_new(err, ERR_NOTFOUND, 0, "there is no image named '%s'", name);
	return db_commit(&tx, err);
}

/* Looking the image up put it under our own lease; that alone does not keep it. */
static int let_go(struct store *s, struct db_tx *tx, const struct image *i, struct error **err)
{
	int r = 0;

	for (size_t k = 0; k < i->n_layers && r == 0; k++)
		r = db_run(tx, err,
			   "DELETE FROM lease_layer WHERE layer = ? AND"
			   " lease = (SELECT id FROM lease WHERE name = ?)",
			   "it", i->layers[k], s->lease.name);
	if (r == 0)
		r = db_run(tx, err,
			   "DELETE FROM lease_blob WHERE digest IN (?, ?) AND"
			   " lease = (SELECT id FROM lease WHERE name = ?)",
			   "ddt", &i->manifest, &i->config, s->lease.name);
	lease_forget_blob(s, &i->manifest);
	lease_forget_blob(s, &i->config);
	return r;
}

/* One per layer of the image; zero: unknown. */
static int load_diff_ids(struct db_tx *tx, const struct image *i, struct digest *ret,
			 struct error **err)
{
	for (size_t k = 0; k < i->n_layers; k++) {
		struct sqlite3_stmt *q = NULL;
		int r = db_query(tx, &q, err, "SELECT diff_id FROM layer WHERE id = ?", "i",
				 i->layers[k]);

		if (r < 0)
			return r;
		if (r == 0 || !db_col_digest(q, 0, &ret[k]))
			ret[k] = (struct digest){0};
	}
	return 0;
}

static bool was_removed(const struct gc_result *result, int64_t layer)
{
	for (size_t k = 0; k < result->n_layers; k++)
		if (result->layers[k] == layer)
			return true;
	return false;
}

static int remove_rows(struct store *s, const struct digest *manifest, struct image *ret_image,
		       struct digest **ret_diff_ids, struct gc_result *result, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	char text[DIGEST_TEXT];
	bool found;
	int r = db_begin(s->db, DB_WRITE_DURABLE, &tx, err);

	if (r < 0)
		return r;
	r = load(&tx, manifest, &found, ret_image, err);
	if (r < 0)
		return r;
	if (!found)
		return error_new(err, ERR_NOTFOUND, 0, "there is no image %s",
				 digest_format(manifest, text));
	*ret_diff_ids = xcalloc(ret_image->n_layers + 1, DIGEST_SIZE);
	r = load_diff_ids(&tx, ret_image, *ret_diff_ids, err);
	if (r == 0)
		r = db_run(&tx, err, "DELETE FROM image WHERE manifest = ?", "d", manifest);
	if (r == 0)
		r = let_go(s, &tx, ret_image, err);
	if (r == 0)
		r = gc_sweep(&tx, result, err);
	return r < 0 ? r : db_commit(&tx, err);
}

int image_remove(struct store *s, const struct digest *manifest, struct digest **ret_deleted,
		 size_t *ret_n, struct error **err)
{
	_cleanup_(gc_result_release) struct gc_result result = {0};
	_cleanup_(image_release) struct image image = {0};
	_cleanup_free_ struct digest *diff_ids = NULL;
	VEC(struct digest) deleted = {0};
	int r = lease_take(s, err);

	if (r == 0)
		r = remove_rows(s, manifest, &image, &diff_ids, &result, err);
	if (r == 0)
		r = gc_remove_swept(s, &result, err);
	if (r < 0)
		return r;
	if (!ret_deleted)
		return 0;
	vec_push(&deleted, image.config);
	for (size_t k = image.n_layers; k-- > 0;)
		if (!digest_is_zero(&diff_ids[k]) && was_removed(&result, image.layers[k]))
			vec_push(&deleted, diff_ids[k]);
	*ret_deleted = deleted.v;
	*ret_n = deleted.n;
	return 0;
}
