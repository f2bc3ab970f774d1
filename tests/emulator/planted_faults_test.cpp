// Faults that are not races: which build notices which, in random order. A blank that starts to be
// caught, or a catch that is lost, fails here.
#include "tests/emulator/planted_faults.h"

#include <gtest/gtest.h>

namespace cuemu_test {
namespace planted_faults_test {

#ifdef __clang__
constexpr char kMisaligned = kClean;  // clang's UBSan is silent about aggregates
#else
constexpr char kMisaligned = kUndefined;
#endif

struct Row {
  const char* name;
  Body clean;
  Body planted;
  char plain, address, thread;
};

std::ostream& operator<<(std::ostream& os, const Row& row) { return os << row.name; }

#define CUEMU_ROW(body, plain, address, thread) \
  Row { #body, body < false>, body < true>, plain, address, thread }

const Row kRows[] = {
    CUEMU_ROW(uninitialised_shared_read, 'W', 'W', 'W'),
    CUEMU_ROW(misaligned_load, 'X', kMisaligned, '.'),
    CUEMU_ROW(inner_index_past_its_dimension, '.', 'U', '.'),
    CUEMU_ROW(signed_overflow, '.', 'U', '.'),
    CUEMU_ROW(shift_too_far, '.', 'U', '.'),
    CUEMU_ROW(dynamic_shared_too_small, '.', 'A', '.'),
    CUEMU_ROW(dynamic_shared_too_large, 'R', 'R', 'R'),
    CUEMU_ROW(static_and_dynamic_shared_too_large, 'S', 'S', 'S'),
    CUEMU_ROW(store_far_past_the_end, 'X', 'A', 'X'),
    CUEMU_ROW(shuffle_in_half_a_warp, 'S', 'S', 'S'),
    CUEMU_ROW(shuffle_from_outside_the_mask, 'W', 'W', 'W'),
    CUEMU_ROW(warp_operation_at_two_places, 'S', 'S', 'S'),
    CUEMU_ROW(barrier_at_two_places, 'S', 'S', 'S'),
    CUEMU_ROW(unequal_trip_counts, 'S', 'S', 'S'),
    CUEMU_ROW(spin_on_block_that_is_not_resident, 'S', 'S', 'S'),
    CUEMU_ROW(big_local_array, '.', '.', '.'),
    CUEMU_ROW(shared_overrun_by_pointer, '.', 'A', '.'),
    CUEMU_ROW(host_reads_device_memory, '.', 'A', '.'),
};

class PlantedFault : public testing::TestWithParam<Row> {};

TEST_P(PlantedFault, IsCaughtAsTheTableSays) {
  const Row& row = GetParam();
  const char expected = kPlainBuild ? row.plain : kAddressBuild ? row.address : row.thread;
  for (const int seed : {1, 2}) {
    const Outcome outcome = run_child({.seed = seed, .poison = true}, row.planted);
    EXPECT_EQ(outcome.letter, expected) << outcome.text;
  }
}

TEST_P(PlantedFault, IsSilentWithoutTheBug) {
  const Outcome outcome = run_child({.poison = true}, GetParam().clean);
  EXPECT_EQ(outcome.letter, kClean) << outcome.text;
}

INSTANTIATE_TEST_SUITE_P(Rows, PlantedFault, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(StrictTest, FailuresNamePlaceThreadKernelAndSeed) {
  const Outcome outcome = run_child({.seed = 5}, unequal_trip_counts<true>);
  EXPECT_NE(outcome.text.find("kernel planted, block (0,0,0) thread (100,0,0)"), std::string::npos)
      << outcome.text;
  EXPECT_NE(outcome.text.find("planted_faults.h:"), std::string::npos) << outcome.text;
  EXPECT_NE(outcome.text.find("LS_EMULATOR_ORDER=random LS_EMULATOR_SEED=5"), std::string::npos)
      << outcome.text;
}

TEST(StrictTest, OffIgnoresThreadsThatEnded) {
  // lanes that ended give 0xDBDBDBDB, whose sum is wrong and overflows
  const char shuffled = kAddressBuild ? kUndefined : kWrong;
  EXPECT_EQ(run_child({.strict = false}, early_return_before_shuffle<true>).letter, shuffled);
  EXPECT_EQ(run_child({.strict = false}, early_return_before_barrier<true>).letter, kClean);
}

TEST(ResidentTest, BlocksThatWaitForEachOtherNeedToBeAliveTogether) {
  EXPECT_EQ(run_child({.resident = 8}, spin_on_block_that_is_not_resident<true>).letter, kClean);
}

// A random-order failure comes back with its seed, and only with such a seed.
TEST(ReplayTest, SeedReproducesAnOrder) {
  if (kThreadBuild) GTEST_SKIP() << "a race ends the process before its result shows";
  std::string first;
  std::string second;
  for (int seed = 1; seed <= 12; ++seed) {
    first += run_child({.seed = seed}, reduce_without_barrier<true>).letter;
    second += run_child({.seed = seed}, reduce_without_barrier<true>).letter;
  }
  EXPECT_EQ(first, second);
  EXPECT_NE(first.find(kWrong), std::string::npos) << first;
  EXPECT_NE(first.find(kClean), std::string::npos) << first;
}

}  // namespace planted_faults_test
}  // namespace cuemu_test
