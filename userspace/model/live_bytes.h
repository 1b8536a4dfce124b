/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many bytes of live blocks a process has, by their size, and how that changes from look to
 * look. It is exact at each look and needs no probe, so it bounds what windows of probes estimate:
 * of one size no more can be kept than is there, and what grows is kept by somebody. Pure
 * arithmetic.
 */
#ifndef MW_MODEL_LIVE_BYTES_H
#define MW_MODEL_LIVE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/memwhere.h"
#include "model/series.h"

/* Fine classes, of so many bytes each by whose blocks they are; then eight for each doubling. */
enum { MW_LIVE_MALLOC = 16, MW_LIVE_PYTHON = 8 };
enum { MW_LIVE_FINE = 64, MW_LIVE_CLASSES = MW_LIVE_FINE + 8 * 32, MW_LIVE_LOOKS = 16 };

static inline unsigned int mw_live_fine(enum mw_layer layer)
{
	return layer == MW_LAYER_PYTHON ? MW_LIVE_PYTHON : MW_LIVE_MALLOC;
}

/* SIZE: what the program may use of a block, bytes; FINE: mw_live_fine(). */
size_t mw_live_class(uint64_t size, unsigned int fine);

/* One layer of one process. */
struct mw_live_bytes {
	struct mw_live_look {
		double time; /* seconds */
		uint64_t bytes[MW_LIVE_CLASSES];
	} looks[MW_LIVE_LOOKS]; /* oldest first; the first one stays, others are thinned out */
	size_t count;
};

/* A look at TIME, in which nothing was counted yet: the caller adds up what it finds. */
struct mw_live_look *mw_live_bytes__begin_look(struct mw_live_bytes *live, double time);
void mw_live_bytes__drop_look(struct mw_live_bytes *live);

/* Does it grow on, as no cache does that fills; or has it stopped, or does it slow down? */
enum mw_live_course { MW_LIVE_EARLY, MW_LIVE_GOES_ON, MW_LIVE_ENDS };

struct mw_live_growth {
	bool known;		      /* at least three looks at each process */
	double time;		      /* of the last look, as mw_live_bytes__begin_look() got it */
	double live[MW_LIVE_CLASSES]; /* bytes at the last look */
	/*
	 * Bytes a second, over all pairs of looks: the lower quartile of them, the median and the
	 * upper quartile. Below 0 where it falls.
	 */
	double least[MW_LIVE_CLASSES], rate[MW_LIVE_CLASSES], most[MW_LIVE_CLASSES];
	enum mw_live_course course[MW_LIVE_CLASSES];
	/* The looks; of several processes, as long as all of them were looked at. */
	struct mw_live_bytes looks;
};

/* How live bytes change from look to look. All 0: too few looks, or always the same. */
struct mw_live_trend {
	double least, rate, most; /* as in struct mw_live_growth */
	enum mw_live_course course;
};

/* Of all blocks of the classes that are IN, together. */
struct mw_live_trend mw_live_bytes__trend(const struct mw_live_bytes *live,
					  const bool in[MW_LIVE_CLASSES]);

/* Bytes a second by which blocks of all classes grow together, from the second look on. */
double mw_live_growth__rate(const struct mw_live_growth *growth);

/*
 * Mark the classes of sizes (mw_size_class()) that have a part in how the blocks grow, from the
 * second look on. FINE: as for mw_live_class().
 */
void mw_live_growth__mark(const struct mw_live_growth *growth, unsigned int fine,
			  bool growing[MW_CLASSES]);

void mw_live_bytes__growth(const struct mw_live_bytes *live, struct mw_live_growth *growth);

/* Another process of the same target; the first one is added to zeros. */
void mw_live_growth__add(struct mw_live_growth *sum, const struct mw_live_growth *other);

#endif
