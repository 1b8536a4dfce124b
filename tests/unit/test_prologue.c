// SPDX-License-Identifier: GPL-2.0-or-later
/* Prologues made by hand that must be taken or refused, and those of this machine's libraries. */
#include "image/elffile.h"
#include "tests/unit/test.h"
#include "probe/prologue.h"

static struct mw_probe_point choose(const uint8_t *code, size_t size, uint32_t registers,
				    bool entry_stack)
{
	struct mw_prologue_request request = {
		.code = code,
		.size = size,
		.size_known = true,
		.address = 0x1000,
		.registers = registers,
		.need_entry_stack = entry_stack,
	};
	struct mw_probe_point site;

	mw_prologue_choose(&request, &site);
	return site;
}

#define CODE(...) ((const uint8_t[]){__VA_ARGS__})
#define CHOOSE(registers, entry_stack, ...)                                                        \
	choose(CODE(__VA_ARGS__), sizeof(CODE(__VA_ARGS__)), registers, entry_stack)

#define TEST_RDI 0x48, 0x85, 0xff	/* test %rdi,%rdi */
#define JE(rel)	 0x74, (rel)		/* je . + 2 + rel */
#define JMP(rel) 0xeb, (rel)		/* jmp . + 2 + rel */
#define PUSH_RBP 0x55			/* push %rbp */
#define PUSH_R12 0x41, 0x54		/* push %r12 */
#define SUB_RSP	 0x48, 0x83, 0xec, 0x18 /* sub $0x18,%rsp */
#define RET	 0xc3
#define NOP	 0x90
#define ENDBR64	 0xf3, 0x0f, 0x1e, 0xfa

TEST(push_at_the_entry_is_kept)
{
	struct mw_probe_point s = CHOOSE(MW_ARG_1, true, PUSH_R12, PUSH_RBP, 0x48, 0x89, 0xfb, RET);

	CHECK_INT(s.offset, 0);
	CHECK_INT(s.class, MW_PROBE_PUSH);
	CHECK_STR(s.insn, "push r12");
}

TEST(free_of_glibc_is_probed_at_its_branch)
{
	struct mw_probe_point s = CHOOSE(MW_ARG_1, false, TEST_RDI, JE(2), PUSH_RBP, RET, RET);

	CHECK_INT(s.offset, 3);
	CHECK_INT(s.class, MW_PROBE_BRANCH);
	CHECK_INT(s.stack_shift, 0);
}

TEST(endbr64_is_stepped_over)
{
	struct mw_probe_point s = CHOOSE(MW_ARG_1, true, ENDBR64, PUSH_RBP, RET);

	CHECK_INT(s.offset, 4);
	CHECK_INT(s.class, MW_PROBE_PUSH);
}

TEST(stack_shift_is_known)
{
	/* push, push, sub $0x18, then a branch: 8 + 8 + 24 */
	struct mw_probe_point s =
		CHOOSE(MW_ARG_1, false, PUSH_R12, PUSH_RBP, SUB_RSP, TEST_RDI, JE(0), RET);

	CHECK_INT(s.offset, 10);
	CHECK_INT(s.stack_shift, 40);
	/* lea 8(%rsp),%rsp gives some back */
	s = CHOOSE(MW_ARG_1, false, TEST_RDI, SUB_RSP, 0x48, 0x8d, 0x64, 0x24, 0x08, JE(0), RET);
	CHECK_INT(s.offset, 12);
	CHECK_INT(s.stack_shift, 16);
}

TEST(a_return_probe_needs_the_stack_of_the_entry)
{
	struct mw_probe_point s = CHOOSE(MW_ARG_1, true, TEST_RDI, PUSH_RBP, JE(0), RET);

	CHECK_INT(s.offset, 3); /* the push itself: rsp has not moved yet */
	CHECK_INT(s.class, MW_PROBE_PUSH);
	s = CHOOSE(MW_ARG_1, true, TEST_RDI, SUB_RSP, JE(0), RET);
	CHECK_INT(s.offset, 0);
	CHECK_INT(s.class, MW_PROBE_STEPPED);
}

