// SPDX-License-Identifier: GPL-2.0-or-later
/* Images that read with a caller's functions: pieces, holes, interruption, files' ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "image/image.h"
#include "tests/unit/test.h"

enum { BASE = 0x10003000, SIZE = 0x45000, HOLE = 0x12000, HOLE_END = 0x13000 };

struct memory {
	uint8_t bytes[SIZE];
	unsigned int calls, closed;
	bool interrupt;
};

/* All but the hole can be read, as a debugger does it: up to there. */
static ssize_t memory_read(void *arg, uint64_t addr, void *buf, size_t len)
{
	struct memory *m = arg;
	uint64_t off = addr - BASE;

	m->calls++;
	if (m->interrupt)
		return -EINTR;
	if (addr < BASE || off >= SIZE || (off >= HOLE && off < HOLE_END))
		return -EFAULT;
	if (off < HOLE && len > HOLE - off)
		len = HOLE - off;
	if (len > SIZE - off)
		len = SIZE - off;
	memcpy(buf, m->bytes + off, len);
	return (ssize_t)len;
}

static void memory_close(void *arg)
{
	((struct memory *)arg)->closed++;
}

static struct mw_image *open_memory(struct memory *m)
{
	struct mw_image_callbacks callbacks = {
		.read = memory_read, .close = memory_close, .arg = m};
	struct mw_regions regions = {0};
	struct mw_region *region = mw_regions__add(&regions);

	region->map.start = BASE;
	region->map.end = BASE + SIZE;
	region->map.readable = true;
	region->resident = SIZE;
	for (size_t i = 0; i < SIZE; i++)
		m->bytes[i] = (uint8_t)(i * 2654435761U >> 13);
	return mw_image__open_callbacks(&callbacks, &regions);
}

TEST(every_read_equals_memory)
{
	static struct memory m;
	struct mw_image *image = open_memory(&m);
	static const size_t lens[] = {1, 8, 4095, 4097, 65535, 65536, 65537, 262144};
	static uint8_t buf[1 << 19];

	for (uint64_t off = 0; off < SIZE + 4096; off += 1021) {
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			uint64_t end = off < HOLE ? HOLE : SIZE;
			size_t want = off >= end || (off >= HOLE && off < HOLE_END) ? 0 : end - off;
			ssize_t n = mw_image__read(image, BASE + off, buf, lens[i]);

			want = want < lens[i] ? want : lens[i];
			CHECK((n > 0 ? (size_t)n : 0) == want);
			CHECK(!want || !memcmp(buf, m.bytes + off, want));
		}
	}
	mw_image__close(image);
	CHECK(m.closed == 1);
	m.closed = 0;
}

TEST(small_reads_share_pieces)
{
	static struct memory m;
	struct mw_image *image = open_memory(&m);
	uint64_t word;

	m.calls = 0;
	for (uint64_t off = HOLE_END; off + 8 <= SIZE; off += 8)
		CHECK(mw_image__read_u64(image, BASE + off, &word));
	/* One fails at the hole, one goes on behind it, then there are three more pieces. */
	CHECK_INT(m.calls, 5);
	m.calls = 0;
	for (uint64_t off = 0x20000; off + 8 <= SIZE; off += 8)
		CHECK(mw_image__read_u64(image, BASE + off, &word));
	CHECK_INT(m.calls, 0);
	mw_image__close(image);
}

TEST(an_interruption_lasts)
{
	static struct memory m;
	struct mw_image *image = open_memory(&m);
	uint8_t byte;

	m.interrupt = true;
	CHECK(mw_image__read(image, BASE, &byte, 1) == -EINTR);
	m.calls = 0;
	m.interrupt = false;
	CHECK(mw_image__read(image, BASE + 0x20000, &byte, 1) == -EINTR);
	CHECK_INT(m.calls, 0);
	mw_image__close(image);
}

static const char smaps[] = "10003000-10023000 rw-p 00000000 00:00 0\n"
			    "Rss:                  64 kB\n"
			    "10023000-10048000 rw-p 00000000 00:00 0    [heap]\n"
			    "Rss:                 148 kB\n";

static int gather(void *arg, const char *text, size_t len)
{
	return fwrite(text, 1, len, arg) != len;
}

static int refuse(void *arg, const char *text, size_t len)
{
	(void)arg;
	(void)text;
	(void)len;
	return 1;
}

TEST(a_description_makes_an_engine)
{
	static struct memory m;
	const struct mw_image_description description = {
		.name = "far \033 away", .pid = 7, .smaps = smaps, .smaps_len = sizeof(smaps) - 1};
	const struct mw_engine_target target = {.description = &description};
	const struct mw_image_callbacks callbacks = {
		.read = memory_read, .close = memory_close, .arg = &m};
	const struct mw_request request = {0};
	struct mw_engine_output output = {.write = gather};
	struct mw_err err = {0};
	struct mw_engine *engine = mw_engine__open(&target, &callbacks, &err);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	CHECK(engine && out);
	if (!engine || !out)
		return;
	output.arg = out;
	CHECK(!mw_engine__write(engine, "ledger", &request, &output, &err));
	fclose(out);
	/* 64 + 148 KiB, nobody's but the heap's region; estimates say so. */
	CHECK(strstr(text, "far ? away: 212.0 KiB resident"));
	CHECK(strstr(text, "estimates"));
	free(text);
	output.write = refuse;
	CHECK_INT(mw_engine__write(engine, "ledger", &request, &output, &err), -EPIPE);
	CHECK_INT(mw_engine__write(engine, "weather", &request, &output, &err), -EINVAL);
	mw_engine__close(engine);
	CHECK(!m.closed);
}
