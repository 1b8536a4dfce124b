// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libdw lists frame entries and answers what holds at an address. It does not say where an entry
 * begins, so that is decoded here.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/unwind.h"
#include "symbol/unwind.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/search.h"

enum { FP_AT_FP = 255, FP_MAX = 254 }; /* of a row's fp */

/*
 * Bounds the work for a damaged file: libdw runs an entry from its beginning for every row, which
 * takes rows times bytes. A good file of 950,000 rows needs 65 million.
 */
#define WORK_MAX (INT64_C(1) << 31)
enum { ROWS_MAX = 1 << 23 };

struct entry {
	uint64_t start, end; /* addresses in the file */
	uint32_t bytes;	     /* of instructions */
};

struct reader {
	Elf *elf;
	Dwarf_CFI *cfi;
	unsigned char ident[EI_NIDENT];
	Elf_Data *data;	 /* .eh_frame */
	uint64_t vaddr;	 /* its address */
	uint64_t lowest; /* where pc counts from */
	struct {
		uint64_t start, end;
	} code[16];
	size_t code_count;
	Dwarf_Off cie; /* whose pointers are encoded so */
	uint8_t encoding;
	struct entry *entries;
	size_t count, capacity;
	int64_t work;
};

static int find_segments(struct reader *r)
{
	size_t count;

	r->lowest = UINT64_MAX;
	if (elf_getphdrnum(r->elf, &count))
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(r->elf, (int)i, &ph) || ph.p_type != PT_LOAD)
			continue;
		if (ph.p_vaddr < r->lowest)
			r->lowest = ph.p_vaddr & ~(uint64_t)(MW_PAGE_SIZE - 1);
		if ((ph.p_flags & PF_X) && r->code_count < MW_ARRAY_SIZE(r->code) &&
		    ph.p_vaddr + ph.p_memsz > ph.p_vaddr) {
			r->code[r->code_count].start = ph.p_vaddr;
			r->code[r->code_count++].end = ph.p_vaddr + ph.p_memsz;
		}
	}
	return r->lowest == UINT64_MAX ? -EINVAL : 0;
}

static int find_section(struct reader *r)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(r->elf, &names))
		return -ENOENT;
	while ((section = elf_nextscn(r->elf, section))) {
		GElf_Shdr header;
		const char *name;

		if (!gelf_getshdr(section, &header) || header.sh_type == SHT_NOBITS)
			continue;
		name = elf_strptr(r->elf, names, header.sh_name);
		if (!name || strcmp(name, ".eh_frame"))
			continue;
		r->data = elf_rawdata(section, NULL);
		r->vaddr = header.sh_addr;
		return r->data && r->data->d_buf && r->data->d_size ? 0 : -ENOENT;
	}
	return -ENOENT;
}

static size_t encoded_size(uint8_t encoding)
{
	switch (encoding & 7) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
		return 8;
	case DW_EH_PE_udata4:
		return 4;
	case DW_EH_PE_udata2:
		return 2;
	default:
		return 0; /* LEB128: no compiler writes code addresses so */
	}
}

/* The number at P in the SIZE and signedness that ENCODING says. */
static uint64_t encoded_at(const uint8_t *p, uint8_t encoding)
{
	bool is_signed = encoding & DW_EH_PE_signed;
	uint16_t half;

	switch (encoded_size(encoding)) {
	case 8:
		return mw_u64_at(p);
	case 4:
		return is_signed ? (uint64_t)(int32_t)mw_u32_at(p) : mw_u32_at(p);
	default:
		memcpy(&half, p, sizeof(half));
		return is_signed ? (uint64_t)(int16_t)half : half;
	}
}

