// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "python/layout.h"
#include "util/array.h"

const struct mw_py_field mw_py_fields[] = {
#define F(name, structure, member)                                                                 \
	{#name, structure, member, false, offsetof(struct mw_py_layout, name)},
#define S(name, structure) {#name, structure, NULL, false, offsetof(struct mw_py_layout, name)},
#define P(name, structure, member)                                                                 \
	{#name, structure, member, true, offsetof(struct mw_py_layout, name)},
#include "python/layout_fields.h"
#undef F
#undef S
#undef P
};
const size_t mw_py_field_count = MW_ARRAY_SIZE(mw_py_fields);

const struct mw_py_layout mw_py_layouts[] = {
#include "python/layout_table.h"
};
const size_t mw_py_layout_count = MW_ARRAY_SIZE(mw_py_layouts);

const struct mw_py_layout *mw_py_layout_find(uint32_t version, bool free_threaded)
{
	const struct mw_py_layout *best = NULL;

	for (size_t i = 0; i < mw_py_layout_count; i++) {
		const struct mw_py_layout *l = &mw_py_layouts[i];

		if (l->version >> 8 != version >> 8 || l->free_threaded != free_threaded)
			continue;
		if (!best || l->version <= version)
			best = l;
	}
	return best;
}
