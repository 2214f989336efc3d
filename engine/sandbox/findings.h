/* SPDX-License-Identifier: Apache-2.0 */
/* What was found out about where kiln runs: a list of things that work, that work less well, and
 * that do not, each with what mends it. */
#ifndef KILN_ENGINE_SANDBOX_FINDINGS_H
#define KILN_ENGINE_SANDBOX_FINDINGS_H

#include "base/vec.h"

enum finding_grade {
	FINDING_FINE,
	FINDING_LESS, /* builds work: slower, or with less than elsewhere */
	FINDING_BAD,  /* builds fail */
};

struct finding {
	enum finding_grade grade;
	const char *topic; /* "user namespaces"; static */
	char *what;	   /* what there is, or what is wrong */
	char *mend;	   /* a command, or what else to do; NULL: nothing */
};

struct findings {
	VEC(struct finding) list;
};

void findings_add(struct findings *f, enum finding_grade grade, const char *topic,
		  char *what /* taken */, char *mend /* taken */);
enum finding_grade findings_worst(const struct findings *f);
void findings_release(struct findings *f);

/* Where all of it is explained. */
#define FINDINGS_MORE "'kiln doctor' looks at all of this; docs/where-kiln-runs.md explains it"
/* What is not fine as the text of a hint, a line each; heap. NULL: all is fine. */
char *findings_hint(const struct findings *f);

#endif
