/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Python's types by name, and how much of what a site keeps is of which type. Pure data. */
#ifndef MW_MODEL_TYPE_COUNTS_H
#define MW_MODEL_TYPE_COUNTS_H

#include <stddef.h>

enum { MW_TYPE_COUNTS = 8, MW_TYPE_WORDS = 256 };

/* "tuple", "builtins"; clean. */
struct mw_type_name {
	char name[96], module[48];
};

struct mw_type_names; /* opaque */

struct mw_type_names *mw_type_names__new(void); /* NULL: no memory */
void mw_type_names__free(struct mw_type_names *names);

/* The one that is so called, the same one each time, as long as NAMES live. NULL: no memory. */
const struct mw_type_name *mw_type_names__intern(struct mw_type_names *names, const char *name,
						 const char *module);

/* Those that came first; what is of others is not listed. All zero: none. */
struct mw_type_counts {
	size_t count;
	struct mw_type_count {
		const struct mw_type_name *type;
		double count, bytes; /* blocks, and their sizes */
		double samples;	     /* that this stands on */
	} list[MW_TYPE_COUNTS];
};

void mw_type_counts__add(struct mw_type_counts *counts, const struct mw_type_name *type,
			 double count, double bytes, double samples);
void mw_type_counts__add_all(struct mw_type_counts *to, const struct mw_type_counts *from);

/* The one with most bytes first. */
void mw_type_counts__sort(struct mw_type_counts *counts);

/* "tuple 1,200, app.User 1,200" with the MAX first ones into BUF of SIZE bytes; returns BUF. */
char *mw_type_counts__format(const struct mw_type_counts *counts, size_t max, char *buf,
			     size_t size);

#endif
