// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "model/sample.h"

union counters {
	struct mw_counts counts;
	uint64_t each[MW_COUNT_WORDS];
};

enum mw_threshold_cause mw_threshold_moved_by(uint64_t old, uint64_t new, uint64_t trim,
					      bool dynamic)
{
	if (!dynamic)
		return MW_MOVED_BY_MALLOPT;
	return new > old &&trim == 2 * new ? MW_MOVED_BY_FREE : MW_MOVED_UNSEEN;
}

void mw_counts__add(struct mw_counts *to, const struct mw_counts *from)
{
	union counters *a = (union counters *)to;
	const union counters *b = (const union counters *)from;

	for (size_t i = 0; i < MW_COUNT_WORDS; i++)
		a->each[i] += b->each[i];
}

void mw_counts__keep_layer(struct mw_counts *counts, enum mw_layer layer)
{
	struct mw_counts python = {.python_frees = counts->python_frees};

	memcpy(python.alloc[MW_PLACE_PYTHON], counts->alloc[MW_PLACE_PYTHON],
	       sizeof(python.alloc[MW_PLACE_PYTHON]));
	if (layer == MW_LAYER_PYTHON) {
		memcpy(counts, &python, MW_PROBE_WORDS * sizeof(uint64_t));
		return;
	}
	memset(counts->alloc[MW_PLACE_PYTHON], 0, sizeof(counts->alloc[MW_PLACE_PYTHON]));
	counts->python_frees = 0;
}

/* What the probes are known to have missed of what pools hand out is like what they saw. */
static void add_missed(struct mw_sample *small)
{
	double scale = mw_coverage__scale(&small->python_coverage), share, error;
	uint64_t *words = (uint64_t *)small->counts.alloc;

	if (!(scale > 1))
		return;
	for (size_t i = 0; i < sizeof(small->counts.alloc) / sizeof(*words); i++)
		words[i] = (uint64_t)llround((double)words[i] * scale);
	share = mw_coverage__share(&small->python_coverage, &error);
	small->error = hypot(small->error, error / share);
}

void mw_sample__add_python(struct mw_sample *sample, struct mw_sample *small)
{
	const uint64_t *from = (const uint64_t *)&small->counts;
	uint64_t *to = (uint64_t *)&sample->counts;
	double allocs, python;

	add_missed(small);
	allocs = (double)mw_counts__alloc(&sample->counts).count;
	python = (double)mw_counts__alloc(&small->counts).count;
	sample->python_coverage = small->python_coverage;
	sample->cost += small->cost;
	sample->windows += small->windows;
	sample->python = python > 0 || small->always ? MW_PYTHON_SEEN : MW_PYTHON_SAMPLED;
	sample->python_too_fast = small->too_fast;
	sample->always &= small->always;
	sample->always_since = fmax(sample->always_since, small->always_since);
	if (sample->python != MW_PYTHON_SEEN)
		return;
	for (size_t i = 0; i < MW_PROBE_WORDS; i++)
		to[i] += from[i];
	for (size_t i = 0; i < MW_CLASSES; i++)
		sample->seen[i] += small->seen[i];
	sample->malloc_enough = sample->enough;
	sample->least += small->least;
	sample->enough &= small->enough;
	if (allocs + python > 0)
		sample->error =
			hypot(sample->error * allocs, small->error * python) / (allocs + python);
}

/* Seconds: probes that are in so soon after a watch has begun have seen all of it. */
static const double EXACT_FROM = 0.1;

/* What was known first at the interval's end goes back to the beginning of the watch. */
static void join_late(struct mw_sample *out, const struct mw_sample *later,
		      const struct mw_sample *earlier)
{
	bool all = later->enough && !earlier->enough;
	bool python = later->python == MW_PYTHON_SEEN && earlier->python != MW_PYTHON_SEEN;
	struct mw_counts known = later->counts;
	union counters *diff = (union counters *)&out->counts;
	const union counters *from = (const union counters *)&known;
	double share;

	if (!later->governed || !later->cpu_ns || !(all || python))
		return;
	if (!all)
		mw_counts__keep_layer(&known, MW_LAYER_PYTHON);
	share = (double)(later->cpu_ns - earlier->cpu_ns) / (double)later->cpu_ns;
	for (size_t i = 0; i < MW_PROBE_WORDS; i++) {
		if (all || from->each[i])
			diff->each[i] = (uint64_t)(share * (double)from->each[i]);
	}
}

void mw_sample__difference(struct mw_sample *out, const struct mw_sample *later,
			   const struct mw_sample *earlier)
{
	const union counters *a = (const union counters *)&later->counts;
	const union counters *b = (const union counters *)&earlier->counts;
	union counters *diff = (union counters *)&out->counts;

	*out = *later;
	for (size_t i = 0; i < MW_COUNT_WORDS; i++)
		diff->each[i] = a->each[i] > b->each[i] ? a->each[i] - b->each[i] : 0;
	out->elapsed = later->elapsed - earlier->elapsed;
	/* Exact only if probes were in all the time. */
	out->always = later->always && later->always_since < earlier->elapsed + EXACT_FROM;
	if (out->always)
		out->always_since = 0;
	join_late(out, later, earlier);
	out->min_flt = later->min_flt - earlier->min_flt;
	out->maj_flt = later->maj_flt - earlier->maj_flt;
	out->cpu_ns = later->cpu_ns - earlier->cpu_ns;
	out->probe_ns = later->probe_ns - earlier->probe_ns;
}

