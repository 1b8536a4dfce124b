// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One sweep over the text keeps the last instructions. At a conditional jump that may be a place
 * they are run with symbols for values, so that neither the order of instructions nor the registers
 * matter, nor copies from one register to another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/dataflow.h"
#include "probe/pymalloc_places.h"
#include "util/array.h"

/* struct pool_header, alike in 2.7 to 3.15. */
enum { COUNT = 0, FREEBLOCK = 8, NEXTPOOL = 16, CLASS = 36 };

enum {
	WINDOW = 32, /* instructions that a shape may be spread over; a power of two */
	SIDE = 24,   /* instructions from a test to its place or call */
	AFTER = 8,   /* and from a place of a free to where the pool's count falls */
	REGISTERS = 32,
};

struct seen {
	struct mw_op op;
	uint64_t at;
};

struct test {
	uint64_t at, empty,
		filled; /* the jump; where it goes if the list has no pool, or has one */
	bool leads_to_place;
};

struct call {
	uint64_t at, target;
};

struct search {
	struct mw_pymalloc_places *places;
	const uint8_t *code;
	size_t size;
	uint64_t address;
	struct seen window[WINDOW];
	size_t count; /* instructions seen */
	struct test *tests;
	size_t test_count, test_capacity;
	struct call *calls;
	size_t call_count, call_capacity;
};

static bool decode_at(const struct search *s, struct mw_op *op, uint64_t at)
{
	return at - s->address < s->size &&
	       mw_op_decode(op, s->code + (at - s->address), s->size - (at - s->address), at);
}

/* ---- symbols --------------------------------------------------------------------------------- */

/* Memory that was read or written: a word at OFFSET of where the value BASE points. */
struct access {
	enum { READ, WRITTEN, CHANGED } how;
	int base, value; /* numbers of values */
	int32_t offset;
	int32_t by; /* CHANGED: added; WRITTEN, VALUE is 0: the constant */
	uint8_t size;
};

struct run {
	int registers[REGISTERS]; /* the value that each holds */
	int values;		  /* how many there are */
	struct access accesses[WINDOW];
	size_t access_count;
	/* What the flags say: that FLAG_A is 0 (FLAG_B is 0), or that both are equal; 0: neither.
	 */
	int flag_a, flag_b;
	struct access flag_memory; /* COMPARE_MEMORY: what FLAG_A was compared with */
	bool flag_is_memory;
};

static int new_value(struct run *r)
{
	return ++r->values;
}

static int value_of(const struct run *r, uint8_t reg)
{
	return reg < REGISTERS ? r->registers[reg] : 0;
}

static void note(struct run *r, struct access access)
{
	if (r->access_count < WINDOW)
		r->accesses[r->access_count++] = access;
}

static void step(struct run *r, const struct mw_op *op)
{
	int base = value_of(r, op->base), value = value_of(r, op->reg);
	int written = op->kind == MW_OP_COPY && op->size == 8 ? base : 0;

	if (op->sets_flags) {
		r->flag_a = r->flag_b = 0;
		r->flag_is_memory = false;
	}
	switch (op->kind) {
	case MW_OP_LOAD:
		written = new_value(r);
		note(r, (struct access){READ, base, written, op->offset, 0, op->size});
		break;
	case MW_OP_STORE:
		note(r, (struct access){WRITTEN, base, value, op->offset, 0, op->size});
		break;
	case MW_OP_SET:
		note(r, (struct access){WRITTEN, base, 0, op->offset, op->value, op->size});
		break;
	case MW_OP_ADD:
		note(r, (struct access){CHANGED, base, 0, op->offset, op->value, op->size});
		break;
	case MW_OP_IS_ZERO:
		r->flag_a = op->size == 8 ? value : 0;
		break;
	case MW_OP_COMPARE:
		r->flag_a = value;
		r->flag_b = base;
		break;
	case MW_OP_COMPARE_MEMORY:
		r->flag_a = value;
		r->flag_memory = (struct access){READ, base, 0, op->offset, 0, op->size};
		r->flag_is_memory = true;
		break;
	default:
		break;
	}
	for (uint32_t i = 0; op->written && i < REGISTERS; i++) {
		if (op->written >> i & 1)
			r->registers[i] = written ? written : new_value(r);
	}
}

/* Run the window up to the last instruction, which is a jump; not across one without a condition.
 */
static void run_window(const struct search *s, struct run *r)
{
	size_t last = s->count - 1, first = s->count > WINDOW ? s->count - WINDOW : 0;

	for (size_t i = last; i-- > first;) {
		enum mw_op_kind kind = s->window[i % WINDOW].op.kind;

		if (kind == MW_OP_CALL || kind == MW_OP_JUMP || kind == MW_OP_END) {
			first = i + 1;
			break;
		}
	}
	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < REGISTERS; i++)
		r->registers[i] = new_value(r);
	for (size_t i = first; i < last; i++)
		step(r, &s->window[i % WINDOW].op);
}

