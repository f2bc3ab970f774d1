// Tests for Engine::fingerprint().
#include "host/fingerprint.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "host/engine.h"
#include "tests/support/training.h"

namespace lockstep {
namespace fingerprint_test {

TEST(Fingerprint, IsTheRecordedOneOnEveryInstructionSet) {
  for (const Isa isa : test::available_isas()) {
    ::setenv("LS_ISA", isa_name(isa), 1);
    EXPECT_EQ(Engine::fingerprint(), kFingerprint)
        << isa_name(isa) << ": " << std::hex << Engine::fingerprint();
  }
  ::unsetenv("LS_ISA");
}

}  // namespace fingerprint_test
}  // namespace lockstep
