// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines of code objects. The tables are those of four interpreters for
 *
 *	src = ("def f(a):\n    try:\n        x = a(\n            1,\n%s            2)\n"
 *	       "    except E as e:\n        pass\n%s    while x:\n        x = 1\n    return x\n")
 *	c = compile("\n" * 9 + src % ("\n" * 150, "\n" * 300), "x", "exec").co_consts[0]
 *
 * and the runs what c.co_lines() says, before 3.10 dis.findlinestarts(c): the first byte and the
 * line, 0 for none. tests/python_lines.py does the same with much more code.
 */
#include "python/lines.h"
#include "test.h"

struct run {
	uint32_t start, line;
};

static const uint8_t table_2_7[] = {
	0, 1, 3, 1, 3, 1, 3, 151, 13, 1, 15, 1, 4, 255, 0, 46, 9, 1, 10, 1,
};
static const struct run runs_2_7[] = {
	{0, 11}, {3, 12}, {6, 13}, {9, 164}, {22, 165}, {37, 166}, {41, 467}, {50, 468}, {60, 469},
};

static const uint8_t table_3_9[] = {
	0,   1, 2,  1,	2, 1,  2,   127, 0,   24, 2,  128, 0, 232, 8,
	127, 0, 26, 14, 1, 22, 127, 0,	 127, 0,  47, 4,   1, 6,   1,
};
static const struct run runs_3_9[] = {
	{0, 11},   {2, 12},   {4, 13},	 {6, 164},  {8, 12},
	{16, 165}, {30, 166}, {52, 467}, {56, 468}, {62, 469},
};

static const uint8_t table_3_10[] = {
	2,  1, 2, 1,   2, 1,   0, 127, 2, 24,  0, 129, 8, 231, 0, 127, 14, 26,
	12, 1, 8, 128, 2, 255, 0, 127, 0, 127, 4, 48,  4, 1,   4, 255, 4,  2,
};
static const struct run runs_3_10[] = {
	{0, 11}, {2, 12},   {4, 13},   {6, 164},  {8, 12},   {16, 165}, {30, 166},
	{42, 0}, {50, 165}, {52, 467}, {56, 468}, {60, 467}, {64, 469},
};

static const uint8_t table_3_13[] = {
	128, 0,	  240, 2, 91, 2,  5,  13,  217, 12,  13,  216, 12,  13, 240, 110, 4,   0,  13,
	14,  243, 113, 4, 88, 2,  13, 15,  136, 1,   246, 78,  14,  0,	11,  12,  216, 12, 13,
	136, 1,	  247, 3, 0,  11, 12, 136, 33,	224, 11,  12,  128, 72, 248, 244, 97,  9,  0,
	12,  13,  243, 0, 1,  5,  13, 220, 8,	12,  251, 240, 3,   1,	5,   13,  250,
};
static const struct run runs_3_13[] = {
	{0, 10},   {2, 11},   {4, 12}, {8, 13},	  {10, 164}, {12, 12}, {22, 467},  {36, 468},
	{40, 467}, {58, 469}, {62, 0}, {64, 165}, {82, 166}, {92, 0},  {100, 165}, {102, 0},
};

static void check_runs(uint32_t version, const uint8_t *table, size_t len, const struct run *runs,
		       size_t count, uint32_t size)
{
	for (uint32_t i = 0, run = 0; i < size; i++) {
		if (run + 1 < count && runs[run + 1].start == i)
			run++;
		CHECK_INT(mw_py_line(version, 10, table, len, i), runs[run].line);
	}
}

#define CHECK_RUNS(version, name, size)                                                            \
	check_runs(version, table_##name, sizeof(table_##name), runs_##name,                       \
		   sizeof(runs_##name) / sizeof(runs_##name[0]), size)

TEST(every_offset_has_the_line_that_the_interpreter_says)
{
	CHECK_RUNS(MW_PY_VERSION(2, 7, 18), 2_7, 64);
	CHECK_RUNS(MW_PY_VERSION(3, 9, 18), 3_9, 66);
	CHECK_RUNS(MW_PY_VERSION(3, 10, 13), 3_10, 68);
	CHECK_RUNS(MW_PY_VERSION(3, 13, 0), 3_13, 108);
}

TEST(behind_the_end_of_ranges_there_is_no_line)
{
	CHECK_INT(mw_py_line(MW_PY_VERSION(3, 10, 0), 10, table_3_10, sizeof(table_3_10), 68), 0);
	CHECK_INT(mw_py_line(MW_PY_VERSION(3, 13, 0), 10, table_3_13, sizeof(table_3_13), 108), 0);
	CHECK_INT(
		mw_py_line(MW_PY_VERSION(3, 13, 0), 10, table_3_13, sizeof(table_3_13), UINT32_MAX),
		0);
	CHECK_INT(mw_py_line(MW_PY_VERSION(3, 10, 0), 10, NULL, 0, 0), 0);
	CHECK_INT(mw_py_line(MW_PY_VERSION(3, 9, 0), 10, NULL, 0, 0), 10);
}

/* A read past the end is seen by ASan: each table is a block of just its size. */
TEST(damaged_tables_are_read_to_their_end_only)
{
	static const uint32_t versions[] = {
		MW_PY_VERSION(2, 7, 18),
		MW_PY_VERSION(3, 9, 0),
		MW_PY_VERSION(3, 10, 0),
		MW_PY_VERSION(3, 11, 0),
	};
	uint32_t seed = 7919;

	for (int round = 0; round < 100003; round++) {
		uint32_t offset = round % 3 ? (uint32_t)round % 211 : UINT32_MAX, line, version;
		size_t len = (size_t)round % 61;
		uint8_t *table = malloc(len ? len : 1);

		CHECK(table);
		for (size_t i = 0; i < len; i++) {
			seed = seed * 1664525 + 1013904223;
			table[i] = (uint8_t)(seed >> 24);
		}
		version = versions[round % 4];
		line = mw_py_line(version, 10, table, len, offset);
		/* No range reaches this far. */
		if (offset == UINT32_MAX && version >= MW_PY_VERSION(3, 10, 0))
			CHECK_INT(line, 0);
		free(table);
	}
}
