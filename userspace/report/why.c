// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "report/json.h"
#include "report/why.h"
#include "util/text.h"
#include "util/units.h"

enum { SHARES_SHOWN = 6, CAUSES_SHOWN = 3, LINES = 23, SHARE_WIDTH = 34 };

struct page {
	FILE *out;
	bool color, verbose;
	int left; /* lines */
};

/* TEXT at INDENT columns, broken into lines; what does not fit on the page is left out. */
static void put(struct page *page, int indent, const char *mark, const char *text, const char *ink)
{
	int width = MW_WHY_WIDTH - indent, len;

	while (*text && page->left-- > 0) {
		const char *next = mw_text_break(text, width, &len);

		fprintf(page->out, "%*s%s%.*s%s\n", indent, mark, page->color ? ink : "", len, text,
			page->color && *ink ? "\033[0m" : "");
		mark = "";
		text = next;
	}
}

static void put_empty(struct page *page)
{
	if (page->left-- > 0)
		fputc('\n', page->out);
}

/* What the family has, and what a sum of resident sizes counts more than once. */
static void put_family(struct page *page, const struct mw_family_facts *family)
{
	char own[MW_UNIT_BUF], all[MW_UNIT_BUF], sum[MW_UNIT_BUF], text[MW_CAUSE_TEXT];
	char unread[64] = "";

	mw_format_size(own, family->own);
	mw_format_size(sum, family->resident);
	if (family->unread)
		snprintf(unread, sizeof(unread), " %zu more could not be read.", family->unread);
	if (family->all)
		snprintf(
			text, sizeof(text),
			"%zu processes, whose resident sizes sum to %s; %s is mapped by one only, the "
			"rest is shared. Behind each share: what one maps only.%s",
			family->members, sum, own, unread);
	else
		snprintf(
			text, sizeof(text),
			"%s of it no other process maps. It is one of %zu that were forked from one another: %s "
			"of memory together, although their resident sizes sum to %s. Behind each share: its own.",
			own, family->members, mw_format_size(all, family->proportional), sum);
	put(page, 0, "", text, "");
}

static void put_shares(struct page *page, const struct mw_facts *f)
{
	enum mw_share order[MW_SHARES];

	mw_moment__rank(&f->now, order);
	for (int i = 0; i < SHARES_SHOWN && page->left > 0; i++) {
		uint64_t bytes = f->now.shares[order[i]], before = f->before.shares[order[i]];
		char size[MW_UNIT_BUF], change[MW_UNIT_BUF] = "";

		if (!bytes)
			break;
		if (f->family.members)
			mw_format_size(change, f->family.own_shares[order[i]]);
		else if (f->seconds > 0 && bytes != before)
			mw_format_signed_size(change, (int64_t)(bytes - before));
		fprintf(page->out, "%5.0f %% %10s  %-*s%s%s\n",
			f->now.resident ? 100 * (double)bytes / (double)f->now.resident : 0,
			mw_format_size(size, bytes), change[0] ? SHARE_WIDTH : 0,
			mw_share_name(order[i]), change[0] ? " " : "", change);
		page->left--;
	}
}

static int lines_of(const char *text, int indent)
{
	int lines = 0, len;

	while (*text) {
		text = mw_text_break(text, MW_WHY_WIDTH - indent, &len);
		lines++;
	}
	return lines;
}

enum { TEXT_INDENT = 3, EVIDENCE_INDENT = 5 };

/* The strongest with all that speaks for it; what to do is worth more than evidence. */
static void put_cause(struct page *page, const struct mw_cause *c, size_t nth)
{
	char text[MW_CAUSE_SENTENCE], advice[MW_CAUSE_SENTENCE], mark[32];
	size_t evidence = nth && !page->verbose && c->evidence_count ? 1 : c->evidence_count;
	int spare = page->left - 1;

	spare -= lines_of(mw_cause_sentence(text, c), TEXT_INDENT);
	spare -= lines_of(mw_cause_advice(advice, c), TEXT_INDENT);
	if (nth && spare < 0)
		return;
	put_empty(page);
	snprintf(mark, sizeof(mark), "%zu. ", nth + 1);
	put(page, TEXT_INDENT, mark, text, nth ? "" : "\033[1m");
	for (size_t i = 0; i < evidence; i++) {
		spare -= lines_of(c->evidence[i], EVIDENCE_INDENT);
		if (spare >= 0)
			put(page, EVIDENCE_INDENT, "- ", c->evidence[i], "");
	}
	put(page, TEXT_INDENT, "", advice, "\033[32m");
}

