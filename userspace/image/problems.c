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
	/* The list stays as it is: a part begins for every few hundred chunks. */
	doubts->image = image;
	doubts->problems = problems;
	doubts->count = 0;
	doubts->found = doubts->races = 0;
	doubts->attempt = 0;
}

/* The first attempt makes the list, later ones mark what comes back. */
void mw_doubts__add(struct mw_doubts *doubts, uint64_t addr, const char *what, uint64_t seen)
{
	if (mw_image__is_still(doubts->image)) {
		if (doubts->problems)
			mw_problems__add(doubts->problems, addr, what);
		return;
	}
	doubts->found++;
	if (!doubts->attempt && doubts->count < MW_DOUBTS)
		doubts->list[doubts->count++] = (struct mw_doubt){addr, what, seen, true};
	else if (!doubts->attempt)
		doubts->races++;
	for (size_t i = 0; doubts->attempt && i < doubts->count; i++) {
		struct mw_doubt *d = &doubts->list[i];

		if (d->seen == seen && same_place(d->addr, d->what, addr, what))
			d->again = true;
	}
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

/* Keep the doubts that came back. */
static void end_attempt(struct mw_doubts *doubts)
{
	size_t out = 0;

	for (size_t i = 0; i < doubts->count; i++) {
		if (!doubts->list[i].again)
			continue;
		doubts->list[out] = doubts->list[i];
		doubts->list[out++].again = false;
	}
	doubts->races += doubts->count - out;
	doubts->count = out;
}

static void end(struct mw_doubts *doubts)
{
	struct mw_problems *problems = doubts->problems;

	if (!problems)
		return;
	problems->changed += doubts->races;
	for (size_t i = 0; i < doubts->count; i++)
		mw_problems__add(problems, doubts->list[i].addr, doubts->list[i].what);
}

bool mw_doubts__again(struct mw_doubts *doubts)
{
	unsigned int attempts = doubts->problems ? MW_ATTEMPTS : 2;
	bool doubtful = doubts->found != 0;

	if (!doubtful && !doubts->attempt && !doubts->races)
		return false;
	end_attempt(doubts);
	if (!doubtful || ++doubts->attempt == attempts || mw_image__is_stopped(doubts->image)) {
		end(doubts);
		return false;
	}
	/* Most races are over at once. What comes back may be half done by a thread that waits. */
	if (doubts->attempt > 1 && doubts->count)
		mw_image__let_run(doubts->image);
	doubts->found = 0;
	return true;
}

void mw_doubts__dismiss(struct mw_doubts *doubts)
{
	doubts->races += doubts->count;
	doubts->count = 0;
	end(doubts);
}
