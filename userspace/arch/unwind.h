/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unwinding rules that only one architecture has. */
#ifndef MW_ARCH_UNWIND_H
#define MW_ARCH_UNWIND_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * True when the DWARF expression OPS is the one by which linkers describe the CFA of a PLT entry
 * that binds lazily (MW_CFA_PLT of bpf/memwhere.h).
 */
bool mw_arch_is_plt(const Dwarf_Op *ops, size_t count);

#endif
