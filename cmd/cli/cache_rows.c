/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cli/cache_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "base/times.h"

/* --- Rows --- */

static struct cache_row row_of_record(struct du_record *rec)
{
	struct cache_row row = {
		.id = xasprintf("%" PRId64, rec->id),
		.type = TAKE_PTR(rec->type),
		.description = TAKE_PTR(rec->description),
		.created = rec->created,
		.last_used = rec->last_used,
		.uses = rec->uses,
		.size = rec->size,
		.shared = rec->shared,
		.in_use = rec->in_use,
		.reclaimable = rec->reclaimable,
		.record = rec->id,
	};

	if (rec->parent)
		row.parent = xasprintf("%" PRId64, rec->parent);
	return row;
}

static struct cache_row row_of_mount(struct mount_info *m)
{
	return (struct cache_row){
		.id = m->instance ? xasprintf("mount:%s#%" PRId64, m->id, m->instance)
				  : xasprintf("mount:%s", m->id),
		.type = xstrdup("exec.cachemount"),
		.description = TAKE_PTR(m->step),
		.created = m->created,
		.last_used = m->last_used,
		.uses = m->uses,
		.size = m->size,
		.in_use = m->in_use,
		.reclaimable = !m->in_use,
		.is_mount = true,
		.mount = TAKE_PTR(m->id),
		.instance = m->instance,
	};
}

int cache_rows_load(struct store *s, struct cache_rows *ret, struct du_totals *ret_totals,
		    struct error **err)
{
	struct du_record *records = NULL;
	struct mount_info *mounts = NULL;
	size_t n_records = 0, n_mounts = 0;
	int r = store_du(s, &records, &n_records, ret_totals, err);

	if (r == 0)
		r = mounts_list(s, &mounts, &n_mounts, err);
	for (size_t i = 0; i < n_records; i++) {
		vec_push(ret, row_of_record(&records[i]));
		du_record_release(&records[i]);
	}
	for (size_t i = 0; i < n_mounts; i++) {
		vec_push(ret, row_of_mount(&mounts[i]));
		mount_info_release(&mounts[i]);
	}
	free(records);
	free(mounts);
	return r;
}

void cache_rows_release(struct cache_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		struct cache_row *row = &rows->v[i];

		free(row->id);
		free(row->parent);
		free(row->type);
		free(row->description);
		free(row->mount);
	}
	vec_release(rows);
}

/* --- Filters --- */

/* A field is a text or, where `flag` is set, true or false. */
struct cache_field {
	const char *name;
	const char *(*text)(const struct cache_row *row);
	bool (*flag)(const struct cache_row *row);
};

static const char *id_text(const struct cache_row *row)
{
	return row->id;
}

static const char *parents_text(const struct cache_row *row)
{
	return row->parent ? row->parent : "";
}

static const char *type_text(const struct cache_row *row)
{
	return row->type;
}

static const char *description_text(const struct cache_row *row)
{
	return row->description;
}

static bool in_use_flag(const struct cache_row *row)
{
	return row->in_use;
}

/* What steps write to again and again is mutable, what a step left is not. */
static bool mutable_flag(const struct cache_row *row)
{
	return row->is_mount;
}

static bool immutable_flag(const struct cache_row *row)
{
	return !row->is_mount;
}

static bool shared_flag(const struct cache_row *row)
{
	return row->shared;
}

static bool private_flag(const struct cache_row *row)
{
	return !row->shared;
}

static const struct cache_field fields[] = {
	{"description", description_text, NULL},
	{"id", id_text, NULL},
	{"immutable", NULL, immutable_flag},
	{"inuse", NULL, in_use_flag},
	{"mutable", NULL, mutable_flag},
	{"parents", parents_text, NULL},
	{"private", NULL, private_flag},
	{"shared", NULL, shared_flag},
	{"type", type_text, NULL},
};

static const struct cache_field *find_field(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strlen(fields[i].name) == n && memcmp(fields[i].name, name, n) == 0)
			return &fields[i];
	return NULL;
}

