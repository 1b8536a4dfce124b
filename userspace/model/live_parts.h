/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracked blocks beside what looks say of all blocks of their sizes (live_bytes.h). More than there
 * is can't be kept; and as much as blocks of a size grow is kept by somebody, even where of none it
 * is sure that it is still the one that was made. Pure arithmetic; bytes are those that tracked
 * blocks stand for.
 */
#ifndef MW_MODEL_LIVE_PARTS_H
#define MW_MODEL_LIVE_PARTS_H

#include "model/live_bytes.h"

/* One target's. All zero: nothing is known. */
struct mw_live_parts {
	unsigned int fine; /* MW_LIVE_MALLOC or MW_LIVE_PYTHON */
	struct mw_live_growth growth;
	double began; /* when the watch did, as GROWTH's times */
	double sure[MW_LIVE_CLASSES], kept[MW_LIVE_CLASSES];
	double least_rate[MW_LIVE_CLASSES]; /* of deaths, by sites; INFINITY: no block */
	/* log2 of odds, and what they make of all that may be there; at first, and as last tried.
	 */
	double odds[MW_LIVE_CLASSES], step[MW_LIVE_CLASSES];
	double likely[MW_LIVE_CLASSES], tried[MW_LIVE_CLASSES];
};

/*
 * A new settling: all blocks with _add(); then, MW_LIVE_ROUNDS times, those that are not sure with
 * _try() and an _end_round(); then _settle() and _add_kept() for each; then the others.
 */
enum { MW_LIVE_ROUNDS = 12 };
void mw_live_parts__begin(struct mw_live_parts *parts);

/*
 * A tracked block of BYTES that may be there, as SURE, 0 to 1, as it is; and deaths a second that
 * windows have seen of a block of its site.
 */
void mw_live_parts__add(struct mw_live_parts *parts, size_t class, double bytes, double sure,
			double deaths);

/* Of classes that go on growing and have blocks that are sure: the bytes of those, and by how much
 * all of their sizes have grown. */
void mw_live_parts__compare(const struct mw_live_parts *parts, double *sure, double *grown);

/*
 * Blocks that are not sure become likelier, by the same odds for all of them, where it takes that
 * to have the bytes kept that blocks of CLASS have grown by.
 */
void mw_live_parts__try(struct mw_live_parts *parts, size_t class, double bytes, double likely);
void mw_live_parts__end_round(struct mw_live_parts *parts);

/* How much of a block is kept at NOW, 0 to 1. */
double mw_live_parts__settle(const struct mw_live_parts *parts, size_t class, double sure,
			     double likely, double now);
void mw_live_parts__add_kept(struct mw_live_parts *parts, size_t class, double bytes);

/*
 * The same where it is not known for how much blocks stand, nor then how many should have died:
 * those of the sites whose blocks die least have what a size grows by. SCALE: what they are to be
 * multiplied by, so that what is kept is what blocks of CLASS have grown by. Knows it once all
 * _add_kept() are through.
 */
double mw_live_parts__settle_unscaled(const struct mw_live_parts *parts, size_t class, double sure,
				      double deaths);
double mw_live_parts__scale(const struct mw_live_parts *parts, size_t class);

/* Bytes a second by which blocks of CLASS grow: the part of those of whom BYTES are kept, and the
 * most that it can be. */
double mw_live_parts__grows(const struct mw_live_parts *parts, size_t class, double bytes);
double mw_live_parts__grows_most(const struct mw_live_parts *parts, size_t class);
enum mw_live_course mw_live_parts__course(const struct mw_live_parts *parts, size_t class);

#endif
