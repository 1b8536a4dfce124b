// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "image/maps.h"
#include <unistd.h>

#include "tests/unit/test.h"

static const char sample[] =
	"55d0c8a00000-55d0c8a02000 r--p 00000000 fe:00 1234                       /usr/bin/a b\n"
	"55d0c8a02000-55d0c8a04000 r-xp 00002000 fe:00 1234                       /usr/bin/a b\n"
	"55d0ca000000-55d0ca021000 rw-p 00000000 00:00 0                          [heap]\n"
	"7f0000000000-7f0000001000 rw-s 00000000 00:01 77                         /dev/zero (deleted)\n"
	"7f0000002000-7f0000003000 ---p 00000000 00:00 0 \n";

TEST(maps_are_read)
{
	struct mw_maps maps;

	CHECK_INT(mw_maps__parse(&maps, sample, strlen(sample), NULL), 0);
	CHECK_INT(maps.count, 5);
	CHECK_STR(maps.maps[1].path, "/usr/bin/a b");
	CHECK(maps.maps[1].executable && !maps.maps[1].writable && !maps.maps[1].shared);
	CHECK_INT(maps.maps[1].offset, 0x2000);
	CHECK_INT(maps.maps[1].inode, 1234);
	CHECK_INT(maps.maps[1].major, 0xfe);
	CHECK_STR(maps.maps[3].path, "/dev/zero");
	CHECK(maps.maps[3].deleted && maps.maps[3].shared);
	CHECK_STR(maps.maps[4].path, "");
	CHECK(!maps.maps[4].readable);
	CHECK(mw_maps__find(&maps, 0x55d0c8a02000) == &maps.maps[1]);
	CHECK(mw_maps__find(&maps, 0x55d0c8a03fff) == &maps.maps[1]);
	CHECK(!mw_maps__find(&maps, 0x55d0c8a04000));
	CHECK(!mw_maps__find(&maps, 0));
	CHECK(!mw_maps__find(&maps, UINT64_MAX));
	CHECK(mw_maps__named(&maps, "[heap]") == &maps.maps[2]);
	CHECK(!mw_maps__named(&maps, "[stack]"));
	mw_maps__free(&maps);
}

TEST(bad_maps_are_refused)
{
	static const char *const bad[] = {
		"hello\n",
		"2000-1000 r--p 0 0:0 0\n",
		"1000-1000 r--p 0 0:0 0\n",
		"1000-2000 rw 0 0:0 0\n",
		"2000-3000 r--p 0 0:0 0\n1000-2800 r--p 0 0:0 0\n",
	};
	struct mw_maps maps;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(mw_maps__parse(&maps, bad[i], strlen(bad[i]), NULL), -EINVAL);
	CHECK_INT(mw_maps__parse(&maps, "", 0, NULL), 0);
	CHECK_INT(maps.count, 0);
	mw_maps__free(&maps);
}

TEST(our_own_maps_hold_our_own_code)
{
	const struct mw_map *map;
	struct mw_maps maps;
	char path[4096];

	CHECK_INT(mw_maps__read(&maps, getpid(), NULL), 0);
	map = mw_maps__find(&maps, (uintptr_t)strdup);
	CHECK(map && map->executable);
	map = mw_maps__find(&maps, (uintptr_t)main);
	CHECK(map && map->executable && map->inode);
	CHECK_INT(mw_map__file_path(map, getpid(), path, sizeof(path)), 0);
	mw_maps__free(&maps);
	CHECK_INT(mw_maps__read(&maps, 4194303, NULL), -ESRCH);
}
