/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who holds what an owner of the ledger has: of the objects of a type, of their buffers, or of C's
 * blocks the holders (graph/holders.h) that hold most of them.
 */
#ifndef MW_GRAPH_OWNER_HOLDERS_H
#define MW_GRAPH_OWNER_HOLDERS_H

#include "graph/graph.h"

struct mw_owner_holder {
	char text[200], type[80]; /* "app.cache", "dict"; TYPE is "" of what is no object */
	uint64_t count, bytes;	  /* of the owner's blocks, what this one holds */
	uint64_t length;	  /* of a container, 0: it has none */
	uint64_t retained;	  /* bytes; 0: it is no object */
};

enum { MW_OWNER_HOLDERS = 10 };

struct mw_owner_holders {
	struct mw_owner_holder list[MW_OWNER_HOLDERS]; /* most bytes first */
	size_t count;
	uint64_t holders;	/* how many there are */
	uint64_t blocks, bytes; /* of the owner, as the allocators count them */
};

/* May the ledger's OWNER, such as "python/live/dict", be asked about? */
bool mw_owner_holders__answers(const char *owner);

/* 0, -ENOENT: OWNER has no block; or -ENOMEM, both with ERR set. */
int mw_owner_holders__find(struct mw_owner_holders *out, struct mw_graph *graph, const char *owner,
			   struct mw_err *err);

#endif