TEST(unknown_stack_ends_the_search)
{
	/* and $-16,%rsp */
	struct mw_probe_point s = CHOOSE(MW_ARG_1, false, 0x48, 0x83, 0xe4, 0xf0, PUSH_RBP, RET);

	CHECK_INT(s.offset, 0);
	CHECK_INT(s.class, MW_PROBE_STEPPED);
	CHECK(strstr(s.reason, "stack pointer"));
	/* mov %rdi,%rsp; leave; enter; pop %rsp; add $8,%esp; pop of the return address */
	CHECK_INT(CHOOSE(0, false, 0x48, 0x89, 0xfc, PUSH_RBP, RET).offset, 0);
	CHECK_INT(CHOOSE(0, false, 0xc9, PUSH_RBP, RET).offset, 0);
	CHECK_INT(CHOOSE(0, false, 0xc8, 0, 0, 0, PUSH_RBP, RET).offset, 0);
	CHECK_INT(CHOOSE(0, false, TEST_RDI, 0x5c, PUSH_RBP, RET).offset, 0);
	CHECK_INT(CHOOSE(0, false, 0x83, 0xc4, 0x08, PUSH_RBP, RET).offset, 0);
	CHECK_INT(CHOOSE(0, false, 0x5b, 0x53, JE(0), RET).offset, 0);
}

TEST(the_stack_may_come_back_to_that_of_the_entry)
{
	/* sub $0x18; add $0x18; je; and add of a negative number for sub */
	struct mw_probe_point s = CHOOSE(0, true, SUB_RSP, 0x48, 0x83, 0xc4, 0x18, JE(0), RET);

	CHECK_INT(s.offset, 8);
	CHECK_INT(s.stack_shift, 0);
	s = CHOOSE(0, false, 0x48, 0x83, 0xc4, 0xf8, JE(0), RET);
	CHECK_INT(s.offset, 4);
	CHECK_INT(s.stack_shift, 8);
	/* sub $0x10000: more than a cookie can say */
	s = CHOOSE(0, false, 0x48, 0x81, 0xec, 0, 0, 1, 0, JE(0), RET);
	CHECK_INT(s.offset, 0);
	/* push with a 16-bit prefix moves it by two: no whole word */
	s = CHOOSE(0, false, 0x66, PUSH_RBP, JE(0), RET);
	CHECK_INT(s.offset, 0);
}

TEST(an_overwritten_argument_is_refused)
{
	/* mov %rsi,%rdi; push */
	struct mw_probe_point s = CHOOSE(MW_ARG_1, false, 0x48, 0x89, 0xf7, PUSH_RBP, RET);

	CHECK_INT(s.offset, 0);
	CHECK(strstr(s.reason, "argument"));
	/* xor %edi,%edi: the lower half clears the whole */
	s = CHOOSE(MW_ARG_1, false, 0x31, 0xff, PUSH_RBP, RET);
	CHECK_INT(s.offset, 0);
	/* mul %rsi writes rdx without naming it */
	s = CHOOSE(MW_ARG_3, false, 0x48, 0xf7, 0xe6, PUSH_RBP, RET);
	CHECK_INT(s.offset, 0);
	/* which does no harm where rdx is not asked for */
	s = CHOOSE(MW_ARG_1, false, 0x48, 0xf7, 0xe6, PUSH_RBP, RET);
	CHECK_INT(s.offset, 3);
	/* xchg %rdi,%rax */
	s = CHOOSE(MW_ARG_1, false, 0x48, 0x97, PUSH_RBP, RET);
	CHECK_INT(s.offset, 0);
	/* mov $1,%dh; movsb; cmpxchg %rbx,%rsi; cpuid */
	CHECK_INT(CHOOSE(MW_ARG_3, false, 0xb6, 1, PUSH_RBP, RET).offset, 0);
	CHECK_INT(CHOOSE(MW_ARG_2, false, 0xa4, PUSH_RBP, RET).offset, 0);
	CHECK_INT(CHOOSE(MW_ARG_2, false, 0x48, 0x0f, 0xb1, 0xde, PUSH_RBP, RET).offset, 0);
	CHECK_INT(CHOOSE(MW_ARG_4, false, 0x0f, 0xa2, PUSH_RBP, RET).offset, 0);
	/* cmove %rax,%rdi may write */
	CHECK_INT(CHOOSE(MW_ARG_1, false, 0x48, 0x0f, 0x44, 0xf8, PUSH_RBP, RET).offset, 0);
	/* syscall clobbers rcx, and may not return */
	CHECK_INT(CHOOSE(MW_ARG_4, false, 0x48, 0x89, 0xc3, 0x0f, 0x05, PUSH_RBP, RET).offset, 0);
}