/* The value read from BASE (0: any) + OFFSET as VALUE (0: any). NULL: none. */
static const struct access *find_access(const struct run *r, int how, int base, int32_t offset,
					int value)
{
	for (size_t i = r->access_count; i-- > 0;) {
		const struct access *a = &r->accesses[i];

		if ((int)a->how == how && a->offset == offset && (!base || a->base == base) &&
		    (!value || a->value == value))
			return a;
	}
	return NULL;
}

static uint8_t register_of(const struct run *r, int value)
{
	for (uint8_t i = 0; i < REGISTERS; i++) {
		if (r->registers[i] == value)
			return i;
	}
	return MW_NO_REG;
}

/* ---- places ---------------------------------------------------------------------------------- */

/* The block was put on the stack, or it is the pool's first free one, as one just freed is. */
static void find_in_memory(const struct run *r, struct mw_pymalloc_place *place, int block)
{
	for (size_t i = r->access_count; i-- > 0;) {
		const struct access *a = &r->accesses[i];
		uint8_t base = register_of(r, a->base);

		if (a->how != WRITTEN || a->value != block || a->size != 8 || base == MW_NO_REG ||
		    a->offset < -MW_PYMALLOC_OFFSET_MAX || a->offset > MW_PYMALLOC_OFFSET_MAX)
			continue;
		place->block = base;
		place->block_offset = (int16_t)a->offset;
		place->block_in_memory = true;
		return;
	}
}

/* BLOCK 0: not known. */
static int add_place(struct search *s, const struct run *r, enum mw_pymalloc_place_kind kind,
		     int pool, int block)
{
	struct mw_pymalloc_places *p = s->places;
	struct mw_pymalloc_place place = {
		.address = s->window[(s->count - 1) % WINDOW].at,
		.kind = kind,
		.pool = register_of(r, pool),
		.block = block ? register_of(r, block) : MW_NO_REG,
	};

	if (block && place.block == MW_NO_REG)
		find_in_memory(r, &place, block);
	if (place.pool == MW_NO_REG || (block && place.block == MW_NO_REG))
		return 0;
	if (mw_array_reserve(&p->list, &p->capacity, p->count + 1, sizeof(place)))
		return -ENOMEM;
	p->list[p->count++] = place;
	p->allocs += kind == MW_PYMALLOC_ALLOC;
	p->frees += kind == MW_PYMALLOC_FREE;
	p->new_pools += kind == MW_PYMALLOC_NEW_POOL;
	return 0;
}

/* The pool's count of used blocks goes up (BY 1) or down, in place or by way of a register. */
static bool count_moves(const struct run *r, int pool, int32_t by)
{
	const struct access *changed = find_access(r, CHANGED, pool, COUNT, 0);
	const struct access *written = find_access(r, WRITTEN, pool, COUNT, 0);

	if (changed)
		return changed->size == 4 && changed->by == by;
	return written && written->size == 4 && written->value;
}

/* The same after the jump at AT, on the way on or on the other, as to 3.8. */
static bool count_falls_after(const struct search *s, const struct seen *jump, uint8_t pool)
{
	for (int side = 0; side < 2; side++) {
		uint64_t at = side ? jump->op.target : jump->at + jump->op.length;
		struct mw_op op;

		for (int i = 0; i < AFTER && decode_at(s, &op, at); i++, at += op.length) {
			if (op.base == pool && op.offset == COUNT && op.size == 4 &&
			    (op.kind == MW_OP_LOAD || (op.kind == MW_OP_ADD && op.value == -1)))
				return true;
			if (op.kind >= MW_OP_IF_EQUAL || op.written >> (pool % REGISTERS) & 1)
				break;
		}
	}
	return false;
}

/* What the flags speak of was written elsewhere than into POOL. */
static bool is_linked(const struct run *r, int pool)
{
	for (size_t i = 0; i < r->access_count; i++) {
		const struct access *a = &r->accesses[i];

		if (a->how == WRITTEN && a->size == 8 && a->value == r->flag_a && a->base != pool)
			return true;
	}
	return false;
}

