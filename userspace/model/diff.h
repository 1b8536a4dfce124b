/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What changed between two moments of a program, or between two processes of it. An inventory is
 * what there is at one of them: lists of things that have a name. Pure arithmetic; whoever surveys
 * an image fills the inventories (diagnosis/inventory.h).
 *
 * Unlike model/looks.h, which follows one process over many looks, this matches what two images
 * have in common only by name, shows what fell as well, and leaves nothing out.
 */
#ifndef MW_MODEL_DIFF_H
#define MW_MODEL_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mw_stock {
	MW_STOCK_OWNERS,     /* of the ledger: BYTES are resident, COUNT is blocks */
	MW_STOCK_TYPES,	     /* DETAIL is the module; BYTES as sys.getsizeof() says */
	MW_STOCK_CONTAINERS, /* NAME is the way there, DETAIL the type; COUNT is the length, BYTES
			      * are retained */
	MW_STOCK_HELD,	     /* the same of holders: blocks that they hold, and their bytes */
	MW_STOCKS
};

struct mw_stock_item {
	char *name, *detail;
	uint64_t addr; /* 0: it has none */
	uint64_t count, bytes;
};

struct mw_stock_list {
	struct mw_stock_item *items;
	size_t count, capacity;
	bool capped; /* there are more, each smaller than all that are listed */
};

enum { MW_INVENTORY_PLACES = 3 };
struct mw_inventory {
	char name[96]; /* of the image; safe to print */
	uint64_t resident;
	bool python;	   /* its objects are known: TYPES, CONTAINERS and HELD mean something */
	char build_id[64]; /* of the program; "": not known */
	/* Where the kernel put things at random: the same in one process, and in what it forks. */
	uint64_t places[MW_INVENTORY_PLACES];
	struct mw_stock_list lists[MW_STOCKS];
};

/* Copies NAME and DETAIL. 0 or -ENOMEM. */
int mw_inventory__add(struct mw_inventory *inventory, enum mw_stock stock, const char *name,
		      const char *detail, uint64_t addr, uint64_t count, uint64_t bytes);
void mw_inventory__free(struct mw_inventory *inventory);

struct mw_diff_numbers {
	uint64_t count, bytes;
	bool known; /* false: not among what a capped list has; both are 0 */
};

struct mw_diff_row {
	const char *name, *detail; /* an inventory's */
	struct mw_diff_numbers before, after;
};

struct mw_diff_list {
	struct mw_diff_row *rows; /* only what differs; most bytes of change first */
	size_t count;
};

struct mw_diff {
	const struct mw_inventory *before, *after;
	bool other_program; /* their build ids differ */
	bool same_process;  /* addresses mean the same in both */
	struct mw_diff_list lists[MW_STOCKS];
};

/*
 * Compare two inventories, which outlive DIFF and whose lists are put in order. Things match by
 * name and detail; those of one name and detail are added up. What has another name but the address
 * and the detail of something in the same process is that. 0 or -ENOMEM; free in either case.
 */
int mw_diff__make(struct mw_diff *diff, struct mw_inventory *before, struct mw_inventory *after);
void mw_diff__free(struct mw_diff *diff);

/* By how much a row's bytes or count changed; a number that is not known counts as 0. */
int64_t mw_diff_bytes(const struct mw_diff_row *row);
int64_t mw_diff_count(const struct mw_diff_row *row);

#endif
