/* SPDX-License-Identifier: Apache-2.0 */
/* Chains of layers, lowest first, as a tree: a row of `stack` is one layer on top of the row of the
 * layers below it, so that chains share what they begin with and n chains of up to n layers take n
 * rows. A record names the row of its top; rows and foreign keys keep the layers of every chain
 * that something names. A row's id is a checksum of its chain, so equal chains are one row, and a
 * chain is found without walking it. Inside the transactions of others.
 */
#ifndef KILN_STORE_STACK_H
#define KILN_STORE_STACK_H

#include <stddef.h>
#include <stdint.h>

#include "store/db.h"

/* Of a layer on a stack (0: on nothing). Never 0. The function chain_id of the database is this. */
int64_t stack_id(int64_t parent, int64_t layer);
/* Of a whole chain; 0 if n is 0. */
int64_t stack_id_of(const int64_t *layers, size_t n);

/* Makes what is missing of a chain of n > 0 layers. Not found: one of the layers is not in the
 * store. */
int stack_add(struct db_tx *tx, const int64_t *layers, size_t n, int64_t *ret,
	      struct error **err) _must_check_;
/* Deletes the rows that no record needs. */
int stack_sweep(struct db_tx *tx, struct error **err) _must_check_;

/* STACK_ABOVE, a SELECT of ids, STACK_ABOVE_END and a statement, in which `above` (id) is these
 * rows and every row whose chain has one of them. */
#define STACK_ABOVE "WITH RECURSIVE above (id) AS ("
#define STACK_ABOVE_END " UNION SELECT s.id FROM above JOIN stack s ON s.parent = above.id) "

#endif