TEST(a_loop_back_into_the_site_is_refused)
{
	/* test; 3: push; pop; jmp 3 */
	struct mw_probe_point s = CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, 0x5d, JMP(0xfc));

	CHECK_INT(s.offset, 0);
	CHECK_INT(s.class, MW_PROBE_STEPPED);
	CHECK(strstr(s.reason, "comes back"));
	/* to just before the site: mov %rax,%rbx at 3, push at 6, jmp 3 */
	s = CHOOSE(MW_ARG_1, false, TEST_RDI, 0x48, 0x89, 0xc3, PUSH_RBP, 0x5d, JMP(0xf9));
	CHECK_INT(s.offset, 0);
	/* to after it: push at 3 is run once */
	s = CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, NOP, JMP(0xfd));
	CHECK_INT(s.offset, 3);
}

TEST(a_loop_to_the_entry_is_told)
{
	struct mw_probe_point s = CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, 0x5d, JMP(0xf9));

	CHECK_INT(s.offset, 0);
	CHECK(strstr(s.reason, "loops back to its entry"));
	CHECK(!strstr(CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, RET).reason, "loops back"));
	/* a cheap entry is none the better for it: push; pop; jmp to the push */
	s = CHOOSE(MW_ARG_1, false, PUSH_RBP, 0x5d, JMP(0xfc));
	CHECK(strstr(s.reason, "loops back to its entry"));
	/* recursion is not a loop: test; call of the entry; ret */
	s = CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, 0xe8, 0xf7, 0xff, 0xff, 0xff, RET);
	CHECK(!strstr(s.reason, "loops back"));
	CHECK_INT(s.offset, 4); /* the call itself, dearer by nothing than a jump */
	CHECK_INT(s.stack_shift, 8);
}

TEST(a_call_into_the_function_is_a_jump_back)
{
	/* test; 3: push; call 3; ret */
	struct mw_probe_point s =
		CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, 0xe8, 0xfa, 0xff, 0xff, 0xff, RET);

	CHECK_INT(s.offset, 0);
	CHECK(strstr(s.reason, "comes back"));
}

/* The whole function is looked at, not only what lies before the site. */
TEST(jumps_from_far_behind_count)
{
	/* test; 3: push; test; je 10; ret; 10: jmp 3 */
	struct mw_probe_point s =
		CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, TEST_RDI, JE(1), RET, JMP(0xf7));

	CHECK_INT(s.offset, 0);
	/* into the middle of test, that is, before the push */
	s = CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, TEST_RDI, JE(1), RET, JMP(0xf5));
	CHECK_INT(s.offset, 0);
	CHECK(!strstr(s.reason, "loops back"));
	/* loop counts as a jump as well */
	s = CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, TEST_RDI, 0xe2, 0xfa, RET);
	CHECK_INT(s.offset, 0);
}

/*
 * reallocarray of glibc 2.36 up to its jump: mov; mul hides a write of rdx, jo is the first branch.
 */
TEST(a_wrapper_keeps_its_entry)
{
	const uint8_t code[] = {0x48, 0x89, 0xf0,	      /* mov %rsi,%rax */
				0x48, 0xf7, 0xe2,	      /* mul %rdx */
				0x70, 0x08,		      /* jo 16 */
				0x48, 0x89, 0xc6,	      /* mov %rax,%rsi */
				0xe9, 0xf0, 0x0f, 0x00, 0x00, /* jmp 0x2000 */
				RET};
	struct mw_probe_point s = choose(code, sizeof(code), MW_ARG_1 | MW_ARG_2 | MW_ARG_3, false);

	CHECK_INT(s.offset, 0);
	CHECK(strstr(s.reason, "argument"));
	s = choose(code, sizeof(code), MW_ARG_1 | MW_ARG_2, true);
	CHECK_INT(s.offset, 6);
	CHECK_INT(s.class, MW_PROBE_BRANCH);
}

