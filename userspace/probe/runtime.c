// SPDX-License-Identifier: GPL-2.0-or-later
#include <stddef.h>

#include "probe/runtime.h"
#include "util/array.h"

/*
 * What Go's linker puts into every program (cmd/link/internal/ld/elf.go); strip leaves all three.
 */
static bool is_go(const struct mw_elffile *elf)
{
	return mw_elffile__has_section(elf, ".go.buildinfo") ||
	       mw_elffile__has_section(elf, ".gopclntab") || mw_elffile__has_note(elf, "Go");
}

/* A symbol that the runtime exports. */
static const struct {
	const char *symbol, *name;
} known[] = {
	{"_emalloc", "PHP"},			/* Zend/zend_alloc.h */
	{"JNI_CreateJavaVM", "JVM"},		/* jni.h */
	{"_ZN2v82V815DisposePlatformEv", "V8"}, /* v8-initialization.h: V8::DisposePlatform() */
};

const char *mw_runtime_name(struct mw_elffile *elf)
{
	struct mw_symbol symbol;

	if (is_go(elf))
		return "Go";
	for (size_t i = 0; i < MW_ARRAY_SIZE(known); i++) {
		if (!mw_elffile__dynamic_symbol(elf, known[i].symbol, &symbol))
			return known[i].name;
	}
	return NULL;
}
