/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runtimes with a heap of their own, which they get from the kernel themselves: probes at the
 * allocator's functions see nothing of it.
 */
#ifndef MW_PROBE_RUNTIME_H
#define MW_PROBE_RUNTIME_H

#include "image/elffile.h"

/* Whose ELF is: "Go", "PHP", "JVM", "V8", a constant; NULL: none that is known. */
const char *mw_runtime_name(struct mw_elffile *elf);

#endif
