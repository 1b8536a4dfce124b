/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A static program without an allocator, as Go's linker makes them: built with -DGO, with the section and the note by which
 * they are known. Maps 1 MiB and touches it each 10 ms.
 */
	.globl _start, main.remember
	.text
	.type main.remember, @function
main.remember:
	.cfi_startproc
	mov $9, %eax
	xor %edi, %edi
	mov $1048576, %esi
	mov $3, %edx
	mov $0x22, %r10d
	mov $-1, %r8
	xor %r9d, %r9d
	syscall
	movb $1, (%rax)
	ret
	.cfi_endproc
	.size main.remember, . - main.remember
	.type _start, @function
_start:
	.cfi_startproc
	.cfi_undefined rip
	mov $1, %eax
	mov $1, %edi
	lea ready(%rip), %rsi
	mov $6, %edx
	syscall
again:
	call main.remember
	mov $35, %eax
	lea pause(%rip), %rdi
	xor %esi, %esi
	syscall
	jmp again
	.cfi_endproc
	.size _start, . - _start
	.section .rodata
ready:	.ascii "ready\n"
	.balign 8
pause:	.quad 0, 10000000
#ifdef GO
	.section .go.buildinfo, "a"
	.ascii "\377 Go buildinf:"
	.section .note.go.buildid, "a", @note
	.balign 4
	.long 4, 4, 4
	.asciz "Go\0"
	.ascii "test"
#endif
	.section .note.GNU-stack, "", @progbits
