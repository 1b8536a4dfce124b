// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report/json.h"
#include "report/looks.h"
#include "util/units.h"

enum {
	TYPES_SHOWN = 5,
	TYPES_IN_BRIEF = 2,
	OWNERS_SHOWN = 2,
	HOLDERS_SHOWN = 8,
	HOLDERS_IN_BRIEF = 2
};

/* Bytes that an object brings more, of types whose objects get larger. */
static const double LARGER = 4096;
/* Types that grow by less, of what the first one grows by, are left out. */
static const double SHARE_SHOWN = 0.1;

/* Rates as 3 digits say enough of: "4,000", "0.2". */
static const char *rate(char *buf, size_t size, double per_second)
{
	char digits[32];
	size_t n, out = 0;

	if (per_second < 10) {
		snprintf(buf, size, "%.2g", per_second);
		return buf;
	}
	n = (size_t)snprintf(digits, sizeof(digits), "%.0f", per_second);
	for (size_t i = 0; i < n && out + 2 < size; i++) {
		buf[out++] = digits[i];
		if ((n - i) % 3 == 1 && i + 1 < n)
			buf[out++] = ',';
	}
	buf[out] = '\0';
	return buf;
}

/* "tuple", "app.User" */
static const char *full_name(char *buf, size_t size, const struct mw_grown_type *type)
{
	bool plain = !type->module[0] || !strcmp(type->module, "builtins") ||
		     !strcmp(type->module, "__builtin__");

	snprintf(buf, size, "%s%s%s", plain ? "" : type->module, plain ? "" : ".", type->name);
	return buf;
}

/* "+40/s", or "+213.2 KiB/s" where objects get larger rather than more. */
static const char *growth_of(char *buf, size_t size, const struct mw_grown_type *t)
{
	char number[32];

	if (t->bytes_per_second > LARGER * t->count_per_second)
		mw_format_size(number, (uint64_t)llround(t->bytes_per_second));
	else
		rate(number, sizeof(number), t->count_per_second);
	snprintf(buf, size, "+%s/s", number);
	return buf;
}

/*
 * "dict +40/s, str +120/s": those that are a part of the growth, after SEPARATOR. Returns whether
 * there is any.
 */
static bool print_types(FILE *out, const struct mw_look_growth *growth, size_t max,
			const char *separator)
{
	char text[MW_GROWN_NAME + MW_GROWN_MODULE + 8], number[40];
	bool any = false;

	for (size_t i = 0; i < growth->type_count && i < max; i++) {
		const struct mw_grown_type *t = &growth->types[i];

		if (t->bytes_per_second < SHARE_SHOWN * growth->types[0].bytes_per_second)
			break;
		fprintf(out, "%s%s %s", any ? ", " : separator, full_name(text, sizeof(text), t),
			growth_of(number, sizeof(number), t));
		any = true;
	}
	return any;
}

static void print_growth(FILE *out, const struct mw_look_growth *growth)
{
	char number[32];
	bool any;

	fprintf(out, "  Python     grew between looks %.0f s apart: ", growth->seconds);
	any = print_types(out, growth, TYPES_SHOWN, "");
	for (size_t i = 0; i < growth->owner_count && i < OWNERS_SHOWN; i++) {
		const struct mw_grown_owner *o = &growth->owners[i];

		fprintf(out, "%s%s +%s/s",
			!any ? ""
			: i  ? ", "
			     : "; ",
			o->owner, mw_format_size(number, (uint64_t)llround(o->bytes_per_second)));
		any = true;
	}
	fputs(any ? "\n" : "nothing\n", out);
}

/* The line that adds most, and whether there are others. */
static void print_changer(FILE *out, const struct mw_grown_holder *h)
{
	const struct mw_grown_changer *first = &h->changers[0];
	uint64_t all = 0;

	for (size_t i = 0; i < h->changer_count; i++)
		all += h->changers[i].added;
	if (!all)
		return;
	if (h->chain) {
		fprintf(out, "  %-11s%s\n", "asked for", first->label);
		return;
	}
	fprintf(out, "  %-11s%s: %.0f %% of %" PRIu64 " additions seen", "added at", first->label,
		100 * (double)first->added / (double)all, all);
	if (h->births == MW_BIRTHS_HERE)
		fprintf(out, "; %s asked for here", h->element);
	if (h->births == MW_BIRTHS_REUSED)
		fprintf(out, "; %s asked for here or reused", h->element);
	fputc('\n', out);
}

/* "app.cache (dict of 3,000 User, +40/s)" */
static void print_length(FILE *out, const struct mw_grown_holder *h)
{
	char per_second[32], length[32];

	if (h->path[0])
		fputs(h->path, out);
	else
		fprintf(out, "%s at 0x%" PRIx64, h->type, h->addr);
	fprintf(out, " (%s of %s%s%s, +%s/s)", h->type,
		rate(length, sizeof(length), (double)h->length), h->element[0] ? " " : "",
		h->element, rate(per_second, sizeof(per_second), h->length_per_second));
}

