// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rules' table and what they share. Nothing below MW_SURE is shown. A cause is worth showing
 * when it explains a share of what is resident, or of the growth.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnosis/rules_impl.h"
#include "util/array.h"

#define MW_SURE	     0.6  /* below it memwhere does not guess */
#define WORTH_SHARE  0.05 /* of what is resident */
#define GROWTH_SHARE 0.15 /* of the growth: a share that grows by less is no cause of it */
/* What a busy process moves by itself: bytes a second, bytes altogether, of what is resident. */
#define GROWTH_NOISE  2048
#define GROWTH_BYTES  (512 << 10)
#define GROWTH_OF_RSS 2e-5
#define KEEPS_SHARE   0.5 /* of the growth: a line that keeps less for certain is not named */
#define STEADY_AFTER  9	  /* seconds: growth of less than that hides in what moves by itself */
#define CODE_SHOWN    (256 << 10) /* bytes: fewer pages of the program go without saying */
#define GOES_ON	      0.25	  /* of the growth: what has slowed down to less has ended */

void mw_cause_say(char *buf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(buf, MW_CAUSE_TEXT, format, args);
	va_end(args);
}

void mw_cause_show(struct mw_cause *c, const char *format, ...)
{
	va_list args;

	if (c->evidence_count == MW_CAUSE_EVIDENCE)
		return;
	va_start(args, format);
	vsnprintf(c->evidence[c->evidence_count++], MW_CAUSE_TEXT, format, args);
	va_end(args);
}

double mw_facts__share(const struct mw_facts *f, uint64_t bytes)
{
	return f->now.resident ? (double)bytes / (double)f->now.resident : 0;
}

static double moved(const struct mw_facts *f, uint64_t now, uint64_t before)
{
	return f->seconds > 0 ? ((double)now - (double)before) / f->seconds : 0;
}

static double code_growth(const struct mw_facts *f)
{
	return moved(f, f->now.code, f->before.code);
}

double mw_facts__growth(const struct mw_facts *f)
{
	return moved(f, f->now.resident, f->before.resident) - code_growth(f);
}

double mw_facts__growth_of(const struct mw_facts *f, enum mw_share share)
{
	return moved(f, f->now.shares[share], f->before.shares[share]) -
	       (share == MW_SHARE_FILES ? code_growth(f) : 0);
}

static double largest(double a, double b)
{
	return a > b ? a : b;
}

/* By more than a busy process moves by itself. */
static bool has_grown(const struct mw_facts *f)
{
	double least = largest(GROWTH_OF_RSS * (double)f->now.resident, GROWTH_NOISE);

	return f->seconds > 0 && mw_facts__growth(f) > largest(least, GROWTH_BYTES / f->seconds);
}

bool mw_facts__grow(const struct mw_facts *f)
{
	return has_grown(f) && (!f->has_later || f->later_growth > GOES_ON * mw_facts__growth(f));
}

double mw_facts__part_of_growth(const struct mw_facts *f, enum mw_share share)
{
	double own = mw_facts__growth_of(f, share);

	return mw_facts__grow(f) && own > GROWTH_NOISE && own > GROWTH_SHARE * mw_facts__growth(f)
		       ? own
		       : 0;
}

bool mw_facts__worth(const struct mw_facts *f, uint64_t bytes)
{
	return bytes >= MW_WORTH_BYTES && mw_facts__share(f, bytes) >= WORTH_SHARE;
}

/*
 * Does the keeper, even if all that was freed unseen was its own? Then it is the reason of most of
 * the growth, however small the part of the time was in which anything was seen.
 */
static bool keeps_most(const struct mw_facts *f)
{
	double used =
		mw_facts__growth_of(f, MW_SHARE_OBJECTS) + mw_facts__growth_of(f, MW_SHARE_NATIVE);
	double unseen = f->sites.left > used ? f->sites.left - used : 0;

	return f->sites.keeper.label[0] && used > 0 &&
	       f->sites.keeper.bytes_per_second - unseen > KEEPS_SHARE * mw_facts__growth(f);
}

const struct mw_fact_site *mw_facts__line(const struct mw_facts *f, bool python)
{
	const struct mw_fact_site *best = NULL;

	for (size_t i = 0; i < f->sites.count; i++) {
		if (f->sites.list[i].python == python &&
		    (!best || f->sites.list[i].bytes_per_second > best->bytes_per_second))
			best = &f->sites.list[i];
	}
	if (best && best->bytes_per_second < MW_NAMED_SHARE * mw_facts__growth(f))
		best = NULL;
	return !best && f->sites.keeper.python == python && keeps_most(f) ? &f->sites.keeper : best;
}

/* Nothing grows: an answer, too. */
static bool find_steady(const struct mw_facts *f, struct mw_cause *c)
{
	char change[MW_UNIT_BUF];

	if (!(f->seconds > 0) || mw_facts__grow(f) || (!f->undated && f->seconds < STEADY_AFTER))
		return false;
	c->bytes = f->now.resident;
	mw_format_signed_size(change, (int64_t)(f->now.resident - f->before.resident));
	c->confidence = f->seconds >= 20 || f->undated ? 0.8 : 0.65;
	if (f->undated)
		mw_cause_say(c->text, "Nothing grew from one to the other: %s.", change);
	else if (has_grown(f))
		mw_cause_say(
			c->text,
			"It has stopped growing: %s in %.0f s, little of it in the second half.",
			change, f->seconds);
	else
		mw_cause_say(c->text, "Nothing grows: %s in %.0f s.", change, f->seconds);
	mw_cause_show(c, "resident %s, then %s", SIZE(f->before.resident), SIZE(f->now.resident));
	if (f->now.code > f->before.code + CODE_SHOWN)
		mw_cause_show(c,
			      "%s of it is pages of the program and its libraries, which come when "
			      "they run and which the kernel takes when memory is short",
			      SIZE(f->now.code - f->before.code));
	if (!f->undated)
		mw_cause_say(c->remedy,
			     "if it grows more slowly than that, watch longer: --for 10m");
	return true;
}

