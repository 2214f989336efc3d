/* A cache backend in memory, for solves without a store (tests, dry runs). A hit by content gives
 * the result as it was made; nothing is put on top of other inputs. Thread safe. */
#ifndef KILN_SOLVER_CACHE_MEMORY_H
#define KILN_SOLVER_CACHE_MEMORY_H

#include "solver/solver.h"

struct cache_memory;

/* `ops` gives ref and unref; must outlive the cache. */
struct cache_memory *cache_memory_new(const struct solver_ops *ops);
void cache_memory_free(struct cache_memory *c);
size_t cache_memory_size(struct cache_memory *c); /* how many keys lead to a result */

extern const struct cache_backend cache_memory_backend; /* its data is a struct cache_memory */

#endif
