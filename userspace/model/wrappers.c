// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/code.h"
#include "model/wrappers.h"
#include "util/array.h"
#include "util/search.h"

enum {
	CALLERS_MIN = 3,
	DEPTH_MAX = 12, /* frames of a stack that are looked at: wrappers are near the allocator */
	PATHS_MAX = 2,	/* malloc and realloc, or what is small and what is large */
};

#define SIZES_DIFFER 1.5 /* times the smallest mean size */

/* A function in the stacks. */
struct function {
	uint64_t hash;
	uint64_t paths[PATHS_MAX]; /* from it to the allocator: hashes, 0 is none */
	bool is_helper;		   /* fewer than CALLERS_MIN call it */
	bool passes_on;
};

/* One native frame of a stack, by hashes. */
struct call {
	uint64_t function, place, caller; /* PLACE: where in the function it calls on; CALLER: 0 */
	double allocs, bytes;
};

/* The innermost native frames of a stack that are neither the allocator's nor the language's. */
struct stack {
	size_t count;
	uint32_t frames[DEPTH_MAX]; /* which of the site's they are */
	struct call calls[DEPTH_MAX];
};

struct mw_wrappers {
	struct function *list; /* sorted by hash */
	size_t count;
	/* Of all sites so far; stacks of another target are empty. */
	struct stack *stacks;
	size_t stack_count, stack_capacity;
};

static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3ULL; /* FNV-1a */
	return (hash ^ 0xff) * 0x100000001b3ULL;
}

static uint64_t hash_place(const struct mw_frame *f, uint64_t hash)
{
	hash = (hash ^ f->line) * 0x100000001b3ULL;
	return (hash ^ f->offset) * 0x100000001b3ULL;
}

/* A function without a name is as many as it has calls. */
static uint64_t hash_function(const struct mw_frame *f)
{
	uint64_t hash = hash_text(hash_text(0xcbf29ce484222325ULL, f->function), f->file);

	return f->function[0] ? hash : hash_place(f, hash);
}

static bool is_runtime(const struct mw_frame *f)
{
	enum mw_code code = mw_code_of(f);

	return code == MW_CODE_ALLOCATOR || code == MW_CODE_LANGUAGE;
}

/* The first native frame at or after I that is not the language's; the frame count: none. */
static uint32_t next_native(const struct mw_site_stats *site, uint32_t i)
{
	while (i < site->frame_count && site->frames[i].kind == MW_FRAME_NATIVE &&
	       is_runtime(&site->frames[i]))
		i++;
	return i < site->frame_count && site->frames[i].kind == MW_FRAME_NATIVE ? i
										: site->frame_count;
}

/*
 * ---- evidence ---------------------------------------------------------------------------------
 */

static void read_stack(const struct mw_site_stats *site, struct stack *out)
{
	uint32_t i = next_native(site, 0);

	out->count = 0;
	while (i < site->frame_count && out->count < DEPTH_MAX) {
		const struct mw_frame *f = &site->frames[i];
		struct call *call = &out->calls[out->count];
		uint32_t outer = i + 1;

		out->frames[out->count++] = i;
		*call = (struct call){.function = hash_function(f)};
		call->place = hash_place(f, call->function);
		i = next_native(site, outer);
		/* Python, too, calls native functions: by its own functions. */
		if (i < site->frame_count)
			call->caller = hash_function(&site->frames[i]);
		else if (outer < site->frame_count && site->frames[outer].kind == MW_FRAME_PYTHON)
			call->caller = hash_function(&site->frames[outer]);
	}
}

