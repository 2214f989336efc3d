/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lazy_library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

/* Not a function but data, to which what protoc-c makes refers; only its address counts. */
extern const char protobuf_c_empty_string[];
const char protobuf_c_empty_string[] = "";

/* Loading a library again only finds it: no table of handles is needed, nor a lock. Of what the
 * libraries that come with it could call, little ever is: that is looked up when it happens. */
void *lazy_library_find(struct lazy_function *f)
{
	void *library = dlopen(f->library, RTLD_LAZY | RTLD_LOCAL);
	void *address = library ? dlsym(library, f->name) : NULL;

	if (!address) {
		(void)fprintf(stderr, "kiln: error while loading shared libraries: %s\n",
			      dlerror());
		exit(127); /* the loader's own status */
	}
	f->address = address;
	return address;
}
