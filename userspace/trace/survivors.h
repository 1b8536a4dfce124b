/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sampled small objects of Python that are known to be there: of which types are they? */
#ifndef MW_TRACE_SURVIVORS_H
#define MW_TRACE_SURVIVORS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/type_counts.h"

struct mw_survivor {
	pid_t pid; /* whose memory ADDR is in; 0: nobody has to look there any more */
	uint64_t addr;
	uint64_t site;			 /* as the programs number stacks */
	double count, bytes;		 /* that it stands for */
	const struct mw_type_name *type; /* NULL: not known */
};

enum { MW_SURVIVORS_MAX = 32768 };

struct mw_survivors {
	struct mw_survivor *list;
	size_t count, capacity;
};

#endif
