// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "model/code.h"
#include "model/labels.h"
#include "util/array.h"
#include "util/text.h"

enum { FRAME_SIZE = 160 };

static bool is_text(const char *text, size_t len, const char *want)
{
	return len == strlen(want) && !memcmp(text, want, len);
}

static bool is_module(const struct mw_script *s)
{
	return is_text(s->function, s->function_len, "<module>");
}

/* The name of a file, without its folders. */
static const char *base_of(const struct mw_script *s, size_t *len)
{
	const char *base = s->file + s->file_len;

	while (base > s->file && base[-1] != '/')
		base--;
	*len = (size_t)(s->file + s->file_len - base);
	return *len ? base : s->file;
}

/*
 * ---- scripts ----------------------------------------------------------------------------------
 */

enum { NONE = UINT32_MAX };

/* The frames that have run in a thread, and behind them those of tasks that await its task. */
static uint32_t end_of_thread(const struct mw_site_stats *site)
{
	uint32_t i = 0;

	while (i < site->frame_count && !(site->frames[i].kind == MW_FRAME_NOTE &&
					  !strcmp(site->frames[i].function, "awaited by")))
		i++;
	return i;
}

/* What only starts another program: an executable without a suffix in a bin folder, manage.py. */
static bool is_launcher(const struct mw_script *s)
{
	size_t len;
	const char *base = base_of(s, &len);

	if (is_text(base, len, "manage.py"))
		return true;
	if (!is_module(s) || memchr(base, '.', len))
		return false;
	return (base - s->file >= 5 && !memcmp(base - 5, "/bin/", 5)) ||
	       (base - s->file >= 6 && !memcmp(base - 6, "/sbin/", 6));
}

static bool is_own(const struct mw_frame *f)
{
	struct mw_script s;

	return mw_code_script(f, &s) && mw_code_of(f) == MW_CODE_OWN && !is_launcher(&s);
}

/* The importing of modules is between a module and the line that imports it, and says nothing. */
static bool is_import(const struct mw_frame *f)
{
	return f->kind == MW_FRAME_PYTHON && !strncmp(f->file, "<frozen importlib", 17);
}

/*
 * A loop or a thread that calls back what was given to it: who started it is not who asked for
 * memory.
 */
static bool is_loop(const struct mw_frame *f)
{
	static const char *const files[] = {"/asyncio/", "/threading.py", "/socketserver.py",
					    "/concurrent/futures/", "/multiprocessing/"};

	for (size_t i = 0; i < MW_ARRAY_SIZE(files); i++) {
		if (mw_code_of(f) == MW_CODE_LANGUAGE && strstr(f->file, files[i]))
			return true;
	}
	return false;
}

/* The first frame in [FROM, TO) that is a script's, and what CODE says; NONE. */
static uint32_t find_script(const struct mw_site_stats *site, uint32_t from, uint32_t to,
			    enum mw_code code)
{
	for (uint32_t i = from; i < to; i++) {
		const struct mw_frame *f = &site->frames[i];
		struct mw_script s;

		if (code == MW_CODE_OWN ? is_own(f)
					: mw_code_script(f, &s) && mw_code_of(f) == code)
			return i;
	}
	return NONE;
}

static uint32_t any_script(const struct mw_site_stats *site, uint32_t from)
{
	struct mw_script s;

	for (uint32_t i = from; i < site->frame_count; i++) {
		if (mw_code_script(&site->frames[i], &s))
			return i;
	}
	return NONE;
}

static bool is_behind_loop(const struct mw_site_stats *site, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++) {
		if (is_loop(&site->frames[i]))
			return true;
	}
	return false;
}

/*
 * Who asked: the innermost own frame. Of an installed program all is in packages; then it is the
 * innermost of those. A module that only started the loop that everything runs in comes last.
 */
