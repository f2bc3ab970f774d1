// Runs a piece of a test in a child process of its own, with its own emulator settings, and says in
// one letter how it ended. Planted bugs end their process, or must be shown not to.
#pragma once

#include <string>

#include "tests/emulator/fiber.h"

namespace cuemu_test {

// clang-format off
inline constexpr char kClean = '.';      ///< right result, nothing reported
inline constexpr char kWrong = 'W';      ///< wrong result
inline constexpr char kSometimes = 'w';  ///< wrong for some seeds
inline constexpr char kStopped = 'S';    ///< a check of the emulator
inline constexpr char kAddress = 'A';    ///< AddressSanitizer
inline constexpr char kUndefined = 'U';  ///< UBSan
inline constexpr char kRace = 'T';       ///< ThreadSanitizer
inline constexpr char kCrash = 'X';      ///< killed by a signal
inline constexpr char kRefused = 'R';    ///< the launch was refused
// clang-format on

/// What the body found out: a result that is right or wrong, or a launch that was refused.
enum class Finding { kRight, kWrongResult, kLaunchRefused };
using Body = Finding (*)();

struct Setup {
  const char* order = "random";
  int seed = 1;
  int resident = 1;
  bool strict = true;
  bool poison = false;
};

struct Outcome {
  char letter = '?';
  std::string text;  ///< what the child wrote
};

/// Runs `body` in a child process. The emulator must not have been used in this process before.
Outcome run_child(const Setup& setup, Body body);

/// The letter of `seeds` runs that differ in their seed alone; kSometimes when it is not always
/// wrong.
char run_seeds(Setup setup, int seeds, Body body);

#if CUEMU_ASAN
inline constexpr bool kAddressBuild = true;
#else
inline constexpr bool kAddressBuild = false;
#endif
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadBuild = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool kThreadBuild = true;
#else
inline constexpr bool kThreadBuild = false;
#endif
#else
inline constexpr bool kThreadBuild = false;
#endif
inline constexpr bool kPlainBuild = !kAddressBuild && !kThreadBuild;

}  // namespace cuemu_test
