// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/looks.h"
#include "util/array.h"
#include "util/u64map.h"

enum {
	NEEDED = 8,  /* looks for a suspicion, where nothing ever falls */
	RISES = 4,   /* of them so many with more than the one before */
	SETTLED = 3, /* fewer looks say nothing about falls */
	/* Elements that a container must have got: a list that is tidied up now and then takes a
	 * few, such as sqlite3's of its cursors, up to 200. */
	ELEMENTS = 16,
	TYPES_MAX = 1 << 16,
	OWNERS_MAX = 64,
	TRACKS_MAX = 1 << 14,
	CONTAINERS_MAX = 1 << 24,
};

/* Seconds: between the looks that are compared, and for a suspicion. */
#define SPAN	    30.0
#define SPAN_NEEDED 60.0

/* Values of the last looks: that of look N at N % MW_LOOKS_KEPT. */
typedef uint64_t series[MW_LOOKS_KEPT];

struct owner {
	char name[32];
	series bytes;
};

/* A number that comes and goes, with what is remembered of it. */
struct history {
	uint64_t since; /* the first look that counts: it fell by much before */
	uint64_t peak;	/* what it had reached when it fell, 0: it never did */
	series values;
};

struct type {
	char name[MW_GROWN_NAME], module[MW_GROWN_MODULE];
	struct history count;
	series bytes;
	bool parks;
};

struct container {
	uint64_t addr, length;
	uint32_t type;
};

struct containers {
	struct container *list;
	size_t count, capacity;
};

/* A container that has grown. */
struct track {
	uint64_t addr;
	uint32_t type;
	struct history length;
};

struct mw_looks {
	uint64_t count; /* looks that are complete; the next one has this number */
	double times[MW_LOOKS_KEPT];
	struct owner owners[OWNERS_MAX];
	size_t owner_count;
	struct type *types;
	size_t type_count, type_capacity;
	struct mw_u64map by_name; /* the number of a type, plus 1 */
	struct containers last, now;
	struct track *tracks; /* by address */
	size_t track_count;
	bool failed; /* no memory for a part of the look that is being put in */
};

static size_t slot_of(uint64_t look)
{
	return look % MW_LOOKS_KEPT;
}

/*
 * ---- the verdict ------------------------------------------------------------------------------
 */

/* How far the values fell below what they had reached before, at most. */
static uint64_t deepest_fall(const uint64_t *values, size_t count)
{
	uint64_t top = 0, fall = 0;

	for (size_t i = 0; i < count; i++) {
		top = values[i] > top ? values[i] : top;
		fall = top - values[i] > fall ? top - values[i] : fall;
	}
	return fall;
}

/* The value at TIME, between those of the looks before and after it. */
static double value_at(const double *times, const uint64_t *values, size_t count, double time)
{
	size_t i = 1;

	while (i + 1 < count && times[i] < time)
		i++;
	return (double)values[i - 1] + ((double)values[i] - (double)values[i - 1]) *
					       (time - times[i - 1]) / (times[i] - times[i - 1]);
}

/*
 * What is filled and cleared in a rhythm of its own has, at looks that come at uneven times, values
 * in random order. N of them ascend with a chance of 1 / N!, 1 in 40,320 for eight. Falls make that
 * likelier, so they cost more looks.
 */
enum mw_verdict mw_looks_judge(const double *times, const uint64_t *values, size_t count)
{
	double begin, span, growth, half, late;
	uint64_t fall;
	size_t rises = 0;

	if (count < SETTLED)
		return MW_VERDICT_EARLY;
	growth = (double)values[count - 1] - (double)values[0];
	fall = deepest_fall(values, count);
	if (growth <= 0)
		return fall ? MW_VERDICT_PERIODIC : MW_VERDICT_STEADY;
	if ((double)fall > growth / 4)
		return MW_VERDICT_PERIODIC;
	for (size_t i = 1; i < count; i++)
		rises += values[i] > values[i - 1];
	begin = times[0];
	span = times[count - 1] - begin;
	half = value_at(times, values, count, begin + span / 2) - (double)values[0];
	late = (double)values[count - 1] - value_at(times, values, count, begin + span * 3 / 4);
	/* A cache takes in ever less; a suspect's second half brings 0.4 of the first or more. */
	if (late < growth / 10 || growth - half < 0.4 * half)
		return count < NEEDED || span < SPAN_NEEDED ? MW_VERDICT_EARLY : MW_VERDICT_LEVELS;
	if ((double)count < NEEDED + 16 * (double)fall / growth || span < SPAN_NEEDED)
		return MW_VERDICT_EARLY;
	return rises < RISES ? MW_VERDICT_STARTUP : MW_VERDICT_SUSPECT;
}

