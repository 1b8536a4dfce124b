// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An interpreter whose data is lost, as of a position-independent build in a core that was cut
 * short: its state, its static types and sys.version's buffer lie at the end of the address space.
 * The heap still has pools, sys.version as a str, the classes of Python code, and sys.modules. A
 * type is what many objects lead to; where its memory is lost, its objects tell how it lays them
 * out, and the modules what it is called.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "python/python_impl.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/search.h"

enum {
	WORDS = 1 << 16, /* places for words that may be types' addresses */
	WORDS_FULL = WORDS / 4 * 3,
	OBJECTS_MIN = 4, /* objects that lead to a type that is lost */
	VERSIONS = 8,
	TEXT_FIRST = 36, /* from where on in a block a str may have its characters */
	TEXT_LAST = 80,
	OB_TYPE = 8, /* Include/object.h, in builds with the GIL, which alone have pools */
	FLAG_HEAPTYPE = 1 << 9,
	FLAG_READY = 1 << 12,
	TP_AS_ASYNC = 80, /* in all versions from 3.5 on; PyTypeObject */
	TP_AS_NUMBER = 96,
	TP_AS_BUFFER = 160,
	BUFFERS_3 = 16, /* bytes of PyBufferProcs */
	BUFFERS_2 = 48,
	MINORS = 64,
	CLASS_SIZE_MAX = 1024,
	PIECE = 1 << 20,
};

/* What may lie between a block's start and its object, bytes, over all versions. */
static const uint32_t befores[] = {0, 16, 24, 32};

struct word {
	uint64_t value;
	uint32_t counts[MW_ARRAY_SIZE(befores)]; /* objects with so much before them */
	uint32_t smallest;			 /* bytes of their blocks */
};

struct version {
	uint32_t hex;
	char text[32];
};

struct learn {
	struct word *words, *spare; /* of WORDS each */
	size_t word_count;
	struct version versions[VERSIONS];
	size_t version_count;
	uint64_t type_type;
	uint32_t paths[2][MINORS]; /* of the library, in the heap: of 2.x and of 3.x */
};

static bool is_private(const struct mw_region *r)
{
	return r->map.writable && !r->map.inode && !r->map.shared && !r->io;
}

static struct word *place_of(struct learn *l, uint64_t value)
{
	size_t i = (size_t)((value >> 3) * 0x9e3779b97f4a7c15ULL >> 48) % WORDS;

	while (l->words[i].value && l->words[i].value != value)
		i = (i + 1) % WORDS;
	return &l->words[i];
}

static uint64_t objects_of(const struct word *w, size_t *best)
{
	uint64_t sum = 0;

	*best = 0;
	for (size_t i = 0; i < MW_ARRAY_SIZE(befores); i++) {
		*best = w->counts[i] > w->counts[*best] ? i : *best;
		sum += w->counts[i];
	}
	return sum;
}

/* Forget the words of at most FEW objects. */
static void forget(struct learn *l, uint64_t few)
{
	struct word *old = l->words;

	l->words = l->spare;
	l->spare = old;
	l->word_count = 0;
	memset(l->words, 0, WORDS * sizeof(*l->words));
	for (size_t i = 0; i < WORDS; i++) {
		if (!old[i].value || objects_of(&old[i], &(size_t){0}) <= few)
			continue;
		*place_of(l, old[i].value) = old[i];
		l->word_count++;
	}
}

static void count_word(struct learn *l, uint64_t value, size_t before, uint32_t size)
{
	struct word *w = place_of(l, value);

	if (!w->value) {
		/* A list's length and the address of its items look like an object of a type. */
		for (uint64_t few = 1;
		     l->word_count >= WORDS_FULL || (few > 1 && l->word_count > WORDS / 2);
		     few *= 2)
			forget(l, few);
		w = place_of(l, value);
		l->word_count++;
		w->value = value;
		w->smallest = size;
	}
	w->counts[before]++;
	w->smallest = size < w->smallest ? size : w->smallest;
}

static void look_for_version(struct learn *l, const uint8_t *block, uint32_t size)
{
	struct version found;
	unsigned int v[3];

	for (uint32_t at = TEXT_FIRST; at <= TEXT_LAST && at + 16 < size; at += 4) {
		if (l->version_count == VERSIONS || block[at + 1] != '.' ||
		    !mw_py_is_version(block + at, size - at, v, found.text, sizeof(found.text)))
			continue;
		found.hex = MW_PY_VERSION(v[0], v[1], v[2]);
		for (size_t i = 0; i < l->version_count; i++) {
			if (l->versions[i].hex == found.hex)
				return;
		}
		l->versions[l->version_count++] = found;
		return;
	}
}

