// SPDX-License-Identifier: GPL-2.0-or-later
/* What mappings tell: files, stacks, shared memory, and those of the program's own. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "diagnosis/rules_impl.h"
#include "util/array.h"

/* Runtimes with a heap of their own that memwhere does not walk: their tools, and what bounds it.
 */
static const struct {
	const char *runtime, *name, *remedy;
} runtimes[] = {
	{"jvm", "the JVM", "jcmd PID GC.class_histogram counts its objects; -Xmx bounds the heap"},
	{"v8", "V8",
	 "a heap snapshot (node --heapsnapshot-signal=SIGUSR2) shows its objects; "
	 "--max-old-space-size bounds the heap"},
	{"go", "Go",
	 "a heap profile (net/http/pprof) shows who allocates; GOMEMLIMIT bounds the heap"},
};

/* What the kernel calls memory that is mapped with MAP_SHARED and MAP_ANONYMOUS: /dev/zero. */
#define SHARED_ANONYMOUS "zero"

/* C is SHARE: it grows, or it is LEAST of what is resident and at least BYTES. */
static bool is_large(const struct mw_facts *f, struct mw_cause *c, enum mw_share share,
		     double least, uint64_t bytes)
{
	c->bytes = f->now.shares[share];
	c->bytes_per_second = mw_facts__part_of_growth(f, share);
	return c->bytes_per_second > 0 ||
	       (mw_facts__share(f, c->bytes) >= least && c->bytes >= bytes);
}

/* "; it grows by 2.0 MiB a minute", or "". */
static const char *also(char buf[MW_PACE_BUF + 32], const struct mw_facts *f,
			const struct mw_cause *c)
{
	buf[0] = '\0';
	if (c->bytes_per_second > 0)
		snprintf(buf, MW_PACE_BUF + 32, "; it %s by %s", f->undated ? "grew" : "grows",
			 PACE(f, c->bytes_per_second));
	return buf;
}

static void show_maps(struct mw_cause *c, const struct mw_fact_map maps[MW_FACT_MAPS])
{
	for (size_t i = 0; i < MW_FACT_MAPS && maps[i].bytes; i++)
		mw_cause_show(c, "%s in %s", SIZE(maps[i].bytes),
			      strcmp(maps[i].name, SHARED_ANONYMOUS) != 0
				      ? maps[i].name
				      : "mappings without a file, which children share");
}

static bool find_runtime(const struct mw_facts *f, struct mw_cause *c, double rate)
{
	for (size_t i = 0; i < MW_ARRAY_SIZE(runtimes); i++) {
		if (strcmp(runtimes[i].runtime, f->runtime) != 0)
			continue;
		c->confidence = 0.9;
		if (rate > 0)
			mw_cause_say(c->text, "The heap of %s %s by %s.", runtimes[i].name,
				     f->undated ? "grew" : "grows", PACE(f, rate));
		else
			mw_cause_say(c->text, "%.0f %% is the heap of %s.",
				     100 * mw_facts__share(f, c->bytes), runtimes[i].name);
		mw_cause_show(c, "%s of it is resident (where the runtime says its heap is)",
			      SIZE(c->bytes));
		mw_cause_say(c->remedy, "%s", runtimes[i].remedy);
		return true;
	}
	return false;
}

static bool find_anonymous(const struct mw_facts *f, struct mw_cause *c, double rate)
{
	c->site = rate > 0 && f->sites.mapper.bytes_per_second > MW_NAMED_SHARE * rate
			  ? &f->sites.mapper
			  : NULL;
	c->confidence = c->site ? 0.85 : 0.75;
	if (rate > 0)
		mw_cause_say(c->text, "Mappings that no known allocator made %s by %s%s%s.",
			     f->undated ? "grew" : "grow", PACE(f, rate),
			     c->site ? ", asked for at " : "", c->site ? c->site->label : "");
	else
		mw_cause_say(c->text, "%.0f %% is mappings that no known allocator made.",
			     100 * mw_facts__share(f, c->bytes));
	if (c->site)
		mw_cause_show(c, "%s", c->site->text);
	else
		mw_cause_show_meanwhile(f, c);
	show_maps(c, f->mappings);
	if (f->heap.unread[0])
		mw_cause_show(c, "%s", f->heap.unread);
	mw_cause_say(c->remedy, c->site ? "unmap what is not used any more"
					: "see who maps them: memwhere stat PID --mode growth");
	return true;
}

