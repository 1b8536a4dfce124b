// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The state of the census in an index, so that it need not be taken again. What comes from there is
 * checked: a file may have been made by anybody.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "python/python_impl.h"
#include "python/saved.h"
#include "util/array.h"

/* Arrays of the index; their elements are the room's own structures. */
enum {
	SAVED_STATE = 1,
	SAVED_INTERPRETERS,
	SAVED_ARENAS,
	SAVED_POOLS,
	SAVED_TYPES,
	SAVED_SORTED,
	SAVED_LOST,
	SAVED_CONTAINERS,
	SAVED_LABELS,
	SAVED_CHUNKS,
	SAVED_CHUNK_LABELS,
};

enum {
	FIELD_MAX = 1 << 24, /* of the layout: bytes */
	BEFORE_MAX = 64,
	THREADS_MAX = 1 << 20,
	BASIC_MAX = 1 << 20,
	ITEM_MAX = 1 << 16,
	STRIDE = 1024,
	HEADER_MAX = 64,
};

/* What struct mw_python has besides arrays. Its pointers are not looked at. */
struct state {
	struct mw_py_info info;
	struct mw_py_census census;
	struct mw_py_layout layout;
	char allocator[24];
	uint64_t data_base, data_start;
	char data_name[80];
	uint64_t runtime, head_at, pymalloc, arenas_at, type_type, modules;
	uint64_t problems, changed;
	uint32_t debug, gc_head, before[3], before_count;
	uint8_t known, any_debug;
};

static const char *const allocators[] = {"pymalloc", "pymalloc_debug", "malloc", "mimalloc"};

/*
 * ---- saving -----------------------------------------------------------------------------------
 */

static void fill(const struct mw_python *py, struct state *s)
{
	memset(s, 0, sizeof(*s));
	s->info = py->info;
	s->info.interpreters = NULL;
	s->info.arenas = NULL;
	s->info.pools = NULL;
	s->info.problems = NULL;
	s->info.layout = NULL;
	s->info.allocator = NULL;
	memset(s->info.evidence, 0, sizeof(s->info.evidence));
	s->census = py->census;
	s->census.types = NULL;
	s->layout = py->layout;
	if (py->info.allocator)
		strncpy(s->allocator, py->info.allocator, sizeof(s->allocator) - 1);
	s->data_base = py->data.base;
	s->data_start = py->data.start;
	memcpy(s->data_name, py->data.name, sizeof(s->data_name));
	s->runtime = py->runtime;
	s->head_at = py->head_at;
	s->pymalloc = py->pymalloc;
	s->arenas_at = py->arenas_at;
	s->type_type = py->type_type;
	s->modules = py->modules;
	s->problems = py->problems.total;
	s->changed = py->problems.changed;
	s->debug = py->debug;
	s->gc_head = py->gc_head;
	memcpy(s->before, py->before, sizeof(s->before));
	s->before_count = (uint32_t)py->before_count;
	s->known = py->known;
	s->any_debug = py->any_debug;
}

#define ADD(id, array, count) mw_index_writer__add(writer, id, array, sizeof(*(array)), count)

void mw_python__save(const struct mw_python *py, struct mw_index_writer *writer)
{
	static struct state state; /* large, and copied at once */

	fill(py, &state);
	ADD(SAVED_STATE, &state, 1);
	ADD(SAVED_INTERPRETERS, py->interpreters, py->interpreter_count);
	ADD(SAVED_ARENAS, py->arenas, py->arena_count);
	ADD(SAVED_POOLS, py->pools, py->pool_count);
	ADD(SAVED_TYPES, py->types, py->type_count);
	ADD(SAVED_SORTED, py->sorted, py->census.type_count);
	ADD(SAVED_LOST, py->lost, py->lost_count);
	ADD(SAVED_CONTAINERS, py->containers, py->container_count);
	ADD(SAVED_LABELS, py->labels, py->label_count);
	ADD(SAVED_CHUNKS, py->chunks, py->chunk_count);
	ADD(SAVED_CHUNK_LABELS, py->chunk_labels, py->chunk_count);
}

/*
 * ---- checks -----------------------------------------------------------------------------------
 */

/* A byte from a file is no bool until it is 0 or 1. */
static void make_bool(bool *b)
{
	uint8_t byte;

	memcpy(&byte, b, 1);
	*b = byte != 0;
}

#define END_TEXT(text) ((text)[sizeof(text) - 1] = '\0')

static bool take_layout(struct mw_python *py, struct mw_py_layout *layout)
{
	make_bool(&layout->free_threaded);
	for (size_t i = 0; i < mw_py_field_count; i++) {
		int32_t value;

		memcpy(&value, (const char *)layout + mw_py_fields[i].at, sizeof(value));
		if (value < MW_PY_ABSENT || value > FIELD_MAX)
			return false;
	}
	py->layout = *layout;
	return true;
}

