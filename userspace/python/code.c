// SPDX-License-Identifier: GPL-2.0-or-later
/* What an exported function of a stripped interpreter tells about static variables. */
#include <Zydis/Zydis.h>

#include "image/elffile.h"
#include "python/python_impl.h"

enum { CODE_MAX = 512 };

/* The address of a 64-bit word that INSN loads relative to the instruction pointer, or 0. */
static uint64_t loaded(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops,
		       uint64_t at)
{
	for (unsigned int i = 0; i < insn->operand_count_visible; i++) {
		ZyanU64 addr;

		if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY && ops[i].size == 64 &&
		    ops[i].mem.type == ZYDIS_MEMOP_TYPE_MEM &&
		    ops[i].mem.base == ZYDIS_REGISTER_RIP &&
		    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(insn, &ops[i], at, &addr)))
			return addr;
	}
	return 0;
}

static size_t collect(const uint8_t *code, size_t len, uint64_t base, uint64_t *refs, size_t max)
{
	ZydisDecoder decoder;
	size_t count = 0, at = 0;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	while (at < len && count < max) {
		ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
		ZydisDecodedInstruction insn;
		uint64_t ref;

		if (!ZYAN_SUCCESS(
			    ZydisDecoderDecodeFull(&decoder, code + at, len - at, &insn, ops)))
			break;
		ref = loaded(&insn, ops, base + at);
		for (size_t i = 0; ref && i < count; i++)
			ref = refs[i] == ref ? 0 : ref;
		if (ref)
			refs[count++] = ref;
		if (insn.meta.category == ZYDIS_CATEGORY_RET ||
		    insn.meta.category == ZYDIS_CATEGORY_UNCOND_BR)
			break;
		at += insn.length;
	}
	return count;
}

size_t mw_py_code_refs(struct mw_python *py, const char *name, uint64_t *refs, size_t max)
{
	struct mw_elffile *file = mw_py_file(py);
	struct mw_symbol symbol;
	uint8_t code[CODE_MAX];
	size_t count = 0;

	if (file && !mw_elffile__symbol(file, name, &symbol)) {
		size_t len = mw_elffile__bytes(file, symbol.value, code, sizeof(code));

		if (symbol.size && symbol.size < len)
			len = symbol.size;
		count = collect(code, len, mw_elffile__bias(file, py->data.base, 0) + symbol.value,
				refs, max);
	}
	return count;
}
