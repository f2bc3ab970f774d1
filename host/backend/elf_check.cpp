// See elf_check.h.
#include "host/backend/elf_check.h"

#include <elf.h>
#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "host/errors.h"
#include "host/files/durable_file.h"

namespace lockstep {
namespace {

template <class T>
void read(const FileHandle& file, std::uint64_t offset, std::span<T> to) {
  file.read_at(offset, std::as_writable_bytes(to));
}

std::string cut_off(std::uint64_t size, const char* what) {
  return "the file is damaged: " + std::to_string(size) + " bytes, but " + what + " beyond them";
}

std::string fault_of(const FileHandle& file) {
  const std::uint64_t size = file.size();
  const auto holds = [&](std::uint64_t offset, std::uint64_t bytes) {
    return offset <= size && bytes <= size - offset;
  };
  Elf64_Ehdr header{};
  if (size < sizeof header) return cut_off(size, "its header ends");
  read(file, 0, std::span(&header, 1));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_phentsize != sizeof(Elf64_Phdr)) {
    return "not a module of this system";
  }
  if (!holds(header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr))) {
    return cut_off(size, "its table of segments ends");
  }
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  read(file, header.e_phoff, std::span(segments));
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_LOAD || holds(segment.p_offset, segment.p_filesz)) continue;
    return cut_off(size, "a segment ends");
  }
  if (header.e_shnum == 0) return {};  // stripped of its sections
  if (header.e_shentsize != sizeof(Elf64_Shdr) ||
      !holds(header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr))) {
    return cut_off(size, "its table of sections ends");
  }
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  read(file, header.e_shoff, std::span(sections));
  // zeros where the end of the file was never written
  if (header.e_shstrndx >= header.e_shnum || sections[header.e_shstrndx].sh_type != SHT_STRTAB) {
    return "the file is damaged: its table of sections is empty";
  }
  return {};
}

}  // namespace

std::string elf_fault(const std::filesystem::path& path) {
  try {
    // O_NONBLOCK: a FIFO under this name must not hang the program
    return fault_of(FileHandle(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace lockstep