/* How the entries of CIE write addresses: the byte for 'R' in its augmentation. */
static bool address_encoding(const Dwarf_CIE *cie, uint8_t *encoding)
{
	const uint8_t *p = cie->augmentation_data;
	const uint8_t *end = p ? p + cie->augmentation_data_size : NULL;

	*encoding = DW_EH_PE_absptr;
	if (!cie->augmentation || *cie->augmentation != 'z')
		return cie->augmentation && !*cie->augmentation;
	for (const char *c = cie->augmentation + 1; *c; c++) {
		if (*c == 'S' || *c == 'B')
			continue;
		if (p >= end)
			return false;
		if (*c == 'R') {
			*encoding = *p;
			return true;
		}
		if (*c == 'P')
			p += encoded_size(*p);
		else if (*c != 'L')
			return false;
		p++;
	}
	return true;
}

static bool learn_encoding(struct reader *r, Dwarf_Off at)
{
	Dwarf_CFI_Entry entry;
	Dwarf_Off next;

	if (at == r->cie)
		return true;
	if (at >= r->data->d_size || dwarf_next_cfi(r->ident, r->data, true, at, &next, &entry) ||
	    !dwarf_cfi_cie_p(&entry) || !address_encoding(&entry.cie, &r->encoding))
		return false;
	r->cie = at;
	return true;
}

