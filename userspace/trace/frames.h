/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One process's frames: from addresses, code objects and offsets to names and lines, with Python's
 * frames put where the native stack enters the interpreter.
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

enum { MW_FRAMES_MAX = MW_NATIVE_FRAMES + MW_PY_FRAMES + MW_PY_TASKS + 2 };

/* Look at PID: its Python, if it has one, and its files. NULL with errno set. */
struct mw_frames *mw_frames__open(pid_t pid);
/* For CHILD, which began as a copy of the process of FRAMES. NULL when there is no memory. */
struct mw_frames *mw_frames__copy(const struct mw_frames *frames, pid_t child);
void mw_frames__close(struct mw_frames *frames);

/* The process runs another program, or has loaded code. */
void mw_frames__refresh(struct mw_frames *frames);

/* How its Python's stacks are walked; NULL: it has none, or none that is known. */
const struct mw_py_walk *mw_frames__python(const struct mw_frames *frames);

/*
 * The frames of STACK, innermost first, into OUT, which has room for MW_FRAMES_MAX; texts are good
 * until FRAMES is closed. FLAGS is set to MW_SITE_… bits. FRAMES may be NULL: the process is
 * gone, and nothing can be said of its addresses. Returns how many there are, at least one.
 */
size_t mw_frames__make(struct mw_frames *frames, const struct mw_stack *stack, struct mw_frame *out,
		       uint32_t *flags);

/* Was STACK's mapping made by the program's or Python's own code, and not from within malloc? */
bool mw_frames__is_direct(struct mw_frames *frames, const struct mw_stack *stack);

/* What a sample of SIZE bytes stands for, as a factor; 1 when PERIOD is 0: all are looked at. */
double mw_sample_weight(uint64_t size, uint64_t period);

#endif
