// What the machine lets this process have: memory, cores, threads. The kernel grants memory and
// ends the process that touches more of it than its control group may hold; OpenMP ends the process
// where it cannot start a thread, and leaves a forked child without any. So limits are read before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>

namespace lockstep {

/// Limits that hold whatever else runs: none says what is free at the moment.
struct MachineLimits {
  std::int64_t memory = std::numeric_limits<std::int64_t>::max();  // bytes, swap included
  std::string memory_source = "nothing";                           // what sets it
  double cores = std::numeric_limits<double>::infinity();  // CPU quota: seconds of CPU a second
};

/// The limits of the machine and of the control groups, version 1 and 2, that this process is in or
/// below, whichever is tightest. Every path is looked up under `root`. A file that is missing or
/// not understood sets no limit.
MachineLimits read_control_groups(const std::filesystem::path& root = "/");

/// The same under "/", and resource limits (RLIMIT_AS, RLIMIT_DATA); read once a process.
const MachineLimits& machine_limits();

/// Errors: OutOfMemory with the bytes wanted, in use and allowed if they exceed the limit.
void require_memory(std::int64_t wanted, std::int64_t in_use, const MachineLimits& limits);

/// Bytes that are about to be used, counted against machine_limits() as long as the object lives.
/// Errors: as require_memory(), with the claims of the whole process in use.
class MemoryClaim {
 public:
  MemoryClaim() = default;
  explicit MemoryClaim(std::int64_t bytes);
  ~MemoryClaim();
  MemoryClaim(MemoryClaim&& other) noexcept : bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryClaim& operator=(MemoryClaim&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }

 private:
  std::int64_t bytes_ = 0;
};

}  // namespace lockstep
