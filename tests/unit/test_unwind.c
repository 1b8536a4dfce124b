// SPDX-License-Identifier: GPL-2.0-or-later
/* The rows of an unwind table against what readelf of binutils, which shares no code, says. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbol/unwind.h"
#include "tests/unit/program.h"
#include "tests/unit/test.h"

/* What a comparison saw of each rule. */
struct seen {
	unsigned int rows, rules[MW_CFA_SIGNAL + 1], saved_rbp, rbp_at_rbp;
};

static int read_table(struct mw_unwind_table *table, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret;

	CHECK(fd >= 0);
	ret = mw_unwind_table__read(table, fd);
	close(fd);
	return ret;
}

static FILE *readelf(const char *options, const char *path)
{
	char command[PATH_MAX + 64];

	snprintf(command, sizeof(command), "LC_ALL=C readelf %s %s 2>/dev/null", options, path);
	return popen(command, "r");
}

static uint64_t lowest_address(const char *path)
{
	FILE *f = readelf("-lW", path);
	uint64_t lowest = UINT64_MAX, addr;
	char line[256];

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " LOAD %*x %" SCNx64, &addr) == 1 && addr < lowest)
			lowest = addr;
	}
	pclose(f);
	return lowest & ~UINT64_C(4095);
}

/* The words of LINE, at most 24. */
static size_t split(char *line, char *words[24])
{
	size_t n = 0;

	for (char *w = strtok(line, " \n"); w && n < 24; w = strtok(NULL, " \n")) {
		if (*w != '(') /* "r9 (r9)" is one */
			words[n++] = w;
	}
	return n;
}

/*
 * What readelf says of one place, as a row; exp[ression]s are left open: MW_CFA_DEREF stands for
 * any.
 */
static struct mw_unwind_row expected(char *columns[24], char *words[24], size_t count)
{
	struct mw_unwind_row row = {.rule = MW_CFA_NONE};
	int offset = 0;

	if (sscanf(words[1], "rsp%d", &offset) == 1)
		row.rule = MW_CFA_SP;
	else if (sscanf(words[1], "rbp%d", &offset) == 1)
		row.rule = MW_CFA_FP;
	else if (!strcmp(words[1], "exp"))
		row.rule = MW_CFA_DEREF;
	row.cfa_offset = (int16_t)(offset / 8);
	if (offset % 8)
		row.rule = MW_CFA_NONE;
	for (size_t i = 2; i < count; i++) {
		bool saved = sscanf(words[i], "c-%d", &offset) == 1;

		if (!strcmp(columns[i], "ra") && !strcmp(words[i], "u"))
			return (struct mw_unwind_row){.rule = MW_CFA_END};
		if (!strcmp(columns[i], "ra") && strcmp(words[i], "c-8"))
			return (struct mw_unwind_row){.rule = MW_CFA_NONE};
		if (strcmp(columns[i], "rbp"))
			continue;
		if (saved && offset % 8 == 0 && offset <= 8 * 254)
			row.fp = (uint8_t)(offset / 8);
		else if (!strcmp(words[i], "exp"))
			row.fp = 255;
		else if (strcmp(words[i], "u") && strcmp(words[i], "s"))
			return (struct mw_unwind_row){.rule = MW_CFA_NONE};
	}
	return row;
}

static void compare(const struct mw_unwind_table *table, uint64_t base, uint64_t addr,
		    struct mw_unwind_row want, struct seen *seen)
{
	const struct mw_unwind_row *row = mw_unwind_table__find(table, (uint32_t)(addr - base));

	if (!row)
		TEST_FAIL("no row for %" PRIx64, addr);
	seen->rows++;
	seen->rules[row->rule]++;
	/* A word at rbp in one readelf calls an expression, as it does what no row can say. */
	if (want.rule == MW_CFA_DEREF || want.fp == 255) {
		bool open = row->rule == MW_CFA_NONE || row->rule == MW_CFA_PLT ||
			    row->rule == MW_CFA_DEREF || row->fp == 255;

		if (!open)
			TEST_FAIL("%" PRIx64 ": rule %u for an expression", addr,
				  (unsigned int)row->rule);
		seen->rbp_at_rbp += row->fp == 255;
		return;
	}
	if (want.rule <= MW_CFA_END || want.rule == MW_CFA_SIGNAL)
		want.fp = 0, want.cfa_offset = 0;
	seen->saved_rbp += row->fp != 0;
	if (row->rule != want.rule || row->cfa_offset != want.cfa_offset || row->fp != want.fp)
		TEST_FAIL("%" PRIx64 ": rule %u %d %u, expected %u %d %u", addr,
			  (unsigned int)row->rule, row->cfa_offset, (unsigned int)row->fp,
			  (unsigned int)want.rule, want.cfa_offset, (unsigned int)want.fp);
}

