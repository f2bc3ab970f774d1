// See machine.h. Formats: Linux, Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst; proc(5) for
// /proc/self/cgroup and /proc/self/mountinfo.
#include "host/backend/machine.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "host/errors.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();
/// Version 1 writes "no limit" as the largest multiple of a page.
constexpr std::int64_t kAsGoodAsUnlimited = std::int64_t{1} << 62;
/// Of the program itself: its code, stacks and small arrays, which nobody claims.
constexpr std::int64_t kProgramBytes = 16 << 20;

std::vector<std::string> words_of(std::string line, char separator) {
  std::replace(line.begin(), line.end(), separator, ' ');
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

/// The numbers in the first line of a file; empty for "max" and other words.
std::vector<std::optional<std::int64_t>> numbers_in(const fs::path& path) {
  std::vector<std::optional<std::int64_t>> numbers;
  const std::vector<std::string> lines = lines_of(path);
  if (lines.empty()) return numbers;
  for (const std::string& word : words_of(lines.front(), '\t')) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    const bool whole = error == std::errc{} && end == word.data() + word.size();
    numbers.push_back(whole ? std::optional(value) : std::nullopt);
  }
  return numbers;
}

/// A limit in bytes; kUnlimited where there is none.
std::int64_t bytes_in(const fs::path& path) {
  const auto numbers = numbers_in(path);
  const bool limited =
      !numbers.empty() && numbers[0] && *numbers[0] >= 0 && *numbers[0] < kAsGoodAsUnlimited;
  return limited ? *numbers[0] : kUnlimited;
}

std::int64_t sum(std::int64_t a, std::int64_t b) { return a > kUnlimited - b ? kUnlimited : a + b; }

void limit_memory(MachineLimits& limits, std::int64_t bytes, const std::string& source) {
  if (bytes >= limits.memory) return;
  limits.memory = bytes;
  limits.memory_source = source;
}

void limit_cores(MachineLimits& limits, std::optional<std::int64_t> quota,
                 std::optional<std::int64_t> period) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return;
  limits.cores = std::min(limits.cores, static_cast<double>(*quota) / static_cast<double>(*period));
}

/// A value of /proc/meminfo in bytes; `missing` where it has none.
std::int64_t meminfo(const fs::path& root, std::string_view name, std::int64_t missing) {
  for (const std::string& line : lines_of(root / "proc/meminfo")) {
    const std::vector<std::string> words = words_of(line, ':');  // "MemTotal: 24576 kB"
    if (words.size() == 3 && words[0] == name) return std::atoll(words[1].c_str()) * 1024;
  }
  return missing;
}

/// A hierarchy of control groups and the place of this process in it.
struct Hierarchy {
  fs::path top;         // where it is mounted, under the root
  std::string mounted;  // the group that is mounted there
  std::string group;    // of this process
  bool v2 = false, memory = false, cpu = false;
};

