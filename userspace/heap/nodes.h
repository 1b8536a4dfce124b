/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the searches for allocators' radix trees share: a tree's root is in the data of a file, its
 * nodes are in anonymous memory.
 */
#ifndef MW_HEAP_NODES_H
#define MW_HEAP_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"

enum { MW_NODE_MAX = 2 << 20, MW_NODE_BUF = MW_NODE_MAX + 4096 };

/* Could there be a node of SIZE bytes at ADDR, a multiple of ALIGN? */
bool mw_nodes_may_be(struct mw_image *image, uint64_t addr, uint64_t size, uint64_t align);

/*
 * Read LEN (at most MW_NODE_MAX) bytes at ADDR, in whole pages, so that pages which the target
 * never touched are not touched now. BUF has MW_NODE_BUF bytes. Returns where in BUF they begin, or
 * NULL. What a core that was cut short has lost of them is 0.
 */
const uint8_t *mw_nodes_read(struct mw_image *image, uint64_t addr, uint64_t len, uint8_t *buf);

/*
 * Could the file that REGION maps hold an allocator whose messages begin with BEFORE, NAME, AFTER
 * ("<", "jemalloc", ">": apart, so that this program does not say so itself)? True also where the
 * file is not available. A search through what a file's data point to reads gigabytes where there
 * is no such allocator. Remembered by file and NAME, which are constants.
 */
bool mw_nodes_file_says(struct mw_image *image, const struct mw_region *region, const char *before,
			const char *name, const char *after);

/* A file's data, .bss included, 64 MiB at most. All zero: before the first one. */
struct mw_nodes_data {
	uint64_t start, end;
	size_t next; /* the region to go on with */
};

/*
 * Go on to the next data of LEAST bytes or more of a file that could hold such an allocator, as
 * mw_nodes_file_says(). The region that they begin with; NULL: there are no more.
 */
const struct mw_region *mw_nodes__next_data(struct mw_nodes_data *data, struct mw_image *image,
					    uint64_t least, const char *before, const char *name,
					    const char *after);

/* Does a file that has data in IMAGE, and is available, say that? */
bool mw_nodes_a_file_says(struct mw_image *image, const char *before, const char *name,
			  const char *after);

/*
 * A tree whose root is lost, with the data of a file: could the image be one that lost it? Files
 * that it names must include one that says what mw_nodes_file_says() asks.
 */
bool mw_nodes_are_lost(struct mw_image *image, const char *before, const char *name,
		       const char *after);

/* A node, with the number KEY that it has in its root. */
struct mw_node {
	uint64_t addr, key;
};

struct mw_nodes {
	struct mw_node *list;
	size_t count, capacity;
};

/*
 * Takes LEN bytes, a multiple of 64, of private memory at START; adds the nodes that words of them
 * prove to be there. 0 or -ENOMEM.
 */
typedef int (*mw_nodes_fn)(void *arg, uint64_t start, const uint8_t *p, uint64_t len);

/* Call FN with all private memory of IMAGE, piece by piece. 0, -ENOMEM or what FN returned. */
int mw_nodes_search(struct mw_image *image, mw_nodes_fn fn, void *arg);

/* Add a node, which has no place within another. -EEXIST: there is one already. */
int mw_nodes__add(struct mw_nodes *nodes, uint64_t addr, uint64_t size, uint64_t key);

#endif