/* One block of readelf's text, a CIE or an FDE, while its lines come. */
struct block {
	bool is_cie, is_fde, is_signal;
	uint64_t at, start, end;
	char header[512], *columns[24];
	size_t count;
	struct mw_unwind_row last; /* what holds at the end */
};

enum { CIES_MAX = 64, FDES_MAX = 1 << 14 };

struct comparison {
	struct mw_unwind_table table;
	uint64_t base;
	struct block block, cies[CIES_MAX];
	size_t cie_count;
	struct {
		uint64_t start, end;
	} fdes[FDES_MAX];
	size_t fde_count;
	struct seen seen;
};

static void end_block(struct comparison *c)
{
	struct block *b = &c->block;

	if (b->is_fde && b->start < b->end) {
		compare(&c->table, c->base, b->end - 1, b->last, &c->seen);
		CHECK(c->fde_count < FDES_MAX);
		c->fdes[c->fde_count].start = b->start;
		c->fdes[c->fde_count++].end = b->end;
	} else if (b->is_cie && c->cie_count < CIES_MAX) {
		c->cies[c->cie_count++] = *b;
	}
	memset(b, 0, sizeof(*b));
}

static void begin_block(struct comparison *c, const char *line, uint64_t at)
{
	struct block *b = &c->block;
	const char *text = strstr(line, "cie=");
	uint64_t cie;

	end_block(c);
	b->at = at;
	b->is_fde = text;
	b->is_cie = !text;
	if (!text) {
		text = strchr(line, '"');
		b->is_signal = text && strchr(text, 'S');
		return;
	}
	CHECK(sscanf(text, "cie=%" SCNx64 " pc=%" SCNx64 "..%" SCNx64, &cie, &b->start, &b->end) ==
	      3);
	for (size_t i = 0; i < c->cie_count; i++) {
		if (c->cies[i].at != cie)
			continue;
		/* Without lines of its own it is as its CIE says. */
		b->is_signal = c->cies[i].is_signal;
		b->last = c->cies[i].last;
		return;
	}
	TEST_FAIL("no CIE %" PRIx64, cie);
}

static void take_line(struct comparison *c, char *line)
{
	struct block *b = &c->block;
	uint64_t at, length, id;
	char *words[24];

	if (strstr(line, "   LOC ")) {
		strcpy(b->header, line);
		b->count = split(b->header, b->columns);
	} else if (sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64, &at, &length, &id) == 3) {
		begin_block(c, line, at);
	} else if (b->count && split(line, words) == b->count) {
		at = strtoull(words[0], NULL, 16);
		/* binutils' linker describes the second entry of a PLT that has but one. */
		if (b->is_fde && at >= b->end)
			return;
		b->last = expected(b->columns, words, b->count);
		if (b->is_signal)
			b->last = (struct mw_unwind_row){.rule = MW_CFA_SIGNAL};
		if (b->is_fde)
			compare(&c->table, c->base, at, b->last, &c->seen);
	}
}

/* Behind an entry, where no other one is, nothing is known. */
static void compare_gaps(struct comparison *c)
{
	for (size_t i = 0; i < c->fde_count; i++) {
		uint64_t end = c->fdes[i].end;
		size_t k = 0;

		while (k < c->fde_count && (end < c->fdes[k].start || end >= c->fdes[k].end))
			k++;
		if (k == c->fde_count)
			compare(&c->table, c->base, end,
				(struct mw_unwind_row){.rule = MW_CFA_NONE}, &c->seen);
	}
}

static struct seen compare_with_readelf(const char *path)
{
	static struct comparison c;
	FILE *f = readelf("--debug-dump=frames-interp", path);
	bool inside = false;
	char line[512];