/* Add the entry if its code is in a segment: linkers leave those of dropped code at address 0. */
static int add_entry(struct reader *r, const Dwarf_FDE *fde)
{
	const uint8_t *p = fde->start;
	struct entry e;
	uint64_t size;
	size_t width;
	int ret;

	if (!learn_encoding(r, fde->CIE_pointer))
		return 0;
	width = encoded_size(r->encoding);
	if (!width || (size_t)(fde->end - p) < 2 * width || (r->encoding & DW_EH_PE_indirect))
		return 0;
	e.start = encoded_at(p, r->encoding);
	if ((r->encoding & 0x70) == DW_EH_PE_pcrel)
		e.start += r->vaddr + (uint64_t)(p - (const uint8_t *)r->data->d_buf);
	else if ((r->encoding & 0x70) != DW_EH_PE_absptr)
		return 0;
	size = encoded_at(p + width, r->encoding & 7);
	e.bytes = (uint32_t)(fde->end - p);
	for (size_t i = 0; i < r->code_count; i++) {
		if (!size || e.start < r->code[i].start || e.start >= r->code[i].end)
			continue;
		e.end = size < r->code[i].end - e.start ? e.start + size : r->code[i].end;
		if (e.start < r->lowest || e.end - r->lowest > UINT32_MAX)
			return 0;
		ret = mw_array_reserve(&r->entries, &r->capacity, r->count + 1, sizeof(e));
		if (!ret)
			r->entries[r->count++] = e;
		return ret;
	}
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int read_entries(struct reader *r)
{
	Dwarf_Off at = 0, next = 0;
	int ret = 0;

	while (!ret && at < r->data->d_size) {
		Dwarf_CFI_Entry entry;
		int got = dwarf_next_cfi(r->ident, r->data, true, at, &next, &entry);

		/* Skip a damaged entry whose length is known. */
		if (got > 0 || next <= at)
			break;
		if (!got && !dwarf_cfi_cie_p(&entry))
			ret = add_entry(r, &entry.fde);
		at = next;
	}
	if (r->count)
		qsort(r->entries, r->count, sizeof(*r->entries), by_start);
	return ret;
}

/* ---- from libdw's answers to a row -------------------------------------------------------- */

/* True when OP is the sum of a register and a number. */
static bool is_breg(const Dwarf_Op *op, unsigned int *reg, int64_t *offset)
{
	if (op->atom == DW_OP_bregx) {
		*reg = (unsigned int)op->number;
		*offset = (int64_t)op->number2;
		return true;
	}
	*reg = (unsigned int)op->atom - DW_OP_breg0;
	*offset = (int64_t)op->number;
	return op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31;
}

static uint8_t cfa_rule(const Dwarf_Op *ops, size_t count, int16_t *words)
{
	unsigned int reg;
	int64_t offset;
	bool deref = count == 2 && ops[1].atom == DW_OP_deref;

	if (mw_arch_is_plt(ops, count))
		return MW_CFA_PLT;
	if ((count != 1 && !deref) || !is_breg(&ops[0], &reg, &offset) || offset % 8 ||
	    offset / 8 < INT16_MIN || offset / 8 > INT16_MAX)
		return MW_CFA_NONE;
	*words = (int16_t)(offset / 8);
	if (deref)
		return reg == MW_DWARF_FP ? MW_CFA_DEREF : MW_CFA_NONE;
	return reg == MW_DWARF_SP ? MW_CFA_SP : reg == MW_DWARF_FP ? MW_CFA_FP : MW_CFA_NONE;
}

/* True when OPS is CFA + *OFFSET, a place in memory. */
static bool is_saved(const Dwarf_Op *ops, size_t count, int64_t *offset)
{
	if (!count || count > 2 || ops[0].atom != DW_OP_call_frame_cfa)
		return false;
	*offset = 0;
	if (count == 2)
		*offset = (int64_t)ops[1].number;
	return count == 1 || ops[1].atom == DW_OP_plus_uconst;
}

static bool caller_fp(Dwarf_Frame *frame, uint8_t *fp)
{
	Dwarf_Op memory[3], *ops;
	unsigned int reg;
	int64_t offset;
	size_t count;

	if (dwarf_frame_register(frame, MW_DWARF_FP, memory, &ops, &count))
		return false;
	*fp = 0;
	if (!count)
		return !ops; /* unchanged; otherwise it is lost */
	/* An expression begins with the CFA on its stack. */
	if (count == 2 && ops[0].atom == DW_OP_call_frame_cfa && is_breg(&ops[1], &reg, &offset) &&
	    reg == MW_DWARF_FP && !offset) {
		*fp = FP_AT_FP;
		return true;
	}
	if (!is_saved(ops, count, &offset) || offset % 8 || offset >= 0 || offset < -8 * FP_MAX)
		return false;
	*fp = (uint8_t)(-offset / 8);
	return true;
}

static void describe(Dwarf_Frame *frame, bool is_signal, struct mw_unwind_row *row)
{
	Dwarf_Op memory[3], *ops;
	int64_t offset;
	size_t count;

	row->rule = MW_CFA_NONE;
	if (is_signal) {
		row->rule = MW_CFA_SIGNAL;
		return;
	}
	if (dwarf_frame_register(frame, MW_DWARF_RA, memory, &ops, &count))
		return;
	if (!count && ops) {
		row->rule = MW_CFA_END;
		return;
	}
	if (!is_saved(ops, count, &offset) || offset != -8 || !caller_fp(frame, &row->fp) ||
	    dwarf_frame_cfa(frame, &ops, &count))
		return;
	row->rule = cfa_rule(ops, count, &row->cfa_offset);
}

static int add_row(struct mw_unwind_table *table, struct mw_unwind_row row)
{
	const struct mw_unwind_row *last = table->count ? &table->rows[table->count - 1] : NULL;
	int ret;

	if (row.rule == MW_CFA_NONE || row.rule == MW_CFA_END || row.rule == MW_CFA_SIGNAL)
		row.cfa_offset = row.fp = 0;
	if (last && last->rule == row.rule && last->cfa_offset == row.cfa_offset &&
	    last->fp == row.fp)
		return 0;
	if (table->count >= ROWS_MAX)
		return -E2BIG;
	ret = mw_array_reserve(&table->rows, &table->capacity, table->count + 1, sizeof(row));
	if (!ret)
		table->rows[table->count++] = row;
	return ret;
}

/* Add the rows from AT to the end of entry E; of a damaged one as far as libdw can read it. */
static int add_rows(struct reader *r, struct mw_unwind_table *table, const struct entry *e,
		    uint64_t at)
{
	int ret = 0;

	for (uint64_t end; !ret && at < e->end; at = end) {
		struct mw_unwind_row row = {.pc = (uint32_t)(at - r->lowest)};
		Dwarf_Frame *frame = NULL;
		Dwarf_Addr start;
		bool is_signal = false;

		end = e->end;
		r->work += e->bytes;
		if (r->work < WORK_MAX && !dwarf_cfi_addrframe(r->cfi, at, &frame)) {
			if (dwarf_frame_info(frame, &start, &end, &is_signal) != MW_DWARF_RA ||
			    end <= at)
				end = e->end;
			else
				describe(frame, is_signal, &row);
			free(frame);
		}
		table->unknown += row.rule == MW_CFA_NONE;
		ret = add_row(table, row);
	}
	return ret;
}

static int make_table(struct reader *r, struct mw_unwind_table *table)
{
	uint64_t at = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < r->count; i++) {
		struct entry *e = &r->entries[i];
		struct mw_unwind_row gap = {.pc = (uint32_t)(at - r->lowest)};

		if (i && e->start > at)
			ret = add_row(table, gap);
		if (i + 1 < r->count && e->end > e[1].start)
			e->end = e[1].start;
		if (!ret)
			ret = add_rows(r, table, e, e->start);
		at = e->end;
	}
	if (!ret && r->count)
		ret = add_row(table, (struct mw_unwind_row){.pc = (uint32_t)(at - r->lowest)});
	return ret == -E2BIG ? 0 : ret;
}

