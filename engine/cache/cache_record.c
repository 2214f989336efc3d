/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cache/cache_record.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* record.data: a version, for every output how many of the record's layers are its and how many of
 * those the step added, and for every input which layers it was (docs/formats.md, "Cache
 * record data"). */
enum { DATA_VERSION = 2, HEADER_SIZE = 8, OUTPUT_SIZE = 8, INPUT_SIZE = 8 };
#define OWN_ALL REMOTE_OWN_ALL /* of an output that is not on top of an input */
#define FOREIGN_CHAIN 2 /* an input that the author of an imported record knew, and we do not */

static void put_u32(struct buf *b, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		buf_addc(b, (char)(uint8_t)(v >> (8 * i)));
}

static uint32_t get_u32(const char *p)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v |= (uint32_t)(uint8_t)p[i] << (8 * i);
	return v;
}

/* Which layers an input is; 0: it has no layers (a context), or not known. Layer ids are never used
 * again. */
static uint64_t chain_id(const struct result *r)
{
	if (!r || r->tree)
		return 0;
	return XXH3_64bits_withSeed(r->layers, r->n_layers * sizeof(*r->layers), 1) | 1;
}

/* --- reading --- */

bool cache_record_is_readable(const struct record *rec, const struct cache_query *q)
{
	size_t size = HEADER_SIZE + q->n_outputs * OUTPUT_SIZE + q->v->n_inputs * INPUT_SIZE;

	return rec->data.n == size && get_u32(rec->data.p) == DATA_VERSION &&
	       get_u32(rec->data.p + 4) == q->n_outputs;
}

static const char *output_counts(const struct record *rec, size_t output)
{
	return rec->data.p + HEADER_SIZE + output * OUTPUT_SIZE;
}

/* Was the result made of the inputs that this build uses? A definition stands for what was last
 * made by it, so an input that was run again since, with another outcome, shows only here. */
bool cache_record_fits(const struct record *rec, const struct cache_query *q)
{
	const char *p = output_counts(rec, q->n_outputs);

	for (size_t i = 0; i < q->v->n_inputs; i++, p += INPUT_SIZE) {
		uint64_t now = chain_id(q->inputs[i]);
		uint64_t then = get_u32(p) | (uint64_t)get_u32(p + 4) << 32;

		if (now != 0 && then != 0 && now != then)
			return false;
	}
	return true;
}

/* The chain of an output: the recorded one, or the step's own layers on top of what the input is
 * now. NULL if the record does not fit. */
static struct result *output_result(const struct record *rec, const struct cache_query *q,
				    size_t output, size_t first)
{
	const char *counts = output_counts(rec, output);
	uint32_t n = get_u32(counts), own = get_u32(counts + 4);
	const struct result *base;
	struct result *r, *next;

	if (n > rec->n_layers - first || (own > n && own != OWN_ALL))
		return NULL;
	if (!q->by_content || own == OWN_ALL)
		return result_new_rootfs(rec->layers + first, n);
	base = result_base_of(q->v, output, q->inputs);
	r = result_new_rootfs(base ? base->layers : NULL, base ? base->n_layers : 0);
	for (size_t i = first + n - own; i < first + n; i++) {
		next = result_extend(r, rec->layers[i]);
		result_unref(r);
		r = next;
	}
	return r;
}

bool cache_record_outputs(const struct record *rec, const struct cache_query *q)
{
	size_t first = 0;

	for (size_t i = 0; i < q->n_outputs; i++) {
		q->outputs[i] = output_result(rec, q, i, first);
		if (!q->outputs[i]) {
			while (i > 0)
				result_unref(q->outputs[--i]);
			return false;
		}
		first += get_u32(output_counts(rec, i));
	}
	return true;
}

uint32_t cache_record_own(const struct record *rec, size_t output)
{
	if (rec->data.n < HEADER_SIZE + (output + 1) * OUTPUT_SIZE)
		return OWN_ALL;
	return get_u32(output_counts(rec, output) + 4);
}

/* --- writing --- */

/* Is `out` the layers of `base` and more on top? */
static bool extends(const struct result *out, const struct result *base)
{
	size_t below = base ? base->n_layers : 0;

	return !(base && base->tree) && out->n_layers >= below &&
	       (below == 0 ||
		memcmp(out->layers, base->layers, below * sizeof(*base->layers)) == 0);
}

/* How many of the layers the step added. */
static uint32_t own_layers(const struct result *out, const struct result *base)
{
	return out && extends(out, base) ? (uint32_t)(out->n_layers - (base ? base->n_layers : 0))
					 : OWN_ALL;
}

static void describe_output(struct record *rec, const struct result *out, uint32_t own)
{
	size_t n = out ? out->n_layers : 0;

	if (n > 0)
		memcpy(rec->layers + rec->n_layers, out->layers, n * sizeof(*rec->layers));
	rec->n_layers += n;
	put_u32(&rec->data, (uint32_t)n);
	put_u32(&rec->data, own);
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* For people (store/du.h). */
static const char *type_of(const struct op *op)
{
	const char *identifier = op->kind == OP_SOURCE ? op->source.identifier : "";

	if (op->kind != OP_SOURCE)
		return "regular";
	if (starts_with(identifier, "http://") || starts_with(identifier, "https://"))
		return "source.http";
	if (starts_with(identifier, "git://"))
		return "source.git.checkout";
	return starts_with(identifier, "local://") ? "source.local" : "source.image";
}

static void describe_input(struct record *rec, const struct result *in, bool is_foreign)
{
	uint64_t id = chain_id(in);

	if (id == 0 && is_foreign)
		id = FOREIGN_CHAIN;
	put_u32(&rec->data, (uint32_t)id);
	put_u32(&rec->data, (uint32_t)(id >> 32));
}

void cache_record_describe(struct record *rec, const struct cache_entry *e,
			   const struct remote_record *from)
{
	size_t total = 0;

	for (size_t i = 0; i < e->n_outputs; i++)
		total += e->outputs[i] ? e->outputs[i]->n_layers : 0;
	rec->layers = xcalloc(total + 1, sizeof(*rec->layers));
	put_u32(&rec->data, DATA_VERSION);
	put_u32(&rec->data, (uint32_t)e->n_outputs);
	for (size_t i = 0; i < e->n_outputs; i++) {
		const struct result *base = result_base_of(e->v, i, e->inputs);

		describe_output(rec, e->outputs[i],
				from ? from->outputs[i].own : own_layers(e->outputs[i], base));
	}
	for (size_t i = 0; i < e->v->n_inputs; i++)
		describe_input(rec, e->inputs[i], from && from->inputs[i].known);
	rec->description = xstrdup(e->v->meta.name ? e->v->meta.name : "");
	rec->type = type_of(&e->v->op);
}
