// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the interpreter is: the module whose writable data holds the text that sys.version begins
 * with (a static buffer of Python/getversion.c in every version), its _PyRuntime or list of
 * interpreters, and the row of the table of layouts that agrees with its memory.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "image/elffile.h"
#include "python/python_impl.h"
#include "symbol/debugfile.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/text.h"

/* A DWARF that knows fewer of the fields is of something else. */
enum { MW_PY_FIELDS_MIN = 60 };

enum { DATA_MAX = 64 << 20, INTERPRETERS_MAX = 4096, THREADS_MAX = 1 << 20 };

#define COOKIE                                                                                     \
	"xdebugpy" /* _Py_DebugOffsets, 3.13 and later: Include/internal/pycore_debug_offsets.h */

void mw_py_evidence(struct mw_python *py, const char *text)
{
	for (size_t i = 0; i < py->evidence_count; i++) {
		if (!strcmp(py->info.evidence[i], text))
			return;
	}
	if (py->evidence_count + 1 < MW_PY_EVIDENCE)
		py->info.evidence[py->evidence_count++] = text;
}

void mw_py_begin(struct mw_python *py, struct mw_doubts *doubts)
{
	mw_doubts__begin(doubts, py->image, &py->problems);
}

bool mw_py_again(struct mw_python *py, struct mw_doubts *doubts)
{
	bool again = mw_doubts__again(doubts);

	if (again)
		mw_pages__forget(&py->pages);
	return again;
}

/* "3.11.2 (main, ...) [GCC ...]" as Py_GetVersion() makes it. */
bool mw_py_is_version(const uint8_t *p, size_t left, unsigned int v[3], char *text, size_t size)
{
	char copy[256];
	int n = 0;
	size_t len;

	if (left < 12 || (p[0] != '2' && p[0] != '3') || p[1] != '.' || !isdigit(p[2]))
		return false;
	len = left < sizeof(copy) - 1 ? left : sizeof(copy) - 1;
	memcpy(copy, p, len);
	copy[len] = '\0';
	if (sscanf(copy, "%u.%2u.%2u%n", &v[0], &v[1], &v[2], &n) != 3 || !n)
		return false;
	len = (size_t)n + strspn(copy + n, "abrc+0123456789");
	/* "3.13.5 experimental free-threading build (main, ..." */
	if (copy[len] != ' ' ||
	    copy[len + 1 + strspn(copy + len + 1, "abcdefghijklmnopqrstuvwxyz- ")] != '(' ||
	    !strchr(copy + len, '['))
		return false;
	mw_text_clean(text, size, copy, len);
	return true;
}

/* Without names: the nearest ELF header before region I whose file reaches over it; 0: none. */
static uint64_t nameless_base(struct mw_python *py, const struct mw_regions *regions, size_t i)
{
	enum { REGIONS_MAX = 64 };

	for (size_t k = i; k-- > 0 && i - k < REGIONS_MAX;) {
		const struct mw_map *map = &regions->regions[k].map;

		if (map->readable && !map->writable &&
		    mw_image__elf_end(py->image, map->start) > regions->regions[i].map.start)
			return map->start;
	}
	return 0;
}

static uint64_t module_base(struct mw_python *py, const struct mw_regions *regions, size_t i)
{
	const struct mw_region *r = &regions->regions[i];
	size_t first = i;

	if (!r->map.inode)
		return nameless_base(py, regions, i);

	while (first && regions->regions[first - 1].map.inode &&
	       !strcmp(regions->regions[first - 1].map.path, r->map.path) && i - first < 16 &&
	       regions->regions[first].map.offset)
		first--;
	return regions->regions[first].map.start;
}

static void read_data(struct mw_python *py, struct mw_py_data *data)
{
	for (uint64_t at = 0; at < data->size;) {
		ssize_t n = mw_image__read(py->image, data->start + at, data->bytes + at,
					   data->size - at);

		at = n > 0 ? at + (uint64_t)n : (at + MW_PAGE_SIZE) & ~(MW_PAGE_SIZE - 1ULL);
	}
}