static int read_stacks(struct mw_wrappers *w, const struct mw_sites *sites, uint32_t target)
{
	size_t count = mw_sites__count(sites);

	if (mw_array_reserve(&w->stacks, &w->stack_capacity, count + 1, sizeof(*w->stacks)))
		return -ENOMEM;
	for (; w->stack_count < count; w->stack_count++) {
		const struct mw_site_stats *site = mw_sites__at(sites, w->stack_count);
		struct stack *stack = &w->stacks[w->stack_count];

		stack->count = 0;
		if (site->target == target)
			read_stack(site, stack);
	}
	return 0;
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int by_place(const void *x, const void *y)
{
	const struct call *a = x, *b = y;
	int order = COMPARE(a->function, b->function);

	if (!order)
		order = COMPARE(a->place, b->place);
	return order ? order : COMPARE(a->caller, b->caller);
}

/* Up to CALLERS_MIN: how many functions call the one of the COUNT calls at LIST. */
static size_t count_callers(const struct call *list, size_t count)
{
	uint64_t seen[CALLERS_MIN];
	size_t n = 0, k;

	for (size_t i = 0; i < count && n < CALLERS_MIN; i++) {
		for (k = 0; k < n && seen[k] != list[i].caller; k++)
			;
		if (k == n && list[i].caller)
			seen[n++] = list[i].caller;
	}
	return n;
}

/* Do callers get different sizes at one place in the function? LIST is sorted by place. */
static bool sizes_differ(const struct call *list, size_t count)
{
	double least = 0, most = 0;

	for (size_t i = 0; i < count;) {
		double allocs = 0, bytes = 0;
		size_t k = i;

		for (; k < count && list[k].place == list[i].place &&
		       list[k].caller == list[i].caller;
		     k++) {
			allocs += list[k].allocs;
			bytes += list[k].bytes;
		}
		if (!i || list[i].place != list[i - 1].place)
			least = most = 0;
		if (allocs > 0 && bytes > 0) {
			least = !(least > 0) || bytes / allocs < least ? bytes / allocs : least;
			most = bytes / allocs > most ? bytes / allocs : most;
		}
		if (least > 0 && most >= SIZES_DIFFER * least)
			return true;
		i = k;
	}
	return false;
}

/* The functions of the COUNT calls at LIST, by what their callers say of them. */
static int judge_callers(struct mw_wrappers *w, struct call *list, size_t count)
{
	size_t capacity = 0;

	if (count)
		qsort(list, count, sizeof(*list), by_place);
	for (size_t i = 0, end; i < count; i = end) {
		size_t callers;

		for (end = i; end < count && list[end].function == list[i].function;)
			end++;
		callers = count_callers(&list[i], end - i);
		if (mw_array_reserve(&w->list, &capacity, w->count + 1, sizeof(*w->list)))
			return -ENOMEM;
		w->list[w->count++] = (struct function){
			.hash = list[i].function,
			.is_helper = callers < CALLERS_MIN,
			.passes_on = callers >= CALLERS_MIN && sizes_differ(&list[i], end - i),
		};
	}
	return 0;
}

static bool comes_before(const void *at, const void *key)
{
	const struct function *f = at;
	const uint64_t *hash = key;

	return f->hash < *hash;
}

static struct function *find(const struct mw_wrappers *w, uint64_t hash)
{
	size_t i = mw_search(w->list, w->count, sizeof(*w->list), comes_before, &hash);

	return i < w->count && w->list[i].hash == hash ? &w->list[i] : NULL;
}

static void note_path(struct function *f, uint64_t path)
{
	for (int i = 0; i < PATHS_MAX; i++) {
		if (f->paths[i] == path)
			return;
		if (!f->paths[i]) {
			f->paths[i] = path;
			return;
		}
	}
	f->passes_on = false;
}

/* One way through which the functions of a stack reach the allocator. */
static void note_paths(struct mw_wrappers *w, const struct stack *stack)
{
	uint64_t path = 1;

	for (size_t i = 0; i < stack->count; i++) {
		struct function *f = find(w, stack->calls[i].function);

		if (f)
			note_path(f, path);
		path = ((path ^ stack->calls[i].function) * 0x100000001b3ULL) | 1;
	}
}

/*
 * How many functions of STACK are wrappers, given those that are. A helper belongs to the wrapper
 * that calls it.
 */
static size_t count_wrappers(const struct mw_wrappers *w, const struct stack *stack)
{
	bool after_helper = false;
	size_t n = 0;

	for (size_t i = 0; i < stack->count; i++) {
		const struct function *f = find(w, stack->calls[i].function);

		if (!f || !(f->passes_on || (f->is_helper && !after_helper)))
			break;
		after_helper = !f->passes_on;
		if (f->passes_on)
			n = i + 1;
	}
	return n;
}

/* What is called a wrapper but is found behind others is none. True if there was one. */
static bool drop_behind(struct mw_wrappers *w, const struct stack *stack)
{
	bool dropped = false;

	for (size_t i = count_wrappers(w, stack); i < stack->count; i++) {
		struct function *f = find(w, stack->calls[i].function);

		if (f && f->passes_on) {
			f->passes_on = false;
			dropped = true;
		}
	}
	return dropped;
}

/* Find W's functions in its stacks. */
static int judge(struct mw_wrappers *w, const struct mw_sites *sites)
{
	struct call *calls = calloc(w->stack_count * DEPTH_MAX + 1, sizeof(*calls));
	bool more = true;
	size_t count = 0;
	int ret;

	if (!calls)
		return -ENOMEM;
	for (size_t i = 0; i < w->stack_count; i++) {
		const struct mw_site_totals *t = &mw_sites__at(sites, i)->totals;

		/* Stacks of page faults and mappings do not end in the allocator. */
		for (size_t k = 0; t->allocs > 0 && k < w->stacks[i].count; k++) {
			calls[count] = w->stacks[i].calls[k];
			calls[count].allocs = t->allocs;
			calls[count++].bytes = t->alloc_bytes;
		}
	}
	ret = judge_callers(w, calls, count);
	free(calls);
	for (size_t i = 0; !ret && i < w->stack_count; i++) {
		if (mw_sites__at(sites, i)->totals.allocs > 0)
			note_paths(w, &w->stacks[i]);
	}
	/* Each round drops a function at least, so this ends. */
	while (!ret && more) {
		more = false;
		for (size_t i = 0; i < w->stack_count; i++) {
			if (mw_sites__at(sites, i)->totals.allocs > 0)
				more |= drop_behind(w, &w->stacks[i]);
		}
	}
	return ret;
}

/*
 * ---- life cycle and answers -------------------------------------------------------------------
 */

struct mw_wrappers *mw_wrappers__new(void)
{
	return calloc(1, sizeof(struct mw_wrappers));
}

void mw_wrappers__free(struct mw_wrappers *w)
{
	if (!w)
		return;
	free(w->list);
	free(w->stacks);
	free(w);
}

/* Do labels by NOW and by BEFORE agree, as far as BEFORE knows the functions? */
static bool is_same(const struct mw_wrappers *now, const struct mw_wrappers *before)
{
	for (size_t i = 0; i < now->count; i++) {
		const struct function *f = &now->list[i], *old = find(before, f->hash);

		if (old ? f->passes_on != old->passes_on || f->is_helper != old->is_helper
			: f->passes_on)
			return false;
	}
	return true;
}

int mw_wrappers__learn(struct mw_wrappers *w, const struct mw_sites *sites, uint32_t target)
{
	struct mw_wrappers before = {.list = w->list, .count = w->count};
	int ret = read_stacks(w, sites, target);

	if (ret)
		return ret;
	w->list = NULL;
	w->count = 0;
	ret = judge(w, sites);
	if (ret) {
		free(w->list);
		w->list = before.list;
		w->count = before.count;
		return ret;
	}
	ret = !is_same(w, &before);
	free(before.list);
	return ret;
}

uint32_t mw_wrappers__skip(const struct mw_wrappers *w, const struct mw_site_stats *site)
{
	struct stack stack;
	size_t wrappers;

	read_stack(site, &stack);
	if (!stack.count)
		return site->frame_count;
	wrappers = w ? count_wrappers(w, &stack) : 0;
	/* There may be only wrappers, as in a stack that was cut: the outermost has to do. */
	return stack.frames[wrappers < stack.count ? wrappers : stack.count - 1];
}