	memset(&c, 0, sizeof(c));
	c.base = lowest_address(path);
	CHECK_INT(read_table(&c.table, path), 0);
	while (fgets(line, sizeof(line), f)) {
		/* readelf goes on with the sections of a separate debug file, which has none. */
		if (strstr(line, "Contents of the ") || strstr(line, "NOBITS"))
			inside = strstr(line, ".eh_frame section") && !c.seen.rows;
		else if (inside && line[0] != '\n')
			take_line(&c, line);
	}
	end_block(&c);
	pclose(f);
	compare_gaps(&c);
	for (size_t i = 1; i < c.table.count; i++) {
		const struct mw_unwind_row *row = &c.table.rows[i];

		CHECK(row[-1].pc < row->pc);
		CHECK(row[-1].rule != row->rule || row[-1].cfa_offset != row->cfa_offset ||
		      row[-1].fp != row->fp);
	}
	CHECK(c.table.count && c.table.rows[c.table.count - 1].rule == MW_CFA_NONE);
	CHECK(!mw_unwind_table__find(&c.table, 0));
	mw_unwind_table__free(&c.table);
	return c.seen;
}

TEST(a_program_of_the_system)
{
	struct seen seen = compare_with_readelf("/bin/bash");

	CHECK(seen.rows > 10000);
	CHECK(seen.rules[MW_CFA_END] >= 1 && seen.saved_rbp > 5000);
}

TEST(the_c_library)
{
	struct seen seen = compare_with_readelf("/lib/x86_64-linux-gnu/libc.so.6");

	CHECK(seen.rows > 10000);
	CHECK(seen.rules[MW_CFA_FP] > 10);     /* functions with alloca */
	CHECK(seen.rules[MW_CFA_SIGNAL] >= 1); /* __restore_rt */
	CHECK(seen.rules[MW_CFA_END] >= 1);    /* clone */
	CHECK(seen.rules[MW_CFA_PLT] >= 1);
}

static const char plain[] = "#include <stdlib.h>\n"
			    "int f(int n) { volatile int a[9] = {n}; return a[n % 9] + rand(); }\n"
			    "int main(int c, char **v) { (void)v; return f(c) + f(c + 1); }\n";

TEST(a_program_without_frame_pointers)
{
	const char *path =
		program_build("plain", "c", plain, "-O2 -fomit-frame-pointer -no-pie -fno-inline");
	struct seen seen;

	CHECK(path);
	seen = compare_with_readelf(path);
	CHECK(seen.rules[MW_CFA_SP] > 3);
	CHECK_INT(lowest_address(path), 0x400000);
}

TEST(a_program_with_frame_pointers)
{
	const char *path =
		program_build("framed", "c", plain, "-O0 -fno-omit-frame-pointer -fno-inline");
	struct seen seen;

	CHECK(path);
	seen = compare_with_readelf(path);
	CHECK(seen.rules[MW_CFA_FP] >= 2 && seen.saved_rbp >= 4);
}

/* gcc keeps the address of the arguments (DRAP) in the frame when it realigns the stack. */
TEST(a_function_that_realigns_its_stack)
{
	static const char source[] =
		"#include <stdarg.h>\n"
		"void use(void *);\n"
		"__attribute__((noinline)) int aligned(int n, ...)\n"
		"{ _Alignas(64) char a[64]; char b[n]; va_list l; va_start(l, n); use(a); use(b);\n"
		"  n = va_arg(l, int); va_end(l); return a[0] + b[0] + n; }\n"
		"__attribute__((noinline)) void use(void *p) { __asm__ volatile(\"\" :: \"r\"(p)); }\n"
		"int main(int c, char **v) { (void)v; return aligned(c, c, 1.0); }\n";
	const char *path = program_build("drap", "c", source, "-O2 -mincoming-stack-boundary=3");
	struct seen seen;

	CHECK(path);
	seen = compare_with_readelf(path);
	CHECK(seen.rules[MW_CFA_DEREF] >= 1 && seen.rbp_at_rbp >= 1);
}

TEST(the_word_that_a_realigned_frame_keeps)
{
	const char *path = program_path("drap");
	FILE *f = readelf("--debug-dump=frames", path);
	struct mw_unwind_table table;
	int words = 0;
	unsigned int want = 0, rows = 0;
	char line[512];

	while (fgets(line, sizeof(line), f)) {
		const char *expr = strstr(line, "DW_CFA_def_cfa_expression (DW_OP_breg6 (rbp): ");

		if (expr && strstr(line, "; DW_OP_deref)")) {
			words = atoi(strchr(expr, ':') + 1) / 8;
			want++;
		}
	}
	pclose(f);
	CHECK(want);
	CHECK_INT(read_table(&table, path), 0);
	for (size_t i = 0; i < table.count; i++) {
		if (table.rows[i].rule != MW_CFA_DEREF)
			continue;
		CHECK_INT(table.rows[i].cfa_offset, words);
		rows++;
	}
	CHECK(rows >= 1);
	mw_unwind_table__free(&table);
}

