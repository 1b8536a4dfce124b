// SPDX-License-Identifier: GPL-2.0-or-later
/* Images of a caller's functions and a list of regions, or a whole description. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/image_impl.h"
#include "util/text.h"

/* It is not known which pages of a region are resident: take the first ones. */
static int described_spans(struct mw_image *image, struct mw_spans *out)
{
	int ret = 0;

	for (size_t i = 0; i < image->regions.count && !ret; i++) {
		const struct mw_region *region = &image->regions.regions[i];

		ret = mw_spans__add(out, region->map.start, region->map.start + region->resident);
	}
	return ret;
}

static const struct mw_image_ops described_ops = {.spans = described_spans};

struct mw_image *mw_image__open_callbacks(const struct mw_image_callbacks *callbacks,
					  struct mw_regions *regions)
{
	struct mw_image *image = calloc(1, sizeof(*image));

	if (image) {
		image->ops = &described_ops;
		image->residency = MW_RESIDENCY_HELD;
		image->roots[0] = "";
		snprintf(image->name, sizeof(image->name), "inferior");
	}
	if (!image || mw_image__redirect(image, callbacks)) {
		free(image);
		errno = ENOMEM;
		return NULL;
	}
	image->regions = *regions;
	memset(regions, 0, sizeof(*regions));
	return image;
}

struct mw_image *mw_image__open_described(const struct mw_image_callbacks *callbacks,
					  const struct mw_image_description *description,
					  struct mw_err *err)
{
	struct mw_image *image = NULL;
	struct mw_regions regions;
	int ret = mw_smaps__parse(&regions, description->smaps, description->smaps_len, err);

	if (ret)
		goto cleanup;
	image = mw_image__open_callbacks(callbacks, &regions);
	if (!image) {
		mw_regions__free(&regions);
		ret = mw_err_no_memory(err, NULL);
		goto cleanup;
	}
	image->residency = MW_RESIDENCY_SMAPS;
	mw_text_clean(image->name, sizeof(image->name), description->name,
		      strlen(description->name));
	mw_image__set_auxv(image, description->auxv, description->auxv_len);
	for (size_t i = 0; i < description->thread_count; i++) {
		struct mw_thread *thread = mw_image__add_thread(image);

		if (thread)
			*thread = description->threads[i];
	}
	return image;

cleanup:
	errno = -ret;
	return NULL;
}