std::vector<Hierarchy> hierarchies(const fs::path& root) {
  std::vector<Hierarchy> found;
  const std::vector<std::string> memberships = lines_of(root / "proc/self/cgroup");
  for (const std::string& line : lines_of(root / "proc/self/mountinfo")) {
    // number parent device root place options [tags...] - type source options
    const std::vector<std::string> words = words_of(line, ' ');
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (dash - words.begin() < 6 || words.end() - dash < 4) continue;
    Hierarchy h{.top = root / fs::path(words[4]).relative_path(), .mounted = words[3], .group = ""};
    h.v2 = dash[1] == "cgroup2";
    if (!h.v2 && dash[1] != "cgroup") continue;
    const std::vector<std::string> options = words_of(dash[3], ',');
    const auto has = [&](const std::vector<std::string>& names, const char* name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    h.memory = h.v2 || has(options, "memory");
    h.cpu = h.v2 || has(options, "cpu");
    for (const std::string& membership : memberships) {
      const std::size_t first = membership.find(':'), second = membership.find(':', first + 1);
      if (second == std::string::npos) continue;  // number:controllers:group
      const auto controllers = words_of(membership.substr(first + 1, second - first - 1), ',');
      const bool ours =
          h.v2 ? controllers.empty()
               : (h.memory && has(controllers, "memory")) || (h.cpu && has(controllers, "cpu"));
      if (ours) h.group = membership.substr(second + 1);
    }
    if (!h.group.empty() && (h.memory || h.cpu)) found.push_back(h);
  }
  return found;
}

void limit_by_group(MachineLimits& limits, const Hierarchy& h, const fs::path& folder,
                    std::int64_t swap) {
  const std::string source = "control group " + folder.string();
  if (h.v2) {
    const std::int64_t own_swap = std::min(bytes_in(folder / "memory.swap.max"), swap);
    limit_memory(limits, sum(bytes_in(folder / "memory.max"), own_swap), source);
    const auto cpu = numbers_in(folder / "cpu.max");  // "150000 100000"
    if (cpu.size() == 2) limit_cores(limits, cpu[0], cpu[1]);
    return;
  }
  if (h.memory) {
    limit_memory(limits,
                 std::min(sum(bytes_in(folder / "memory.limit_in_bytes"), swap),
                          bytes_in(folder / "memory.memsw.limit_in_bytes")),
                 source);
  }
  if (h.cpu) {
    const auto quota = numbers_in(folder / "cpu.cfs_quota_us");
    const auto period = numbers_in(folder / "cpu.cfs_period_us");
    if (!quota.empty() && !period.empty()) limit_cores(limits, quota[0], period[0]);
  }
}

void limit_by_resource(MachineLimits& limits, __rlimit_resource resource, const char* name) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur >= static_cast<rlim_t>(kUnlimited)) return;
  limit_memory(limits, static_cast<std::int64_t>(limit.rlim_cur), name);
}

std::atomic<std::int64_t> claimed{0};

}  // namespace

MachineLimits read_control_groups(const fs::path& root) {
  MachineLimits limits;
  const std::int64_t swap = meminfo(root, "SwapTotal", 0);
  limit_memory(limits, sum(meminfo(root, "MemTotal", kUnlimited), swap), "the machine");
  for (const Hierarchy& h : hierarchies(root)) {
    // what is mounted may be a group below the top, and the name one that starts at the top
    std::string group = h.group;
    if (h.mounted != "/" && group.starts_with(h.mounted)) group.erase(0, h.mounted.size());
    fs::path folder = h.top / fs::path(group).relative_path();
    if (!fs::is_directory(folder)) folder = h.top;  // the name is another container's
    limit_by_group(limits, h, folder, swap);
    while (folder != h.top && folder.has_relative_path()) {
      folder = folder.parent_path();
      limit_by_group(limits, h, folder, swap);
    }
  }
  return limits;
}

const MachineLimits& machine_limits() {
  static const MachineLimits limits = [] {
    MachineLimits read = read_control_groups();
    limit_by_resource(read, RLIMIT_AS, "RLIMIT_AS (ulimit -v)");
    limit_by_resource(read, RLIMIT_DATA, "RLIMIT_DATA (ulimit -d)");
    return read;
  }();
  return limits;
}

void require_memory(std::int64_t wanted, std::int64_t in_use, const MachineLimits& limits) {
  const std::int64_t allowed = std::max<std::int64_t>(limits.memory - kProgramBytes, 0);
  if (wanted <= allowed - in_use) return;
  throw OutOfMemory("out of memory: " + std::to_string(wanted) + " bytes wanted, " +
                    std::to_string(in_use) + " in use, " + std::to_string(limits.memory) +
                    " allowed by " + limits.memory_source);
}

MemoryClaim::MemoryClaim(std::int64_t bytes) {
  // one step with the check: of two claims that fit alone, but not together, one is refused
  std::int64_t in_use = claimed.load();
  do {
    require_memory(bytes, in_use, machine_limits());
  } while (!claimed.compare_exchange_weak(in_use, in_use + bytes));
  bytes_ = bytes;
}

MemoryClaim::~MemoryClaim() { claimed -= bytes_; }

}  // namespace lockstep
