/* SPDX-License-Identifier: Apache-2.0 */
/* What `kiln du` lists and `kiln prune` chooses from: cache records and cache mounts, with what
 * each takes, and the --filter values that both understand. */
#ifndef KILN_CMD_CLI_CACHE_ROWS_H
#define KILN_CMD_CLI_CACHE_ROWS_H

#include <regex.h>

#include "base/vec.h"
#include "store/du.h"
#include "store/mounts.h"

/* Of a record or of a mount; the strings are the row's. */
struct cache_row {
	char *id;     /* as shown: "12", "mount:NAME", "mount:NAME#2" */
	char *parent; /* the record it stands on; NULL: none */
	char *type, *description;
	int64_t created, last_used, uses;
	uint64_t size;
	bool shared, in_use, reclaimable;
	bool is_mount;
	int64_t record;	  /* of a record: its id */
	char *mount;	  /* of a mount: its id */
	int64_t instance; /* of a mount */
};

struct cache_rows {
	struct cache_row *v;
	size_t n, cap;
};

/* All of the store, records first, each kind least recently used first. */
int cache_rows_load(struct store *s, struct cache_rows *ret, struct du_totals *ret_totals,
		    struct error **err) _must_check_;
void cache_rows_release(struct cache_rows *rows);

/* One condition: FIELD=VALUE, FIELD!=VALUE, FIELD~=REGEX or, of a field that is true or false,
 * FIELD alone. */
struct cache_condition {
	const struct cache_field *field;
	const char *value; /* of the filter's text */
	bool negated, is_regex, yes;
	regex_t regex;
};

/* A row passes if it meets every condition. */
struct cache_filter {
	int64_t unused_since; /* "until=AGE": last used before; ns since the epoch, 0: any */
	VEC(struct cache_condition) conditions;
};

/* The texts must outlive the filter. ERR_INVALID names the one that is wrong. */
int cache_filter_parse(const struct strv *texts, struct cache_filter *ret,
		       struct error **err) _must_check_;
bool cache_filter_match(const struct cache_filter *f, const struct cache_row *row);
void cache_filter_release(struct cache_filter *f);

#endif
