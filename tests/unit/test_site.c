// SPDX-License-Identifier: GPL-2.0-or-later
/* Prologues made by hand that must be taken or refused, and those of this machine's libraries. */
#include "image/elffile.h"
#include "tests/unit/test.h"
#include "trace/site.h"

static struct mw_site choose(const uint8_t *code, size_t size, uint32_t registers, bool entry_stack)
{
	struct mw_site_request request = {
		.code = code,
		.size = size,
		.size_known = true,
		.address = 0x1000,
		.registers = registers,
		.need_entry_stack = entry_stack,
	};
	struct mw_site site;

	mw_site_choose(&request, &site);
	return site;
}

#define CODE(...) ((const uint8_t[]){__VA_ARGS__})
#define CHOOSE(registers, entry_stack, ...)                                                        \
	choose(CODE(__VA_ARGS__), sizeof(CODE(__VA_ARGS__)), registers, entry_stack)

#define TEST_RDI 0x48, 0x85, 0xff	   /* test %rdi,%rdi */
#define JE(rel)	 0x74, (rel)		   /* je . + 2 + rel */
#define JMP(rel) 0xeb, (rel)		   /* jmp . + 2 + rel */
#define PUSH_RBP 0x55			   /* push %rbp */
#define PUSH_R12 0x41, 0x54		   /* push %r12 */
#define SUB_RSP	 0x48, 0x83, 0xec, 0x18	   /* sub $0x18,%rsp */
#define RET	 0xc3
#define NOP	 0x90
#define ENDBR64	 0xf3, 0x0f, 0x1e, 0xfa

TEST(push_at_the_entry_is_kept)
{
	struct mw_site s = CHOOSE(MW_SITE_RDI, true, PUSH_R12, PUSH_RBP, 0x48, 0x89, 0xfb, RET);

	CHECK_INT(s.offset, 0);
	CHECK_INT(s.class, MW_SITE_PUSH);
	CHECK_STR(s.insn, "push r12");
}

TEST(free_of_glibc_is_probed_at_its_branch)
{
	struct mw_site s = CHOOSE(MW_SITE_RDI, false, TEST_RDI, JE(2), PUSH_RBP, RET, RET);

	CHECK_INT(s.offset, 3);
	CHECK_INT(s.class, MW_SITE_BRANCH);
	CHECK_INT(s.stack_shift, 0);
}

TEST(endbr64_is_stepped_over)
{
	struct mw_site s = CHOOSE(MW_SITE_RDI, true, ENDBR64, PUSH_RBP, RET);

	CHECK_INT(s.offset, 4);
	CHECK_INT(s.class, MW_SITE_PUSH);
}

TEST(stack_shift_is_known)
{
	/* push, push, sub $0x18, then a branch: 8 + 8 + 24 */
	struct mw_site s = CHOOSE(MW_SITE_RDI, false, PUSH_R12, PUSH_RBP, SUB_RSP, TEST_RDI, JE(0), RET);

	CHECK_INT(s.offset, 10);
	CHECK_INT(s.stack_shift, 40);
	/* lea 8(%rsp),%rsp gives some back */
	s = CHOOSE(MW_SITE_RDI, false, TEST_RDI, SUB_RSP, 0x48, 0x8d, 0x64, 0x24, 0x08, JE(0), RET);
	CHECK_INT(s.offset, 12);
	CHECK_INT(s.stack_shift, 16);
}

TEST(a_return_probe_needs_the_stack_of_the_entry)
{
	struct mw_site s = CHOOSE(MW_SITE_RDI, true, TEST_RDI, PUSH_RBP, JE(0), RET);

	CHECK_INT(s.offset, 3); /* the push itself: rsp has not moved yet */
	CHECK_INT(s.class, MW_SITE_PUSH);
	s = CHOOSE(MW_SITE_RDI, true, TEST_RDI, SUB_RSP, JE(0), RET);
	CHECK_INT(s.offset, 0);
	CHECK_INT(s.class, MW_SITE_STEPPED);
}

TEST(unknown_stack_ends_the_search)
{
	/* and $-16,%rsp */
	struct mw_site s = CHOOSE(MW_SITE_RDI, false, 0x48, 0x83, 0xe4, 0xf0, PUSH_RBP, RET);

	CHECK_INT(s.offset, 0);
	CHECK_INT(s.class, MW_SITE_STEPPED);
	CHECK(strstr(s.reason, "stack pointer"));
}

