// The LS_EMULATOR_* variables, and how the emulator stops a process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

namespace cuemu {

enum class Order { kForward, kReverse, kRandom };

/// What of a device decides which kernels can be launched, and how they are laid out.
struct Device {
  const char* name;
  int major, minor;  // compute capability
  int multiprocessors;
  int threads;  // of a multiprocessor
  // bytes of shared memory: of a multiprocessor, and the most of a block that asks for it
  std::size_t shared, shared_block;
};
inline constexpr Device kDevices[] = {
    {"t4", 7, 5, 40, 1024, std::size_t{64} << 10, std::size_t{64} << 10},
    {"a100", 8, 0, 108, 2048, std::size_t{164} << 10, std::size_t{163} << 10},
    {"rtx", 8, 9, 128, 1536, std::size_t{100} << 10, std::size_t{99} << 10},
    {"h200", 9, 0, 132, 2048, std::size_t{228} << 10, std::size_t{227} << 10},
};
/// Bytes of shared memory: the most static of a block, and in all of one that asks for no more.
inline constexpr std::size_t kPlainShared = std::size_t{48} << 10;

/// What nvcc made of a kernel: registers of a thread, most threads of a block.
struct Compiled {
  int registers = 32;
  int threads = 1024;
};
inline constexpr int kRegisters = 65536;    ///< of a multiprocessor
inline constexpr int kMostRegisters = 255;  ///< of a thread

struct Settings {
  Order order = Order::kRandom;
  std::uint64_t seed = 1;
  int resident_blocks = 1;
  bool strict = true;
  bool poison = false;
  bool initcheck = true;
  int devices = 1;
  Device device = kDevices[std::size(kDevices) - 1];
  std::size_t memory_bytes = std::size_t{4} << 30;
  int driver_version = 13000;
  std::map<std::uintptr_t, Compiled> compiled;  ///< by the kernel's place in its module; or none
  long fail_call = 0;                           ///< 1-based number of the call that fails; 0: none
  int fail_error = -1;                          ///< its error code; -1: what fits the call
};

/// The device of that name; null if there is none.
const Device* find_device(std::string_view name);

/// Read from the environment once. A value that cannot be read ends the process.
const Settings& settings();

/// Exit status of a process that the emulator stops.
inline constexpr int kExitStatus = 86;

/// Prints `message` and how to run the same order again, and ends the process with kExitStatus.
[[noreturn]] void stop(const std::string& message);

/// The next number of the sequence (SplitMix64).
std::uint64_t next_random(std::uint64_t& state);

}  // namespace cuemu
