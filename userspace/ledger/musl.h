/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * musl's heap (mallocng, from 1.2.1 on): its groups, which are recognised and not walked. Source:
 * src/malloc/mallocng/meta.h. A page of descriptors (struct meta_area) begins with a secret, and
 * each group's first word points back to its descriptor.
 */
#ifndef MW_LEDGER_MUSL_H
#define MW_LEDGER_MUSL_H

#include "ledger/runtimes.h"

/* Call FN for each page of descriptors and each group with pages of its own: "musl/heap". */
int mw_musl_heap(struct mw_image *image, mw_runtime_fn fn, void *arg);

#endif