/* Copy the writable data of the file mapped in region I, and the .bss behind it. */
static int copy_data(struct mw_python *py, size_t i, struct mw_py_data *data)
{
	const struct mw_regions *regions = mw_image__regions(py->image);
	const struct mw_region *r = &regions->regions[i];
	const char *slash = strrchr(r->map.path, '/');
	uint64_t end = r->map.end, limit;

	memset(data, 0, sizeof(*data));
	data->base = module_base(py, regions, i);
	limit = mw_image__elf_end(py->image, data->base);
	for (size_t k = i + 1; k < regions->count; k++) {
		const struct mw_region *next = &regions->regions[k];
		bool same = next->map.inode && !strcmp(next->map.path, r->map.path);

		if (next->map.start != end || !next->map.writable || next->map.shared ||
		    (!same && next->map.inode) || end >= limit)
			break;
		end = next->map.end < limit || same ? next->map.end : limit;
		if (!same)
			break;
	}
	data->start = r->map.start;
	data->size = end - data->start < DATA_MAX ? end - data->start : DATA_MAX;
	if (r->map.path[0])
		mw_text_clean(data->name, sizeof(data->name), slash ? slash + 1 : r->map.path,
			      strlen(slash ? slash + 1 : r->map.path));
	else
		snprintf(data->name, sizeof(data->name), "a file whose name is lost");
	data->bytes = calloc(1, data->size);
	if (!data->bytes)
		return -ENOMEM;
	read_data(py, data);
	return 0;
}

void mw_py_refresh(struct mw_python *py)
{
	mw_pages__forget(&py->pages);
	read_data(py, &py->data);
}

struct mw_elffile *mw_py_file(struct mw_python *py)
{
	if (py->file_base != py->data.base) {
		mw_elffile__close(py->file);
		py->file = mw_image__elffile(py->image, py->data.base);
		py->file_base = py->data.base;
	}
	return py->file;
}

uint64_t mw_py_symbol(struct mw_python *py, const char *name)
{
	struct mw_elffile *file = mw_py_file(py);
	struct mw_symbol symbol;

	if (!file || mw_elffile__symbol(file, name, &symbol))
		return 0;
	return mw_elffile__bias(file, py->data.base, 0) + symbol.value;
}

/* An interpreter state: one of its threads points back to it. */
static bool is_interpreter(struct mw_python *py, const struct mw_py_layout *l, uint64_t addr)
{
	uint64_t tstate;

	if (!addr || addr % 8 || l->interp_threads < 0)
		return false;
	tstate = mw_pages_word(&py->pages, addr + (uint64_t)l->interp_threads);
	return tstate && tstate % 8 == 0 &&
	       mw_pages_word(&py->pages, tstate + (uint64_t)l->tstate_interp) == addr;
}

/*
 * The list that begins at HEAD leads to MAIN, which is an interpreter; others may have no threads.
 */
static bool is_list(struct mw_python *py, const struct mw_py_layout *l, uint64_t head,
		    uint64_t main)
{
	uint64_t at = head;

	/* Lists of pools are linked alike, but the main interpreter is number 0. */
	if (!is_interpreter(py, l, main) ||
	    (l->interp_id >= 0 && mw_py_field(py, main, l->interp_id)))
		return false;
	for (int i = 0; at && at % 8 == 0 && i < INTERPRETERS_MAX; i++) {
		if (at == main)
			return true;
		at = mw_pages_word(&py->pages, at + (uint64_t)l->interp_next);
	}
	return false;
}

static uint64_t data_word(const struct mw_py_data *d, uint64_t offset)
{
	return offset + 8 <= d->size ? mw_u64_at(d->bytes + offset) : 0;
}

/* The head of the list of interpreters by layout L, or 0; RUNTIME is set where there is one. */
static uint64_t find_head(struct mw_python *py, const struct mw_py_layout *l, uint64_t *runtime)
{
	const struct mw_py_data *d = &py->data;
	bool has_runtime = l->runtime_interpreters >= 0;
	uint64_t at =
		has_runtime ? mw_py_symbol(py, "_PyRuntime") : mw_py_symbol(py, "interp_head");

	*runtime = has_runtime ? at : 0;
	if (at) {
		uint64_t head = mw_pages_word(
			&py->pages, at + (has_runtime ? (uint64_t)l->runtime_interpreters : 0));
		uint64_t main = has_runtime
					? mw_pages_word(&py->pages, at + (uint64_t)l->runtime_main)
					: head;

		if (is_list(py, l, head, main)) {
			py->head_at = at + (has_runtime ? (uint64_t)l->runtime_interpreters : 0);
			mw_py_evidence(py, has_runtime ? "_PyRuntime by symbol"
						       : "interp_head by symbol");
			return head;
		}
	}
	for (uint64_t off = 0; off + 8 <= d->size; off += 8) {
		uint64_t head, main;

		if (!has_runtime) {
			head = main = data_word(d, off);
		} else {
			if (l->version >= MW_PY_VERSION(3, 13, 0) &&
			    (off + 8 > d->size || memcmp(d->bytes + off, COOKIE, 8)))
				continue;
			head = data_word(d, off + (uint64_t)l->runtime_interpreters);
			main = data_word(d, off + (uint64_t)l->runtime_main);
		}
		if (!head || !main || head % 8 || main % 8 || head < 65536 ||
		    !is_list(py, l, head, main))
			continue;
		*runtime = has_runtime ? d->start + off : 0;
		py->head_at =
			d->start + off + (has_runtime ? (uint64_t)l->runtime_interpreters : 0);
		mw_py_evidence(py, has_runtime ? "_PyRuntime by its content"
					       : "list of interpreters by its content");
		return head;
	}
	return 0;
}

