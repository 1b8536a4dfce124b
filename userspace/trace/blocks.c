// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "trace/blocks.h"
#include "trace/bpf_map.h"

/*
 * In sets is a part of all that there is room for: most of them are never full. Of Python's blocks
 * only samples are remembered.
 */
enum { PART_IN_SETS = 16, SAMPLES_MAX = 1 << 18 };

void mw_blocks__configure(struct memwhere_bpf *bpf, const struct mw_tracer_options *options)
{
	uint64_t max = options->mode == MW_MODE_EXACT ? options->max_outstanding : 0;
	uint64_t samples = options->max_overhead > 0 && max > 0 ? SAMPLES_MAX : 1;
	uint32_t sets = 1;

	while (sets < MW_SETS_MAX && sets <= max / PART_IN_SETS / 2)
		sets *= 2;
	bpf->rodata->mw_set_count = sets;
	bpf_map__set_max_entries(bpf->maps.block_sets, sets);
	max = max > sets * MW_SET_BLOCKS ? max - sets * MW_SET_BLOCKS : 1;
	bpf_map__set_max_entries(bpf->maps.outstanding, (uint32_t)max);
	bpf_map__set_max_entries(bpf->maps.outstanding_small, (uint32_t)samples);
}

static size_t bytes_of(uint32_t sets)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = sets * sizeof(struct mw_block_set);

	return (bytes + page - 1) / page * page;
}

int mw_blocks__open(struct mw_blocks *b, const struct memwhere_bpf *bpf, enum mw_layer layer)
{
	uint32_t count = bpf->rodata->mw_set_count;
	void *mapped;

	*b = (struct mw_blocks){0};
	if (layer == MW_LAYER_PYTHON) {
		b->outstanding = bpf_map__fd(bpf->maps.outstanding_small);
		return 0;
	}
	mapped = mmap(NULL, bytes_of(count), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(bpf->maps.block_sets), 0);
	if (mapped == MAP_FAILED)
		return -errno;
	b->outstanding = bpf_map__fd(bpf->maps.outstanding);
	b->used = &bpf->bss->mw_outstanding_used;
	b->sets = mapped;
	b->set_count = count;
	return 0;
}

void mw_blocks__close(struct mw_blocks *b)
{
	if (b->sets)
		munmap(b->sets, bytes_of(b->set_count));
	*b = (struct mw_blocks){0};
}

/* The block at PLACE of SET, as it was at one moment; false: there is none. */
static bool read_place(const struct mw_block_set *set, size_t place, uint64_t *key,
		       struct mw_alloc_record *block)
{
	*key = __atomic_load_n(&set->keys[place], __ATOMIC_ACQUIRE);
	if (!*key || *key == MW_BUSY)
		return false;
	*block = set->blocks[place];
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&set->keys[place], __ATOMIC_RELAXED) == *key;
}

/* Like the programs: whoever exchanges the key has the block. */
static bool take_key(struct mw_block_set *set, size_t place, uint64_t key)
{
	return __atomic_compare_exchange_n(&set->keys[place], &key, 0, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static bool is_used(const struct mw_blocks *b)
{
	return !b->used || *b->used;
}

struct each {
	mw_block_fn fn;
	void *arg;
};

static void on_outstanding(uint64_t key, const void *value, void *arg)
{
	const struct each *each = arg;

	each->fn(key, value, each->arg);
}

static void each_in_sets(const struct mw_blocks *b, bool take, mw_block_fn fn, void *arg)
{
	for (size_t i = 0; i < (size_t)b->set_count * MW_SET_BLOCKS; i++) {
		struct mw_block_set *set = &b->sets[i / MW_SET_BLOCKS];
		size_t place = i % MW_SET_BLOCKS;
		struct mw_alloc_record block;
		uint64_t key;

		if (read_place(set, place, &key, &block) && (!take || take_key(set, place, key)) &&
		    fn)
			fn(key, &block, arg);
	}
}

int mw_blocks__each(const struct mw_blocks *b, mw_block_fn fn, void *arg)
{
	struct each each = {fn, arg};

	each_in_sets(b, false, fn, arg);
	if (!is_used(b))
		return 0;
	return mw_bpf_map__each(b->outstanding, sizeof(struct mw_alloc_record), on_outstanding,
				&each);
}

int mw_blocks__take_all(const struct mw_blocks *b, mw_block_fn fn, void *arg)
{
	struct each each = {fn, arg};

	each_in_sets(b, true, fn, arg);
	if (!is_used(b))
		return 0;
	return mw_bpf_map__take_all(b->outstanding, sizeof(struct mw_alloc_record),
				    fn ? on_outstanding : NULL, &each);
}

static struct mw_block_set *set_of(const struct mw_blocks *b, uint64_t key)
{
	return b->sets ? &b->sets[mw_set_index(key, b->set_count)] : NULL;
}

bool mw_blocks__find(const struct mw_blocks *b, uint64_t key, struct mw_alloc_record *block)
{
	const struct mw_block_set *set = set_of(b, key);
	uint64_t found;

	for (size_t i = 0; set && i < MW_SET_BLOCKS; i++) {
		if (set->keys[i] == key && read_place(set, i, &found, block) && found == key)
			return true;
	}
	return is_used(b) && !bpf_map_lookup_elem(b->outstanding, &key, block);
}

bool mw_blocks__remove(const struct mw_blocks *b, uint64_t key)
{
	struct mw_block_set *set = set_of(b, key);

	for (size_t i = 0; set && i < MW_SET_BLOCKS; i++) {
		if (set->keys[i] == key && take_key(set, i, key))
			return true;
	}
	return is_used(b) && !bpf_map_delete_elem(b->outstanding, &key);
}

bool mw_blocks__put(const struct mw_blocks *b, uint64_t key, const struct mw_alloc_record *block)
{
	struct mw_block_set *set = set_of(b, key);

	for (size_t i = 0; set && i < MW_SET_BLOCKS; i++) {
		if (set->keys[i])
			continue;
		set->blocks[i] = *block;
		__atomic_store_n(&set->keys[i], key, __ATOMIC_RELEASE);
		return true;
	}
	if (b->used)
		*b->used = 1;
	return !bpf_map_update_elem(b->outstanding, &key, block, BPF_ANY);
}
