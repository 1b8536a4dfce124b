// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/json.h"
#include "report/ledger.h"
#include "util/bar.h"
#include "util/cleanup.h"
#include "util/units.h"

enum { BAR = 24, DEPTH = 3 };

const char *mw_residency_name(enum mw_residency residency)
{
	return residency == MW_RESIDENCY_SMAPS	    ? "rss"
	       : residency == MW_RESIDENCY_RECORDED ? "recorded-rss"
						    : "held-by-core";
}

json_t *mw_ledger_json(const struct mw_ledger *ledger, const char *target,
		       enum mw_residency residency, json_t *evidence)
{
	json_t *entries = json_array(), *unknown = json_array();

	for (size_t i = 0; i < ledger->count; i++) {
		const struct mw_ledger_entry *e = &ledger->entries[i];

		json_array_append_new(entries, json_pack("{s:s,s:o,s:o,s:o}", "owner", e->owner,
							 "bytes", mw_json_u64(e->bytes),
							 "resident_bytes", mw_json_u64(e->resident),
							 "count", mw_json_u64(e->count)));
	}
	for (size_t i = 0; i < ledger->unknown_count; i++) {
		const struct mw_ledger_unknown *u = &ledger->unknowns[i];

		json_array_append_new(unknown, json_pack("{s:s,s:o,s:o,s:o}", "mapping", u->mapping,
							 "bytes", mw_json_u64(u->bytes),
							 "resident_bytes", mw_json_u64(u->resident),
							 "count", mw_json_u64(u->count)));
	}
	return json_pack(
		"{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "target", target, "residency",
		mw_residency_name(residency), "resident_bytes", mw_json_u64(ledger->resident),
		"entries", entries, "unknown_bytes", mw_json_u64(ledger->unknown), "unknown",
		unknown, "swapped_bytes", mw_json_u64(ledger->swapped), "hugetlb_bytes",
		mw_json_u64(ledger->hugetlb), "huge_page_bytes", mw_json_u64(ledger->thp),
		"zero_bytes", mw_json_u64(ledger->zeros), "adjusted_bytes",
		mw_json_u64(ledger->adjusted), "evidence", evidence ? evidence : json_array());
}

struct path {
	const struct mw_ledger_entry *entry;
};

/* The tree of owners while it is printed. */
struct tree {
	FILE *out;
	struct path *by_owner;	/* sorted by the owner's path */
	uint64_t sum, smallest; /* bytes; below SMALLEST nodes are folded together */
	unsigned int depth;	/* how deep it is shown */
	bool utf8, failed;
};

/* A node: COUNT entries from FIRST on whose paths begin alike. */
struct node {
	size_t first, count;
	uint64_t resident, blocks;
	size_t length; /* of their common beginning, in bytes */
};

static void line(const struct tree *t, const char *name, unsigned int indent,
		 const struct node *node)
{
	char size[MW_UNIT_BUF], number[MW_UNIT_BUF], bar[MW_BAR_BUF];
	double share = t->sum ? (double)node->resident / (double)t->sum : 0;

	fprintf(t->out, "%11s %5.1f %%  %*s%-*s %9s  %s\n", mw_format_size(size, node->resident),
		100 * share, (int)indent, "", (int)(38 - indent), name,
		mw_format_count(number, node->blocks), mw_bar(bar, share, BAR, t->utf8));
}

static int by_owner(const void *a, const void *b)
{
	const struct path *x = a, *y = b;

	return strcmp(x->entry->owner, y->entry->owner);
}

static int by_size(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	return x->resident < y->resident ? 1 : -(x->resident > y->resident);
}

/* Split COUNT entries from FIRST on, which share LENGTH bytes, by their next path component. */
static size_t make_nodes(const struct tree *t, size_t first, size_t count, size_t length,
			 struct node *nodes)
{
	size_t n = 0;

	for (size_t i = first; i < first + count; i++) {
		const char *owner = t->by_owner[i].entry->owner;
		size_t end = length + strcspn(owner + length, "/");
		struct node *last = n ? &nodes[n - 1] : NULL;

		if (!last || last->length != end ||
		    strncmp(t->by_owner[last->first].entry->owner, owner, end)) {
			nodes[n++] = (struct node){.first = i, .length = end};
			last = &nodes[n - 1];
		}
		last->count++;
		last->resident += t->by_owner[i].entry->resident;
		last->blocks += t->by_owner[i].entry->count;
	}
	return n;
}

