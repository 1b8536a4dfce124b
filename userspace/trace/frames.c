// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"
#include "python/lines.h"
#include "python/walk.h"
#include "symbol/symbolizer.h"
#include "trace/frames.h"
#include "util/array.h"
#include "util/log.h"
#include "util/u64map.h"

/* A code object. Its check is part of its key, so a new object at its address is another one. */
struct code {
	struct mw_py_code code;
	bool gone; /* it was freed before it could be read */
};

struct mw_frames {
	pid_t pid;
	struct mw_image *image;	       /* NULL: it could not be opened */
	struct mw_symbolizer *symbols; /* NULL if image is, or without memory */
	bool has_python;
	struct mw_python_walk python;
	struct mw_u64map codes;
};

/* Names and frames need neither residency nor threads. */
static int open_image(struct mw_frames *f, struct mw_err *err)
{
	f->image = mw_image__open_process(f->pid, MW_IMAGE_SWAP_IN, err);
	if (!f->image)
		return -errno;
	f->symbols = mw_symbolizer__open(f->image);
	return 0;
}

static void find_python(struct mw_frames *f)
{
	struct mw_err err = {0};
	int ret = f->image ? 0 : open_image(f, &err);

	if (!ret)
		ret = mw_python_walk__find(&f->python, f->image, &err);
	f->has_python = !ret;
	if (!ret)
		mw_detail("PID %d: CPython %s in %s, its stacks are walked by the table of layouts",
			  f->pid, f->python.version, f->python.module);
	else if (strcmp(err.name, "no-python"))
		mw_warn("no Python lines: %s", err.message);
}

struct mw_frames *mw_frames__open(pid_t pid)
{
	struct mw_frames *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->pid = pid;
	find_python(f);
	return f;
}

struct mw_frames *mw_frames__copy(const struct mw_frames *from, pid_t child)
{
	struct mw_frames *f = from ? calloc(1, sizeof(*f)) : NULL;

	if (!f)
		return NULL;
	f->pid = child;
	f->has_python = from->has_python;
	f->python = from->python;
	open_image(f, NULL);
	return f;
}

static void forget_codes(struct mw_frames *f)
{
	for (size_t i = 0; f->codes.slots && i <= f->codes.mask; i++) {
		struct code *code = f->codes.slots[i].value;

		if (code)
			mw_py_code__free(&code->code);
		free(code);
	}
	mw_u64map__free(&f->codes);
}

void mw_frames__close(struct mw_frames *f)
{
	if (!f)
		return;
	forget_codes(f);
	mw_symbolizer__close(f->symbols);
	mw_image__close(f->image);
	free(f);
}

void mw_frames__refresh(struct mw_frames *f)
{
	/* It has ended: keep what is known. */
	if (f->image && mw_image__refresh(f->image))
		return;
	if (f->symbols)
		mw_symbolizer__refresh(f->symbols);
	if (!f->has_python)
		find_python(f);
}

const struct mw_py_walk *mw_frames__python(const struct mw_frames *f)
{
	return f && f->has_python ? &f->python.walk : NULL;
}

static bool read_target(void *arg, uint64_t addr, void *buf, size_t len)
{
	const struct mw_frames *f = arg;

	return f->image && mw_image__read_all(f->image, addr, buf, len);
}

/* The check that the BPF programs made of the code object at ADDR, made again; 0: unreadable. */
static uint32_t check_of(struct mw_frames *f, uint64_t addr)
{
	const struct mw_py_walk *walk = &f->python.walk;
	uint64_t type = 0, name = 0, table = 0, hash = 0, count = 0;
	uint32_t line = 0;

	/*
	 * A freed object keeps its other words for a while, but its reference count becomes 0 or a
	 * link to the next free block. (Free-threaded: the owning thread is there.)
	 */
	if (!f->python.layout.free_threaded &&
	    (!read_target(f, addr, &count, 8) || !(uint32_t)count || (count >> 32 & 0xffff)))
		return 0;
	if (!read_target(f, addr + walk->ob_type, &type, 8) ||
	    (walk->code_type && type != walk->code_type) ||
	    !read_target(f, addr + walk->co_name, &name, 8) ||
	    !read_target(f, addr + walk->co_table, &table, 8) ||
	    !read_target(f, addr + walk->co_first_line, &line, 4) ||
	    !read_target(f, name + walk->name_hash, &hash, 8))
		return 0;
	return mw_py_check(hash, table, line);
}

