// What a fuzz target is, and what its harness gives it. A target is one file: it parses bytes that
// a stranger may have made and checks() what must hold of everything that is accepted. The same
// target runs in two programs: under libFuzzer (libfuzzer.cpp, clang), which invents inputs, and in
// corpus_test.cpp (any compiler), which plays seeds and known inputs again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::fuzz {

using Random = std::minstd_rand;

struct Target {
  const char* name = "";
  /// Valid inputs to start from, made by the project's own writers.
  std::vector<std::string> (*seeds)() = nullptr;
  /// One input. Lets through what no documented error is: any exception that leaves it is a
  /// finding.
  void (*run)(std::string_view input) = nullptr;
  /// Words of the format, for the mutator; may be null.
  std::vector<std::string> (*words)() = nullptr;
  /// A change that keeps what a blind mutation would break (lengths, checksums, brackets); may be
  /// null. `bytes` is the plain mutation of a part of the input: what libFuzzer does best.
  std::string (*mutate)(std::string input, Random& random,
                        const std::function<std::string(std::string)>& bytes) = nullptr;
};

/// The targets linked into this program.
std::vector<Target>& targets();
struct Registration {
  explicit Registration(const Target& target) { targets().push_back(target); }
};

/// Ends the process with a message unless `condition`.
void check(bool condition, std::string_view what);

/// Heap bytes alive and at most alive since reset; 0 where the build does not count (no ASan).
std::int64_t live_bytes();
std::int64_t peak_bytes();
void reset_peak();

/// Calls parse() and checks that it never held more than `most` bytes beyond what was alive before.
template <class Parse>
auto bounded(std::size_t most, Parse parse) {
  struct Bound {
    std::int64_t most, before = live_bytes();
    ~Bound() { check(peak_bytes() <= before + most, "more memory than the input justifies"); }
  };
  reset_peak();
  const Bound bound{static_cast<std::int64_t>(most)};
  return parse();
}

/// A folder in memory, of this process alone and empty at first.
std::filesystem::path scratch();
void clear_scratch();
void spill(const std::filesystem::path& path, std::string_view content);
std::string slurp(const std::filesystem::path& path);

/// Inputs of the committed corpus of a target: tests/fuzz/corpus/<name>/*.txt as they are, *.hex
/// decoded (pairs of digits; '#' to the end of a line is a comment).
std::vector<std::string> committed(const Target& target);

// --- mutations for formats ---

/// JSON and its like: a number becomes one at a boundary or is nested deep in brackets, a list is
/// longer, a member stands twice, a value or the whole document is of another type.
std::string mutate_json(std::string text, Random& random);
/// Levels of brackets outside of strings.
std::size_t depth_of(std::string_view json);
/// Uniform in [0, n).
inline std::size_t below(Random& random, std::size_t n) { return n == 0 ? 0 : random() % n; }

}  // namespace lockstep::fuzz