static uint32_t find_asker(const struct mw_site_stats *site)
{
	uint32_t own = find_script(site, 0, site->frame_count, MW_CODE_OWN);
	uint32_t package = find_script(site, 0, site->frame_count, MW_CODE_PACKAGE);
	struct mw_script s;

	if (own != NONE && mw_code_script(&site->frames[own], &s) &&
	    (package == NONE || !is_module(&s) || !is_behind_loop(site, own)))
		return own;
	if (package != NONE && !is_behind_loop(site, package))
		return package;
	return any_script(site, 0);
}

/*
 * The own frame that called the one at AT: the next one, or one that came there through a library.
 * The module that started everything did so too, and says nothing.
 */
static uint32_t own_caller(const struct mw_site_stats *site, uint32_t at)
{
	uint32_t end = end_of_thread(site), next = at + 1, found;
	struct mw_script s;

	while (next < end &&
	       (is_import(&site->frames[next]) || !mw_code_script(&site->frames[next], &s)))
		next++;
	if (next < end && is_own(&site->frames[next]))
		return next;
	/* A task is called by who awaits it, not by who runs the loop. */
	if (at < end) {
		found = find_script(site, end, site->frame_count, MW_CODE_OWN);
		if (found != NONE)
			return found;
	} else {
		end = site->frame_count;
	}
	found = find_script(site, next, end, MW_CODE_OWN);
	if (found == NONE)
		return NONE;
	mw_code_script(&site->frames[found], &s);
	return is_module(&s) ? NONE : found;
}

/* The frame of another package, or else of another function, that called the one at AT. */
static uint32_t package_caller(const struct mw_site_stats *site, uint32_t at)
{
	uint32_t next = any_script(site, at + 1);
	struct mw_script from, s;
	size_t len, other;
	const char *package;
	char file[1024];

	mw_code_script(&site->frames[at], &from);
	snprintf(file, sizeof(file), "%.*s", (int)from.file_len, from.file);
	package = mw_code_package(file, &len);
	for (uint32_t i = next; i < site->frame_count; i++) {
		const char *name;
		char outer[1024];

		if (!mw_code_script(&site->frames[i], &s) ||
		    mw_code_of(&site->frames[i]) != MW_CODE_PACKAGE)
			continue;
		snprintf(outer, sizeof(outer), "%.*s", (int)s.file_len, s.file);
		name = mw_code_package(outer, &other);
		if (other != len || memcmp(name, package, len))
			return i;
	}
	return next;
}

/*
 * ---- text -------------------------------------------------------------------------------------
 */

/*
 * "app.py:13 remember"; "json/__init__.py": that name alone says nothing. WITH_LINE: not of what
 * was called, where the line differs from one allocation to the next.
 */
static void write_script(const struct mw_frame *f, bool with_line, char *buf, size_t size)
{
	struct mw_script s;
	size_t len;
	const char *base;
	char line[16] = "";

	mw_code_script(f, &s);
	base = base_of(&s, &len);
	if (!strncmp(s.file, "node:", 5)) {
		base = s.file;
		len = s.file_len;
	}
	if (len > 5 && !memcmp(base, "__", 2) && base > s.file + 1) {
		base--;
		while (base > s.file && base[-1] != '/')
			base--;
		len = (size_t)(s.file + s.file_len - base);
	}
	if (with_line && s.line)
		snprintf(line, sizeof(line), ":%u", s.line);
	snprintf(buf, size, "%.*s%s %.*s", (int)len, base, line,
		 s.function_len ? (int)s.function_len : 11,
		 s.function_len ? s.function : "(anonymous)");
}

/* "redis-server setKey", "app.c remember:13". AFTER: its module has been said, if it is the same.
 */
static void write_native(const struct mw_frame *f, const struct mw_frame *after, char *buf,
			 size_t size)
{
	struct mw_frame plain = *f;

	/* The place in a function would make a row of each call. */
	if (f->function[0] && !f->line)
		snprintf(buf, size, "%s%s%s", after && !strcmp(after->file, f->file) ? "" : f->file,
			 after && !strcmp(after->file, f->file) ? "" : " ", f->function);
	else
		mw_frame_format(&plain, buf, size);
}

static void write_frame(const struct mw_frame *f, bool with_line, char *buf, size_t size)
{
	struct mw_script s;

	if (mw_code_script(f, &s))
		write_script(f, with_line, buf, size);
	else
		write_native(f, NULL, buf, size);
}

