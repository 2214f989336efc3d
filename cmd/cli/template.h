/* SPDX-License-Identifier: Apache-2.0 */
/* Go templates as docker's --format takes them, over a JSON value: the part of text/template that
 * people use.
 *
 *	text          := any text | "{{" "-"? action "-"? "}}"
 *	action        := [declaration] pipeline | "range" [[variable ","] declaration] pipeline
 *			| "if" [declaration] pipeline | "with" [declaration] pipeline
 *			| "else" [("if" | "with") [declaration] pipeline] | "end" | comment
 *	declaration   := variable ":="
 *	pipeline      := command { "|" command }
 *	command       := operand | function operand*
 *	operand       := "." | "$" | variable | {"." name} | "string" | `string` | ["-"] integer
 *			| "(" pipeline ")"
 *	function      := json | index | slice | len | join | split | upper | lower | title
 *			| truncate | pad | print | println | printf | eq | ne | lt | le | gt | ge
 *			| not | and | or
 *
 * Values print as Go prints them: "[a b]", "map[k:v]", "<no value>". A field that is not there is
 * an error; what lies beyond this grammar is one that says so.
 */
#ifndef KILN_CMD_CLI_TEMPLATE_H
#define KILN_CMD_CLI_TEMPLATE_H

#include "base/json.h"

struct template;
int template_parse(const char *text, struct template **ret, struct error **err) _must_check_;
void template_free(struct template *t);
DEFINE_FREEP(struct template, template_free)

/* What fields have that are not set, by their place in the data: a list or "" of Go, {} for a map
 * (which may be asked for any key), null for a pointer. Without it, or for what it does not name, a
 * field that is missing is an error. The template takes the reference. */
void template_set_zeros(struct template *t, json_t *zeros);

/* Appends the result to `out`. */
int template_execute(const struct template *t, const json_t *data, struct buf *out,
		     struct error **err) _must_check_;
/* What a command prints with --format: `text` is "json" or a template. Takes the reference. */
int template_print_document(const char *text, json_t *document, struct error **err) _must_check_;

#endif
