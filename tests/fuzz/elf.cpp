// A plug-in's file before it is loaded (host/backend/elf_check.h).
#include <elf.h>

#include <cstring>

#include "host/backend/elf_check.h"
#include "tests/fuzz/fuzz.h"

namespace lockstep::fuzz {
namespace {

// A file of `size` bytes with two segments and as many sections, the last one of names.
std::string module_of(std::size_t size) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  header.e_phoff = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 2;
  header.e_shstrndx = 1;
  header.e_shoff = sizeof header + 2 * sizeof(Elf64_Phdr);
  Elf64_Phdr segments[2] = {};
  segments[0].p_type = PT_LOAD;
  segments[0].p_filesz = size;
  segments[1].p_type = PT_DYNAMIC;
  Elf64_Shdr sections[2] = {};
  sections[1].sh_type = SHT_STRTAB;
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes.append(reinterpret_cast<const char*>(segments), sizeof segments);
  bytes.append(reinterpret_cast<const char*>(sections), sizeof sections);
  bytes.resize(size, '\0');
  return bytes;
}

void run(std::string_view input) {
  const std::filesystem::path path = scratch() / "module.so";
  spill(path, input);
  const std::string fault = bounded(2 * input.size() + 4096, [&] { return elf_fault(path); });
  if (!fault.empty()) return;
  Elf64_Ehdr header;
  check(input.size() >= sizeof header, "a header that is cut off");
  std::memcpy(&header, input.data(), sizeof header);
  const auto inside = [&](unsigned __int128 offset, std::uint64_t bytes) {
    return offset + bytes <= input.size();
  };
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    const auto at = static_cast<unsigned __int128>(header.e_phoff) + i * sizeof(Elf64_Phdr);
    check(inside(at, sizeof(Elf64_Phdr)), "a table of segments that is cut off");
    Elf64_Phdr segment;
    std::memcpy(&segment, input.data() + static_cast<std::size_t>(at), sizeof segment);
    check(segment.p_type != PT_LOAD || inside(segment.p_offset, segment.p_filesz),
          "a segment that is cut off");
  }
}

std::vector<std::string> seeds() { return {module_of(304), module_of(512)}; }

// A field of the header or of a segment at a boundary.
std::string mutate(std::string input, Random& random,
                   const std::function<std::string(std::string)>& bytes) {
  if (input.size() < sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) || random() % 4 == 0) {
    return bytes(input);
  }
  const std::uint64_t values[] = {0,
                                  1,
                                  2,
                                  0xffff,
                                  input.size() - 1,
                                  input.size(),
                                  input.size() + 1,
                                  ~std::uint64_t{0},
                                  ~std::uint64_t{0} - input.size() + 1};
  const std::size_t fields = (sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) - EI_NIDENT - 8) / 2;
  std::memcpy(input.data() + EI_NIDENT + 2 * below(random, fields),
              &values[below(random, std::size(values))], std::size_t{2} << below(random, 3));
  return input;
}

const Registration registration({"elf", seeds, run, nullptr, mutate});

}  // namespace
}  // namespace lockstep::fuzz
