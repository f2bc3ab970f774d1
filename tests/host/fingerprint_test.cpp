// Tests for Engine::fingerprint().
#include <gtest/gtest.h>

#include <cstdlib>

#include "host/engine.h"
#include "tests/support/training.h"

namespace lockstep {
namespace {

// A commit that changes this number changes results: say so in its message and in CHANGELOG.md.
constexpr std::uint64_t kFingerprint = 0xdcb6fc868d61c0b9;

TEST(Fingerprint, IsTheRecordedOneOnEveryInstructionSet) {
  for (const Isa isa : test::available_isas()) {
    ::setenv("LS_ISA", isa_name(isa), 1);
    EXPECT_EQ(Engine::fingerprint(), kFingerprint)
        << isa_name(isa) << ": " << std::hex << Engine::fingerprint();
  }
  ::unsetenv("LS_ISA");
}

}  // namespace
}  // namespace lockstep