static void look_at_block(struct mw_python *py, struct learn *l, const uint8_t *block,
			  uint32_t size)
{
	block += py->debug;
	size -= py->debug;
	for (size_t i = 0; i < MW_ARRAY_SIZE(befores) && befores[i] + 16 <= size; i++) {
		uint32_t refs = mw_u32_at(block + befores[i]),
			 high = mw_u32_at(block + befores[i] + 4) >> 16;
		uint64_t type = mw_u64_at(block + befores[i] + OB_TYPE);

		/* From 3.14 on flags lie above the count, and pointers are no counts. */
		if (refs && !high && mw_u32_at(block + befores[i] + 4) < 256 && type >= 65536 &&
		    type % 8 == 0 && !(type >> 47))
			count_word(l, type, i, size);
	}
	look_for_version(l, block, size);
}

static int look_at_pools(struct mw_python *py, struct learn *l)
{
	uint8_t *bytes = malloc(py->info.pool_size + 1);
	uint64_t free_bits[MW_PY_POOL_BITS / 64];
	const char *problem;

	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < py->pool_count; i++) {
		const struct mw_py_pool *pool = &py->pools[i];

		if (pool->state > MW_PY_POOL_FULL || pool->block_size <= py->debug ||
		    pool->handed_out > MW_PY_POOL_BITS ||
		    !mw_image__read_all(py->image, pool->addr, bytes, pool->size))
			continue;
		mw_py_pool_free(py, pool, free_bits, &problem);
		for (uint32_t k = 0; k < pool->handed_out; k++) {
			if (!(free_bits[k / 64] >> (k % 64) & 1))
				look_at_block(py, l, bytes + pool->first + k * pool->block_size,
					      (uint32_t)pool->block_size);
		}
	}
	free(bytes);
	return 0;
}

/* Bytes of the chunk of malloc's whose data begins at DATA, 0: there is none, by its heads. */
static uint64_t chunk_at(struct mw_python *py, uint64_t data)
{
	uint64_t size = mw_pages_word(&py->pages, data - 8), next;

	if (!(size & 1) || size & 8 || size < 32 || size >> 40)
		return 0;
	size &= ~7ULL;
	next = mw_pages_word(&py->pages, data - 8 + size);
	/* The next one says that this one is in use; one that mmap gave ends at a page. */
	return next & 1 && next >= 16 && !(next >> 40) ? size : 0;
}

/* An object may begin at ADDR, which is P and LEFT bytes more, in a chunk. */
static void look_at_chunk(struct mw_python *py, struct learn *l, const uint8_t *p, size_t left,
			  uint64_t addr)
{
	uint64_t type = mw_u64_at(p + OB_TYPE), refs = mw_u64_at(p);

	if (!refs || refs >> 32 || type < 65536 || type % 8 || type >> 47)
		return;
	for (size_t i = 0; i < MW_ARRAY_SIZE(befores); i++) {
		uint64_t size = chunk_at(py, addr - befores[i]);

		if (size < befores[i] + 24)
			continue;
		count_word(l, type, i, size < UINT32_MAX ? (uint32_t)size - 8 : UINT32_MAX);
		/* It may be a class, of which there need not be an object here. */
		if (left >= TP_AS_BUFFER + 8 && mw_u64_at(p + TP_AS_BUFFER) - addr < CLASS_SIZE_MAX)
			count_word(l, addr, 0, UINT32_MAX);
		break;
	}
}

static int look_at_chunks(struct mw_python *py, struct learn *l)
{
	const struct mw_regions *regions = mw_image__regions(py->image);
	uint8_t *bytes = malloc(PIECE);

	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_map *map = &regions->regions[i].map;
		ssize_t n = 1;

		if (!is_private(&regions->regions[i]))
			continue;
		for (uint64_t at = map->start; at < map->end && n > 0; at += PIECE) {
			n = mw_image__read(py->image, at, bytes,
					   map->end - at < PIECE ? map->end - at : PIECE);
			for (size_t k = 16; n > 0 && k + 16 <= (size_t)n; k += 16)
				look_at_chunk(py, l, bytes + k, (size_t)n - k, at + k);
		}
	}
	free(bytes);
	return 0;
}

