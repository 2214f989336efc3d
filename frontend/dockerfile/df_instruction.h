/* SPDX-License-Identifier: Apache-2.0 */
/* From the split text of one instruction to its typed form, one function per instruction. */
#ifndef KILN_FRONTEND_DOCKERFILE_DF_INSTRUCTION_H
#define KILN_FRONTEND_DOCKERFILE_DF_INSTRUCTION_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "frontend/dockerfile/df_ast.h"
#include "frontend/dockerfile/df_text.h"

/* What is known of an instruction before its arguments are understood. */
struct df_request {
	struct arena *arena;
	char escape;
	const char *name;     /* "RUN" */
	struct df_slice line; /* the whole instruction, not trimmed at the end */
	struct df_slice rest; /* behind keyword and flags, trimmed */
	struct df_strings args;
	/* The error is one of reading. BuildKit reads the whole file before it understands the
	 * first instruction, and names no line in such an error. */
	bool misread;
};

/* Splits `line` and fills kind, keyword, text, flags and json of *ret and the arguments of *req. A
 * keyword that does not exist is an error with a suggestion. */
int df_request_init(struct df_request *req, struct arena *a, char escape, const char *line,
		    struct df_instruction *ret, struct error **err) _must_check_;
/* Can heredocs follow this instruction (or the one that ONBUILD wraps)? */
bool df_request_takes_heredocs(const struct df_request *req, const struct df_instruction *ins);
/* Fills the typed part of *ins; heredocs and comments are there already. */
int df_instruction_parse(struct df_request *req, struct df_instruction *ins,
			 struct error **err) _must_check_;

/* A flag that an instruction has. `ret` points at const char * (NULL before), enum df_tristate or
 * struct df_strings. */
enum df_flag_type { DF_FLAG_STRING, DF_FLAG_BOOL, DF_FLAG_STRINGS };
struct df_flag_spec {
	const char *name;
	enum df_flag_type type;
	void *ret;
};
int df_flags_parse(struct df_request *req, const struct df_instruction *ins,
		   const struct df_flag_spec *specs, size_t n, struct error **err) _must_check_;

int df_run_parse(struct df_request *req, struct df_instruction *ins,
		 struct error **err) _must_check_;
int df_copy_parse(struct df_request *req, struct df_instruction *ins,
		  struct error **err) _must_check_;
int df_healthcheck_parse(struct df_request *req, struct df_instruction *ins,
			 struct error **err) _must_check_;
/* Turns the arguments into a command line in exec or shell form. */
struct df_command df_command_parse(struct df_request *req, const struct df_instruction *ins);

#endif
