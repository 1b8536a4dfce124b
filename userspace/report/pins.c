// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "graph/holders.h"
#include "ledger/places.h"
#include "report/json.h"
#include "report/pins.h"
#include "util/cleanup.h"
#include "util/units.h"

enum {
	SHOWN = 10, /* groups, in text */
	SHOWN_PLACES = 4,
	SHOWN_PINS = 3,	    /* blocks of a place, in text */
	LISTED_PINS = 100,  /* blocks of a place, in JSON */
	LISTED_ALL = 20000, /* of all places together */
	NAME = 160,
	WAY = 300, /* characters of a way, in text */
};

struct pins {
	const struct mw_findings *found;
	struct mw_holders *holders; /* NULL: no references are known */
	struct mw_places places;
	struct mw_pin_group *groups;
	size_t group_count;
	char *way; /* MW_GRAPH_TEXT_MAX bytes */
};

static const char *type_name(const struct pins *p, int32_t index, char *buf, size_t size)
{
	const struct mw_py_type *type =
		p->found->py && index >= 0 ? mw_python__type(p->found->py, index) : NULL;

	snprintf(buf, size, "memory");
	if (type)
		mw_python_type_name(type, buf, size);
	return buf;
}

/* "glibc-top" */
static const char *place_name(const struct mw_place *place, char *buf, size_t size)
{
	snprintf(buf, size, "%s-%s", place->maker, mw_place_kind_name(place->kind));
	return buf;
}

/* What the block itself is: an object of a type or memory of one, or dead. */
static const char *pin_name(const struct pins *p, const struct mw_pin *pin, char *buf, size_t size)
{
	int64_t number = p->found->py ? mw_python__number(p->found->py, pin->addr) : -1;
	struct mw_py_node node = {.type = -1};

	if (pin->state == MW_PIN_PARKED)
		snprintf(buf, size, "dead, kept for reuse");
	else if (pin->state == MW_PIN_ALLOCATOR)
		snprintf(buf, size, "the allocator's own");
	else if (number >= 0)
		mw_python__node(p->found->py, (uint32_t)number, &node);
	return pin->state == MW_PIN_LIVE ? type_name(p, node.type, buf, size) : buf;
}

/* The way to PIN, which is good until the next; NULL: none. */
static const char *way_to(const struct pins *p, const struct mw_pin *pin)
{
	if (!p->holders || pin->state != MW_PIN_LIVE ||
	    mw_graph__path(p->found->graph, pin->addr, p->way, MW_GRAPH_TEXT_MAX))
		return NULL;
	return p->way;
}

/* The kind of a HOLDER that is no object, or else MW_HOLDER_KINDS. */
static enum mw_holder_kind kind_of(const struct pins *p, uint32_t holder)
{
	uint32_t special = p->holders ? mw_holders__special(p->holders) : 0;

	return holder >= special ? (enum mw_holder_kind)(holder - special) : MW_HOLDER_KINDS;
}

static const char *holder_name(const struct pins *p, uint32_t holder)
{
	enum mw_holder_kind kind = kind_of(p, holder);

	if (kind != MW_HOLDER_KINDS)
		return mw_holder_kind_text(kind);
	mw_holders__text(p->holders, holder, p->way, MW_GRAPH_TEXT_MAX);
	return p->way;
}

/*
 * ---- a summary in words -------------------------------------------------------------------------
 */

/* "all are `app.Audit`" or, beside others, "47 `app.Audit`" */
static void objects_text(const struct pins *p, FILE *f, const struct mw_pin_group *group,
			 const struct mw_pin_part *part)
{
	char name[NAME], count[MW_UNIT_BUF];

	type_name(p, part->type, name, sizeof(name));
	mw_format_count(count, part->objects);
	if (part->of_type < part->objects)
		fprintf(f, "%s, most of them `%s`", count, name);
	else if (group->part_count > 1)
		fprintf(f, "%s `%s`", count, name);
	else
		fprintf(f, "%s `%s`", part->objects == 1 ? "a" : "all are", name);
}

static void part_text(const struct pins *p, FILE *f, const struct mw_pin_group *group,
		      const struct mw_pin_part *part)
{
	char count[MW_UNIT_BUF];
	const char *mark;

	switch (kind_of(p, part->holder)) {
	case MW_HOLDER_NOBODY:
	case MW_HOLDER_PARKED:
	case MW_HOLDER_ALLOCATOR:
		fprintf(f, "%s %s", mw_format_count(count, part->objects),
			holder_name(p, part->holder));
		return;
	default:
		mark = kind_of(p, part->holder) == MW_HOLDER_KINDS ? "`" : "";
		objects_text(p, f, group, part);
		fprintf(f, ", held by %s%.*s%s", mark, WAY, holder_name(p, part->holder), mark);
	}
}

