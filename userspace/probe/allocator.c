// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/allocator.h"
#include "probe/runtime.h"
#include "util/array.h"
#include "util/log.h"
#include "util/text.h"

enum { CODE_MAX = 16384 };

/* Argument registers that the entry program reads. */
#define ARG1 MW_ARG_1
#define ARG2 (MW_ARG_1 | MW_ARG_2)
#define ARG3 (MW_ARG_1 | MW_ARG_2 | MW_ARG_3)

/*
 * Names of one address count once, under the first name listed here: glibc's aligned_alloc is its
 * memalign, cfree its free. The C++ names are those of the Itanium ABI, size_t being `m`.
 */
static const struct {
	enum mw_func func;
	const char *name;
	uint32_t args;
} function_table[] = {
	{MW_FUNC_MALLOC, "malloc", ARG1},
	{MW_FUNC_CALLOC, "calloc", ARG2},
	{MW_FUNC_REALLOC, "realloc", ARG2},
	{MW_FUNC_REALLOCARRAY, "reallocarray", ARG3},
	{MW_FUNC_POSIX_MEMALIGN, "posix_memalign", ARG3},
	{MW_FUNC_ALIGNED_ALLOC, "aligned_alloc", ARG2},
	{MW_FUNC_MEMALIGN, "memalign", ARG2},
	{MW_FUNC_VALLOC, "valloc", ARG1},
	{MW_FUNC_PVALLOC, "pvalloc", ARG1},
	{MW_FUNC_FREE, "free", ARG1},
	{MW_FUNC_CFREE, "cfree", ARG1},
	{MW_FUNC_FREE_SIZED, "free_sized", ARG1},
	{MW_FUNC_FREE_ALIGNED_SIZED, "free_aligned_sized", ARG1},
	{MW_FUNC_NEW, "_Znwm", ARG1},
	{MW_FUNC_NEW, "_Znam", ARG1},
	{MW_FUNC_NEW, "_ZnwmRKSt9nothrow_t", ARG1},
	{MW_FUNC_NEW, "_ZnamRKSt9nothrow_t", ARG1},
	{MW_FUNC_NEW, "_ZnwmSt11align_val_t", ARG1},
	{MW_FUNC_NEW, "_ZnamSt11align_val_t", ARG1},
	{MW_FUNC_NEW, "_ZnwmSt11align_val_tRKSt9nothrow_t", ARG1},
	{MW_FUNC_NEW, "_ZnamSt11align_val_tRKSt9nothrow_t", ARG1},
	{MW_FUNC_DELETE, "_ZdlPv", ARG1},
	{MW_FUNC_DELETE, "_ZdaPv", ARG1},
	{MW_FUNC_DELETE, "_ZdlPvm", ARG1},
	{MW_FUNC_DELETE, "_ZdaPvm", ARG1},
	{MW_FUNC_DELETE, "_ZdlPvRKSt9nothrow_t", ARG1},
	{MW_FUNC_DELETE, "_ZdaPvRKSt9nothrow_t", ARG1},
	{MW_FUNC_DELETE, "_ZdlPvSt11align_val_t", ARG1},
	{MW_FUNC_DELETE, "_ZdaPvSt11align_val_t", ARG1},
	{MW_FUNC_DELETE, "_ZdlPvmSt11align_val_t", ARG1},
	{MW_FUNC_DELETE, "_ZdaPvmSt11align_val_t", ARG1},
	{MW_FUNC_DELETE, "_ZdlPvSt11align_val_tRKSt9nothrow_t", ARG1},
	{MW_FUNC_DELETE, "_ZdaPvSt11align_val_tRKSt9nothrow_t", ARG1},
};

/* A symbol that only this allocator defines. */
static const struct {
	const char *symbol;
	enum mw_allocator_kind kind;
} kind_table[] = {
	{"mi_malloc", MW_ALLOC_MIMALLOC},
	{"mallctl", MW_ALLOC_JEMALLOC},
	{"je_mallctl", MW_ALLOC_JEMALLOC},
	{"tc_malloc", MW_ALLOC_TCMALLOC},
	{"TCMalloc_Internal_SetMaxPerCpuCacheSize", MW_ALLOC_TCMALLOC},
	{"gnu_get_libc_version", MW_ALLOC_GLIBC},
	{"_int_malloc", MW_ALLOC_GLIBC},
	{"__malloc_donate", MW_ALLOC_MUSL},
	{"__libc_malloc_impl", MW_ALLOC_MUSL},
};