static void print_holder(FILE *out, const struct mw_grown_holder *h, bool color)
{
	bool suspect = h->verdict == MW_VERDICT_SUSPECT;

	fprintf(out, "  %-11s%s", suspect ? "held by" : "in", color && suspect ? "\033[1m" : "");
	print_length(out, h);
	fprintf(out, "%s%s\n", color && suspect ? "\033[0m" : "",
		suspect ? ", which goes on growing" : "");
	print_changer(out, h);
}

void mw_looks_report__brief(FILE *out, const struct mw_looked *looked)
{
	const struct mw_look_growth *growth = &looked->growth;

	if (looked->missing[0])
		fprintf(out, "; Python: %s", looked->missing);
	if (!(growth->seconds > 0))
		return;
	print_types(out, growth, TYPES_IN_BRIEF, "; ");
	for (size_t i = 0; i < growth->holder_count && i < HOLDERS_IN_BRIEF; i++) {
		const struct mw_grown_holder *h = &growth->holders[i];

		fputs("; in ", out);
		print_length(out, h);
		if (h->changer_count && h->changers[0].added)
			fprintf(out, ", %s at %s", h->chain ? "asked for" : "added",
				h->changers[0].label);
	}
	if (growth->holder_count > HOLDERS_IN_BRIEF)
		fprintf(out, "; in %zu more", growth->holder_count - HOLDERS_IN_BRIEF);
}

void mw_looks_report__text(FILE *out, const struct mw_looked *looked, bool color)
{
	const struct mw_look_growth *growth = &looked->growth;

	if (looked->missing[0])
		fprintf(out, "  Python     %s\n", looked->missing);
	if (!(growth->seconds > 0))
		return;
	print_growth(out, growth);
	for (size_t i = 0; i < growth->holder_count && i < HOLDERS_SHOWN; i++)
		print_holder(out, &growth->holders[i], color);
}

/*
 * ---- JSON ---------------------------------------------------------------------------------------
 */

static json_t *owner(const struct mw_grown_owner *o)
{
	return json_pack("{s:s,s:o,s:f}", "owner", o->owner, "bytes", mw_json_u64(o->bytes),
			 "bytes_per_second", o->bytes_per_second);
}

static json_t *type(const struct mw_grown_type *t)
{
	return json_pack("{s:s,s:s,s:o,s:o,s:f,s:f,s:s}", "type", t->name, "module", t->module,
			 "count", mw_json_u64(t->count), "bytes", mw_json_u64(t->bytes),
			 "count_per_second", t->count_per_second, "bytes_per_second",
			 t->bytes_per_second, "verdict", mw_verdict_name(t->verdict));
}

static json_t *changers(const struct mw_grown_holder *h)
{
	json_t *list = json_array();
	int failed = 0;

	for (size_t i = 0; i < h->changer_count; i++) {
		const struct mw_grown_changer *c = &h->changers[i];

		failed |= json_array_append_new(
			list, json_pack("{s:s,s:o,s:o,s:o}", "label", c->label, "added",
					mw_json_u64(c->added), "removed", mw_json_u64(c->removed),
					"samples", mw_json_u64(c->samples)));
	}
	if (!failed)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *holder(const struct mw_grown_holder *h)
{
	static const char *const births[] = {[MW_BIRTHS_UNKNOWN] = "unknown",
					     [MW_BIRTHS_HERE] = "here",
					     [MW_BIRTHS_REUSED] = "here-or-reused"};
	char address[32];

	snprintf(address, sizeof(address), "0x%" PRIx64, h->addr);
	return json_pack(
		"{s:s?,s:s,s:i,s:s,s:s?,s:s,s:o,s:o,s:f,s:o,s:s,s:o}", "path",
		h->path[0] ? h->path : NULL, "address", address, "pid", (int)h->pid, "type",
		h->type, "element", h->element[0] ? h->element : NULL, "asked_for",
		births[h->births], "length", mw_json_u64(h->length), "grown", mw_json_u64(h->grown),
		"length_per_second", h->length_per_second, "retained_bytes",
		h->retained_bytes < 0 ? json_null() : mw_json_u64((uint64_t)h->retained_bytes),
		"verdict", mw_verdict_name(h->verdict), "lines", changers(h));
}

json_t *mw_looks_report__json(const struct mw_looked *looked)
{
	const struct mw_look_growth *growth = &looked->growth;
	json_t *owners, *types, *holders;
	int failed = 0;

	if (!(growth->seconds > 0) && !looked->missing[0])
		return json_null();
	owners = json_array();
	types = json_array();
	holders = json_array();
	for (size_t i = 0; i < growth->owner_count; i++)
		failed |= json_array_append_new(owners, owner(&growth->owners[i]));
	for (size_t i = 0; i < growth->type_count; i++)
		failed |= json_array_append_new(types, type(&growth->types[i]));
	for (size_t i = 0; i < growth->holder_count; i++)
		failed |= json_array_append_new(holders, holder(&growth->holders[i]));
	if (failed) {
		json_decref(owners);
		json_decref(types);
		json_decref(holders);
		return NULL;
	}
	return json_pack("{s:f,s:o,s:s?,s:o,s:o,s:o}", "seconds", growth->seconds, "looks",
			 mw_json_u64(growth->looks), "missing",
			 looked->missing[0] ? looked->missing : NULL, "owners", owners, "types",
			 types, "holders", holders);
}
