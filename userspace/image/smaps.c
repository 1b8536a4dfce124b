// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/smaps.h"
#include "util/array.h"
#include "util/file.h"
#include "util/search.h"

enum { READS = 16 };

struct mw_region *mw_regions__add(struct mw_regions *regions)
{
	if (regions->count >= MW_REGIONS_MAX ||
	    mw_array_reserve(&regions->regions, &regions->capacity, regions->count + 1,
			     sizeof(*regions->regions)))
		return NULL;
	memset(&regions->regions[regions->count], 0, sizeof(*regions->regions));
	return &regions->regions[regions->count++];
}

void mw_regions__free(struct mw_regions *regions)
{
	for (size_t i = 0; i < regions->count; i++)
		free(regions->regions[i].map.path);
	free(regions->regions);
	memset(regions, 0, sizeof(*regions));
}

static bool ends_before(const void *at, const void *key)
{
	const struct mw_region *region = at;

	return region->map.end <= *(const uint64_t *)key;
}

const struct mw_region *mw_regions__find(const struct mw_regions *regions, uint64_t addr)
{
	size_t i = mw_search(regions->regions, regions->count, sizeof(*regions->regions),
			     ends_before, &addr);

	return i < regions->count && regions->regions[i].map.start <= addr ? &regions->regions[i]
									   : NULL;
}

const struct mw_region *mw_regions__file_start(const struct mw_regions *regions,
					       const struct mw_region *region)
{
	/* One page of a file may be mapped twice, with and without code: offsets may repeat. */
	while (region > regions->regions && region[-1].map.offset <= region->map.offset &&
	       mw_map__is_same_file(&region[-1].map, &region->map))
		region--;
	return region;
}

bool mw_regions__have_names(const struct mw_regions *regions)
{
	for (size_t i = 0; i < regions->count; i++) {
		if (regions->regions[i].map.inode)
			return true;
	}
	return false;
}

static int add_header(struct mw_regions *out, const char *line, size_t len)
{
	struct mw_maps one;
	struct mw_region *region;
	int ret = mw_maps__parse(&one, line, len, NULL);

	if (ret)
		return ret;
	if (one.count != 1) { /* an empty line */
		mw_maps__free(&one);
		return -EINVAL;
	}
	region = mw_regions__add(out);
	if (!region) {
		mw_maps__free(&one);
		return out->count >= MW_REGIONS_MAX ? -E2BIG : -ENOMEM;
	}
	region->map = one.maps[0];
	free(one.maps);
	if (out->count > 1 && region->map.start < region[-1].map.end)
		return -EINVAL;
	return 0;
}

/* "Rss:      123 kB" into bytes. A region can't hold more than it is long. */
static uint64_t field_bytes(const struct mw_region *region, const char *value)
{
	uint64_t kib = strtoull(value, NULL, 10), size = region->map.end - region->map.start;

	return kib > size >> 10 ? size : kib << 10;
}

static void add_field(struct mw_region *region, const char *line, size_t len)
{
	char text[256];
	size_t n = len < sizeof(text) - 1 ? len : sizeof(text) - 1;
	char *value;

	memcpy(text, line, n);
	text[n] = '\0';
	value = strchr(text, ':');
	if (!value)
		return;
	*value++ = '\0';
	if (!strcmp(text, "Rss"))
		region->resident = field_bytes(region, value);
	else if (!strcmp(text, "Anonymous"))
		region->anonymous = field_bytes(region, value);
	else if (!strcmp(text, "Swap"))
		region->swapped = field_bytes(region, value);
	else if (!strcmp(text, "AnonHugePages"))
		region->thp = field_bytes(region, value);
	else if (!strcmp(text, "Shared_Hugetlb") || !strcmp(text, "Private_Hugetlb"))
		region->hugetlb += field_bytes(region, value);
	else if (!strcmp(text, "VmFlags")) {
		region->no_dump = strstr(value, " dd");
		region->io = strstr(value, " io") || strstr(value, " pf");
	}
}

int mw_smaps__parse(struct mw_regions *out, const char *text, size_t len, struct mw_err *err)
{
	const char *end = text + len;
	int ret = 0;

	memset(out, 0, sizeof(*out));
	while (text < end && !ret) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t n = eol ? (size_t)(eol - text) : (size_t)(end - text);

		/* Names of fields begin with a capital, addresses never do. */
		if (!isupper((unsigned char)*text))
			ret = add_header(out, text, n);
		else if (out->count)
			add_field(&out->regions[out->count - 1], text, n);
		else
			ret = -EINVAL;
		text += n + 1;
	}
	if (ret) {
		mw_err_set(err, ret, "bad-smaps", NULL, "mapping list unreadable at entry %zu",
			   out->count);
		mw_regions__free(out);
	}
	return ret;
}

static int read_once(struct mw_regions *out, pid_t pid, char **text, size_t *len,
		     struct mw_err *err)
{
	char path[64], where[32], *buf = NULL;
	size_t n = 0;
	int ret;

	memset(out, 0, sizeof(*out));
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	snprintf(where, sizeof(where), "PID %d", pid);
	ret = mw_file_read(path, 1 << 30, &buf, &n);
	if (ret == -ENOENT || ret == -ESRCH || (!ret && !n)) {
		free(buf);
		return mw_err_set(err, -ESRCH, "no-such-process", where,
				  "no memory of a process %d (any more)", pid);
	}
	if (ret)
		return mw_err_set(err, ret, ret == -EACCES ? "no-privilege" : "unreadable", where,
				  "can't read %s: %s%s%s", path, strerror(-ret),
				  ret == -EACCES ? "; " : "",
				  ret == -EACCES ? mw_err_access_hint() : "");
	ret = mw_smaps__parse(out, buf, n, err);
	if (!ret && text) {
		*text = buf;
		*len = n;
	} else {
		free(buf);
	}
	return ret;
}

int mw_smaps__read(struct mw_regions *out, pid_t pid, char **text, size_t *len, struct mw_err *err)
{
	struct mw_err why = {0};
	int ret = -EINVAL;

	/* The kernel writes a page at a time: where a mapping grows in between, two overlap. */
	for (int i = 0; i < READS && ret == -EINVAL; i++)
		ret = read_once(out, pid, text, len, &why);
	if (ret && err)
		*err = why;
	return ret;
}
