/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The heaps of runtimes that are not walked, so that their memory has at least the runtime's name.
 */
#ifndef MW_LEDGER_RUNTIMES_H
#define MW_LEDGER_RUNTIMES_H

#include "image/image.h"

typedef int (*mw_runtime_fn)(void *arg, uint64_t start, uint64_t end, const char *owner);

/*
 * Call FN for each range of IMAGE that is a runtime's heap; OWNER is a constant. 0 or what FN
 * returned.
 *
 * "jvm/heap", "jvm/code": what HotSpot's own table of fields says (gHotSpotVMStructs, vmStructs.cpp
 * of OpenJDK): CollectedHeap::_reserved of Universe::_collectedHeap, CodeCache's bounds. "v8/heap":
 * chunks of 256 KiB and their multiples (kPageSizeBits, src/common/globals.h of V8) whose headers
 * state their size and point to one heap (src/heap/basic-memory-chunk.h). "go/heap": arenas from
 * 0xc000000000 on (arenaHints, runtime/malloc.go of Go). "ruby/heap": pages (struct heap_page,
 * gc.c) and what short-lived buffers are in (transient_heap.c). "php/heap": chunks and large blocks
 * (zend_alloc.c). "musl/heap": groups (musl.h). "tcmalloc/heap": Google's, by how it reserves
 * addresses (tcmalloc/internal/system_allocator.h), where a file has its names for them,
 * as far as it can't be walked (heap/gtcmalloc); gperftools' is walked (heap/tcmalloc).
 */
int mw_runtime_heaps(struct mw_image *image, mw_runtime_fn fn, void *arg);

/*
 * If IMAGE has such a heap, say so in ERR (-ENOTSUP, "unknown-heap"), with its name and its size.
 */
void mw_runtime_say(struct mw_image *image, struct mw_err *err);

#endif
