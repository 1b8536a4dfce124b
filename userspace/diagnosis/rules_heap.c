// SPDX-License-Identifier: GPL-2.0-or-later
/* What the heaps tell: the C library's, and another allocator's. */
#include <inttypes.h>
#include <string.h>

#include "diagnosis/rules_impl.h"
#include "util/array.h"

/* Bytes: from there on large free chunks are rather large blocks than small ones that merged. */
#define CREPT_FAR (1ULL << 20)

bool mw_find_leaked(const struct mw_facts *f, struct mw_cause *c)
{
	c->bytes = f->heap.leaked;
	if (!mw_facts__worth(f, c->bytes))
		return false;
	c->confidence = 0.85;
	mw_cause_say(c->text,
		     "%s of C memory is leaked: %s blocks that nothing refers to any more.",
		     SIZE(c->bytes), COUNT(f->heap.leaked_blocks));
	mw_cause_show(
		c,
		"no word of the process's memory leads to them (memwhere leaks has their sizes)");
	mw_cause_say(c->remedy,
		     "find who forgets them: memwhere stat PID names the line that asks");
	c->remedy_known = true;
	c->remedy_bytes = c->bytes;
	return true;
}

/* Large free chunks that a threshold at its default would have had mappings of their own. */
static bool threshold_crept(const struct mw_facts *f)
{
	const struct mw_heap_facts *h = &f->heap;

	return h->threshold_known && h->dynamic && mw_facts__worth(f, h->large_free) &&
	       h->large_free > h->free / 2 &&
	       (h->threshold >= CREPT_FAR || (f->threshold_was && h->large_live));
}

bool mw_find_threshold(const struct mw_facts *f, struct mw_cause *c)
{
	const struct mw_heap_facts *h = &f->heap;
	double rate = mw_facts__part_of_growth(f, MW_SHARE_HEAP_FREE);

	if (!threshold_crept(f))
		return false;
	c->bytes = h->large_free;
	c->bytes_per_second = rate;
	c->confidence = h->threshold >= CREPT_FAR ? 0.85 : 0.7;
	mw_cause_say(
		c->text,
		"glibc's mmap threshold has crept up to %s: large blocks lie in the heap, and %s of them is "
		"free but held.",
		SIZE(h->threshold), SIZE(h->large_free));
	if (f->threshold_was)
		mw_cause_show(c, "the watch saw the threshold move from %s to %s",
			      SIZE(f->threshold_was), SIZE(h->threshold));
	else
		mw_cause_show(
			c,
			"threshold %s, it began at 128 KiB; freeing a mapped block raises it to that "
			"block's size (mp_)",
			SIZE(h->threshold));
	mw_cause_show(
		c,
		"%s free in chunks of 128 KiB and more and at the heap's end, which is trimmed only from "
		"twice the threshold on (heap walk)",
		SIZE(h->large_free));
	if (h->below_pin)
		mw_cause_show(c, "%s is free below the highest live block, %s at 0x%" PRIx64 "%s%s",
			      SIZE(h->below_pin), SIZE(h->pin_size), h->pin,
			      h->pin_owner[0] ? ": " : "", h->pin_owner);
	mw_cause_say(
		c->remedy,
		"fix the threshold: MALLOC_MMAP_THRESHOLD_=131072 at start, or mallopt(M_MMAP_THRESHOLD, "
		"131072); malloc_trim(0) gives back %s now",
		SIZE(h->trim));
	c->remedy_known = true;
	c->remedy_bytes = h->trim;
	return true;
}

static bool arenas_hold(const struct mw_facts *f)
{
	const struct mw_heap_facts *h = &f->heap;

	return h->arenas > 2 && mw_facts__worth(f, h->thread_free) && h->thread_free > h->free / 2;
}

