/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Read words from a buffer at any alignment; the caller has checked the bounds. */
#ifndef MW_UTIL_BYTES_H
#define MW_UTIL_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint64_t mw_u64_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t mw_u32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t mw_u16_at(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

#endif
