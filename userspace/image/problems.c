// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "image/problems.h"

static bool same_place(uint64_t addr, const char *what, uint64_t other_addr, const char *other)
{
	return addr == other_addr && !strcmp(what, other);
}

void mw_problems__add(struct mw_problems *problems, uint64_t addr, const char *what)
{
	for (size_t i = 0; i < problems->count; i++) {
		if (same_place(addr, what, problems->list[i].addr, problems->list[i].what))
			return;
	}
	if (problems->count < MW_PROBLEMS)
		problems->list[problems->count++] = (struct mw_problem){addr, what};
	problems->total++;
}

void mw_doubts__begin(struct mw_doubts *doubts, struct mw_image *image,
		      struct mw_problems *problems)
{
	/* The arrays stay as they are: a part begins for every few hundred chunks. */
	doubts->image = image;
	doubts->problems = problems;
	doubts->count = doubts->always_count = 0;
	doubts->races = 0;
	doubts->attempt = 0;
}

void mw_doubts__add(struct mw_doubts *doubts, uint64_t addr, const char *what, uint64_t seen)
{
	if (mw_image__is_still(doubts->image)) {
		if (doubts->problems)
			mw_problems__add(doubts->problems, addr, what);
		return;
	}
	if (doubts->count < MW_DOUBTS)
		doubts->now[doubts->count++] = (struct mw_doubt){addr, what, seen};
	else
		doubts->races++;
}

void mw_doubts__add_unreadable(struct mw_doubts *doubts, uint64_t addr, const char *what)
{
	if (mw_image__has_remapped(doubts->image))
		mw_doubts__add_race(doubts);
	else
		mw_doubts__add(doubts, addr, what, 0);
}

void mw_doubts__add_race(struct mw_doubts *doubts)
{
	doubts->races++;
}

static bool has(const struct mw_doubts *doubts, const struct mw_doubt *doubt)
{
	for (size_t i = 0; i < doubts->count; i++) {
		const struct mw_doubt *d = &doubts->now[i];

		if (d->seen == doubt->seen &&
		    same_place(d->addr, d->what, doubt->addr, doubt->what))
			return true;
	}
	return false;
}

/* Keep those doubts that this attempt has, too. */
static void intersect(struct mw_doubts *doubts)
{
	size_t out = 0;

	if (!doubts->attempt) {
		memcpy(doubts->always, doubts->now, doubts->count * sizeof(doubts->now[0]));
		doubts->always_count = doubts->count;
		return;
	}
	for (size_t i = 0; i < doubts->always_count; i++) {
		if (has(doubts, &doubts->always[i]))
			doubts->always[out++] = doubts->always[i];
	}
	doubts->races += doubts->always_count - out;
	doubts->always_count = out;
}

static void end(struct mw_doubts *doubts)
{
	struct mw_problems *problems = doubts->problems;

	if (!problems)
		return;
	problems->changed += doubts->races;
	for (size_t i = 0; i < doubts->always_count; i++)
		mw_problems__add(problems, doubts->always[i].addr, doubts->always[i].what);
}

bool mw_doubts__again(struct mw_doubts *doubts)
{
	unsigned int attempts = doubts->problems ? MW_ATTEMPTS : 2;
	bool doubtful = doubts->count != 0;

	if (!doubtful && !doubts->attempt && !doubts->races)
		return false;
	intersect(doubts);
	if (!doubtful || ++doubts->attempt == attempts) {
		end(doubts);
		return false;
	}
	/* Most races are over at once. What comes back may be half done by a thread that waits. */
	if (doubts->attempt > 1 && doubts->always_count)
		mw_image__let_run(doubts->image);
	doubts->count = 0;
	return true;
}

void mw_doubts__dismiss(struct mw_doubts *doubts)
{
	intersect(doubts);
	doubts->races += doubts->always_count;
	doubts->always_count = 0;
	end(doubts);
}