static struct page begin_page(const struct mw_out *out)
{
	return (struct page){out->file, out->color, out->verbose, out->verbose ? INT32_MAX : LINES};
}

/* PACE is how it moves, "": not known. */
static void put_head(struct page *page, const struct mw_facts *f, const char *pace)
{
	char size[MW_UNIT_BUF], head[MW_CAUSE_SENTENCE + 160], cut[MW_CUT_BUF];

	snprintf(head, sizeof(head), "%s: %s resident%s%s", f->target,
		 mw_format_size(size, f->now.resident), pace[0] ? ", " : "", pace);
	put(page, 0, "", head, "\033[1m");
	if (f->family.members)
		put_family(page, &f->family);
	if (f->present < f->promised)
		put(page, 0, "", mw_out__cut_text(cut, f->present, f->promised), "");
	if (f->other_program)
		put(page, 0, "", "These are two programs: not all that differs has grown.", "");
	put_shares(page, f);
}

static void put_causes(struct page *page, const struct mw_diagnosis *d)
{
	for (size_t i = 0; i < d->count && (i < CAUSES_SHOWN || page->verbose); i++)
		put_cause(page, &d->causes[i], i);
	if (!d->count) {
		put_empty(page);
		put(page, 0, "", d->verdict, "");
	}
}

/* A rate; of a change that nobody can date there is none. */
static json_t *json_of_pace(const struct mw_facts *f, double per_second)
{
	return f->undated ? json_null() : json_real(per_second);
}

/* By how much something grew in all, bytes; null when there is one moment only. */
static json_t *json_of_change(const struct mw_facts *f, double per_second)
{
	return f->seconds > 0 ? json_integer((json_int_t)(per_second * f->seconds)) : json_null();
}

static json_t *json_of_site(const struct mw_fact_site *site)
{
	return site ? json_pack("{s:s,s:s,s:s,s:s?,s:f,s:f}", "label", site->label, "layer",
				site->python ? "python" : "malloc", "text", site->text, "callers",
				site->callers[0] ? site->callers : NULL, "bytes_per_second",
				site->bytes_per_second, "confidence", site->confidence)
		    : json_null();
}

static json_t *json_of_holder(const struct mw_facts *f, const struct mw_fact_holder *holder)
{
	return holder ? json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:s?}", "path", holder->path, "type",
				  holder->type, "length",
				  holder->length ? mw_json_u64(holder->length) : json_null(),
				  "length_per_second", json_of_pace(f, holder->per_second), "grown",
				  json_of_change(f, holder->per_second), "retained_bytes",
				  holder->retained >= 0 ? mw_json_u64((uint64_t)holder->retained)
							: json_null(),
				  "line", holder->line[0] ? holder->line : NULL)
		      : json_null();
}

static json_t *json_of_cause(const struct mw_facts *f, const struct mw_cause *c)
{
	json_t *evidence = json_array();

	for (size_t i = 0; i < c->evidence_count; i++)
		json_array_append_new(evidence, json_string(c->evidence[i]));
	return json_pack("{s:s,s:o,s:o,s:o,s:f,s:s,s:o,s:o,s:o,s:{s:s,s:o}}", "cause",
			 mw_cause_name(c->id), "bytes", mw_json_u64(c->bytes), "bytes_per_second",
			 json_of_pace(f, c->bytes_per_second), "grown_bytes",
			 json_of_change(f, c->bytes_per_second), "confidence", c->confidence,
			 "text", c->text, "evidence", evidence, "site", json_of_site(c->site),
			 "holder", json_of_holder(f, c->holder), "remedy", "text", c->remedy,
			 "bytes", c->remedy_known ? mw_json_u64(c->remedy_bytes) : json_null());
}

static json_t *json_of_shares(const struct mw_facts *f)
{
	json_t *shares = json_array();

	for (int i = 0; i < MW_SHARES; i++) {
		if (f->now.shares[i] || f->before.shares[i])
			json_array_append_new(
				shares,
				json_pack("{s:s,s:o,s:o,s:o}", "share", mw_share_name(i), "bytes",
					  mw_json_u64(f->now.shares[i]), "before",
					  f->seconds > 0 ? mw_json_u64(f->before.shares[i])
							 : json_null(),
					  "own_bytes",
					  f->family.members ? mw_json_u64(f->family.own_shares[i])
							    : json_null()));
	}
	return shares;
}

