// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "probe/prologue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mw_prologue_request request = {
		.code = data, .size = size, .size_known = true, .address = 0x1000};
	struct mw_probe_point point;

	if (size) {
		request.registers = data[0] & 15;
		request.need_entry_stack = data[0] & 16;
		request.size_known = data[0] & 32;
		request.code++;
		request.size--;
	}
	mw_prologue_choose(&request, &point);
	if (point.class != MW_PROBE_UNPROBEABLE && point.offset >= request.size)
		abort();
	if (request.need_entry_stack && point.stack_shift)
		abort();
	if (point.offset && !request.size_known)
		abort();
	if (!memchr(point.insn, 0, sizeof(point.insn)) || !point.reason)
		abort();
	return 0;
}
