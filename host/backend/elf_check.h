// Whether a module's file is whole. The dynamic loader maps what the headers promise and does not
// look: a file that ends earlier kills the process with SIGBUS at the first touch behind its end.
#pragma once

#include <filesystem>
#include <string>

namespace lockstep {

/// Why `path` is no complete 64-bit ELF file, in a few words; empty if it is one: its segments and
/// its tables of segments and sections end within the file, and the table of sections, which
/// linkers write last, is there. What the segments hold is not looked at.
///
/// Errors: none, a file that cannot be read is a reason too.
std::string elf_fault(const std::filesystem::path& path);

}  // namespace lockstep