TEST(no_table_no_rows)
{
	struct mw_unwind_table table;
	const char *path = program_build("bare", "c", "int f(int n) { return n + 1; }\n",
					 "-O2 -shared -nostdlib -fno-asynchronous-unwind-tables");

	CHECK(path);
	CHECK_INT(read_table(&table, path), -ENOENT);
	CHECK_INT(table.count, 0);
	CHECK(!mw_unwind_table__find(&table, 4096));
	CHECK_INT(read_table(&table, "/etc/passwd"), -EINVAL);
	path = program_build("small", "c", "int f(void) { return 1; }\n", "-m32 -c -O2");
	CHECK(path);
	CHECK_INT(read_table(&table, path), -EINVAL);
	/* Not yet linked: it has no addresses. */
	path = program_build("object", "c", plain, "-c -O2");
	CHECK(path);
	CHECK_INT(read_table(&table, path), -EINVAL);
}

/*
 * ---- damage -----------------------------------------------------------------------------------
 */

static uint32_t random_state = 7919;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % limit;
}

static void check_damaged(int fd)
{
	struct mw_unwind_table table;
	int ret = mw_unwind_table__read(&table, fd);

	CHECK(ret == 0 || ret == -ENOENT || ret == -EINVAL);
	for (size_t i = 1; i < table.count; i++)
		CHECK(table.rows[i - 1].pc < table.rows[i].pc);
	mw_unwind_table__free(&table);
}

TEST(damage_is_survived)
{
	static uint8_t bytes[1 << 20];
	uint64_t start = 0, size = 0, header = 0;
	const char *path = program_path("drap");
	int fd = open(path, O_RDONLY | O_CLOEXEC), copy;
	ssize_t len = read(fd, bytes, sizeof(bytes));
	FILE *f = readelf("-SW", path);
	char line[256];

	close(fd);
	while (fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, ".eh_frame ");

		if (at)
			CHECK(sscanf(at, ".eh_frame %*s %*x %" SCNx64 " %" SCNx64, &start, &size) ==
			      2);
		at = strstr(line, ".eh_frame_hdr ");
		if (at)
			CHECK(sscanf(at, ".eh_frame_hdr %*s %*x %" SCNx64, &header) == 1);
	}
	pclose(f);
	CHECK(len > 4096 && size > 100 && header && header < start && start + size < (uint64_t)len);
	copy = memfd_create("damaged", MFD_CLOEXEC);
	CHECK(copy >= 0);
	for (unsigned int round = 0; round < 4000; round++) {
		/* The table and its index, then also the headers at the file's two ends. */
		uint64_t from = round % 4 ? header : 0, to = round % 4 ? start + size : 1024;
		unsigned int flips = 1 + random_below(6);
		uint64_t at[8];
		uint8_t old[8];

		for (unsigned int i = 0; i < flips; i++) {
			at[i] = from + random_below((uint32_t)(to - from));
			old[i] = bytes[at[i]];
			bytes[at[i]] = (uint8_t)random_below(256);
		}
		CHECK_INT(pwrite(copy, bytes, (size_t)len, 0), len);
		check_damaged(copy);
		for (unsigned int i = flips; i-- > 0;)
			bytes[at[i]] = old[i];
	}
	CHECK_INT(pwrite(copy, bytes, (size_t)len, 0), len);
	for (off_t cut = len; cut > 0; cut -= 61) {
		CHECK(!ftruncate(copy, cut));
		check_damaged(copy);
	}
	close(copy);
}

TEST(pieces_of_code)
{
	uint64_t start, end, from, to;
	unsigned int pieces = 0;
	char line[256], path[PATH_MAX] = "";
	FILE *f;
	int fd;

	CHECK(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	f = readelf("-wf", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(f && fd >= 0);
	while (fgets(line, sizeof(line), f)) {
		const char *pc = strstr(line, " pc=");

		if (!pc || sscanf(pc, " pc=%" SCNx64 "..%" SCNx64, &start, &end) != 2 ||
		    pieces++ % 37)
			continue;
		CHECK(mw_unwind_piece(fd, start, &from, &to) && from == start && to == end);
		CHECK(mw_unwind_piece(fd, end - 1, &from, &to) && from == start && to == end);
	}
	CHECK(pieces > 100);
	CHECK(!mw_unwind_piece(fd, 1, &from, &to));
	close(fd);
	pclose(f);
}
