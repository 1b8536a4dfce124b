/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules, and what they share. A rule looks at the facts for one cause: true when it is one,
 * with C filled in and how sure that is.
 */
#ifndef MW_DIAGNOSIS_RULES_IMPL_H
#define MW_DIAGNOSIS_RULES_IMPL_H

#include "diagnosis/diagnosis.h"
#include "util/units.h"

#define MW_WORTH_BYTES (4ULL << 20)
#define MW_DOMINANT    0.3 /* of what is resident */
#define MW_NAMED_SHARE 0.1 /* of the growth: a line that explains less isn't named */

/* A size that lives as long as the sentence that is made of it. */
#define SIZE(bytes) mw_format_size((char[MW_UNIT_BUF]){0}, (bytes))
#define COUNT(n)    mw_format_count((char[MW_UNIT_BUF]){0}, (n))

#define PACE(f, per_second) mw_facts__pace((char[MW_PACE_BUF]){0}, (f), (per_second))

#define MW_WATCH_LONGER                                                                            \
	"watch longer (--for 3m) or closer (--max-overhead 10), until the line that asks for it is known"

/* BUF has MW_CAUSE_TEXT bytes. */
__attribute__((format(printf, 2, 3))) void mw_cause_say(char *buf, const char *format, ...);
/* Another line of evidence; nothing once C has MW_CAUSE_EVIDENCE. */
__attribute__((format(printf, 2, 3))) void mw_cause_show(struct mw_cause *c, const char *format,
							 ...);

/*
 * Memory that is not Python's grows, and none of its makers is known: which container of Python's
 * takes in more meanwhile, and at which line. Nothing where that grows for a reason of its own.
 */
void mw_cause_show_meanwhile(const struct mw_facts *f, struct mw_cause *c);

/* What is left of A when its part B, a cause of its own, is taken off. */
static inline uint64_t mw_without(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Which part of what is resident BYTES are. */
double mw_facts__share(const struct mw_facts *f, uint64_t bytes);
/*
 * Bytes a second of SHARE, of all; 0 when there is one moment only. Without pages of programs and
 * libraries (mw_moment.code).
 */
double mw_facts__growth_of(const struct mw_facts *f, enum mw_share share);
double mw_facts__growth(const struct mw_facts *f);
/* Beyond what a busy process moves by itself, and until the end. */
bool mw_facts__grow(const struct mw_facts *f);
/* Does SHARE grow, and is that much of the whole growth? Then by how much a second, else 0. */
double mw_facts__part_of_growth(const struct mw_facts *f, enum mw_share share);
/* Are BYTES a share of all that is worth a cause? */
bool mw_facts__worth(const struct mw_facts *f, uint64_t bytes);
/*
 * The fastest growing line of Python's (or of C's) allocations under suspicion, or the one that
 * seems to keep most of what it asks for; NULL: none.
 */
const struct mw_fact_site *mw_facts__line(const struct mw_facts *f, bool python);

typedef bool mw_rule_fn(const struct mw_facts *f, struct mw_cause *c);

/* rules_python.c */
mw_rule_fn mw_find_python_objects, mw_find_cycles, mw_find_free_blocks, mw_find_parked;
/* rules_heap.c */
mw_rule_fn mw_find_leaked, mw_find_threshold, mw_find_arenas, mw_find_glibc_free, mw_find_cache,
	mw_find_native;
/* rules_mappings.c */
mw_rule_fn mw_find_mappings, mw_find_stacks, mw_find_files, mw_find_shared;
/* rules_family.c */
mw_rule_fn mw_find_copy_on_write;

#endif