static bool take_state(struct mw_python *py, struct state *s)
{
	make_bool(&s->info.free_threaded);
	make_bool(&s->info.finalized);
	make_bool(&s->info.none);
	make_bool(&s->census.has_generations);
	END_TEXT(s->info.version);
	END_TEXT(s->info.module);
	END_TEXT(s->allocator);
	END_TEXT(s->data_name);
	if (s->debug > BEFORE_MAX || s->gc_head > BEFORE_MAX ||
	    s->before_count > MW_ARRAY_SIZE(s->before) || !take_layout(py, &s->layout) ||
	    (s->known && s->layout.object_size < 0))
		return false;
	py->info = s->info;
	/* Not what the file has for pointers. */
	mw_py_fill_info(py);
	py->info.layout = s->known ? &py->layout : NULL;
	py->info.allocator = "unknown";
	for (size_t i = 0; i < MW_ARRAY_SIZE(allocators); i++) {
		if (!strcmp(s->allocator, allocators[i]))
			py->info.allocator = allocators[i];
	}
	memset(py->info.evidence, 0, sizeof(py->info.evidence));
	py->census = s->census;
	py->data.base = s->data_base;
	py->data.start = s->data_start;
	memcpy(py->data.name, s->data_name, sizeof(py->data.name));
	py->runtime = s->runtime;
	py->head_at = s->head_at;
	py->pymalloc = s->pymalloc;
	py->arenas_at = s->arenas_at;
	py->type_type = s->type_type;
	py->modules = s->modules;
	py->problems.total = s->problems;
	py->problems.changed = s->changed;
	py->debug = s->debug;
	py->gc_head = s->gc_head;
	memcpy(py->before, s->before, sizeof(py->before));
	py->before_count = s->before_count;
	py->known = s->known;
	py->any_debug = s->any_debug;
	return true;
}

static bool is_good_type(struct mw_py_type *t)
{
	make_bool(&t->heap_type);
	make_bool(&t->gc);
	make_bool(&t->managed_dict);
	make_bool(&t->named);
	END_TEXT(t->name);
	END_TEXT(t->qualname);
	END_TEXT(t->module);
	return t->kind <= MW_PY_KIND_WEAKREF && t->library <= MW_PY_LIBRARY_STGDICT &&
	       t->pre <= BEFORE_MAX && t->basicsize <= BASIC_MAX && t->itemsize <= ITEM_MAX;
}

/* Pools in order within their arenas, with blocks that fit and labels that are there. */
static bool are_good_pools(const struct mw_python *py)
{
	uint64_t label = 0, arena_end = 0, first = 0;

	for (size_t i = 0; i < py->arena_count; i++) {
		const struct mw_py_arena *a = &py->arenas[i];
		uint64_t end = a->addr + a->size, at = a->addr;

		if (a->addr < arena_end || end < a->addr || a->first_pool != first ||
		    a->pool_count > py->pool_count - first)
			return false;
		arena_end = end;
		for (; first < (uint64_t)a->first_pool + a->pool_count; first++) {
			const struct mw_py_pool *p = &py->pools[first];

			if (p->addr < at || p->addr > end || p->size > end - p->addr ||
			    p->label != label)
				return false;
			at = p->addr + p->size;
			if (p->state > MW_PY_POOL_FULL)
				continue;
			if (!p->block_size || p->block_size > p->size || p->first > p->size ||
			    p->capacity > (p->size - p->first) / p->block_size ||
			    p->handed_out > p->capacity)
				return false;
			label += p->capacity;
		}
	}
	return first == py->pool_count && label == py->label_count;
}

static bool are_good_chunks(const struct mw_py_chunk *chunks, size_t count)
{
	uint64_t end = 0;

	for (size_t i = 0; i < count; i++) {
		const struct mw_py_chunk *c = &chunks[i];

		if (c->start < end || c->header > c->size || c->header > HEADER_MAX ||
		    c->start > UINT64_MAX - c->size - c->lent)
			return false;
		end = c->start + c->size;
	}
	return true;
}

/* Is 1 added up, for each of COUNT labels that are none, or have a type that there is not? */
static inline uint32_t count_bad(const uint32_t *labels, size_t count, uint32_t types)
{
	uint32_t bad = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t role = labels[i] >> 28, type = labels[i] & MW_PY_LABEL_TYPE;
		/* Of what is held the type is one higher, and the interpreter's own has none. */
		uint32_t typed = role - MW_PY_ROLE_LIVE <= MW_PY_ROLE_CELLS - MW_PY_ROLE_LIVE;

		bad |= (role > MW_PY_ROLE_SYSTEM) | (type + typed > types);
	}
	return bad;
}

static bool are_good_labels(const uint32_t *labels, size_t count, size_t types)
{
	size_t i = 0;

	/* A number that the compiler knows makes vectors of it. */
	for (; i + STRIDE <= count; i += STRIDE) {
		if (count_bad(labels + i, STRIDE, (uint32_t)types))
			return false;
	}
	return !count_bad(labels + i, count - i, (uint32_t)types);
}

/*
 * ---- loading ----------------------------------------------------------------------------------
 */

