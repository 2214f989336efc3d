/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sandbox/findings.h"

#include <stdlib.h>

#include "base/buf.h"

void findings_add(struct findings *f, enum finding_grade grade, const char *topic, char *what,
		  char *mend)
{
	vec_push(&f->list, (struct finding){grade, topic, what, mend});
}

enum finding_grade findings_worst(const struct findings *f)
{
	enum finding_grade worst = FINDING_FINE;

	for (size_t i = 0; i < f->list.n; i++)
		if (f->list.v[i].grade > worst)
			worst = f->list.v[i].grade;
	return worst;
}

void findings_release(struct findings *f)
{
	for (size_t i = 0; i < f->list.n; i++) {
		free(f->list.v[i].what);
		free(f->list.v[i].mend);
	}
	vec_release(&f->list);
}

char *findings_hint(const struct findings *f)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (size_t i = 0; i < f->list.n; i++) {
		const struct finding *one = &f->list.v[i];

		if (one->grade == FINDING_FINE)
			continue;
		buf_addf(&text, "%s\n", one->what);
		if (one->mend)
			buf_addf(&text, "  fix it with: %s\n", one->mend);
	}
	if (text.n == 0)
		return NULL;
	buf_adds(&text, FINDINGS_MORE);
	return buf_take(&text);
}