/* The values of SERIES from look SINCE on, in order; their number. */
static size_t unroll(const struct mw_looks *looks, const uint64_t *values, uint64_t since,
		     double *times, uint64_t *out)
{
	size_t n = 0;

	if (since + MW_LOOKS_KEPT < looks->count)
		since = looks->count - MW_LOOKS_KEPT;
	for (uint64_t i = since; i < looks->count; i++, n++) {
		times[n] = looks->times[slot_of(i)];
		out[n] = values[slot_of(i)];
	}
	return n;
}

struct judged {
	uint64_t grown; /* since the look that is compared with, 0: it did not grow */
	uint64_t now;
	uint64_t in_all; /* grown since the first of the looks that count */
	double seconds;
	enum mw_verdict verdict;
};

/* The look that the last one is compared with, of those from SINCE on. */
static uint64_t base_look(const struct mw_looks *looks, uint64_t since)
{
	uint64_t last = looks->count - 1, base = last ? last - 1 : last;
	double now = looks->times[slot_of(last)];

	while (base > since && base + MW_LOOKS_KEPT > looks->count &&
	       now - looks->times[slot_of(base)] < SPAN)
		base--;
	return base;
}

static struct judged judge_values(const struct mw_looks *looks, const uint64_t *values,
				  uint64_t since)
{
	uint64_t list[MW_LOOKS_KEPT] = {0}, base = base_look(looks, since), before, fall;
	double times[MW_LOOKS_KEPT] = {0};
	size_t n = unroll(looks, values, since, times, list), used = (size_t)(looks->count - base);
	struct judged j = {.verdict = mw_looks_judge(times, list, n), .now = list[n - 1]};

	before = values[slot_of(base)];
	j.seconds = times[n - 1] - looks->times[slot_of(base)];
	fall = used < SETTLED || used > n ? 0 : deepest_fall(list + n - used, used);
	j.in_all = j.now > list[0] ? j.now - list[0] : 0;
	if (j.now > before && j.now - before >= fall)
		j.grown = j.now - before;
	return j;
}

/* What was cleared once may be cleared again, until there is clearly more of it than ever. */
static struct judged judge(const struct mw_looks *looks, const struct history *h)
{
	struct judged j = judge_values(looks, h->values, h->since);

	if (j.verdict == MW_VERDICT_SUSPECT && j.now < h->peak + h->peak / 2)
		j.verdict = MW_VERDICT_PERIODIC;
	return j;
}

/*
 * ---- putting a look in --------------------------------------------------------------------------
 */

struct mw_looks *mw_looks__new(void)
{
	return calloc(1, sizeof(struct mw_looks));
}

void mw_looks__forget(struct mw_looks *looks)
{
	free(looks->types);
	free(looks->last.list);
	free(looks->now.list);
	free(looks->tracks);
	mw_u64map__free(&looks->by_name);
	memset(looks, 0, sizeof(*looks));
}

void mw_looks__free(struct mw_looks *looks)
{
	if (!looks)
		return;
	mw_looks__forget(looks);
	free(looks);
}

void mw_looks__begin(struct mw_looks *looks, double time)
{
	size_t slot = slot_of(looks->count);

	looks->times[slot] = time;
	looks->now.count = 0;
	looks->failed = false;
	/* What is not seen this time is no more. */
	for (size_t i = 0; i < looks->owner_count; i++)
		looks->owners[i].bytes[slot] = 0;
	for (size_t i = 0; i < looks->type_count; i++)
		looks->types[i].count.values[slot] = looks->types[i].bytes[slot] = 0;
}

void mw_looks__add_owner(struct mw_looks *looks, const char *owner, uint64_t bytes)
{
	size_t i = 0;

	while (i < looks->owner_count && strcmp(looks->owners[i].name, owner))
		i++;
	if (i == OWNERS_MAX)
		return;
	if (i == looks->owner_count) {
		memset(&looks->owners[i], 0, sizeof(looks->owners[i]));
		snprintf(looks->owners[i].name, sizeof(looks->owners[i].name), "%s", owner);
		looks->owner_count++;
	}
	looks->owners[i].bytes[slot_of(looks->count)] += bytes;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3ULL;
	return (hash ^ 0xff) * 0x100000001b3ULL;
}