TEST(an_overwritten_argument_is_refused)
{
	/* mov %rsi,%rdi; push */
	struct mw_site s = CHOOSE(MW_SITE_RDI, false, 0x48, 0x89, 0xf7, PUSH_RBP, RET);

	CHECK_INT(s.offset, 0);
	CHECK(strstr(s.reason, "argument"));
	/* xor %edi,%edi: the lower half clears the whole */
	s = CHOOSE(MW_SITE_RDI, false, 0x31, 0xff, PUSH_RBP, RET);
	CHECK_INT(s.offset, 0);
	/* mul %rsi writes rdx without naming it */
	s = CHOOSE(MW_SITE_RDX, false, 0x48, 0xf7, 0xe6, PUSH_RBP, RET);
	CHECK_INT(s.offset, 0);
	/* which does no harm where rdx is not asked for */
	s = CHOOSE(MW_SITE_RDI, false, 0x48, 0xf7, 0xe6, PUSH_RBP, RET);
	CHECK_INT(s.offset, 3);
	/* xchg %rdi,%rax */
	s = CHOOSE(MW_SITE_RDI, false, 0x48, 0x97, PUSH_RBP, RET);
	CHECK_INT(s.offset, 0);
}

TEST(a_loop_back_into_the_site_is_refused)
{
	/* test; 3: push; pop; jmp 3 */
	struct mw_site s = CHOOSE(MW_SITE_RDI, false, TEST_RDI, PUSH_RBP, 0x5d, JMP(0xfc));

	CHECK_INT(s.offset, 0);
	CHECK_INT(s.class, MW_SITE_STEPPED);
	CHECK(strstr(s.reason, "comes back"));
	/* to just before the site: mov %rax,%rbx at 3, push at 6, jmp 3 */
	s = CHOOSE(MW_SITE_RDI, false, TEST_RDI, 0x48, 0x89, 0xc3, PUSH_RBP, 0x5d, JMP(0xf9));
	CHECK_INT(s.offset, 0);
	/* to after it: push at 3 is run once */
	s = CHOOSE(MW_SITE_RDI, false, TEST_RDI, PUSH_RBP, NOP, JMP(0xfd));
	CHECK_INT(s.offset, 3);
}

TEST(a_loop_to_the_entry_is_told)
{
	struct mw_site s = CHOOSE(MW_SITE_RDI, false, TEST_RDI, PUSH_RBP, 0x5d, JMP(0xf9));

	CHECK_INT(s.offset, 0);
	CHECK(strstr(s.reason, "loops back to its entry"));
}

TEST(a_jump_table_is_refused)
{
	/* test; push; jmp *%rax */
	struct mw_site s = CHOOSE(MW_SITE_RDI, false, TEST_RDI, PUSH_RBP, 0xff, 0xe0);

	CHECK_INT(s.offset, 0);
	CHECK(strstr(s.reason, "computed jump"));
	/* jmp *8(,%rax,8) */
	s = CHOOSE(MW_SITE_RDI, false, TEST_RDI, PUSH_RBP, 0xff, 0x24, 0xc5, 8, 0, 0, 0);
	CHECK_INT(s.offset, 0);
	/* jmp *0x100(%rip) through the GOT leaves the function for good */
	s = CHOOSE(MW_SITE_RDI, false, TEST_RDI, PUSH_RBP, 0xff, 0x25, 0, 1, 0, 0);
	CHECK_INT(s.offset, 3);
}

TEST(nothing_behind_a_branch_is_taken)
{
	/* test; jle (16-bit prefix: stepped); push */
	struct mw_site s = CHOOSE(MW_SITE_RDI, false, TEST_RDI, 0x66, JE(0), PUSH_RBP, RET);

	CHECK_INT(s.offset, 0);
	CHECK_INT(s.class, MW_SITE_STEPPED);
	/* a call may change every argument */
	s = CHOOSE(MW_SITE_RDI, false, TEST_RDI, 0xe8, 0, 0, 0, 0, PUSH_RBP, RET);
	CHECK_INT(s.offset, 3);
	CHECK_INT(s.class, MW_SITE_BRANCH);
}

TEST(code_that_cannot_be_decoded_leaves_the_entry)
{
	/* test; push; an opcode that does not exist in 64-bit mode */
	struct mw_site s = CHOOSE(MW_SITE_RDI, false, TEST_RDI, PUSH_RBP, 0x06, RET);

	CHECK_INT(s.offset, 0);
	CHECK(strstr(s.reason, "decoded"));
	s = CHOOSE(MW_SITE_RDI, false, 0x06);
	CHECK_INT(s.class, MW_SITE_UNPROBEABLE);
	/* cut in the middle of an instruction */
	s = CHOOSE(MW_SITE_RDI, false, 0x48);
	CHECK_INT(s.class, MW_SITE_UNPROBEABLE);
	s = choose(CODE(RET), 0, MW_SITE_RDI, false);
	CHECK_INT(s.class, MW_SITE_UNPROBEABLE);
}