bool mw_find_arenas(const struct mw_facts *f, struct mw_cause *c)
{
	const struct mw_heap_facts *h = &f->heap;

	if (!arenas_hold(f))
		return false;
	c->bytes = h->thread_free;
	c->bytes_per_second = mw_facts__part_of_growth(f, MW_SHARE_HEAP_FREE);
	c->confidence = 0.85;
	mw_cause_say(c->text,
		     "glibc made %" PRIu64 " arenas for threads, and they hold %s of free memory.",
		     h->arenas - 1, SIZE(h->thread_free));
	mw_cause_show(c, "%s free in thread arenas, %s in the main one (heap walk)",
		      SIZE(h->thread_free), SIZE(h->free - h->thread_free));
	mw_cause_say(c->remedy, "MALLOC_ARENA_MAX=2 at start; malloc_trim(0) gives back %s now",
		     SIZE(h->trim));
	c->remedy_known = true;
	c->remedy_bytes = h->trim;
	return true;
}

bool mw_find_glibc_free(const struct mw_facts *f, struct mw_cause *c)
{
	const struct mw_heap_facts *h = &f->heap;

	if (threshold_crept(f) || arenas_hold(f) || !mw_facts__worth(f, h->free))
		return false;
	c->bytes = h->free;
	c->bytes_per_second = mw_facts__part_of_growth(f, MW_SHARE_HEAP_FREE);
	c->confidence = 0.85;
	mw_cause_say(c->text, "%s is free but held by glibc.", SIZE(h->free));
	if (h->below_pin)
		mw_cause_show(c,
			      "%s of it lies below the highest live block, %s at 0x%" PRIx64
			      "%s%s: the heap's end can't go below it",
			      SIZE(h->below_pin), SIZE(h->pin_size), h->pin,
			      h->pin_owner[0] ? ": " : "", h->pin_owner);
	mw_cause_show(c, "%s of it is whole pages, which malloc_trim(0) gives back (heap walk)",
		      SIZE(h->trim));
	mw_cause_say(c->remedy, "call malloc_trim(0) after the peak%s",
		     h->trim < h->free / 2 ? "; the rest is in pieces smaller than a page" : "");
	c->remedy_known = true;
	c->remedy_bytes = h->trim;
	return true;
}

/*
 * How allocators give free pages back. gperftools' TCMALLOC_RELEASE_RATE does nothing before 2 GiB
 * were freed. Tried with each on Debian 12, and with mimalloc 2.1.2 and 2.2.4.
 */
static const struct {
	const char *name, *setting, *call;
} keepers[] = {
	{"jemalloc", "MALLOC_CONF=dirty_decay_ms:1000,muzzy_decay_ms:0,background_thread:true",
	 "mallctl(\"arena.4096.purge\")"},
	{"tcmalloc", "TCMALLOC_AGGRESSIVE_DECOMMIT=1 (gperftools')",
	 "MallocExtension_ReleaseFreeMemory(), of Google's "
	 "MallocExtension::ReleaseMemoryToSystem()"},
	{"mimalloc", "MIMALLOC_PURGE_DELAY=0 (up to 2.1.0 MIMALLOC_DECOMMIT_DELAY=0)",
	 "mi_collect(true)"},
};

bool mw_find_cache(const struct mw_facts *f, struct mw_cause *c)
{
	const struct mw_heap_facts *h = &f->heap;

	if (!h->cached || !mw_facts__worth(f, h->cached))
		return false;
	c->bytes = h->cached;
	c->bytes_per_second = mw_facts__part_of_growth(f, MW_SHARE_HEAP_FREE);
	c->confidence = 0.85;
	mw_cause_say(c->text, "%s is free, cached by the allocator (%s).", SIZE(h->cached),
		     h->keeper);
	mw_cause_show(c, "free pages that it keeps (heap walk; memwhere malloc)");
	for (size_t i = 0; i < MW_ARRAY_SIZE(keepers); i++) {
		if (!strcmp(h->keeper, keepers[i].name))
			mw_cause_say(c->remedy, "at start %s; at once by %s", keepers[i].setting,
				     keepers[i].call);
	}
	c->remedy_known = true;
	c->remedy_bytes = h->cached;
	return true;
}

