/* SPDX-License-Identifier: Apache-2.0 */
/* What kiln depends on where it runs, looked at and tried: `kiln doctor`.
 *
 * It changes nothing but for a directory in the store, or where the store would be, that is made
 * for the trials and removed; and it ends well where nothing else of kiln does.
 */
#ifndef KILN_ENGINE_DOCTOR_DOCTOR_H
#define KILN_ENGINE_DOCTOR_DOCTOR_H

#include <stdint.h>

#include "base/strv.h"
#include "engine/sandbox/findings.h"

struct doctor {
	struct findings findings;
	bool rootless, single;	/* a user; with one id */
	bool overlay;		/* layers are stacked, not copied */
	int cgroups;		/* version; 0: none */
	const char *filesystem; /* of the store; static */
	uint64_t free, size;	/* of that; bytes */
	struct strv platforms;	/* whose programs can be run, this machine's first */
	struct strv mirrors;	/* "docker.io=http://127.0.0.1:5000" */
};

/* `store` is where the store is or would be. The process must have one thread. */
void doctor_look(const char *store, struct doctor *ret);
void doctor_release(struct doctor *d);

/* --- of its parts: doctor_machine.c */
struct doctor_trial;
void doctor_kernel(struct doctor *d);
void doctor_cgroups(struct doctor *d);
void doctor_network(const struct doctor_trial *t, struct doctor *d);
void doctor_emulators(struct doctor *d);

#endif
