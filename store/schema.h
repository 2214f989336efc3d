/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of kiln.db, as one script a version. docs/formats-store.md explains them. */
#ifndef KILN_STORE_SCHEMA_H
#define KILN_STORE_SCHEMA_H

/* Script n brings user_version from n to n + 1. That of version 8 calls chain_id
 * (store/stack.h). */
extern const char *const schema_scripts[];
extern const int schema_version;

#endif
