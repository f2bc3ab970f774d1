// See fuzz.h.
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/fuzz.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LS_COUNTS_HEAP 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define LS_COUNTS_HEAP 1
#endif
#ifdef LS_COUNTS_HEAP
#include <sanitizer/allocator_interface.h>
#endif

namespace lockstep::fuzz {
namespace {

namespace fs = std::filesystem;

std::int64_t live = 0, peak = 0;

#ifdef LS_COUNTS_HEAP
void on_malloc(const volatile void*, std::size_t size) {
  live += static_cast<std::int64_t>(size);
  peak = std::max(peak, live);
}
void on_free(const volatile void* memory) {
  live -=
      static_cast<std::int64_t>(__sanitizer_get_allocated_size(const_cast<const void*>(memory)));
}
const int hooks = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
#endif

// A folder in memory where there is one, removed at exit.
class Scratch {
 public:
  Scratch() {
    const bool memory = ::access("/dev/shm", W_OK | X_OK) == 0;
    path_ = std::string(memory ? "/dev/shm" : "/tmp") + "/lockstep_fuzz.XXXXXX";
    check(::mkdtemp(path_.data()) != nullptr, "mkdtemp failed");
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string from_hex(std::string_view text) {
  std::string digits;
  bool comment = false;
  for (const char c : text) {
    if (c == '#') comment = true;
    if (c == '\n') comment = false;
    if (!comment && std::isxdigit(static_cast<unsigned char>(c)) != 0) digits += c;
  }
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// The digits of a number of JSON, with its sign, from a random place on; empty if there is none.
std::string_view some_number(std::string_view text, Random& random) {
  const std::size_t from = below(random, text.size());
  std::size_t begin = text.find_first_of("0123456789", from);
  if (begin == std::string_view::npos) begin = text.find_first_of("0123456789");
  if (begin == std::string_view::npos) return {};
  while (begin > 0 && std::isdigit(static_cast<unsigned char>(text[begin - 1])) != 0) --begin;
  std::size_t end = text.find_first_not_of("0123456789.eE+-", begin);
  if (end == std::string_view::npos) end = text.size();
  if (begin > 0 && text[begin - 1] == '-') --begin;
  return text.substr(begin, end - begin);
}

// A string of JSON that is a value, with its quotes, from a random place on; empty if there is
// none.
std::string_view some_string(std::string_view text, Random& random) {
  std::size_t begin = text.find(':', below(random, text.size()));
  if (begin == std::string_view::npos) begin = text.find(':');
  if (begin != std::string_view::npos) begin = text.find_first_not_of(' ', begin + 1);
  if (begin == std::string_view::npos || text[begin] != '"') return {};
  const std::size_t end = text.find('"', begin + 1);
  return end == std::string_view::npos ? std::string_view() : text.substr(begin, end + 1 - begin);
}

constexpr std::array kNumbers = {"0",
                                 "1",
                                 "2",
                                 "3",
                                 "-1",
                                 "-0.0",
                                 "255",
                                 "256",
                                 "65536",
                                 "2147483648",
                                 "4294967296",
                                 "4611686018427387904",
                                 "4611686018427387905",
                                 "4611686018427387903",
                                 "9223372036854775807",
                                 "9223372036854775808",
                                 "18446744073709551615",
                                 "18446744073709551616",
                                 "1e38",
                                 "1e39",
                                 "1e300",
                                 "-1e300",
                                 "1e-400",
                                 "1e400",
                                 "0.5"};
constexpr std::array kValues = {"null", "true", "false", "\"\"", "[]", "{}", "\"text\""};
constexpr std::array<std::size_t, 10> kDepths = {1, 2, 7, 8, 15, 16, 17, 100, 1000, 4000};
constexpr std::size_t kMostMore = 8;  // of what a list has already; limits of ranks are as low

}  // namespace

std::vector<Target>& targets() {
  static std::vector<Target> list;
  return list;
}

void check(bool condition, std::string_view what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

std::int64_t live_bytes() { return live; }
std::int64_t peak_bytes() { return peak; }
void reset_peak() { peak = live; }

std::filesystem::path scratch() {
  static const Scratch folder;
  return folder.path();
}

void clear_scratch() {
  for (const auto& entry : fs::directory_iterator(scratch())) fs::remove_all(entry.path());
}

void spill(const fs::path& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  check(!file.fail(), "the scratch folder cannot be written");
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> committed(const Target& target) {
  std::vector<fs::path> files;
  std::error_code none;  // a target may have no corpus yet
  for (const auto& entry : fs::directory_iterator(fs::path(LS_FUZZ_CORPUS) / target.name, none)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> inputs;
  for (const fs::path& file : files) {
    inputs.push_back(file.extension() == ".hex" ? from_hex(slurp(file)) : slurp(file));
  }
  return inputs;
}

std::size_t depth_of(std::string_view json) {
  std::size_t depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string && c == '\\') ++i;
    if (c == '"') in_string = !in_string;
    if (in_string) continue;
    if (c == '[' || c == '{') deepest = std::max(deepest, ++depth);
    if ((c == ']' || c == '}') && depth > 0) --depth;
  }
  return deepest;
}

std::string mutate_json(std::string text, Random& random) {
  const auto one_of = [&](const auto& list) {
    return std::string(list[below(random, list.size())]);
  };
  if (random() % 64 == 0) return one_of(kValues);  // nothing that a document should be
  if (const auto value = some_string(text, random); !value.empty() && random() % 4 == 0) {
    const auto at = static_cast<std::size_t>(value.data() - text.data());
    return text.replace(at, value.size(), random() % 2 == 0 ? one_of(kValues) : one_of(kNumbers));
  }
  const std::string_view number = some_number(text, random);
  if (number.empty()) return text;
  const auto at = static_cast<std::size_t>(number.data() - text.data());
  std::string other;
  switch (random() % 5) {
    case 0:
      other = one_of(kNumbers);
      break;
    case 1: {
      const std::size_t depth = kDepths[below(random, kDepths.size())];
      other = std::string(depth, '[') + std::string(number) + std::string(depth, ']');
      break;
    }
    case 2:
      other = one_of(kValues);
      break;
    case 3:  // a list that is longer by a few of the same
      other = number;
      for (std::size_t more = below(random, kMostMore) + 1; more > 0; --more) {
        other.append(", ").append(number);
      }
      break;
    default: {  // the member around it once more
      const std::size_t key = text.rfind('"', at);
      const std::size_t begin =
          key == 0 || key == std::string::npos ? key : text.rfind('"', key - 1);
      if (begin == std::string::npos) return text;
      return text.insert(begin, text.substr(begin, at + number.size() - begin) + ", ");
    }
  }
  return text.replace(at, number.size(), other);
}

}  // namespace lockstep::fuzz
