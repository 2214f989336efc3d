/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a program of libseccomp smaller without changing what it says.
 *
 * libseccomp asks for every call by its number. Neighbours mostly fare alike, so a third of the
 * instructions is enough to find the range of numbers that a call is in, and the kernel translates
 * the program anew for every step. What the program says of a range is not known here but found
 * out: it is run as far as number and architecture decide, and what is left is kept as it is.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/vec.h"
#include "engine/sandbox/seccomp/build.h"

#define JUMP_MAX 255

/* An instruction and what may follow it. Equal ones are one. */
struct code {
	uint16_t op;
	uint32_t k;
	struct code *yes, *no; /* what follows; `no` only behind a jump that decides */
	size_t label;	       /* its place, counted from the program's end; 0: not placed yet */
};

struct range {
	uint32_t first;
	struct code *code;
};

struct shrink {
	const struct sock_filter *program;
	size_t n;
	struct arena arena;
	VEC(struct code *) codes;
	VEC(struct sock_filter) out; /* the last one first */
};

static struct code *code_get(struct shrink *s, uint16_t op, uint32_t k, struct code *yes,
			     struct code *no)
{
	struct code *c;

	for (size_t i = 0; i < s->codes.n; i++) {
		c = s->codes.v[i];
		if (c->op == op && c->k == k && c->yes == yes && c->no == no)
			return c;
	}
	c = arena_alloc(&s->arena, sizeof(*c));
	*c = (struct code){op, k, yes, no, 0};
	vec_push(&s->codes, c);
	return c;
}

static bool is_taken(const struct sock_filter *i, uint32_t a)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return a == i->k;
	case BPF_JGT:
		return a > i->k;
	case BPF_JGE:
		return a >= i->k;
	case BPF_JSET:
		return (a & i->k) != 0;
	default:
		abort(); /* libseccomp makes no others */
	}
}

/* What is left of the program from `at` on for one call; *a is the accumulator, NULL: it depends on
 * the call's arguments. */
static struct code *rest(struct shrink *s, size_t at, const uint32_t *a, uint32_t arch, uint32_t nr)
{
	const struct sock_filter *i = &s->program[at];
	uint32_t value;

	switch (BPF_CLASS(i->code)) {
	case BPF_RET:
		return code_get(s, i->code, i->k, NULL, NULL);
	case BPF_LD:
		if (i->k == offsetof(struct seccomp_data, nr))
			return rest(s, at + 1, &nr, arch, nr);
		if (i->k == offsetof(struct seccomp_data, arch))
			return rest(s, at + 1, &arch, arch, nr);
		return code_get(s, i->code, i->k, rest(s, at + 1, NULL, arch, nr), NULL);
	case BPF_ALU:
		if (!a || BPF_OP(i->code) != BPF_AND)
			return code_get(s, i->code, i->k, rest(s, at + 1, NULL, arch, nr), NULL);
		value = *a & i->k;
		return rest(s, at + 1, &value, arch, nr);
	case BPF_JMP:
		if (BPF_OP(i->code) == BPF_JA)
			return rest(s, at + 1 + i->k, a, arch, nr);
		if (a)
			return rest(s, at + 1 + (is_taken(i, *a) ? i->jt : i->jf), a, arch, nr);
		return code_get(s, i->code, i->k, rest(s, at + 1 + i->jt, NULL, arch, nr),
				rest(s, at + 1 + i->jf, NULL, arch, nr));
	default:
		abort();
	}
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static struct code *find_range(struct shrink *s, const struct range *r, size_t n)
{
	size_t half = n / 2;

	if (n == 1)
		return r->code;
	return code_get(s, BPF_JMP | BPF_JGE | BPF_K, r[half].first,
			find_range(s, r + half, n - half), find_range(s, r, half));
}

/* Between two numbers that the program asks for all fare alike. */
static struct code *for_arch(struct shrink *s, uint32_t arch)
{
	VEC(uint32_t) firsts = {0};
	VEC(struct range) ranges = {0};
	struct code *found;

	vec_push(&firsts, 0);
	for (size_t i = 0; i < s->n; i++)
		if (BPF_CLASS(s->program[i].code) == BPF_JMP) {
			vec_push(&firsts, s->program[i].k);
			vec_push(&firsts, s->program[i].k + 1);
		}
	qsort(firsts.v, firsts.n, sizeof(*firsts.v), compare_numbers);
	for (size_t i = 0; i < firsts.n; i++) {
		struct range r = {firsts.v[i], rest(s, 0, NULL, arch, firsts.v[i])};

		if (ranges.n == 0 || vec_last(&ranges).code != r.code)
			vec_push(&ranges, r);
	}
	found = find_range(s, ranges.v, ranges.n);
	vec_release(&firsts);
	vec_release(&ranges);
	return code_get(s, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), found,
			NULL);
}

static size_t place(struct shrink *s, uint16_t op, uint32_t k, size_t yes, size_t no)
{
	struct sock_filter i = {op, (uint8_t)yes, (uint8_t)no, k};

	vec_push(&s->out, i);
	return s->out.n;
}

/* A place with c's meaning that a jump which is placed next, or after one more, can reach. */
static size_t in_reach(struct shrink *s, const struct code *c)
{
	if (s->out.n - c->label < JUMP_MAX)
		return c->label;
	if (BPF_CLASS(c->op) == BPF_RET)
		return place(s, c->op, c->k, 0, 0);
	return place(s, BPF_JMP | BPF_JA, (uint32_t)(s->out.n - c->label), 0, 0);
}

/* From the end on, so that what follows has its place. */
static void place_all(struct shrink *s, struct code *c)
{
	size_t yes = 0, no = 0;

	if (c->label > 0)
		return;
	if (c->yes)
		place_all(s, c->yes);
	if (c->no) {
		place_all(s, c->no);
		yes = in_reach(s, c->yes);
		no = in_reach(s, c->no);
		c->label = place(s, c->op, c->k, s->out.n - yes, s->out.n - no);
		return;
	}
	if (c->yes && c->yes->label != s->out.n)
		(void)place(s, BPF_JMP | BPF_JA, (uint32_t)(s->out.n - c->yes->label), 0, 0);
	c->label = place(s, c->op, c->k, 0, 0);
}

void seccomp_shrink(const uint32_t *archs, size_t n_archs, struct buf *program)
{
	struct shrink s = {.program = (const struct sock_filter *)(const void *)program->p,
			   .n = program->n / sizeof(struct sock_filter)};
	/* Of any other architecture all calls fare alike. */
	struct code *c = rest(&s, 0, NULL, 0, 0);

	for (size_t i = n_archs; i > 0; i--)
		c = code_get(&s, BPF_JMP | BPF_JEQ | BPF_K, archs[i - 1],
			     for_arch(&s, archs[i - 1]), c);
	c = code_get(&s, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), c, NULL);
	place_all(&s, c);
	buf_clear(program);
	for (size_t i = s.out.n; i > 0; i--)
		buf_add(program, &s.out.v[i - 1], sizeof(*s.out.v));
	vec_release(&s.codes);
	vec_release(&s.out);
	arena_release(&s.arena);
}
