// Tests for host/options/option_value.h, through the options that use it.
#include "host/options/option_value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "host/text.h"
#include "tests/support/option_errors.h"

namespace lockstep {
namespace option_value_test {

using test::flag_error;
using ::testing::IsEmpty;

TEST(SetOptionTest, ErrorsNameSourceValueAndRange) {
  EXPECT_EQ(flag_error("lr", "nan"), "2 --lr: nan is not in (0, inf)");
  EXPECT_EQ(flag_error("lr", "inf"), "2 --lr: inf is not in (0, inf)");
  EXPECT_EQ(flag_error("lr", "-1"), "2 --lr: -1 is not in (0, inf)");
  EXPECT_EQ(flag_error("lr", "0"), "2 --lr: 0 is not in (0, inf)");
  EXPECT_EQ(flag_error("lr", "1e-400"), "2 --lr: 1e-400 is not in (0, inf)");
  EXPECT_EQ(flag_error("lr", "fast"), "2 --lr: 'fast' is not a number in (0, inf)");
  EXPECT_EQ(flag_error("lr", ""), "2 --lr: '' is not a number in (0, inf)");
  EXPECT_EQ(flag_error("lr", "0.1 "), "2 --lr: '0.1 ' is not a number in (0, inf)");
  EXPECT_EQ(flag_error("gamma", "1.5"), "2 --gamma: 1.5 is not in [0, 1]");
  EXPECT_EQ(flag_error("dropout", "1"), "2 --dropout: 1 is not in [0, 1)");
  EXPECT_EQ(flag_error("until-score", "inf"), "2 --until-score: inf is not in (-inf, inf)");
  EXPECT_EQ(flag_error("time-limit", "inf"), "2 --time-limit: inf is not in (0, inf) or none");
  EXPECT_EQ(flag_error("envs", "0"), "2 --envs: 0 is not in [1, 16777216]");
  EXPECT_EQ(flag_error("envs", "16777217"), "2 --envs: 16777217 is not in [1, 16777216]");
  EXPECT_EQ(flag_error("envs", "16777216"), "nothing");
  EXPECT_EQ(flag_error("envs", "none"), "2 --envs: 'none' is not an integer in [1, 16777216]");
  EXPECT_EQ(flag_error("lr", "none"), "2 --lr: 'none' is not a number in (0, inf)");
  EXPECT_EQ(flag_error("envs", "-3"), "2 --envs: -3 is not in [1, 16777216]");
  EXPECT_EQ(flag_error("envs", "99999999999999999999"),
            "2 --envs: 99999999999999999999 is not in [1, 16777216]");
  EXPECT_EQ(flag_error("envs", "1.5"), "2 --envs: '1.5' is not an integer in [1, 16777216]");
  EXPECT_EQ(flag_error("updates", "0"), "2 --updates: 0 is not in [1, 9007199254740992] or none");
  EXPECT_EQ(flag_error("updates", "-1"), "2 --updates: -1 is not in [1, 9007199254740992] or none");
  EXPECT_EQ(flag_error("seed", "-1"), "2 --seed: -1 is not in [0, 18446744073709551615]");
  EXPECT_EQ(flag_error("seed", "x"),
            "2 --seed: 'x' is not an integer in [0, 18446744073709551615]");
  EXPECT_EQ(flag_error("json", "maybe"), "2 --json: 'maybe' is not one of true, false");
  EXPECT_EQ(flag_error("optimizer", "adm"),
            "2 --optimizer: 'adm' is not one of adam, sgd, rmsprop; the nearest is 'adam'");
  EXPECT_EQ(
      flag_error("recipe", "clasic"),
      "2 --recipe: 'clasic' is not one of fast, classic, linear, a2c, ppo, large, sprint, best, "
      "karpathy; the "
      "nearest is 'classic'");
  EXPECT_EQ(flag_error("env", "cartpol"),
            "2 env: 'cartpol' is not one of cartpole, pong; the nearest is 'cartpole'");
  EXPECT_EQ(flag_error("epocs", "3"), "2 unknown option '--epocs'; the nearest is '--epochs'");
  EXPECT_EQ(flag_error("out", "a\nb"),
            "2 --out: 'a?b' is not UTF-8 text without control characters");
  EXPECT_EQ(flag_error("out", "a\xff"),
            "2 --out: 'a\xEF\xBF\xBD' is not UTF-8 text without control characters");
}

TEST(SetOptionTest, WhatIsComputedInFloat32MustBeANumberThere) {
  for (const char* name : {"lr", "eps"}) {
    EXPECT_EQ(flag_error(name, "1e39"), "2 --" + std::string(name) +
                                            ": '1e39' is infinite as a float32, which has numbers "
                                            "from 1.5e-45 to 3.4e38");
    EXPECT_EQ(flag_error(name, "1e-46"), "2 --" + std::string(name) +
                                             ": '1e-46' is 0 as a float32, which has numbers from "
                                             "1.5e-45 to 3.4e38");
    EXPECT_EQ(flag_error(name, "3e38"), "nothing");
    EXPECT_EQ(flag_error(name, "1e-44"), "nothing");
  }
  EXPECT_EQ(flag_error("weight-decay", "0"), "nothing");
  EXPECT_EQ(flag_error("time-limit", "1e39"), "nothing");
}

TEST(SetOptionTest, OneChoiceMayBeNumbered) {
  for (const char* device : {"auto", "cpu", "cuda", "cuda:0", "cuda:17"}) {
    EXPECT_EQ(resolve_config({{{"device", device}}, {}}).device, device);
  }
  for (const char* device : {"cuda:", "cuda:-1", "cuda:1x", "cuda:12345", "cpu:0", "cuda1"}) {
    EXPECT_THAT(flag_error("device", device),
                ::testing::HasSubstr("is not one of auto, cpu, cuda, cuda:N; the nearest is '"))
        << device;
  }
  EXPECT_EQ(range_text(find_option("device")->value), "auto | cpu | cuda | cuda:N");
}

TEST(SetOptionTest, NoneLiftsALimit) {
  const Config c =
      resolve_config({{{"recipe", "classic"}, {"episodes", "none"}, {"time-limit", "none"}}, {}});
  EXPECT_EQ(c.episodes, -1);
  EXPECT_TRUE(std::isinf(c.time_limit));
}

TEST(OptionValueTest, RealsAreShortestAndReadBackExactly) {
  EXPECT_EQ(format_real(0.03), "0.03");
  EXPECT_EQ(format_real(1), "1.0");
  EXPECT_EQ(format_real(1e-8), "1e-08");
  for (const double value : {0.1, 1.0 / 3.0, 5e-324, 1.7976931348623157e308, 123456789.123456789}) {
    const ValueSpec spec = real_between(0, kInfinity);
    EXPECT_EQ(parse_real(spec, format_real(value), Origin{"x"}), value);
  }
}

}  // namespace option_value_test
}  // namespace lockstep
