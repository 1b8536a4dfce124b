// SPDX-License-Identifier: GPL-2.0-or-later
/* What a forked process shares with its family. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diagnosis/facts.h"

static int compare_with(struct mw_facts *facts, struct mw_survey *survey, pid_t origin,
			const struct mw_spans *own, struct mw_err *err)
{
	struct mw_image *image = mw_image__open_process(origin, MW_IMAGE_SWAP_IN, err);
	struct mw_family_facts *family = &facts->family;
	struct mw_py_census census;
	int ret;

	if (!image)
		return err->code;
	ret = survey->py ? mw_survey__census(survey, &census, err) : -ENODATA;
	if (!ret)
		ret = mw_unshared__measure(&family->unshared, survey, own, image, err);
	family->python = !ret;
	mw_image__close(image);
	return ret == -ENOMEM ? ret : 0;
}

/* The ledger of the pages that nobody else maps. */
static int own_ledger(struct mw_facts *facts, struct mw_survey *survey, struct mw_err *err)
{
	struct mw_ledger ledger = {0};
	struct mw_moment moment;
	int ret = mw_survey__ledger(survey, &ledger, err);

	if (!ret) {
		mw_moment__of(&moment, &ledger, NULL);
		memcpy(facts->family.own_shares, moment.shares, sizeof(moment.shares));
		facts->family.own = moment.resident;
	}
	mw_ledger__free(&ledger);
	return ret;
}

int mw_facts__add_family(struct mw_facts *facts, struct mw_survey *survey,
			 const struct mw_family *family, struct mw_err *err)
{
	pid_t pid = mw_image__process(survey->image), origin = family->members[0].pid;
	struct mw_spans own = {0};
	int ret = mw_family__own_pages(survey->image, &own);

	if (ret)
		ret = mw_err_set(err, ret, "unreadable", facts->target,
				 "which pages it shares can't be read");
	facts->family.members = family->count;
	for (size_t i = 0; i < family->count; i++) {
		facts->family.resident += family->members[i].resident;
		facts->family.proportional += family->members[i].proportional;
	}
	if (!ret && origin != pid) {
		facts->family.origin = origin;
		ret = compare_with(facts, survey, origin, &own, err);
	}
	if (!ret) {
		mw_image__count_only(survey->image, &own);
		ret = own_ledger(facts, survey, err);
	}
	free(own.spans);
	return ret;
}

static void add_pages(struct mw_unshared_pages *sum, const struct mw_unshared_pages *one)
{
	sum->shared += one->shared;
	sum->counted += one->counted;
	sum->changed += one->changed;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void mw_facts__add_member(struct mw_facts *sum, const struct mw_facts *one)
{
	const struct mw_family_facts *from = &one->family;
	struct mw_family_facts *to = &sum->family;

	to->all = true;
	to->own += from->own;
	to->python |= from->python;
	to->origin = to->origin ? to->origin : from->origin;
	add_pages(&to->unshared.plain, &from->unshared.plain);
	add_pages(&to->unshared.tracked, &from->unshared.tracked);
	sum->threads += one->threads;
	sum->now.objects = larger(sum->now.objects, one->now.objects);
	if (!sum->python.version[0])
		memcpy(sum->python.version, one->python.version, sizeof(sum->python.version));
	sum->now.resident = 0;
	for (int i = 0; i < MW_SHARES; i++) {
		uint64_t own = from->own_shares[i], has = larger(one->now.shares[i], own);

		to->own_shares[i] += own;
		to->shared_shares[i] = larger(to->shared_shares[i], has - own);
		sum->now.shares[i] = to->own_shares[i] + to->shared_shares[i];
		sum->now.resident += sum->now.shares[i];
	}
}
