// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/type_counts.h"
#include "util/u64map.h"
#include "util/units.h"

struct mw_type_names {
	struct mw_u64map by_hash; /* and the next number where two names share one */
};

struct mw_type_names *mw_type_names__new(void)
{
	return calloc(1, sizeof(struct mw_type_names));
}

void mw_type_names__free(struct mw_type_names *names)
{
	if (!names)
		return;
	for (size_t i = 0; names->by_hash.slots && i <= names->by_hash.mask; i++)
		free(names->by_hash.slots[i].value);
	mw_u64map__free(&names->by_hash);
	free(names);
}

static uint64_t hash_of(const struct mw_type_name *name)
{
	const unsigned char *p = (const unsigned char *)name;
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < sizeof(*name); i++)
		hash = (hash ^ p[i]) * 0x100000001b3ULL; /* FNV-1a */
	return hash;
}

const struct mw_type_name *mw_type_names__intern(struct mw_type_names *names, const char *name,
						 const char *module)
{
	struct mw_type_name wanted = {0}, *found;
	uint64_t key;

	snprintf(wanted.name, sizeof(wanted.name), "%s", name);
	snprintf(wanted.module, sizeof(wanted.module), "%s", module);
	for (key = hash_of(&wanted);; key++) {
		found = mw_u64map__find(&names->by_hash, key);
		if (!found)
			break;
		if (!memcmp(found, &wanted, sizeof(wanted)))
			return found;
	}
	found = malloc(sizeof(*found));
	if (!found)
		return NULL;
	*found = wanted;
	if (!mw_u64map__set(&names->by_hash, key, found))
		return found;
	free(found);
	return NULL;
}

void mw_type_counts__add(struct mw_type_counts *counts, const struct mw_type_name *type,
			 double count, double bytes, double samples)
{
	size_t i = 0;

	while (i < counts->count && counts->list[i].type != type)
		i++;
	if (i == MW_TYPE_COUNTS)
		return;
	if (i == counts->count)
		counts->list[counts->count++] = (struct mw_type_count){.type = type};
	counts->list[i].count += count;
	counts->list[i].bytes += bytes;
	counts->list[i].samples += samples;
}

void mw_type_counts__add_all(struct mw_type_counts *to, const struct mw_type_counts *from)
{
	for (size_t i = 0; i < from->count; i++)
		mw_type_counts__add(to, from->list[i].type, from->list[i].count,
				    from->list[i].bytes, from->list[i].samples);
}

static int by_bytes(const void *a, const void *b)
{
	const struct mw_type_count *x = a, *y = b;

	return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1)
				    : strcmp(x->type->name, y->type->name);
}

void mw_type_counts__sort(struct mw_type_counts *counts)
{
	qsort(counts->list, counts->count, sizeof(counts->list[0]), by_bytes);
}

char *mw_type_counts__format(const struct mw_type_counts *counts, size_t max, char *buf,
			     size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < counts->count && i < max; i++) {
		const struct mw_type_name *type = counts->list[i].type;
		bool plain = !type->module[0] || !strcmp(type->module, "builtins") ||
			     !strcmp(type->module, "__builtin__");
		char number[MW_UNIT_BUF];
		int n = snprintf(buf + used, size - used, "%s%s%s%s %s", i ? ", " : "",
				 plain ? "" : type->module, plain ? "" : ".", type->name,
				 mw_format_count(number, (uint64_t)(counts->list[i].count + 0.5)));

		if (n < 0 || (size_t)n >= size - used) {
			buf[used] = '\0';
			break;
		}
		used += (size_t)n;
	}
	return buf;
}
