/* SPDX-License-Identifier: Apache-2.0 */
/* What `kiln build` says at its end: warnings, the place of an error, the results in files. */
#ifndef KILN_CMD_BUILD_BUILD_REPORT_H
#define KILN_CMD_BUILD_BUILD_REPORT_H

#include "cmd/build/build_input.h"
#include "cmd/build/build_outputs.h"

/* Sends the warnings to the progress stream, under the step that loaded the Dockerfile. */
void build_report_stream(const struct progress *progress, const struct build_input *in,
			 const struct df_lint *lint);
/* The summary on stderr: " 2 warnings found (use --check to expand):" and a line each. */
void build_report_warnings(const struct df_lint *lint);
/* The excerpt and "ERROR: failed to build: failed to solve: ..." on stderr; frees *err. Returns the
 * exit status for r. */
int build_report_error(const struct df_file *file, int r, struct error **err) _must_check_;
/* --iidfile, --metadata-file and, with --quiet, the image id on stdout. */
int build_report_result(const struct build_outputs *b, const char *ref,
			struct error **err) _must_check_;

/* What --metadata-file says of them; a new reference. `ref`: of the build's record; "" if there is
 * none. */
int build_report_metadata(const struct build_outputs *b, const char *ref, json_t **ret,
			  struct error **err) _must_check_;

#endif
