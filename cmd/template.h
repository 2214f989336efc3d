/* Go templates as docker's --format takes them, over a JSON value: the part of text/template that
 * people use.
 *
 *	text          := any text | "{{" "-"? action "-"? "}}"
 *	action        := pipeline | "range" pipeline | "if" pipeline | "else" | "end"
 *	pipeline      := command { "|" command }
 *	command       := operand | function operand*
 *	operand       := "." | "$" | {"." name} | "string" | `string` | integer | "(" pipeline ")"
 *	function      := json | index | len | join | split | upper | lower | title | println | print
 *| eq | ne | not | and | or
 *
 * Values print as Go prints them: "[a b]", "map[k:v]", "<no value>". A field that is not there is
 * an error; what lies beyond this grammar is one that says so.
 */
#ifndef KILN_CMD_TEMPLATE_H
#define KILN_CMD_TEMPLATE_H

#include "base/json.h"

struct template;
int template_parse(const char *text, struct template **ret, struct error **err);
void template_free(struct template *t);
DEFINE_FREEP(struct template, template_free)

/* Appends the result to `out`. */
int template_execute(const struct template *t, const json_t *data, struct buf *out,
		     struct error **err);

#endif
