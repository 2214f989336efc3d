/* The calls that a step's supervisor answers where there is only one id (engine/sandbox/
 * supervisor.c): a seccomp filter that notifies of them, beside the profile that says what is
 * allowed, and a table of their numbers. io_uring, which would pass by, is denied. */
#ifndef KILN_ENGINE_SECCOMP_OWNERS_H
#define KILN_ENGINE_SECCOMP_OWNERS_H

#include "base/error.h"
#include "engine/sandbox_plan.h"

/* Adds both to the plan. The filter is compiled once per process. Thread safe. */
int seccomp_owners_add(struct sandbox_plan *p, struct error **err);

#endif
