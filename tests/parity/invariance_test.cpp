// Tests for the bit contract of host/cpu/number_backend.h: instruction set, threads, chunking,
// storage and the number of environments beside it never change a result. The full matrix is
// invariance_matrix_test.cpp.
#include <malloc.h>

#include <limits>

#include "tests/parity/invariance.h"

namespace lockstep {
namespace invariance_test {

using test::TrainingHash;
using test::Variant;
using testing::TestParamInfo;
using testing::TestWithParam;

class Invariance : public TestWithParam<std::tuple<Variant, Isa>> {};

TEST_P(Invariance, EveryWayGivesTheSameBits) {
  const auto& [variant, isa] = GetParam();
  if (!test::is_available(isa)) GTEST_SKIP() << "this processor has no " << isa_name(isa);
  for (const std::int64_t envs : {1, 33, 130}) {
    Config config = test::variant_config(variant, envs);
    const int updates = 12;
    const TrainingHash want = test::reference_training(config, updates);
    ASSERT_GT(want.steps, envs * 8 * updates);
    for (const int threads : {1, 3}) {
      for (const int chunk : {1, 2, 4}) {
        if (isa == Isa::kScalar && chunk > 1) continue;  // it has no larger blocks
        for (const Store store : {Store::kLogits, Store::kRecompute}) {
          config.store = store;
          test::expect_same_training(config, {isa, threads, chunk}, updates, want);
        }
      }
    }
  }
}

std::string name_of(const TestParamInfo<std::tuple<Variant, Isa>>& info) {
  return std::string(std::get<0>(info.param).name) + "_" + isa_name(std::get<1>(info.param));
}
INSTANTIATE_TEST_SUITE_P(Ways, Invariance,
                         testing::Combine(testing::ValuesIn(test::variants()),
                                          testing::ValuesIn(test::kAllIsas)),
                         name_of);

/// What was recorded of the one episode of environment `env` in the last rollout.
std::vector<float> trajectory_of(const CpuBackend& backend, std::int64_t env) {
  const Record<float>& r = backend.record();
  const RecordedEnv recorded(r, 4, 2, env);
  std::vector<float> out;
  for (int t = 0; t < r.steps[env / kGroup]; ++t) {
    const int ends = recorded.terminated(t) | recorded.truncated(t) << 1;
    for (int o = 0; o < 4; ++o) out.push_back(recorded.obs(t, o));
    out.push_back(recorded.logit(t, 0));
    out.push_back(static_cast<float>(recorded.action(t) | ends << 1));
    if (ends != 0) break;  // whole episodes: what follows is nobody's
  }
  return out;
}

TEST(Invariance, ATrajectoryDoesNotDependOnHowManyRunBesideIt) {
  const std::int64_t most = 4097;
  for (const Isa isa : test::available_isas()) {
    const CpuTuning tuning{.isa = isa, .threads = 2};
    CpuBackend all = test::make_cpu_backend(test::small_config(most), tuning);
    all.rollout(5);
    for (const std::int64_t envs : {1, 31, 32, 33, 1000}) {
      CpuBackend some = test::make_cpu_backend(test::small_config(envs), tuning);
      some.rollout(5);
      int differing = 0;
      for (std::int64_t env = 0; env < envs; ++env) {
        differing += trajectory_of(some, env) != trajectory_of(all, env);
      }
      EXPECT_EQ(differing, 0) << isa_name(isa) << ", " << envs << " environments";
    }
    EXPECT_NE(trajectory_of(all, 0), trajectory_of(all, 1));
    EXPECT_NE(trajectory_of(all, 1), trajectory_of(all, 1 + kGroup));
  }
}

TEST(Invariance, SeedsAndUpdatesGiveDifferentTrajectories) {
  Config config = test::small_config(33);
  std::vector<std::vector<float>> seen;
  for (const std::uint64_t seed : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{1} << 32}) {
    config.seed = seed;
    CpuBackend backend = test::make_cpu_backend(config, {});
    for (const std::uint32_t epoch : {0u, 1u}) {
      backend.rollout(epoch);
      seen.push_back(trajectory_of(backend, 7));
    }
  }
  for (std::size_t i = 0; i < seen.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(seen[i], seen[j]) << i << " and " << j;
  }
}

/// Overwrites every record with `byte`.
void poison(CpuBackend& backend, int byte) {
  const Record<float>& r = backend.record();
  for_each_field(
      backend.shape().O, backend.shape().A,
      [&](RecordField, std::int64_t count, auto* field) {
        if (field == nullptr) return;
        std::memset(field, byte, static_cast<std::size_t>(count) * sizeof *field);
      },
      r);
}

TEST(Invariance, NothingUninitialisedOrStaleIsRead) {
  for (const Variant& variant : test::variants()) {
    for (const Store store : {Store::kLogits, Store::kRecompute}) {
      Config config = test::variant_config(variant, 37);
      config.store = store;
      const CpuTuning tuning{.isa = test::available_isas().back(), .threads = 2};
      CpuBackend plain = test::make_cpu_backend(config, tuning);
      const TrainingHash first = test::hash_training(plain, config, 3);
      const TrainingHash second = test::hash_training(plain, config, 3, 7, 3);
      for (const int byte : {0x00, 0xFF, 0x7F}) {  // zeros, NaN, the largest floats
        // glibc: fresh memory is filled with the low byte of the value xor 0xFF; 0 switches it off
        mallopt(M_PERTURB, (byte ^ 0xFF) | 0x100);
        CpuBackend poisoned = test::make_cpu_backend(config, tuning);
        EXPECT_EQ(test::hash_training(poisoned, config, 3), first) << variant.name << " " << byte;
        poison(poisoned, byte);
        EXPECT_EQ(test::hash_training(poisoned, config, 3, 7, 3), second)
            << variant.name << " " << byte;
        mallopt(M_PERTURB, 0);
      }
    }
  }
}

}  // namespace invariance_test
}  // namespace lockstep