/* Is ADDR a class of Python code, by layout ROW? It points into itself. */
static bool is_class(struct mw_python *py, const struct mw_py_layout *row, uint64_t addr)
{
	uint64_t flags = addr ? mw_py_field(py, addr, row->tp_flags) : 0;

	return flags & FLAG_HEAPTYPE && flags & FLAG_READY &&
	       mw_pages_word(&py->pages, addr + TP_AS_BUFFER) - addr < (uint64_t)row->heaptype_size;
}

/* `type` is the type of most classes. Its address; 0: there are no classes. */
static uint64_t find_type_type(struct mw_python *py, const struct learn *l,
			       const struct mw_py_layout *row)
{
	uint64_t best = 0;
	int64_t lead = 0;

	/* The majority, if there is one, is what is left after pairs of others cancel out. */
	for (size_t i = 0; i < WORDS; i++) {
		uint64_t meta = is_class(py, row, l->words[i].value)
					? mw_py_field(py, l->words[i].value, row->ob_type)
					: 0;

		if (!meta || meta % 8)
			continue;
		if (!lead)
			best = meta;
		lead += meta == best ? 1 : -1;
	}
	return best;
}

/*
 * Do the classes lie as ROW says? Each points into itself: to its functions for numbers, or for
 * coroutines, right behind the fields that any type has, and to those for buffers right before its
 * name.
 */
static bool has_classes(struct mw_python *py, const struct learn *l, const struct mw_py_layout *row)
{
	bool two = row->version < MW_PY_VERSION(3, 0, 0);
	size_t good = 0, bad = 0;

	for (size_t i = 0; i < WORDS; i++) {
		uint64_t addr = l->words[i].value, first, buffers;

		if (!is_class(py, row, addr) || mw_py_field(py, addr, row->ob_type) != l->type_type)
			continue;
		first = mw_pages_word(&py->pages, addr + (two ? TP_AS_NUMBER : TP_AS_ASYNC));
		buffers = mw_pages_word(&py->pages, addr + TP_AS_BUFFER);
		if (first == addr + (uint64_t)row->type_size &&
		    buffers == addr + (uint64_t)row->ht_name - (two ? BUFFERS_2 : BUFFERS_3))
			good++;
		else
			bad++;
	}
	return good && bad * 4 <= good;
}

static bool try_row(struct mw_python *py, struct learn *l, const struct mw_py_layout *row)
{
	if (!row || row->free_threaded)
		return false;
	l->type_type = find_type_type(py, l, row);
	return l->type_type && has_classes(py, l, row);
}

/* Count the path "/python3.11/" of WIDTH bytes a character, if one begins with N bytes at P. */
static void count_path(struct learn *l, const uint8_t *p, size_t n, size_t width)
{
	static const char name[] = "/python";
	char text[sizeof(name) + 6] = "", after;
	unsigned int major, minor;

	for (size_t i = 0; i < sizeof(text) - 1 && n / width > i; i++) {
		for (size_t k = 1; k < width; k++) {
			if (p[i * width + k])
				return;
		}
		text[i] = (char)p[i * width];
		if (i < sizeof(name) - 1 && text[i] != name[i])
			return;
	}
	if (sscanf(text, "/python%1u.%2u%c", &major, &minor, &after) == 3 && after == '/' &&
	    minor < MINORS && (major == 2 || major == 3))
		l->paths[major - 2][minor]++;
}

/*
 * Count the paths in N bytes at P. Most of them may be zeros, on which a search for one byte is ten
 * times as fast as one for a string of wide characters.
 */
static void count_paths(struct learn *l, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n, *at = p;

	for (; (at = memchr(at, '/', (size_t)(end - at))); at++) {
		count_path(l, at, (size_t)(end - at), 1);
		count_path(l, at, (size_t)(end - at), 4);
	}
}

static int look_for_paths(struct mw_python *py, struct learn *l)
{
	const struct mw_regions *regions = mw_image__regions(py->image);
	uint8_t *bytes = malloc(PIECE);

	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_region *r = &regions->regions[i];
		uint64_t at = r->map.start;
		ssize_t n = 1;

		if (!is_private(r))
			continue;
		for (; at < r->map.end && n > 0; at += PIECE) {
			n = mw_image__read(py->image, at, bytes,
					   r->map.end - at < PIECE ? r->map.end - at : PIECE);
			if (n > 0)
				count_paths(l, bytes, (size_t)n);
		}
	}
	free(bytes);
	return 0;
}

/* How often the paths that the heap has name the minor version of ROW. */
static uint32_t paths_of(const struct learn *l, const struct mw_py_layout *row)
{
	unsigned int major = row->version >> 16, minor = row->version >> 8 & 255;

	return major >= 2 && major <= 3 && minor < MINORS ? l->paths[major - 2][minor] : 0;
}