/* The number of the type so named, -1: no memory, or there are too many. */
static int64_t find_type(struct mw_looks *looks, const char *name, const char *module)
{
	uint64_t key = hash_text(hash_text(0xcbf29ce484222325ULL, module), name);
	void *found = mw_u64map__find(&looks->by_name, key);
	struct type *type;

	if (found)
		return (int64_t)(uintptr_t)found - 1;
	if (looks->type_count == TYPES_MAX)
		return -1;
	if (mw_array_reserve(&looks->types, &looks->type_capacity, looks->type_count + 1,
			     sizeof(*looks->types)) ||
	    mw_u64map__set(&looks->by_name, key, (void *)(uintptr_t)(looks->type_count + 1))) {
		looks->failed = true;
		return -1;
	}
	type = &looks->types[looks->type_count];
	memset(type, 0, sizeof(*type));
	snprintf(type->name, sizeof(type->name), "%s", name);
	snprintf(type->module, sizeof(type->module), "%s", module);
	return (int64_t)looks->type_count++;
}

uint32_t mw_looks__add_type(struct mw_looks *looks, const char *name, const char *module,
			    uint64_t count, uint64_t bytes)
{
	size_t slot = slot_of(looks->count);
	int64_t i = find_type(looks, name, module);

	if (i < 0)
		return UINT32_MAX;
	looks->types[i].count.values[slot] += count;
	looks->types[i].bytes[slot] += bytes;
	return (uint32_t)i;
}

void mw_looks__parks(struct mw_looks *looks, uint32_t type)
{
	if (type < looks->type_count)
		looks->types[type].parks = true;
}

void mw_looks__add_container(struct mw_looks *looks, uint64_t addr, uint32_t type, uint64_t length)
{
	struct containers *now = &looks->now;

	if (type >= looks->type_count || now->count == CONTAINERS_MAX)
		return;
	if (mw_array_reserve(&now->list, &now->capacity, now->count + 1, sizeof(*now->list)))
		looks->failed = true;
	else
		now->list[now->count++] =
			(struct container){.addr = addr, .length = length, .type = type};
}