/* The flags say whether a word is 0. */
static int check_place(struct search *s, const struct run *r, const struct seen *jump)
{
	const struct access *read = find_access(r, READ, 0, 0, r->flag_a), *freeblock, *block;

	if (read) { /* N = *B; B = P->freeblock; P->freeblock = N */
		freeblock = find_access(r, READ, 0, FREEBLOCK, read->base);
		if (freeblock && freeblock->base != read->base &&
		    find_access(r, WRITTEN, freeblock->base, FREEBLOCK, r->flag_a) &&
		    count_moves(r, freeblock->base, 1))
			return add_place(s, r, MW_PYMALLOC_ALLOC, freeblock->base, read->base);
		return 0;
	}
	/* L = P->freeblock; *B = L, where B may be a register and an offset; P->freeblock = B */
	read = find_access(r, READ, 0, FREEBLOCK, r->flag_a);
	block = read ? find_access(r, WRITTEN, read->base, FREEBLOCK, 0) : NULL;
	if (block && block->size == 8 && block->value && block->value != r->flag_a &&
	    is_linked(r, read->base) &&
	    (count_moves(r, read->base, -1) ||
	     count_falls_after(s, jump, register_of(r, read->base))))
		return add_place(s, r, MW_PYMALLOC_FREE, read->base, block->value);
	return 0;
}

/*
 * P->count = 1, and if P->class is not the one that it is to have, it is set: what a function of
 * its own does from 3.9 on (SLOW).
 */
static int check_new_pool(struct search *s, const struct run *r, const struct seen *jump)
{
	const struct access *one = find_access(r, WRITTEN, 0, COUNT, 0);
	uint64_t at =
		jump->op.kind == MW_OP_IF_EQUAL ? jump->at + jump->op.length : jump->op.target;
	uint8_t pool;
	struct mw_op op;

	if (!one || one->size != 4 || one->value || one->by != 1)
		return 0;
	pool = register_of(r, one->base);
	for (int i = 0; i < AFTER && decode_at(s, &op, at); i++, at += op.length) {
		if ((op.kind == MW_OP_STORE || op.kind == MW_OP_SET) && op.base == pool &&
		    op.offset == CLASS && op.size == 4)
			return add_place(s, r, MW_PYMALLOC_NEW_POOL, one->base, 0);
		if (op.kind >= MW_OP_IF_EQUAL || op.written >> (pool % REGISTERS) & 1)
			break;
	}
	return 0;
}

static int check_test(struct search *s, const struct run *r, const struct seen *jump)
{
	const struct access *read;
	struct test test = {jump->at, jump->op.target, jump->at + jump->op.length, false};

	if (r->flag_is_memory) {
		if (r->flag_memory.offset != NEXTPOOL || r->flag_memory.base != r->flag_a)
			return 0;
	} else {
		read = find_access(r, READ, 0, NEXTPOOL, r->flag_a);
		if (!read || read->base != r->flag_b)
			read = find_access(r, READ, 0, NEXTPOOL, r->flag_b);
		if (!read || (read->base != r->flag_a && read->base != r->flag_b))
			return 0;
	}
	if (jump->op.kind == MW_OP_UNLESS_EQUAL) {
		test.empty = jump->at + jump->op.length;
		test.filled = jump->op.target;
	}
	if (mw_array_reserve(&s->tests, &s->test_capacity, s->test_count + 1, sizeof(test)))
		return -ENOMEM;
	s->tests[s->test_count++] = test;
	return 0;
}

/* The instruction that made the flags of the jump seen last, NULL: it is too far away. */
static const struct mw_op *flags_of_jump(const struct search *s)
{
	for (size_t i = 2; i <= WINDOW && i <= s->count; i++) {
		const struct mw_op *op = &s->window[(s->count - i) % WINDOW].op;

		if (op->sets_flags)
			return op;
		if (op->kind >= MW_OP_JUMP)
			return NULL;
	}
	return NULL;
}

static int check_jump(struct search *s, const struct seen *jump)
{
	const struct mw_op *flags = flags_of_jump(s);
	struct run r;
	int ret;

	if (!flags)
		return 0;
	run_window(s, &r);
	if (flags->kind == MW_OP_IS_ZERO)
		return r.flag_a ? check_place(s, &r, jump) : 0;
	ret = flags->kind == MW_OP_COMPARE || flags->kind == MW_OP_COMPARE_MEMORY
		      ? check_test(s, &r, jump)
		      : 0;
	return ret ? ret : check_new_pool(s, &r, jump);
}

static int sweep(struct search *s)
{
	for (size_t at = 0; at < s->size;) {
		struct seen *now = &s->window[s->count % WINDOW];
		int ret = 0;

		now->at = s->address + at;
		if (!mw_op_decode(&now->op, s->code + at, s->size - at, now->at)) {
			now->op = (struct mw_op){.kind = MW_OP_END, .length = 1};
		}
		s->count++;
		at += now->op.length;
		if (now->op.kind == MW_OP_IF_EQUAL || now->op.kind == MW_OP_UNLESS_EQUAL) {
			ret = check_jump(s, now);
		} else if (now->op.kind == MW_OP_CALL || now->op.kind == MW_OP_JUMP) {
			ret = mw_array_reserve(&s->calls, &s->call_capacity, s->call_count + 1,
					       sizeof(*s->calls));
			if (!ret)
				s->calls[s->call_count++] = (struct call){now->at, now->op.target};
		}
		if (ret)
			return -ENOMEM;
	}
	return 0;
}

