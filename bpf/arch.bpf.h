/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What belongs to the processor: registers, a signal frame, numbers of system calls, page size. The
 * BPF side of userspace/arch/. clang's target is bpf on every machine, so that the Makefile says
 * which architecture it is (__TARGET_ARCH_…, as in libbpf's bpf_tracing.h).
 */
#ifndef MW_ARCH_BPF_H
#define MW_ARCH_BPF_H

#if defined(__TARGET_ARCH_x86) || (!defined(__bpf__) && defined(__x86_64__))

/* Of the registers at a uprobe (struct pt_regs of <asm/ptrace.h>). System V ABI, AMD64. */
#define MW_REG_IP(regs)	    ((regs)->rip)
#define MW_REG_SP(regs)	    ((regs)->rsp)
#define MW_REG_FP(regs)	    ((regs)->rbp)
#define MW_REG_RESULT(regs) ((regs)->rax)
#define MW_REG_ARG1(regs)   ((regs)->rdi)
#define MW_REG_ARG2(regs)   ((regs)->rsi)
#define MW_REG_ARG3(regs)   ((regs)->rdx)
/* Arguments 4 and 5 of a system call, and its number. */
#define MW_REG_SYSCALL_ARG4(regs) ((regs)->r10)
#define MW_REG_SYSCALL_ARG5(regs) ((regs)->r8)
#define MW_REG_SYSCALL(regs)	  ((regs)->orig_rax)

/*
 * The part of struct pt_regs (arch/x86/include/asm/ptrace.h) that system calls and page faults
 * need: all of it would leave too little of the 512 bytes of stack to the walks.
 */
struct mw_regs {
	__u64 rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp;
};
#define MW_REGS_BEGIN(regs) (&(regs)->rbp)

/* What a call leaves on the stack: the return address. */
enum { MW_CALL_PUSHES = 8 };

/* The interrupted registers in a ucontext, which is at the stack pointer (asm/sigcontext.h). */
enum { MW_UCONTEXT_FP = 120, MW_UCONTEXT_SP = 160, MW_UCONTEXT_IP = 168 };

/* A PLT entry that binds lazily: its size, and where in it a word has been pushed. */
enum { MW_PLT_ENTRY = 16, MW_PLT_PUSHED = 11 };

/* arch/x86/entry/syscalls/syscall_64.tbl */
enum { NR_MMAP = 9, NR_MUNMAP = 11, NR_BRK = 12, NR_MREMAP = 25, NR_MADVISE = 28 };

/* arch/x86/include/asm/trap_pf.h: the page was there already (and the access was not allowed). */
enum { MW_FAULT_PRESENT = 1 };

enum { MW_PAGE = 4096 };

#else
#error "bpf/arch.bpf.h does not know this processor"
#endif

#endif