TEST(what_the_kernel_refuses_is_no_site)
{
	CHECK_INT(CHOOSE(0, false, 0xcc).class, MW_SITE_UNPROBEABLE);		  /* int3 */
	CHECK_INT(CHOOSE(0, false, 0xf4).class, MW_SITE_UNPROBEABLE);		  /* hlt */
	CHECK_INT(CHOOSE(0, false, 0xf0, 0xff, 0x07).class, MW_SITE_UNPROBEABLE); /* lock inc */
}

TEST(a_function_of_unknown_size_is_probed_at_its_entry)
{
	struct mw_site_request request = {
		.code = CODE(TEST_RDI, PUSH_RBP, RET),
		.size = 5,
		.registers = MW_SITE_RDI,
	};
	struct mw_site site;

	mw_site_choose(&request, &site);
	CHECK_INT(site.offset, 0);
	CHECK(strstr(site.reason, "size"));
}

/*
 * Soundness on real code, checked against another disassembler: the site starts an instruction of
 * objdump's, nothing in the function jumps to it, and what lies before it is straight.
 */
static void check_against_objdump(const char *path, const char *name, uint64_t start, uint64_t end,
				  const struct mw_site *site)
{
	char command[512], line[512];
	uint64_t want = start + site->offset, addr, target;
	bool found = false;
	FILE *f;

	snprintf(command, sizeof(command),
		 "objdump -d --no-show-raw-insn --start-address=0x%" PRIx64
		 " --stop-address=0x%" PRIx64 " %s", start, end, path);
	f = popen(command, "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		char mnemonic[32];

		if (sscanf(line, " %" SCNx64 ": %31s", &addr, mnemonic) != 2)
			continue;
		if (addr == want)
			found = true;
		if (addr < want && (mnemonic[0] == 'j' || !strncmp(mnemonic, "call", 4) ||
				    !strncmp(mnemonic, "ret", 3)))
			TEST_FAIL("%s: %s before the site: %s", path, name, line);
		if (mnemonic[0] == 'j' && site->offset &&
		    sscanf(line, " %*x: %*s %" SCNx64, &target) == 1 && target >= start &&
		    target <= want)
			TEST_FAIL("%s: %s is jumped into: %s", path, name, line);
	}
	pclose(f);
	if (!found)
		TEST_FAIL("%s: %s+%u is not the start of an instruction", path, name, site->offset);
}

TEST(sites_in_real_libraries_are_sound)
{
	static const char *const libraries[] = {
		"/lib/x86_64-linux-gnu/libc.so.6",
		"/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
		"/usr/lib/x86_64-linux-gnu/libtcmalloc.so.4",
		"/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0",
		"/lib/ld-musl-x86_64.so.1",
	};
	static const char *const names[] = {"malloc",	"calloc", "realloc", "free",
					    "memalign", "valloc", "reallocarray", "posix_memalign"};
	unsigned int checked = 0, cheap = 0;

	for (size_t l = 0; l < sizeof(libraries) / sizeof(libraries[0]); l++) {
		struct mw_elffile *elf = mw_elffile__open(libraries[l], libraries[l], NULL);

		for (size_t n = 0; elf && n < sizeof(names) / sizeof(names[0]); n++) {
			static uint8_t code[16384];
			struct mw_symbol symbol;
			struct mw_site site;

			if (mw_elffile__symbol(elf, names[n], &symbol) || !symbol.size ||
			    symbol.size > sizeof(code))
				continue;
			CHECK_INT(mw_elffile__bytes(elf, symbol.value, code, symbol.size),
				  symbol.size);
			site = choose(code, symbol.size, MW_SITE_RDI, n != 3);
			CHECK(site.class != MW_SITE_UNPROBEABLE);
			check_against_objdump(libraries[l], names[n], symbol.value,
					      symbol.value + symbol.size, &site);
			checked++;
			cheap += site.class != MW_SITE_STEPPED;
		}
		mw_elffile__close(elf);
	}
	printf("  %u sites checked, %u of them emulated\n", checked, cheap);
	CHECK(checked >= 8);
	CHECK(cheap * 2 >= checked);
}
