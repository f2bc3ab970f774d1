// Tests for host/cpu/isa.h.
#include "host/cpu/isa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "host/errors.h"
#include "tests/support/training.h"

namespace lockstep {
namespace isa_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

/// LS_ISA for the length of a test.
class ChooseIsa : public testing::Test {
 protected:
  void SetUp() override {
    if (const char* value = std::getenv("LS_ISA")) before_ = value;
  }
  void TearDown() override { set(before_.c_str()); }
  static void set(const char* value) { ::setenv("LS_ISA", value, 1); }

 private:
  std::string before_;
};

TEST_F(ChooseIsa, TakesTheWidestByItself) {
  ::unsetenv("LS_ISA");
  EXPECT_EQ(choose_isa(), test::available_isas().back());
  set("");
  EXPECT_EQ(choose_isa(), test::available_isas().back());
}

TEST_F(ChooseIsa, TakesWhatTheVariableSays) {
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512}) {
    set(isa_name(isa));
    if (test::is_available(isa)) {
      EXPECT_EQ(choose_isa(), isa);
    } else {
      EXPECT_THAT(choose_isa, ThrowsMessage<DeviceUnavailable>(HasSubstr(isa_name(isa))));
    }
  }
}

TEST_F(ChooseIsa, RefusesUnknownNames) {
  for (const char* name : {"sse", "AVX2", "avx512 ", "scala"}) {
    set(name);
    EXPECT_THAT(choose_isa, ThrowsMessage<InvalidArgument>(HasSubstr("scalar, avx2, avx512")))
        << name;
  }
}

TEST_F(ChooseIsa, ShowsOfAStrangeNameWhatIsFitToBeShown) {
  set((std::string(3000, 'a') + "\xff\x1b").c_str());
  EXPECT_THAT(choose_isa, ThrowsMessage<InvalidArgument>(
                              testing::StartsWith("LS_ISA: '" + std::string(80, 'a') + "...'")));
  set("\xff\x1b[31m");
  EXPECT_THAT(choose_isa,
              ThrowsMessage<InvalidArgument>(testing::StartsWith("LS_ISA: '\ufffd?[31m'")));
}

TEST_F(ChooseIsa, GivesTheEngineItsOperations) {
  const EnvironmentEntry& cartpole = find_environment("cartpole");
  const int widths[] = {1, 8, 16};
  for (const Isa isa : test::available_isas()) {
    const auto& operations = operations_for(cartpole, isa);
    EXPECT_STREQ(operations.isa, isa_name(isa));
    EXPECT_EQ(operations.lanes, widths[static_cast<int>(isa)]);
    set(isa_name(isa));
    EXPECT_EQ(build_info().isa, isa_name(isa));
  }
}

}  // namespace isa_test
}  // namespace lockstep