/* ---- do the lists agree? --------------------------------------------------------------------- */

static const struct mw_pymalloc_place *place_at(const struct mw_pymalloc_places *p, uint64_t at)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->list[middle].address < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->count && p->list[low].address == at ? &p->list[low] : NULL;
}

/* Does the code from AT on come to a place where a block is handed out? */
static bool leads_to_place(const struct search *s, uint64_t at)
{
	struct mw_op op;

	for (int i = 0; i < SIDE && decode_at(s, &op, at); i++) {
		const struct mw_pymalloc_place *place = place_at(s->places, at);

		if (place && place->kind == MW_PYMALLOC_ALLOC)
			return true;
		if (op.kind == MW_OP_CALL || op.kind == MW_OP_END)
			return false;
		at = op.kind == MW_OP_JUMP ? op.target : at + op.length;
	}
	return false;
}

/*
 * The call that the straight line from AT on comes to, 0: none. A jump out of the function looks
 * like one within; it is one out where JUMP_TARGET (0: unknown) says so.
 */
static struct call call_on_line(const struct search *s, uint64_t at, uint64_t jump_target)
{
	struct mw_op op;

	for (int i = 0; i < SIDE && decode_at(s, &op, at); i++) {
		if (op.kind == MW_OP_CALL ||
		    (op.kind == MW_OP_JUMP && jump_target && op.target == jump_target))
			return (struct call){at, op.target};
		if (op.kind == MW_OP_END || op.kind == MW_OP_IF_EQUAL ||
		    op.kind == MW_OP_UNLESS_EQUAL)
			break;
		at = op.kind == MW_OP_JUMP ? op.target : at + op.length;
	}
	return (struct call){0};
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* What most of the tests that have a place beside them call when there is no pool. */
static int find_slow(struct search *s)
{
	uint64_t *targets = calloc(s->test_count + 1, sizeof(*targets));
	size_t count = 0, best = 0;

	if (!targets)
		return -ENOMEM;
	for (size_t i = 0; i < s->test_count; i++) {
		struct test *t = &s->tests[i];

		t->leads_to_place = leads_to_place(s, t->filled);
		if (t->leads_to_place)
			targets[count++] = call_on_line(s, t->empty, 0).target;
	}
	qsort(targets, count, sizeof(*targets), by_value);
	for (size_t i = 0, n = 0; i < count; i++) {
		n = i && targets[i] == targets[i - 1] ? n + 1 : 1;
		if (targets[i] && n > best && 2 * n > count) {
			best = n;
			s->places->slow = targets[i];
		}
	}
	free(targets);
	return 0;
}

static int compare(struct search *s)
{
	struct mw_pymalloc_places *p = s->places;
	uint64_t *reached = calloc(s->test_count + 1, sizeof(*reached));
	size_t count = 0;

	if (!reached)
		return -ENOMEM;
	for (size_t i = 0; i < s->test_count; i++) {
		const struct test *t = &s->tests[i];
		struct call call = {0};

		if (p->slow)
			call = call_on_line(s, t->empty, p->slow);
		if (call.target != p->slow)
			call.at = 0;
		p->tests += t->leads_to_place || call.at;
		p->tests_placed += t->leads_to_place;
		if (t->leads_to_place && call.at)
			reached[count++] = call.at;
	}
	qsort(reached, count, sizeof(*reached), by_value);
	for (size_t i = 0; p->slow && i < s->call_count; i++) {
		if (s->calls[i].target != p->slow)
			continue;
		p->slow_calls++;
		p->slow_reached += bsearch(&s->calls[i].at, reached, count, sizeof(*reached),
					   by_value) != NULL;
	}
	free(reached);
	return 0;
}

int mw_pymalloc_places__find(struct mw_pymalloc_places *places, const uint8_t *code, size_t size,
			     uint64_t address)
{
	struct search s = {.places = places, .code = code, .size = size, .address = address};
	int ret;

	memset(places, 0, sizeof(*places));
	ret = sweep(&s);
	if (!ret)
		ret = find_slow(&s);
	if (!ret)
		ret = compare(&s);
	free(s.tests);
	free(s.calls);
	if (ret)
		mw_pymalloc_places__free(places);
	return ret;
}

void mw_pymalloc_places__free(struct mw_pymalloc_places *places)
{
	free(places->list);
	memset(places, 0, sizeof(*places));
}

bool mw_pymalloc_places__are_all(const struct mw_pymalloc_places *places)
{
	return places->allocs && places->frees && places->slow_reached == places->slow_calls &&
	       places->tests_placed == places->tests;
}
