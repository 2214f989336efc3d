/* SPDX-License-Identifier: Apache-2.0 */
/* Rehashing everything the store keeps. */
#ifndef KILN_STORE_VERIFY_H
#define KILN_STORE_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/error.h"
#include "store/store.h"

struct verify_counts {
	size_t blobs, layers, records; /* looked at */
	uint64_t bytes;		       /* hashed */
	size_t damaged;
	size_t unread; /* could not be looked at */
};

enum verify_verdict { VERIFY_DAMAGED, VERIFY_UNREAD };

/* Called for everything that is damaged or could not be read; `what` is "blob sha256:..." or "layer
 * 12". */
typedef void (*verify_report_fn)(void *data, enum verify_verdict verdict, const char *what,
				 const char *why);

/* Compares blobs with their names, layer dirs with their indexes and cache records with their
 * checksums. Damage is reported and makes no error of the call. What is damaged is a miss from then
 * on: a blob or record loses its row, a layer its dir. What cannot be read keeps them. ERR_CANCELED
 * when `cancel` (may be NULL) is set. */
int store_verify(struct store *s, struct cancel *cancel, verify_report_fn report, void *data,
		 struct verify_counts *ret, struct error **err) _must_check_;

#endif