/* Array ID into *ARRAY and *COUNT. False: it is not there. */
static bool take_array(struct mw_index *index, uint32_t id, void *array, size_t size, size_t *count)
{
	uint64_t n;
	void *found = mw_index__array(index, id, size, &n);

	memcpy(array, &found, sizeof(found));
	*count = found ? (size_t)n : 0;
	return found;
}

#define TAKE(id, array, count) take_array(index, id, &(array), sizeof(*(array)), &(count))

/* Types are met later on, too: they are copied. */
static int take_types(struct mw_python *py, struct mw_index *index)
{
	struct mw_py_type *types;
	size_t count;

	if (!TAKE(SAVED_TYPES, types, count) || count >= MW_PY_LABEL_TYPE)
		return -EBADMSG;
	for (size_t i = 0; i < count; i++) {
		int32_t at = is_good_type(&types[i]) ? mw_py_take_type(py, &types[i]) : INT32_MAX;

		if (at < 0)
			return -ENOMEM;
		if ((size_t)at != i)
			return -EBADMSG;
	}
	return 0;
}

static int take_small(struct mw_python *py, struct mw_index *index)
{
	struct mw_py_lost_type *lost;
	size_t sorted;

	if (!TAKE(SAVED_INTERPRETERS, py->interpreters, py->interpreter_count) ||
	    !TAKE(SAVED_ARENAS, py->arenas, py->arena_count) ||
	    !TAKE(SAVED_POOLS, py->pools, py->pool_count) ||
	    !TAKE(SAVED_SORTED, py->sorted, sorted) || sorted != py->census.type_count ||
	    !TAKE(SAVED_LOST, lost, py->lost_count) ||
	    !TAKE(SAVED_CONTAINERS, py->containers, py->container_count))
		return -EBADMSG;
	py->lost = lost;
	for (size_t i = 0; i < py->interpreter_count; i++) {
		if (py->interpreters[i].threads > THREADS_MAX)
			return -EBADMSG;
	}
	for (size_t i = 0; i < sorted; i++) {
		if (!is_good_type(&py->sorted[i]))
			return -EBADMSG;
	}
	for (size_t i = 0; i < py->lost_count; i++) {
		END_TEXT(lost[i].name);
		if (lost[i].pre > BEFORE_MAX || (i && lost[i].addr <= lost[i - 1].addr))
			return -EBADMSG;
	}
	for (size_t i = 0; i < py->container_count; i++) {
		int32_t type = py->containers[i].type;

		if (type < 0 || (size_t)type >= py->type_count)
			return -EBADMSG;
	}
	return 0;
}

static int take_labels(struct mw_python *py, struct mw_index *index)
{
	size_t labels;

	if (!TAKE(SAVED_LABELS, py->labels, py->label_count) ||
	    !TAKE(SAVED_CHUNKS, py->chunks, py->chunk_count) ||
	    !TAKE(SAVED_CHUNK_LABELS, py->chunk_labels, labels) || labels != py->chunk_count ||
	    py->label_count >= UINT32_MAX - py->chunk_count || !are_good_pools(py) ||
	    !are_good_chunks(py->chunks, py->chunk_count) ||
	    !are_good_labels(py->labels, py->label_count, py->type_count) ||
	    !are_good_labels(py->chunk_labels, py->chunk_count, py->type_count))
		return -EBADMSG;
	return 0;
}

static int load(struct mw_python *py, struct mw_index *index)
{
	struct state *state;
	size_t count;
	int ret;

	mw_problems__init(&py->problems, py->image);
	if (!TAKE(SAVED_STATE, state, count) || count != 1 || !take_state(py, state))
		return -EBADMSG;
	ret = take_types(py, index);
	if (!ret)
		ret = take_small(py, index);
	if (!ret)
		ret = take_labels(py, index);
	if (ret)
		return ret;
	mw_py_fill_info(py);
	py->census.types = py->sorted;
	py->counted = true;
	mw_py_allow_links(py);
	return 0;
}

struct mw_python *mw_python__load(struct mw_image *image, struct mw_index *index,
				  struct mw_err *err)
{
	struct mw_python *py = calloc(1, sizeof(*py));
	int ret = py ? mw_pages__init(&py->pages, image) : -ENOMEM;

	if (!ret) {
		py->image = image;
		py->index = index;
		ret = load(py, index);
	}
	if (!ret)
		return py;
	if (ret == -ENOMEM)
		mw_err_no_memory(err, mw_image__name(image));
	else
		mw_err_set(err, ret, "bad-index", NULL, "it is damaged");
	if (py)
		py->index = index;
	mw_python__close(py);
	errno = -ret;
	return NULL;
}

struct mw_index *mw_python__index(const struct mw_python *py)
{
	return py->index;
}

void mw_py_forget_loaded(struct mw_python *py)
{
	py->interpreters = NULL;
	py->arenas = NULL;
	py->pools = NULL;
	py->sorted = NULL;
	py->lost = NULL;
	py->containers = NULL;
	py->labels = NULL;
	py->chunks = NULL;
	py->chunk_labels = NULL;
}
