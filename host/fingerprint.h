// The number that Engine::fingerprint() is on every correct build.
#pragma once

#include <cstdint>

namespace lockstep {

/// A commit that changes this number changes results: say so in its message and in CHANGELOG.md.
inline constexpr std::uint64_t kFingerprint = 0xdcb6fc868d61c0b9;

}  // namespace lockstep
