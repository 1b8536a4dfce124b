/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From facts to causes: why the memory is what it is, and what to do about it. Pure: no clock, no
 * target, no I/O. The rules are one table in rules.c, each with its source.
 */
#ifndef MW_DIAGNOSIS_DIAGNOSIS_H
#define MW_DIAGNOSIS_DIAGNOSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diagnosis/facts.h"

enum mw_cause_id {
	MW_CAUSE_PYTHON_OBJECTS,
	MW_CAUSE_PYTHON_CYCLES,
	MW_CAUSE_PYTHON_FREE_BLOCKS,
	MW_CAUSE_PYTHON_PARKED,
	MW_CAUSE_GLIBC_FREE,
	MW_CAUSE_GLIBC_THRESHOLD,
	MW_CAUSE_GLIBC_ARENAS,
	MW_CAUSE_NATIVE_LIVE,
	MW_CAUSE_NATIVE_LEAK,
	MW_CAUSE_ALLOCATOR_CACHE,
	MW_CAUSE_MAPPINGS,
	MW_CAUSE_STACKS,
	MW_CAUSE_FILES,
	MW_CAUSE_SHARED,
	MW_CAUSE_COPY_ON_WRITE,
	MW_CAUSE_STEADY,
	MW_CAUSES
};

/* "python-objects": the word that programs see. */
const char *mw_cause_name(enum mw_cause_id id);

enum { MW_CAUSE_EVIDENCE = 5, MW_CAUSE_TEXT = 400 };

struct mw_cause {
	enum mw_cause_id id;
	uint64_t bytes;		 /* resident bytes that it explains */
	double bytes_per_second; /* by which it grows; 0: it doesn't, or one look can't tell */
	double confidence;	 /* 0 to 1: that it is a cause of what was asked about */
	char text[MW_CAUSE_TEXT];
	char evidence[MW_CAUSE_EVIDENCE][MW_CAUSE_TEXT]; /* numbers, with where they come from */
	size_t evidence_count;
	char remedy[MW_CAUSE_TEXT]; /* "": nothing to do */
	bool remedy_known;	    /* how many resident bytes the remedy gives back */
	uint64_t remedy_bytes;
	const struct mw_fact_site *site;     /* of the facts; NULL: no line is known */
	const struct mw_fact_holder *holder; /* likewise: through which it stays */
};

struct mw_diagnosis {
	char verdict[MW_CAUSE_TEXT];	   /* the answer in a sentence */
	bool grows;			   /* resident memory did, beyond its noise */
	double bytes_per_second;	   /* of resident memory; 0 when there is one moment only */
	struct mw_cause causes[MW_CAUSES]; /* strongest first */
	size_t count;
};

/* FACTS outlives OUT. */
void mw_diagnose(const struct mw_facts *facts, struct mw_diagnosis *out);

enum { MW_CAUSE_SENTENCE = MW_CAUSE_TEXT + 64 };
/* "12.0 MiB is free ... (85 % sure)"; all return BUF. */
char *mw_cause_sentence(char buf[MW_CAUSE_SENTENCE], const struct mw_cause *cause);
/* "Do: ... Gives back 12.0 MiB.", or "". */
char *mw_cause_advice(char buf[MW_CAUSE_SENTENCE], const struct mw_cause *cause);
/* How resident memory moves: "+2.0 MiB a minute over 30 s"; "" when nothing is known of that. */
char *mw_diagnosis_pace(char buf[MW_CAUSE_SENTENCE], const struct mw_facts *facts,
			const struct mw_diagnosis *diagnosis);

#endif