/*
 * Sources: pymalloc, free lists: Objects/obmalloc.c and Modules/gcmodule.c of CPython. Threshold,
 * arenas, trimming: malloc/malloc.c and malloc/arena.c of glibc, mallopt(3). Decay: jemalloc(3).
 */
static const struct {
	const char *name;
	mw_rule_fn *find;
} rules[] = {
	[MW_CAUSE_PYTHON_OBJECTS] = {"python-objects", mw_find_python_objects},
	[MW_CAUSE_PYTHON_CYCLES] = {"python-cycles", mw_find_cycles},
	[MW_CAUSE_PYTHON_FREE_BLOCKS] = {"python-free-blocks", mw_find_free_blocks},
	[MW_CAUSE_PYTHON_PARKED] = {"python-parked", mw_find_parked},
	[MW_CAUSE_GLIBC_FREE] = {"glibc-free", mw_find_glibc_free},
	[MW_CAUSE_GLIBC_THRESHOLD] = {"glibc-threshold", mw_find_threshold},
	[MW_CAUSE_GLIBC_ARENAS] = {"glibc-arenas", mw_find_arenas},
	[MW_CAUSE_NATIVE_LIVE] = {"native-live", mw_find_native},
	[MW_CAUSE_NATIVE_LEAK] = {"native-leak", mw_find_leaked},
	[MW_CAUSE_ALLOCATOR_CACHE] = {"allocator-cache", mw_find_cache},
	[MW_CAUSE_MAPPINGS] = {"mappings", mw_find_mappings},
	[MW_CAUSE_STACKS] = {"stacks", mw_find_stacks},
	[MW_CAUSE_FILES] = {"files", mw_find_files},
	[MW_CAUSE_SHARED] = {"shared", mw_find_shared},
	[MW_CAUSE_COPY_ON_WRITE] = {"copy-on-write", mw_find_copy_on_write},
	[MW_CAUSE_STEADY] = {"steady", find_steady},
};

_Static_assert(MW_ARRAY_SIZE(rules) == MW_CAUSES, "a rule for each cause");

const char *mw_cause_name(enum mw_cause_id id)
{
	return rules[id].name;
}

/* Memory that is used, and by what: of a process that doesn't grow no cause for concern. */
static bool is_in_use(enum mw_cause_id id)
{
	return id == MW_CAUSE_PYTHON_OBJECTS || id == MW_CAUSE_NATIVE_LIVE ||
	       id == MW_CAUSE_MAPPINGS;
}

/*
 * What grows comes first, by how fast. Then what could go back, if that is a fifth of all or more;
 * then that nothing grows; then what the memory is used for.
 */
static double strength(const struct mw_facts *f, const struct mw_cause *c)
{
	double all = (double)f->now.resident, bytes = c->confidence * (double)c->bytes;

	if (c->bytes_per_second > 0)
		return 10 * all + c->bytes_per_second;
	/* Looked for only when it was asked for. */
	if (c->id == MW_CAUSE_COPY_ON_WRITE)
		return 3 * all + bytes;
	if (c->id == MW_CAUSE_STEADY)
		return 1.2 * all;
	return is_in_use(c->id) && f->seconds > 0 && !mw_facts__grow(f) ? bytes : all + bytes;
}

static int by_strength(const void *a, const void *b, void *arg)
{
	double x = strength(arg, a), y = strength(arg, b);

	return x < y ? 1 : -(x > y);
}

static void conclude(const struct mw_facts *f, struct mw_diagnosis *out)
{
	const struct mw_cause *first = out->count ? &out->causes[0] : NULL;

	if (!first && f->seconds > 0 && !out->grows)
		mw_cause_say(out->verdict,
			     "Nothing is seen to grow in %.0f s, which is too short to say that "
			     "nothing does: watch longer (--for 30)",
			     f->seconds);
	else if (!first && f->seconds > 0)
		mw_cause_say(out->verdict, "Memory %s by %s, and no cause is certain enough%s.",
			     f->undated ? "grew" : "grows", PACE(f, mw_facts__growth(f)),
			     f->undated ? "" : " yet: watch longer (--for 5m)");
	else if (!first && f->ended > 0)
		mw_cause_say(
			out->verdict,
			"It ended before it could be looked at again: what grew is not known.");
	else if (!first)
		mw_cause_say(
			out->verdict,
			"No single cause stands out; watch it run to see what grows (memwhere why PID).");
	else
		mw_cause_say(out->verdict, "%s", first->text);
}

void mw_diagnose(const struct mw_facts *facts, struct mw_diagnosis *out)
{
	memset(out, 0, sizeof(*out));
	out->bytes_per_second = moved(facts, facts->now.resident, facts->before.resident);
	out->grows = mw_facts__grow(facts);
	for (enum mw_cause_id id = 0; id < MW_CAUSES; id++) {
		struct mw_cause *cause = &out->causes[out->count];

		memset(cause, 0, sizeof(*cause));
		cause->id = id;
		if (rules[id].find(facts, cause) && cause->confidence >= MW_SURE)
			out->count++;
	}
	qsort_r(out->causes, out->count, sizeof(out->causes[0]), by_strength, (void *)facts);
	conclude(facts, out);
}
