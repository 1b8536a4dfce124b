/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns one process's addresses, code objects and offsets into names and lines, and puts Python's
 * frames where the native stack enters the interpreter.
 */
#ifndef MW_TRACE_FRAMES_H
#define MW_TRACE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/memwhere.h"
#include "model/sites.h"

struct mw_frames;

/* Up to as many as there are native ones may be inlined. */
enum { MW_FRAMES_MAX = 2 * MW_NATIVE_FRAMES + MW_PY_FRAMES + MW_PY_TASKS + 2 };

/* Find the Python of PID, if it has one, and open its symbols. NULL: no memory. */
struct mw_frames *mw_frames__open(pid_t pid);
/* For CHILD, which began as a copy of the process of FRAMES. NULL when there is no memory. */
struct mw_frames *mw_frames__copy(const struct mw_frames *frames, pid_t child);
void mw_frames__close(struct mw_frames *frames);

/* Read mappings and symbols again: the process has loaded code or runs another program. */
void mw_frames__refresh(struct mw_frames *frames);

/* How to walk the stacks of its Python; NULL: it has none, or one of unknown layout. */
const struct mw_py_walk *mw_frames__python(const struct mw_frames *frames);

/*
 * Write the frames of STACK, innermost first, into OUT, which has room for MW_FRAMES_MAX, and
 * MW_SITE_… bits into FLAGS. Texts are valid until FRAMES is closed. With FRAMES NULL (the process
 * is gone) addresses get no names. Returns how many frames there are, at least one.
 */
size_t mw_frames__make(struct mw_frames *frames, const struct mw_stack *stack, struct mw_frame *out,
		       uint32_t *flags);

/* Did the program's or Python's own code call mmap() in STACK, and not malloc? */
bool mw_frames__is_direct(struct mw_frames *frames, const struct mw_stack *stack);

#endif
