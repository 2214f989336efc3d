/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of build contexts that bind mounts show, as directories of their own: a mount must not show
 * what the ignore file hides, and has to stay what it was when the step's key was made, whatever
 * happens to the files meanwhile. A part is copied once however many steps of a command mount it.
 * Thread safe.
 */
#ifndef KILN_ENGINE_EXEC_SELECTIONS_H
#define KILN_ENGINE_EXEC_SELECTIONS_H

#include "base/cancel.h"
#include "engine/tree/tree.h"
#include "store/store.h"

struct selections;

struct selections *selections_new(void);
void selections_free(struct selections *s); /* no step may be running; the directories go */

/* The directory in which `path` (clean, without symlinks) of a context lies under the name
 * SELECTION_NAME. Borrowed; it must not be written to. The tree is kept until selections_free. */
#define SELECTION_NAME "selection"
int selections_get(struct selections *s, struct store *store, struct tree *tree, const char *path,
		   struct cancel *cancel, const char **ret_dir, struct error **err) _must_check_;

#endif
