/* SPDX-License-Identifier: Apache-2.0 */
/* What a build is asked to attest, as `docker buildx build` reads it: --attest, --provenance, --sbom,
 * the variables beside them, and the `attest` of a bake target.
 *
 *	struct attest_options o = ATTEST_OPTIONS_INIT;
 *	r = attest_options_add(&o, "type=provenance,mode=max", err);	one --attest
 *	r = attest_options_add_short(&o, "provenance", "false", err);	one --provenance
 *	r = attest_options_settle(&o, err);				the variables, when all is read
 *
 * What is said last of a type stands.
 */
#ifndef KILN_ENGINE_ATTEST_ATTEST_OPTIONS_H
#define KILN_ENGINE_ATTEST_ATTEST_OPTIONS_H

#include <stdbool.h>

#include "base/error.h"

#define ATTEST_PROVENANCE "provenance"
#define ATTEST_SBOM "sbom"

struct attest_options {
	bool provenance;       /* wanted */
	bool provenance_given; /* something was said of it: wanted or not, it was asked for */
	bool max;	       /* mode=max: the build arguments, steps and the Dockerfile too */
	bool v02;	       /* SLSA v0.2 instead of v1 */
	bool inline_only;      /* only inside images, where they travel with attestations anyway */
	bool reproducible;     /* what the user says of the build */
	bool complete;	       /* complete-materials: fail where a source cannot be named */
	char *builder_id;      /* owned; NULL: none */
	char *filename;	       /* in outputs of files; owned; NULL: provenance.json */
	bool old_form;	       /* BUILDX_NO_DEFAULT_OCI_ARTIFACT: no OCI artifacts */
};
#define ATTEST_OPTIONS_INIT \
	{                   \
		0           \
	}

/* "type=T,key=value,...", with disabled=true for not. ERR_INVALID: no type, an unknown one, a key or
 * a value that is none; ERR_UNSUPPORTED: what kiln cannot attest. */
int attest_options_add(struct attest_options *o, const char *text, struct error **err) _must_check_;
/* The value of the option of that type: a boolean, or attributes. "" says nothing. */
int attest_options_add_short(struct attest_options *o, const char *type, const char *text,
			     struct error **err) _must_check_;
/* What the environment says. */
int attest_options_settle(struct attest_options *o, struct error **err) _must_check_;
void attest_options_release(struct attest_options *o);

#endif