static int read_interpreters(struct mw_python *py, uint64_t head, struct mw_doubts *doubts)
{
	const struct mw_py_layout *l = &py->layout;
	uint32_t threads = 0;

	for (uint64_t i = head; i && i % 8 == 0;
	     i = mw_pages_word(&py->pages, i + (uint64_t)l->interp_next)) {
		struct mw_py_interpreter *one;
		uint64_t t;

		if (py->interpreter_count >= INTERPRETERS_MAX) {
			mw_doubts__add(doubts, head, "the list of interpreters does not end", 0);
			break;
		}
		if (mw_array_reserve(&py->interpreters, &py->interpreter_capacity,
				     py->interpreter_count + 1, sizeof(*py->interpreters)))
			return -ENOMEM;
		one = &py->interpreters[py->interpreter_count++];
		*one = (struct mw_py_interpreter){.addr = i};
		if (l->interp_id >= 0)
			one->id = (int64_t)mw_pages_word(&py->pages, i + (uint64_t)l->interp_id);
		t = mw_py_thread(py, one, 0);
		for (; t && threads < THREADS_MAX; one->threads++, threads++)
			t = mw_py_thread(py, one, t);
	}
	return 0;
}

static int list_interpreters(struct mw_python *py, uint64_t head)
{
	struct mw_doubts doubts;
	int ret;

	mw_py_begin(py, &doubts);
	do {
		py->interpreter_count = 0;
		ret = read_interpreters(py, head, &doubts);
	} while (!ret && mw_py_again(py, &doubts));
	return ret;
}

/* The rows of the table that may fit, the likeliest first, until one does. */
static uint64_t choose_row(struct mw_python *py, uint64_t *runtime)
{
	for (int i = 0; i < 2; i++) {
		/* The version at the start of sys.version. */
		bool threaded = py->info.free_threaded != (i == 1);
		const struct mw_py_layout *best = mw_py_layout_find(py->info.hex, threaded);
		uint64_t head = best ? find_head(py, best, runtime) : 0;

		for (size_t k = 0; !head && k < mw_py_layout_count; k++) {
			const struct mw_py_layout *l = &mw_py_layouts[k];

			if (l == best || l->version >> 8 != py->info.hex >> 8 ||
			    l->free_threaded != threaded)
				continue;
			head = find_head(py, l, runtime);
			best = head ? l : best;
		}
		if (head) {
			py->layout = *best;
			return head;
		}
	}
	return 0;
}

/* OWN's interpreter has _asyncio in another file: take those fields from ROW. */
static void add_tasks(struct mw_py_layout *own, const struct mw_py_layout *row)
{
	if (!row || own->tstate_task == MW_PY_ABSENT || own->task_coro != MW_PY_ABSENT)
		return;
	own->task_coro = row->task_coro;
	own->task_is_task = row->task_is_task;
	own->task_awaited_by = row->task_awaited_by;
	own->task_awaited_by_is_set = row->task_awaited_by_is_set;
}

/*
 * A row for exactly this version that fits is as good as the interpreter's own DWARF, and costs
 * nothing. Otherwise DWARF comes first, then the rows of other patch releases.
 */
static uint64_t choose_layout(struct mw_python *py, uint64_t *runtime)
{
	const struct mw_py_layout *row = mw_py_layout_find(py->info.hex, py->info.free_threaded);
	uint64_t head = 0;

	if (row && row->version == py->info.hex)
		head = choose_row(py, runtime);
	for (unsigned int place = 0; place < MW_DEBUG_PLACES && !head; place++) {
		_cleanup_close_ int fd = mw_debugfile__open(py->image, py->data.base, place);
		struct mw_py_layout own = {.version = py->info.hex};

		if (fd < 0 || mw_py_layout_read_dwarf(fd, &own) < MW_PY_FIELDS_MIN)
			continue;
		head = find_head(py, &own, runtime);
		if (head) {
			add_tasks(&own, row);
			py->layout = own;
			mw_py_evidence(py, "layout: DWARF of this very interpreter");
		}
	}
	if (!head)
		head = choose_row(py, runtime);
	return head;
}