/* Of a runtime's heap and other mappings the one that grows, or else the larger one. */
bool mw_find_mappings(const struct mw_facts *f, struct mw_cause *c)
{
	double other = mw_facts__part_of_growth(f, MW_SHARE_MAPPINGS);
	double own = mw_facts__part_of_growth(f, MW_SHARE_RUNTIME), rate;
	bool runtime = own > other || (own == other && f->now.shares[MW_SHARE_RUNTIME] >
							       f->now.shares[MW_SHARE_MAPPINGS]);

	rate = runtime ? own : other;
	c->bytes = f->now.shares[runtime ? MW_SHARE_RUNTIME : MW_SHARE_MAPPINGS];
	if (!rate && mw_facts__share(f, c->bytes) < MW_DOMINANT)
		return false;
	c->bytes_per_second = rate;
	return runtime ? find_runtime(f, c, rate) : find_anonymous(f, c, rate);
}

bool mw_find_stacks(const struct mw_facts *f, struct mw_cause *c)
{
	char text[MW_PACE_BUF + 32];

	if (!is_large(f, c, MW_SHARE_STACKS, 0.2, MW_WORTH_BYTES))
		return false;
	c->confidence = 0.9;
	mw_cause_say(c->text, "%s is stacks, of %" PRIu64 " threads%s.", SIZE(c->bytes), f->threads,
		     also(text, f, c));
	mw_cause_show(c, "%s a thread on average",
		      SIZE(f->threads ? c->bytes / f->threads : c->bytes));
	mw_cause_show_meanwhile(f, c);
	mw_cause_say(c->remedy,
		     "fewer threads, or smaller stacks (threading.stack_size(), ulimit -s)");
	return true;
}

/*
 * Pages that the kernel took of a file's mapping come back when they are read: a few MiB of them
 * are no cause. Those of the program and its libraries, of which that is truest, don't count as
 * growth at all.
 */
bool mw_find_files(const struct mw_facts *f, struct mw_cause *c)
{
	double came = mw_facts__growth_of(f, MW_SHARE_FILES) * f->seconds;
	bool large = is_large(f, c, MW_SHARE_FILES, MW_DOMINANT, 16 * MW_WORTH_BYTES);
	char text[MW_PACE_BUF + 32];

	if (!large || (c->bytes_per_second > 0 && came < MW_WORTH_BYTES))
		return false;
	c->confidence = 0.85;
	mw_cause_say(
		c->text,
		"%s is mapped files: page cache that counts as resident and that the kernel drops when "
		"memory is short%s.",
		SIZE(c->bytes), also(text, f, c));
	show_maps(c, f->files);
	mw_cause_say(c->remedy, "judge the process by its anonymous memory, not by RSS");
	return true;
}

bool mw_find_shared(const struct mw_facts *f, struct mw_cause *c)
{
	char text[MW_PACE_BUF + 32];

	if (!is_large(f, c, MW_SHARE_SHARED, 0.3, MW_WORTH_BYTES))
		return false;
	c->confidence = 0.85;
	mw_cause_say(c->text, "%s is shared memory%s.", SIZE(c->bytes), also(text, f, c));
	show_maps(c, f->shared);
	mw_cause_show_meanwhile(f, c);
	mw_cause_say(c->remedy,
		     "it counts once for all processes that map it; unlink what is not used");
	return true;
}
