/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can't be right in an image: the program's damage, or a race of reading it while it runs. To
 * tell them apart a reader works part by part (a list, a pool, a run of chunks):
 *
 *	mw_doubts__begin(&doubts, problems);
 *	do {
 *		read the part, from memory and not from a cache; mw_doubts__add() what looks wrong
 *	} while (mw_doubts__again(&doubts));
 *
 * In an image that is still, a doubt is a problem and a part is read once. In others a part is read
 * again while there is doubt, MW_ATTEMPTS times at most, and the process runs on in between. A
 *doubt that every attempt had, about the same words, is a problem. The others were races: these
 *places are counted, and the last attempt's result is as good as any.
 */
#ifndef MW_IMAGE_PROBLEMS_H
#define MW_IMAGE_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

enum { MW_PROBLEMS = 32, MW_ATTEMPTS = 4, MW_DOUBTS = 256 };

struct mw_problem {
	uint64_t addr;
	const char *what;
};

struct mw_problems {
	struct mw_image *image;
	struct mw_problem list[MW_PROBLEMS];
	size_t count;	/* how many are kept */
	uint64_t total; /* how many there were */
	uint64_t
		changed; /* places that changed while they were read; 0 in an image that is still */
};

struct mw_doubt {
	uint64_t addr;
	const char *what;
	uint64_t seen; /* made of the words that contradict each other */
	bool again;    /* this attempt has it, too */
};

struct mw_doubts {
	struct mw_image *image;
	struct mw_problems
		*problems; /* NULL: nothing is recorded, and a part is read twice at most */
	struct mw_doubt list[MW_DOUBTS]; /* of the first attempt, as far as they came back since */
	size_t count;
	uint64_t found; /* in this attempt, those that are new in it included */
	uint64_t races; /* doubts that did not come back */
	unsigned int attempt;
};

static inline void mw_problems__init(struct mw_problems *problems, struct mw_image *image)
{
	*problems = (struct mw_problems){.image = image};
}

/* One that needs no second reading. The same one is kept once. */
void mw_problems__add(struct mw_problems *problems, uint64_t addr, const char *what);

/* Begin a part. With IMAGE's PROBLEMS its problems and races are recorded there. */
void mw_doubts__begin(struct mw_doubts *doubts, struct mw_image *image,
		      struct mw_problems *problems);

/*
 * WHAT at ADDR is wrong, by words of which SEEN was made. Doubts beyond MW_DOUBTS are only counted,
 * as races.
 */
void mw_doubts__add(struct mw_doubts *doubts, uint64_t addr, const char *what, uint64_t seen);

/* The same for memory at ADDR that can't be read: it may have been unmapped since. */
void mw_doubts__add_unreadable(struct mw_doubts *doubts, uint64_t addr, const char *what);

/* A place that is known to have changed. */
void mw_doubts__add_race(struct mw_doubts *doubts);

/*
 * After an attempt: must the part be read again? Before the third attempt and later ones all
 * threads of the process have run on, or sleep. False ends the part: its problems and races are
 * recorded.
 */
bool mw_doubts__again(struct mw_doubts *doubts);

/* In place of __again(): more attempts prove nothing, so all doubts are races. */
void mw_doubts__dismiss(struct mw_doubts *doubts);

/* For SEEN: words in order, as one. */
static inline uint64_t mw_seen(uint64_t a, uint64_t b)
{
	return (a * 0x9e3779b97f4a7c15ULL) ^ (b << 32 | b >> 32);
}

#endif