static int by_address(const void *a, const void *b)
{
	const struct container *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* The look that is being put in has its value in H: how does it go on? */
static void go_on(const struct mw_looks *looks, struct history *h)
{
	uint64_t first, top, value = h->values[slot_of(looks->count)];

	/* The oldest look's place is taken over. */
	if (looks->count - h->since >= MW_LOOKS_KEPT)
		h->since = looks->count - MW_LOOKS_KEPT + 1;
	first = top = h->values[slot_of(h->since)];
	for (uint64_t i = h->since; i < looks->count; i++)
		top = h->values[slot_of(i)] > top ? h->values[slot_of(i)] : top;
	/* Half of what it had grown by is gone: it begins again. */
	if (value >= first && (top == first || value > first + (top - first) / 2))
		return;
	h->peak = top > h->peak ? top : h->peak;
	h->since = looks->count;
}

/* Has it grown once, and may it again? */
static bool is_of_interest(const struct mw_looks *looks, const struct history *h)
{
	for (uint64_t i = h->since + 1; i <= looks->count; i++) {
		if (h->values[slot_of(i)] != h->values[slot_of(i - 1)])
			return true;
	}
	return h->peak;
}

/* Containers that grew, and those that had grown and are still there, in NOW's order. */
static int follow_containers(struct mw_looks *looks)
{
	const struct containers *last = &looks->last, *now = &looks->now;
	struct track *list = NULL;
	size_t count = 0, capacity = 0, t = 0, l = 0;

	for (size_t i = 0; i < now->count; i++) {
		const struct container *c = &now->list[i];
		struct track next = {.addr = c->addr, .type = c->type};
		const struct container *before;
		bool grows;

		while (t < looks->track_count && looks->tracks[t].addr < c->addr)
			t++;
		while (l < last->count && last->list[l].addr < c->addr)
			l++;
		before = l < last->count && last->list[l].addr == c->addr ? &last->list[l] : NULL;
		if (!before || before->type != c->type)
			continue;
		if (t < looks->track_count && looks->tracks[t].addr == c->addr) {
			next = looks->tracks[t];
			next.length.values[slot_of(looks->count)] = c->length;
			go_on(looks, &next.length);
			grows = next.type == c->type && is_of_interest(looks, &next.length);
		} else {
			grows = c->length > before->length && count < TRACKS_MAX;
			next.length.since = looks->count - 1;
			next.length.values[slot_of(looks->count - 1)] = before->length;
			next.length.values[slot_of(looks->count)] = c->length;
		}
		if (grows && mw_array_reserve(&list, &capacity, count + 1, sizeof(*list))) {
			free(list);
			return -ENOMEM;
		}
		if (grows)
			list[count++] = next;
	}
	free(looks->tracks);
	looks->tracks = list;
	looks->track_count = count;
	return 0;
}

void mw_looks__drop(struct mw_looks *looks)
{
	looks->now.count = 0;
}

int mw_looks__end(struct mw_looks *looks)
{
	struct containers *now = &looks->now, spare;
	bool sorted = true;

	for (size_t i = 1; i < now->count && sorted; i++)
		sorted = now->list[i - 1].addr <= now->list[i].addr;
	if (!sorted)
		qsort(now->list, now->count, sizeof(*now->list), by_address);
	if (looks->failed || (looks->count && follow_containers(looks))) {
		mw_looks__drop(looks);
		return -ENOMEM;
	}
	for (size_t i = 0; looks->count && i < looks->type_count; i++)
		go_on(looks, &looks->types[i].count);
	spare = looks->last;
	looks->last = *now;
	looks->now = spare;
	looks->count++;
	return 0;
}

/*
 * ---- what grew ----------------------------------------------------------------------------------
 */

/*
 * Room for one more with KEY in the COUNT sorted ones of SIZE bytes at LIST, of which MAX are kept:
 * its place, or NULL when it is not among the largest. KEY_OF gives that of one in the list.
 */
static void *make_room(void *list, size_t *count, size_t max, size_t size, double key,
		       double (*key_of)(const void *))
{
	char *base = list;
	size_t at = *count;

	while (at && key_of(base + (at - 1) * size) < key)
		at--;
	if (at == max)
		return NULL;
	if (*count < max)
		(*count)++;
	memmove(base + (at + 1) * size, base + at * size, (*count - at - 1) * size);
	memset(base + at * size, 0, size);
	return base + at * size;
}

static double owner_key(const void *one)
{
	return (double)((const struct mw_grown_owner *)one)->bytes;
}

static double type_key(const void *one)
{
	const struct mw_grown_type *t = one;

	return (double)t->bytes + (double)t->count;
}

static double holder_key(const void *one)
{
	return ((const struct mw_grown_holder *)one)->length_per_second;
}

static void put_owner(struct mw_look_growth *out, const struct mw_grown_owner *owner)
{
	struct mw_grown_owner *at = make_room(out->owners, &out->owner_count, MW_GROWN_OWNERS,
					      sizeof(*at), owner_key(owner), owner_key);

	if (at)
		*at = *owner;
}

static void put_type(struct mw_look_growth *out, const struct mw_grown_type *type)
{
	struct mw_grown_type *at = make_room(out->types, &out->type_count, MW_GROWN_TYPES,
					     sizeof(*at), type_key(type), type_key);

	if (at)
		*at = *type;
}

/* Those that go on growing come first. */
static double holder_rank(const void *one)
{
	const struct mw_grown_holder *h = one;

	return holder_key(h) + (h->verdict == MW_VERDICT_SUSPECT ? 1e12 : 0);
}

static void put_holder(struct mw_look_growth *out, const struct mw_grown_holder *holder)
{
	struct mw_grown_holder *at = make_room(out->holders, &out->holder_count, MW_GROWN_HOLDERS,
					       sizeof(*at), holder_rank(holder), holder_rank);

	if (at)
		*at = *holder;
}

static void grow_owners(const struct mw_looks *looks, struct mw_look_growth *out)
{
	for (size_t i = 0; i < looks->owner_count; i++) {
		const struct owner *o = &looks->owners[i];
		struct judged j = judge_values(looks, o->bytes, 0);
		struct mw_grown_owner grown = {.bytes = j.grown,
					       .bytes_per_second = (double)j.grown / j.seconds};

		memcpy(grown.owner, o->name, sizeof(grown.owner));
		if (j.grown)
			put_owner(out, &grown);
	}
}

static void grow_types(const struct mw_looks *looks, struct mw_look_growth *out)
{
	for (size_t i = 0; i < looks->type_count; i++) {
		const struct type *t = &looks->types[i];
		struct judged count = judge(looks, &t->count),
			      bytes = judge_values(looks, t->bytes, 0);
		struct mw_grown_type grown = {
			.count = count.grown,
			.bytes = bytes.grown,
			.count_per_second = (double)count.grown / count.seconds,
			.bytes_per_second = (double)bytes.grown / bytes.seconds,
			.verdict = count.verdict,
			.now = count.now,
			.parks = t->parks,
		};

		if (!count.grown && !bytes.grown)
			continue;
		memcpy(grown.name, t->name, sizeof(grown.name));
		memcpy(grown.module, t->module, sizeof(grown.module));
		put_type(out, &grown);
	}
}

static void grow_holders(const struct mw_looks *looks, struct mw_look_growth *out)
{
	for (size_t i = 0; i < looks->track_count; i++) {
		const struct track *t = &looks->tracks[i];
		struct judged j;
		struct mw_grown_holder grown;

		if (t->length.since + 1 >= looks->count)
			continue;
		j = judge(looks, &t->length);
		if (!j.grown)
			continue;
		if (j.verdict == MW_VERDICT_SUSPECT && j.in_all < ELEMENTS)
			j.verdict = MW_VERDICT_EARLY;
		grown = (struct mw_grown_holder){
			.addr = t->addr,
			.length = j.now,
			.grown = j.grown,
			.length_per_second = (double)j.grown / j.seconds,
			.verdict = j.verdict,
			.retained_bytes = -1,
		};
		memcpy(grown.type, looks->types[t->type].name, sizeof(grown.type));
		put_holder(out, &grown);
	}
}

void mw_looks__growth(const struct mw_looks *looks, struct mw_look_growth *out)
{
	uint64_t last;

	memset(out, 0, sizeof(*out));
	out->looks = looks->count;
	if (!looks->count)
		return;
	last = looks->count - 1;
	out->time = looks->times[slot_of(last)];
	if (!last)
		return;
	out->seconds = out->time - looks->times[slot_of(base_look(looks, 0))];
	grow_owners(looks, out);
	grow_types(looks, out);
	grow_holders(looks, out);
}

void mw_look_growth__add_holder(struct mw_look_growth *growth, const struct mw_grown_holder *holder)
{
	put_holder(growth, holder);
}

double mw_look_growth__held(const struct mw_look_growth *growth, const char *element)
{
	double held = 0;

	for (size_t i = 0; i < growth->holder_count; i++) {
		if (!strcmp(growth->holders[i].element, element))
			held += growth->holders[i].length_per_second;
	}
	return held;
}

const struct mw_grown_holder *mw_look_growth__added_at(const struct mw_look_growth *growth,
						       const char *label)
{
	for (size_t i = 0; i < growth->holder_count; i++) {
		const struct mw_grown_holder *h = &growth->holders[i];

		for (size_t k = 0; k < h->changer_count; k++) {
			if (h->changers[k].added && !strcmp(h->changers[k].label, label))
				return h;
		}
	}
	return NULL;
}

/*
 * ---- several processes --------------------------------------------------------------------------
 */

/* Both may name the same owner or type: taken out, added up, put back where it belongs. */
static void add_owner(struct mw_look_growth *sum, struct mw_grown_owner owner)
{
	for (size_t i = 0; i < sum->owner_count; i++) {
		struct mw_grown_owner *o = &sum->owners[i];

		if (strcmp(o->owner, owner.owner))
			continue;
		owner.bytes += o->bytes;
		owner.bytes_per_second += o->bytes_per_second;
		sum->owner_count--;
		memmove(o, o + 1, (sum->owner_count - i) * sizeof(*o));
		break;
	}
	put_owner(sum, &owner);
}

static void add_type(struct mw_look_growth *sum, struct mw_grown_type type)
{
	for (size_t i = 0; i < sum->type_count; i++) {
		struct mw_grown_type *t = &sum->types[i];

		if (strcmp(t->name, type.name) || strcmp(t->module, type.module))
			continue;
		type.count += t->count;
		type.now += t->now;
		type.bytes += t->bytes;
		type.count_per_second += t->count_per_second;
		type.bytes_per_second += t->bytes_per_second;
		if (t->verdict == MW_VERDICT_SUSPECT)
			type.verdict = t->verdict;
		sum->type_count--;
		memmove(t, t + 1, (sum->type_count - i) * sizeof(*t));
		break;
	}
	put_type(sum, &type);
}

void mw_look_growth__add(struct mw_look_growth *sum, const struct mw_look_growth *other)
{
	if (other->time > sum->time)
		sum->time = other->time;
	if (other->seconds > sum->seconds)
		sum->seconds = other->seconds;
	sum->looks += other->looks;
	for (size_t i = 0; i < other->owner_count; i++)
		add_owner(sum, other->owners[i]);
	for (size_t i = 0; i < other->type_count; i++)
		add_type(sum, other->types[i]);
	for (size_t i = 0; i < other->holder_count; i++)
		put_holder(sum, &other->holders[i]);
}
