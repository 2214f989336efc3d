/* SPDX-License-Identifier: Apache-2.0 */
/* The graph of a cache outside the store: which keys stand for which layers
 * (docs/formats-cache.md).
 *
 * Filling:	remote_graph_layer(&g, &layer) gives the number of a layer, the same one
 *		for the same diff id; records and trees name layers by these numbers, and are
 *		allocated in g.arena by the caller.
 * Writing:	remote_graph_pack sorts and renumbers, so that equal contents give equal bytes.
 * Reading:	remote_graph_unpack takes bytes that nobody vouches for.
 */
#ifndef KILN_ENGINE_REMOTE_CACHE_REMOTE_GRAPH_H
#define KILN_ENGINE_REMOTE_CACHE_REMOTE_GRAPH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/map.h"
#include "base/vec.h"

#define REMOTE_GRAPH_VERSION 1
#define REMOTE_GRAPH_PACKED_MAX ((size_t)8 << 20)
#define REMOTE_GRAPH_MAX ((size_t)16 << 20)
#define REMOTE_OWN_ALL UINT32_MAX

enum {
	REMOTE_CHAIN_MAX = 4096,
	REMOTE_KEYS_MAX = 16,
	REMOTE_INPUTS_MAX = 4096,
	REMOTE_OUTPUTS_MAX = 256,
	REMOTE_NAME_MAX = 4096,
};

struct remote_layer {
	struct digest diff_id;
	bool has_tree;
	struct digest tree; /* tree digest of its index */
	int64_t created;    /* ns; 0: not known */
};

struct remote_chain {
	bool known; /* false: nothing is said, of an input */
	const uint32_t *layers;
	size_t n;
};

struct remote_output {
	struct remote_chain chain;
	uint32_t own; /* the last ones, which the step added; REMOTE_OWN_ALL: it stands alone */
};

struct remote_record {
	const struct digest *keys;
	size_t n_keys;
	struct digest op; /* op_key */
	const char *name;
	int64_t created, duration; /* ns */
	const struct remote_output *outputs;
	size_t n_outputs;
	const struct remote_chain *inputs;
	size_t n_inputs;
};

/* What a whole chain looks like. */
struct remote_tree {
	struct remote_chain chain;
	struct digest digest;
};

struct remote_graph {
	struct arena arena;
	VEC(struct remote_layer) layers;
	VEC(struct remote_record) records;
	VEC(struct remote_tree) trees;
	struct map by_diff_id; /* -> number of the layer plus one */
};
#define REMOTE_GRAPH_INIT \
	{                 \
		0         \
	}
void remote_graph_release(struct remote_graph *g);

/* What is known of a layer adds up. */
uint32_t remote_graph_layer(struct remote_graph *g, const struct remote_layer *layer);
/* Copies what `from` has and `to` lacks: records that have a key which no record of `to` has. */
void remote_graph_merge(struct remote_graph *to, const struct remote_graph *from);
/* The keys that `from` lists for records that `to` has too, of the same result. */
void remote_graph_keep_keys(struct remote_graph *to, const struct remote_graph *from);
/* Copies the trees of chains whose layers `to` has anyway. */
void remote_graph_keep_trees(struct remote_graph *to, const struct remote_graph *from);
struct remote_chain remote_graph_copy_chain(struct remote_graph *to,
					    const struct remote_graph *from,
					    const struct remote_chain *chain);

/* Appends the zstd frame. ERR_INVALID where a limit is exceeded. */
int remote_graph_pack(const struct remote_graph *g, struct buf *ret,
		      struct error **err) _must_check_;
/* *ret is REMOTE_GRAPH_INIT before, and after a failure, which is ERR_CORRUPT, or ERR_UNSUPPORTED
 * for another version. */
int remote_graph_unpack(const void *p, size_t n, struct remote_graph *ret,
			struct error **err) _must_check_;

#endif
