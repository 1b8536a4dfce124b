// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/code.h"
#include "util/array.h"

static bool begins(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/*
 * ---- scripts ----------------------------------------------------------------------------------
 */

/*
 * Behind ".../lib/python3.11/", which also ends with "t/" (free-threaded) or ".zip/". Debian keeps
 * the packages of all versions in /usr/lib/python3.
 */
static const char *behind_python(const char *file)
{
	static const char *const libs[] = {"/lib/python", "/lib/pypy", "/lib64/python"};

	for (size_t i = 0; i < MW_ARRAY_SIZE(libs); i++) {
		for (const char *p = strstr(file, libs[i]); p; p = strstr(p + 1, libs[i])) {
			const char *version = p + strlen(libs[i]);
			const char *end = version + strspn(version, "0123456789.");

			if (end == version)
				continue;
			if (begins(end, "zip/"))
				return end + 4;
			end += *end == 't';
			if (*end == '/')
				return end + 1;
		}
	}
	return NULL;
}

static const char *behind_packages(const char *file)
{
	static const char *const folders[] = {"/site-packages/", "/dist-packages/",
					      "/node_modules/"};
	const char *behind = NULL;

	for (size_t i = 0; i < MW_ARRAY_SIZE(folders); i++) {
		for (const char *p = strstr(file, folders[i]); p; p = strstr(p + 1, folders[i]))
			behind = p + strlen(folders[i]) > behind ? p + strlen(folders[i]) : behind;
	}
	return behind;
}

const char *mw_code_package(const char *file, size_t *len)
{
	const char *begin = behind_packages(file), *slash;

	if (!begin)
		begin = behind_python(file);
	if (begin) {
		*len = strcspn(begin, "/");
		return begin;
	}
	slash = strrchr(file, '/');
	*len = slash ? (size_t)(slash - file) : 0;
	return file;
}

/* "<string>" is what a user gave to python -c, or __init__ and the like that a library wrote. */
static bool is_generated(const struct mw_script *s)
{
	static const char *const makers[] = {"<frozen", "<__array_function__", "<decorator-gen",
					     "<attrs generated"};

	for (size_t i = 0; i < MW_ARRAY_SIZE(makers); i++) {
		if (begins(s->file, makers[i]))
			return true;
	}
	return begins(s->file, "<string>") && s->function_len > 2 &&
	       !memcmp(s->function + s->function_len - 2, "__", 2);
}

static enum mw_code code_of_script(const struct mw_script *s)
{
	char file[1024];

	snprintf(file, sizeof(file), "%.*s", (int)s->file_len, s->file);
	if (behind_packages(file))
		return MW_CODE_PACKAGE;
	return behind_python(file) || is_generated(s) || begins(file, "node:") ? MW_CODE_LANGUAGE
									       : MW_CODE_OWN;
}

/* "JS:*handle /srv/app.js:3:18": kind, how it was compiled, name, file, line, column. */
static bool read_v8(const char *text, struct mw_script *out)
{
	static const char *const kinds[] = {"JS:", "LazyCompile:", "Function:", "Script:", "Eval:"};
	const char *file, *colon, *end;
	char *after;

	for (size_t i = 0; i < MW_ARRAY_SIZE(kinds); i++) {
		if (!begins(text, kinds[i]))
			continue;
		out->function = text + strlen(kinds[i]);
		out->function += strspn(out->function, "~^*+'");
		file = strchr(out->function, ' ');
		end = strrchr(text, ':');
		if (!file || !end || end < file)
			return false;
		out->function_len = (size_t)(file - out->function);
		out->file = file + 1;
		for (colon = end; colon > file && (colon == end || *colon != ':'); colon--)
			;
		if (*colon != ':')
			return false;
		out->line = (uint32_t)strtoul(colon + 1, &after, 10);
		out->file_len = (size_t)(colon - out->file);
		return after == end;
	}
	return false;
}

bool mw_code_script(const struct mw_frame *f, struct mw_script *out)
{
	if (f->kind == MW_FRAME_PYTHON) {
		*out = (struct mw_script){f->file, f->function, strlen(f->file),
					  strlen(f->function), f->line};
		return true;
	}
	return f->kind == MW_FRAME_NATIVE && read_v8(f->function, out);
}

/*
 * ---- native -----------------------------------------------------------------------------------
 */

static bool is_allocator(const char *function)
{
	static const char *const names[] = {
		"malloc",
		"calloc",
		"realloc",
		"reallocarray",
		"memalign",
		"aligned_alloc",
		"posix_memalign",
		"valloc",
		"pvalloc",
		"malloc_consolidate",
		"sysmalloc",
		"sysmalloc_mmap",
		"malloc_hook_ini",
		"grow_heap",
		"new_heap",
		"arena_get2",
		"alloc_new_heap",
		"_mid_memalign",
		"mmap",
		"mmap64",
		"mremap",
		"brk",
		"sbrk",
		"__brk",
		"__sbrk",
		"__mmap",
		"__mmap64",
		"__mremap",
		"__libc_malloc",
		"__libc_calloc",
		"__libc_realloc",
		"__libc_memalign",
		"__libc_valloc",
		"__libc_pvalloc",
		"__default_morecore",
		"__glibc_morecore",
		"new_arena",
	};
	static const char *const prefixes[] = {
		"_int_",
		"tcache_",
		"PyObject_Malloc",
		"PyObject_Calloc",
		"PyObject_Realloc",
		"PyMem_",
		"_PyMem_",
		"_PyObject_",
		"pymalloc_",
		"operator new",
		"_Znw",
		"_Zna",
		"je_malloc",
		"je_calloc",
		"je_realloc",
		"mi_malloc",
		"mi_calloc",
		"mi_realloc",
		"_mi_",
		"runtime.", /* Go's */
		"tc_malloc",
		"tc_calloc",
		"tc_realloc",
	};

	for (size_t i = 0; i < MW_ARRAY_SIZE(names); i++) {
		if (!strcmp(function, names[i]))
			return true;
	}
	for (size_t i = 0; i < MW_ARRAY_SIZE(prefixes); i++) {
		if (!strncmp(function, prefixes[i], strlen(prefixes[i])))
			return true;
	}
	return false;
}

/* The name without what a template's function returns: "void std::vector<int>::push_back<int>". */
static const char *qualified(const char *function)
{
	const char *begin = function;
	int depth = 0;

	for (const char *p = function; *p && *p != '('; p++) {
		depth += (*p == '<') - (*p == '>');
		if (*p == ' ' && !depth && !begins(p + 1, "(") && !begins(p + 1, "const"))
			begin = p + 1;
	}
	return begin;
}

/* Rust and C++ say in a symbol what is of their standard libraries. */
static bool is_language_name(const char *function)
{
	static const char *const spaces[] = {"std::",	"core::",  "alloc::", "<alloc::",
					     "<core::", "<std::",  "__rust_", "__rdl_",
					     "__rg_",	"__rustc", "std::",   "__gnu_cxx::"};

	for (size_t i = 0; i < MW_ARRAY_SIZE(spaces); i++) {
		if (begins(function, spaces[i]))
			return true;
	}
	return !strcmp(function, "_start") ||
	       (strstr(function, "std::") && begins(qualified(function), "std::"));
}

/* By the module's name, or by the path of the source, where lines are known. */
static bool is_language_file(const char *file)
{
	static const char *const modules[] = {"libc.so",  "libc-2.",	  "libc.musl-", "ld-linux",
					      "ld-musl-", "libstdc++.so", "libc++.so",	"libgcc_s.",
					      "libm.so",  "libpthread.so"};
	static const char *const parts[] = {
		"/rustc/",	 "/rustc-",	    "/rustlib/",   "/rust/deps/",
		"/include/c++/", "/libstdc++-v3/",  "../sysdeps/", "../csu/",
		"./csu/",	 "./nptl/",	    "./malloc/",   "./string/",
		"./libio/",	 "./stdio-common/", "./stdlib/",   "./elf/dl-"};

	for (size_t i = 0; i < MW_ARRAY_SIZE(modules); i++) {
		if (begins(file, modules[i]))
			return true;
	}
	for (size_t i = 0; strchr(file, '/') && i < MW_ARRAY_SIZE(parts); i++) {
		/* The C library's sources have relative paths: "./string/strdup.c". */
		const char *at = strstr(file, parts[i]);

		if (at && (parts[i][0] == '/' || at == file))
			return true;
	}
	return false;
}

enum mw_code mw_code_of(const struct mw_frame *f)
{
	struct mw_script script;

	if (f->kind == MW_FRAME_NOTE)
		return MW_CODE_NOTE;
	if (mw_code_script(f, &script))
		return code_of_script(&script);
	if (is_allocator(f->function))
		return MW_CODE_ALLOCATOR;
	if (is_language_name(f->function) || is_language_file(f->file))
		return MW_CODE_LANGUAGE;
	return strstr(f->file, "/.cargo/registry/") || strstr(f->file, "/cargo/registry/")
		       ? MW_CODE_PACKAGE
		       : MW_CODE_OWN;
}
