// SPDX-License-Identifier: GPL-2.0-or-later
/* Unpacks cores (zstd, gzip, LZ4 frames) into an unlinked sparse file. */
#include <errno.h>
#include <fcntl.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "image/image_impl.h"
#include "util/cleanup.h"

enum { IN_SIZE = 256 << 10, OUT_SIZE = 1 << 20, HOLE = 4096 };

struct unpack {
	int in, out;
	uint8_t *inbuf, *outbuf;
	uint64_t written;
	bool cut;
};

/* Write N bytes, zeros as holes. 0 or -errno. */
static int put(struct unpack *u, const uint8_t *data, size_t n)
{
	static const uint8_t zeros[HOLE];

	if (n > MW_UNPACKED_MAX - u->written)
		return -EFBIG;
	while (n) {
		size_t step = n < HOLE ? n : HOLE;
		ssize_t done = (ssize_t)step;

		while (step < n && step < OUT_SIZE && n - step >= HOLE &&
		       memcmp(data + step, zeros, HOLE))
			step += HOLE;
		if (step > HOLE || memcmp(data, zeros, step))
			done = pwrite(u->out, data, step, (off_t)u->written);
		if (done < 0)
			return -errno;
		if (!done)
			return -ENOSPC;
		data += done;
		n -= (size_t)done;
		u->written += (uint64_t)done;
	}
	return 0;
}

static ssize_t get(struct unpack *u)
{
	ssize_t n;

	do
		n = read(u->in, u->inbuf, IN_SIZE);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int unpack_zstd(struct unpack *u)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	size_t left = 1;
	ssize_t n = 0;
	int ret = stream ? 0 : -ENOMEM;

	/* A window over 128 MiB would let a small file claim any amount of memory. */
	if (stream)
		ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, 27);
	while (!ret && (n = get(u)) > 0) {
		ZSTD_inBuffer in = {u->inbuf, (size_t)n, 0};

		while (!ret && in.pos < in.size) {
			ZSTD_outBuffer out = {u->outbuf, OUT_SIZE, 0};

			left = ZSTD_decompressStream(stream, &out, &in);
			if (ZSTD_isError(left))
				ret = -EBADMSG;
			else
				ret = put(u, u->outbuf, out.pos);
		}
	}
	while (!ret && !n && left && !ZSTD_isError(left)) {
		ZSTD_inBuffer in = {u->inbuf, 0, 0};
		ZSTD_outBuffer out = {u->outbuf, OUT_SIZE, 0};

		left = ZSTD_decompressStream(stream, &out, &in);
		if (ZSTD_isError(left) || !out.pos)
			break;
		ret = put(u, u->outbuf, out.pos);
	}
	u->cut = left != 0;
	ZSTD_freeDStream(stream);
	return ret ? ret : n < 0 ? (int)n : 0;
}

static int unpack_gzip(struct unpack *u)
{
	z_stream z = {0};
	int state = Z_OK, ret = 0;
	ssize_t n = 0;

	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return -ENOMEM;
	while (!ret && (n = get(u)) > 0) {
		z.next_in = u->inbuf;
		z.avail_in = (uInt)n;
		do {
			z.next_out = u->outbuf;
			z.avail_out = OUT_SIZE;
			if (state == Z_STREAM_END) /* another member follows */
				inflateReset(&z);
			state = inflate(&z, Z_NO_FLUSH);
			if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
				ret = -EBADMSG;
			else
				ret = put(u, u->outbuf, OUT_SIZE - z.avail_out);
		} while (!ret && (z.avail_in || (!z.avail_out && state != Z_STREAM_END)));
	}
	u->cut = state != Z_STREAM_END;
	inflateEnd(&z);
	return ret ? ret : n < 0 ? (int)n : 0;
}

static int unpack_lz4(struct unpack *u)
{
	LZ4F_dctx *ctx = NULL;
	size_t hint = 1;
	ssize_t n = 0;
	int ret = 0;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)))
		return -ENOMEM;
	while (!ret && (n = get(u)) > 0) {
		size_t pos = 0;

		while (!ret && pos < (size_t)n) {
			size_t out = OUT_SIZE, in = (size_t)n - pos;

			hint = LZ4F_decompress(ctx, u->outbuf, &out, u->inbuf + pos, &in, NULL);
			if (LZ4F_isError(hint) || (!in && !out))
				ret = -EBADMSG;
			else
				ret = put(u, u->outbuf, out);
			pos += in;
		}
	}
	u->cut = hint != 0;
	LZ4F_freeDecompressionContext(ctx);
	return ret ? ret : n < 0 ? (int)n : 0;
}

static int temporary_file(void)
{
	const char *dir = getenv("TMPDIR");

	return open(dir && *dir ? dir : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

int mw_unpack(int fd, const char *name, bool *cut, struct mw_err *err)
{
	static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd}, lz4[] = {0x04, 0x22, 0x4d, 0x18};
	struct unpack u = {.in = fd};
	uint8_t magic[4] = {0};
	int ret;

	if (pread(fd, magic, sizeof(magic), 0) != sizeof(magic) ||
	    (memcmp(magic, zstd, 4) && memcmp(magic, lz4, 4) &&
	     (magic[0] != 0x1f || magic[1] != 0x8b)))
		return MW_UNPACK_PLAIN;
	u.out = temporary_file();
	if (u.out < 0)
		return mw_err_set(err, -errno, "unwritable", name,
				  "no temporary file to unpack it into (set TMPDIR): %s",
				  strerror(errno));
	u.inbuf = malloc(IN_SIZE);
	u.outbuf = malloc(OUT_SIZE);
	ret = !u.inbuf || !u.outbuf	? -ENOMEM
	      : !memcmp(magic, zstd, 4) ? unpack_zstd(&u)
	      : !memcmp(magic, lz4, 4)	? unpack_lz4(&u)
					: unpack_gzip(&u);
	free(u.inbuf);
	free(u.outbuf);
	if (ret == -EBADMSG) { /* damaged: what was unpacked so far is still good */
		u.cut = true;
		ret = 0;
	}
	if (!ret && ftruncate(u.out, (off_t)u.written))
		ret = -errno;
	if (ret) {
		close(u.out);
		return mw_err_set(err, ret, "unreadable", name, "can't unpack it: %s",
				  strerror(-ret));
	}
	*cut = u.cut;
	return u.out;
}