TEST(a_jump_table_is_refused)
{
	/* test; push; jmp *%rax */
	struct mw_probe_point s = CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, 0xff, 0xe0);

	CHECK_INT(s.offset, 0);
	CHECK(strstr(s.reason, "computed jump"));
	/* jmp *8(,%rax,8) */
	s = CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, 0xff, 0x24, 0xc5, 8, 0, 0, 0);
	CHECK_INT(s.offset, 0);
	/* jmp *0x100(%rip) through the GOT leaves the function for good */
	s = CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, 0xff, 0x25, 0, 1, 0, 0);
	CHECK_INT(s.offset, 3);
}

TEST(nothing_behind_a_branch_is_taken)
{
	/* test; je with a 16-bit prefix, which the kernel refuses; push */
	struct mw_probe_point s = CHOOSE(MW_ARG_1, false, TEST_RDI, 0x66, JE(0), PUSH_RBP, RET);

	CHECK_INT(s.offset, 0);
	CHECK_INT(s.class, MW_PROBE_STEPPED);
	/* a call may change every argument */
	s = CHOOSE(MW_ARG_1, false, TEST_RDI, 0xe8, 0, 0, 0, 0, PUSH_RBP, RET);
	CHECK_INT(s.offset, 3);
	CHECK_INT(s.class, MW_PROBE_BRANCH);
}

TEST(code_that_cannot_be_decoded_leaves_the_entry)
{
	/* test; push; an opcode that does not exist in 64-bit mode */
	struct mw_probe_point s = CHOOSE(MW_ARG_1, false, TEST_RDI, PUSH_RBP, 0x06, RET);

	CHECK_INT(s.offset, 0);
	CHECK(strstr(s.reason, "decoded"));
	s = CHOOSE(MW_ARG_1, false, 0x06);
	CHECK_INT(s.class, MW_PROBE_UNPROBEABLE);
	/* cut in the middle of an instruction */
	s = CHOOSE(MW_ARG_1, false, 0x48);
	CHECK_INT(s.class, MW_PROBE_UNPROBEABLE);
	s = choose(CODE(RET), 0, MW_ARG_1, false);
	CHECK_INT(s.class, MW_PROBE_UNPROBEABLE);
}

TEST(what_the_kernel_refuses_is_no_site)
{
	CHECK_INT(CHOOSE(0, false, 0xcc).class, MW_PROBE_UNPROBEABLE);		   /* int3 */
	CHECK_INT(CHOOSE(0, false, 0xf4).class, MW_PROBE_UNPROBEABLE);		   /* hlt */
	CHECK_INT(CHOOSE(0, false, 0xf0, 0xff, 0x07).class, MW_PROBE_UNPROBEABLE); /* lock inc */
	CHECK_INT(CHOOSE(0, false, 0xf1).class, MW_PROBE_UNPROBEABLE);		   /* int1 */
	CHECK_INT(CHOOSE(0, false, 0xe4, 0x01).class, MW_PROBE_UNPROBEABLE);	   /* in $1,%al */
	CHECK_INT(CHOOSE(0, false, 0x48, 0xcf).class, MW_PROBE_UNPROBEABLE);	   /* iretq */
	/* mov %eax,%ss */
	CHECK_INT(CHOOSE(0, false, 0x8e, 0xd0).class, MW_PROBE_UNPROBEABLE);
	/* ljmp *(%rax) */
	CHECK_INT(CHOOSE(0, false, 0xff, 0x28).class, MW_PROBE_UNPROBEABLE);
	/* xbegin . + 6 */
	CHECK_INT(CHOOSE(0, false, 0xc7, 0xf8, 0, 0, 0, 0).class, MW_PROBE_UNPROBEABLE);
	/* Prefixes: 16-bit je, ds je (a branch hint), and the padded call of a TLS sequence. */
	CHECK_INT(CHOOSE(0, false, 0x66, JE(0)).class, MW_PROBE_UNPROBEABLE);
	CHECK_INT(CHOOSE(0, false, 0x3e, JE(0)).class, MW_PROBE_UNPROBEABLE);
	CHECK_INT(CHOOSE(0, false, 0x66, 0x66, 0x48, 0xe8, 0, 0, 0, 0).class, MW_PROBE_UNPROBEABLE);
	/* A place behind it may do all the same, while the straight line goes on. */
	CHECK_INT(CHOOSE(0, false, 0xf0, 0xff, 0x07, PUSH_RBP, RET).offset, 3);
	CHECK_INT(CHOOSE(0, false, 0xcc, PUSH_RBP, RET).class, MW_PROBE_UNPROBEABLE);
}