/*
 * Of the rows by which there are classes, the one whose library's path the heap has; several minor
 * versions have classes alike. Without such a path only a row that is alone.
 */
static int choose_by_classes(struct mw_python *py, struct learn *l,
			     const struct mw_py_layout **chosen)
{
	const struct mw_py_layout *best = NULL;
	uint32_t most = 0;
	bool alone = true;
	int ret = look_for_paths(py, l);

	for (size_t i = 0; i < mw_py_layout_count && !ret; i++) {
		const struct mw_py_layout *row = &mw_py_layouts[i];

		if (!try_row(py, l, row))
			continue;
		alone = alone && (!best || best->version >> 8 == row->version >> 8);
		if (!best || paths_of(l, row) > most) {
			most = paths_of(l, row);
			best = row;
		}
	}
	*chosen = alone || most ? best : NULL;
	return ret;
}

/*
 * The row for the version that a str in the heap names, if there are classes by it. Without such a
 * str the one that classes and the library's path tell. 1: it is found, 0: nothing can be told.
 */
static int choose_row(struct mw_python *py, struct learn *l)
{
	const struct mw_py_layout *row = NULL;
	int ret;

	for (size_t i = 0; i < l->version_count; i++) {
		row = mw_py_layout_find(l->versions[i].hex, false);
		if (!try_row(py, l, row))
			continue;
		py->layout = *row;
		py->info.hex = l->versions[i].hex;
		snprintf(py->info.version, sizeof(py->info.version), "%s", l->versions[i].text);
		mw_py_evidence(py, "version text in a str of the heap");
		return 1;
	}
	ret = choose_by_classes(py, l, &row);
	if (ret || !row || !try_row(py, l, row))
		return ret;
	py->layout = *row;
	py->info.hex = row->version;
	snprintf(py->info.version, sizeof(py->info.version), "%u.%u", row->version >> 16,
		 row->version >> 8 & 255);
	mw_py_evidence(py, "version by the classes' layout and the library's path");
	return 1;
}

/*
 * ---- types that are lost ----------------------------------------------------------------------
 */

static int add_lost(struct mw_python *py, uint64_t addr, uint32_t pre, uint32_t basicsize)
{
	if (mw_array_reserve(&py->lost, &py->lost_capacity, py->lost_count + 1, sizeof(*py->lost)))
		return -ENOMEM;
	py->lost[py->lost_count++] =
		(struct mw_py_lost_type){.addr = addr, .pre = pre, .basicsize = basicsize};
	return 0;
}

/* May so much lie before an object of this version? */
static bool may_be_before(const struct mw_python *py, uint32_t bytes)
{
	for (size_t i = 0; i < py->before_count; i++) {
		if (py->before[i] == bytes)
			return true;
	}
	return false;
}

