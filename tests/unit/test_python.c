// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of CPython layouts, and what is chosen from it. */
#include "python/layout.h"
#include "test.h"

TEST(rows_are_in_order)
{
	for (size_t i = 1; i < mw_py_layout_count; i++) {
		const struct mw_py_layout *a = &mw_py_layouts[i - 1], *b = &mw_py_layouts[i];

		CHECK(a->version < b->version ||
		      (a->version == b->version && !a->free_threaded && b->free_threaded));
	}
}

TEST(a_row_has_what_every_version_has)
{
	for (size_t i = 0; i < mw_py_layout_count; i++) {
		const struct mw_py_layout *l = &mw_py_layouts[i];

		CHECK(l->ob_type > l->ob_refcnt && l->object_size >= 16);
		CHECK(l->tp_name > 0 && l->tp_basicsize > 0 && l->tp_flags > 0);
		CHECK(l->interp_next >= 0 && l->interp_threads > 0 && l->tstate_interp > 0);
		CHECK(l->list_items > 0 && l->tuple_items > 0 && l->bytes_data > 0);
		/* A dictionary has a table (2.7) or keys. */
		CHECK((l->ma_table >= 0) != (l->ma_keys >= 0));
	}
}

TEST(the_nearest_row_of_a_minor_version)
{
	const struct mw_py_layout *l = mw_py_layout_find(MW_PY_VERSION(3, 12, 9), false);

	CHECK(l && l->version >> 8 == MW_PY_VERSION(3, 12, 0) >> 8);
	l = mw_py_layout_find(MW_PY_VERSION(3, 11, 0), false); /* older than any row */
	CHECK(l && l->version >> 8 == MW_PY_VERSION(3, 11, 0) >> 8);
	l = mw_py_layout_find(MW_PY_VERSION(3, 13, 2), false); /* between two: the older one */
	CHECK(l && l->version == MW_PY_VERSION(3, 13, 0) && !l->free_threaded);
	l = mw_py_layout_find(MW_PY_VERSION(3, 13, 5), true);
	CHECK(l && l->free_threaded);
	CHECK(!mw_py_layout_find(MW_PY_VERSION(3, 99, 0), false));
	CHECK(!mw_py_layout_find(MW_PY_VERSION(3, 5, 0), false));
	CHECK(!mw_py_layout_find(MW_PY_VERSION(3, 8, 0), true));
}

TEST(a_file_without_dwarf_is_refused)
{
	struct mw_py_layout layout = {0};

	CHECK(mw_py_layout_read_dwarf(-1, &layout) < 0);
}