static char *join(char *buf, size_t size, const char *name, const char *arrow, const char *other)
{
	char whole[2 * FRAME_SIZE + 8];

	snprintf(whole, sizeof(whole), "%s%s%s", name, arrow, other);
	return mw_text_clean(buf, size, whole, strlen(whole));
}

/* What the own frame at AT called on the way to the memory; NONE: nothing that is worth a word. */
static uint32_t callee(const struct mw_site_stats *site, const struct mw_wrappers *wrappers,
		       uint32_t at)
{
	uint32_t first = mw_wrappers__skip(wrappers, site);
	struct mw_script s;

	for (uint32_t i = at; i-- > 0;) {
		const struct mw_frame *f = &site->frames[i];

		if (is_import(f))
			return NONE;
		if (mw_code_script(f, &s))
			return i;
		/* Native code that was called, unless it is on the way into the allocator, or V8's.
		 */
		if (site->frames[at].kind == MW_FRAME_PYTHON && i >= first && f->function[0] &&
		    mw_code_of(f) == MW_CODE_OWN)
			return i;
	}
	return NONE;
}

static char *label_script(const struct mw_site_stats *site, const struct mw_wrappers *wrappers,
			  char *buf, size_t size)
{
	uint32_t at = find_asker(site);
	uint32_t other =
		is_own(&site->frames[at]) ? own_caller(site, at) : package_caller(site, at);
	char name[FRAME_SIZE], text[FRAME_SIZE];

	write_frame(&site->frames[at], true, name, sizeof(name));
	if (other != NONE) {
		write_frame(&site->frames[other], true, text, sizeof(text));
		return join(buf, size, name, " <- ", text);
	}
	other = callee(site, wrappers, at);
	if (other == NONE)
		return join(buf, size, name, "", "");
	write_frame(&site->frames[other], false, text, sizeof(text));
	return join(buf, size, name, " -> ", text);
}

/* The next native frame from AT on that is not the language's, with a name if there is one. */
static uint32_t native_caller(const struct mw_site_stats *site, uint32_t at)
{
	uint32_t nameless = NONE;

	for (uint32_t i = at + 1; i < site->frame_count; i++) {
		const struct mw_frame *f = &site->frames[i];

		if (f->kind != MW_FRAME_NATIVE || mw_code_of(f) == MW_CODE_LANGUAGE ||
		    mw_code_of(f) == MW_CODE_ALLOCATOR)
			continue;
		if (f->function[0])
			return i;
		if (nameless == NONE)
			nameless = i;
	}
	return nameless;
}

static char *label_native(const struct mw_site_stats *site, const struct mw_wrappers *wrappers,
			  char *buf, size_t size)
{
	uint32_t at = mw_wrappers__skip(wrappers, site), other;
	char name[FRAME_SIZE], text[FRAME_SIZE];

	/* The allocator and the language's library are better than nothing, and then the notes. */
	if (at == site->frame_count)
		at = 0;
	for (uint32_t i = 0; site->frames[at].kind == MW_FRAME_NOTE && i < site->frame_count; i++) {
		if (site->frames[i].kind == MW_FRAME_NATIVE)
			at = i;
	}
	if (site->frames[at].kind == MW_FRAME_NOTE)
		return mw_frame_format(&site->frames[at], buf, size);
	write_native(&site->frames[at], NULL, name, sizeof(name));
	other = native_caller(site, at);
	if (other == NONE)
		return join(buf, size, name, "", "");
	write_native(&site->frames[other], &site->frames[at], text, sizeof(text));
	return join(buf, size, name, " <- ", text);
}

char *mw_label_format(const struct mw_site_stats *site, const struct mw_wrappers *wrappers,
		      char *buf, size_t size)
{
	if (!site->frame_count)
		return mw_text_clean(buf, size, "?", 1);
	return any_script(site, 0) != NONE ? label_script(site, wrappers, buf, size)
					   : label_native(site, wrappers, buf, size);
}
