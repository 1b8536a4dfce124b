/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fingerprints of Python's objects, to tell an object from another one that later lies in the same
 * block: its type, and what does not change as long as it lives.
 */
#ifndef MW_PYTHON_PRINT_H
#define MW_PYTHON_PRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "python/python.h"

enum mw_python_print_type {
	MW_PRINT_TUPLE,
	MW_PRINT_STR,
	MW_PRINT_INT,
	MW_PRINT_FLOAT,
	MW_PRINT_BYTES,
	MW_PRINT_LIST,
	MW_PRINT_DICT,
	MW_PRINT_SET,
	MW_PRINT_TYPES,
};

/* What is needed to make them, of one process. */
struct mw_python_prints {
	uint64_t types[MW_PRINT_TYPES]; /* addresses; 0: not known */
	uint64_t type_type;		/* PyType_Type's */
	uint32_t gc_head;		/* bytes before an object that the collector tracks */
	uint32_t tuple_items, ascii_length, ascii_size, ob_size, long_words, ma_keys;
};

void mw_python_prints__learn(struct mw_python_prints *prints, struct mw_python *py);

enum {
	MW_PRINT_CERTAIN = 1, /* this bit: no other object has the same print */
	MW_PRINT_DEAD = 2, /* the whole of it: an object that nobody refers to, as in a free list */
};

/*
 * Of what begins at BLOCK, of SIZE bytes: by its type and, of the types above, by its content. 0:
 * no object.
 */
uint64_t mw_python_print(const struct mw_python_prints *prints, struct mw_image *image,
			 uint64_t block, uint64_t size);

#endif