void mw_class_bounds(unsigned int class, uint64_t *low, uint64_t *high)
{
	if (class <= MW_CLASS_FINE) {
		*low = class ? (uint64_t)(class - 1) * MW_CLASS_WIDTH + 1 : 0;
		*high = (uint64_t) class * MW_CLASS_WIDTH;
		return;
	}
	unsigned int shift = class - MW_CLASS_FINE + 9;

	*low = (1ULL << shift) + 1;
	*high = shift >= 63 ? UINT64_MAX : 1ULL << (shift + 1);
}

static void add_cell(struct mw_cell *to, const struct mw_cell *from)
{
	to->count += from->count;
	to->bytes += from->bytes;
}

struct mw_cell mw_counts__alloc_at(const struct mw_counts *counts, enum mw_place place)
{
	struct mw_cell sum = {0};

	for (unsigned int c = 0; c < MW_CLASSES; c++)
		add_cell(&sum, &counts->alloc[place][c]);
	return sum;
}

struct mw_cell mw_counts__alloc_class(const struct mw_counts *counts, unsigned int class)
{
	struct mw_cell sum = {0};

	for (unsigned int p = 0; p < MW_PLACES; p++)
		add_cell(&sum, &counts->alloc[p][class]);
	return sum;
}

struct mw_cell mw_counts__alloc(const struct mw_counts *counts)
{
	struct mw_cell sum = {0};

	for (unsigned int p = 0; p < MW_PLACES; p++) {
		struct mw_cell at = mw_counts__alloc_at(counts, p);

		add_cell(&sum, &at);
	}
	return sum;
}

struct mw_cell mw_counts__freed(const struct mw_counts *counts)
{
	struct mw_cell sum = {0};

	for (unsigned int c = 0; c < MW_CLASSES; c++)
		add_cell(&sum, &counts->freed[c]);
	return sum;
}

uint64_t mw_counts__free_calls(const struct mw_counts *counts)
{
	uint64_t sum = counts->python_frees;

	for (unsigned int f = MW_FUNC_FREE; f < MW_FUNCS; f++)
		sum += counts->calls[f];
	return sum;
}

uint64_t mw_counts__lost(const struct mw_counts *counts)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < MW_LOSTS; i++)
		sum += counts->lost[i];
	return sum;
}

const char *mw_place_name(enum mw_place place)
{
	static const char *const names[MW_PLACES] = {"brk", "thread", "mmap", "other", "python"};

	return names[place];
}

const char *mw_lost_name(enum mw_lost cause)
{
	static const char *const names[MW_LOSTS] = {
		[MW_LOST_RING] = "ring",
		[MW_LOST_MAP] = "map",
		[MW_LOST_THREADS] = "threads",
		[MW_LOST_UNMATCHED] = "unmatched",
		[MW_LOST_NO_RETURN] = "no_return",
		[MW_LOST_HEADER] = "header",
		[MW_LOST_MISSED_FREE] = "missed_free",
		[MW_LOST_LATE] = "late",
		[MW_LOST_RECURSION] = "recursion",
		[MW_LOST_SITES] = "sites",
		[MW_LOST_STACKS] = "stacks",
	};

	return names[cause];
}

enum mw_mode mw_sample__mode(const struct mw_sample *now, enum mw_mode mode)
{
	return now->out_of_reach ? MW_MODE_GROWTH : mode;
}

const char *mw_mode_name(enum mw_mode mode, const struct mw_sample *now)
{
	static const char *const names[] = {"growth", "sizes", "exact"};

	mode = mw_sample__mode(now, mode);
	return mode != MW_MODE_GROWTH && now->governed &&
			       !(now->always && now->always_since < EXACT_FROM)
		       ? "windows"
		       : names[mode];
}

double mw_sample__class_error(const struct mw_sample *sample, unsigned int class)
{
	double seen = (double)sample->seen[class], error = sample->error;

	/* One part depends on the rate as a whole, one on how many of this class were seen. */
	return seen > 0 ? sqrt(error * error + 1 / seen) : 1;
}

const char *mw_sdt_name(enum mw_sdt_probe which)
{
	static const char *const names[MW_SDTS] = {
		[MW_SDT_ALLOC] = "otel_memory:alloc",
		[MW_SDT_FREE] = "otel_memory:free",
		[MW_SDT_HEAP_NEW] = "libc:memory_heap_new",
		[MW_SDT_ARENA_NEW] = "libc:memory_arena_new",
		[MW_SDT_SBRK_MORE] = "libc:memory_sbrk_more",
		[MW_SDT_THRESHOLDS] = "libc:memory_mallopt_free_dyn_thresholds",
	};

	return names[which];
}