const char *mw_allocator_kind_name(enum mw_allocator_kind kind)
{
	static const char *const names[] = {"unknown",	"glibc",    "musl",
					    "jemalloc", "tcmalloc", "mimalloc"};

	return names[kind];
}

const char *mw_func_name(enum mw_func func)
{
	static const char *const names[MW_FUNCS] = {
		[MW_FUNC_MALLOC] = "malloc",
		[MW_FUNC_CALLOC] = "calloc",
		[MW_FUNC_REALLOC] = "realloc",
		[MW_FUNC_REALLOCARRAY] = "reallocarray",
		[MW_FUNC_POSIX_MEMALIGN] = "posix_memalign",
		[MW_FUNC_ALIGNED_ALLOC] = "aligned_alloc",
		[MW_FUNC_MEMALIGN] = "memalign",
		[MW_FUNC_VALLOC] = "valloc",
		[MW_FUNC_PVALLOC] = "pvalloc",
		[MW_FUNC_NEW] = "operator new",
		[MW_FUNC_FREE] = "free",
		[MW_FUNC_CFREE] = "cfree",
		[MW_FUNC_FREE_SIZED] = "free_sized",
		[MW_FUNC_FREE_ALIGNED_SIZED] = "free_aligned_sized",
		[MW_FUNC_DELETE] = "operator delete",
	};

	return func < MW_FUNCS && names[func] ? names[func] : "?";
}

static void detect_kind(struct mw_allocator *alloc, struct mw_elffile *elf)
{
	static const char banner[] = "GNU C Library";
	struct mw_symbol symbol;
	const char *text, *version;
	size_t left;

	for (size_t i = 0; i < MW_ARRAY_SIZE(kind_table) && !alloc->kind; i++) {
		if (!mw_elffile__symbol(elf, kind_table[i].symbol, &symbol))
			alloc->kind = kind_table[i].kind;
	}
	if (!alloc->kind && strstr(alloc->path, "musl"))
		alloc->kind = MW_ALLOC_MUSL;
	if (alloc->kind != MW_ALLOC_GLIBC)
		return;
	/* csu/version.c: "GNU C Library (…) stable release version 2.36." */
	text = mw_elffile__find_text(elf, banner, &left);
	version = text ? memmem(text, left < 256 ? left : 256, "version ", 8) : NULL;
	if (version) {
		size_t n = strspn(version + 8, "0123456789.");

		while (n && version[8 + n - 1] == '.')
			n--;
		snprintf(alloc->version, sizeof(alloc->version), "%.*s", n < 16 ? (int)n : 16,
			 version + 8);
	}
}

static bool is_address_known(const struct mw_allocator *alloc, uint64_t addr)
{
	for (size_t i = 0; i < alloc->count; i++) {
		if (alloc->functions[i].addr == addr)
			return true;
	}
	return false;
}

static void choose_point(struct mw_function *fn, struct mw_elffile *elf, uint64_t value,
			 uint32_t args, bool returns)
{
	uint8_t code[CODE_MAX];
	size_t want = fn->size && fn->size < sizeof(code) ? fn->size : sizeof(code);
	size_t len = mw_elffile__bytes(elf, value, code, fn->size ? want : 256);
	struct mw_prologue_request request = {
		.code = code,
		.size = len,
		.size_known = fn->size && len == fn->size,
		.address = value,
		.registers = args,
		.need_entry_stack = returns && fn->func < MW_FUNC_FREE,
	};

	if (fn->offset == UINT64_MAX || !len) {
		fn->reason = "its code is not in the file";
		return;
	}
	mw_prologue_choose(&request, &fn->entry);
	fn->probed = fn->entry.class != MW_PROBE_UNPROBEABLE;
	fn->reason = fn->entry.reason;
}

static int read_functions(struct mw_allocator *alloc, struct mw_elffile *elf, bool returns)
{
	for (size_t i = 0; i < MW_ARRAY_SIZE(function_table); i++) {
		struct mw_function *fn = &alloc->functions[alloc->count];
		struct mw_symbol symbol;

		if (mw_elffile__symbol(elf, function_table[i].name, &symbol) ||
		    alloc->count >= MW_FUNCTIONS_MAX ||
		    is_address_known(alloc, symbol.value + alloc->bias))
			continue;
		*fn = (struct mw_function){
			.func = function_table[i].func,
			.name = function_table[i].name,
			.addr = symbol.value + alloc->bias,
			.size = symbol.size,
			.offset = symbol.offset,
		};
		choose_point(fn, elf, symbol.value, function_table[i].args, returns);
		alloc->count++;
	}
	return alloc->count ? 0 : -ENOENT;
}

