/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Documents for a person who explores Python's memory: pools, the blocks of one, the objects of a
 * type, free lists, and all of it as lines of JSON. All are write functions of struct mw_document.
 */
#ifndef MW_REPORT_PYTHON_DOCUMENTS_H
#define MW_REPORT_PYTHON_DOCUMENTS_H

#include "report/document.h"

/* The pools, those of a size class or all. */
MW_DOCUMENT_WRITER(mw_write_pools);
/* The blocks of the pool that holds an address. */
MW_DOCUMENT_WRITER(mw_write_blocks);
/* Dead objects that free lists keep, by type. */
MW_DOCUMENT_WRITER(mw_write_freelists);
/* The live objects of a type. */
MW_DOCUMENT_WRITER(mw_write_objects);
/* Who refers to an address, what it refers to, and the way to it from a root (graph.c). */
MW_DOCUMENT_WRITER(mw_write_refs);
/* That way alone. */
MW_DOCUMENT_WRITER(mw_write_path);
/* What would be freed with an object; without an address, where most memory accumulates. */
MW_DOCUMENT_WRITER(mw_write_retained);
/* Cycles and C's blocks that nothing reaches (leaks.c). */
MW_DOCUMENT_WRITER(mw_write_leaks);
/* Every arena, pool and block, each a line of JSON. */
MW_DOCUMENT_WRITER(mw_write_dump);

/* One word: the address of the pool or arena that holds an address, the name of an object's type.
 */
MW_DOCUMENT_WRITER(mw_write_pool_of);
MW_DOCUMENT_WRITER(mw_write_arena_of);
MW_DOCUMENT_WRITER(mw_write_type_of);

#endif
