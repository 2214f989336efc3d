/* SPDX-License-Identifier: Apache-2.0 */
/* Why a step was not found, in words: what differs between its trace and the nearest earlier one
 * (engine/cache/step_trace.h). */
#ifndef KILN_ENGINE_CACHE_EXPLAIN_H
#define KILN_ENGINE_CACHE_EXPLAIN_H

#include "base/json.h"

/* Appends the reasons, separated by "; ", nothing if the traces are equal. */
void explain_difference(const json_t *now, const json_t *then, struct buf *b);
/* Do both run the same command, or the same file actions? */
bool explain_is_same_command(const json_t *a, const json_t *b);
/* How alike two traces are; greater is nearer. */
unsigned explain_likeness(const json_t *a, const json_t *b);

#endif
