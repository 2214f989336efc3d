/* SPDX-License-Identifier: Apache-2.0 */
/* Symbolic modes, as chmod(1) takes them: "u=rwX,go=rX", "+x", "g=u". */
#ifndef KILN_ENGINE_FILEOPS_MODE_TEXT_H
#define KILN_ENGINE_FILEOPS_MODE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* Changes `mode` (07777) by the clauses of `text`; the umask is taken as 0. False if the text is
 * not of that form. */
bool mode_text_apply(const char *text, uint32_t mode, bool is_dir, uint32_t *ret);

#endif
