// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "image/elffile.h"
#include "util/text.h"

enum { NAME_SIZE = 160, BUILD_ID_MAX = 64, PHDRS_MAX = 256, TEXT_MAX = 64 << 20 };

struct mw_elffile {
	int fd;
	Elf *elf;
	GElf_Ehdr ehdr;
	size_t phnum;
	GElf_Phdr phdrs[PHDRS_MAX];
	Elf_Data *dynsym, *symtab;
	size_t dynsym_count, symtab_count;
	size_t dynsym_strings, symtab_strings; /* section indices */
	char *text; /* the last segment that mw_elffile__find_text() read */
	char build_id[2 * BUILD_ID_MAX + 1];
};

static int check_header(struct mw_elffile *file, const char *name, struct mw_err *err)
{
	if (elf_kind(file->elf) != ELF_K_ELF || !gelf_getehdr(file->elf, &file->ehdr))
		return mw_err_set(err, -ENOEXEC, "not-elf", name, "not an ELF file");
	if (gelf_getclass(file->elf) != ELFCLASS64)
		return mw_err_set(err, -ENOTSUP, "32-bit", name,
				  "32-bit code is not supported, only 64-bit x86");
	if (file->ehdr.e_machine != MW_ARCH_MACHINE)
		return mw_err_set(err, -ENOTSUP, "other-machine", name,
				  "code for another processor (ELF machine %u), only " MW_ARCH_NAME
				  " is supported",
				  (unsigned int)file->ehdr.e_machine);
	return 0;
}

/* A note: its description's bytes, and how many. True: enough, look no further. */
typedef bool (*note_fn)(const GElf_Nhdr *note, const char *owner, const unsigned char *description,
			void *arg);

static bool each_note(const struct mw_elffile *file, note_fn fn, void *arg)
{
	for (size_t i = 0; i < file->phnum; i++) {
		const GElf_Phdr *ph = &file->phdrs[i];
		size_t off = 0, name_off, desc_off;
		GElf_Nhdr note;
		Elf_Data *data;

		if (ph->p_type != PT_NOTE)
			continue;
		data = elf_getdata_rawchunk(file->elf, (int64_t)ph->p_offset, ph->p_filesz,
					    ph->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
		while (data && (off = gelf_getnote(data, off, &note, &name_off, &desc_off)) > 0) {
			if (fn(&note, (char *)data->d_buf + name_off,
			       (unsigned char *)data->d_buf + desc_off, arg))
				return true;
		}
	}
	return false;
}

static bool take_build_id(const GElf_Nhdr *note, const char *owner, const unsigned char *id,
			  void *arg)
{
	struct mw_elffile *file = arg;

	if (note->n_type != NT_GNU_BUILD_ID || note->n_namesz != 4 || memcmp(owner, "GNU", 4) ||
	    note->n_descsz > BUILD_ID_MAX)
		return false;
	for (size_t k = 0; k < note->n_descsz; k++) {
		file->build_id[2 * k] = "0123456789abcdef"[id[k] >> 4];
		file->build_id[2 * k + 1] = "0123456789abcdef"[id[k] & 15];
	}
	return true;
}

static bool is_owner(const GElf_Nhdr *note, const char *owner, const unsigned char *description,
		     void *arg)
{
	size_t size = strlen(arg) + 1;

	(void)description;
	return note->n_namesz == size && !memcmp(owner, arg, size);
}

bool mw_elffile__has_note(const struct mw_elffile *file, const char *owner)
{
	return each_note(file, is_owner, (void *)(uintptr_t)owner);
}

bool mw_elffile__has_section(const struct mw_elffile *file, const char *name)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(file->elf, &names))
		return false;
	while ((section = elf_nextscn(file->elf, section))) {
		GElf_Shdr header;
		const char *text;

		text = gelf_getshdr(section, &header) ? elf_strptr(file->elf, names, header.sh_name)
						      : NULL;
		if (text && !strcmp(text, name))
			return true;
	}
	return false;
}

size_t mw_elffile__read_only_sections(const struct mw_elffile *file, struct mw_section *sections,
				      size_t max)
{
	Elf_Scn *section = NULL;
	size_t names, count = 0;

	if (elf_getshdrstrndx(file->elf, &names))
		return 0;
	while (count < max && (section = elf_nextscn(file->elf, section))) {
		GElf_Shdr h;
		const char *name;

		if (!gelf_getshdr(section, &h) || h.sh_type == SHT_NOBITS ||
		    (h.sh_flags & (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR)) != SHF_ALLOC ||
		    h.sh_offset > INT64_MAX || h.sh_size > INT64_MAX - h.sh_offset)
			continue;
		name = elf_strptr(file->elf, names, h.sh_name);
		sections[count++] = (struct mw_section){name ? name : "", h.sh_offset, h.sh_size};
	}
	return count;
}

