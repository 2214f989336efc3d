/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cache/step_trace.h"

#include <string.h>

#include "base/mp.h"
#include "engine/tree/copy_select.h"
#include "engine/tree/result.h"
#include "engine/tree/tree_rootfs.h"
#include "solver/op_encode.h"
#include "solver/op_key.h"

enum { STOP_WALK = 2 }; /* of a visitor; unlike TREE_SKIP */
enum { TRACE_VERSION = 1, FILE_DIGEST_SIZE = 8, TEXT_MAX = 1 << 20 };

/* --- Encoding --- */

struct files {
	struct tree *tree;
	const struct op_file_copy *copy;
	struct buf list; /* pairs, encoded */
	size_t n;
	bool cut;
};

static int file_visit(void *data, const struct copy_item *item, struct error **err)
{
	struct files *f = data;
	_cleanup_hasher_ struct hasher h = {0};
	struct digest d;
	int r;

	if (item->entry->type == ENTRY_DIR &&
	    (!item->included || (*item->rel == '\0' && f->copy->dir_copy_contents)))
		return 0;
	if (f->n == TRACE_FILES_MAX) {
		f->cut = true;
		return STOP_WALK;
	}
	hasher_init(&h);
	hasher_add_u64(&h, item->entry->type);
	r = copy_item_digest(f->tree, f->copy, item, &h, err);
	if (r < 0)
		return r;
	hasher_final(&h, &d);
	f->n++;
	mp_put_array(&f->list, 2);
	mp_put_str(&f->list, item->entry->path);
	mp_put_bin(&f->list, d.b, FILE_DIGEST_SIZE);
	return 0;
}

static int add_files(struct files *f, const struct op_file_copy *copy, struct error **err)
{
	_cleanup_(copy_roots_release) struct copy_roots roots = {0};
	int r = copy_roots_resolve(f->tree, copy, &roots, err);

	f->copy = copy;
	for (size_t i = 0; i < roots.n && r == 0; i++)
		r = copy_select_walk(f->tree, copy, &roots.v[i], file_visit, f, err);
	return r < 0 ? r : 0;
}

static int selected_files(struct store *s, const struct cache_entry *e, size_t input,
			  struct files *f, struct error **err)
{
	struct op_use use;
	int r = 0;

	for (size_t i = 0; r == 0 && op_use_next(&e->v->op, input, &i, &use);) {
		const struct op_file_copy path = {
			.src = use.path ? use.path : "/", .follow_symlink = true, .mode = -1};

		if (use.kind == OP_USE_WHOLE && !e->inputs[input]->tree)
			continue;
		if (!f->tree)
			r = tree_of_result(s, e->inputs[input], &f->tree, err);
		if (r == 0)
			r = add_files(f, use.kind == OP_USE_COPY ? use.copy : &path, err);
	}
	return r;
}

static const char *input_name(const struct vertex *v, size_t input)
{
	const struct vertex *in = v->inputs[input].vertex;

	return in && in->meta.name ? in->meta.name : "";
}

static int put_input(struct store *s, const struct cache_entry *e, size_t i, struct buf *b,
		     struct error **err)
{
	bool known = e->parts && e->parts[i].kind == KEY_PART_CONTENT;
	struct files files = {.list = BUF_INIT};
	int r = known ? selected_files(s, e, i, &files, err) : 0;

	mp_put_map(b, 4);
	mp_put_key(b, "content");
	if (known)
		mp_put_digest(b, &e->parts[i].digest);
	else
		mp_put_nil(b);
	mp_put_key(b, "cut");
	mp_put_bool(b, files.cut);
	mp_put_key(b, "files");
	mp_put_array(b, files.n);
	buf_add(b, files.list.p, files.list.n);
	mp_put_key(b, "name");
	mp_put_str(b, input_name(e->v, i));
	tree_unref(files.tree);
	buf_release(&files.list);
	return r;
}

int step_trace_encode(struct store *s, const struct cache_entry *e, const struct digest *salt,
		      struct buf *b, struct error **err)
{
	int r = 0;

	mp_put_map(b, 5);
	mp_put_key(b, "inputs");
	mp_put_array(b, e->v->n_inputs);
	for (size_t i = 0; i < e->v->n_inputs && r == 0; i++)
		r = put_input(s, e, i, b, err);
	mp_put_key(b, "name");
	mp_put_str(b, e->v->meta.name);
	mp_put_key(b, "op");
	op_encode(&e->v->op, e->v->n_inputs, OP_FORM_KEY, b);
	mp_put_key(b, "salt");
	if (salt)
		mp_put_digest(b, salt);
	else
		mp_put_nil(b);
	mp_put_key(b, "version");
	mp_put_uint(b, TRACE_VERSION);
	return r;
}

char *step_trace_place(const char *project, const struct vertex *v)
{
	const char *name = v->meta.name ? v->meta.name : "";
	size_t n = *name == '[' ? strcspn(name, "/]") : 0;

	return n > 0 && name[n] == '/' ? xasprintf("%s %.*s", project, (int)n, name) : xstrdup("");
}

/* --- Decoding --- */

static json_t *text_value(const char *p, size_t n)
{
	json_t *text = json_stringn(p, n);

	return text ? text : json_string("(bytes that are not text)");
}