static int by_addr(const void *a, const void *b)
{
	const struct mw_py_lost_type *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int list_lost(struct mw_python *py, const struct learn *l)
{
	int ret = 0;

	if (mw_py_is_lost(py, l->type_type))
		ret = add_lost(py, l->type_type, py->gc_head, (uint32_t)py->layout.heaptype_size);
	for (size_t i = 0; i < WORDS && !ret; i++) {
		const struct word *w = &l->words[i];
		size_t best;

		if (w->value && w->value != l->type_type && objects_of(w, &best) >= OBJECTS_MIN &&
		    may_be_before(py, befores[best]) && mw_py_is_lost(py, w->value) &&
		    w->smallest >= befores[best] + 16)
			ret = add_lost(py, w->value, befores[best], w->smallest - befores[best]);
	}
	if (!ret && py->lost_count)
		qsort(py->lost, py->lost_count, sizeof(*py->lost), by_addr);
	return ret;
}

static bool is_below(const void *at, const void *key)
{
	return ((const struct mw_py_lost_type *)at)->addr < *(const uint64_t *)key;
}

static struct mw_py_lost_type *find_lost(const struct mw_python *py, uint64_t addr)
{
	size_t i = py->lost_count
			   ? mw_search(py->lost, py->lost_count, sizeof(*py->lost), is_below, &addr)
			   : 0;

	return i < py->lost_count && py->lost[i].addr == addr ? &py->lost[i] : NULL;
}

void mw_py_lost_set_name(struct mw_python *py, uint64_t addr, const char *name)
{
	struct mw_py_lost_type *t = find_lost(py, addr);

	if (t && !t->name[0])
		snprintf(t->name, sizeof(t->name), "%s", name);
}

/* The types that any class leads to: its own, that of its name and that of its dictionary. */
static void name_by_classes(struct mw_python *py, const struct learn *l, uint64_t *dict)
{
	const struct mw_py_layout *row = &py->layout;

	mw_py_lost_set_name(py, l->type_type, "type");
	for (size_t i = 0; i < WORDS; i++) {
		uint64_t addr = l->words[i].value, name, space;

		if (!is_class(py, row, addr) || mw_py_field(py, addr, row->ob_type) != l->type_type)
			continue;
		name = mw_py_field(py, addr, row->ht_name);
		space = mw_py_field(py, addr, row->tp_dict);
		if (!mw_py_is_lost(py, name))
			mw_py_lost_set_name(py, mw_py_field(py, name, row->ob_type), "str");
		if (!mw_py_is_lost(py, space) && !*dict)
			*dict = mw_py_field(py, space, row->ob_type);
	}
	mw_py_lost_set_name(py, *dict, "dict");
}

/*
 * How many modules the dictionary at ADDR has, if it has those that are there before all others; 0:
 * it is another.
 */
static size_t count_modules(struct mw_python *py, uint64_t addr)
{
	uint64_t builtins = 0, sys = 0, type;
	size_t count = 0;
	struct mw_py_keys k;
	char key[16];

	if (!mw_py_entries(py, addr, &k) || k.entry_count > 1 << 16)
		return 0;
	for (uint64_t i = 0; i < k.entry_count && (!builtins || !sys); i++) {
		uint64_t at = k.entries + i * k.entry_size + k.entry_key;
		uint64_t name = mw_pages_word(&py->pages, at);

		/* From 3.6 on a dictionary is in order. */
		if (py->info.hex >= MW_PY_VERSION(3, 6, 0) && i >= 16)
			return 0;
		/* That of interned strings has each as its own value. */
		if (!name || name == mw_pages_word(&py->pages, at + 8) ||
		    !mw_py_text(py, name, key, sizeof(key)))
			continue;
		if (!strcmp(key, "builtins") || !strcmp(key, "__builtin__"))
			builtins = mw_pages_word(&py->pages, at + 8);
		else if (!strcmp(key, "sys"))
			sys = mw_pages_word(&py->pages, at + 8);
	}
	type = sys ? mw_py_field(py, sys, py->layout.ob_type) : 0;
	if (!type || !builtins)
		return 0;
	for (uint64_t i = 0; i < k.entry_count; i++) {
		uint64_t value =
			mw_pages_word(&py->pages, k.entries + i * k.entry_size + k.entry_key + 8);

		count += value && mw_py_field(py, value, py->layout.ob_type) == type;
	}
	return count;
}

/* sys.modules: of the dictionaries, which are of TYPE, the one with the most modules. */
static uint64_t find_modules(struct mw_python *py, uint64_t type)
{
	uint64_t best = 0;
	size_t most = 2;

	for (size_t i = 0; i < py->pool_count; i++) {
		const struct mw_py_pool *pool = &py->pools[i];
		uint64_t head = pool->addr + pool->first + py->debug + py->gc_head;

		if (pool->state > MW_PY_POOL_FULL ||
		    pool->block_size < py->debug + py->gc_head + (uint64_t)py->layout.dict_size)
			continue;
		for (uint32_t k = 0; k < pool->handed_out; k++) {
			uint64_t addr = head + k * pool->block_size;
			size_t count = mw_py_field(py, addr, py->layout.ob_type) == type
					       ? count_modules(py, addr)
					       : 0;

			best = count > most ? addr : best;
			most = count > most ? count : most;
		}
	}
	return best;
}

/* What the objects of a built-in type have, which a type that is lost can't say. */
struct shape {
	const char *name;
	uint64_t flag;
	int32_t basicsize, itemsize;
};

static struct shape shape_of(const struct mw_python *py, const char *name)
{
	const struct mw_py_layout *l = &py->layout;
	bool two = py->info.hex < MW_PY_VERSION(3, 0, 0);
	const struct shape shapes[] = {
		{"int", two ? 1ULL << 23 : 1ULL << 24, two ? l->int_value + 8 : l->long_digits,
		 two ? 0 : 4},
		{"long", 1ULL << 24, l->long_digits, 4},
		{"list", 1ULL << 25, l->list_allocated + 8, 0},
		{"tuple", 1ULL << 26, l->tuple_items, 8},
		{"bytes", 1ULL << 27, l->bytes_data + 1, 1},
		{"str", two ? 1ULL << 27 : 1ULL << 28, two ? l->bytes_data + 1 : l->unicode_size,
		 two ? 1 : 0},
		{"unicode", 1ULL << 28, l->unicode2_size, 0},
		{"dict", 1ULL << 29, l->dict_size, 0},
		{"type", 1ULL << 31, l->heaptype_size, two ? 40 : l->object_size + 24},
		{"set", 0, l->set_size, 0},
		{"frozenset", 0, l->set_size, 0},
		{"float", 0, l->float_value + 8, 0},
		{"code", 0, l->code_size, 0},
	};

	for (size_t i = 0; i < MW_ARRAY_SIZE(shapes); i++) {
		if (!strcmp(name, shapes[i].name))
			return shapes[i];
	}
	return (struct shape){0};
}

bool mw_py_lost_type(const struct mw_python *py, uint64_t addr)
{
	return find_lost(py, addr) != NULL;
}

bool mw_py_lost_name(struct mw_python *py, uint64_t addr, char *buf, size_t size)
{
	const struct mw_py_lost_type *t = find_lost(py, addr);

	if (!t)
		return false;
	if (t->name[0])
		snprintf(buf, size, "%s", t->name);
	else if (!mw_py_name_by_modules(py, addr, buf, size))
		snprintf(buf, size, "type at 0x%llx", (unsigned long long)addr);
	return true;
}

bool mw_py_lost_read(struct mw_python *py, uint64_t addr, struct mw_py_type *type)
{
	const struct mw_py_lost_type *t = find_lost(py, addr);
	struct shape shape;

	if (!t)
		return false;
	*type = (struct mw_py_type){.addr = addr, .basicsize = t->basicsize, .pre = t->pre};
	mw_py_lost_name(py, addr, type->name, sizeof(type->name));
	shape = shape_of(py, type->name);
	if (shape.basicsize > 0) {
		type->basicsize = (uint64_t)shape.basicsize;
		type->itemsize = (uint64_t)shape.itemsize;
		type->flags = shape.flag;
	}
	return true;
}

/*
 * ---- all of it --------------------------------------------------------------------------------
 */

static int learn(struct mw_python *py, struct learn *l)
{
	uint64_t dict = 0;
	int ret;

	free(py->data.bytes);
	py->data = (struct mw_py_data){0};
	py->pymalloc = 0;
	py->runtime = 0;
	py->head_at = 0;
	py->interpreter_count = 0;
	ret = mw_py_lost_pools(py);
	if (ret && ret != -ENOENT)
		return ret;
	mw_py_learn_allocator(py);
	ret = look_at_pools(py, l);
	if (!ret)
		ret = look_at_chunks(py, l);
	if (!ret)
		ret = choose_row(py, l);
	if (ret < 0)
		return ret;
	if (!ret && !py->arena_count)
		return -ENOENT;
	mw_py_evidence(py, py->arena_count
				   ? "the interpreter's data is lost: pools by their headers"
				   : "the interpreter's data is lost, and its pools");
	py->known = ret;
	if (!py->known) {
		py->info.hex = l->version_count == 1 ? l->versions[0].hex : 0;
		snprintf(py->info.version, sizeof(py->info.version), "%s",
			 l->version_count == 1 ? l->versions[0].text : "(version lost)");
		mw_py_know_nothing(py);
		return 0;
	}
	py->info.layout = &py->layout;
	mw_py_learn_before(py);
	if (mw_py_is_lost(py, l->type_type))
		py->type_type = l->type_type;
	ret = list_lost(py, l);
	if (ret)
		return ret;
	name_by_classes(py, l, &dict);
	mw_py_lost_symbols(py, l->type_type);
	py->modules = dict ? find_modules(py, dict) : 0;
	if (py->lost_count)
		mw_py_evidence(py, "types that are lost by the objects that lead to them");
	return 0;
}

int mw_py_lost(struct mw_python *py, struct mw_err *err)
{
	struct learn l = {.words = calloc(WORDS, sizeof(*l.words)),
			  .spare = calloc(WORDS, sizeof(*l.spare))};
	int ret = l.words && l.spare ? learn(py, &l) : -ENOMEM;

	free(l.words);
	free(l.spare);
	if (!py->info.module[0])
		snprintf(py->info.module, sizeof(py->info.module), "a file whose data is lost");
	return ret == -ENOMEM ? mw_err_no_memory(err, mw_image__name(py->image)) : ret;
}