static void show_callers(struct mw_cause *c, const struct mw_fact_site *site)
{
	if (site->callers[0])
		mw_cause_show(c, "called by %s", site->callers);
}

/* Of a program without Python's objects, which are blocks of malloc's, too. */
static void show_sizes(const struct mw_facts *f, double rate, struct mw_cause *c)
{
	const struct mw_fact_sizes *sizes = &f->sites.sizes;

	if (f->python.version[0] || sizes->bytes_per_second < rate / 2)
		return;
	if (sizes->to < 10000)
		mw_cause_show(c,
			      "of what came most is in blocks of %" PRIu64 " to %" PRIu64
			      " bytes (looks at the heap, %.0f s apart)",
			      sizes->from, sizes->to, sizes->seconds);
	else
		mw_cause_show(c,
			      "of what came most is in blocks of %s to %s (looks at the heap, "
			      "%.0f s apart)",
			      SIZE(sizes->from), SIZE(sizes->to), sizes->seconds);
}

/*
 * What points at a line while none is certain: whose blocks stay, who gets the new pages, or who
 * asks the kernel. What all lines together left must come near what grows, or it is of other
 * blocks.
 */
static void show_hint(const struct mw_facts *f, double rate, struct mw_cause *c)
{
	const struct mw_site_facts *sites = &f->sites;
	const struct mw_fact_site *hint = NULL;

	if (sites->left > rate / 2 && sites->keeper.bytes_per_second > sites->left / 2)
		hint = &sites->keeper;
	else if (sites->toucher.bytes_per_second > rate / 2)
		hint = &sites->toucher;
	else if (sites->mapper.bytes_per_second > rate / 2)
		hint = &sites->mapper;
	if (!hint || hint->python)
		return;
	mw_cause_show(c, "not certain yet: %s", hint->text);
	show_callers(c, hint);
}

bool mw_find_native(const struct mw_facts *f, struct mw_cause *c)
{
	double rate = mw_facts__part_of_growth(f, MW_SHARE_NATIVE);

	c->bytes = mw_without(f->now.shares[MW_SHARE_NATIVE], f->heap.leaked);
	if (!rate && mw_facts__share(f, c->bytes) < MW_DOMINANT)
		return false;
	c->bytes_per_second = rate;
	c->site = rate > 0 ? mw_facts__line(f, false) : NULL;
	c->confidence = c->site ? c->site == &f->sites.keeper ? 0.8 : 0.95 : rate > 0 ? 0.8 : 0.7;
	if (rate > 0)
		mw_cause_say(c->text, "C memory in use %s by %s%s%s.",
			     f->undated ? "grew" : "grows", PACE(f, rate),
			     c->site ? ", asked for at " : "", c->site ? c->site->label : "");
	else
		mw_cause_say(
			c->text,
			"%.0f %% is C memory in use: blocks that malloc gave and nobody freed.",
			100 * mw_facts__share(f, c->bytes));
	mw_cause_show(c, "%s of %s resident are live blocks of %s%s (heap walk)", SIZE(c->bytes),
		      SIZE(f->now.resident), f->heap.allocator[0] ? f->heap.allocator : "the heap",
		      f->python.version[0] ? " that no Python object owns" : "");
	if (c->site) {
		mw_cause_show(c, "%s", c->site->text);
		show_callers(c, c->site);
	} else if (rate > 0) {
		show_hint(f, rate, c);
		mw_cause_show_meanwhile(f, c);
	}
	if (rate > 0)
		show_sizes(f, rate, c);
	mw_cause_say(c->remedy, c->site ? "free what is kept there"
				: rate > 0 && !f->undated
					? MW_WATCH_LONGER
					: "watch who asks for more: memwhere stat PID");
	return true;
}