static json_t *bytes_value(const uint8_t *p, size_t n)
{
	struct buf b = BUF_INIT;
	json_t *text;

	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%02x", p[i]);
	text = text_value(b.p, b.n);
	buf_release(&b);
	return text;
}

static int any_value(struct mp_reader *r, unsigned depth, json_t **ret, struct error **err);

static int array_value(struct mp_reader *r, unsigned depth, json_t **ret, struct error **err)
{
	json_t *list = json_array(), *value;
	size_t n;
	int rc = mp_get_array(r, &n, err);

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = any_value(r, depth, &value, err);
		if (rc == 0)
			json_array_append_new(list, value);
	}
	if (rc < 0)
		json_decref(list);
	else
		*ret = list;
	return rc;
}

static int map_value(struct mp_reader *r, unsigned depth, json_t **ret, struct error **err)
{
	json_t *object = json_object(), *value;
	struct mp_map m;
	struct mp_text key;
	int rc = mp_get_map(r, &m, err);

	while (rc == 0 && (rc = mp_map_next(r, &m, &key, err)) > 0) {
		_cleanup_free_ char *name = xstrndup(key.p, key.n);

		rc = any_value(r, depth, &value, err);
		if (rc == 0)
			json_object_set_new_nocheck(object, name, value);
	}
	if (rc < 0)
		json_decref(object);
	else
		*ret = object;
	return rc;
}

static int scalar_value(struct mp_reader *r, json_t **ret, struct error **err)
{
	struct mp_text text = {0};
	const void *bytes = NULL;
	uint64_t u = 0;
	int64_t i = 0;
	size_t n = 0;
	bool b = false;
	int rc;

	switch (mp_peek(r)) {
	case MP_NIL:
		rc = mp_get_nil(r, &b, err);
		*ret = json_null();
		return rc;
	case MP_BOOL:
		rc = mp_get_bool(r, &b, err);
		*ret = json_boolean(b);
		return rc;
	case MP_UINT:
		rc = mp_get_uint(r, UINT64_MAX, &u, err);
		*ret = json_integer((json_int_t)u);
		return rc;
	case MP_INT:
		rc = mp_get_int(r, &i, err);
		*ret = json_integer(i);
		return rc;
	case MP_STR:
		rc = mp_get_str(r, TEXT_MAX, &text, err);
		*ret = rc == 0 ? text_value(text.p, text.n) : NULL;
		return rc;
	default:
		rc = mp_get_bin(r, TEXT_MAX, &bytes, &n, err);
		*ret = rc == 0 ? bytes_value(bytes, n) : NULL;
		return rc;
	}
}

/* On failure nothing is owed. */
static int any_value(struct mp_reader *r, unsigned depth, json_t **ret, struct error **err)
{
	enum mp_type type = mp_peek(r);
	int rc;

	*ret = NULL;
	if (depth == MP_DEPTH_MAX)
		return error_new(err, ERR_CORRUPT, 0, "%s: nested too deeply", r->what);
	if (type == MP_ARRAY)
		return array_value(r, depth + 1, ret, err);
	if (type == MP_MAP)
		return map_value(r, depth + 1, ret, err);
	rc = scalar_value(r, ret, err);
	if (rc < 0) {
		json_decref(*ret);
		*ret = NULL;
	}
	return rc;
}

static bool is_trace(const json_t *t)
{
	const json_t *inputs = json_object_get(t, "inputs"), *input;
	size_t i;

	if (json_integer_value(json_object_get(t, "version")) != TRACE_VERSION ||
	    !json_is_object(json_object_get(t, "op")) || !json_is_array(inputs) ||
	    !json_is_string(json_object_get(t, "name")))
		return false;
	json_array_foreach(inputs, i,
			   input) if (!json_is_string(json_object_get(input, "name")) ||
				      !json_is_array(json_object_get(input, "files"))) return false;
	return true;
}

/* The pairs of every input's files as an object, which is quicker to compare. */
static void index_files(json_t *t)
{
	json_t *inputs = json_object_get(t, "inputs"), *input, *pair;
	size_t i, k;

	json_array_foreach(inputs, i, input)
	{
		json_t *files = json_object();

		json_array_foreach(json_object_get(input, "files"), k, pair)
		{
			const char *path = json_string_value(json_array_get(pair, 0));

			if (path)
				json_object_set_nocheck(files, path, json_array_get(pair, 1));
		}
		json_object_set_new_nocheck(input, "files", files);
	}
}

int step_trace_decode(const void *data, size_t n, json_t **ret, struct error **err)
{
	struct mp_reader reader = mp_reader("step trace", data, n);
	json_t *t;
	int r = any_value(&reader, 0, &t, err);

	if (r == 0)
		r = mp_finish(&reader, err);
	if (r == 0 && !is_trace(t))
		r = error_new(err, ERR_CORRUPT, 0, "step trace: it has other fields");
	if (r < 0) {
		json_decref(t);
		return r;
	}
	index_files(t);
	*ret = t;
	return 0;
}

int step_trace_op(const struct op *op, size_t n_inputs, json_t **ret, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct mp_reader reader;

	op_encode(op, n_inputs, OP_FORM_FULL, &b);
	reader = mp_reader("op", b.p, b.n);
	return any_value(&reader, 0, ret, err);
}
