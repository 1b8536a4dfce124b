// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "image/image.h"
#include "report/json.h"
#include "report/out.h"
#include "util/units.h"

int mw_out__json(const struct mw_out *out, json_t *doc, struct mw_err *err)
{
	int ret = mw_json_line(out->file, doc);

	if (ret == -ENOMEM)
		return mw_err_no_memory(err, NULL);
	if (ret)
		return mw_err_set(err, ret, "unwritable", NULL,
				  "could not write all of the output");
	return 0;
}

json_t *mw_out__coverage_json(uint64_t present, uint64_t promised)
{
	return json_pack("{s:o,s:o}", "present_bytes", mw_json_u64(present), "promised_bytes",
			 mw_json_u64(promised));
}

char *mw_out__cut_text(char buf[MW_CUT_BUF], uint64_t present, uint64_t promised)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF];

	snprintf(buf, MW_CUT_BUF, "cut short: %s of %s (%.1f %%) of the core's memory is there",
		 mw_format_size(a, present), mw_format_size(b, promised),
		 100.0 * (double)present / (double)promised);
	return buf;
}

int mw_out__image_json(const struct mw_out *out, struct mw_image *image, json_t *doc,
		       struct mw_err *err)
{
	uint64_t present, promised;

	mw_image__coverage(image, &present, &promised);
	if (promised)
		json_object_set_new(doc, "coverage", mw_out__coverage_json(present, promised));
	if (out->held_ns)
		json_object_set_new(doc, "stopped_seconds", json_real((double)out->held_ns / 1e9));
	return mw_out__json(out, doc, err);
}

void mw_out__image_text(const struct mw_out *out, struct mw_image *image)
{
	char cut[MW_CUT_BUF], held[MW_UNIT_BUF];
	uint64_t present, promised;

	mw_image__coverage(image, &present, &promised);
	if (present < promised)
		fprintf(out->file, "%s\n", mw_out__cut_text(cut, present, promised));
	if (out->held_ns)
		fprintf(out->file, "the process was stopped for %s\n",
			mw_format_duration(held, out->held_ns));
}