/* Read FD's entries; the caller closes R in either case. */
static int open_reader(struct reader *r, int fd)
{
	GElf_Ehdr header;
	int ret;

	memset(r, 0, sizeof(*r));
	r->cie = UINT64_MAX;
	elf_version(EV_CURRENT);
	/* Read, not mapped: a mapped file that shrinks would kill us with SIGBUS. */
	r->elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!r->elf || elf_kind(r->elf) != ELF_K_ELF || !gelf_getehdr(r->elf, &header) ||
	    gelf_getclass(r->elf) != ELFCLASS64 || header.e_machine != MW_ARCH_MACHINE)
		return -EINVAL;
	/* HEADER goes, and what dwarf_next_cfi() needs of it stays. */
	memcpy(r->ident, header.e_ident, sizeof(r->ident));
	ret = find_segments(r);
	if (!ret)
		ret = find_section(r);
	return ret ? ret : read_entries(r);
}

static void close_reader(struct reader *r)
{
	if (r->cfi)
		dwarf_cfi_end(r->cfi);
	free(r->entries);
	elf_end(r->elf);
}

int mw_unwind_table__read(struct mw_unwind_table *table, int fd)
{
	struct reader r;
	int ret;

	memset(table, 0, sizeof(*table));
	ret = open_reader(&r, fd);
	if (!ret) {
		r.cfi = dwarf_getcfi_elf(r.elf);
		ret = r.cfi ? make_table(&r, table) : -ENOENT;
	}
	if (ret)
		mw_unwind_table__free(table);
	close_reader(&r);
	return ret;
}

bool mw_unwind_piece(int fd, uint64_t addr, uint64_t *start, uint64_t *end)
{
	struct reader r;
	bool found = false;

	if (!open_reader(&r, fd)) {
		for (size_t i = 0; i < r.count && !found; i++) {
			found = r.entries[i].start <= addr && addr < r.entries[i].end;
			*start = r.entries[i].start;
			*end = r.entries[i].end;
		}
	}
	close_reader(&r);
	return found;
}

void mw_unwind_table__free(struct mw_unwind_table *table)
{
	free(table->rows);
	memset(table, 0, sizeof(*table));
}

static bool starts_by(const void *at, const void *key)
{
	const struct mw_unwind_row *row = at;

	return row->pc <= *(const uint32_t *)key;
}

const struct mw_unwind_row *mw_unwind_table__find(const struct mw_unwind_table *table, uint32_t pc)
{
	size_t i = mw_search(table->rows, table->count, sizeof(*table->rows), starts_by, &pc);

	return i ? &table->rows[i - 1] : NULL;
}