/* Each of these attaches on Linux 6.18, and then the function computes something else. */
TEST(what_the_kernel_would_get_wrong_is_no_site)
{
	/* vpcmpeqb %xmm0,%xmm0,%xmm0: emulated as je */
	CHECK_INT(CHOOSE(0, false, 0xc5, 0xf9, 0x74, 0xc0).class, MW_PROBE_UNPROBEABLE);
	/* vpshufd $5,%xmm1,%xmm0: as jo, by the immediate */
	CHECK_INT(CHOOSE(0, false, 0xc5, 0xf9, 0x70, 0xc1, 5).class, MW_PROBE_UNPROBEABLE);
	/* vpor %xmm1,%xmm0,%xmm0: as jmp */
	CHECK_INT(CHOOSE(0, false, 0xc5, 0xf9, 0xeb, 0xc1).class, MW_PROBE_UNPROBEABLE);
	/* vpbroadcastb %xmm0,%ymm0, three bytes of VEX: as js */
	CHECK_INT(CHOOSE(0, false, 0xc4, 0xe2, 0x7d, 0x78, 0xc0).class, MW_PROBE_UNPROBEABLE);
	/* xchg %rax,%r8: as nop */
	CHECK_INT(CHOOSE(0, false, 0x49, 0x90).class, MW_PROBE_UNPROBEABLE);
	CHECK_INT(CHOOSE(0, false, 0x41, 0x90).class, MW_PROBE_UNPROBEABLE);
	/* A function that starts so is probed behind it. */
	CHECK_INT(CHOOSE(0, false, 0xc5, 0xf9, 0xeb, 0xc1, PUSH_RBP, RET).offset, 4);
}

TEST(classes_are_those_of_the_kernel)
{
	CHECK_INT(CHOOSE(0, false, NOP).class, MW_PROBE_BRANCH);
	CHECK_INT(CHOOSE(0, false, 0x66, NOP).class, MW_PROBE_BRANCH);
	CHECK_INT(CHOOSE(0, false, 0x48, NOP).class, MW_PROBE_BRANCH);
	CHECK_INT(CHOOSE(0, false, JMP(0), RET).class, MW_PROBE_BRANCH);
	CHECK_INT(CHOOSE(0, false, 0xe9, 0, 0, 0, 0, RET).class, MW_PROBE_BRANCH);
	CHECK_INT(CHOOSE(0, false, 0x0f, 0x84, 0, 0, 0, 0, RET).class, MW_PROBE_BRANCH);
	CHECK_INT(CHOOSE(0, false, 0xe8, 0, 1, 0, 0).class, MW_PROBE_BRANCH);
	CHECK_INT(CHOOSE(0, false, 0xf2, JE(0), RET).class, MW_PROBE_BRANCH); /* bnd */
	CHECK_INT(CHOOSE(0, false, PUSH_RBP).class, MW_PROBE_PUSH);
	CHECK_INT(CHOOSE(0, false, PUSH_R12).class, MW_PROBE_PUSH);
	/* pushes of other forms, nops that older kernels step, jrcxz, endbr64 */
	CHECK_INT(CHOOSE(0, false, 0x48, PUSH_RBP).class, MW_PROBE_STEPPED);
	CHECK_INT(CHOOSE(0, false, 0x6a, 0).class, MW_PROBE_STEPPED);
	CHECK_INT(CHOOSE(0, false, 0xff, 0xf5).class, MW_PROBE_STEPPED);
	CHECK_INT(CHOOSE(0, false, 0x0f, 0x1f, 0x44, 0, 0).class, MW_PROBE_STEPPED);
	CHECK_INT(CHOOSE(0, false, 0xe3, 0, RET).class, MW_PROBE_STEPPED);
	CHECK_INT(CHOOSE(0, false, ENDBR64, RET).class, MW_PROBE_STEPPED);
	/* from dear to cheap */
	CHECK(mw_probe_class_cost(MW_PROBE_BRANCH) < mw_probe_class_cost(MW_PROBE_PUSH));
	CHECK(mw_probe_class_cost(MW_PROBE_PUSH) < mw_probe_class_cost(MW_PROBE_STEPPED));
}

