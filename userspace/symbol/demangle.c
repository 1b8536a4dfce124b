// SPDX-License-Identifier: GPL-2.0-or-later
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>

#include "symbol/demangle.h"
#include "util/text.h"

/* Longer names are refused: libiberty's stack grows with the square of the length. */
enum { MANGLED_MAX = 1024 };

struct output {
	char text[1024];
	size_t used;
	jmp_buf full;
};

/*
 * A name of some hundred bytes can stand for one of 2^50, because names refer back to their parts.
 * So leave the demangler once the buffer is full; it has allocated nothing when it calls us.
 */
static void append(const char *text, size_t len, void *arg)
{
	struct output *out = arg;
	size_t room = sizeof(out->text) - out->used, n = len < room ? len : room;

	if (n)
		memcpy(out->text + out->used, text, n);
	out->used += n;
	if (n < len)
		longjmp(out->full, 1);
}

static bool demangle(struct output *out, const char *name)
{
	out->used = 0;
	if (setjmp(out->full))
		return true;
	/* Rust first: its older names look like those of C++. */
	if (rust_demangle_callback(name, DMGL_NO_OPTS, append, out))
		return true;
	out->used = 0;
	return cplus_demangle_v3_callback(name, DMGL_NO_OPTS, append, out);
}

char *mw_demangle(char *buf, size_t size, const char *name)
{
	size_t len = strcspn(name, "@"); /* "memcpy@@GLIBC_2.14": its version */
	char plain[MANGLED_MAX + 1];
	struct output out;

	if ((!strncmp(name, "_Z", 2) || !strncmp(name, "_R", 2)) && len <= MANGLED_MAX) {
		memcpy(plain, name, len);
		plain[len] = '\0';
		if (demangle(&out, plain))
			return mw_text_clean(buf, size, out.text, out.used);
	}
	return mw_text_clean(buf, size, name, len);
}
