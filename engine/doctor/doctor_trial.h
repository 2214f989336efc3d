/* SPDX-License-Identifier: Apache-2.0 */
/* What only a trial tells: whether namespaces, overlayfs, a step and its network work here. */
#ifndef KILN_ENGINE_DOCTOR_DOCTOR_TRIAL_H
#define KILN_ENGINE_DOCTOR_DOCTOR_TRIAL_H

#include <stdbool.h>

enum { TRIAL_TEXT = 512 };

struct doctor_trial {
	bool entered; /* a user namespace; of root, nothing had to be */
	bool single;  /* with one id */
	bool opened;  /* the store, or there is none yet */
	bool writable;
	int overlay; /* 0 or errno */
	bool step;
	bool tried_network, network;
	/* Why not; "": it was not tried, or works. */
	char why_not_entered[TRIAL_TEXT], why_not_opened[TRIAL_TEXT], why_not_step[TRIAL_TEXT],
		why_not_network[TRIAL_TEXT];
};

/* Tries it in a process of its own, in a new directory in `dir`, which is removed. `store` is the
 * root of the store. The process must have one thread. */
void doctor_try(const char *store, const char *dir, struct doctor_trial *ret);

#endif
