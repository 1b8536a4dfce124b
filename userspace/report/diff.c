// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnosis/inventory.h"
#include "report/diff.h"
#include "report/json.h"
#include "util/units.h"

enum { WAY = 300 }; /* characters of a way */

/*
 * ---- JSON ---------------------------------------------------------------------------------------
 */

/* Unknown is null. */
static json_t *number(const struct mw_diff_numbers *n, uint64_t value)
{
	return n->known ? mw_json_u64(value) : json_null();
}

static json_t *pair(const struct mw_diff_row *row, bool bytes)
{
	return json_pack("{s:o,s:o}", "before",
			 number(&row->before, bytes ? row->before.bytes : row->before.count),
			 "after", number(&row->after, bytes ? row->after.bytes : row->after.count));
}

static json_t *owner_json(const struct mw_diff_row *row)
{
	return json_pack("{s:s,s:o,s:o,s:I}", "owner", row->name, "before",
			 mw_json_u64(row->before.bytes), "after", mw_json_u64(row->after.bytes),
			 "delta", (json_int_t)mw_diff_bytes(row));
}

static json_t *type_json(const struct mw_diff_row *row)
{
	return json_pack("{s:s,s:s,s:o,s:o,s:I,s:I}", "type", row->name, "module", row->detail,
			 "before", mw_json_u64(row->before.count), "after",
			 mw_json_u64(row->after.count), "delta", (json_int_t)mw_diff_count(row),
			 "delta_bytes", (json_int_t)mw_diff_bytes(row));
}

static json_t *container_json(const struct mw_diff_row *row)
{
	return json_pack("{s:s,s:s,s:o,s:o,s:o}", "path_text", row->name, "type", row->detail,
			 "before", number(&row->before, row->before.count), "after",
			 number(&row->after, row->after.count), "retained_bytes", pair(row, true));
}

static json_t *held_json(const struct mw_diff_row *row)
{
	return json_pack("{s:s,s:s,s:o,s:o}", "path_text", row->name, "type", row->detail,
			 "objects", pair(row, false), "bytes", pair(row, true));
}

static json_t *list_json(const struct mw_diff_list *list,
			 json_t *(*row_json)(const struct mw_diff_row *))
{
	json_t *rows = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(rows, row_json(&list->rows[i]));
	return rows;
}

/* Nothing can be said of objects that are known of one side only. */
static bool has_python(const struct mw_diff *diff)
{
	return diff->before->python && diff->after->python;
}

static json_t *python_json(const struct mw_diff *diff, enum mw_stock stock,
			   json_t *(*row_json)(const struct mw_diff_row *))
{
	return has_python(diff) ? list_json(&diff->lists[stock], row_json) : json_null();
}

static json_t *document(const struct mw_diff *diff)
{
	return json_pack("{s:s,s:s,s:{s:o,s:o},s:b,s:b,s:o,s:o,s:o,s:o}", "before",
			 diff->before->name, "after", diff->after->name, "resident_bytes", "before",
			 mw_json_u64(diff->before->resident), "after",
			 mw_json_u64(diff->after->resident), "same_program", !diff->other_program,
			 "same_process", diff->same_process, "owners",
			 list_json(&diff->lists[MW_STOCK_OWNERS], owner_json), "types",
			 python_json(diff, MW_STOCK_TYPES, type_json), "holders",
			 python_json(diff, MW_STOCK_CONTAINERS, container_json), "held",
			 python_json(diff, MW_STOCK_HELD, held_json));
}

/*
 * ---- text ---------------------------------------------------------------------------------------
 */

