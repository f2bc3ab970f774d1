// The LS_EMULATOR_* variables, and how the emulator stops a process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace cuemu {

enum class Order { kForward, kReverse, kRandom };

struct Settings {
  Order order = Order::kRandom;
  std::uint64_t seed = 1;
  int resident_blocks = 1;
  bool strict = true;
  bool poison = false;
  bool initcheck = true;
  int devices = 1;
  std::size_t memory_bytes = std::size_t{4} << 30;
  int driver_version = 13000;
  long fail_call = 0;   ///< 1-based number of the call that fails; 0: none
  int fail_error = -1;  ///< its error code; -1: what fits the call
};

/// Read from the environment once. A value that cannot be read ends the process.
const Settings& settings();

/// Exit status of a process that the emulator stops.
inline constexpr int kExitStatus = 86;

/// Prints `message` and how to run the same order again, and ends the process with kExitStatus.
[[noreturn]] void stop(const std::string& message);

/// The next number of the sequence (SplitMix64).
std::uint64_t next_random(std::uint64_t& state);

}  // namespace cuemu
