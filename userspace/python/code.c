// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses of static variables, from the code of a stripped interpreter's exported functions. */
#include "arch/prologue.h"
#include "image/elffile.h"
#include "python/python_impl.h"

enum { CODE_MAX = 512 };

static size_t collect(const uint8_t *code, size_t len, uint64_t base, uint64_t *refs, size_t max)
{
	struct mw_insn insn = {0};
	size_t count = 0;

	for (size_t at = 0; at < len && count < max && !insn.is_last; at += insn.length) {
		uint64_t ref;

		if (!mw_insn_decode(&insn, code + at, len - at, base + at))
			break;
		ref = insn.word;
		for (size_t i = 0; ref && i < count; i++)
			ref = refs[i] == ref ? 0 : ref;
		if (ref)
			refs[count++] = ref;
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
