/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be built: the targets that were asked for, with what they inherit, what --set changes and
 * what they are linked with. */
#ifndef KILN_FRONTEND_BAKE_BAKE_PLAN_H
#define KILN_FRONTEND_BAKE_BAKE_PLAN_H

#include "base/json.h"
#include "frontend/bake/bake_config.h"

/* One --set of one target. */
struct bake_override {
	const char *target, *key; /* "tags", "args.VERSION" */
	struct strv values;	  /* one, but for lists */
	bool append;
};

struct bake_plan {
	struct arena *arena;		 /* the config's */
	VEC(struct bake_target) targets; /* sorted by name */
	VEC(struct bake_group) groups;	 /* the same */
	VEC(struct bake_override) overrides;
	/* What the command line itself names is allowed: paths. */
	struct strv read, write;
	bool network_host, security_insecure;
};

/* Names are targets, groups and patterns; none: "default". sets as for --set. */
int bake_plan_make(struct bake_config *c, const struct strv *names, const struct strv *sets,
		   struct bake_plan *ret, struct error **err) _must_check_;
void bake_plan_release(struct bake_plan *p);
struct bake_target *bake_plan_target(const struct bake_plan *p, const char *name);

/* {"group": ..., "target": ...} as `bake --print` shows it; the caller owns it. */
json_t *bake_plan_json(const struct bake_plan *p);
json_t *bake_target_json(const struct bake_target *t);

/* Inside: */
int bake_overrides_parse(struct bake_config *c, const struct strv *sets, struct bake_plan *p,
			 struct error **err) _must_check_;
int bake_overrides_apply(struct bake_plan *p, struct bake_target *t,
			 struct error **err) _must_check_;

#endif