size_t mw_elffile__unmapped_tables(const struct mw_elffile *file, struct mw_section *sections,
				   size_t max)
{
	Elf_Scn *section = NULL;
	size_t names, number, count = 0;

	if (elf_getshdrstrndx(file->elf, &names) || elf_getshdrnum(file->elf, &number) || !max)
		return 0;
	sections[count++] =
		(struct mw_section){"", file->ehdr.e_shoff, number * file->ehdr.e_shentsize};
	while (count < max && (section = elf_nextscn(file->elf, section))) {
		GElf_Shdr h;
		bool wanted;

		if (!gelf_getshdr(section, &h) || h.sh_flags & SHF_ALLOC)
			continue;
		wanted = elf_ndxscn(section) == names || h.sh_type == SHT_SYMTAB ||
			 (file->symtab && elf_ndxscn(section) == file->symtab_strings);
		if (wanted && h.sh_offset <= INT64_MAX && h.sh_size <= INT64_MAX - h.sh_offset)
			sections[count++] = (struct mw_section){"", h.sh_offset, h.sh_size};
	}
	return count;
}

bool mw_elffile__dynamic(const struct mw_elffile *file, uint64_t *addr, uint64_t *size)
{
	for (size_t i = 0; i < file->phnum; i++) {
		if (file->phdrs[i].p_type != PT_DYNAMIC)
			continue;
		*addr = file->phdrs[i].p_vaddr;
		*size = file->phdrs[i].p_filesz;
		return true;
	}
	return false;
}

static void find_symbol_tables(struct mw_elffile *file)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(file->elf, scn))) {
		GElf_Shdr shdr;

		if (!gelf_getshdr(scn, &shdr) || !shdr.sh_entsize)
			continue;
		if (shdr.sh_type == SHT_DYNSYM) {
			file->dynsym = elf_getdata(scn, NULL);
			file->dynsym_count = shdr.sh_size / shdr.sh_entsize;
			file->dynsym_strings = shdr.sh_link;
		} else if (shdr.sh_type == SHT_SYMTAB) {
			file->symtab = elf_getdata(scn, NULL);
			file->symtab_count = shdr.sh_size / shdr.sh_entsize;
			file->symtab_strings = shdr.sh_link;
		}
	}
}

struct mw_elffile *mw_elffile__open(const char *path, const char *name, struct mw_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;
	char clean[NAME_SIZE];

	if (fd >= 0)
		return mw_elffile__open_fd(fd, name, err);
	ret = -errno;
	mw_text_clean(clean, sizeof(clean), name, strlen(name));
	mw_err_set(err, ret, "unreadable", clean, "can't open it: %s", strerror(-ret));
	errno = -ret;
	return NULL;
}

struct mw_elffile *mw_elffile__open_fd(int fd, const char *name, struct mw_err *err)
{
	struct mw_elffile *file = calloc(1, sizeof(*file));
	char clean[NAME_SIZE];
	int ret;

	if (!file) {
		close(fd);
		return NULL;
	}
	file->fd = fd;
	mw_text_clean(clean, sizeof(clean), name, strlen(name));
	elf_version(EV_CURRENT);
	/*
	 * Read, not mapped: the kernel puts another tracer's breakpoints into every private
	 * mapping of the file, ours included, so its code would differ from the file's.
	 */
	file->elf = elf_begin(file->fd, ELF_C_READ, NULL);
	if (!file->elf) {
		ret = mw_err_set(err, -ENOEXEC, "not-elf", clean, "not an ELF file");
		goto cleanup;
	}
	ret = check_header(file, clean, err);
	if (ret)
		goto cleanup;
	if (elf_getphdrnum(file->elf, &file->phnum) || file->phnum > PHDRS_MAX)
		file->phnum = 0;
	for (size_t i = 0; i < file->phnum; i++) {
		if (!gelf_getphdr(file->elf, (int)i, &file->phdrs[i])) {
			file->phnum = i;
			break;
		}
	}
	each_note(file, take_build_id, file);
	find_symbol_tables(file);
	return file;

cleanup:
	mw_elffile__close(file);
	errno = -ret;
	return NULL;
}

void mw_elffile__close(struct mw_elffile *file)
{
	if (!file)
		return;
	if (file->elf)
		elf_end(file->elf);
	if (file->fd >= 0)
		close(file->fd);
	free(file->text);
	free(file);
}