/*
 * The code object of FRAME. It is the right one if its check is that of the event both before and
 * after its names are read; otherwise the program has freed it since.
 */
static const struct code *code_of(struct mw_frames *f, const struct mw_py_frame *frame)
{
	uint32_t check = frame->check & ~(uint32_t)MW_PY_MARKS;
	uint64_t key = frame->code ^ (uint64_t)check << 32;
	struct code *code = mw_u64map__find(&f->codes, key);

	/* A freed one may be back: the same source, compiled again. */
	if (code && !code->gone)
		return code;
	if (!code) {
		code = calloc(1, sizeof(*code));
		if (!code || mw_u64map__set(&f->codes, key, code)) {
			free(code);
			return NULL;
		}
	}
	code->gone =
		check_of(f, frame->code) != check ||
		mw_py_code__read(&code->code, &f->python.layout, frame->code, read_target, f) ||
		check_of(f, frame->code) != check;
	if (code->gone)
		mw_py_code__free(&code->code);
	return code;
}

static void put_python(struct mw_frames *f, const struct mw_py_frame *frame, struct mw_frame *out,
		       uint32_t *flags)
{
	const struct code *code = f ? code_of(f, frame) : NULL;

	*out = (struct mw_frame){.kind = MW_FRAME_PYTHON, .function = "", .file = ""};
	if (!code || code->gone) {
		out->kind = MW_FRAME_NOTE;
		out->function = f ? "freed code" : "process ended before its code was read";
		*flags |= MW_SITE_FREED_CODE;
		return;
	}
	out->function = code->code.name;
	out->file = code->code.file;
	out->line = mw_py_line(f->python.layout.version, code->code.first_line, code->code.table,
			       code->code.table_len, frame->offset);
}

/* Whose native frames are: Python frames replace those of the interpreter. */
enum owner { OTHERS, EVALUATOR, INTERPRETERS };

static enum owner owner_of(const struct mw_frames *f, uint64_t addr,
			   const struct mw_symbol_place *place)
{
	if (!f->has_python)
		return OTHERS;
	for (size_t i = 0; i < MW_ARRAY_SIZE(f->python.evaluator); i++) {
		if (addr >= f->python.evaluator[i].start && addr < f->python.evaluator[i].end)
			return EVALUATOR;
	}
	if (place->function && !strncmp(place->function, "_PyEval_EvalFrame", 17))
		return EVALUATOR;
	return !strcmp(place->module, f->python.module) ? INTERPRETERS : OTHERS;
}

static bool is_libc(const char *module)
{
	return !strncmp(module, "libc.so", 7) || !strncmp(module, "libc-2", 6) ||
	       !strncmp(module, "ld-linux", 8);
}

static bool is_allocator_library(const char *module)
{
	return !strncmp(module, "libjemalloc", 11) || !strncmp(module, "libtcmalloc", 11) ||
	       !strncmp(module, "libmimalloc", 11);
}

bool mw_frames__is_direct(struct mw_frames *f, const struct mw_stack *stack)
{
	struct mw_symbol_place place = {.module = ""};

	if (!f || !f->symbols || stack->kind != MW_KIND_MMAP || stack->native_count < 2)
		return false;
	/* The first frame is mmap() itself; malloc calls it from within the same file. */
	mw_symbolizer__find(f->symbols, stack->native[1], &place);
	return !is_libc(place.module) && !is_allocator_library(place.module) &&
	       !(place.function && strstr(place.function, "malloc"));
}

