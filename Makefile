# SPDX-License-Identifier: GPL-2.0-or-later
# `make` builds, `make help` lists the rest. V=1 shows commands; CC=clang and BUILD=dir as usual.

VERSION	:= 0.1.0
BUILD	?= build
PREFIX	?= /usr/local
DESTDIR	?=

CC	?= gcc
CLANG	?= clang
CLANG_FORMAT ?= clang-format
BPFTOOL	?= $(or $(shell command -v bpftool 2>/dev/null),/usr/sbin/bpftool)
PKGS	:= libbpf libelf libdw jansson ncursesw

# clang before 19 doesn't know -Wformat-signedness.
WARN	:= -Wall -Wextra -Werror -Wshadow -Wvla $(shell $(CC) -Werror -Wformat-signedness -x c -c \
	   /dev/null -o /dev/null 2>/dev/null && echo -Wformat-signedness)
CFLAGS	?= -O2 -g
MWFLAGS	= -std=gnu11 $(WARN) -D_GNU_SOURCE -D_FORTIFY_SOURCE=2 -DMW_VERSION='"$(VERSION)"' -fPIC \
	  -Iuserspace -Igdb-scripts -I. -I$(BUILD) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS	= $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lZydis -liberty -lzstd -llz4 -lz -lm -lpthread
LDFLAGS ?=

V	?= 0
ifeq ($(V),0)
Q	:= @
say	= @printf '  %-8s %s\n' '$(1)' '$(patsubst $(BUILD)/%,%,$(2))'
endif

# Every room is a folder of .c files, some with folders in it; main.c and cmd/ are left out of the library that tests link.
CMD_SRCS := userspace/main.c $(sort $(wildcard userspace/cmd/*.c))
CMD_OBJS := $(CMD_SRCS:%.c=$(BUILD)/%.o)
LIB_SRCS := $(filter-out $(CMD_SRCS) userspace/python/gen_layouts.c,\
	      $(sort $(wildcard userspace/*/*.c userspace/*/*/*.c)))