static bool is_small(const struct tree *t, const struct node *node, const char *name)
{
	return node->resident < t->smallest && strcmp(name, "unknown");
}

static void show_nodes(struct tree *t, size_t first, size_t count, size_t length,
		       unsigned int level)
{
	_cleanup_free_ struct node *nodes = calloc(count, sizeof(*nodes));
	struct node rest = {0};
	char name[80], folded[48];
	size_t n;

	if (!nodes) {
		t->failed = true;
		return;
	}
	n = make_nodes(t, first, count, length, nodes);
	qsort(nodes, n, sizeof(*nodes), by_size);
	for (size_t i = 0; i < n; i++) {
		const struct node *node = &nodes[i];
		const char *owner = t->by_owner[node->first].entry->owner;
		bool whole = node->count == 1;

		/* A node with one entry shows its whole path on one line. */
		snprintf(name, sizeof(name), "%.*s",
			 (int)((whole ? strlen(owner) : node->length) - length), owner + length);
		if (is_small(t, node, name) && (!strstr(owner, "unknown") || !node->resident)) {
			rest.resident += node->resident;
			rest.blocks += node->blocks;
			rest.count++;
			continue;
		}
		line(t, name, 2 * level, node);
		if (!whole && level + 1 < t->depth)
			show_nodes(t, node->first, node->count, node->length + 1, level + 1);
	}
	if (rest.count && rest.resident) {
		snprintf(folded, sizeof(folded), "(%zu smaller)", rest.count);
		line(t, folded, 2 * level, &rest);
	}
}

static void list_unknown(FILE *out, const struct mw_ledger *ledger)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF], c[MW_UNIT_BUF];

	if (ledger->unknown_count)
		fprintf(out, "\nunknown, by mapping\n%11s %11s %7s\n", "resident", "size", "count");
	for (size_t i = 0; i < ledger->unknown_count; i++) {
		const struct mw_ledger_unknown *u = &ledger->unknowns[i];

		fprintf(out, "%11s %11s %7s  %s\n", mw_format_size(a, u->resident),
			mw_format_size(b, u->bytes), mw_format_count(c, u->count), u->mapping);
	}
}

int mw_ledger_text(const struct mw_out *out, const struct mw_ledger *ledger, const char *target,
		   enum mw_residency residency, unsigned int depth)
{
	static const char *const words[] = {
		"resident", "were resident when it was taken",
		"held by the core, which does not say what was resident"};
	_cleanup_free_ struct path *by_path = calloc(ledger->count + 1, sizeof(*by_path));
	struct tree tree = {
		.out = out->file,
		.by_owner = by_path,
		.sum = ledger->resident,
		.smallest = out->verbose ? 0 : ledger->resident / 200,
		.depth = depth ? depth : DEPTH,
		.utf8 = out->utf8,
	};
	struct node all = {.resident = ledger->resident};
	size_t count = 0;
	char a[MW_UNIT_BUF];

	if (!by_path)
		return -ENOMEM;
	for (size_t i = 0; i < ledger->count; i++) {
		if (!ledger->entries[i].resident && !out->verbose)
			continue;
		by_path[count++].entry = &ledger->entries[i];
		all.blocks += ledger->entries[i].count;
	}
	qsort(by_path, count, sizeof(*by_path), by_owner);
	fprintf(out->file, "%s: %s %s\n\n%s%11s %7s  %-38s %9s%s\n", target,
		mw_format_size(a, ledger->resident), words[residency], out->color ? "\033[1m" : "",
		"resident", "", "owner", "count", out->color ? "\033[0m" : "");
	if (count)
		show_nodes(&tree, 0, count, 0, 0);
	line(&tree, "sum", 0, &all);
	if (ledger->swapped)
		fprintf(out->file, "besides, in swap: %s\n", mw_format_size(a, ledger->swapped));
	if (ledger->hugetlb)
		fprintf(out->file, "besides, in hugetlbfs pages: %s\n",
			mw_format_size(a, ledger->hugetlb));
	if (ledger->zeros)
		fprintf(out->file,
			"besides, pages of zeros, which the core can't tell from untouched memory: %s\n",
			mw_format_size(a, ledger->zeros));
	if (ledger->adjusted)
		fprintf(out->file, "changed while it was read: %s\n",
			mw_format_size(a, ledger->adjusted));
	if (out->verbose)
		list_unknown(out->file, ledger);
	return tree.failed ? -ENOMEM : 0;
}