/*
 * How many of STACK's Python frames are the thread's own; the others are of tasks that await its
 * task.
 */
static uint32_t count_own(const struct mw_stack *stack)
{
	uint32_t n = 0;

	while (n < stack->python_count && !(stack->python[n].check & MW_PY_AWAITER))
		n++;
	return n;
}

static size_t put_awaiters(struct mw_frames *f, const struct mw_stack *stack, uint32_t from,
			   struct mw_frame *out, uint32_t *flags)
{
	uint32_t tasks = 0;
	size_t n = 0;

	for (uint32_t i = from; i < stack->python_count; i++) {
		if (stack->python[i].check & MW_PY_AWAITER && tasks++ < MW_PY_TASKS)
			out[n++] = (struct mw_frame){
				.kind = MW_FRAME_NOTE, .function = "awaited by", .file = ""};
		put_python(f, &stack->python[i], &out[n++], flags);
	}
	return n;
}

static void put_native(const struct mw_symbol_place *place, struct mw_frame *out)
{
	bool has_line = place->line && place->file;

	*out = (struct mw_frame){
		.kind = MW_FRAME_NATIVE,
		.line = has_line ? place->line : 0,
		.function = place->function ? place->function : "",
		.file = has_line ? place->file : place->module,
		.offset = has_line ? 0 : place->offset,
	};
}

size_t mw_frames__make(struct mw_frames *f, const struct mw_stack *stack, struct mw_frame *out,
		       uint32_t *flags)
{
	uint32_t py = 0, entered = 0, entries = 0, own = count_own(stack);
	size_t inlined_left = MW_NATIVE_FRAMES;
	bool is_inner = true;
	size_t n = 0;

	*flags = stack->flags;
	for (uint32_t i = 0; i < stack->native_count; i++) {
		/* The last one is the function; those before it are inlined. */
		struct mw_symbol_place places[MW_SYMBOL_PLACES] = {
			{.module = "?", .offset = stack->native[i]}};
		size_t inlined = 0;
		const struct mw_symbol_place *place;
		enum owner owner;

		if (f && f->symbols)
			inlined = mw_symbolizer__find_all(f->symbols, stack->native[i], places) - 1;
		place = &places[inlined];
		owner = f ? owner_of(f, stack->native[i], place) : OTHERS;
		if (owner == EVALUATOR && stack->python_count) {
			entered++;
			while (py < own) {
				put_python(f, &stack->python[py], &out[n++], flags);
				if (stack->python[py++].check & MW_PY_ENTERED)
					break;
			}
		}
		/* Python frames already say what the interpreter's functions do. */
		if (owner != OTHERS && stack->python_count)
			continue;
		/* The C library's path from malloc into the kernel. */
		if (is_inner && stack->kind != MW_KIND_ALLOC && is_libc(place->module) &&
		    i + 1 < stack->native_count)
			continue;
		is_inner = false;
		for (size_t k = 0; k < inlined && inlined_left; k++, inlined_left--)
			put_native(&places[k], &out[n++]);
		put_native(place, &out[n++]);
	}
	for (uint32_t i = 0; i < own; i++)
		entries += stack->python[i].check & MW_PY_ENTERED;
	if (stack->native_count && py < own &&
	    !(stack->flags & (MW_STACK_NATIVE_CUT | MW_STACK_TRUNCATED)) && entered < entries)
		*flags |= MW_SITE_UNMATCHED;
	while (py < own)
		put_python(f, &stack->python[py++], &out[n++], flags);
	n += put_awaiters(f, stack, own, out + n, flags);
	if (!n)
		out[n++] = (struct mw_frame){
			.kind = MW_FRAME_NOTE, .function = "no frame could be read", .file = ""};
	return n;
}