/* Linux 6.18 makes a call of it, which writes where a leaf function may keep its data. */
TEST(a_long_nop_is_no_site_further_in)
{
	/* lock inc, which can't be probed itself; nopl; test; ret */
	struct mw_probe_point s =
		CHOOSE(0, false, 0xf0, 0xff, 0x07, 0x0f, 0x1f, 0x44, 0, 0, TEST_RDI, RET);

	CHECK_INT(s.offset, 8);
	CHECK_INT(s.class, MW_PROBE_STEPPED);
}

TEST(a_function_of_unknown_size_is_probed_at_its_entry)
{
	struct mw_prologue_request request = {
		.code = CODE(TEST_RDI, PUSH_RBP, RET),
		.size = 5,
		.registers = MW_ARG_1,
	};
	struct mw_probe_point site;

	mw_prologue_choose(&request, &site);
	CHECK_INT(site.offset, 0);
	CHECK(strstr(site.reason, "size"));
}

/*
 * Soundness on real code, checked against another disassembler: every site starts an instruction
 * of objdump's; nothing in the whole library jumps behind the entry and up to it (a part of the
 * function that the compiler moved elsewhere would); what lies before it is straight and leaves
 * the arguments alone.
 */
struct real_site {
	const char *name;
	uint64_t start;
	uint32_t registers;
	struct mw_probe_point site;
	bool found;
};

static const struct {
	const char *name;
	uint32_t registers;
	bool returns;
} real_functions[] = {
	{"malloc", MW_ARG_1, true},
	{"calloc", MW_ARG_1 | MW_ARG_2, true},
	{"realloc", MW_ARG_1 | MW_ARG_2, true},
	{"reallocarray", MW_ARG_1 | MW_ARG_2 | MW_ARG_3, true},
	{"posix_memalign", MW_ARG_1 | MW_ARG_2 | MW_ARG_3, true},
	{"aligned_alloc", MW_ARG_1 | MW_ARG_2, true},
	{"memalign", MW_ARG_1 | MW_ARG_2, true},
	{"valloc", MW_ARG_1, true},
	{"pvalloc", MW_ARG_1, true},
	{"malloc_usable_size", MW_ARG_1, true},
	{"free", MW_ARG_1, false},
	{"cfree", MW_ARG_1, false},
	{"_Znwm", MW_ARG_1, true},
	{"_ZdlPv", MW_ARG_1, false},
	{"_ZdlPvm", MW_ARG_1, false},
};

enum { REAL_FUNCTIONS = sizeof(real_functions) / sizeof(real_functions[0]) };

/* Does TEXT, operands in AT&T order, end in a name of one of the argument REGISTERS? */
static bool writes_argument(const char *text, uint32_t registers)
{
	static const char *const names[][4] = {
		{"%rdi", "%edi", "%di", "%dil"},
		{"%rsi", "%esi", "%si", "%sil"},
		{"%rdx", "%edx", "%dx", "%dl"},
		{"%rcx", "%ecx", "%cx", "%cl"},
	};
	const char *last = strrchr(text, '%');

	if (!strncmp(text, "mul", 3) || !strncmp(text, "div", 3) || !strncmp(text, "imul   %", 8))
		return registers & MW_ARG_3;
	if (!strncmp(text, "test", 4) || !strncmp(text, "cmp ", 4) || !strncmp(text, "push", 4) ||
	    !last || strchr(last, ')'))
		return false;
	for (size_t r = 0; r < 4; r++) {
		for (size_t n = 0; n < 4; n++) {
			size_t len = strlen(names[r][n]);

			if ((registers & 1u << r) && !strncmp(last, names[r][n], len) &&
			    (!last[len] || strchr(" \n", last[len])))
				return true;
		}
	}
	return false;
}

