/* SPDX-License-Identifier: Apache-2.0 */
/* A cache from outside with hostile bytes: as its manifest, its packed graph and the content of
 * that. What is read can be written, and reads back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "engine/remote_cache/remote_graph.h"
#include "engine/remote_cache/remote_manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pack(const struct remote_graph *g, struct buf *ret)
{
	if (remote_graph_pack(g, ret, NULL) < 0)
		abort();
}

static void check_graph(const void *p, size_t n)
{
	struct remote_graph g = REMOTE_GRAPH_INIT, merged = REMOTE_GRAPH_INIT;
	_cleanup_buf_ struct buf first = BUF_INIT, second = BUF_INIT;

	if (remote_graph_unpack(p, n, &g, NULL) < 0)
		return;
	pack(&g, &first);
	remote_graph_release(&g);
	if (remote_graph_unpack(first.p, first.n, &g, NULL) < 0)
		abort();
	remote_graph_merge(&merged, &g);
	pack(&g, &second);
	if (first.n != second.n || memcmp(first.p, second.p, first.n) != 0)
		abort();
	buf_clear(&second);
	pack(&merged, &second);
	remote_graph_release(&g);
	remote_graph_release(&merged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct remote_manifest m = REMOTE_MANIFEST_INIT;
	_cleanup_buf_ struct buf packed = BUF_INIT;
	size_t room = ZSTD_compressBound(size);

	if (remote_manifest_parse(data, size, &m, NULL) == 0)
		remote_manifest_release(&m);
	check_graph(data, size);
	buf_commit(&packed, ZSTD_compress(buf_reserve(&packed, room), room, data, size, 1));
	check_graph(packed.p, packed.n);
	return 0;
}