/* There is no interpreter: _PyRuntime says so, before 3.7 what PyInterpreterState_Head() reads. */
static bool has_none(struct mw_python *py, const struct mw_py_layout *l)
{
	uint64_t at = mw_py_symbol(py, "_PyRuntime"), refs[2], head = 1, main = 0;

	if (l->runtime_interpreters < 0)
		return mw_py_code_refs(py, "PyInterpreterState_Head", refs, 2) == 1 &&
		       mw_pages_read(&py->pages, refs[0], &head, 8) && !head;
	py->runtime = at;
	return at && mw_pages_read(&py->pages, at + (uint64_t)l->runtime_interpreters, &head, 8) &&
	       mw_pages_read(&py->pages, at + (uint64_t)l->runtime_main, &main, 8) && !head &&
	       !main;
}

/*
 * After Py_Finalize() there is no interpreter, but sys.version's text stays. What is left of the
 * heap is read by the row for that version; each type and each object must still validate.
 */
static bool is_finalized(struct mw_python *py)
{
	const struct mw_py_layout *l = mw_py_layout_find(py->info.hex, py->info.free_threaded);

	if (!l || !has_none(py, l))
		return false;
	py->layout = *l;
	py->info.finalized = true;
	mw_py_evidence(py, "the interpreter's own state: finalised");
	return true;
}

static bool has_version(struct mw_python *py, const struct mw_py_data *d)
{
	unsigned int v[3];

	for (uint64_t i = 0; i + 16 < d->size; i++) {
		if (d->bytes[i + 1] != '.' || (i && isdigit(d->bytes[i - 1])) ||
		    !mw_py_is_version(d->bytes + i, d->size - i, v, py->info.version,
				      sizeof(py->info.version)))
			continue;
		py->info.hex = MW_PY_VERSION(v[0], v[1], v[2]);
		py->info.free_threaded = memmem(d->bytes + i, d->size - i < 64 ? d->size - i : 64,
						"free-threading", 14) != NULL;
		return true;
	}
	return false;
}

/* A version that nothing here knows: its pools may still be as they have always been. */
void mw_py_know_nothing(struct mw_python *py)
{
	for (size_t i = 0; i < mw_py_field_count; i++)
		*(int32_t *)((char *)&py->layout + mw_py_fields[i].at) = MW_PY_ABSENT;
	py->layout.version = py->info.hex;
	mw_py_evidence(py, "no layout known fits: of objects nothing can be said");
}

static int not_here(struct mw_python *py, struct mw_err *err)
{
	return mw_err_set(
		err, -ENOENT, "no-python", mw_image__name(py->image),
		"no CPython interpreter found (looked in the data of every mapped file for "
		"its version text and its interpreter state)%s",
		mw_image__is_cut(py->image) ? "; it may be in the part that the core has lost"
					    : "");
}

int mw_py_discover(struct mw_python *py, struct mw_err *err)
{
	const struct mw_regions *regions = mw_image__regions(py->image);
	bool named = mw_regions__have_names(regions);
	size_t seen = SIZE_MAX;
	uint64_t head = 0;

	mw_problems__init(&py->problems, py->image);
	for (size_t i = 0; i < regions->count && !head; i++) {
		const struct mw_map *map = &regions->regions[i].map;

		if (!map->writable || map->shared || regions->regions[i].io ||
		    (named ? !map->inode || (i && regions->regions[i - 1].map.writable &&
					     !strcmp(regions->regions[i - 1].map.path, map->path))
			   : !nameless_base(py, regions, i)))
			continue;
		if (copy_data(py, i, &py->data))
			return mw_err_no_memory(err, mw_image__name(py->image));
		if (has_version(py, &py->data)) {
			seen = i;
			if (is_finalized(py))
				break;
			head = choose_layout(py, &py->runtime);
		}
		if (!head) {
			free(py->data.bytes);
			py->data.bytes = NULL;
		}
	}
	if (!head && seen == SIZE_MAX)
		return not_here(py, err);
	py->known = head || py->info.finalized;
	if (!py->known) {
		if (copy_data(py, seen, &py->data) || !has_version(py, &py->data))
			return mw_err_no_memory(err, mw_image__name(py->image));
		mw_py_know_nothing(py);
	}
	snprintf(py->info.module, sizeof(py->info.module), "%s", py->data.name);
	mw_py_evidence(py, "version text in the interpreter's data");
	if (!py->known)
		return 0;
	py->info.free_threaded = py->layout.free_threaded;
	py->info.layout = &py->layout;
	return list_interpreters(py, head);
}
