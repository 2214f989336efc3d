/* SPDX-License-Identifier: Apache-2.0 */
/* Layers: a tar, perhaps compressed, into a layer that is thrown away. What was written must have
 * stayed inside it: a file that a name could lead out to is looked for. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/layer/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
	const uint8_t *p;
	size_t n;
};

static char root[] = "/tmp/kiln-fuzz-unpack-XXXXXX";
static struct store *store;

static void clean_up(void)
{
	store_close(store);
	(void)!fs_remove_tree(AT_FDCWD, root);
}

static int read_source(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	struct source *s = data;

	(void)err;
	*ret = s->n < n ? s->n : n;
	if (*ret > 0)
		memcpy(p, s->p, *ret);
	s->p += *ret;
	s->n -= *ret;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source s = {.p = data, .n = size};
	struct layer_writer *w = NULL;
	struct unpack_result result;
	int r;

	if (!store) {
		if (!mkdtemp(root) || store_open(root, &store, NULL) < 0)
			abort();
		(void)atexit(clean_up);
	}
	if (layer_writer_open(store, &w, NULL) < 0)
		abort();
	r = unpack_layer(w, read_source, &s, false, &result, NULL);
	layer_writer_free(w);
	if (r == 0 && s.n != 0)
		abort(); /* success means that all of it was read */
	if (faccessat(store_dirfd(store), "escaped", F_OK, 0) == 0)
		abort();
	return 0;
}