/* The sentence; the caller frees it. NULL: no memory. */
static char *group_text(const struct pins *p, const struct mw_pin_group *group)
{
	char size[MW_UNIT_BUF], count[MW_UNIT_BUF];
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fprintf(f, "%s %s%s %s%s", mw_format_count(count, group->objects),
		p->found->py ? "object" : "block", group->objects == 1 ? " pins" : "s pin",
		mw_format_size(size, group->bytes), group->after ? " more" : "");
	for (size_t i = 0; i < group->part_count; i++) {
		fprintf(f, "%s", i ? "; " : ": ");
		part_text(p, f, group, &group->parts[i]);
	}
	if (!group->part_count)
		fprintf(f, ": each place has more than %d holders", MW_PIN_PARTS);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/*
 * ---- JSON ---------------------------------------------------------------------------------------
 */

static json_t *pins_json(const struct pins *p, const struct mw_place *place, size_t most)
{
	json_t *list = json_array();
	char name[NAME];

	for (size_t i = 0; i < place->count && i < most; i++) {
		const struct mw_pin *pin = &p->places.pins[place->first + i];
		const char *way = way_to(p, pin);

		json_array_append_new(
			list, json_pack("{s:o,s:s,s:o,s:o}", "address", mw_json_addr(pin->addr),
					"type", pin_name(p, pin, name, sizeof(name)), "path_text",
					way ? json_string(way) : json_null(), "bytes",
					mw_json_u64(pin->bytes)));
	}
	return list;
}

/* How many pins of a place are listed when LEFT may be. */
static size_t listed(const struct mw_place *place, size_t left)
{
	size_t n = place->count < LISTED_PINS ? place->count : LISTED_PINS;

	return n < left ? n : left;
}

static json_t *places_json(const struct pins *p)
{
	json_t *list = json_array();
	size_t left = LISTED_ALL;
	char name[NAME];

	for (size_t i = 0; i < p->places.count; i++) {
		const struct mw_place *place = &p->places.places[i];
		size_t most = listed(place, left);

		left -= most;
		json_array_append_new(list, json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", "kind",
						      place_name(place, name, sizeof(name)),
						      "address", mw_json_addr(place->addr), "bytes",
						      mw_json_u64(place->bytes), "free_bytes",
						      mw_json_u64(place->free_bytes), "by_count",
						      mw_json_u64(place->count), "by",
						      pins_json(p, place, most)));
	}
	return list;
}

static json_t *parts_json(const struct pins *p, const struct mw_pin_group *group)
{
	json_t *list = json_array();
	char name[NAME];

	for (size_t i = 0; i < group->part_count; i++) {
		const struct mw_pin_part *part = &group->parts[i];

		json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "path_text",
						      holder_name(p, part->holder), "type",
						      type_name(p, part->type, name, sizeof(name)),
						      "objects", mw_json_u64(part->objects)));
	}
	return list;
}

static json_t *summary_json(const struct pins *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->group_count; i++) {
		const struct mw_pin_group *group = &p->groups[i];
		_cleanup_free_ char *text = group_text(p, group);

		json_array_append_new(list,
				      json_pack("{s:s,s:o,s:o,s:o,s:o}", "text", text ? text : "",
						"objects", mw_json_u64(group->objects), "bytes",
						mw_json_u64(group->bytes), "places",
						mw_json_u64(group->places), "holders",
						parts_json(p, group)));
	}
	return list;
}

static json_t *document(const struct pins *p)
{
	return json_pack(
		"{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "places", places_json(p), "summary",
		summary_json(p), "by_max", mw_json_u64(LISTED_PINS), "by_max_all",
		mw_json_u64(LISTED_ALL), "well_used_places", mw_json_u64(p->places.well_used),
		"well_used_bytes", mw_json_u64(p->places.well_used_bytes), "well_used_free_bytes",
		mw_json_u64(p->places.well_used_free), "trim_bytes", mw_json_u64(p->places.trim));
}

/*
 * ---- text ---------------------------------------------------------------------------------------
 */

static void place_text(const struct mw_out *out, const struct pins *p, const struct mw_place *place)
{
	char size[MW_UNIT_BUF], freed[MW_UNIT_BUF], count[MW_UNIT_BUF], name[NAME];

	fprintf(out->file, "%11s %11s %9s  %s 0x%" PRIx64 "\n", mw_format_size(size, place->bytes),
		mw_format_size(freed, place->free_bytes), mw_format_count(count, place->count),
		place_name(place, name, sizeof(name)), place->addr);
	for (size_t i = 0; i < place->count && i < SHOWN_PINS; i++) {
		const struct mw_pin *pin = &p->places.pins[place->first + i];
		const char *way = way_to(p, pin);

		fprintf(out->file, "%34s 0x%" PRIx64 ", %s%s%.*s%s\n", "", pin->addr,
			pin_name(p, pin, name, sizeof(name)), way ? ": `" : "", WAY, way ? way : "",
			way ? "`" : "");
	}
}

