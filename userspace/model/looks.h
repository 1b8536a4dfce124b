/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What grew between looks. A look is a census of one process at one moment: bytes by owner, objects
 * by type, and the length of each longer container. Pure arithmetic on looks, without clock and
 * memory of a process; whoever takes looks feeds them in here.
 *
 * Two looks say what grew. Whether something goes on growing takes more of them, because a cache
 * that fills and a list that is cleared now and then grow between two looks as well.
 */
#ifndef MW_MODEL_LOOKS_H
#define MW_MODEL_LOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/labels.h"
#include "model/suspects.h"

enum {
	MW_LOOKS_KEPT = 24, /* looks that are compared */
	MW_GROWN_OWNERS = 12,
	MW_GROWN_TYPES = 16,
	MW_GROWN_HOLDERS = 10,
	MW_GROWN_CHANGERS = 3,
	MW_GROWN_NAME = 96,
	MW_GROWN_MODULE = 48,
	MW_GROWN_PATH = 512,
};

/*
 * Do COUNT values, at ascending TIMES in seconds, go on growing? MW_VERDICT_SUSPECT takes at least
 * eight of them.
 */
enum mw_verdict mw_looks_judge(const double *times, const uint64_t *values, size_t count);

struct mw_looks; /* opaque */

struct mw_looks *mw_looks__new(void); /* NULL: no memory */
void mw_looks__free(struct mw_looks *looks);
/* Another program runs in the process: forget all that was seen. */
void mw_looks__forget(struct mw_looks *looks);

/*
 * Put a look in: __begin() at TIME (seconds, later than the last one), what was seen in any order,
 * then __end(), or __drop() when the look failed. Types of the same name and module are one. Memory
 * that runs out makes __end() fail with -ENOMEM, which drops the look.
 */
void mw_looks__begin(struct mw_looks *looks, double time);
void mw_looks__add_owner(struct mw_looks *looks, const char *owner, uint64_t bytes);
/* Returns the type's number, for __add_container(). */
uint32_t mw_looks__add_type(struct mw_looks *looks, const char *name, const char *module,
			    uint64_t count, uint64_t bytes);
/* Dead objects of TYPE wait in a free list, from which they are handed out without the allocator.
 */
void mw_looks__parks(struct mw_looks *looks, uint32_t type);
void mw_looks__add_container(struct mw_looks *looks, uint64_t addr, uint32_t type, uint64_t length);
int mw_looks__end(struct mw_looks *looks);
void mw_looks__drop(struct mw_looks *looks);

struct mw_grown_owner {
	char owner[32]; /* "python/live" */
	uint64_t bytes; /* that it grew by */
	double bytes_per_second;
};

struct mw_grown_type {
	char name[MW_GROWN_NAME], module[MW_GROWN_MODULE];
	uint64_t count, bytes; /* that it grew by; 0 where it did not */
	uint64_t now;	       /* how many there are */
	double count_per_second, bytes_per_second;
	enum mw_verdict verdict; /* on the number of its objects */
	bool parks;		 /* it has a free list */
};

/* A line that made a holder longer, or shorter, while it was watched. */
struct mw_grown_changer {
	char label[MW_LABEL_SIZE];
	uint64_t added, removed; /* elements, in a sample of all changes */
	uint64_t samples;
};

/* Where what a holder keeps was asked for. */
enum mw_births {
	MW_BIRTHS_UNKNOWN, /* too little of it was seen */
	MW_BIRTHS_HERE,	   /* at the line that adds it */
	MW_BIRTHS_REUSED,  /* there or, from a free list, elsewhere */
};

struct mw_grown_holder {
	uint64_t addr;
	uint64_t length_at; /* address of the word that holds its length; 0: not known */
	int32_t pid;	    /* whose memory it is in */
	bool chain;	    /* no container: instances of ELEMENT that refer to one another */
	char type[MW_GROWN_NAME];
	uint64_t length, grown; /* elements now, and how many have come */
	double length_per_second;
	enum mw_verdict verdict;
	char path[MW_GROWN_PATH];    /* "smallapp.SEEN"; "": not known */
	char element[MW_GROWN_NAME]; /* type of most of what is in it; "": not known */
	enum mw_births births;	     /* of these, by model/reuse.h */
	int64_t retained_bytes;	     /* -1: not known */
	struct mw_grown_changer changers[MW_GROWN_CHANGERS]; /* the one that adds most first */
	size_t changer_count;
};

/* What grew between two looks, each list with the fastest first. */
struct mw_look_growth {
	double seconds; /* between these looks; 0: there were no two yet */
	double time;	/* of the later one, as __begin() got it */
	uint64_t looks; /* so far */
	struct mw_grown_owner owners[MW_GROWN_OWNERS];
	struct mw_grown_type types[MW_GROWN_TYPES];
	struct mw_grown_holder holders[MW_GROWN_HOLDERS];
	size_t owner_count, type_count, holder_count;
};

/*
 * What grew up to the last look, since one that is at least half a minute older, else since the
 * first. Left out: what fell by more than it grew. PATH, PID, LENGTH_AT, ELEMENT, BIRTHS and
 * CHANGERS of holders are the caller's to fill.
 */
void mw_looks__growth(const struct mw_looks *looks, struct mw_look_growth *out);

/* One more holder, which may be left out where there are many. */
void mw_look_growth__add_holder(struct mw_look_growth *growth,
				const struct mw_grown_holder *holder);

/* What the holders of GROWTH with such elements take in a second. */
double mw_look_growth__held(const struct mw_look_growth *growth, const char *element);

/* The first holder to which the line that people call LABEL was seen to add; NULL: none. */
const struct mw_grown_holder *mw_look_growth__added_at(const struct mw_look_growth *growth,
						       const char *label);

/* Add to SUM what another process of the same target grew by. */
void mw_look_growth__add(struct mw_look_growth *sum, const struct mw_look_growth *other);

#endif
