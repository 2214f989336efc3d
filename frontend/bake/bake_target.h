/* SPDX-License-Identifier: Apache-2.0 */
/* A target: what one build is asked for. Each of its fields is a value in one fixed form, whichever
 * of the ways to write it a file or --set uses:
 *
 *	text, truth		a string, a bool
 *	list			of strings
 *	map			of strings
 *	entries			a list of maps: {"type": "local", "dest": "out"}
 *
 * A field that is not set is NULL. */
#ifndef KILN_FRONTEND_BAKE_BAKE_TARGET_H
#define KILN_FRONTEND_BAKE_BAKE_TARGET_H

#include "base/strv.h"
#include "frontend/bake/bake_eval.h"

/* In the order in which a plan lists them. */
enum bake_field {
	BAKE_DESCRIPTION,
	BAKE_INHERITS,
	BAKE_ANNOTATIONS,
	BAKE_ATTEST,
	BAKE_CONTEXT,
	BAKE_CONTEXTS,
	BAKE_DOCKERFILE,
	BAKE_DOCKERFILE_INLINE,
	BAKE_ARGS,
	BAKE_LABELS,
	BAKE_TAGS,
	BAKE_CACHE_FROM,
	BAKE_CACHE_TO,
	BAKE_TARGET,
	BAKE_SECRET,
	BAKE_SSH,
	BAKE_PLATFORMS,
	BAKE_OUTPUT,
	BAKE_PULL,
	BAKE_NO_CACHE,
	BAKE_NETWORK,
	BAKE_NO_CACHE_FILTER,
	BAKE_SHM_SIZE,
	BAKE_ULIMITS,
	BAKE_RESOURCES,
	BAKE_CALL,
	BAKE_ENTITLEMENTS,
	BAKE_EXTRA_HOSTS,
	BAKE_FIELDS,
};

enum bake_form { FORM_TEXT, FORM_TRUTH, FORM_LIST, FORM_MAP, FORM_ENTRIES, FORM_RESOURCES };

struct bake_field_info {
	const char *name;
	enum bake_form form;
	bool appends; /* a later list is added to an earlier one; else it takes its place */
};
extern const struct bake_field_info bake_fields[BAKE_FIELDS];
/* BAKE_FIELDS if there is none. */
enum bake_field bake_field_find(const char *name);

struct bake_target {
	const char *name;
	const struct bake_value *field[BAKE_FIELDS];
	bool linked; /* built since another target's contexts name it */
};

struct bake_group {
	const char *name, *description;
	struct strv targets; /* names of targets and groups */
};

/* A value as a file has it in the form of a field. NULL: it failed, *why says how. */
const struct bake_value *bake_field_convert(struct arena *a, enum bake_field field,
					    const struct bake_value *v, const char **why);
/* The entries that one text of --set or of a list makes: "type=local,dest=out". */
const struct bake_value *bake_entries_parse(struct arena *a, enum bake_field field,
					    const char *text, const char **why);
/* The entry as the options of `kiln build` take it: a CSV record. Heap. */
char *bake_entry_text(enum bake_field field, const struct bake_value *entry);

/* Lays `from` over `to`. */
void bake_target_merge(struct arena *a, struct bake_target *to, const struct bake_target *from);
/* Without repetitions and empty names. */
void bake_target_normalize(struct arena *a, struct bake_target *t);

const char *bake_target_text(const struct bake_target *t, enum bake_field field); /* NULL: unset */
bool bake_target_truth(const struct bake_target *t, enum bake_field field);
/* Appends the strings of a list. */
void bake_target_list(const struct bake_target *t, enum bake_field field, struct strv *ret);

#endif