static uint64_t file_offset(const struct mw_elffile *file, uint64_t value)
{
	for (size_t i = 0; i < file->phnum; i++) {
		const GElf_Phdr *ph = &file->phdrs[i];

		if (ph->p_type == PT_LOAD && value >= ph->p_vaddr &&
		    value - ph->p_vaddr < ph->p_filesz)
			return value - ph->p_vaddr + ph->p_offset;
	}
	return UINT64_MAX;
}

static bool find_in_table(struct mw_elffile *file, Elf_Data *table, size_t count, size_t strings,
			  const char *name, struct mw_symbol *symbol)
{
	for (size_t i = 1; table && i < count; i++) {
		GElf_Sym sym;
		const char *text;

		if (!gelf_getsym(table, (int)i, &sym) || sym.st_shndx == SHN_UNDEF)
			continue;
		text = elf_strptr(file->elf, strings, sym.st_name);
		if (!text || strcmp(text, name))
			continue;
		/* An indirect function's value is its resolver, not the function. */
		if (GELF_ST_TYPE(sym.st_info) == STT_GNU_IFUNC ||
		    GELF_ST_TYPE(sym.st_info) == STT_TLS)
			continue;
		symbol->value = sym.st_value;
		symbol->size = sym.st_size;
		symbol->offset = file_offset(file, sym.st_value);
		symbol->dynamic = table == file->dynsym;
		return true;
	}
	return false;
}

int mw_elffile__dynamic_symbol(struct mw_elffile *file, const char *name, struct mw_symbol *symbol)
{
	return find_in_table(file, file->dynsym, file->dynsym_count, file->dynsym_strings, name,
			     symbol)
		       ? 0
		       : -ENOENT;
}

int mw_elffile__symbol(struct mw_elffile *file, const char *name, struct mw_symbol *symbol)
{
	if (!mw_elffile__dynamic_symbol(file, name, symbol) ||
	    find_in_table(file, file->symtab, file->symtab_count, file->symtab_strings, name,
			  symbol))
		return 0;
	return -ENOENT;
}

uint64_t mw_elffile__bias(const struct mw_elffile *file, uint64_t start, uint64_t offset)
{
	const uint64_t page = MW_PAGE_SIZE - 1;

	for (size_t i = 0; i < file->phnum; i++) {
		const GElf_Phdr *ph = &file->phdrs[i];

		if (ph->p_type == PT_LOAD && offset >= (ph->p_offset & ~page) &&
		    offset < ph->p_offset + ph->p_filesz)
			return start - ((ph->p_vaddr & ~page) + offset - (ph->p_offset & ~page));
	}
	return start - offset;
}

int mw_elffile__fd(const struct mw_elffile *file)
{
	return file->fd;
}

size_t mw_elffile__bytes(const struct mw_elffile *file, uint64_t value, void *buf, size_t len)
{
	uint64_t offset = file_offset(file, value);
	ssize_t n;

	if (offset > INT64_MAX)
		return 0;
	n = pread(file->fd, buf, len, (off_t)offset);
	return n < 0 ? 0 : (size_t)n;
}

const char *mw_elffile__find_text(struct mw_elffile *file, const char *needle, size_t *left)
{
	for (size_t i = 0; i < file->phnum; i++) {
		const GElf_Phdr *ph = &file->phdrs[i];
		size_t size = ph->p_filesz < TEXT_MAX ? ph->p_filesz : TEXT_MAX;
		const char *hit;
		ssize_t n;

		if (ph->p_type != PT_LOAD || (ph->p_flags & (PF_W | PF_X)) ||
		    ph->p_offset > INT64_MAX)
			continue;
		free(file->text);
		file->text = malloc(size);
		n = file->text ? pread(file->fd, file->text, size, (off_t)ph->p_offset) : -1;
		hit = n > 0 ? memmem(file->text, (size_t)n, needle, strlen(needle)) : NULL;
		if (hit) {
			*left = (size_t)(file->text + n - hit);
			return hit;
		}
	}
	return NULL;
}

const char *mw_elffile__build_id(const struct mw_elffile *file)
{
	return file->build_id;
}

bool mw_elffile__data_segment(const struct mw_elffile *file, size_t i, uint64_t *start,
			      uint64_t *end)
{
	for (size_t k = 0; k < file->phnum; k++) {
		const GElf_Phdr *ph = &file->phdrs[k];

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_W))
			continue;
		if (!i--) {
			*start = ph->p_vaddr;
			*end = ph->p_vaddr + ph->p_memsz;
			return true;
		}
	}
	return false;
}