static json_t *json_of_pages(const struct mw_unshared_pages *pages)
{
	return json_pack("{s:o,s:o,s:o}", "shared_bytes", mw_json_u64(pages->shared),
			 "counted_bytes", mw_json_u64(pages->counted), "changed_bytes",
			 mw_json_u64(pages->changed));
}

static json_t *json_of_family(const struct mw_family_facts *family)
{
	if (!family->members)
		return json_null();
	return json_pack(
		"{s:o,s:o,s:b,s:o,s:o,s:o,s:o,s:o,s:o}", "processes", mw_json_u64(family->members),
		"unread", mw_json_u64(family->unread), "cgroup", family->all, "resident_bytes",
		mw_json_u64(family->resident), "proportional_bytes",
		mw_json_u64(family->proportional), "own_bytes", mw_json_u64(family->own), "origin",
		family->origin ? json_integer(family->origin) : json_null(), "plain",
		family->python ? json_of_pages(&family->unshared.plain) : json_null(), "tracked",
		family->python ? json_of_pages(&family->unshared.tracked) : json_null());
}

static json_t *json_of(const struct mw_facts *f, const struct mw_diagnosis *d)
{
	json_t *causes = json_array(), *doc;

	for (size_t i = 0; i < d->count; i++)
		json_array_append_new(causes, json_of_cause(f, &d->causes[i]));
	doc = json_pack("{s:s,s:s?,s:b,s:o,s:o,s:o,s:o,s:s,s:o,s:o,s:o,s:o,s:o}", "target",
			f->target, "before", f->earlier[0] ? f->earlier : NULL, "other_program",
			f->other_program, "seconds", json_of_pace(f, f->seconds), "resident_bytes",
			mw_json_u64(f->now.resident), "bytes_per_second",
			json_of_pace(f, d->bytes_per_second), "grown_bytes",
			json_of_change(f, d->bytes_per_second), "verdict", d->verdict, "shares",
			json_of_shares(f), "family", json_of_family(&f->family), "ended_seconds",
			f->ended > 0 ? json_real(f->ended) : json_null(), "ended_resident_bytes",
			f->ended_resident ? mw_json_u64(f->ended_resident) : json_null(), "causes",
			causes);
	if (doc && f->promised)
		json_object_set_new(doc, "coverage",
				    mw_out__coverage_json(f->present, f->promised));
	return doc;
}

/* To PAGE, whose head is written already, or, where that is NULL, the whole. */
static int write_answer(const struct mw_out *out, struct page *page, const struct mw_facts *facts,
			struct mw_err *err)
{
	struct mw_diagnosis *diagnosis = malloc(sizeof(*diagnosis));
	struct page whole = begin_page(out);
	char pace[MW_CAUSE_SENTENCE];
	int ret = 0;

	if (!diagnosis)
		return mw_err_no_memory(err, facts->target);
	mw_diagnose(facts, diagnosis);
	if (out->json) {
		ret = mw_out__json(out, json_of(facts, diagnosis), err);
	} else {
		if (!page)
			put_head(&whole, facts, mw_diagnosis_pace(pace, facts, diagnosis));
		put_causes(page ? page : &whole, diagnosis);
	}
	free(diagnosis);
	return ret;
}

int mw_why__write(const struct mw_out *out, const struct mw_facts *facts, struct mw_err *err)
{
	return write_answer(out, NULL, facts, err);
}

MW_DOCUMENT_WRITER(mw_write_why)
{
	struct mw_facts *facts = calloc(1, sizeof(*facts));
	struct page page = begin_page(out);
	int ret;

	(void)request;
	if (!facts)
		return mw_err_no_memory(err, NULL);
	snprintf(facts->target, sizeof(facts->target), "%s", mw_image__name(found->survey->image));
	ret = mw_facts__survey(facts, found->survey, &found->ledger, err);
	/* Who refers to what takes much longer than where it is. */
	if (!ret && !out->json) {
		put_head(&page, facts, "");
		mw_out__works(out, true);
	}
	if (!ret)
		ret = mw_facts__add_graph(facts, found->survey, err);
	if (!ret && !out->json)
		mw_out__works(out, false);
	if (!ret)
		ret = write_answer(out, out->json ? NULL : &page, facts, err);
	free(facts);
	return ret;
}
