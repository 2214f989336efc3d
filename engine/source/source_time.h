/* SPDX-License-Identifier: Apache-2.0 */
/* When a source was made, for SOURCE_DATE_EPOCH. */
#ifndef KILN_ENGINE_SOURCE_SOURCE_TIME_H
#define KILN_ENGINE_SOURCE_SOURCE_TIME_H

#include "engine/source/source_env.h"
#include "solver/op.h"

/* Of a git source the time of its commit; of a file by HTTP that of the newest member, if it is an
 * archive, or else Last-Modified. Seconds. *ret_has = false if it has no time. */
int source_time(const struct source_env *e, const struct op_source *source, struct job *job,
		bool *ret_has, int64_t *ret, struct error **err) _must_check_;

#endif