static void check_line(const char *path, struct real_site *real, uint64_t addr, const char *line,
		       const char *text)
{
	uint64_t want = real->start + real->site.offset, target;
	bool branches = text[0] == 'j' || !strncmp(text, "call", 4) || !strncmp(text, "loop", 4);

	if (addr == want)
		real->found = true;
	if (addr >= real->start && addr < want) {
		if (branches || !strncmp(text, "ret", 3) || strstr(text, "jmp"))
			TEST_FAIL("%s: %s before the site: %s", path, real->name, line);
		if (writes_argument(text, real->registers))
			TEST_FAIL("%s: %s loses an argument: %s", path, real->name, line);
	}
	if (branches && sscanf(text, "%*s %" SCNx64, &target) == 1 && target > real->start &&
	    target <= want)
		TEST_FAIL("%s: %s is jumped into: %s", path, real->name, line);
}

static void check_against_objdump(const char *path, struct real_site *sites, size_t count)
{
	char command[512], line[512];
	FILE *f;

	snprintf(command, sizeof(command), "objdump -d --no-show-raw-insn %s", path);
	f = popen(command, "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		uint64_t addr;
		int text = 0;

		if (sscanf(line, " %" SCNx64 ": %n", &addr, &text) != 1 || !text)
			continue;
		for (size_t i = 0; i < count; i++)
			check_line(path, &sites[i], addr, line, line + text);
	}
	CHECK_INT(pclose(f), 0);
	for (size_t i = 0; i < count; i++) {
		if (!sites[i].found)
			TEST_FAIL("%s: %s+%u is not the start of an instruction", path,
				  sites[i].name, sites[i].site.offset);
	}
}

/* Each function of ELF twice: as in growth mode and as with a return probe. */
static size_t choose_real(struct mw_elffile *elf, struct real_site *sites)
{
	static uint8_t code[16384];
	size_t count = 0;

	for (size_t n = 0; n < REAL_FUNCTIONS; n++) {
		struct mw_symbol symbol;

		if (mw_elffile__symbol(elf, real_functions[n].name, &symbol) || !symbol.size ||
		    symbol.size > sizeof(code))
			continue;
		CHECK_INT(mw_elffile__bytes(elf, symbol.value, code, symbol.size), symbol.size);
		for (int returns = 0; returns <= real_functions[n].returns; returns++) {
			struct real_site *real = &sites[count++];
			struct mw_prologue_request request = {
				.code = code,
				.size = symbol.size,
				.size_known = true,
				.address = symbol.value,
				.registers = real_functions[n].registers,
				.need_entry_stack = returns,
			};

			*real = (struct real_site){.name = real_functions[n].name,
						   .start = symbol.value,
						   .registers = request.registers};
			mw_prologue_choose(&request, &real->site);
			CHECK(real->site.class != MW_PROBE_UNPROBEABLE);
			CHECK(!returns || !real->site.stack_shift);
			CHECK(real->site.offset < symbol.size);
		}
	}
	return count;
}

TEST(sites_in_real_libraries_are_sound)
{
	static const char *const libraries[] = {
		"/lib/x86_64-linux-gnu/libc.so.6",
		"/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
		"/usr/lib/x86_64-linux-gnu/libtcmalloc.so.4",
		"/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4",
		"/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0",
		"/lib/ld-musl-x86_64.so.1",
	};
	unsigned int checked = 0, cheap = 0, further = 0;

	for (size_t l = 0; l < sizeof(libraries) / sizeof(libraries[0]); l++) {
		struct mw_elffile *elf = mw_elffile__open(libraries[l], libraries[l], NULL);
		struct real_site sites[REAL_FUNCTIONS * 2];
		size_t count;

		if (!elf)
			continue;
		count = choose_real(elf, sites);
		mw_elffile__close(elf);
		check_against_objdump(libraries[l], sites, count);
		for (size_t i = 0; i < count; i++) {
			cheap += sites[i].site.class != MW_PROBE_STEPPED;
			further += sites[i].site.offset != 0;
			if (getenv("SITES"))
				printf("  %s %s %s\n", strrchr(libraries[l], '/') + 1,
				       sites[i].name, sites[i].site.insn);
		}
		checked += count;
	}
	printf("  %u sites checked, %u of them emulated, %u behind the entry\n", checked, cheap,
	       further);
	CHECK(checked >= 8);
	CHECK(cheap * 2 >= checked);
}
