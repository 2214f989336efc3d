/* SPDX-License-Identifier: Apache-2.0 */
/* A loop whose rounds run on a few threads: hashing many files. */
#ifndef KILN_BASE_PARALLEL_H
#define KILN_BASE_PARALLEL_H

#include <stddef.h>

#include "base/error.h"

/* Does round i; called on any thread, several at once. */
typedef int (*parallel_fn)(void *data, size_t i, struct error **err);

/* Runs rounds 0 .. n-1 and returns when all have ended. The first failure stops the rounds that
 * have not started; it is returned. */
int parallel_for(size_t n, parallel_fn fn, void *data, struct error **err) _must_check_;
/* The same on at most so many threads (16), for rounds that mostly wait. */
int parallel_for_threads(unsigned threads, size_t n, parallel_fn fn, void *data,
			 struct error **err) _must_check_;
/* How many threads are worth having for work that computes. */
unsigned parallel_threads(void);

#endif