static int unknown_field(const char *text, const char *name, struct error **err)
{
	const char *names[ARRAY_SIZE(fields) + 1] = {"until"}, *near;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		names[i + 1] = fields[i].name;
	near = suggest(name, names, ARRAY_SIZE(names), false);
	r = error_new(err, ERR_INVALID, 0, "invalid filter '%s': there is no '%s'", text, name);
	if (near)
		return error_hint(err, r, "did you mean %s?", near);
	return error_hint(err, r,
			  "use until=AGE, or id, parents, type or description with =, != or ~=, or "
			  "inuse, shared, private, mutable or immutable");
}

static int parse_flag(const char *text, struct cache_condition *c, struct error **err)
{
	const char *v = c->value;

	c->yes = !*v || strcmp(v, "true") == 0 || strcmp(v, "1") == 0;
	if (!c->is_regex && (c->yes || strcmp(v, "false") == 0 || strcmp(v, "0") == 0))
		return 0;
	return error_new(err, ERR_INVALID, 0, "invalid filter '%s': use true or false", text);
}

static int parse_regex(const char *text, struct cache_condition *c, struct error **err)
{
	char why[256];
	int rc = regcomp(&c->regex, c->value, REG_EXTENDED | REG_NOSUB);

	if (rc == 0)
		return 0;
	c->is_regex = false; /* there is nothing to release */
	(void)regerror(rc, &c->regex, why, sizeof(why));
	return error_new(err, ERR_INVALID, 0, "invalid filter '%s': %s", text, why);
}

static int parse_until(const char *text, struct cache_filter *f, struct error **err)
{
	const char *value = text + strlen("until=");
	int64_t age;

	if (times_parse_duration(value, &age) < 0)
		return error_new(err, ERR_INVALID, 0,
				 "invalid filter '%s': \"%s\" is not a duration such as 24h", text,
				 value);
	f->unused_since = times_now_ns() - age;
	return 0;
}

static int parse_condition(const char *text, struct cache_filter *f, struct error **err)
{
	size_t n = strcspn(text, "=!~");
	_cleanup_free_ char *name = xstrndup(text, n);
	struct cache_condition c = {.field = find_field(text, n), .value = ""};
	const char *op = text + n;
	int r = 0;

	if (strncmp(text, "until=", strlen("until=")) == 0)
		return parse_until(text, f, err);
	if (!c.field)
		return unknown_field(text, name, err);
	c.negated = *op == '!';
	c.is_regex = *op == '~';
	if ((c.negated || c.is_regex) && op[1] != '=')
		return error_new(err, ERR_INVALID, 0, "invalid filter '%s': use =, != or ~=", text);
	if (*op)
		c.value = op + (*op == '=' ? 1 : 2);
	/* BuildKit's own spelling of equality. */
	if (*op == '=' && *c.value == '=')
		c.value++;
	if (!*op && !c.field->flag)
		return error_new(err, ERR_INVALID, 0, "invalid filter '%s': %s needs a value", text,
				 name);
	if (c.field->flag)
		r = parse_flag(text, &c, err);
	else if (c.is_regex)
		r = parse_regex(text, &c, err);
	if (r == 0)
		vec_push(&f->conditions, c);
	return r;
}

int cache_filter_parse(const struct strv *texts, struct cache_filter *ret, struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < texts->n && r == 0; i++)
		r = parse_condition(texts->v[i], ret, err);
	return r;
}

static bool meets(const struct cache_condition *c, const struct cache_row *row)
{
	const char *text = c->field->text ? c->field->text(row) : NULL;

	if (!text)
		return (c->field->flag(row) == c->yes) != c->negated;
	if (c->is_regex)
		return regexec(&c->regex, text, 0, NULL, 0) == 0;
	return (strcmp(text, c->value) == 0) != c->negated;
}

bool cache_filter_match(const struct cache_filter *f, const struct cache_row *row)
{
	if (f->unused_since && row->last_used >= f->unused_since)
		return false;
	for (size_t i = 0; i < f->conditions.n; i++)
		if (!meets(&f->conditions.v[i], row))
			return false;
	return true;
}

void cache_filter_release(struct cache_filter *f)
{
	for (size_t i = 0; i < f->conditions.n; i++)
		if (f->conditions.v[i].is_regex)
			regfree(&f->conditions.v[i].regex);
	vec_release(&f->conditions);
}