/* musl's dynamic linker is its C library; glibc's only has a malloc for its own start. */
static bool is_glibc_linker(const struct mw_module *module)
{
	const char *base = strrchr(module->map->path, '/');

	return base && !strncmp(base + 1, "ld-linux", 8);
}

static int add_allocator(struct mw_allocators *found, const struct mw_module *module,
			 struct mw_elffile *elf, const char *file, bool returns, bool is_static)
{
	struct mw_allocator *grown, *alloc;
	int ret;

	grown = reallocarray(found->list, found->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	found->list = grown;
	alloc = &grown[found->count];
	memset(alloc, 0, sizeof(*alloc));
	mw_text_clean(alloc->path, sizeof(alloc->path), module->map->path,
		      strlen(module->map->path));
	snprintf(alloc->file, sizeof(alloc->file), "%s", file);
	alloc->inode = module->map->inode;
	alloc->major = module->map->major;
	alloc->minor = module->map->minor;
	alloc->bias = module->bias;
	alloc->is_static = is_static;
	ret = read_functions(alloc, elf, returns);
	if (ret)
		return ret;
	detect_kind(alloc, elf);
	found->count++;
	return 0;
}

static int visit_module(struct mw_allocators *found, const struct mw_modules *modules, size_t i,
			pid_t pid, bool returns, bool *after_libc)
{
	const struct mw_module *module = &modules->modules[i];
	struct mw_symbol symbol;
	struct mw_elffile *elf;
	struct mw_err ignored;
	char file[PATH_MAX];
	bool is_libc;
	int ret = 0;

	if (is_glibc_linker(module))
		return 0;
	ret = mw_map__file_path(module->map, pid, file, sizeof(file));
	if (ret) {
		char clean[256];

		mw_text_clean(clean, sizeof(clean), module->map->path, strlen(module->map->path));
		mw_warn("%s: its file can't be opened (%s), so an allocator in it is not seen",
			clean, strerror(-ret));
		return 0;
	}
	elf = mw_elffile__open(file, module->map->path, &ignored);
	if (!elf)
		return 0;
	if (!found->runtime)
		found->runtime = mw_runtime_name(elf);
	is_libc = !mw_elffile__symbol(elf, "__libc_start_main", &symbol);
	/* A library's local malloc binds nobody; the program's own code uses its own. */
	if (!mw_elffile__symbol(elf, "malloc", &symbol) && (symbol.dynamic || module->executable) &&
	    (!found->count || *after_libc))
		ret = add_allocator(found, module, elf, file, returns, modules->is_static);
	if (is_libc && found->count)
		*after_libc = true;
	mw_elffile__close(elf);
	return ret == -ENOENT ? 0 : ret;
}

static int refuse(const struct mw_allocators *found, bool is_static, const char *where,
		  struct mw_err *err)
{
	const char *runtime = found->runtime;

	return mw_err_set(err, -ENOENT, "no-allocator", where,
			  "no allocator that probes can reach%s%s%s; --mode growth needs none",
			  runtime ? " (a " : "",
			  runtime     ? runtime
			  : is_static ? " (a static program without symbols"
				      : "",
			  runtime     ? " program)"
			  : is_static ? ")"
				      : "");
}

int mw_allocators__find(struct mw_allocators *found, pid_t pid, bool returns, struct mw_err *err)
{
	struct mw_modules modules = {0};
	struct mw_image *image;
	bool after_libc = false;
	char where[32];
	int ret;

	memset(found, 0, sizeof(*found));
	snprintf(where, sizeof(where), "PID %d", pid);
	image = mw_image__open_process(pid, MW_IMAGE_SWAP_IN, err);
	ret = image ? mw_modules__read(&modules, image, err) : -errno;
	for (size_t i = 0; !ret && i < modules.count && found->count < MW_ALLOCATORS_MAX; i++) {
		ret = visit_module(found, &modules, i, pid, returns, &after_libc);
		if (ret)
			mw_err_set(err, ret, "unreadable", where, "can't read its libraries: %s",
				   strerror(-ret));
	}
	if (!ret && !found->count)
		ret = refuse(found, modules.is_static, where, err);
	mw_modules__free(&modules);
	mw_image__close(image);
	if (ret)
		mw_allocators__free(found);
	return ret;
}

void mw_allocators__free(struct mw_allocators *found)
{
	free(found->list);
	found->list = NULL;
	found->count = 0;
}
