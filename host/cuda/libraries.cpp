// See libraries.h.
#include "host/cuda/libraries.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>
#include <system_error>

namespace lockstep::cuda {
namespace {

namespace fs = std::filesystem;

/// The folders that a variable such as PATH names.
std::vector<fs::path> folders_of(const char* variable) {
  std::vector<fs::path> folders;
  const char* const value = std::getenv(variable);
  std::istringstream words(value == nullptr ? "" : value);
  for (std::string word; std::getline(words, word, ':');) {
    if (!word.empty()) folders.emplace_back(word);
  }
  return folders;
}

/// What is in a folder, by name; nothing if it cannot be read.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    entries.push_back(entry->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// The folders of packages of the Pythons under `prefix`.
void add_packages(const fs::path& prefix, std::vector<fs::path>& to) {
  for (const fs::path& python : entries_of(prefix / "lib")) {
    if (!python.filename().string().starts_with("python")) continue;
    to.push_back(python / "site-packages");
    to.push_back(python / "dist-packages");  // Debian's
  }
}

}  // namespace

std::vector<fs::path> python_libraries(const char* name) {
  std::vector<fs::path> packages = folders_of("PYTHONPATH");
  std::error_code error;
  for (const fs::path& folder : folders_of("PATH")) {
    if (fs::exists(folder / "python3", error)) add_packages(folder / "..", packages);
  }
  for (const fs::path& home : folders_of("HOME")) add_packages(home / ".local", packages);

  std::vector<fs::path> found;
  for (const fs::path& folder : packages) {
    for (const fs::path& package : entries_of(folder / "nvidia")) {
      const fs::path file = package / "lib" / name;
      if (fs::exists(file, error)) found.push_back(file);
    }
  }
  return found;
}

}  // namespace lockstep::cuda
