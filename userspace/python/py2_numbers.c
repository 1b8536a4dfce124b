// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Python 2 keeps int and float objects in blocks of its own of about 1,000 bytes, which it never
 * gives back (Objects/intobject.c, floatobject.c): struct _intblock is a link and 41 objects; those
 * that are free are chained through ob_type. The first block is a static variable, block_list.
 */
#include "python/python_impl.h"
#include "util/bytes.h"

enum { CELLS = 41, CELL = 24, LINK = 8, BLOCK = LINK + CELLS * CELL };

/* A live chunk of the size of a block begins at START (after its header): its label, or NULL. */
static uint32_t *block_at(struct mw_python *py, uint64_t start)
{
	uint64_t first, size;
	uint32_t *label;

	if (start < 4096 || start % 8 || mw_py_pool_find(py, start))
		return NULL;
	label = mw_py_label_at(py, start, &first, &size);
	return label && first == start && size >= BLOCK && size <= BLOCK + 48 ? label : NULL;
}

bool mw_py_cell_is_live(struct mw_python *py, uint64_t cell, uint32_t type)
{
	return mw_pages_word(&py->pages, cell) &&
	       mw_pages_word(&py->pages, cell + 8) == py->types[type].addr;
}

/* How many objects of TYPE the chain of blocks from HEAD on has; 0: it is none. */
static uint64_t count_chain(struct mw_python *py, uint64_t head, uint32_t type, uint64_t *live)
{
	uint64_t blocks = 0;

	*live = 0;
	for (uint64_t at = head; at; at = mw_pages_word(&py->pages, at)) {
		if (!block_at(py, at) || !mw_py_may_follow(py))
			return 0;
		blocks++;
		for (unsigned int i = 0; i < CELLS; i++)
			*live += mw_py_cell_is_live(py, at + LINK + CELL * i, type);
	}
	return blocks;
}

static void mark_chain(struct mw_python *py, uint64_t head, uint32_t type)
{
	struct mw_py_type *t = &py->types[type];

	for (uint64_t at = head; at; at = mw_pages_word(&py->pages, at)) {
		uint32_t *label = block_at(py, at);

		if (!label || mw_py_label_role(*label) == MW_PY_ROLE_CELLS)
			break;
		*label = mw_py_label(MW_PY_ROLE_CELLS, type);
		for (unsigned int i = 0; i < CELLS; i++) {
			bool live = mw_py_cell_is_live(py, at + LINK + CELL * i, type);

			t->count += live;
			t->parked += !live;
			t->bytes += live ? t->basicsize : 0;
		}
	}
}

static int32_t static_type(struct mw_python *py, const char *symbol)
{
	uint64_t addr = mw_py_symbol(py, symbol);

	return addr ? mw_py_type_at(py, addr) : -1;
}

static void find_blocks(struct mw_python *py, int32_t type)
{
	const struct mw_py_data *d = &py->data;
	uint64_t best = 0, head = 0, live;

	if (type < 0)
		return;
	for (uint64_t off = 0; off + 8 <= d->size; off += 8) {
		uint64_t at = mw_u64_at(d->bytes + off), n;

		if (!block_at(py, at))
			continue;
		n = count_chain(py, at, (uint32_t)type, &live);
		if (n && live > best) {
			best = live;
			head = at;
		}
	}
	if (!head)
		return;
	mark_chain(py, head, (uint32_t)type);
	mw_py_evidence(py, "blocks of int and float objects by their content");
}

void mw_py2_numbers(struct mw_python *py)
{
	if (py->info.hex >= MW_PY_VERSION(3, 0, 0))
		return;
	find_blocks(py, static_type(py, "PyInt_Type"));
	find_blocks(py, static_type(py, "PyFloat_Type"));
}

size_t mw_py_cell_blocks(struct mw_python *py, uint64_t start, uint32_t type,
			 struct mw_py_cell_run *out)
{
	uint64_t at = start + LINK;
	size_t n = 0;

	for (unsigned int i = 0; i < CELLS; i++, at += CELL) {
		bool live = mw_py_cell_is_live(py, at, type);

		if (n && out[n - 1].live == live)
			out[n - 1].count++;
		else
			out[n++] = (struct mw_py_cell_run){at, 1, live};
	}
	return n;
}

uint64_t mw_py_cell_of(uint64_t start, uint64_t addr)
{
	uint64_t offset = addr - start;

	if (offset < LINK || offset >= BLOCK)
		return 0;
	return start + LINK + (offset - LINK) / CELL * CELL;
}

bool mw_python__is_live_cell(struct mw_python *py, const struct mw_py_node *node, uint64_t addr)
{
	uint64_t cell = mw_py_cell_of(node->start, addr);

	return cell && mw_py_cell_is_live(py, cell, (uint32_t)node->type);
}