static void text(const struct mw_out *out, const struct pins *p)
{
	const char *bold = out->color ? "\033[1m" : "", *plain = out->color ? "\033[0m" : "";
	size_t most = out->verbose ? SIZE_MAX : SHOWN;
	size_t most_places = out->verbose ? SIZE_MAX : SHOWN_PLACES;
	char size[MW_UNIT_BUF], freed[MW_UNIT_BUF], count[MW_UNIT_BUF];
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->places.count; i++)
		bytes += p->places.places[i].bytes;
	fprintf(out->file, "%s%s: %s is pinned, in %s places%s\n", bold,
		mw_image__name(p->found->survey->image), mw_format_size(size, bytes),
		mw_format_count(count, p->places.count), plain);
	for (size_t i = 0; i < p->group_count && i < most; i++) {
		_cleanup_free_ char *sentence = group_text(p, &p->groups[i]);

		fprintf(out->file, "  %s\n", sentence ? sentence : "");
	}
	if (p->group_count > most)
		fprintf(out->file, "  and %s more\n",
			mw_format_count(count, p->group_count - most));
	if (p->places.count)
		fprintf(out->file, "%s%11s %11s %9s  place%s\n", bold, "comes back", "free now",
			"blocks", plain);
	for (size_t i = 0; i < p->places.count && i < most_places; i++)
		place_text(out, p, &p->places.places[i]);
	if (p->places.count > most_places)
		fprintf(out->file, "%33s and %s more\n", "",
			mw_format_count(count, p->places.count - most_places));
	if (p->places.well_used)
		fprintf(out->file,
			"more than half used, not listed: %s places, %s, %s of it free\n",
			mw_format_count(count, p->places.well_used),
			mw_format_size(size, p->places.well_used_bytes),
			mw_format_size(freed, p->places.well_used_free));
	if (p->places.trim)
		fprintf(out->file, "malloc_trim(0) gives back %s while all objects stay\n",
			mw_format_size(size, p->places.trim));
}

/*
 * ---- the whole ----------------------------------------------------------------------------------
 */

/* Without references, what is known of a block itself. */
static void attribute(struct pins *p)
{
	static const enum mw_holder_kind kinds[] = {
		[MW_PIN_LIVE] = MW_HOLDER_NOBODY,
		[MW_PIN_PARKED] = MW_HOLDER_PARKED,
		[MW_PIN_ALLOCATOR] = MW_HOLDER_ALLOCATOR,
	};

	for (size_t i = 0; i < p->places.pin_count; i++)
		p->places.pins[i].holder = kinds[p->places.pins[i].state];
}

/* The ways that will be told are found together. */
static int explain(const struct pins *p)
{
	uint64_t *addrs;
	size_t n = 0, left = LISTED_ALL;
	int ret;

	if (!p->holders)
		return 0;
	addrs = malloc((LISTED_ALL + 1) * sizeof(*addrs));
	if (!addrs)
		return -ENOMEM;
	for (size_t i = 0; i < p->places.count && left; i++) {
		const struct mw_place *place = &p->places.places[i];
		size_t most = listed(place, left);

		left -= most;
		for (size_t k = 0; k < most; k++)
			addrs[n++] = p->places.pins[place->first + k].addr;
	}
	ret = mw_graph__explain(p->found->graph, addrs, n);
	free(addrs);
	return ret;
}

static int find(struct pins *p, struct mw_err *err)
{
	int ret = mw_survey__places(p->found->survey, &p->places, err);

	if (!ret && p->found->graph) {
		p->holders = mw_holders__find(p->found->graph, true, err);
		if (!p->holders)
			return -ENOMEM;
		mw_holders__attribute(p->holders, &p->places);
	} else {
		attribute(p);
	}
	if (ret)
		return ret;
	ret = mw_places__cut(&p->places);
	if (!ret)
		mw_places__sort(&p->places);
	p->way = malloc(MW_GRAPH_TEXT_MAX);
	if (ret || !p->way || mw_places__groups(&p->places, &p->groups, &p->group_count) ||
	    explain(p))
		return mw_err_no_memory(err, mw_image__name(p->found->survey->image));
	return 0;
}

MW_DOCUMENT_WRITER(mw_write_pins)
{
	struct mw_survey *survey = found->survey;
	struct pins p = {.found = found};
	int ret;

	(void)request;
	/* Nothing to say is an answer only where something was looked at. */
	if (!survey->heaps.count && !mw_survey__python(survey, NULL)) {
		*err = survey->heaps.none;
		return -ENOENT;
	}
	ret = find(&p, err);
	if (!ret && out->json) {
		ret = mw_out__image_json(out, survey->image, document(&p), err);
	} else if (!ret) {
		text(out, &p);
		mw_out__image_text(out, survey->image);
	}
	mw_holders__free(p.holders);
	mw_places__free(&p.places);
	free(p.groups);
	free(p.way);
	return ret;
}
