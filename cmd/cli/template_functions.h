/* SPDX-License-Identifier: Apache-2.0 */
/* The values and functions of templates. Private to template*.c. */
#ifndef KILN_CMD_CLI_TEMPLATE_FUNCTIONS_H
#define KILN_CMD_CLI_TEMPLATE_FUNCTIONS_H

#include "base/json.h"

/* As Go prints it. */
void template_print(const json_t *value, struct buf *out);
/* Go's truth: not false, 0, "" or empty. */
bool template_is_true(const json_t *value);

/* Go's printf, of the verbs s v d x q t f and %, with flags, width and precision. False: there are not
 * as many values as verbs, or of another kind. */
bool template_printf(const char *format, json_t *const *values, size_t n,
		     struct buf *out) _must_check_;

bool template_function_exists(const char *name);
/* *ret is a new reference. */
int template_function_call(const char *name, json_t *const *args, size_t n, json_t **ret,
			   struct error **err) _must_check_;

#endif
