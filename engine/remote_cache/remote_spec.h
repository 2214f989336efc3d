/* SPDX-License-Identifier: Apache-2.0 */
/* One value of --cache-from or --cache-to: "type=registry,ref=app:cache,mode=max", or a bare
 * reference, which is a registry's.
 *
 * What every backend has is parsed here; the attributes of its own stay text for its `open`
 * (engine/remote_cache/remote_backend.h), which is where their values are judged.
 */
#ifndef KILN_ENGINE_REMOTE_CACHE_REMOTE_SPEC_H
#define KILN_ENGINE_REMOTE_CACHE_REMOTE_SPEC_H

#include "base/attrs.h"
#include "base/error.h"
#include "base/strv.h"
#include "base/vec.h"
#include "engine/stream/compress.h"

enum remote_use { REMOTE_IMPORT = 1, REMOTE_EXPORT };

struct remote_spec {
	enum remote_use use;
	char *type;	    /* "registry"; "inline" is an export without a backend */
	attr_list attrs;    /* the backend's own */
	struct strv mounts; /* ids of cache mounts that travel along */

	/* export */
	bool max;	   /* results of all steps, not only those that the image is made of */
	bool ignore_error; /* a failed export is a warning */
	struct compress_options compression;
	bool force_compression; /* received layers too */
};

/* Appends to `ret` what one command line value says: several for "ref1,ref2". ERR_INVALID for an
 * unknown type, an unknown attribute, a missing one or a bad value. */
typedef VEC(struct remote_spec) remote_specs;
int remote_spec_parse(const char *text, enum remote_use use, remote_specs *ret,
		      struct error **err) _must_check_;
/* Appends the export that --build-arg BUILDKIT_INLINE_CACHE=1 asks for. */
void remote_spec_add_inline(remote_specs *ret);
void remote_specs_release(remote_specs *s);

bool remote_spec_is_inline(const struct remote_spec *s);

#endif