static const char *signed_count(char *buf, int64_t n)
{
	if (!n)
		return "0";
	buf[0] = n < 0 ? '-' : '+';
	mw_format_count(buf + 1, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
	return buf;
}

static const char *count_of(char *buf, const struct mw_diff_numbers *n)
{
	if (!n->known)
		return "?";
	return mw_format_count(buf, n->count);
}

static const char *bytes_of(char *buf, const struct mw_diff_numbers *n)
{
	if (!n->known)
		return "?";
	return mw_format_size(buf, n->bytes);
}

static void heading(const struct mw_out *out, const char *before, const char *after,
		    const char *what)
{
	fprintf(out->file, "%s%11s %11s %11s  %s%s\n", out->color ? "\033[1m" : "", "change",
		before, after, what, out->color ? "\033[0m" : "");
}

/* The first two words of an owner's path: what is in `python/live/app.User` is python/live. */
static size_t trunk(const char *owner)
{
	const char *slash = strchr(owner, '/');

	slash = slash ? strchr(slash + 1, '/') : NULL;
	return slash ? (size_t)(slash - owner) : strlen(owner);
}

static int by_owner(const void *a, const void *b)
{
	const struct mw_diff_row *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int by_bytes(const void *a, const void *b)
{
	int64_t x = mw_diff_bytes(a), y = mw_diff_bytes(b);

	x = x < 0 ? -x : x;
	y = y < 0 ? -y : y;
	return x < y ? 1 : -(x > y);
}

/* Owners for people: by the trunk of the tree that the ledger shows. */
static int owners_text(const struct mw_out *out, const struct mw_diff_list *list, size_t most)
{
	struct mw_diff_row *rows = malloc((list->count + 1) * sizeof(*rows));
	char change[MW_UNIT_BUF], before[MW_UNIT_BUF], after[MW_UNIT_BUF];
	size_t n = 0;

	if (!rows)
		return -ENOMEM;
	if (list->count) {
		memcpy(rows, list->rows, list->count * sizeof(*rows));
		qsort(rows, list->count, sizeof(*rows), by_owner);
	}
	for (size_t i = 0; i < list->count; i++) {
		size_t len = trunk(rows[i].name);

		if (!n || trunk(rows[n - 1].name) != len ||
		    strncmp(rows[n - 1].name, rows[i].name, len) != 0) {
			rows[n++] = rows[i];
			continue;
		}
		rows[n - 1].before.bytes += rows[i].before.bytes;
		rows[n - 1].after.bytes += rows[i].after.bytes;
	}
	if (n) {
		qsort(rows, n, sizeof(*rows), by_bytes);
		heading(out, "before", "after", "resident, by owner");
	}
	for (size_t i = 0; i < n && i < most; i++)
		fprintf(out->file, "%11s %11s %11s  %.*s\n",
			mw_format_signed_size(change, mw_diff_bytes(&rows[i])),
			mw_format_size(before, rows[i].before.bytes),
			mw_format_size(after, rows[i].after.bytes), (int)trunk(rows[i].name),
			rows[i].name);
	free(rows);
	return 0;
}

static void types_text(const struct mw_out *out, const struct mw_diff_list *list, size_t most)
{
	char change[MW_UNIT_BUF + 1], before[MW_UNIT_BUF], after[MW_UNIT_BUF], size[MW_UNIT_BUF];

	if (list->count)
		heading(out, "before", "after", "objects, by type");
	for (size_t i = 0; i < list->count && i < most; i++) {
		const struct mw_diff_row *row = &list->rows[i];
		bool builtin = !row->detail[0] || !strcmp(row->detail, "builtins") ||
			       !strcmp(row->detail, "__builtin__");

		fprintf(out->file, "%11s %11s %11s  %s%s%s, %s\n",
			signed_count(change, mw_diff_count(row)), count_of(before, &row->before),
			count_of(after, &row->after), builtin ? "" : row->detail,
			builtin ? "" : ".", row->name,
			mw_format_signed_size(size, mw_diff_bytes(row)));
	}
}

static void containers_text(const struct mw_out *out, const struct mw_diff_list *list, size_t most)
{
	char change[MW_UNIT_BUF + 1], before[MW_UNIT_BUF], after[MW_UNIT_BUF], size[MW_UNIT_BUF];

	if (list->count)
		heading(out, "before", "after", "elements, by container");
	for (size_t i = 0; i < list->count && i < most; i++) {
		const struct mw_diff_row *row = &list->rows[i];

		fprintf(out->file, "%11s %11s %11s  `%.*s`, %s, retains %s\n",
			signed_count(change, mw_diff_count(row)), count_of(before, &row->before),
			count_of(after, &row->after), WAY, row->name, row->detail,
			mw_format_signed_size(size, mw_diff_bytes(row)));
	}
}

static void held_text(const struct mw_out *out, const struct mw_diff_list *list, size_t most)
{
	char change[MW_UNIT_BUF], before[MW_UNIT_BUF], after[MW_UNIT_BUF], n[MW_UNIT_BUF + 1];

	if (list->count)
		heading(out, "before", "after", "bytes, by holder");
	for (size_t i = 0; i < list->count && i < most; i++) {
		const struct mw_diff_row *row = &list->rows[i];
		const char *mark = row->detail[0] ? "`" : "";

		fprintf(out->file, "%11s %11s %11s  %s%.*s%s, %s objects\n",
			mw_format_signed_size(change, mw_diff_bytes(row)),
			bytes_of(before, &row->before), bytes_of(after, &row->after), mark, WAY,
			row->name, mark, signed_count(n, mw_diff_count(row)));
	}
}

static int text(const struct mw_out *out, const struct mw_diff *diff)
{
	size_t all = SIZE_MAX;
	char before[MW_UNIT_BUF], after[MW_UNIT_BUF], change[MW_UNIT_BUF];
	int ret;

	fprintf(out->file, "before  %s, %s resident\nafter   %s, %s resident: %s\n",
		diff->before->name, mw_format_size(before, diff->before->resident),
		diff->after->name, mw_format_size(after, diff->after->resident),
		mw_format_signed_size(change,
				      (int64_t)(diff->after->resident - diff->before->resident)));
	if (diff->other_program)
		fprintf(out->file, "these are not the same program: their build ids differ\n");
	ret = owners_text(out, &diff->lists[MW_STOCK_OWNERS], out->verbose ? all : 5);
	if (ret || !has_python(diff))
		return ret;
	types_text(out, &diff->lists[MW_STOCK_TYPES], out->verbose ? all : 5);
	containers_text(out, &diff->lists[MW_STOCK_CONTAINERS], out->verbose ? all : 4);
	held_text(out, &diff->lists[MW_STOCK_HELD], out->verbose ? all : 3);
	return 0;
}

int mw_diff__write(const struct mw_out *out, const struct mw_diff *diff, struct mw_err *err)
{
	if (out->json)
		return mw_out__json(out, document(diff), err);
	return text(out, diff) ? mw_err_no_memory(err, NULL) : 0;
}

static int take_core(struct mw_inventory *inventory, const char *path, struct mw_err *err)
{
	const struct mw_image_options nowhere = {0};
	struct mw_image *image = mw_image__open_core(path, &nowhere, err);
	struct mw_survey survey;
	int ret;

	if (!image)
		return err->code;
	ret = mw_survey__open(&survey, image, err);
	if (ret)
		return ret;
	ret = mw_inventory__take(inventory, &survey, err);
	mw_survey__close(&survey);
	return ret;
}

MW_DOCUMENT_WRITER(mw_write_diff)
{
	struct mw_inventory before = {0}, after = {0};
	struct mw_diff diff = {0};
	int ret = take_core(&before, request->before, err);

	if (!ret)
		ret = mw_inventory__take(&after, found->survey, err);
	if (!ret && mw_diff__make(&diff, &before, &after))
		ret = mw_err_no_memory(err, NULL);
	if (!ret)
		ret = mw_diff__write(out, &diff, err);
	mw_diff__free(&diff);
	mw_inventory__free(&before);
	mw_inventory__free(&after);
	return ret;
}