LIB_OBJS := $(LIB_SRCS:%.c=$(BUILD)/%.o)
# The engine as a shared library, for GDB: of the rooms it takes what it needs, so nothing of BPF.
ENGINE_SRCS := $(sort $(wildcard gdb-scripts/engine/*.c))
ENGINE_OBJS := $(ENGINE_SRCS:%.c=$(BUILD)/%.o)
ENGINE	:= $(BUILD)/libmemwhere.so
# state.bpf.c defines the shared maps and must be linked first: libbpf 1.1's linker gives a map
# that it meets as "extern" first the wrong offset.
BPF_SRCS := bpf/state.bpf.c $(filter-out bpf/state.bpf.c,$(sort $(wildcard bpf/*.bpf.c)))
BPF_OBJS := $(BPF_SRCS:%.bpf.c=$(BUILD)/%.bpf.o)
SKEL	:= $(BUILD)/bpf/memwhere.skel.h
UNIT_SRCS := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BINS := $(UNIT_SRCS:tests/unit/%.c=$(BUILD)/tests/unit/%)
# No tests by themselves: programs that tests ask.
UNIT_TOOLS := $(BUILD)/tests/unit/code_lines $(BUILD)/tests/unit/pymalloc_places
WORK_SRCS := $(sort $(wildcard tests/workloads/*.c))
WORK_BINS := $(WORK_SRCS:tests/workloads/%.c=$(BUILD)/tests/workloads/%)
WORK_TOOLS := $(BUILD)/tests/tui_replay $(BUILD)/tests/traps $(BUILD)/tests/cpu_clock

.PHONY: all help deps check demo bench case-study pictures lint asan fuzz matrix kernels compdb layouts install uninstall clean \
	unit-bins workloads format
all: $(BUILD)/memwhere $(ENGINE)

help:
	@echo 'make            build $(BUILD)/memwhere'
	@echo 'make deps       install the packages that building and testing need (apt, as root)'
	@echo 'make demo       build, then watch a Python program that grows and shrinks (as root)'
	@echo 'make check      install packages, build, run all tests (as root)'
	@echo 'make bench      print what each mode costs, as ratios from one run (as root)'
	@echo 'make case-study one server under three allocators: docs/case-study.md anew (as root, 4 minutes, 4 GB)'
	@echo 'make pictures   what README, docs/post-mortem.md and docs/pictures show, anew (as root, 4 GB)'
	@echo 'make lint       clang-tidy, cppcheck, shellcheck, the rule of the floors'
	@echo 'make format     clang-format over every file of C'
	@echo 'make asan       the unit tests and the program under ASan and UBSan'
	@echo 'make fuzz       each fuzz target for FUZZ_SECONDS (default 20)'
	@echo 'make matrix     other distributions: their glibc, their Python, and built by their compilers'
	@echo 'make kernels    other kernels, under emulation'
	@echo 'make compdb     compile_commands.json, for editors (needs bear)'
	@echo 'make layouts    rows of the table of CPython layouts, from PYTHONS="VERSION=FILE ..."'
	@echo 'make install    DESTDIR= PREFIX=/usr/local'

# ---- build -----------------------------------------------------------------------------------

$(BUILD)/memwhere: $(CMD_OBJS) $(LIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(filter $(BUILD)/userspace/trace/%,$(LIB_OBJS)): | $(SKEL)
# Of an archive the linker takes only what is asked for.
$(ENGINE): $(ENGINE_OBJS) $(LIB_OBJS) gdb-scripts/engine/engine.map
	$(call say,LINK,$@)
	$(Q)rm -f $(BUILD)/rooms.a && $(AR) rcsD $(BUILD)/rooms.a $(LIB_OBJS)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libmemwhere.so -Wl,--as-needed \
		-Wl,--version-script=gdb-scripts/engine/engine.map -o $@ $(ENGINE_OBJS) \
		$(BUILD)/rooms.a $(LIBS)

$(BUILD)/gdb-scripts/%.o: gdb-scripts/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(MWFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/userspace/%.o: userspace/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(MWFLAGS) -MMD -MP -c -o $@ $<

# The kernel's types come from the few CO-RE flavours in bpf/kernel.bpf.h, so no vmlinux.h and no
# /sys/kernel/btf is needed to build. linux/*.h of the C library's kernel headers bring bpf.h.
# clang's own name for that folder has a "pc" in it, so it is made from the machine's.
BPF_ARCH_INC := /usr/include/$(shell uname -m)-linux-gnu
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -D__TARGET_ARCH_x86 -g -O2 -mcpu=v3 -Wall -Wextra -Werror -I. \
		-idirafter $(BPF_ARCH_INC) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $@ $<

$(BUILD)/bpf/memwhere.bpf.o: $(BPF_OBJS) Makefile
	$(call say,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $(BPF_OBJS)

$(SKEL): $(BUILD)/bpf/memwhere.bpf.o
	$(call say,SKEL,$@)
	$(Q)(echo '/* NOLINTBEGIN */'; $(BPFTOOL) gen skeleton $< name memwhere_bpf; \
		echo '/* NOLINTEND */') > $@.tmp && \
		mv $@.tmp $@

# Rows for userspace/python/layout_table.h: make layouts PYTHONS='3.11.7=/path/to/libpython.so ...'
$(BUILD)/gen_layouts: $(BUILD)/userspace/python/gen_layouts.o $(BUILD)/userspace/python/layout.o \
		$(BUILD)/userspace/python/layout_dwarf.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

layouts: $(BUILD)/gen_layouts
	$(Q)$< $(PYTHONS)

# ---- tests -----------------------------------------------------------------------------------

$(BUILD)/tests/unit/%: tests/unit/%.c tests/unit/test.h $(ENGINE_OBJS) $(LIB_OBJS)
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(MWFLAGS) -I. -MMD -MP $(LDFLAGS) -o $@ $< $(ENGINE_OBJS) $(LIB_OBJS) $(LIBS)

# Workloads are what is measured: plain flags, no optimisation of malloc/free pairs.
$(BUILD)/tests/workloads/%: tests/workloads/%.c
	$(call say,WORK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -O1 -g -std=gnu11 -Wall -Wextra -D_GNU_SOURCE -fno-builtin -o $@ $< -lpthread

# A recorded session for the screen, and probes that do nothing; they link the rooms.
$(WORK_TOOLS): $(BUILD)/tests/%: tests/%.c $(LIB_OBJS)
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(MWFLAGS) -I. -MMD -MP $(LDFLAGS) -o $@ $< $(LIB_OBJS) $(LIBS)

unit-bins: $(UNIT_BINS) $(UNIT_TOOLS)
workloads: $(WORK_BINS) $(WORK_TOOLS)

# As many at once as there are processors, where the command line says nothing of it.
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

deps:
	sh tests/deps.sh

check:
	sh tests/deps.sh
	$(MAKE) $(JOBS) all unit-bins workloads
	BUILD=$(abspath $(BUILD)) sh tests/run.sh

demo:
	@sh tests/deps.sh build
	@$(MAKE) --no-print-directory $(JOBS) all
	@BUILD=$(abspath $(BUILD)) sh tests/demo.sh

bench: all workloads
	BUILD=$(abspath $(BUILD)) SECTION=$(or $(SECTION),all) sh tests/bench.sh

case-study: all
	sh tests/deps.sh
	python3 docs/case_study.py $(BUILD)

pictures: all
	sh tests/deps.sh
	python3 docs/screens.py $(BUILD)
	python3 docs/post_mortem.py $(BUILD)

# What clang-format of Debian 12 (14) makes of .clang-format is the style; lint asks it.
format:
	git ls-files '*.c' '*.h' | xargs $(CLANG_FORMAT) -i

lint:
	BUILD=$(abspath $(BUILD)) sh tests/lint.sh

# The same tree under the sanitizers, in a build folder of its own.
asan:
	$(MAKE) BUILD=$(BUILD)/asan CFLAGS='-O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer \
		-fno-sanitize-recover=undefined' all unit-bins
	BUILD=$(abspath $(BUILD))/asan sh tests/run.sh unit

fuzz: all workloads
	BUILD=$(abspath $(BUILD)) sh tests/fuzz.sh

matrix: all workloads
	BUILD=$(abspath $(BUILD)) sh tests/matrix.sh

kernels: all workloads
	BUILD=$(abspath $(BUILD)) sh tests/kernels.sh

compdb:
	@command -v bear >/dev/null || { echo 'make compdb needs bear: apt-get install bear' >&2; exit 1; }
	bear -- $(MAKE) -B all unit-bins workloads

# memwhere-gdb.py finds the library by its place relative to its own.
GDB_SCRIPTS = $(PREFIX)/share/memwhere/gdb-scripts
BASH_COMPLETION = $(DESTDIR)$(PREFIX)/share/bash-completion/completions/memwhere
ZSH_COMPLETION = $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_memwhere
FISH_COMPLETION = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/memwhere.fish
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(dir $(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION))
	install -m 755 $(BUILD)/memwhere $(DESTDIR)$(PREFIX)/bin/memwhere
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	$(BUILD)/memwhere completion bash > $(BASH_COMPLETION)
	$(BUILD)/memwhere completion zsh > $(ZSH_COMPLETION)
	$(BUILD)/memwhere completion fish > $(FISH_COMPLETION)
	install -d $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(GDB_SCRIPTS)/memwhere
	install -m 755 $(ENGINE) $(DESTDIR)$(PREFIX)/lib/libmemwhere.so
	install -m 644 gdb-scripts/memwhere-gdb.py $(DESTDIR)$(GDB_SCRIPTS)/
	install -m 644 gdb-scripts/memwhere/*.py $(DESTDIR)$(GDB_SCRIPTS)/memwhere/

uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/share/memwhere $(DESTDIR)$(PREFIX)/lib/libmemwhere.so
	rm -f $(DESTDIR)$(PREFIX)/bin/memwhere $(DESTDIR)$(PREFIX)/share/man/man1/memwhere*.1 \
		$(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION)

clean:
	rm -rf $(BUILD)

.SECONDARY: $(BPF_OBJS)
-include $(BUILD)/userspace/python/gen_layouts.d $(LIB_OBJS:.o=.d) $(ENGINE_OBJS:.o=.d) $(CMD_OBJS:.o=.d) $(BPF_OBJS:.o=.d) $(UNIT_BINS:=.d) $(UNIT_TOOLS:=.d) $(BUILD)/tests/tui_replay.d
